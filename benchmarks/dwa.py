# SPDX-License-Identifier: Apache-2.0
"""The dynamic window approach, as the scale beside our tracker: what a classical local planner makes of the same plan.

Fox, Burgard, Thrun, "The Dynamic Window Approach to Collision Avoidance", 1997. Among the velocities that the base can
have one interval from now (the window), those are admissible from which it can still stop on their arc before the
footprint touches anything (eq. 14); of them the one is driven that has the largest

    G(v, w) = HEADING heading + DISTANCE dist + VELOCITY velocity                                          (eq. 13)

with the paper's weights. `heading` is how well the base looks at the target from where it will be once it has braked
from that velocity; the target is the plan's point `TARGET_M` ahead, as in ROS's local planners. Everything else, from
the costmap to the recoveries and the shield, is the navigator's own.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from axon_core.motion import Twist2, limit_twist
from axon_planner.costmap import Field
from axon_planner.outline import disc_clearance
from axon_planner.runtime import Navigator
from axon_planner.tracker import Follower, FollowStatus, FollowStep, blend, predict

HEADING, DISTANCE, VELOCITY = 2.0, 0.2, 0.2  # section 4.1 of the paper
SPEEDS, TURNS = 15, 31
TARGET_M = 1.0
SIGHT_M = 3.0
ARC_STEP_M = 0.03
FREE_TURN = 1e-3  # below this speed the base turns where it stands
STANDSTILL = 0.02


class DynamicWindow(Follower):
    """Follows a path (N, 3) by the dynamic window approach; the interface is the tracker's."""

    def _drive(self, pose, velocity: Twist2, field: Field, dt_s: float, index: int, remaining: float) -> FollowStep:
        config = self.config
        state = predict(pose, velocity, self._last, config)
        target = self.path[min(len(self.path) - 1, index + round(TARGET_M / self._spacing))]
        speeds, turns = self._window(blend(self._last, velocity), remaining, dt_s)
        scores = _scores(
            speeds, turns, state, target, field.distance_m, field.origin_m, field.resolution_m, self.discs.centers_m,
            self.discs.radius_m + config.safety_margin_m, self._limits(), dt_s,
        )  # fmt: skip
        best = np.unravel_index(int(scores.argmax()), scores.shape)
        clearance = self.discs.clearance(field, pose)
        command = Twist2(float(speeds[best[0]]), 0.0, float(turns[best[1]]))
        stands = abs(command.vx_mps) < STANDSTILL and abs(command.wz_radps) < STANDSTILL
        if not np.isfinite(scores[best]) or stands:
            return FollowStep(self.stop(velocity, dt_s), FollowStatus.BLOCKED, remaining, clearance)
        self._last = limit_twist(command, blend(self._last, velocity), config.limits, dt_s)
        return FollowStep(self._last, FollowStatus.RUNNING, remaining, clearance)

    def _window(self, now: Twist2, remaining: float, dt_s: float) -> tuple[np.ndarray, np.ndarray]:
        """Speeds and turns within reach of the next interval (section 3.1.3), slow enough to stop at the path's end."""
        config = self.config
        top = min(config.max_speed_mps, math.sqrt(1.4 * config.max_decel_mps2 * remaining) + 0.05)
        slowest = max(now.vx_mps - config.max_decel_mps2 * dt_s, 0.0)
        fastest = max(min(now.vx_mps + config.max_accel_mps2 * dt_s, top), slowest)
        reach = config.max_turn_accel_radps2 * dt_s
        turns = np.linspace(now.wz_radps - reach, now.wz_radps + reach, TURNS)
        return np.linspace(slowest, fastest, SPEEDS), np.clip(turns, -config.max_turn_radps, config.max_turn_radps)

    def _limits(self) -> np.ndarray:
        config = self.config
        return np.array([config.max_speed_mps, config.max_decel_mps2, config.max_turn_accel_radps2])


class DwaNavigator(Navigator):
    """The navigator with the dynamic window in its tracker's place."""

    def make_follower(self) -> Follower:
        return DynamicWindow(self.config)


@njit(cache=True)
def _scores(speeds, turns, state, target, distance, origin, resolution, centers, radius, limits, dt):
    """G (SPEEDS, TURNS), -inf where a velocity is not admissible."""
    out = np.full((len(speeds), len(turns)), -np.inf)
    for i in range(len(speeds)):
        for j in range(len(turns)):
            v, w = speeds[i], turns[j]
            way = _free_way(v, w, state, distance, origin, resolution, centers, radius)
            if v > np.sqrt(2.0 * max(way - v * dt, 0.0) * limits[1]) + 1e-9:  # eq. 14
                continue
            heading = 1.0 - abs(_bearing_after(v, w, state, target, limits, dt)) / np.pi
            out[i, j] = HEADING * heading + DISTANCE * min(way, SIGHT_M) / SIGHT_M + VELOCITY * v / limits[0]
    return out


@njit(cache=True)
def _bearing_after(v, w, state, target, limits, dt):
    """Angle of the target from the heading that the base has after one interval and braking from (v, w)."""
    braking_s = abs(w) / limits[2]
    yaw = state[2] + w * (dt + 0.5 * braking_s)
    along = v * dt + v * v / (2.0 * limits[1])
    middle = state[2] + 0.5 * (yaw - state[2])
    x, y = state[0] + along * np.cos(middle), state[1] + along * np.sin(middle)
    angle = np.arctan2(target[1] - y, target[0] - x) - yaw
    return np.arctan2(np.sin(angle), np.cos(angle))


@njit(cache=True)
def _free_way(v, w, state, distance, origin, resolution, centers, radius):
    """Metres of the arc of (v, w) before the footprint's discs touch something, at most SIGHT_M."""
    x, y, yaw = state[0], state[1], state[2]
    here = disc_clearance(distance, origin[0], origin[1], resolution, x, y, np.cos(yaw), np.sin(yaw), centers, radius)
    least = min(0.0, here - 2e-3)  # where it stands too near already, it may leave
    turning = v < FREE_TURN
    step_yaw = (0.05 if w > 0.0 else -0.05) if turning else w / v * ARC_STEP_M
    count = 12 if turning else int(SIGHT_M / ARC_STEP_M)
    for k in range(count):
        middle = yaw + 0.5 * step_yaw
        if not turning:
            x, y = x + ARC_STEP_M * np.cos(middle), y + ARC_STEP_M * np.sin(middle)
        yaw += step_yaw
        clear = disc_clearance(
            distance, origin[0], origin[1], resolution, x, y, np.cos(yaw), np.sin(yaw), centers, radius
        )
        if clear < least:
            return k * ARC_STEP_M
    return SIGHT_M
