# SPDX-License-Identifier: Apache-2.0
"""The arm: kinematics from the robot's URDF, inverse kinematics by mink, paths that keep clear of robot and table.

All poses are in the URDF's root frame, which has to be the robot's base with z up. Joint vectors (N,) are in the order
of the names given to `Arm`.
"""

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import mink
import mujoco
import numpy as np

from axon_core.arrays import AnyArray, FloatArray
from axon_core.geometry import wrap_angle

_IK_STEPS = 80
_IK_POSITION_M, _IK_ANGLE_RAD = 0.0015, 0.01
_SOLVER = "daqp"
_CHECK_STEP_RAD = 0.06
_LINE_STEP_M = 0.015
_LARGEST_JUMP_RAD = 0.5  # between neighbours of a straight line; more is another branch of the solution
_SPHERES_APART_M = 0.02
_MARGIN_M = 0.004
_LOAD_RADIUS_M = 0.04
_LOAD = "load in the hand"


class NoReach(ValueError):
    """The arm cannot go there; the text says why."""


@dataclass(frozen=True)
class Path:
    """Joint positions (K, N) to pass through, and when (K,) in s after the start; it begins where the arm is."""

    positions: FloatArray
    times_s: FloatArray

    @property
    def duration_s(self) -> float:
        """How long it takes."""
        return float(self.times_s[-1])


class Obstacles:
    """What the arm must not touch: heights (H, W) in m of cells, NaN unknown; row is y, column x, from `origin_m`."""

    def __init__(self, heights_m: AnyArray, resolution_m: float, origin_m: AnyArray) -> None:
        self.heights_m, self.resolution_m, self.origin_m = heights_m, resolution_m, np.asarray(origin_m)
        self._grown: dict[int, AnyArray] = {}

    def cells_of(self, xy_m: AnyArray) -> AnyArray:
        """Return row and column (..., 2) of points (..., 2); they may lie outside."""
        return np.floor((np.asarray(xy_m) - self.origin_m)[..., ::-1] / self.resolution_m).astype(np.intp)

    def lowered(self, xy_m: AnyArray, height_m: float) -> "Obstacles":
        """Return the same with nothing higher than a height at points (N, 2): what stood there is in the hand."""
        cells = self.cells_of(xy_m)
        cells = cells[((cells >= 0) & (cells < self.heights_m.shape)).all(axis=1)]
        heights = self.heights_m.copy()
        heights[cells[:, 0], cells[:, 1]] = np.fmin(heights[cells[:, 0], cells[:, 1]], height_m)
        return Obstacles(heights, self.resolution_m, self.origin_m)

    def clearance_m(self, centers: AnyArray, radii: AnyArray) -> AnyArray:
        """Return how far spheres (K,) at `centers` (K, 3) hang above what is under them; inf over the unknown."""
        cells = self.cells_of(centers[:, :2])
        inside = ((cells >= 0) & (cells < self.heights_m.shape)).all(axis=1)
        row, column = np.clip(cells, 0, np.array(self.heights_m.shape) - 1).T
        below = np.full(len(centers), -np.inf)
        reach = np.ceil(radii / self.resolution_m).astype(int)
        for cells_wide in np.unique(reach):
            these = reach == cells_wide
            below[these] = self._highest_within(int(cells_wide))[row[these], column[these]]
        return np.where(inside, centers[:, 2] - radii - below, np.inf)

    def _highest_within(self, reach: int) -> AnyArray:
        """Return for each cell the highest within so many cells; -inf where nothing is known."""
        if reach not in self._grown:
            disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
            filled = np.where(np.isfinite(self.heights_m), self.heights_m, -np.inf).astype(np.float32)
            self._grown[reach] = cv2.dilate(filled, disc, borderType=cv2.BORDER_CONSTANT, borderValue=-np.inf)
        return self._grown[reach]


