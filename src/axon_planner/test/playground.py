# SPDX-License-Identifier: Apache-2.0
"""A perfect base among circles and walls that a test may change while it drives."""

from __future__ import annotations

import math

import numpy as np

from axon_core.geometry import se2_apply, se2_compose, se2_inverse
from axon_core.motion import Twist2, limit_twist
from axon_core.scans import Scan
from axon_planner.config import PlannerConfig
from axon_planner.runtime import Navigator, NavStatus, NavStep
from axon_sim.planar import cast_rays

BASE_T_LASER = np.array([0.12, 0.0, 0.0])
RAYS, FOV_RAD = 541, 1.5 * math.pi


class Playground:
    """Ideal odometry and scan; circles (N, 3) = x, y, radius and walls (K, 4) = two ends, both open to change."""

    def __init__(self, config: PlannerConfig, circles=(), walls=(), pose=(0.0, 0.0, 0.0)):
        self.config = config
        self.circles = np.array(circles, dtype=np.float64).reshape(-1, 3)
        self.walls = np.array(walls, dtype=np.float64).reshape(-1, 4)
        self.pose = np.array(pose, dtype=np.float64)
        self.velocity = Twist2()
        self.time_s = 0.0
        self.track = [self.pose.copy()]
        self.commands = [Twist2()]

    def scan(self) -> Scan:
        increment = FOV_RAD / (RAYS - 1)
        laser = se2_compose(self.pose, BASE_T_LASER)
        ranges = cast_rays(laser, -0.5 * FOV_RAD, increment, RAYS, self.circles, self.walls)
        return Scan(ranges, -0.5 * FOV_RAD, increment, 0.05, 20.0)

    def clearance(self) -> float:
        """Signed distance from the footprint to the nearest circle or wall."""
        points = [self.circles[:, :2]] + [np.linspace(wall[:2], wall[2:], 200) for wall in self.walls]
        radii = np.concatenate([self.circles[:, 2], np.zeros(200 * len(self.walls))])
        if not len(radii):
            return math.inf
        local = se2_apply(se2_inverse(self.pose), np.concatenate(points))
        return float((self.config.footprint.distance_to(local) - radii).min())

    def move(self, command: Twist2, dt_s: float) -> None:
        self.velocity = limit_twist(command, self.velocity, self.config.limits, dt_s)
        vx, _, wz = self.velocity
        heading = self.pose[2] + 0.5 * wz * dt_s
        self.pose = self.pose + dt_s * np.array([vx * math.cos(heading), vx * math.sin(heading), wz])
        self.time_s += dt_s
        self.track.append(self.pose.copy())
        self.commands.append(command)

    def step(self, navigator: Navigator, with_scan: bool = True, dt_s: float = 0.05) -> NavStep:
        scan = self.scan() if with_scan else None
        step = navigator.step(self.time_s, self.pose, self.velocity, scan, BASE_T_LASER)
        self.move(step.command, dt_s)
        return step

    def drive(self, navigator: Navigator, limit_s: float = 60.0, each=None) -> NavStep:
        """Until the drive is over; never touches anything on the way. `each(self)` may change the world."""
        end_s = self.time_s + limit_s
        while self.time_s < end_s:
            if each is not None:
                each(self)
            step = self.step(navigator)
            assert self.clearance() > 0.0, f"collision at {self.pose} after {self.time_s:.2f} s"
            if step.over:
                return step
        raise AssertionError(f"still {step.status} at {self.pose} after {limit_s} s: {step.reason}")


def corridor(length_m: float = 8.0, width_m: float = 2.0) -> list[list[float]]:
    """Walls of a corridor along x that begins a metre behind the origin, closed at both ends."""
    half, back, front = 0.5 * width_m, -1.0, length_m - 1.0
    return [
        [back, half, front, half],
        [back, -half, front, -half],
        [back, -half, back, half],
        [front, -half, front, half],
    ]


__all__ = ["BASE_T_LASER", "NavStatus", "Playground", "corridor"]
