# SPDX-License-Identifier: Apache-2.0
"""Does a grasp hold? The robot's gripper alone, tried on objects that stand on a table, by physics.

table = GraspTable([make_object("mug", 3)], seed=0)
outcome = table.try_grasp(world_T_grasp, opening_m=0.09)

The table's top is z = 0 of the frame `world`. A grasp frame has its origin midway between the finger tips, x along the
approach, y along the closing direction, as axon_msgs/Grasp says. One model serves any number of trials: each begins at
the settled state, so they are independent of each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import mujoco
import numpy as np

from axon_core.geometry import check_transform
from axon_sim import robot
from axon_sim.controllers import Gripper
from axon_sim.objects import CATEGORIES, SimObject, make_object, quat_wxyz
from axon_sim.scenes import GL_FROM_OPTICAL, LabelRenderer, look_at
from axon_sim.worlds.builder import FIXED_BITS, FLOOR_BITS

TABLE_THICKNESS_M = 0.04
TICK_S = 0.01
LIFT_M, LIFT_S, HOLD_S = 0.08, 0.4, 0.2
CLOSE_LIMIT_S = 1.6
SETTLE_LIMIT_S = 2.0
AWAY_M = (30.0, 0.0, 5.0)  # where the gripper waits, out of every view
# about the arm's stiffness at its wrist: 1 kN m/rad at half a metre
STIFFNESS_NPM, DAMPING_NSPM = 4000.0, 160.0
DEEPEST_OVERLAP_M = 0.0005
FREE_STEP_M = 0.004
MISSED_WIDTH_M = 0.0015
TABLE_HEIGHTS_M = (0.40, 0.75)
CAMERA_HEIGHT_M = 1.116  # of the robot's camera above the floor
VIEW_DISTANCES_M = (0.45, 0.85)  # from the mast, along the floor, to what the arm reaches
CAMERA = "camera"
PREFIX = "free_"  # of the gripper's parts
PARTS = ("gripper_link", "gripper_left_finger_link", "gripper_right_finger_link")
FINGER_JOINTS = tuple(PREFIX + name for name in robot.FINGER_JOINTS)
TOUCH = tuple(PREFIX + name for name in ("gripper_left_touch", "gripper_right_touch"))
RAY_HEIGHT_M = 40.0
SOLID_GROUPS = np.array([1, 0, 0, 1, 1, 0], dtype=np.uint8)


class GraspResult(Enum):
    """How a trial ended."""

    HELD = "held"
    COLLISION = "collision"  # the open gripper has no room there
    MISSED = "missed"  # closed on nothing
    DROPPED = "dropped"  # touched, but not there after the lift


@dataclass(frozen=True)
class GraspOutcome:
    """`width_m` is the opening after closing; `object_index` says what is held, None where nothing is."""

    result: GraspResult
    width_m: float
    object_index: int | None = None

    @property
    def held(self) -> bool:
        """Whether an object hangs in the gripper after the lift."""
        return self.result is GraspResult.HELD


class _QuickGripper(Gripper):
    """The robot's gripper; here nobody has to be sure that it stalled."""

    STALL_TIME_S = 0.08


