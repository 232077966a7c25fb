# SPDX-License-Identifier: Apache-2.0
"""Sensors of the robot: what each measures of the simulated state, with the errors of a real one."""

import math
from dataclasses import dataclass

import mujoco
import numpy as np

from axon_core.geometry import wrap_angle
from axon_core.motion import Twist2
from axon_core.scans import Scan
from axon_sim import robot
from axon_sim.config import SimConfig

ENCODER_TICKS = 4096
LIDAR_GROUPS = np.array([1, 0, 0, 0, 1, 0], dtype=np.uint8)  # solid things and the arm; never the base


class Lidar:
    """A planar lidar at laser_link.

    Error: 8 mm + 0.2 % of the range (1 sigma), 0.2 % of the rays without a measurement (NaN). Nothing within range is
    +inf, nearer than the shortest range -inf (REP-117).
    """

    def __init__(self, model: mujoco.MjModel, config: SimConfig, rng: np.random.Generator):
        self._model, self._config, self._rng = model, config, rng
        fov = math.radians(config.scan_fov_deg)
        self.angle_min_rad = -0.5 * fov
        self.angle_increment_rad = fov / (config.scan_rays - 1)
        angles = self.angle_min_rad + self.angle_increment_rad * np.arange(config.scan_rays)
        self._rays = np.stack([np.cos(angles), np.sin(angles), np.zeros_like(angles)], axis=1)
        self._site = model.site("laser").id
        self._geoms = np.empty(config.scan_rays, dtype=np.int32)
        self._distances = np.empty(config.scan_rays)

    def measure(self, data: mujoco.MjData) -> Scan:
        """Return one turn, taken at once."""
        rotation = data.site_xmat[self._site].reshape(3, 3)
        world_rays = (self._rays @ rotation.T).ravel()
        mujoco.mj_multiRay(
            self._model,
            data,
            data.site_xpos[self._site],
            world_rays,
            LIDAR_GROUPS,
            True,
            -1,
            self._geoms,
            self._distances,
            None,
            len(self._rays),
            self._config.scan_range_max_m,
        )
        return Scan(
            self._with_errors(self._distances),
            self.angle_min_rad,
            self.angle_increment_rad,
            self._config.scan_range_min_m,
            self._config.scan_range_max_m,
        )

    def _with_errors(self, exact_m: np.ndarray) -> np.ndarray:
        config = self._config
        sigma = config.noise * (0.008 + 0.002 * exact_m)
        ranges = exact_m + sigma * self._rng.standard_normal(len(exact_m))
        ranges[(exact_m < 0.0) | (ranges > config.scan_range_max_m)] = np.inf
        ranges[ranges < config.scan_range_min_m] = -np.inf
        ranges[self._rng.random(len(ranges)) < 0.002 * config.noise] = np.nan
        return ranges.astype(np.float32)


@dataclass(frozen=True)
class ImuReading:
    """Specific force and turn rate in imu_link (x forward, z up)."""

    acceleration_mps2: np.ndarray
    rate_radps: np.ndarray
    quat_wxyz: np.ndarray
    acceleration_sigma_mps2: float = 0.05
    rate_sigma_radps: float = 0.003


class Imu:
    """White noise and a constant bias of each axis, drawn at a reset.

    The orientation is upright by gravity; its yaw begins at zero and drifts with the gyro's bias.
    """

    def __init__(self, model: mujoco.MjModel, config: SimConfig, rng: np.random.Generator):
        self._config, self._rng = config, rng
        self._acceleration = _sensor_slice(model, "imu_acceleration")
        self._rate = _sensor_slice(model, "imu_rate")
        self._acceleration_bias = config.noise * rng.normal(0.0, 0.03, 3)
        self.rate_bias_radps = config.noise * rng.normal(0.0, 0.0008, 3)
        self._yaw_error: float | None = None

    def measure(self, data: mujoco.MjData, interval_s: float) -> ImuReading:
        """Return the reading `interval_s` after the last; the acceleration at rest is +9.81 m/s^2 along z."""
        noise = self._config.noise * self._rng.standard_normal(6)
        acceleration = data.sensordata[self._acceleration] + self._acceleration_bias + 0.05 * noise[:3]
        rate = data.sensordata[self._rate] + self.rate_bias_radps + 0.003 * noise[3:]
        return ImuReading(acceleration, rate, self._orientation(data.qpos[3:7], interval_s))

    def _orientation(self, quat_wxyz: np.ndarray, interval_s: float) -> np.ndarray:
        if self._yaw_error is None:
            w, x, y, z = quat_wxyz
            self._yaw_error = -math.atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))
        self._yaw_error += float(self.rate_bias_radps[2]) * interval_s
        turned = np.empty(4)
        yaw_quat = np.array([math.cos(0.5 * self._yaw_error), 0.0, 0.0, math.sin(0.5 * self._yaw_error)])
        mujoco.mju_mulQuat(turned, yaw_quat, quat_wxyz)
        return turned


@dataclass(frozen=True)
class OdometryReading:
    """odom_T_base (3,) and the velocity in the base frame, with variances of x, y, yaw and of vx, wz."""

    pose: np.ndarray
    velocity: Twist2
    pose_variance: np.ndarray
    velocity_variance: np.ndarray


