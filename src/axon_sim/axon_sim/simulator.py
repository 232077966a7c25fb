# SPDX-License-Identifier: Apache-2.0
"""The robot in its world, without ROS: `step()` moves time by 10 ms and returns what the sensors measured."""

import threading
from dataclasses import dataclass

import mujoco
import numpy as np

from axon_core.cameras import PinholeCamera
from axon_core.motion import Twist2
from axon_core.scans import Scan
from axon_sim import robot
from axon_sim.config import TICK_S, SimConfig
from axon_sim.contacts import ContactMonitor, ContactReport
from axon_sim.controllers import BaseController, Gripper, JointGroup, Trajectory
from axon_sim.rendering import OffscreenRenderer
from axon_sim.sensors import (
    CameraNoise,
    Images,
    Imu,
    ImuReading,
    JointEncoders,
    JointReading,
    Lidar,
    OdometryReading,
    TouchReading,
    WheelOdometry,
    measure_touch,
)
from axon_sim.worlds import World, make_world

SETTLE_S = 0.3


@dataclass(frozen=True)
class GroundTruth:
    """world_T_base: position (3,), quaternion [x, y, z, w]; velocity in the base frame."""

    position_m: np.ndarray
    quat_xyzw: np.ndarray
    velocity: Twist2

    @property
    def pose(self) -> np.ndarray:
        """[x_m, y_m, yaw_rad] on the floor."""
        x, y, z, w = self.quat_xyzw
        return np.array([*self.position_m[:2], np.arctan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))])


@dataclass(frozen=True)
class Readings:
    """What the sensors measured at `time_s`; None where a sensor's turn has not come."""

    time_s: float
    odometry: OdometryReading | None = None
    imu: ImuReading | None = None
    joints: JointReading | None = None
    touch: TouchReading | None = None
    truth: GroundTruth | None = None
    contacts: ContactReport | None = None
    scan: Scan | None = None
    images: Images | None = None


