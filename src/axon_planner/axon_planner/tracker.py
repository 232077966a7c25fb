# SPDX-License-Identifier: Apache-2.0
"""Follow a path by sampling drives: model predictive path integral control over the distance field.

Williams et al., "Model Predictive Path Integral Control", 2017: sample controls about the last plan, roll each out
under the base's limits, weigh by exp(-cost / temperature). Here a cost is in metres of progress along the path. Beside
the noise three kinds of drives are always sampled, so that the choice never depends on luck: pure pursuit of the path
(Coulter 1992) at a few speeds, which threads a gap that noise would miss; arcs, stops and reverses; and the last plan.
The mean is driven only where it is about as good as the best single sample, else that one is.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numba import njit

from axon_core.geometry import wrap_angle
from axon_core.motion import Twist2, limit_twist
from axon_planner.config import PlannerConfig
from axon_planner.costmap import Field
from axon_planner.outline import Discs, clearances, disc_clearance
from axon_planner.planning import path_length
from axon_planner.smoothing import resample, spread
from axon_planner.speeds import speeds_along

COLLISION_COST = 100.0
PURSUIT_SPEEDS = (0.15, 0.3, 0.5, 0.75, 1.0)  # of the top speed
PURSUIT_REACH_M = (0.25, 0.5)
KNOT_S = 0.3
SPACING_M = 0.05
TOUCH_M = 2e-3  # a base that stands nearer than it should may leave, but come no nearer than by this
TURN_GAIN = 2.5


class FollowStatus(Enum):
    """Where following a path stands; the value says it in words."""

    RUNNING = "following the path"
    REACHED = "end of the path reached"
    BLOCKED = "no free drive"
    ASTRAY = "at the end of the path, beside the goal"


@dataclass(frozen=True)
class FollowStep:
    """One command with what is left of the path and the clearance of the chosen drive, both in metres."""

    command: Twist2
    status: FollowStatus
    remaining_m: float
    clearance_m: float


class Follower(ABC):
    """Drives along a path (N, 3) within limits and ends at its last pose within the tolerances.

    How it drives on the way is a subclass's `_drive`; what it remembers from step to step it forgets in `_forget`.
    """

    def __init__(self, config: PlannerConfig):
        self.config = config
        self.discs = Discs(config)
        self.path: np.ndarray | None = None
        self.reset()

    def reset(self) -> None:
        """Forget the path and the plan of controls."""
        self.path = None
        self._last = Twist2()
        self._at_end = False
        self._forget()

    def set_path(self, path: np.ndarray, skip_m: float = 0.0, speeds_mps: np.ndarray | None = None) -> None:
        """Follow `path` (N, 3) from wherever it comes nearest to the base, at most at `speeds_mps` (N,).

        Both may change at any time; without speeds only the limits hold. What lies within `skip_m` of the first point
        is left out: a path planned from where the base stands may begin with a step sideways, off an obstacle, that no
        base can drive and that would tell it to turn.
        """
        path = np.asarray(path, dtype=np.float64)
        if path.ndim != 2 or path.shape[1] != 3 or len(path) < 1 or not np.isfinite(path).all():
            raise ValueError(f"path has shape {path.shape}: expected (N, 3) finite poses, N at least 1")
        points = resample(path[:, :2], SPACING_M) if len(path) > 1 else np.repeat(path[:, :2], 2, axis=0)
        far = np.flatnonzero(np.linalg.norm(points - points[0], axis=1) > skip_m)
        first = min(far[0] if len(far) else 0, len(points) - 2)
        caps = np.full(len(points), self.config.max_speed_mps)
        if speeds_mps is not None:
            caps = spread(np.asarray(speeds_mps, dtype=np.float64), len(points))
        points = points[first:]
        edges = np.diff(points, axis=0)
        yaw = np.arctan2(edges[:, 1], edges[:, 0])
        if path_length(path) < 1e-6:
            yaw[:] = path[-1, 2]
        moved = self.path is None or np.linalg.norm(self.path[-1, :2] - path[-1, :2]) > 1e-6
        self._at_end = self._at_end and not moved
        self.path = np.column_stack([points, np.append(yaw, yaw[-1])])
        self.set_speeds(caps[first:])
        self._spacing = float(np.linalg.norm(edges, axis=1).mean())
        self._end_yaw = float(path[-1, 2])

    def set_speeds(self, speeds_mps: np.ndarray) -> None:
        """Drive at most at these speeds (L,) at the points of `self.path` (L, 3)."""
        self._way = np.column_stack([self.path, speeds_mps])

    def keep_speeds(self, field: Field) -> None:
        """Drive at most as fast as the path's cost asks for by what `field` shows."""
        self.set_speeds(speeds_along(self.config, field, self.path))

    def step(self, pose: np.ndarray, velocity: Twist2, field: Field, dt_s: float) -> FollowStep:
        """The command for the next `dt_s` at `pose` (3,), the base's measured `velocity` and obstacles in `field`."""
        if self.path is None:
            raise ValueError("no path to follow: call set_path first")
        index = self.nearest(pose)
        remaining = self._remaining(pose, index)
        end_distance = float(np.linalg.norm(self.path[-1, :2] - pose[:2]))
        if end_distance <= self.config.goal_tolerance_m * (1.5 if self._at_end else 1.0):
            self._at_end = True
            return self._finish(pose, velocity, field, dt_s, end_distance)
        self._at_end = False
        return self._drive(pose, velocity, field, dt_s, index, remaining)

    def stop(self, velocity: Twist2, dt_s: float) -> Twist2:
        """A command that brakes as hard as the limits allow."""
        self._forget()
        self._last = within_radius(limit_twist(Twist2(), velocity, self.config.limits, dt_s), self.config)
        return self._last

    @abstractmethod
    def _drive(self, pose, velocity: Twist2, field: Field, dt_s: float, index: int, remaining: float) -> FollowStep:
        """One step on the way: `index` of the path's point nearest to the base, `remaining` metres to its end."""

    def _forget(self) -> None:  # noqa: B027 - not every follower remembers something
        """Forget what was planned in the steps before."""

    def nearest(self, pose: np.ndarray) -> int:
        """Index of the path's point nearest to a pose."""
        return int(np.square(self.path[:, :2] - pose[:2]).sum(axis=1).argmin())

    def _remaining(self, pose: np.ndarray, index: int) -> float:
        return (len(self.path) - 1 - index) * self._spacing + float(np.linalg.norm(self.path[index, :2] - pose[:2]))

    def _finish(self, pose, velocity: Twist2, field: Field, dt_s: float, end_distance: float) -> FollowStep:
        """Brake within the tolerance, then turn on the spot to the last heading."""
        error = float(wrap_angle(self._end_yaw - pose[2]))
        clearance = self.discs.clearance(field, pose)
        if abs(error) <= self.config.goal_yaw_tolerance_rad:
            command = self.stop(velocity, dt_s)
            moving = abs(velocity.vx_mps) > 0.1 or abs(velocity.wz_radps) > 0.3
            return FollowStep(
                command, FollowStatus.RUNNING if moving else FollowStatus.REACHED, end_distance, clearance
            )
        command = self.turn_towards(pose, velocity, field, dt_s, error)
        status = FollowStatus.BLOCKED if command is None else FollowStatus.RUNNING
        return FollowStep(command or self.stop(velocity, dt_s), status, end_distance, clearance)

    def turn_towards(self, pose, velocity: Twist2, field: Field, dt_s: float, error_rad: float) -> Twist2 | None:
        """A command that turns on the spot by `error_rad`; None where the base cannot, or would hit something."""
        if self.config.min_turning_radius_m > 0.0 or not self._turn_is_free(field, pose, error_rad):
            return None
        limits = self.config.limits
        braking = math.sqrt(2.0 * 0.5 * limits.max_turn_accel_radps2 * abs(error_rad))
        speed = min(limits.max_turn_radps, braking, TURN_GAIN * abs(error_rad) + 0.1)
        target = Twist2(0.0, 0.0, math.copysign(speed, error_rad))
        self._forget()
        self._last = limit_twist(target, velocity, limits, dt_s)
        return self._last

    def _turn_is_free(self, field: Field, pose, error_rad: float) -> bool:
        """Whether the rectangle itself, whose corners swing out, has room on the way; discs would not see them."""
        poses = np.repeat(np.asarray(pose, dtype=np.float64)[None], max(2, int(abs(error_rad) / 0.1)) + 1, axis=0)
        poses[:, 2] += np.linspace(0.0, error_rad, len(poses))
        room = clearances(self.config, field, poses)
        return bool(room.min() >= min(0.5 * field.resolution_m, room[0] - TOUCH_M))


