# SPDX-License-Identifier: Apache-2.0
"""Shield: random and worst-case drivers among still and moving obstacles, differential and omnidirectional.

Every episode is driven three times: with the shield, without, and with a stop zone (zero while a scan point is in the
footprint grown by 0.3 m, as a collision monitor does). A contact is a collision where the base moves and its own motion
closes the gap; one with a base that stands is `struck_standing`, with one that moves but not nearer `struck_moving`:
both are the obstacle's doing, excluded and counted. At the start nothing is within 0.5 m of the outline, so that a stop
is always possible. `progress_ratio` is the distance driven without obstacles, over that without a shield.
"""

from __future__ import annotations

import argparse
import math
import time

import numpy as np
from numba import njit

from axon_core.motion import Twist2
from axon_core.scans import Scan
from axon_safety.collision import ramp_all
from axon_safety.config import SafetyConfig
from axon_safety.outline import outline_distances
from axon_safety.runtime import Shield
from axon_sim.planar import cast_rays

PERIOD_S, TICK_S, STEPS, RAYS = 0.05, 0.01, 60, 360
LATENCY_TICKS = 8
LASER = np.zeros(3)
NO_WALLS = np.zeros((0, 4))
DRIVERS = ("random", "greedy", "switching")
FREE, COLLISION, STANDING, MOVING = range(4)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--episodes", type=int, default=10_000, metavar="N", help="episodes (default: 10000)")
    parser.add_argument("--obstacle-speed", type=float, default=0.5, metavar="M/S", help="top speed of the obstacles")


def main(args: argparse.Namespace) -> dict[str, float]:
    if args.episodes < 1 or args.obstacle_speed < 0.0:
        raise ValueError("--episodes must be at least 1 and --obstacle-speed not negative")
    peers = {name: [] for name in ("shield", "unshielded", "stop_zone")}
    for episode in range(args.episodes):
        for name, rows in peers.items():
            rows.append(drive(name, episode, args))
    tables = {name: np.array(rows) for name, rows in peers.items()}
    return {**_numbers(tables), **_free_space(args), "episodes": args.episodes}


def _numbers(tables: dict[str, np.ndarray]) -> dict[str, float]:
    ours, bare = tables["shield"], tables["unshielded"]
    numbers = {"collisions": int((ours[:, 0] == COLLISION).sum())}
    for name in ("unshielded", "stop_zone"):
        numbers[f"collisions_{name}"] = int((tables[name][:, 0] == COLLISION).sum())
    numbers["struck_standing"] = int((ours[:, 0] == STANDING).sum())
    numbers["struck_moving"] = int((ours[:, 0] == MOVING).sum())
    numbers["intervention_norm"] = float(ours[:, 2].mean())
    numbers["step_ms"] = float(np.median(ours[1:, 3])) if len(ours) > 1 else float(ours[0, 3])
    numbers["distance_m"], numbers["distance_m_unshielded"] = float(ours[:, 1].mean()), float(bare[:, 1].mean())
    numbers["distance_m_stop_zone"] = float(tables["stop_zone"][:, 1].mean())
    return numbers


def _free_space(args: argparse.Namespace) -> dict[str, float]:
    episodes = range(min(args.episodes, 100))
    shielded, bare = (
        sum(drive(name, e, args, obstacles=False)[1] for e in episodes) for name in ("shield", "unshielded")
    )
    return {"progress_ratio": shielded / bare}


