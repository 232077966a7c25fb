# SPDX-License-Identifier: Apache-2.0
"""Scenes and drivers for the shield's tests."""

from collections.abc import Callable

import numpy as np

from axon_core.motion import Twist2
from axon_core.scans import Scan
from axon_safety.config import SafetyConfig
from axon_safety.runtime import Shield
from axon_sim.barn import BarnWorld
from axon_sim.planar import PlanarSimulator, cast_rays

RAYS = 541
ANGLE_MIN = -0.75 * np.pi
INCREMENT = 1.5 * np.pi / (RAYS - 1)
PERIOD_S = 0.05
BASE_T_LASER = np.array([0.12, 0.0, 0.0])
NO_WALLS = np.zeros((0, 4))
Driver = Callable[[int, PlanarSimulator], Twist2]


def exact_scan(circles, walls=NO_WALLS, angle_min=ANGLE_MIN, rays=RAYS) -> Scan:
    """Scan from the laser of a base at the origin: circles (N, 3) x, y, radius and walls (K, 4)."""
    increment = -2.0 * angle_min / (rays - 1)
    ranges = cast_rays(BASE_T_LASER, angle_min, increment, rays, np.reshape(circles, (-1, 3)).astype(float), walls)
    return Scan(ranges, angle_min, increment, 0.05, 20.0)


def new_shield(**changes) -> Shield:
    return Shield(SafetyConfig(rate_hz=20.0, **changes), BASE_T_LASER)


def settle(shield: Shield, command: Twist2, scan: Scan, steps: int = 40, velocity: Twist2 | None = None):
    """Step with a base that stands still (or moves as told) until the ramps are over; all ShieldSteps."""
    return [
        shield.step(PERIOD_S * i, command, velocity or Twist2(), scan, 0.0) for i in range(steps)
    ]  # fmt: skip


def random_world(rng: np.random.Generator) -> BarnWorld:
    """Cylinders and walls about the origin, which is free for the base to turn in."""
    radius = rng.choice([0.05, 0.075, 0.2])
    cylinders = rng.uniform(-4.0, 4.0, (rng.integers(5, 40), 2))
    cylinders = cylinders[np.hypot(*cylinders.T) > radius + rng.uniform(0.33, 0.6)]
    walls = [_random_wall(rng) for _ in range(rng.integers(0, 4))]
    start = [0.0, 0.0, rng.uniform(-np.pi, np.pi)]
    return BarnWorld(np.vstack([cylinders, [[9.0, 9.0]]]), radius, start=start, walls_m=np.reshape(walls, (-1, 4)))


def _random_wall(rng: np.random.Generator) -> np.ndarray:
    angle, distance = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(0.6, 3.0)
    normal = np.array([np.cos(angle), np.sin(angle)])
    along = np.array([-normal[1], normal[0]])
    return np.concatenate(
        [distance * normal - along * rng.uniform(0, 3), distance * normal + along * rng.uniform(0, 3)]
    )


def reckless_driver(kind: int, rng: np.random.Generator) -> Driver:
    """Five ways to try to hit something."""
    if kind == 0:
        turn = rng.uniform(-3.0, 3.0)
        return lambda step, simulator: Twist2(2.0, 0.0, turn if step % 20 < 10 else -turn)
    if kind == 1:
        return lambda step, simulator: Twist2(rng.uniform(-2.0, 2.0), 0.0, rng.uniform(-3.0, 3.0))
    if kind == 2:
        held = [
            Twist2(rng.choice([-2.0, -0.5, 0.0, 1.0, 2.0]), 0.0, rng.choice([-3.0, -1.0, 0.0, 1.0, 3.0]))
            for _ in range(20)
        ]
        return lambda step, simulator: held[step // 15 % len(held)]
    if kind == 3:
        return _charge
    return lambda step, simulator: Twist2(-2.0, 0.0, rng.uniform(-1.0, 1.0))


def _charge(step: int, simulator: PlanarSimulator) -> Twist2:
    """Straight at the nearest cylinder, forward or backward, whichever needs less turning."""
    offsets = simulator.world.cylinders_m - simulator.pose[:2]
    nearest = offsets[np.argmin(np.hypot(*offsets.T))]
    bearing = np.arctan2(nearest[1], nearest[0]) - simulator.pose[2]
    ahead = np.cos(bearing) >= 0.0
    error = np.arctan2(np.sin(bearing), np.cos(bearing)) if ahead else np.arctan2(-np.sin(bearing), -np.cos(bearing))
    return Twist2(2.0 if ahead else -2.0, 0.0, 3.0 * float(np.clip(error, -1.0, 1.0)))