class Arm:
    """Kinematics of some joints of a robot; not for two threads at a time."""

    def __init__(self, urdf: str, joints: Sequence[str], tip: str) -> None:
        """Read a URDF text (its meshes are not opened); ValueError where a joint or the link `tip` is not in it."""
        self.joints = tuple(joints)
        self.model = _model_from_urdf(urdf, tip)
        self.data = mujoco.MjData(self.model)
        missing = [name for name in self.joints if not _has(self.model, mujoco.mjtObj.mjOBJ_JOINT, name)]
        if missing:
            raise ValueError(f"the robot's description lacks {', '.join(missing)}: check arm_joints")
        indices = [self.model.joint(name).id for name in self.joints]
        self._at = self.model.jnt_qposadr[indices]
        self.lower, self.upper = self.model.jnt_range[indices].T
        self.max_speeds = _speeds_from_urdf(urdf, self.joints)
        self._tip, self._load = self.model.body(tip).id, self.model.geom(_LOAD).id
        self._task = mink.FrameTask(tip, "body", position_cost=1.0, orientation_cost=0.3, lm_damping=1e-4)
        self._limits = [mink.ConfigurationLimit(self.model)]
        self._moved = _descendants(self.model, int(self.model.jnt_bodyid[indices[0]]))
        self._spheres = _spheres_of(self.model, self._moved, self._load)

    def forward(self, positions: AnyArray) -> FloatArray:
        """Return base_T_tip (4, 4)."""
        self._set(positions)
        pose = np.eye(4)
        pose[:3, :3] = self.data.xmat[self._tip].reshape(3, 3)
        pose[:3, 3] = self.data.xpos[self._tip]
        return pose

    def inverse(self, base_T_tip: AnyArray, seeds: Sequence[AnyArray]) -> FloatArray:
        """Return joint positions (N,) within the limits for a pose, the first found from the seeds; raises NoReach."""
        target = mink.SE3.from_matrix(np.asarray(base_T_tip, dtype=np.float64))
        self._task.set_target(target)
        for seed in seeds:
            found = self._descend(np.clip(seed, self.lower, self.upper))
            if found is not None:
                return found
        x, y, z = np.asarray(base_T_tip)[:3, 3]
        raise NoReach(f"the arm does not reach ({x:.2f}, {y:.2f}, {z:.2f}) m of the base with this direction")

    def line(self, start: AnyArray, goal_m: AnyArray) -> FloatArray:
        """Return positions (K, N) that carry the tip straight to a point (3,), its orientation kept; raises NoReach."""
        pose = self.forward(start)
        way = np.asarray(goal_m) - pose[:3, 3]
        count = max(int(np.ceil(np.linalg.norm(way) / _LINE_STEP_M)), 1)
        rows = [np.asarray(start, dtype=np.float64)]
        for share in np.linspace(0.0, 1.0, count + 1)[1:]:
            step = pose.copy()
            step[:3, 3] += share * way
            rows.append(self.inverse(step, [rows[-1]]))
            if np.abs(rows[-1] - rows[-2]).max() > _LARGEST_JUMP_RAD:
                raise NoReach("the arm would have to turn over on a straight line")
        return np.array(rows)

    def blocked(
        self, positions: AnyArray, obstacles: Obstacles | None = None, hand: bool = True, load_m: float = 0.0
    ) -> str:
        """Say what the arm would touch at joint positions (N,), empty where nothing.

        Links of the arm are not checked against each other. `hand` false leaves out the gripper, whose room on the way
        to a grasp is known from elsewhere; `load_m` is how far an object in it reaches beyond the tip.
        """
        if (np.asarray(positions) < self.lower - 1e-6).any() or (np.asarray(positions) > self.upper + 1e-6).any():
            return "a joint's limit"
        self._set(positions, load_m)
        mujoco.mj_collision(self.model, self.data)
        bodies = self.model.geom_bodyid[self.data.contact.geom]
        met = np.flatnonzero(self._moved[bodies[:, 0]] != self._moved[bodies[:, 1]])
        if len(met):
            one, other = (self.model.body(body).name for body in bodies[met[0]])
            return f"the robot itself ({one}, {other})"
        if obstacles is None:
            return ""
        centers, radii = self._body_now(hand, load_m)
        return "what the camera sees" if (obstacles.clearance_m(centers, radii) < _MARGIN_M).any() else ""

    def check_path(
        self, positions: AnyArray, obstacles: Obstacles | None = None, hand: bool = True, load_m: float = 0.0
    ) -> None:
        """Raise NoReach where a path (K, N), followed straight in joint space, touches something."""
        for start, stop in pairwise(positions):
            count = max(int(np.ceil(np.abs(stop - start).max() / _CHECK_STEP_RAD)), 1)
            for share in np.arange(1, count + 1) / count:
                touched = self.blocked(start + share * (stop - start), obstacles, hand, load_m)
                if touched:
                    raise NoReach(f"the arm would touch {touched}")

    def timed(self, positions: AnyArray, speed_scale: float) -> Path:
        """Return a path with times: no joint faster than a share of its limit, slower at both ends."""
        rows = [positions[0], *(b for a, b in pairwise(positions) if np.abs(b - a).max() > 1e-4)]
        if len(rows) == 1:
            rows.append(positions[-1])
        steps = np.abs(np.diff(rows, axis=0))
        durations = np.maximum((steps / (speed_scale * self.max_speeds)).max(axis=1), 0.02)
        durations[0] += 0.15
        durations[-1] += 0.15
        return Path(np.array(rows), np.concatenate([[0.0], np.cumsum(durations)]))

    def pose_of(self, body: str, joint: str, value: float) -> FloatArray:
        """Return base_T_body (4, 4) with one other joint at a value: where a tilting camera looks, for instance."""
        self.data.qpos[self.model.joint(joint).qposadr[0]] = value
        mujoco.mj_kinematics(self.model, self.data)
        pose = np.eye(4)
        pose[:3, :3] = self.data.body(body).xmat.reshape(3, 3)
        pose[:3, 3] = self.data.body(body).xpos
        return pose

    def tilt_to(self, target_m: AnyArray, joint: str, camera_frame: str) -> float:
        """Return where a joint must be so that the camera (an optical frame) looks at the height of a point (3,)."""
        if not (
            _has(self.model, mujoco.mjtObj.mjOBJ_JOINT, joint)
            and _has(self.model, mujoco.mjtObj.mjOBJ_BODY, camera_frame)
        ):
            raise ValueError(f"the robot's description lacks {joint} or {camera_frame}: check head_joint")
        low, high = self.model.joint(joint).range
        values = np.linspace(low, high, 201)
        seen = [np.linalg.inv(self.pose_of(camera_frame, joint, v)) @ [*target_m, 1.0] for v in values]
        off = [abs(np.arctan2(y, z)) for _, y, z, _ in seen]
        return float(values[int(np.argmin(off))])

    # ---------------------------------------------------------------- private

    def _set(self, positions: AnyArray, load_m: float = 0.0) -> None:
        """Put the arm there, and a capsule that stands for what is in the hand and ends where that does."""
        half = max(0.5 * load_m - _LOAD_RADIUS_M, 1e-3)
        self.model.geom_size[self._load, :2] = _LOAD_RADIUS_M, half
        self.model.geom_rbound[self._load] = _LOAD_RADIUS_M + half
        self.model.geom_pos[self._load] = [load_m - _LOAD_RADIUS_M - half, 0.0, 0.0]
        self.model.geom_contype[self._load] = self.model.geom_conaffinity[self._load] = int(load_m > 0.0)
        self.data.qpos[self._at] = positions
        mujoco.mj_kinematics(self.model, self.data)

    def _body_now(self, hand: bool, load_m: float) -> tuple[AnyArray, AnyArray]:
        """Return spheres, centres (K, 3) and radii (K,), that fill the arm, and the load, where they are now."""
        bodies, local, radii, of_hand = self._spheres
        rotations = self.data.xmat[bodies].reshape(-1, 3, 3)
        centers = self.data.xpos[bodies] + np.einsum("kij,kj->ki", rotations, local)
        used = np.ones(len(radii), dtype=bool) if hand else ~of_hand
        end = load_m - _LOAD_RADIUS_M
        along = np.append(np.arange(_LOAD_RADIUS_M, end, _SPHERES_APART_M), end) if load_m > 0.0 else np.zeros(0)
        ahead = self.data.xmat[self._tip].reshape(3, 3)[:, 0]
        load = self.data.xpos[self._tip] + along[:, None] * ahead
        return np.vstack([centers[used], load]), np.concatenate([radii[used], np.full(len(along), _LOAD_RADIUS_M)])

    def _descend(self, seed: AnyArray) -> FloatArray | None:
        """Gauss-Newton within the limits (mink's QP); None where it does not arrive."""
        configuration = mink.Configuration(self.model)
        whole = configuration.q.copy()
        whole[self._at] = seed
        configuration.update(whole)
        for _ in range(_IK_STEPS):
            error = self._task.compute_error(configuration)
            if np.linalg.norm(error[:3]) < _IK_POSITION_M and np.linalg.norm(error[3:]) < _IK_ANGLE_RAD:
                return np.asarray(configuration.q[self._at].copy())
            velocity = mink.solve_ik(configuration, [self._task], 1.0, _SOLVER, damping=1e-6, limits=self._limits)
            largest = np.abs(velocity).max()
            configuration.integrate_inplace(velocity * min(1.0, 0.6 / max(largest, 1e-9)), 1.0)
        return None


