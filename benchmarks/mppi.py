# SPDX-License-Identifier: Apache-2.0
"""Time and accuracy of the two trackers on one core: sampled drives (MPPI) and regulated pure pursuit.

Both follow the same planned paths through generated BARN worlds (seeds from 1000 (seed + 1) on, known as a grid of
0.04 m) with an ideal base at 2 m/s, 20 steps a second. The process is pinned to one core meanwhile. Beside them, in the
same minute, a plain NumPy roll-out of exactly the drives that MPPI sampled, all at once; both give the same costs.
Cross-track error is the distance of the base from the path, mean over the drive and largest, to 0.5 m before its end.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from axon_core.motion import Twist2, limit_twist
from axon_planner.config import PlannerConfig
from axon_planner.costmap import Costmap, Field
from axon_planner.planning import PathPlanner, PlanResult
from axon_planner.runtime import CONTROLLERS
from axon_planner.tracker import COLLISION_COST, Follower, FollowStatus, PathFollower
from axon_sim.barn import generate_barn
from axon_sim.worlds import make_world

CONFIG = PlannerConfig(map_size_m=24.0)
PERIOD_S = 0.05
LIMIT_S = 30.0
END_M = 0.5  # what is that near to the path's end is the arrival, not the tracking
PEER_EVERY = 10


@dataclass(frozen=True)
class Run:
    """One drive: time (N,) of every step, distance (N,) from the path, speeds (N,), and whether the end was reached."""

    step_ms: np.ndarray
    cross_track_m: np.ndarray
    speed_mps: np.ndarray
    reached: bool


@dataclass
class Peer:
    """Times of MPPI's roll-outs and of NumPy's for the same drives, and the largest difference of a cost."""

    ours_ms: list[float]
    numpy_ms: list[float]
    cost_error: float = 0.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options beside --json and --seed; no data is read."""
    parser.add_argument("--worlds", type=int, default=12, metavar="N", help="generated worlds (default: 12)")


def main(args: argparse.Namespace) -> dict[str, float]:
    """Follow a path through every world with both trackers; ValueError for a number of worlds that is none."""
    if not 1 <= args.worlds <= 1000:
        raise ValueError(f"--worlds {args.worlds}: expected 1 .. 1000")
    runs: dict[str, list[Run]] = {name: [] for name in CONTROLLERS}
    peer = Peer([], [])
    with one_core():
        for index in range(args.worlds):
            field, path = planned(1000 * (args.seed + 1) + index)
            for name in CONTROLLERS:
                if not runs[name]:
                    follow(name, path, field, None, limit_s=0.2)  # compiles
                runs[name].append(follow(name, path, field, peer if name == "mppi" else None))
    return numbers_of(runs, peer)


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this process on one of its cores; it gets all of them back."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def planned(seed: int) -> tuple[Field, PlanResult]:
    """A generated world's field, and the classical path of its task; ValueError where there is none."""
    world, costmap = generate_barn(seed), Costmap(CONFIG)
    grid = make_world(f"barn-like:{seed}").ground_truth_grid(CONFIG.resolution_m)
    costmap.roll_to(grid.origin_m + 0.5 * grid.resolution_m * np.array(grid.data.shape[::-1]))
    costmap.set_map(grid)
    goal = np.append(world.goal, world.start[2])
    plan = PathPlanner(CONFIG).plan(costmap, world.start, goal)
    if not plan.found:
        raise ValueError(f"generated world {seed}: {plan.reason}")
    return costmap.field(world.start, goal), plan