class Simulator:
    """One robot in one world. Commands may come from other threads than the one that steps."""

    def __init__(self, world: World, config: SimConfig | None = None):
        self.world = world
        self.config = config or SimConfig()
        self.model = world.spec.compile()
        self.data = mujoco.MjData(self.model)
        self._lock = threading.RLock()
        self._substeps = round(TICK_S / self.model.opt.timestep)
        self._renderer: OffscreenRenderer | None = None
        self._actuators = {self.model.actuator(i).name: i for i in range(self.model.nu)}
        self._arm_at = [self._actuators[robot.actuator_name(name)] for name in robot.ARM_JOINTS]
        self._wheels_at = [self._actuators[robot.actuator_name(name)] for name in robot.WHEEL_JOINTS]
        self._wheel_angles_at = [self.model.joint(name).qposadr[0] for name in robot.WHEEL_JOINTS]
        self._finger = self.model.joint(robot.FINGER_JOINTS[0])
        self._ticks = 0
        self.reset()

    @classmethod
    def from_config(cls, config: SimConfig) -> "Simulator":
        """Build the world that a config names, and the robot in it."""
        return cls(make_world(config.world, config.seed, config.data_dir or None), config)

    # ------------------------------------------------------------------ state

    @property
    def time_s(self) -> float:
        """Simulated time; it never runs backwards, also over a reset."""
        return self._ticks * TICK_S

    @property
    def start(self) -> np.ndarray:
        """world_T_odom (3,): where the robot stands at a reset and the odometry begins."""
        return np.asarray(self.config.start) if self.config.start else self.world.start

    def reset(self) -> None:
        """Put the robot and everything loose back, fold the arm, restart the noise from the seed."""
        with self._lock:
            mujoco.mj_resetData(self.model, self.data)
            self._place(self.start)
            self._make_controllers()
            self._settle()
            self.lidar = Lidar(self.model, self.config, self._chance("lidar"))
            self._imu = Imu(self.model, self.config, self._chance("imu"))
            gyro_bias = float(self._imu.rate_bias_radps[2])
            self._odometry = WheelOdometry(self.config, self._chance("odometry"), gyro_bias)
            self._camera_noise = CameraNoise(self.config, self._chance("camera"))
            self._encoders = JointEncoders(self.model)
            self._contacts = ContactMonitor(self.model)

    @property
    def camera(self) -> PinholeCamera:
        """Intrinsics of colour and depth, which share one view; pixel centres at whole numbers."""
        width, height = self.config.image_width, self.config.image_height
        fovy = np.deg2rad(self.model.camera("camera_color").fovy[0])
        focal_px = float(0.5 * height / np.tan(0.5 * fovy))
        return PinholeCamera(width, height, focal_px, focal_px, 0.5 * (width - 1), 0.5 * (height - 1))

    def use(self, config: SimConfig) -> None:
        """Take over what may change while time runs: the base's time-out, and the noise (from the next reset)."""
        with self._lock:
            self.config = config
            self._base.timeout_s = config.command_timeout_s

    def truth(self) -> GroundTruth:
        """Return the robot's true pose and velocity."""
        with self._lock:
            w, x, y, z = self.data.qpos[3:7]
            rotation = self.data.xmat[self.model.body("base_link").id].reshape(3, 3)
            forward, left, _ = rotation.T @ self.data.qvel[:3]
            return GroundTruth(
                self.data.qpos[:3].copy(),
                np.array([x, y, z, w]),
                Twist2(float(forward), float(left), float(self.data.qvel[5])),
            )

    def object_poses(self) -> dict[str, np.ndarray]:
        """Return world_T_object (4, 4) of the world's household objects by name."""
        with self._lock:
            poses = {placed.name: np.eye(4) for placed in self.world.objects}
            for name, pose in poses.items():
                body = self.data.body(name)
                pose[:3, :3], pose[:3, 3] = body.xmat.reshape(3, 3), body.xpos
            return poses

    def gripper_width_m(self) -> float:
        """Return the opening between the fingertips."""
        return float(sum(self.data.joint(name).qpos[0] for name in robot.FINGER_JOINTS))

    def touch(self) -> TouchReading:
        """Return the force on the two finger pads."""
        with self._lock:
            return measure_touch(self.model, self.data)

    def joint_positions(self, names: tuple[str, ...]) -> np.ndarray:
        """Return the true positions (N,) of joints by name."""
        with self._lock:
            return np.array([self.data.joint(name).qpos[0] for name in names])

    # --------------------------------------------------------------- commands

    def command_velocity(self, twist: Twist2) -> None:
        """Drive; ValueError for NaN or infinity. The base brakes when this is not repeated in time."""
        with self._lock:
            self._base.command(twist, self.time_s)

    def follow_trajectory(self, group: str, trajectory: Trajectory) -> None:
        """Move `group` ("arm" or "camera") along a trajectory from now on; ValueError where it cannot be followed."""
        with self._lock:
            self.groups[group].follow(trajectory, self.time_s)

    def hold(self, group: str) -> None:
        """Stop a group where it is."""
        with self._lock:
            self.groups[group].hold()

    def command_gripper(self, width_m: float, max_force_n: float = 0.0) -> None:
        """Open or close to a width between the fingertips with at most a force (0: the gripper's own limit)."""
        with self._lock:
            self.gripper.command(width_m, max_force_n)

    # ------------------------------------------------------------------- time

    def step(self, *, render: bool = False) -> Readings:
        """Advance by 10 ms; images come only with `render` and only when the camera's turn has come."""
        with self._lock:
            self._control()
            mujoco.mj_step(self.model, self.data, self._substeps)
            self._ticks += 1
            self._contacts.update(self.data)
            return self._measure(render)

    def render(self) -> Images:
        """Return what the camera gives now."""
        if self._renderer is None:
            width, height = self.config.image_width, self.config.image_height
            self._renderer = OffscreenRenderer(self.model, width, height, shadows=self.config.shadows)
        return self._camera_noise.apply(self._renderer.render(self.data, "camera_color"))

    def close(self) -> None:
        """Free the renderer; call it in the thread that stepped."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    # ---------------------------------------------------------------- private

    def _chance(self, sensor: str) -> np.random.Generator:
        """Return the source of one sensor's noise, which no other sensor's rate or resolution disturbs."""
        return np.random.default_rng([self.config.seed, *sensor.encode()])

    def _place(self, pose: np.ndarray) -> None:
        x, y, yaw = pose
        self.data.qpos[:7] = [x, y, 0.0, np.cos(0.5 * yaw), 0.0, 0.0, np.sin(0.5 * yaw)]
        for name, angle in zip(robot.ARM_JOINTS, robot.ARM_FOLDED_RAD, strict=True):
            self.data.joint(name).qpos = angle

    def _make_controllers(self) -> None:
        self._base = BaseController(self.config.command_timeout_s)
        self.groups = {
            "arm": self._group(robot.ARM_JOINTS, robot.ARM_MAX_SPEEDS_RADPS),
            "camera": self._group(robot.CAMERA_JOINTS, robot.CAMERA_MAX_SPEEDS_RADPS),
        }
        self.gripper = Gripper(0.0)

    def _group(self, names: tuple[str, ...], max_speeds: tuple[float, ...]) -> JointGroup:
        ranges = np.array([self.model.joint(name).range for name in names])
        return JointGroup(names, max_speeds, ranges[:, 0], ranges[:, 1], self.joint_positions(names))

    def _settle(self) -> None:
        """Let the wheels find the floor before time begins."""
        for _ in range(round(SETTLE_S / TICK_S)):
            self._control()
            mujoco.mj_step(self.model, self.data, self._substeps)
        self.data.qvel[:] = 0.0
        self.data.qpos[:2] = self.start[:2]
        mujoco.mj_forward(self.model, self.data)

    def _control(self) -> None:
        control, now = self.data.ctrl, self.time_s + TICK_S
        control[self._wheels_at] = self._base.step(now, TICK_S)
        control[self._arm_at] = self.groups["arm"].step(now, TICK_S)
        control[self._actuators["camera_tilt"]] = self.groups["camera"].step(now, TICK_S)[0]
        finger_speed = float(self.data.qvel[self._finger.dofadr[0]])
        width = self.gripper.step(self.gripper_width_m(), 2.0 * finger_speed, TICK_S)
        control[self._actuators["gripper"]] = 0.5 * width
        self.model.actuator_forcerange[self._actuators["gripper"]] = self.gripper.max_force_n * np.array([-1.0, 1.0])

    def _due(self, rate_hz: float) -> bool:
        return self._ticks % _ticks_between(rate_hz) == 0

    def _measure(self, render: bool) -> Readings:
        config, values = self.config, {}
        if self._due(config.state_rate_hz):
            values = self._measure_state()
        if self._due(config.scan_rate_hz):
            values["scan"] = self.lidar.measure(self.data)
        if render and self._due(config.camera_rate_hz):
            values["images"] = self.render()
        return Readings(time_s=self.time_s, **values)

    def _measure_state(self) -> dict:
        truth = self.truth()
        wheel_angles = self.data.qpos[self._wheel_angles_at]
        interval_s = TICK_S * _ticks_between(self.config.state_rate_hz)
        return {
            "odometry": self._odometry.measure(wheel_angles, float(truth.pose[2]), interval_s),
            "imu": self._imu.measure(self.data, interval_s),
            "joints": self._encoders.measure(self.data),
            "touch": measure_touch(self.model, self.data),
            "truth": truth,
            "contacts": self._contacts.report(),
        }


def _ticks_between(rate_hz: float) -> int:
    return max(round(1.0 / (rate_hz * TICK_S)), 1)