def nearest_turn(angle_rad: float, reference_rad: float) -> float:
    """Return the angle, by whole turns, that is nearest to a reference."""
    return float(reference_rad + wrap_angle(angle_rad - reference_rad))


def _model_from_urdf(urdf: str, tip: str) -> mujoco.MjModel:
    """Compile a URDF's links, joints and primitive collision shapes; what is drawn, and meshes, are left out."""
    try:
        root = ElementTree.fromstring(urdf)
    except ElementTree.ParseError as error:
        raise ValueError(f"robot_description is no XML: {error}") from error
    for link in root.iter("link"):
        for child in [
            c for c in link if c.tag == "visual" or (c.tag == "collision" and c.find("geometry/mesh") is not None)
        ]:
            link.remove(child)
    try:
        spec = mujoco.MjSpec.from_string(ElementTree.tostring(root, encoding="unicode"))
        spec.compiler.fusestatic = 0  # fixed frames, of the tip for instance, stay
        if spec.body(tip) is None:
            raise ValueError(f"it lacks {tip}: check tip_frame")
        along_x = [np.sqrt(0.5), 0.0, np.sqrt(0.5), 0.0]
        spec.body(tip).add_geom(name=_LOAD, type=mujoco.mjtGeom.mjGEOM_CAPSULE, size=[0.01, 0.01, 0.0], quat=along_x)
        return spec.compile()
    except ValueError as error:
        raise ValueError(f"robot_description cannot be read: {error}") from error


