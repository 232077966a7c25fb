# SPDX-License-Identifier: Apache-2.0
"""A fast planar simulator: differential base, lidar and odometry among cylinders and walls.

For closed-loop benchmarks and training: hundreds of times faster than real time, the same for the same seed. Rays and
collisions are exact (oriented rectangle against circle and segment). What a real base adds is in it: acceleration
limits, the delay from a command to its effect, the delay and noise of the scan, drifting odometry.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit

from axon_core.arrays import Float32Array, FloatArray
from axon_core.config import check_config, param
from axon_core.motion import Twist2, check_twist
from axon_core.scans import Scan
from axon_sim.barn import BarnWorld

TICK_S = 0.005
"""Physics and collision step: the base moves 1 cm at 2 m/s."""


@dataclass(frozen=True)
class PlanarConfig:
    """The base, its lidar and its odometry, with their limits, delays and errors."""

    length_m: float = param(0.42, "Length of the base's rectangle, centred on base_link", unit="m", minimum=0.01)
    width_m: float = param(0.33, "Width of the base's rectangle", unit="m", minimum=0.01)
    max_speed_mps: float = param(2.0, "Top speed, both ways", unit="m/s", minimum=0.0)
    max_turn_radps: float = param(3.0, "Top turning speed", unit="rad/s", minimum=0.0)
    max_accel_mps2: float = param(2.5, "Acceleration and braking", unit="m/s^2", minimum=0.1)
    max_turn_accel_radps2: float = param(6.0, "Turning acceleration", unit="rad/s^2", minimum=0.1)
    command_latency_s: float = param(0.05, "From a command to its effect", unit="s", minimum=0.0, maximum=1.0)

    scan_rays: int = param(720, "Rays of a scan", minimum=2, maximum=10000)
    scan_fov_rad: float = param(1.5 * math.pi, "Field of view, centred ahead", unit="rad", minimum=0.1, maximum=6.2831)
    scan_range_min_m: float = param(0.06, "Nearest measurement", unit="m", minimum=0.0)
    scan_range_max_m: float = param(20.0, "Farthest measurement", unit="m", minimum=0.1)
    scan_rate_hz: float = param(25.0, "Scans a second", unit="Hz", minimum=0.1, maximum=100.0)
    scan_latency_s: float = param(0.02, "From measuring to delivery", unit="s", minimum=0.0, maximum=1.0)
    scan_noise_m: float = param(0.01, "Standard deviation of a range", unit="m", minimum=0.0)
    scan_dropout: float = param(0.002, "Fraction of the rays that measure nothing (NaN)", minimum=0.0, maximum=1.0)
    laser_x_m: float = param(0.12, "Lidar ahead of base_link", unit="m", minimum=-1.0, maximum=1.0)

    odom_rate_hz: float = param(50.0, "Odometry messages a second", unit="Hz", minimum=0.1, maximum=200.0)
    odom_scale_error: float = param(0.01, "Standard deviation of an episode's error of scale", minimum=0.0, maximum=1.0)
    odom_noise: float = param(
        0.01, "Standard deviation of a velocity sample, of the velocity", minimum=0.0, maximum=1.0
    )
    odom_yaw_drift_radps: float = param(0.001, "Standard deviation of an episode's drift", unit="rad/s", minimum=0.0)

    def __post_init__(self) -> None:
        check_config(self)

    @property
    def base_T_laser(self) -> FloatArray:
        """Pose (3,) of the lidar in the base frame."""
        return np.array([self.laser_x_m, 0.0, 0.0])


class PlanarOdometry(NamedTuple):
    """What the wheels tell: time, pose (3,) in the odom frame that starts at the robot, velocity."""

    stamp_s: float
    odom_T_base: FloatArray
    velocity: Twist2


class PlanarSimulator:
    """step(command, dt) moves the world; scan() and odometry() are all that a robot may see of it."""

    def __init__(self, world: BarnWorld, config: PlanarConfig | None = None, seed: int = 0) -> None:
        self.world, self.config = world, config or PlanarConfig()
        self._circles = np.column_stack([world.cylinders_m, np.full(len(world.cylinders_m), world.radius_m)])
        self._walls = np.ascontiguousarray(world.walls_m)
        self.reset(seed=seed)

    def reset(self, pose: FloatArray | None = None, seed: int = 0) -> None:
        """Put the robot at `pose` (3,) in the world frame, at the world's start by default; forget everything else."""
        config = self.config
        self._rng = np.random.default_rng(seed)
        self._scale = 1.0 + config.odom_scale_error * self._rng.standard_normal(2)
        self._yaw_drift_radps = config.odom_yaw_drift_radps * float(self._rng.standard_normal())
        self._state = np.zeros(5)  # x, y, yaw, forward speed, turning speed
        self._state[:3] = self.world.start if pose is None else pose
        self._odom_pose = np.zeros(3)
        self._tick = 0
        self._target = (0.0, 0.0)
        self._commands: deque[tuple[int, float, float]] = deque()
        self._scans: deque[tuple[int, Scan]] = deque()
        self.collided = self._touches()
        self._measure_odometry()
        self._measure_scan()

    @property
    def time_s(self) -> float:
        """Simulated time since the reset."""
        return self._tick * TICK_S

    @property
    def pose(self) -> FloatArray:
        """True pose (3,) in the world frame: for verdicts, never for the robot."""
        return self._state[:3].copy()

    @property
    def velocity(self) -> Twist2:
        """True velocity in the base frame."""
        return Twist2(float(self._state[3]), 0.0, float(self._state[4]))

    @property
    def clearance_m(self) -> float:
        """True distance from the base's outline to the nearest obstacle, 0 in contact."""
        return float(_clearance(self._state, self.config.length_m, self.config.width_m, self._circles, self._walls))

    def step(self, command: Twist2, dt_s: float) -> bool:
        """Send a command and let dt_s (a multiple of 5 ms) pass; True while nothing was hit, then the robot stays put.

        Raises ValueError for a command that is not finite.
        """
        forward, _, turn = check_twist(command, "command")
        effect = self._tick + round(self.config.command_latency_s / TICK_S)
        limits = self.config.max_speed_mps, self.config.max_turn_radps
        self._commands.append(
            (effect, *(float(np.clip(v, -m, m)) for v, m in zip((forward, turn), limits, strict=True)))
        )
        end = self._tick + round(dt_s / TICK_S)
        while self._tick < end:
            self._take_effect()
            self._advance(min(end, self._next_event()) - self._tick)
        return not self.collided

    def scan(self) -> Scan | None:
        """Newest scan delivered by now; None before the first."""
        delivered = self._delivered()
        return delivered[1] if delivered else None

    @property
    def scan_age_s(self) -> float:
        """Time since the newest delivered scan was measured; infinite before the first."""
        delivered = self._delivered()
        return (self._tick - delivered[0]) * TICK_S if delivered else math.inf

    def odometry(self) -> PlanarOdometry:
        """Newest odometry."""
        return self._odometry

    def _delivered(self) -> tuple[int, Scan] | None:
        newest = self._tick - round(self.config.scan_latency_s / TICK_S)
        while len(self._scans) > 1 and self._scans[1][0] <= newest:
            self._scans.popleft()
        return self._scans[0] if self._scans[0][0] <= newest else None

    def _period_ticks(self, rate_hz: float) -> int:
        return max(1, round(1.0 / (rate_hz * TICK_S)))

    def _next_event(self) -> int:
        """The tick at which something other than plain motion happens next."""
        periods = self._period_ticks(self.config.scan_rate_hz), self._period_ticks(self.config.odom_rate_hz)
        sensors = min((self._tick // period + 1) * period for period in periods)
        return min(sensors, self._commands[0][0]) if self._commands else sensors

    def _take_effect(self) -> None:
        while self._commands and self._commands[0][0] <= self._tick:
            self._target = self._commands.popleft()[1:]

    def _advance(self, ticks: int) -> None:
        config = self.config
        if not self.collided:
            self.collided = _drive(
                self._state, *self._target, ticks, config.max_accel_mps2, config.max_turn_accel_radps2,
                config.length_m, config.width_m, self._circles, self._walls,
            )  # fmt: skip
        self._tick += ticks
        if self._tick % self._period_ticks(config.odom_rate_hz) == 0:
            self._measure_odometry()
        if self._tick % self._period_ticks(config.scan_rate_hz) == 0:
            self._measure_scan()

    def _touches(self) -> bool:
        return bool(_touches(self._state, self.config.length_m, self.config.width_m, self._circles, self._walls))

    def _measure_odometry(self) -> None:
        """Wheel speeds with the episode's error of scale, white noise and drift, integrated as a driver would."""
        noise = 1.0 + self.config.odom_noise * self._rng.standard_normal(2)
        forward, turn = self._state[3:] * self._scale * noise
        turn += self._yaw_drift_radps if self._state[3:].any() else 0.0
        dt_s = 0.0 if self._tick == 0 else self._period_ticks(self.config.odom_rate_hz) * TICK_S
        heading = self._odom_pose[2] + 0.5 * turn * dt_s
        self._odom_pose = self._odom_pose + dt_s * np.array(
            [forward * math.cos(heading), forward * math.sin(heading), turn]
        )
        self._odom_pose[2] = math.remainder(self._odom_pose[2], 2.0 * math.pi)
        self._odometry = PlanarOdometry(self.time_s, self._odom_pose.copy(), Twist2(float(forward), 0.0, float(turn)))

    def _measure_scan(self) -> None:
        config = self.config
        increment = config.scan_fov_rad / (config.scan_rays - 1)
        ranges = cast_rays(
            self.laser_pose, -0.5 * config.scan_fov_rad, increment, config.scan_rays, self._circles, self._walls
        )
        ranges += (config.scan_noise_m * self._rng.standard_normal(config.scan_rays, dtype=np.float32)).astype(
            np.float32
        )
        ranges[ranges > config.scan_range_max_m] = np.inf
        ranges[self._rng.random(config.scan_rays) < config.scan_dropout] = np.nan
        scan = Scan(ranges, -0.5 * config.scan_fov_rad, increment, config.scan_range_min_m, config.scan_range_max_m)
        self._scans.append((self._tick, scan))

    @property
    def laser_pose(self) -> FloatArray:
        """True pose (3,) of the lidar in the world frame."""
        x, y, yaw = self._state[:3]
        return np.array([x + self.config.laser_x_m * math.cos(yaw), y + self.config.laser_x_m * math.sin(yaw), yaw])


def cast_rays(
    pose: FloatArray, angle_min_rad: float, increment_rad: float, rays: int, circles: FloatArray, walls: FloatArray
) -> Float32Array:
    """Exact ranges (rays,) from pose (3,) to circles (N, 3: x, y, radius) and segments (K, 4); +inf where none is."""
    ranges = np.full(rays, np.inf, dtype=np.float32)
    _cast_circles(ranges, pose, angle_min_rad, increment_rad, circles)
    _cast_walls(ranges, pose, angle_min_rad, increment_rad, walls)
    return ranges


@njit(cache=True)
def _wrap(angle):
    """To -pi .. pi; Numba knows no math.remainder."""
    return angle - 2.0 * math.pi * round(angle / (2.0 * math.pi))


@njit(cache=True)
def _cast_circles(ranges, pose, angle_min, increment, circles):
    """Each circle is tried only on the rays within the angle that it covers."""
    x0, y0, yaw = pose
    rays = ranges.shape[0]
    for i in range(circles.shape[0]):
        dx, dy, radius = circles[i, 0] - x0, circles[i, 1] - y0, circles[i, 2]
        distance_sq = dx * dx + dy * dy
        if distance_sq <= radius * radius:
            ranges[:] = 0.0
            return
        bearing = _wrap(math.atan2(dy, dx) - yaw)
        half = math.asin(radius / math.sqrt(distance_sq))
        for turns in (-1, 0, 1):
            centre = bearing + turns * 2.0 * math.pi - angle_min
            first = max(0, math.ceil((centre - half) / increment))
            last = min(rays - 1, math.floor((centre + half) / increment))
            for ray in range(first, last + 1):
                angle = yaw + angle_min + ray * increment
                along = dx * math.cos(angle) + dy * math.sin(angle)
                across_sq = distance_sq - along * along
                t = along - math.sqrt(max(0.0, radius * radius - across_sq))
                ranges[ray] = min(ranges[ray], t)


@njit(cache=True)
def _cast_walls(ranges, pose, angle_min, increment, walls):
    x0, y0, yaw = pose
    for ray in range(ranges.shape[0]):
        if walls.shape[0] == 0:
            return
        angle = yaw + angle_min + ray * increment
        ux, uy = math.cos(angle), math.sin(angle)
        for i in range(walls.shape[0]):
            ax, ay = walls[i, 0] - x0, walls[i, 1] - y0
            ex, ey = walls[i, 2] - walls[i, 0], walls[i, 3] - walls[i, 1]
            across = ux * ey - uy * ex
            if across == 0.0:
                continue
            t = (ax * ey - ay * ex) / across
            s = (ax * uy - ay * ux) / across
            if t >= 0.0 and 0.0 <= s <= 1.0 and t < ranges[ray]:
                ranges[ray] = t


@njit(cache=True)
def _drive(state, target_forward, target_turn, ticks, accel, turn_accel, length, width, circles, walls):
    """Ramp towards the target and follow the arc tick by tick; True when the base hits something, where it stays."""
    for _ in range(ticks):
        state[3] += min(max(target_forward - state[3], -accel * TICK_S), accel * TICK_S)
        state[4] += min(max(target_turn - state[4], -turn_accel * TICK_S), turn_accel * TICK_S)
        heading = state[2] + 0.5 * state[4] * TICK_S
        state[0] += state[3] * math.cos(heading) * TICK_S
        state[1] += state[3] * math.sin(heading) * TICK_S
        state[2] = _wrap(state[2] + state[4] * TICK_S)
        if _touches(state, length, width, circles, walls):
            state[3:] = 0.0
            return True
    return False


@njit(cache=True)
def _touches(state, length, width, circles, walls):
    """Does the rectangle at state's pose overlap a circle or meet a segment?"""
    cos, sin = math.cos(state[2]), math.sin(state[2])
    half_length, half_width = 0.5 * length, 0.5 * width
    for i in range(circles.shape[0]):
        dx, dy, radius = circles[i, 0] - state[0], circles[i, 1] - state[1], circles[i, 2]
        out_x = max(0.0, abs(cos * dx + sin * dy) - half_length)
        out_y = max(0.0, abs(cos * dy - sin * dx) - half_width)
        if out_x * out_x + out_y * out_y < radius * radius:
            return True
    for i in range(walls.shape[0]):
        ax, ay = walls[i, 0] - state[0], walls[i, 1] - state[1]
        bx, by = walls[i, 2] - state[0], walls[i, 3] - state[1]
        x0, y0 = cos * ax + sin * ay, cos * ay - sin * ax
        x1, y1 = cos * bx + sin * by, cos * by - sin * bx
        if _segment_meets_box(x0, y0, x1, y1, half_length, half_width):
            return True
    return False


@njit(cache=True)
def _segment_meets_box(x0, y0, x1, y1, half_x, half_y):
    """Separating axes of an axis-aligned box about the origin and a segment."""
    if max(x0, x1) < -half_x or min(x0, x1) > half_x or max(y0, y1) < -half_y or min(y0, y1) > half_y:
        return False
    nx, ny = y1 - y0, x0 - x1
    return abs(nx * x0 + ny * y0) <= abs(nx) * half_x + abs(ny) * half_y


@njit(cache=True)
def _clearance(state, length, width, circles, walls):
    cos, sin = math.cos(state[2]), math.sin(state[2])
    half_length, half_width = 0.5 * length, 0.5 * width
    nearest = np.inf
    for i in range(circles.shape[0]):
        dx, dy = circles[i, 0] - state[0], circles[i, 1] - state[1]
        out_x = max(0.0, abs(cos * dx + sin * dy) - half_length)
        out_y = max(0.0, abs(cos * dy - sin * dx) - half_width)
        nearest = min(nearest, math.sqrt(out_x * out_x + out_y * out_y) - circles[i, 2])
    for i in range(walls.shape[0]):
        ax, ay = walls[i, 0] - state[0], walls[i, 1] - state[1]
        bx, by = walls[i, 2] - state[0], walls[i, 3] - state[1]
        x0, y0 = cos * ax + sin * ay, cos * ay - sin * ax
        x1, y1 = cos * bx + sin * by, cos * by - sin * bx
        nearest = min(nearest, _segment_box_distance(x0, y0, x1, y1, half_length, half_width))
    return max(0.0, nearest)


@njit(cache=True)
def _segment_box_distance(x0, y0, x1, y1, half_x, half_y):
    """Nearest pair is an end of the segment and the box, or a corner of the box and the segment."""
    if _segment_meets_box(x0, y0, x1, y1, half_x, half_y):
        return 0.0
    nearest = min(
        math.hypot(max(0.0, abs(x0) - half_x), max(0.0, abs(y0) - half_y)),
        math.hypot(max(0.0, abs(x1) - half_x), max(0.0, abs(y1) - half_y)),
    )
    ex, ey = x1 - x0, y1 - y0
    length_sq = ex * ex + ey * ey
    for corner in range(4):
        cx = half_x if corner % 2 else -half_x
        cy = half_y if corner // 2 else -half_y
        along = ((cx - x0) * ex + (cy - y0) * ey) / length_sq if length_sq > 0.0 else 0.0
        along = min(1.0, max(0.0, along))
        nearest = min(nearest, math.hypot(cx - x0 - along * ex, cy - y0 - along * ey))
    return nearest