def follow(name: str, plan: PlanResult, field: Field, peer: Peer | None, limit_s: float = LIMIT_S) -> Run:
    """Drive one path with an ideal base; `peer` gets the roll-outs of every tenth step."""
    follower: Follower = CONTROLLERS[name](CONFIG)
    path = plan.path
    follower.set_path(path, speeds_mps=plan.speeds_mps)
    pose, velocity, rows, reached = path[0].copy(), Twist2(), [], False
    for k in range(round(limit_s / PERIOD_S)):
        if peer is not None and k % PEER_EVERY == 0:
            compare(follower, pose, velocity, field, peer)
        began = time.perf_counter()
        step = follower.step(pose, velocity, field, PERIOD_S)
        took_ms = 1000.0 * (time.perf_counter() - began)
        velocity = limit_twist(step.command, velocity, CONFIG.limits, PERIOD_S)
        pose = moved(pose, velocity)
        rows.append((took_ms, cross_track_m(follower.path, pose), velocity.vx_mps, step.remaining_m))
        reached = step.status is FollowStatus.REACHED
        if reached:
            break
    times, cross, speed, remaining = np.array(rows).T
    return Run(times, cross[remaining > END_M], speed, reached)


def moved(pose: np.ndarray, velocity: Twist2) -> np.ndarray:
    """The ideal base's pose (3,) one period later."""
    heading = pose[2] + 0.5 * velocity.wz_radps * PERIOD_S
    step = velocity.vx_mps * PERIOD_S
    return pose + np.array([step * math.cos(heading), step * math.sin(heading), velocity.wz_radps * PERIOD_S])


def cross_track_m(path: np.ndarray, pose: np.ndarray) -> float:
    """Distance of a pose from the line through the points of a path."""
    a, d = path[:-1, :2], np.diff(path[:, :2], axis=0)
    along = ((pose[:2] - a) * d).sum(axis=1) / np.maximum((d * d).sum(axis=1), 1e-12)
    return float(np.linalg.norm(a + np.clip(along, 0.0, 1.0)[:, None] * d - pose[:2], axis=1).min())


def numbers_of(runs: dict[str, list[Run]], peer: Peer) -> dict[str, float]:
    """Times over all steps; cross-track errors and speeds over all drives. MPPI's times have the plain names."""
    numbers = {}
    for name, of_name in runs.items():
        times, cross = (np.concatenate([getattr(run, key) for run in of_name]) for key in ("step_ms", "cross_track_m"))
        prefix = "" if name == "mppi" else f"{name}_"
        numbers |= {f"{prefix}step_p{q}_ms": float(np.percentile(times, q)) for q in (50, 95, 99)}
        numbers |= {f"{name}_cross_track_m": float(cross.mean()), f"{name}_cross_track_max_m": float(cross.max())}
        numbers[f"{name}_reached"] = float(np.mean([run.reached for run in of_name]))
        numbers[f"{name}_time_mean_s"] = float(np.mean([len(run.step_ms) * PERIOD_S for run in of_name]))
    ours, theirs = np.array(peer.ours_ms), np.array(peer.numpy_ms)
    numbers |= {"rollout_p50_ms": float(np.median(ours)), "numpy_rollout_p50_ms": float(np.median(theirs))}
    return numbers | {"time_ratio_numpy": float(np.median(ours / theirs)), "numpy_cost_error": peer.cost_error}


# --- the peer -----------------------------------------------------------------------------------------------------


def compare(follower: PathFollower, pose: np.ndarray, velocity: Twist2, field: Field, peer: Peer) -> None:
    """Sample and roll out as the follower's next step will; then roll the same drives out in NumPy."""
    arguments = follower.rollout_arguments(pose, velocity, field, follower.nearest(pose))
    began = time.perf_counter()
    costs, drives = follower.sample(arguments)
    peer.ours_ms.append(1000.0 * (time.perf_counter() - began))
    began = time.perf_counter()
    expected = rollout_numpy(drives, *arguments)
    peer.numpy_ms.append(1000.0 * (time.perf_counter() - began))
    peer.cost_error = max(peer.cost_error, float((np.abs(costs - expected) / (1.0 + expected)).max()))