def _speeds_from_urdf(urdf: str, joints: Sequence[str]) -> FloatArray:
    limits = {joint.get("name"): joint.find("limit") for joint in ElementTree.fromstring(urdf).iter("joint")}
    speeds = [float(limits[name].get("velocity", 1.0)) if limits.get(name) is not None else 1.0 for name in joints]
    return np.array(speeds)


def _has(model: mujoco.MjModel, kind: "mujoco.mjtObj", name: str) -> bool:
    return bool(name) and mujoco.mj_name2id(model, kind, name) >= 0


def _descendants(model: mujoco.MjModel, body: int) -> AnyArray:
    """Return which bodies (nbody,) hang on a body, itself included."""
    moved = np.zeros(model.nbody, dtype=bool)
    moved[body] = True
    for index in range(body + 1, model.nbody):
        moved[index] = moved[model.body_parentid[index]]
    return moved


def _spheres_of(model: mujoco.MjModel, moved: AnyArray, load: int) -> tuple[AnyArray, AnyArray, AnyArray, AnyArray]:
    """Return spheres along the long axes of the moved bodies' shapes: body, centre (K, 3), radius, whether of the hand.

    The hand are the bodies that slide, the fingers, and the one that carries them.
    """
    sliding = {int(model.jnt_bodyid[j]) for j in range(model.njnt) if model.jnt_type[j] == mujoco.mjtJoint.mjJNT_SLIDE}
    hands = sliding | {int(model.body_parentid[body]) for body in sliding}
    rows = []
    for geom in np.flatnonzero(moved[model.geom_bodyid] & (np.arange(model.ngeom) != load)):
        body = int(model.geom_bodyid[geom])
        rotation = np.empty(9)
        mujoco.mju_quat2Mat(rotation, model.geom_quat[geom])
        axis, half, radius = _long_axis(model, int(geom))
        direction = rotation.reshape(3, 3)[:, axis]
        count = max(int(np.ceil(2.0 * half / _SPHERES_APART_M)), 1) + 1
        for along in np.linspace(-half, half, count):
            rows.append((body, model.geom_pos[geom] + along * direction, radius, body in hands))
    bodies, centers, radii, of_hand = zip(*rows, strict=True) if rows else ((), np.zeros((0, 3)), (), ())
    return np.array(bodies, dtype=np.intp), np.array(centers), np.array(radii), np.array(of_hand, dtype=bool)


def _long_axis(model: mujoco.MjModel, geom: int) -> tuple[int, float, float]:
    """Return the axis of a shape that is longest, how far spheres go along it to either side, and their radius."""
    size, kind = model.geom_size[geom], mujoco.mjtGeom(model.geom_type[geom])
    if kind == mujoco.mjtGeom.mjGEOM_SPHERE:
        return 0, 0.0, float(size[0])
    if kind in (mujoco.mjtGeom.mjGEOM_CYLINDER, mujoco.mjtGeom.mjGEOM_CAPSULE):
        return 2, float(size[1]), float(size[0])
    axis = int(np.argmax(size))
    radius = float(np.sort(size)[1])
    return axis, max(float(size[axis]) - 0.5 * radius, 0.0), radius