def drive(peer: str, episode: int, args: argparse.Namespace, obstacles: bool = True) -> tuple[float, ...]:
    """One episode: how it ended, distance driven, mean change of the command (m/s, rad/s), median step in ms."""
    rng = np.random.default_rng([args.seed, episode])
    circles, velocities = _scene(rng, args.obstacle_speed, obstacles)
    config = SafetyConfig(rate_hz=1.0 / PERIOD_S, holonomic=bool(episode % 2), obstacle_speed_mps=args.obstacle_speed)
    shield = Shield(config, LASER)
    state, queue = np.zeros(6), np.zeros((LATENCY_TICKS, 3))
    limits = np.array([config.max_accel_mps2, config.max_decel_mps2, config.max_turn_accel_radps2])
    distance, changes, times = 0.0, [], []
    for step in range(STEPS):
        wanted = _wanted(DRIVERS[episode // 2 % len(DRIVERS)], step, state, circles, config, rng)
        ranges = cast_rays(state[:3], -math.pi, 2.0 * math.pi / RAYS, RAYS, circles, NO_WALLS)
        scan = Scan(ranges, -math.pi, 2.0 * math.pi / RAYS, 0.02, 20.0)
        start = time.perf_counter()
        told = _told(peer, shield, step * PERIOD_S, wanted, state, scan)
        times.append(1e3 * (time.perf_counter() - start))
        changes.append(np.linalg.norm(np.subtract(told, wanted)))
        end, driven = _advance(state, queue, np.array(told), limits, circles, velocities, np.array([0.21, 0.165, 0.0]))
        distance += driven
        if end != FREE:
            break
    return end, distance, float(np.mean(changes)), float(np.median(times))


def _scene(rng: np.random.Generator, top_mps: float, obstacles: bool) -> tuple[np.ndarray, np.ndarray]:
    """Circles (N, 3) x, y, radius and their velocities (N, 2); about half of them stand."""
    count = 15
    angle, radius = rng.uniform(-math.pi, math.pi, count), rng.uniform(0.1, 0.4, count)
    away = rng.uniform(0.8, 5.0, count) + radius
    circles = np.column_stack([away * np.cos(angle), away * np.sin(angle), radius])
    heading, speed = rng.uniform(-math.pi, math.pi, count), rng.uniform(0.0, top_mps, count) * (rng.random(count) < 0.5)
    velocities = np.column_stack([speed * np.cos(heading), speed * np.sin(heading)])
    return (circles, velocities) if obstacles else (circles[:0], velocities[:0])


def _wanted(driver: str, step: int, state: np.ndarray, circles: np.ndarray, config: SafetyConfig, rng) -> Twist2:
    """What the driver asks for: noise, full speed at the nearest obstacle, or full speed there and back."""
    top, turn = config.max_speed_mps, config.max_turn_radps
    if driver == "random":
        sideways = rng.uniform(-top, top) if config.holonomic else 0.0
        return Twist2(rng.uniform(-config.max_reverse_mps, top), sideways, rng.uniform(-turn, turn))
    if driver == "switching" and step // 10 % 2:
        return Twist2(-config.max_reverse_mps, 0.0, -turn)
    if not len(circles):
        return Twist2(top, 0.0, 0.0)
    offsets = circles[:, :2] - state[:2]
    x, y = offsets[np.argmin(np.hypot(*offsets.T) - circles[:, 2])]
    bearing = math.remainder(math.atan2(y, x) - state[2], 2.0 * math.pi)
    if config.holonomic:
        return Twist2(max(top * math.cos(bearing), -config.max_reverse_mps), top * math.sin(bearing), 0.0)
    return Twist2(top * max(0.0, math.cos(bearing)), 0.0, min(max(3.0 * bearing, -turn), turn))


def _told(peer: str, shield: Shield, t_s: float, wanted: Twist2, state: np.ndarray, scan: Scan) -> Twist2:
    if peer == "unshielded":
        return wanted
    if peer == "stop_zone":
        return Twist2() if (outline_distances(scan.points(), shield._outline.corners) < 0.3).any() else wanted
    return shield.step(t_s, wanted, Twist2(*state[3:]), scan, 0.0, 0.0, state[:3].copy()).command


@njit(cache=True)
def _advance(state, queue, told, limits, circles, velocities, box):
    """One control period of the base (pose and velocity in state (6,)) and the obstacles: how it ended, metres driven.

    queue: (LATENCY_TICKS, 3) commands on their way to the base.
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
        circles[:, :2] += velocities * TICK_S
        end = _contact(state, circles, box)
        if end != FREE:
            return end, driven
    return FREE, driven


@njit(cache=True)
def _contact(state, circles, box):
    """The worst contact of the rectangle with a circle: none, collision, or struck while standing or moving."""
    cos, sin = math.cos(state[2]), math.sin(state[2])
    end = FREE
    for i in range(circles.shape[0]):
        dx, dy = circles[i, 0] - state[0], circles[i, 1] - state[1]
        x, y = cos * dx + sin * dy, cos * dy - sin * dx
        near_x = min(max(x, box[2] - box[0]), box[2] + box[0])
        near_y = min(max(y, -box[1]), box[1])
        gap = math.hypot(x - near_x, y - near_y)
        if gap > circles[i, 2]:
            continue
        if math.hypot(state[3], state[4]) < 1e-3 and abs(state[5]) < 1e-3:
            end = max(end, STANDING) if end != COLLISION else end
            continue
        toward_x, toward_y = (x - near_x) / max(gap, 1e-9), (y - near_y) / max(gap, 1e-9)
        closing = toward_x * (state[3] - state[5] * near_y) + toward_y * (state[4] + state[5] * near_x)
        if closing > 0.01:
            return COLLISION
        end = max(end, MOVING)
    return end