class GraspTable:
    """Objects at rest on a table, the free gripper, and a depth camera. `model` and `data` are MuJoCo's."""

    def __init__(
        self,
        objects: Sequence[SimObject],
        poses: Sequence[np.ndarray],
        table_size_m: tuple[float, float] = (0.8, 1.2),
        table_center_m: tuple[float, float] = (0.0, 0.0),
        height_m: float = 0.6,
        fovy_deg: float = 55.0,
    ) -> None:
        """Put `objects` at `poses` (4, 4), a little above the table, and let them come to rest.

        `height_m` is the table's height above the floor, which is drawn too.
        """
        self.objects, self.height_m = tuple(objects), height_m
        spec = _table_spec(table_size_m, table_center_m, height_m, fovy_deg)
        for index, (item, pose) in enumerate(zip(objects, poses, strict=True)):
            item.add_to(spec, check_transform(pose, "pose"), f"object_{index}")
        _add_gripper(spec)
        self.model = spec.compile()
        self.data = mujoco.MjData(self.model)
        self._substeps = round(TICK_S / self.model.opt.timestep)
        self._find_parts()
        self._settle()

    def world_T_objects(self) -> np.ndarray:
        """Return the poses (N, 4, 4) of all objects at rest."""
        self._rest()
        poses = np.tile(np.eye(4), (len(self.objects), 1, 1))
        poses[:, :3, :3] = self.data.xmat[self._bodies].reshape(-1, 3, 3)
        poses[:, :3, 3] = self.data.xpos[self._bodies]
        return poses

    def heights(self, xy_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return how high the solid things are at points (..., 2), and which object (-1: none) is there."""
        self._rest()
        flat = np.reshape(np.asarray(xy_m, dtype=np.float64), (-1, 2))
        rays = np.column_stack([flat, np.full(len(flat), -RAY_HEIGHT_M)])
        lengths = np.linalg.norm(rays, axis=1)
        geoms, distances = np.empty(len(flat), dtype=np.int32), np.empty(len(flat))
        mujoco.mj_multiRay(
            self.model,
            self.data,
            np.array([0.0, 0.0, RAY_HEIGHT_M]),
            np.ascontiguousarray(rays / lengths[:, None]).ravel(),
            SOLID_GROUPS,
            True,
            self._gripper_body,
            geoms,
            distances,
            None,
            len(flat),
            2.0 * RAY_HEIGHT_M,
        )
        heights = RAY_HEIGHT_M * (1.0 - distances / lengths)
        shape = np.shape(xy_m)[:-1]
        return heights.reshape(shape), np.append(self._object_of_body, -1)[self._body_of(geoms)].reshape(shape)

    def fits(self, world_T_grasp: np.ndarray, opening_m: float) -> bool:
        """Return whether the gripper, so far open, touches nothing there."""
        self._place(check_transform(world_T_grasp, "world_T_grasp"), opening_m)
        return not self._touches(-DEEPEST_OVERLAP_M)

    def try_grasp(self, world_T_grasp: np.ndarray, opening_m: float, force_n: float = 60.0) -> GraspOutcome:
        """Put the open gripper (0 .. 0.09 m) there, close it with a force, lift, hold, and say what came of it."""
        if not self.fits(world_T_grasp, opening_m):
            return GraspOutcome(GraspResult.COLLISION, opening_m)
        width = self._close(self._first_contact_m(opening_m), force_n)
        if width < MISSED_WIDTH_M:
            return GraspOutcome(GraspResult.MISSED, width)
        return self._lift(width)

    def draw_depth(self, world_T_camera: np.ndarray, renderer: LabelRenderer) -> np.ndarray:
        """Return the depth image (H, W) in m, without noise, from the pose (4, 4) of an optical frame."""
        self._rest()
        renderer.show(self.model, shadows=False)
        camera = self.model.camera(CAMERA).id
        self.data.cam_xpos[camera] = world_T_camera[:3, 3]
        self.data.cam_xmat[camera] = (world_T_camera[:3, :3] @ GL_FROM_OPTICAL).ravel()
        return np.ascontiguousarray(renderer.render(self.data, CAMERA).depth_m)

    # ---------------------------------------------------------------- private

    def _find_parts(self) -> None:
        model = self.model
        self._bodies = np.array([model.body(f"object_{index}").id for index in range(len(self.objects))], dtype=int)
        self._object_of_body = np.full(model.nbody, -1)
        self._object_of_body[self._bodies] = np.arange(len(self.objects))
        self._gripper_body, self._wrist = model.body("carriage").id, model.body("wrist").id
        self._is_gripper = np.isin(model.geom_bodyid, [model.body(PREFIX + name).id for name in PARTS])
        self._tcp_m = model.body(f"{PREFIX}gripper_tcp").pos[0]
        self._fingers_at = [model.joint(name).qposadr[0] for name in FINGER_JOINTS]
        self._finger_speed_at = model.joint(FINGER_JOINTS[0]).dofadr[0]
        self._touch_at = [model.sensor(name).adr[0] for name in TOUCH]
        self._grip, self._lifter = model.actuator(f"{PREFIX}gripper").id, model.actuator("move_z").id

    def _body_of(self, geoms: np.ndarray) -> np.ndarray:
        return np.where(geoms >= 0, self.model.geom_bodyid[geoms], self.model.nbody)

    def _settle(self) -> None:
        self._put_away()
        for tick in range(round(SETTLE_LIMIT_S / TICK_S)):
            mujoco.mj_step(self.model, self.data, self._substeps)
            if tick > 5 and np.abs(self.data.qvel).max() < 0.01:
                break
        self.data.qvel[:] = 0.0
        self._state = self.data.qpos.copy()

    def _rest(self) -> None:
        """Go back to the settled state, the gripper out of the way."""
        mujoco.mj_resetData(self.model, self.data)
        self._put_away()
        self.data.qpos[:] = self._state
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_camlight(self.model, self.data)

    def _put_away(self) -> None:
        self.model.body_pos[self._gripper_body] = AWAY_M
        self.model.body_quat[self._wrist] = [1.0, 0.0, 0.0, 0.0]

    def _place(self, world_T_grasp: np.ndarray, opening_m: float) -> None:
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:] = self._state
        self.model.body_pos[self._gripper_body] = world_T_grasp[:3, 3] - self._tcp_m * world_T_grasp[:3, 0]
        self.model.body_quat[self._wrist] = quat_wxyz(world_T_grasp[:3, :3])
        self.data.qpos[self._fingers_at] = 0.5 * opening_m

    def _touches(self, distance_m: float) -> bool:
        mujoco.mj_fwdPosition(self.model, self.data)
        contact = self.data.contact
        return bool((contact.dist[self._is_gripper[contact.geom].any(axis=1)] < distance_m).any())

    def _first_contact_m(self, opening_m: float) -> float:
        """Put the closing fingers just before they touch something, for air needs no physics; return that opening."""
        for opening in np.arange(opening_m, 0.0, -FREE_STEP_M):
            self.data.qpos[self._fingers_at] = 0.5 * opening
            if self._touches(0.0):
                break
            opening_m = float(opening)
        self.data.qpos[self._fingers_at] = 0.5 * opening_m
        return opening_m

    def _close(self, opening_m: float, force_n: float) -> float:
        """Close until the fingers stand still; return their opening."""
        gripper = _QuickGripper(opening_m)
        gripper.command(0.0, force_n)
        self.model.actuator_forcerange[self._grip] = gripper.max_force_n * np.array([-1.0, 1.0])
        for _ in range(round(CLOSE_LIMIT_S / TICK_S)):
            speed = 2.0 * float(self.data.qvel[self._finger_speed_at])
            self.data.ctrl[self._grip] = 0.5 * gripper.step(self._width_m(), speed, TICK_S)
            if gripper.stalled:
                break
            mujoco.mj_step(self.model, self.data, self._substeps)
        return self._width_m()

    def _lift(self, width_m: float) -> GraspOutcome:
        before_m = self.data.xpos[self._bodies, 2].copy()
        ticks = round(LIFT_S / TICK_S)
        for tick in range(ticks + round(HOLD_S / TICK_S)):
            self.data.ctrl[self._lifter] = LIFT_M * min(1.0, (tick + 1) / ticks)
            mujoco.mj_step(self.model, self.data, self._substeps)
            if tick % 10 == 9 and self._width_m() < MISSED_WIDTH_M:
                return GraspOutcome(GraspResult.DROPPED, width_m)
        risen = self.data.xpos[self._bodies, 2] - before_m
        index = int(np.argmax(risen))
        held = risen[index] > 0.5 * LIFT_M and self.data.sensordata[self._touch_at].min() > 1.0
        return GraspOutcome(GraspResult.HELD, width_m, index) if held else GraspOutcome(GraspResult.DROPPED, width_m)

    def _width_m(self) -> float:
        return float(self.data.qpos[self._fingers_at].sum())


def draw_table(
    rng: np.random.Generator,
    object_seeds: tuple[int, int],
    count: int = 1,
    categories: Sequence[str] = CATEGORIES,
    tipped_share: float = 0.2,
) -> GraspTable:
    """Return a table of random height and place with `count` objects near its frame's origin, the first nearest.

    The objects' seeds are drawn from `object_seeds` (low, high), so that who trains and who measures never share one.
    """
    objects = [make_object(str(rng.choice(categories)), int(rng.integers(*object_seeds))) for _ in range(count)]
    poses, taken = [], np.zeros((0, 3))
    for item in objects:
        pose = _resting_pose(item, rng, tipped_share)
        radius = 0.5 * float(np.linalg.norm(item.size_m[:2]))
        pose[:2, 3] = _spot_beside(rng, radius, taken)
        taken = np.vstack([taken, [*pose[:2, 3], radius]])
        poses.append(pose)
    size = rng.uniform([0.45, 0.6], [0.9, 1.4])
    slack = np.maximum(0.5 * size - 0.12 - np.abs(taken[:, :2]).max(axis=0), 0.0)
    center = tuple(rng.uniform(-slack, slack))
    return GraspTable(objects, poses, tuple(size), center, float(rng.uniform(*TABLE_HEIGHTS_M)))


def draw_view(rng: np.random.Generator, table: GraspTable, target_m: np.ndarray) -> np.ndarray:
    """Return world_T_camera (4, 4) of the camera on the robot's mast, where the arm reaches the target (3,)."""
    turn, distance = rng.uniform(-np.pi, np.pi), rng.uniform(*VIEW_DISTANCES_M)
    height = CAMERA_HEIGHT_M - table.height_m
    eye = np.array([target_m[0] + distance * np.cos(turn), target_m[1] + distance * np.sin(turn), height])
    return look_at(eye, target_m + rng.normal(0.0, [0.06, 0.06, 0.03]))


def photograph_depth(depth_m: np.ndarray, rng: np.random.Generator, noise: float = 1.0) -> np.ndarray:
    """Return a depth image as the robot's camera measures it: the errors of `sensors.CameraNoise`, NaN for holes."""
    sigma = noise * (0.0008 + 0.0012 * depth_m * depth_m)
    measured = depth_m + sigma * rng.standard_normal(depth_m.shape)
    return np.where(rng.random(depth_m.shape) < 0.002 * noise, np.nan, measured).astype(np.float32)


def _resting_pose(item: SimObject, rng: np.random.Generator, tipped_share: float) -> np.ndarray:
    """Return a pose (4, 4) just above the table: upright or, now and then, lying."""
    yaw = rng.uniform(-np.pi, np.pi)
    c, s = np.cos(yaw), np.sin(yaw)
    pose = np.eye(4)
    pose[:2, :2] = [[c, -s], [s, c]]
    tipped = rng.random() < tipped_share
    if tipped:
        pose[:3, :3] = pose[:3, :3] @ np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    pose[2, 3] = 0.5 * item.size_m[1 if tipped else 2] + 0.002
    return pose


def _spot_beside(rng: np.random.Generator, radius: float, taken: np.ndarray) -> np.ndarray:
    """Return a place (2,) near the origin that is clear of the discs `taken` (K, 3): the first at the origin."""
    if len(taken) == 0:
        return np.zeros(2)
    turn = rng.uniform(-np.pi, np.pi)
    way = np.array([np.cos(turn), np.sin(turn)])
    apart = 0.01
    while (np.linalg.norm(way * apart - taken[:, :2], axis=1) < taken[:, 2] + radius + 0.005).any():
        apart += 0.01
    return way * (apart + rng.uniform(0.0, 0.05))


def _table_spec(size: tuple[float, float], center: tuple[float, float], height: float, fovy: float) -> mujoco.MjSpec:
    spec = mujoco.MjSpec()
    spec.worldbody.add_camera(name=CAMERA, fovy=fovy)
    spec.worldbody.add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[0.5 * size[0], 0.5 * size[1], 0.5 * TABLE_THICKNESS_M],
        pos=[*center, -0.5 * TABLE_THICKNESS_M],
        **FIXED_BITS,
    )
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[4.0, 4.0, 1.0], pos=[0, 0, -height], **FLOOR_BITS)
    spec.stat.extent, spec.stat.center = 4.0, [0.0, 0.0, 0.0]
    spec.visual.map.znear, spec.visual.map.zfar = 0.05 / 4.0, 12.0 / 4.0
    return spec


