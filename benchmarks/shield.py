# SPDX-License-Identifier: Apache-2.0
"""Shield: random and worst-case drivers among still, moving and hunting obstacles, three outlines, two kinds of base.

Every episode is driven with the shield and with its peers: without, with the wanted command only scaled along its arc
until it is admissible, and with a stop zone (zero while a scan point is within 0.3 m of the outline, as the polygon of
a collision monitor does). Drivers: noise; full speed at the nearest obstacle; full speed there and back; the one of 27
extreme commands that ends nearest to an obstacle. In half of the episodes three obstacles hunt the base, at the stated
speed. A contact is a collision where the base moves and its own motion closes the gap; one with a base that stands is
`struck_standing`, with one that moves but not nearer `struck_moving`: both are the obstacle's doing, excluded and
counted. At the start nothing is within 0.5 m of the outline, so that a stop is always possible.

`intervention_norm` is the mean change of the command in m/s and rad/s, `intervention_norm_limits` the part of it that
the accelerations alone make in the same states. `progress_ratio` is the distance driven without obstacles, over that
without a shield. `step_ms` is processor time.
"""

from __future__ import annotations

import argparse
import math
import time
from typing import NamedTuple

import numpy as np
from numba import njit

from axon_core.motion import Twist2
from axon_core.scans import Scan
from axon_safety.collision import Scene, ramp_all, stays_clear
from axon_safety.config import SafetyConfig
from axon_safety.nearest import next_command
from axon_safety.outline import outline_distance, outline_distances
from axon_safety.runtime import Shield
from axon_sim.planar import cast_rays

PERIOD_S, TICK_S, STEPS, RAYS = 0.05, 0.01, 60, 360
LATENCY_TICKS = 8
LASER = np.zeros(3)
NO_WALLS = np.zeros((0, 4))
DRIVERS = ("random", "greedy", "switching", "worst")
OUTLINES = {
    "rectangle": (),
    "ell": (0.4, -0.3, 0.4, 0.0, 0.1, 0.0, 0.1, 0.3, -0.3, 0.3, -0.3, -0.3),
    "long": (0.9, -0.16, 0.9, 0.16, -0.35, 0.16, -0.35, -0.16),
}
PEERS = ("shield", "scaled", "stop_zone", "unshielded")
OBSTACLES, HUNTERS, STOP_ZONE_M, AHEAD_S = 15, 3, 0.3, 0.5
FREE, COLLISION, STANDING, MOVING = range(4)


class Episode(NamedTuple):
    """How an episode ended, metres driven, mean change of the command, the limits' part of it, milliseconds a step."""

    end: int
    distance_m: float
    change: float
    change_by_limits: float
    step_ms: np.ndarray


class ScaledArc(Shield):
    """A shield that only slows along the wanted arc."""

    def _choose(self, scene: Scene, target: Twist2, dt_s: float) -> tuple[Twist2, bool]:
        for scale in np.linspace(1.0, 0.0, 11):
            command = next_command(scene, scale * np.array(target), dt_s)
            if stays_clear(scene, command):
                break
        return Twist2(*command), scale < 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--episodes", type=int, default=10_000, metavar="N", help="episodes (default: 10000)")
    parser.add_argument("--obstacle-speed", type=float, default=0.5, metavar="M/S", help="top speed of the obstacles")


def main(args: argparse.Namespace) -> dict[str, float]:
    if args.episodes < 1 or args.obstacle_speed < 0.0:
        raise ValueError("--episodes must be at least 1 and --obstacle-speed not negative")
    drive("shield", 0, args)  # compiles
    driven = {name: [drive(name, episode, args) for episode in range(args.episodes)] for name in PEERS}
    return {**_numbers(driven), **_free_space(args), "episodes": args.episodes}


def _numbers(driven: dict[str, list[Episode]]) -> dict[str, float]:
    ends = {name: np.array([one.end for one in rows]) for name, rows in driven.items()}
    ours = driven["shield"]
    took_ms = np.concatenate([one.step_ms for one in ours])
    suffix = {name: "" if name == "shield" else f"_{name}" for name in PEERS}
    return {
        **{f"collisions{suffix[name]}": int((ends[name] == COLLISION).sum()) for name in PEERS},
        **{
            f"collisions_{outline}": int((ends["shield"][_outline_number(len(ours)) == i] == COLLISION).sum())
            for i, outline in enumerate(OUTLINES)
        },
        "struck_standing": int((ends["shield"] == STANDING).sum()),
        "struck_moving": int((ends["shield"] == MOVING).sum()),
        **{
            f"intervention_norm{suffix[name]}": float(np.mean([one.change for one in driven[name]]))
            for name in PEERS
            if name != "unshielded"
        },
        "intervention_norm_limits": float(np.mean([one.change_by_limits for one in ours])),
        "step_ms": float(np.median(took_ms)),
        "step_ms_99": float(np.percentile(took_ms, 99.0)),
        **{f"distance_m{suffix[name]}": float(np.mean([one.distance_m for one in driven[name]])) for name in PEERS},
    }


