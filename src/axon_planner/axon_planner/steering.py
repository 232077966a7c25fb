# SPDX-License-Identifier: Apache-2.0
"""Drive a piece of a path to the centimetre, forward or backward, by feedback on the path's own curvature.

For manoeuvres, where sampled drives and pure pursuit are too coarse. With the lateral offset e (left positive) and the
heading error t of the direction of travel, the curvature k of the arc that is driven follows

    k = k_path - e / l^2 - 2 t / l,     e'' = -e / l^2 - 2 e' / l    per metre, for small errors                     (1)

which is critically damped over the length l (Samson, "Control of chained systems: application to path following",
IEEE TAC 40, 1995), within what the base can turn. k_path is taken where the base will be when the turn has come to be.
"""

from __future__ import annotations

import math

import numpy as np

from axon_core.geometry import wrap_angle
from axon_core.motion import Twist2, limit_twist
from axon_planner.config import PlannerConfig
from axon_planner.costmap import Field
from axon_planner.outline import clearances
from axon_planner.reeds_shepp import arc_poses
from axon_planner.tracker import FollowStatus, FollowStep, predict, within_radius

LENGTH_M = 0.20  # l of (1)
LAG_M = 0.04  # from one side's tightest circle to the other's the base comes twice this far
AT_END_M = 0.01
CREEP_MPS = 0.03
STANDS_MPS = 0.03
LOOK_M, LOOK_STEP_M = 0.10, 0.02
TOUCH_M = 2e-3  # where the base stands too near to something, what comes no nearer is not in the way


class Steering:
    """Drives along poses (N, 3) in one direction: 1 forward, -1 backward."""

    def __init__(self, config: PlannerConfig, path: np.ndarray, direction: int) -> None:
        self._config, self._direction = config, direction
        self._path = path
        steps = np.diff(path, axis=0)
        lengths = np.linalg.norm(steps[:, :2], axis=1)
        self._along = np.concatenate([[0.0], np.cumsum(lengths)])
        self._curvature = wrap_angle(steps[:, 2]) / np.maximum(lengths, 1e-6)
        self._at = 0
        self._last = Twist2()
        swing = max(config.min_turning_radius_m, 0.3) * config.max_turn_accel_radps2
        top = config.max_speed_mps if direction > 0 else config.max_reverse_mps
        self._top = min(top, math.sqrt(LAG_M * swing))

    def step(self, pose: np.ndarray, velocity: Twist2, field: Field, dt_s: float) -> tuple[FollowStep, bool]:
        """The command for the next `dt_s`, and whether the base stands at the end of the piece."""
        state = predict(pose, velocity, self._last, self._config)
        at_m, offset, turned = self._locate(state)
        left_m = self._along[-1] - at_m
        if left_m < AT_END_M:
            command = self._command(Twist2(), velocity, dt_s)
            step = FollowStep(command, FollowStatus.RUNNING, max(left_m, 0.0), math.inf)
            return step, abs(velocity.vx_mps) < STANDS_MPS
        speed = min(self._top, math.sqrt(self._config.max_decel_mps2 * left_m), left_m / 0.3 + CREEP_MPS)
        curvature = self._curve(at_m, offset, turned, abs(state[3]))
        free_m, room = self._free_way(state, curvature, speed, field)
        if free_m <= 0.0:
            return FollowStep(self._command(Twist2(), velocity, dt_s), FollowStatus.BLOCKED, left_m, room), False
        speed = min(speed, math.sqrt(self._config.max_decel_mps2 * free_m), 2.0 * free_m)
        command = self._command(Twist2(self._direction * speed, 0.0, speed * curvature), velocity, dt_s)
        return FollowStep(command, FollowStatus.RUNNING, left_m, room), False

    def _command(self, target: Twist2, velocity: Twist2, dt_s: float) -> Twist2:
        self._last = within_radius(limit_twist(target, velocity, self._config.limits, dt_s), self._config)
        return self._last

    def _locate(self, state: np.ndarray) -> tuple[float, float, float]:
        """Metres along the piece, offset to its left and heading error, all seen in the direction of travel."""
        near = slice(self._at, self._at + 20)  # a piece may cross itself: it is only searched on from where it was
        self._at += int(np.square(self._path[near, :2] - state[:2]).sum(axis=1).argmin())
        x, y, yaw = self._path[self._at]
        travel = yaw if self._direction > 0 else yaw + math.pi
        dx, dy = state[0] - x, state[1] - y
        ahead = dx * math.cos(travel) + dy * math.sin(travel)
        at_m = self._along[self._at] + ahead
        bend = self._curvature[min(max(self._at - (ahead < 0.0), 0), len(self._curvature) - 1)] * self._direction
        turned = wrap_angle(state[2] - yaw) - self._direction * bend * ahead
        offset = dy * math.cos(travel) - dx * math.sin(travel) - 0.5 * self._direction * bend * ahead * ahead
        return at_m, offset, float(turned)

    def _curve(self, at_m: float, offset: float, turned: float, speed: float) -> float:
        """(1), as a turn per metre of travel."""
        config = self._config
        soon_m = at_m + speed * (config.command_latency_s + 0.5 / config.control_rate_hz) + 0.5 * LAG_M * (
            speed / max(self._top, 1e-6)
        )  # fmt: skip
        index = min(int(np.searchsorted(self._along, soon_m, side="right")) - 1, len(self._curvature) - 1)
        curvature = self._curvature[max(index, 0)] - offset / LENGTH_M**2 - 2.0 * turned / LENGTH_M
        radius = config.min_turning_radius_m
        tightest = 1.0 / radius if radius > 0.0 else config.max_turn_radps / max(speed, 0.05)
        return float(np.clip(curvature, -tightest, tightest))

    def _free_way(self, state: np.ndarray, curvature: float, speed: float, field: Field) -> tuple[float, float]:
        """Metres of the arc that the footprint can drive, looked at as far as it needs to stop, and the least room."""
        config = self._config
        reach = LOOK_M + speed * speed / (2.0 * config.max_decel_mps2) + speed * config.command_latency_s
        along = np.arange(0.0, reach + LOOK_STEP_M, LOOK_STEP_M)
        arc = arc_poses(state[:3], self._direction * curvature, self._direction * along)
        room = clearances(config, field, arc) - 0.5 * field.resolution_m
        hits = np.flatnonzero(room < min(0.0, room[0] - TOUCH_M))
        return (float(along[hits[0] - 1]) if len(hits) else math.inf), float(room.min())