def _add_gripper(spec: mujoco.MjSpec) -> None:
    """Add the robot's gripper on a carriage that gives way as the arm does."""
    own = robot.load_robot_spec()
    for option in ("timestep", "integrator", "cone", "iterations", "ls_iterations"):
        setattr(spec.option, option, getattr(own.option, option))
    carriage = spec.worldbody.add_body(name="carriage", pos=AWAY_M, gravcomp=1.0)
    axes = {"x": [1, 0, 0], "y": [0, 1, 0], "z": [0, 0, 1]}
    for name, axis in axes.items():
        joint = f"slide_{name}"
        carriage.add_joint(name=joint, type=mujoco.mjtJoint.mjJNT_SLIDE, axis=axis, armature=0.5)
        mover = spec.add_actuator(name=f"move_{name}", trntype=mujoco.mjtTrn.mjTRN_JOINT, target=joint)
        mover.set_to_position(kp=STIFFNESS_NPM, kv=DAMPING_NSPM)
    wrist = carriage.add_body(name="wrist", gravcomp=1.0)
    wrist.mass, wrist.inertia, wrist.explicitinertial = 0.2, [1e-4] * 3, True
    gripper = wrist.add_frame().attach_body(own.body("gripper_link"), PREFIX, "")
    gripper.pos = [0.0, 0.0, 0.0]