class WheelOdometry:
    """What a base's driver computes: distance from wheel encoders, turn from the gyro.

    The wheels are worn by up to 1 % (drawn at a reset), encoders count 4096 steps a turn, the gyro has its bias.
    """

    def __init__(self, config: SimConfig, rng: np.random.Generator, rate_bias_radps: float):
        self._config, self._rng, self._bias = config, rng, rate_bias_radps
        self._scale = 1.0 + config.noise * float(np.clip(rng.normal(0.0, 0.004), -0.01, 0.01))
        self._counts: np.ndarray | None = None
        self._yaw_true = 0.0
        self._pose = np.zeros(3)
        self._variance = np.zeros(3)

    def measure(self, wheel_angles_rad: np.ndarray, yaw_true_rad: float, dt_s: float) -> OdometryReading:
        """Advance by the wheels' angles (2,) and the turn since the last call."""
        counts = np.round(wheel_angles_rad * ENCODER_TICKS / (2.0 * np.pi))
        if self._counts is None:
            self._counts, self._yaw_true = counts, yaw_true_rad
        distance = (
            float((counts - self._counts).mean()) * 2.0 * np.pi / ENCODER_TICKS * robot.WHEEL_RADIUS_M * self._scale
        )
        still = bool((counts == self._counts).all())
        turn = float(wrap_angle(yaw_true_rad - self._yaw_true)) + (0.0 if still else self._gyro_error(dt_s))
        self._counts, self._yaw_true = counts, yaw_true_rad
        self._advance(distance, turn)
        return OdometryReading(
            self._pose.copy(), Twist2(distance / dt_s, 0.0, turn / dt_s), self._variance + 1e-6, np.array([4e-5, 1e-4])
        )

    def _gyro_error(self, dt_s: float) -> float:
        return self._bias * dt_s + self._config.noise * 0.0005 * math.sqrt(dt_s) * float(self._rng.standard_normal())

    def _advance(self, distance: float, turn: float) -> None:
        heading = self._pose[2] + 0.5 * turn
        self._pose[0] += distance * math.cos(heading)
        self._pose[1] += distance * math.sin(heading)
        self._pose[2] = wrap_angle(self._pose[2] + turn)
        along = (0.01 * distance) ** 2 + 1e-5 * abs(distance)
        self._variance += (along, along, (0.01 * turn) ** 2 + 1e-6 * abs(distance))


@dataclass(frozen=True)
class JointReading:
    """Positions (rad, m), velocities and efforts (N m, N) of robot.JOINT_ORDER."""

    positions: np.ndarray
    velocities: np.ndarray
    efforts: np.ndarray


class JointEncoders:
    """All joints of the robot, in robot.JOINT_ORDER."""

    def __init__(self, model: mujoco.MjModel):
        joints = [model.joint(name) for name in robot.JOINT_ORDER]
        self._position_at = np.array([joint.qposadr[0] for joint in joints])
        self._velocity_at = np.array([joint.dofadr[0] for joint in joints])

    def measure(self, data: mujoco.MjData) -> JointReading:
        """Return the present reading."""
        return JointReading(
            data.qpos[self._position_at], data.qvel[self._velocity_at], data.qfrc_actuator[self._velocity_at]
        )


@dataclass(frozen=True)
class TouchReading:
    """Normal force on each fingertip."""

    left_n: float
    right_n: float


def measure_touch(model: mujoco.MjModel, data: mujoco.MjData) -> TouchReading:
    """Return the force on the two finger pads."""
    left, right = (data.sensordata[_sensor_slice(model, f"gripper_{side}_touch")][0] for side in ("left", "right"))
    return TouchReading(float(left), float(right))


@dataclass(frozen=True)
class Images:
    """Colour (H, W, 3) uint8 RGB and depth (H, W) float32, metres along the optical axis, NaN where none."""

    color: np.ndarray
    depth_m: np.ndarray


class CameraNoise:
    """Errors of an RGB-D camera: noise in colour; a depth error that grows with the distance squared; holes."""

    def __init__(self, config: SimConfig, rng: np.random.Generator):
        self._config, self._rng = config, rng
        shape = (config.image_height + 64, config.image_width + 64)
        self._pattern = rng.standard_normal(shape).astype(np.float32)
        self._color_pattern = np.round(3.0 * config.noise * rng.standard_normal((*shape, 3))).astype(np.int16)
        self._hole_pattern = rng.random(shape).astype(np.float32) < 0.002 * config.noise

    def apply(self, exact: Images) -> Images:
        """Return the images as the camera gives them; the patterns are shifted anew for every image."""
        config = self._config
        color = exact.color
        if config.noise > 0.0:
            color = np.clip(color + self._window(self._color_pattern), 0, 255).astype(np.uint8)
        depth = exact.depth_m
        sigma = config.noise * (0.0008 + 0.0012 * depth * depth)
        noisy = depth + sigma * self._window(self._pattern)
        noisy[(depth < config.depth_min_m) | (depth > config.depth_max_m) | self._window(self._hole_pattern)] = np.nan
        return Images(color, noisy.astype(np.float32, copy=False))

    def _window(self, pattern: np.ndarray) -> np.ndarray:
        row, col = self._rng.integers(0, 64, 2)
        return pattern[row : row + self._config.image_height, col : col + self._config.image_width]


def _sensor_slice(model: mujoco.MjModel, name: str) -> slice:
    start = int(model.sensor(name).adr[0])
    return slice(start, start + int(model.sensor(name).dim[0]))