class PathFollower(Follower):
    """Follows by model predictive path integral control, see the head of this module."""

    def __init__(self, config: PlannerConfig):
        self.steps = max(2, round(config.horizon_s / config.sample_dt_s))
        self._noise = _noise_bank(config, self.steps)
        self._fan = _fan(config, self.steps)
        self._pursuits = np.array(
            [(v * config.max_speed_mps, reach) for v in PURSUIT_SPEEDS for reach in PURSUIT_REACH_M]
        )
        super().__init__(config)

    def _forget(self) -> None:
        self._controls = np.zeros((self.steps, 2))

    def _drive(self, pose, velocity: Twist2, field: Field, dt_s: float, index: int, remaining: float) -> FollowStep:
        config = self.config
        self._shift(dt_s)
        arguments = self.rollout_arguments(pose, velocity, field, index)
        costs, drives = self.sample(arguments)
        best = int(costs.argmin())
        weight = np.exp(-(costs - costs[best]) / config.temperature_m)
        mean = np.einsum("k,kti->ti", weight / weight.sum(), drives)
        mean_cost, clearance = _rollout(mean, *arguments)
        if mean_cost > costs[best] + 4.0 * config.temperature_m:
            mean = drives[best]
            mean_cost, clearance = _rollout(mean, *arguments)
        self._controls = mean
        if clearance < 0.0 and clearance + config.safety_margin_m < self.discs.clearance(field, pose) - 2e-3:
            return FollowStep(self.stop(velocity, dt_s), FollowStatus.BLOCKED, remaining, clearance)
        target = Twist2(float(mean[0, 0]), 0.0, float(mean[0, 1]))
        self._last = within_radius(limit_twist(target, blend(self._last, velocity), config.limits, dt_s), config)
        return FollowStep(self._last, FollowStatus.RUNNING, remaining, clearance)

    def rollout_arguments(self, pose, velocity: Twist2, field: Field, index: int) -> tuple:
        """What the compiled roll-outs need beside the controls; `index` is of the path's point nearest to the base."""
        return (
            predict(pose, velocity, self._last, self.config), index, self._way, self._spacing,
            field.distance_m, field.origin_m, field.resolution_m,
            self.discs.centers_m, self.discs.radius_m, _weights(self.config), self.config.sample_dt_s,
        )  # fmt: skip

    def sample(self, arguments: tuple) -> tuple[np.ndarray, np.ndarray]:
        """Costs (K,) in metres and clipped controls (K, steps, 2) of all drives that a step chooses from."""
        return _sample(self._controls, self._noise, self._fan, self._pursuits, *arguments)

    def _shift(self, dt_s: float) -> None:
        at = np.minimum(np.arange(self.steps) + dt_s / self.config.sample_dt_s, self.steps - 1)
        low = np.floor(at).astype(int)
        high = np.minimum(low + 1, self.steps - 1)
        part = (at - low)[:, None]
        self._controls = self._controls[low] * (1.0 - part) + self._controls[high] * part