def _outline_number(episodes: int) -> np.ndarray:
    return np.arange(episodes) // 8 % len(OUTLINES)


def _free_space(args: argparse.Namespace) -> dict[str, float]:
    episodes = range(min(args.episodes, 96))
    shielded, bare = (
        sum(drive(name, e, args, obstacles=False).distance_m for e in episodes) for name in ("shield", "unshielded")
    )
    return {"progress_ratio": shielded / bare}


def drive(peer: str, episode: int, args: argparse.Namespace, obstacles: bool = True) -> Episode:
    """One episode: base by its number's last bit, then driver, outline, and whether the obstacles hunt."""
    rng = np.random.default_rng([args.seed, episode])
    footprint = list(OUTLINES.values())[_outline_number(episode + 1)[-1]]
    config = SafetyConfig(
        rate_hz=1.0 / PERIOD_S,
        holonomic=bool(episode % 2),
        obstacle_speed_mps=args.obstacle_speed,
        footprint=footprint,
        unseen_radius_m=0.0,  # the scanner sees all around
    )
    shield = (ScaledArc if peer == "scaled" else Shield)(config, LASER)
    circles, velocities = _scene(rng, args.obstacle_speed, obstacles, shield.outline.radius_m)
    hunters = HUNTERS if episode // 24 % 2 and obstacles else 0
    state, queue = np.zeros(6), np.zeros((LATENCY_TICKS, 3))
    limits = np.array([config.max_accel_mps2, config.max_decel_mps2, config.max_turn_accel_radps2])
    end, distance, changes, by_limits, times = FREE, 0.0, [], [], []
    for step in range(STEPS):
        wanted = _wanted(DRIVERS[episode // 2 % len(DRIVERS)], step, state, circles, shield, rng)
        ranges = cast_rays(state[:3], -math.pi, 2.0 * math.pi / RAYS, RAYS, circles, NO_WALLS)
        scan = Scan(ranges, -math.pi, 2.0 * math.pi / RAYS, 0.02, 20.0)
        start = time.thread_time()
        told = _told(peer, shield, step * PERIOD_S, wanted, state, scan)
        times.append(1e3 * (time.thread_time() - start))
        changes.append(np.linalg.norm(np.subtract(told, wanted)))
        if shield.situation is not None:
            by_limits.append(np.linalg.norm(np.subtract(shield.situation.possible, wanted)))
        hunting = (hunters, args.obstacle_speed)
        corners = shield.outline.corners
        end, driven = _advance(state, queue, np.array(told), limits, circles, velocities, hunting, corners)
        distance += driven
        if end != FREE:
            break
    return Episode(end, distance, float(np.mean(changes)), float(np.mean(by_limits or [0.0])), np.array(times))


def _scene(rng: np.random.Generator, top_mps: float, obstacles: bool, base_m: float) -> tuple[np.ndarray, np.ndarray]:
    """Circles (N, 3) x, y, radius and their velocities (N, 2); about half of them stand."""
    count = OBSTACLES
    angle, radius = rng.uniform(-math.pi, math.pi, count), rng.uniform(0.1, 0.4, count)
    away = base_m + rng.uniform(0.53, 4.7, count) + radius
    circles = np.column_stack([away * np.cos(angle), away * np.sin(angle), radius])
    heading, speed = rng.uniform(-math.pi, math.pi, count), rng.uniform(0.0, top_mps, count) * (rng.random(count) < 0.5)
    velocities = np.column_stack([speed * np.cos(heading), speed * np.sin(heading)])
    return (circles, velocities) if obstacles else (circles[:0], velocities[:0])


def _wanted(driver: str, step: int, state: np.ndarray, circles: np.ndarray, shield: Shield, rng) -> Twist2:
    """What the driver asks for."""
    config = shield.config
    top, turn = config.max_speed_mps, config.max_turn_radps
    if driver == "random":
        sideways = rng.uniform(-top, top) if config.holonomic else 0.0
        return Twist2(rng.uniform(-config.max_reverse_mps, top), sideways, rng.uniform(-turn, turn))
    if driver == "switching" and step // 10 % 2:
        return Twist2(-config.max_reverse_mps, 0.0, -turn)
    if not len(circles):
        return Twist2(top, 0.0, 0.0)
    if driver == "worst":
        low = np.array([-config.max_reverse_mps, -top if config.holonomic else 0.0, -turn])
        high = np.array([top, -low[1], turn])
        return Twist2(*_worst(state, circles, low, high, shield.outline.corners))
    offsets = circles[:, :2] - state[:2]
    x, y = offsets[np.argmin(np.hypot(*offsets.T) - circles[:, 2])]
    bearing = math.remainder(math.atan2(y, x) - state[2], 2.0 * math.pi)
    if config.holonomic:
        return Twist2(max(top * math.cos(bearing), -config.max_reverse_mps), top * math.sin(bearing), 0.0)
    return Twist2(top * max(0.0, math.cos(bearing)), 0.0, min(max(3.0 * bearing, -turn), turn))


@njit(cache=True)
def _worst(state, circles, low, high, corners):
    """The one of 27 commands, each axis at an end or in the middle, after which the outline is nearest to a circle."""
    worst, nearest = (0.0, 0.0, 0.0), np.inf
    for i in range(27):
        vx = low[0] + 0.5 * (i % 3) * (high[0] - low[0])
        vy = low[1] + 0.5 * (i // 3 % 3) * (high[1] - low[1])
        wz = low[2] + 0.5 * (i // 9) * (high[2] - low[2])
        heading = state[2] + 0.5 * wz * AHEAD_S
        cos, sin = math.cos(heading), math.sin(heading)
        x, y = state[0] + (cos * vx - sin * vy) * AHEAD_S, state[1] + (sin * vx + cos * vy) * AHEAD_S
        cos, sin = math.cos(state[2] + wz * AHEAD_S), math.sin(state[2] + wz * AHEAD_S)
        for k in range(circles.shape[0]):
            dx, dy = circles[k, 0] - x, circles[k, 1] - y
            gap = outline_distance(cos * dx + sin * dy, cos * dy - sin * dx, corners) - circles[k, 2]
            if gap < nearest:
                worst, nearest = (vx, vy, wz), gap
    return worst


def _told(peer: str, shield: Shield, t_s: float, wanted: Twist2, state: np.ndarray, scan: Scan) -> Twist2:
    if peer == "unshielded":
        return wanted
    if peer == "stop_zone":
        distances = outline_distances(scan.points(), shield.outline.corners)
        return Twist2() if (distances < STOP_ZONE_M).any() else wanted
    return shield.step(t_s, wanted, Twist2(*state[3:]), scan, 0.0, 0.0, state[:3].copy()).command


@njit(cache=True)
def _advance(state, queue, told, limits, circles, velocities, hunting, corners):
    """One control period of the base (pose and velocity in state (6,)) and the obstacles: how it ended, metres driven.

    queue: (LATENCY_TICKS, 3) commands on their way to the base. hunting: how many circles aim at it, at which speed.
    """
    driven = 0.0
    for _ in range(5):
        target = queue[0].copy()
        queue[:-1] = queue[1:].copy()
        queue[-1] = told
        vx, vy, wz = ramp_all((state[3], state[4], state[5]), (target[0], target[1], target[2]), limits, TICK_S)
        cos, sin = math.cos(state[2] + 0.5 * wz * TICK_S), math.sin(state[2] + 0.5 * wz * TICK_S)
        state[0] += (cos * vx - sin * vy) * TICK_S
        state[1] += (sin * vx + cos * vy) * TICK_S
        state[2] += wz * TICK_S
        state[3], state[4], state[5] = vx, vy, wz
        driven += math.hypot(vx, vy) * TICK_S
        for i in range(hunting[0]):
            dx, dy = state[0] - circles[i, 0], state[1] - circles[i, 1]
            away = max(math.hypot(dx, dy), 1e-9)
            velocities[i, 0], velocities[i, 1] = hunting[1] * dx / away, hunting[1] * dy / away
        circles[:, :2] += velocities * TICK_S
        end = _contact(state, circles, corners)
        if end != FREE:
            return end, driven
    return FREE, driven


@njit(cache=True)
def _contact(state, circles, corners):
    """The worst contact of the outline with a circle: none, collision, or struck while standing or moving."""
    cos, sin = math.cos(state[2]), math.sin(state[2])
    stands = math.hypot(state[3], state[4]) < 1e-3 and abs(state[5]) < 1e-3
    end = FREE
    for i in range(circles.shape[0]):
        dx, dy = circles[i, 0] - state[0], circles[i, 1] - state[1]
        x, y = cos * dx + sin * dy, cos * dy - sin * dx
        gap = outline_distance(x, y, corners)
        if gap > circles[i, 2]:
            continue
        if stands:
            end = max(end, STANDING)
            continue
        # The gradient of the distance points from the outline to the circle; where it meets the outline is the contact.
        toward_x = (outline_distance(x + 1e-5, y, corners) - gap) / 1e-5
        toward_y = (outline_distance(x, y + 1e-5, corners) - gap) / 1e-5
        near_x, near_y = x - gap * toward_x, y - gap * toward_y
        closing = toward_x * (state[3] - state[5] * near_y) + toward_y * (state[4] + state[5] * near_x)
        if closing > 0.01:
            return COLLISION
        end = max(end, MOVING)
    return end
