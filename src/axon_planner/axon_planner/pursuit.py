# SPDX-License-Identifier: Apache-2.0
"""Follow a path by regulated pure pursuit.

Macenski, Singh, Martin, Gines, "Regulated Pure Pursuit for Robot Path Tracking", Autonomous Robots 2023. Pure pursuit
(Coulter 1992) drives the arc through a point of the path, the carrot, `lookahead` ahead; its speed is what four rules
leave of the top speed, or of the path's where that is less: the arc's curvature, the room around the base, the way
left to the end, and the time until the footprint would touch something on that arc. A carrot far to the side is turned
to on the spot.

One step beyond the paper: where the arc is not free for `collision_time_s`, the paper's controller stops at once; this
one slows, so that the time to the contact stays that long, and reports BLOCKED where nothing is left of the speed.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from axon_core.motion import Twist2, limit_twist
from axon_planner.costmap import Field
from axon_planner.outline import clearances
from axon_planner.tracker import Follower, FollowStatus, FollowStep, blend, predict, within_radius

ARC_STEP_M = 0.02
ARC_STEP_RAD = 0.05
TURN_DONE_SHARE = 0.3  # a turn to the carrot, once begun, ends at this share of the angle that began it
LEAST_SPEED = 0.08  # of the top speed: what rooms and curves leave at least, or the base would never leave them
FREE_REACH_M = 0.05  # an arc that is free for less than this leads nowhere


class PursuitFollower(Follower):
    """Follows by regulated pure pursuit, see the head of this module."""

    def _forget(self) -> None:
        self._turning = False

    def _drive(self, pose, velocity: Twist2, field: Field, dt_s: float, index: int, remaining: float) -> FollowStep:
        config = self.config
        state = predict(pose, velocity, self._last, config)
        carrot = self._carrot(state, index)
        bearing = math.atan2(carrot[1], carrot[0])
        if self._shall_turn(bearing):
            return self._turn(pose, velocity, field, dt_s, bearing, remaining)
        curvature = self._possible(arc_curvature(carrot))
        speed = self._regulated(curvature, self.discs.clearance(field, state[:3]), remaining)
        speed = min(speed, self._way[index, 3])
        free_m, clearance = self._free_way(state, curvature, speed, field)
        if free_m < FREE_REACH_M:
            return FollowStep(self.stop(velocity, dt_s), FollowStatus.BLOCKED, remaining, clearance)
        speed = min(speed, free_m / config.collision_time_s)
        target = Twist2(speed, 0.0, speed * curvature)
        self._last = within_radius(limit_twist(target, blend(self._last, velocity), config.limits, dt_s), config)
        return FollowStep(self._last, FollowStatus.RUNNING, remaining, clearance)

    def _possible(self, curvature: float) -> float:
        """The curvature, or the tightest one that the base can drive to that side."""
        radius = self.config.min_turning_radius_m
        return math.copysign(min(abs(curvature), 1.0 / radius), curvature) if radius > 0.0 else curvature

    def lookahead_m(self, speed_mps: float) -> float:
        """Distance to the carrot at a speed within its bounds."""
        config = self.config
        return float(np.clip(config.lookahead_time_s * speed_mps, config.lookahead_min_m, config.lookahead_max_m))

    def _carrot(self, state: np.ndarray, index: int) -> np.ndarray:
        """The path's point `lookahead_m` from the base, (2,) in the frame of the base."""
        x, y, yaw, speed, _ = state
        point = _carrot(self.path, index, x, y, self.lookahead_m(speed))
        dx, dy = point[0] - x, point[1] - y
        return np.array([dx * math.cos(yaw) + dy * math.sin(yaw), dy * math.cos(yaw) - dx * math.sin(yaw)])

    def _shall_turn(self, bearing: float) -> bool:
        if self.config.min_turning_radius_m > 0.0:
            return False
        begins = self.config.rotate_to_heading_rad
        self._turning = abs(bearing) > (TURN_DONE_SHARE * begins if self._turning else begins)
        return self._turning

    def _turn(self, pose, velocity, field: Field, dt_s: float, bearing: float, remaining: float) -> FollowStep:
        """Turn on the spot to the carrot, at the shorter side; BLOCKED where the footprint has no room to turn."""
        command = self.turn_towards(pose, velocity, field, dt_s, bearing)
        clearance = self.discs.clearance(field, pose)
        if command is None:
            return FollowStep(self.stop(velocity, dt_s), FollowStatus.BLOCKED, remaining, clearance)
        self._turning = True  # turn_towards forgets
        return FollowStep(command, FollowStatus.RUNNING, remaining, clearance)

    def _regulated(self, curvature: float, clearance_m: float, remaining_m: float) -> float:
        """Speed that curvature, room and the way left allow: the least of the four rules."""
        config = self.config
        top = config.max_speed_mps
        of_curve = 1.0 / max(abs(curvature) * config.regulated_radius_m, 1.0)
        of_room = min(max(clearance_m, 0.0) / config.slow_clearance_m, 1.0)
        speed = top * max(min(of_curve, of_room), LEAST_SPEED)
        turning = config.max_turn_radps / max(abs(curvature), 1e-6)
        braking = math.sqrt(1.4 * config.max_decel_mps2 * max(remaining_m, 0.0)) + 0.05
        approach = top * max(min(remaining_m / config.approach_distance_m, 1.0), LEAST_SPEED)
        return min(speed, turning, braking, approach)

    def _free_way(self, state: np.ndarray, curvature: float, speed: float, field: Field) -> tuple[float, float]:
        """Metres of the arc that the footprint can drive, looked at for `collision_time_s`, and the least clearance.

        Where the base stands nearer to something than the margin, only what comes nearer still is in the way.
        """
        config = self.config
        reach = max(speed * config.collision_time_s, 2.0 * FREE_REACH_M)
        step = min(ARC_STEP_M, ARC_STEP_RAD / max(abs(curvature), 1e-6))
        along = np.linspace(0.0, reach, max(2, math.ceil(reach / step)) + 1)
        room = clearances(config, field, _arc(state[:3], curvature, along)) - config.safety_margin_m
        hits = np.flatnonzero(room < min(0.0, room[0] - 2e-3))
        return (float(along[hits[0] - 1]) if len(hits) else math.inf), float(room.min())