def within_radius(command: Twist2, config: PlannerConfig) -> Twist2:
    """The command with no more turn than the base's tightest circle allows at its speed; as it is where it has none."""
    if config.min_turning_radius_m == 0.0:
        return command
    most = abs(command.vx_mps) / config.min_turning_radius_m
    return command._replace(wz_radps=min(max(command.wz_radps, -most), most))


def blend(last: Twist2, measured: Twist2) -> Twist2:
    """The last command where the base follows it, what is measured where it does not (somebody else brakes)."""
    vx = last.vx_mps if abs(last.vx_mps - measured.vx_mps) < 0.3 else measured.vx_mps
    wz = last.wz_radps if abs(last.wz_radps - measured.wz_radps) < 0.8 else measured.wz_radps
    return Twist2(vx, 0.0, wz)


def predict(pose, velocity: Twist2, last: Twist2, config: PlannerConfig) -> np.ndarray:
    """State [x, y, yaw, v, w] at the moment at which a command given now takes effect."""
    dt = config.command_latency_s
    after = limit_twist(last, velocity, config.limits, dt)
    v, w = 0.5 * (velocity.vx_mps + after.vx_mps), 0.5 * (velocity.wz_radps + after.wz_radps)
    yaw = pose[2] + 0.5 * w * dt
    x, y = pose[0] + v * dt * math.cos(yaw), pose[1] + v * dt * math.sin(yaw)
    return np.array([x, y, pose[2] + w * dt, after.vx_mps, after.wz_radps])