def rollout_numpy(
    drives, state, index, path, spacing, distance, origin, resolution, centers, radius, weights, dt
) -> np.ndarray:
    """Costs (K,) of drives (K, steps, 2): the tracker's, with array operations over all drives."""
    top, reverse, turn, accel, decel, turn_accel, margin, w_cross, w_heading, w_near, near_m, per_speed, w_back, _ = (
        weights  # the last is of bases that cannot turn on the spot, which this one can
    )
    count, last = len(drives), len(path) - 1
    x, y, yaw, v, w = np.repeat(np.asarray(state)[:, None], count, axis=1)
    i, cost = np.full(count, index), np.zeros(count)
    for t in range(drives.shape[1]):
        left = (last - i) * spacing
        to_end = np.hypot(path[last, 0] - x, path[last, 1] - y)
        ahead = np.where(left < 1.0, to_end, left)
        cap = np.minimum(np.minimum(top, path[i, 3]), np.sqrt(1.4 * decel * np.maximum(ahead, 0.0)) + 0.05)
        dv = np.minimum(np.maximum(drives[:, t, 0], -reverse), cap) - v
        v = v + np.clip(dv, -np.where(v > 0.0, decel, accel) * dt, np.where(v >= 0.0, accel, decel) * dt)
        w = w + np.clip(np.clip(drives[:, t, 1], -turn, turn) - w, -turn_accel * dt, turn_accel * dt)
        middle = yaw + 0.5 * w * dt
        x, y, yaw = x + v * dt * np.cos(middle), y + v * dt * np.sin(middle), yaw + w * dt
        i, near_sq = _advance(path, i, x, y)
        cos_yaw, sin_yaw, cos_path, sin_path = np.cos(yaw), np.sin(yaw), np.cos(path[i, 2]), np.sin(path[i, 2])
        dx, dy = x - path[i, 0], y - path[i, 1]
        cross = dy * cos_path - dx * sin_path
        left = np.where(i == last, np.sqrt(near_sq), (last - i) * spacing - (dx * cos_path + dy * sin_path))
        clear = _clearance(distance, origin, resolution, x, y, cos_yaw, sin_yaw, centers, radius) - margin
        wish = near_m + per_speed * np.abs(v)
        cost += np.where(clear < 0.0, COLLISION_COST * (dt - 10.0 * clear), 0.0)
        cost += np.where(clear < wish, w_near * np.abs(v) * dt * ((wish - np.maximum(clear, 0.0)) / wish) ** 2, 0.0)
        cost += w_back * np.maximum(-v, 0.0) * dt + w_cross * cross * cross * dt
        cost += w_heading * (1.0 - (cos_yaw * cos_path + sin_yaw * sin_path)) * dt
    return cost + left


def _advance(path: np.ndarray, i: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Walk every drive's index on while the path's next point is no farther; also the squared distance there."""
    last = len(path) - 1
    near_sq = (path[i, 0] - x) ** 2 + (path[i, 1] - y) ** 2
    while True:
        following = np.minimum(i + 1, last)
        next_sq = (path[following, 0] - x) ** 2 + (path[following, 1] - y) ** 2
        on = (i < last) & (next_sq <= near_sq)
        if not on.any():
            return i, near_sq
        i, near_sq = np.where(on, following, i), np.where(on, next_sq, near_sq)


def _clearance(distance, origin, resolution, x, y, cos_yaw, sin_yaw, centers, radius) -> np.ndarray:
    """Bilinear distance less the radius, the least of all discs; where it lies outside the field, far."""
    gx = (x + centers[:, None] * cos_yaw - origin[0]) / resolution - 0.5
    gy = (y + centers[:, None] * sin_yaw - origin[1]) / resolution - 0.5
    col, row = np.floor(gx).astype(int), np.floor(gy).astype(int)
    outside = (row < 0) | (col < 0) | (row + 1 >= distance.shape[0]) | (col + 1 >= distance.shape[1])
    row, col = np.clip(row, 0, distance.shape[0] - 2), np.clip(col, 0, distance.shape[1] - 2)
    fx, fy = gx - col, gy - row
    low = distance[row, col] * (1.0 - fx) + distance[row, col + 1] * fx
    high = distance[row + 1, col] * (1.0 - fx) + distance[row + 1, col + 1] * fx
    return np.where(outside, 1e3, low * (1.0 - fy) + high * fy).min(axis=0) - radius