def arc_curvature(carrot: np.ndarray) -> float:
    """Curvature in rad/m, left positive, of the arc from the origin along x through a point (2,): 2 y / (x^2 + y^2)."""
    return 2.0 * float(carrot[1]) / max(float(carrot @ carrot), 1e-6)


def _arc(pose: np.ndarray, curvature: float, along: np.ndarray) -> np.ndarray:
    """Poses (N, 3) after `along` (N,) metres on the arc that begins at `pose`."""
    half = 0.5 * curvature * along
    chord = along * np.sinc(half / math.pi)
    yaw = pose[2] + half
    return np.column_stack([pose[0] + chord * np.cos(yaw), pose[1] + chord * np.sin(yaw), yaw + half])


@njit(cache=True)
def _carrot(path, index, x, y, reach):
    """Where the path first leaves the circle of radius `reach` about (x, y); its end where it never does."""
    last = len(path) - 1
    i = index
    while i < last and np.hypot(path[i, 0] - x, path[i, 1] - y) < reach:
        i += 1
    bx, by = path[i, 0] - x, path[i, 1] - y
    if i == index or np.hypot(bx, by) < reach:
        return path[i, :2]
    ax, ay = path[i - 1, 0] - x, path[i - 1, 1] - y
    dx, dy = bx - ax, by - ay  # |a + f d| = reach
    a, b, c = dx * dx + dy * dy, ax * dx + ay * dy, ax * ax + ay * ay - reach * reach
    f = (-b + np.sqrt(max(b * b - a * c, 0.0))) / max(a, 1e-12)
    return np.array([x + ax + f * dx, y + ay + f * dy])