def _noise_bank(config: PlannerConfig, steps: int) -> np.ndarray:
    """Smooth noise (K, steps, 2); for every sample there is one that turns the other way."""
    rng = np.random.default_rng(7)
    knots = max(2, round(config.horizon_s / KNOT_S))
    half = rng.standard_normal(((config.samples + 1) // 2, knots, 2))
    half *= np.array([config.speed_noise_mps, config.turn_noise_radps])
    half[::2, 1:] = half[::2, :1]  # every other one keeps its noise over the whole horizon
    at = np.linspace(0.0, knots - 1.0, steps)
    low = np.minimum(at.astype(int), knots - 2)
    part = (at - low)[None, :, None]
    smooth = half[:, low] * (1.0 - part) + half[:, low + 1] * part
    return np.concatenate([smooth, smooth * np.array([1.0, -1.0])])


def _fan(config: PlannerConfig, steps: int) -> np.ndarray:
    """Constant controls (F, steps, 2) that are always among the samples: arcs, turns on the spot, reverses, a stop."""
    turns = np.linspace(-1.0, 1.0, 9) * config.max_turn_radps
    fan = [(v * config.max_speed_mps, w) for v in (0.15, 0.4, 0.7, 1.0) for w in turns]
    fan += [(0.0, w) for w in turns]
    fan += [(-config.max_reverse_mps, w) for w in (-0.5, 0.0, 0.5)]
    return np.repeat(np.array(fan)[:, None, :], steps, axis=1)


def _weights(config: PlannerConfig) -> np.ndarray:
    """What the compiled roll-out needs of the config, in one array (see its unpacking)."""
    return np.array(
        [
            config.max_speed_mps, config.max_reverse_mps, config.max_turn_radps, config.max_accel_mps2,
            config.max_decel_mps2, config.max_turn_accel_radps2, config.safety_margin_m, config.cross_track_weight,
            config.heading_weight, config.near_weight, config.near_clearance_m, config.speed_margin_s,
            config.reverse_weight, 1.0 / config.min_turning_radius_m if config.min_turning_radius_m else 0.0,
        ]
    )  # fmt: skip


@njit(cache=True, fastmath=True)
def _rollout(controls, state, index, path, spacing, distance, origin, resolution, centers, radius, weights, dt):
    """Cost of one drive in metres and its least clearance beyond the safety margin; `controls` is clipped in place.

    `path` (L, 4): x, y, yaw and the largest speed there.
    """
    (
        top,
        reverse,
        turn,
        accel,
        decel,
        turn_accel,
        margin,
        w_cross,
        w_heading,
        w_near,
        near_m,
        per_speed,
        w_back,
        bend,
    ) = weights
    x, y, yaw, v, w = state
    last = len(path) - 1
    cost, least, left = 0.0, 1e9, 0.0
    i = index
    for t in range(len(controls)):
        left = (last - i) * spacing
        ahead = np.hypot(path[last, 0] - x, path[last, 1] - y) if left < 1.0 else left
        cap = min(top, path[i, 3], np.sqrt(1.4 * decel * max(ahead, 0.0)) + 0.05)
        controls[t, 0] = min(max(controls[t, 0], -reverse), cap)
        controls[t, 1] = min(max(controls[t, 1], -turn), turn)
        if bend > 0.0:  # a base that cannot turn on the spot
            controls[t, 1] = min(max(controls[t, 1], -bend * abs(controls[t, 0])), bend * abs(controls[t, 0]))
        dv = controls[t, 0] - v
        up = accel if v >= 0.0 else decel
        down = decel if v > 0.0 else accel
        v += min(max(dv, -down * dt), up * dt)
        w += min(max(controls[t, 1] - w, -turn_accel * dt), turn_accel * dt)
        if bend > 0.0:
            w = min(max(w, -bend * abs(v)), bend * abs(v))
        middle = yaw + 0.5 * w * dt
        x += v * dt * np.cos(middle)
        y += v * dt * np.sin(middle)
        yaw += w * dt
        near_sq = (path[i, 0] - x) ** 2 + (path[i, 1] - y) ** 2
        while i < last:
            next_sq = (path[i + 1, 0] - x) ** 2 + (path[i + 1, 1] - y) ** 2
            if next_sq > near_sq:
                break
            near_sq = next_sq
            i += 1
        cos_yaw, sin_yaw = np.cos(yaw), np.sin(yaw)
        cos_path, sin_path = np.cos(path[i, 2]), np.sin(path[i, 2])
        dx, dy = x - path[i, 0], y - path[i, 1]
        cross = dy * cos_path - dx * sin_path
        left = (last - i) * spacing - (dx * cos_path + dy * sin_path)
        if i == last:
            left = np.sqrt(near_sq)
        clear = disc_clearance(distance, origin[0], origin[1], resolution, x, y, cos_yaw, sin_yaw, centers, radius)
        clear -= margin
        least = min(least, clear)
        if clear < 0.0:
            cost += COLLISION_COST * (dt - 10.0 * clear)
        wish = near_m + per_speed * abs(v)
        if clear < wish:
            cost += w_near * abs(v) * dt * ((wish - max(clear, 0.0)) / wish) ** 2
        cost += w_back * max(-v, 0.0) * dt
        cost += w_cross * cross * cross * dt
        cost += w_heading * (1.0 - (cos_yaw * cos_path + sin_yaw * sin_path)) * dt
    return cost + left, least


@njit(cache=True)
def _pursue(controls, speed, reach, state, index, path, spacing, weights, dt):
    """Fill `controls` with pure pursuit of the path's point `reach` ahead, at most at `speed`."""
    turn, accel, decel, turn_accel = weights[2], weights[3], weights[4], weights[5]
    x, y, yaw, v, w = state
    last = len(path) - 1
    i = index
    for t in range(len(controls)):
        while i < last:
            here = (path[i, 0] - x) ** 2 + (path[i, 1] - y) ** 2
            if (path[i + 1, 0] - x) ** 2 + (path[i + 1, 1] - y) ** 2 > here:
                break
            i += 1
        ahead = min(last, i + int(reach / spacing))
        dx, dy = path[ahead, 0] - x, path[ahead, 1] - y
        along = dx * np.cos(yaw) + dy * np.sin(yaw)
        left = dy * np.cos(yaw) - dx * np.sin(yaw)
        curvature = 2.0 * left / max(dx * dx + dy * dy, 1e-4)
        target_v, target_w = 0.0, turn if left > 0.0 else -turn
        if along > 0.0:
            target_v = min(speed, turn / max(abs(curvature), 1e-6))
            target_w = target_v * curvature
        controls[t, 0], controls[t, 1] = target_v, target_w
        v += min(max(target_v - v, -decel * dt), accel * dt)
        w += min(max(target_w - w, -turn_accel * dt), turn_accel * dt)
        middle = yaw + 0.5 * w * dt
        x += v * dt * np.cos(middle)
        y += v * dt * np.sin(middle)
        yaw += w * dt


@njit(cache=True)
def _sample(
    mean, noise, fan, pursuits, state, index, path, spacing, distance, origin, resolution, centers, radius, weights, dt
):
    """Costs (K,) and clipped controls (K, steps, 2): pursuits, fan, the mean, the mean with each noise."""
    fixed = len(pursuits) + len(fan)
    count = fixed + 1 + len(noise)
    drives = np.empty((count, mean.shape[0], 2))
    costs = np.empty(count)
    for k in range(count):
        if k < len(pursuits):
            _pursue(drives[k], pursuits[k, 0], pursuits[k, 1], state, index, path, spacing, weights, dt)
        elif k < fixed:
            drives[k] = fan[k - len(pursuits)]
        elif k == fixed:
            drives[k] = mean
        else:
            drives[k] = mean + noise[k - fixed - 1]
        costs[k], _ = _rollout(
            drives[k], state, index, path, spacing, distance, origin, resolution, centers, radius, weights, dt
        )
    return costs, drives
