# SPDX-License-Identifier: Apache-2.0
"""Path refiner: paths through BARN worlds, made in seven ways, checked against the true obstacles.

The planner knows the whole world as a grid of 0.04 m cells. In each world A* plans the benchmark's task and a few ways
between random places. Beside the refiner (the network's path where it passes the planner's checks, else the elastic
band's) stand A*'s own path, the elastic band, a smoothing B-spline through A*'s path (FITPACK), the network's path
unchecked, L-BFGS on the cost that the network was trained on, and the sequence planner, checked (its proposal, else the
elastic band's path) and unchecked (`sequence_raw`). A path collides where the footprint, 0.42 x 0.33 m,
touches a cylinder anywhere on it: poses every 5 mm and 0.02 rad, the turns on the spot at both ends included. Clearance
is that of the footprint; curvature is measured on pieces of 0.1 m; maxima are of each path, then averaged; times are
medians. Generated worlds have seeds below 500,000, which no training sees; the published worlds are in no training.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.interpolate import splev, splprep

from axon_planner.config import PlannerConfig
from axon_planner.costmap import Costmap, Field
from axon_planner.outline import Discs
from axon_planner.path_cost import descend, make_reference
from axon_planner.planning import PathPlanner, path_length
from axon_planner.refiner import Refiner, Verdict, sharpest_radpm
from axon_planner.sequence import SequencePlanner
from axon_planner.smoothing import elastic_band, resample, shortcut, with_headings
from axon_sim.barn import BarnWorld, generate_barn, list_barn, load_barn
from axon_sim.worlds import make_world

STEP_M, STEP_RAD = 0.005, 0.02
ROOM_TO_TURN_M = 0.35  # around the random places, so that the base can turn there
SPLINE_ERROR_M = 0.05
LAST_SEED = 499_999
METHODS = ("refiner", "astar", "band", "spline", "network", "descent", "sequence", "sequence_raw")
HALF_M = np.array([0.21, 0.165])


@dataclass(frozen=True)
class Case:
    """One task in one world: poses (3,) and what the planner found."""

    field: Field
    start: np.ndarray
    goal: np.ndarray
    raw: np.ndarray
    line: np.ndarray
    classical: np.ndarray


@dataclass(frozen=True)
class Score:
    """One path's numbers."""

    collides: bool
    clearance_mean_m: float
    clearance_min_m: float
    curvature_radpm: float
    length_ratio: float
    time_ms: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options beside --data (folder with the BARN worlds), --json and --seed."""
    parser.add_argument("--worlds", type=int, metavar="N", help="N worlds, evenly spread (default: all; 50 generated)")
    parser.add_argument("--paths", type=int, default=1, metavar="N", help="random paths in each world beside the task")
    parser.add_argument("--model", default="refiner", metavar="M", help="a shipped model's name or an ONNX file")
    parser.add_argument("--sequence-model", default="sequence", metavar="M", help="the same for the sequence planner")
    parser.add_argument("--plot", type=Path, metavar="DIR", help="draw every world into this folder")


def main(args: argparse.Namespace) -> dict[str, float]:
    """Plan and refine in all worlds; ValueError for data that is not there."""
    refiner, sequence = Refiner.load(args.model), SequencePlanner.load(args.sequence_model)
    planner = PathPlanner(PlannerConfig(map_size_m=24.0))
    scores: dict[str, list[Score]] = {method: [] for method in METHODS}
    for world, costmap in worlds(args):
        obstacles = obstacles_of(world)
        rng = np.random.default_rng([args.seed, len(scores["astar"])])
        for start, goal in tasks(world, costmap, rng, args.paths):
            case = plan(planner, costmap, start, goal)
            if case is None:
                continue
            if not scores["astar"]:
                compile_all(refiner, sequence, planner, case)
            paths = {method: timed(make, method, refiner, sequence, planner, case) for method in METHODS}
            for method, (path, time_ms) in paths.items():
                scores[method].append(score(path, case, obstacles, time_ms))
            if args.plot:
                plot(args.plot / f"{world.name.replace(':', '_')}_{len(scores['astar'])}.png", world, case, paths)
    verdicts = refiner.counts
    print("; ".join(f"{verdict.value} {count}" for verdict, count in verdicts.items() if count))
    numbers = metrics_of(scores, 1.0 - verdicts[Verdict.REFINED] / max(1, sum(verdicts.values())))
    numbers["fallback_not_better_rate"] = verdicts[Verdict.COSTLY] / numbers["paths"]
    return numbers | sequence_rates(sequence)


def sequence_rates(sequence: SequencePlanner) -> dict[str, float]:
    """Shares of the sequence planner's proposals that were not taken: all, and by reason."""
    total = max(1, sum(sequence.counts.values()))
    kept = {verdict: n for verdict, n in sequence.counts.items() if n and verdict is not Verdict.REFINED}
    print("sequence: " + "; ".join(f"{verdict.value} {n}" for verdict, n in kept.items()))
    reasons = {f"sequence_fallback_{verdict.name.lower()}_rate": n / total for verdict, n in kept.items()}
    return {"sequence_fallback_rate": sum(kept.values()) / total} | reasons


def compile_all(refiner: Refiner, sequence: SequencePlanner, planner: PathPlanner, case: Case) -> None:
    """Let everything run once, so that no time is that of a compiler."""
    for method in METHODS:
        make(method, refiner, sequence, planner, case)
    refiner.reset_counts()
    sequence.reset_counts()


def worlds(args: argparse.Namespace):
    """Worlds, each with a costmap that knows it all."""
    if args.data:
        names = [(f"barn:{i}", lambda i=i: load_barn(args.data, i)) for i in list_barn(args.data)]
    else:
        numbers = [(1000 * (args.seed + 1) + i) % (LAST_SEED + 1) for i in range(args.worlds or 50)]
        names = [(f"barn-like:{i}", lambda i=i: generate_barn(i)) for i in numbers]
    count = len(names) if args.worlds is None else min(args.worlds, len(names))
    for k in np.linspace(0, len(names) - 1, count).round().astype(int):
        name, load = names[k]
        costmap = Costmap(PlannerConfig(map_size_m=24.0))
        grid = make_world(name, data_dir=str(args.data) if args.data else None).ground_truth_grid(0.04)
        costmap.roll_to(grid.origin_m + 0.5 * grid.resolution_m * np.array(grid.data.shape[::-1]))
        costmap.set_map(grid)
        yield load(), costmap


def obstacles_of(world: BarnWorld) -> tuple[np.ndarray, np.ndarray]:
    """Centres (N, 2) and radii (N,) of all cylinders, and of points every 5 mm along walls."""
    walls = [np.linspace(w[:2], w[2:], 1 + int(np.hypot(*(w[2:] - w[:2])) / STEP_M)) for w in world.walls_m]
    points = np.concatenate([np.zeros((0, 2)), *walls])
    radii = np.concatenate([np.full(len(world.cylinders_m), world.radius_m), np.zeros(len(points))])
    return np.concatenate([world.cylinders_m, points]), radii


def tasks(world: BarnWorld, costmap: Costmap, rng: np.random.Generator, count: int):
    """The benchmark's own start and goal, then pairs of random places in the lane."""
    yield world.start, np.append(world.goal, np.pi / 2)
    field = costmap.field()
    low, high = world.cylinders_m.min(axis=0), world.cylinders_m.max(axis=0)
    cells = np.argwhere(field.distance_m > ROOM_TO_TURN_M)
    places = field.centers_of(cells)
    places = places[((places > low) & (places < high)).all(axis=1)]
    for _ in range(count):
        start, goal = places[rng.integers(0, len(places), 2)]
        yaw = float(np.arctan2(*(goal - start)[::-1]))
        yield np.append(start, yaw), np.append(goal, yaw)


def plan(planner: PathPlanner, costmap: Costmap, start: np.ndarray, goal: np.ndarray) -> Case | None:
    """A* and the classical smoothing; None where there is no way, or next to none to go."""
    result = planner.plan(costmap, start, goal)
    if not result.found or path_length(result.raw) < 1.0:
        return None
    field = costmap.field(start, goal)
    line = shortcut(result.raw, planner.cost_of(field), field)
    return Case(field, start, goal, result.raw, line, result.path)


def make(method: str, refiner: Refiner, sequence: SequencePlanner, planner: PathPlanner, case: Case) -> np.ndarray:
    """The path (N, 3) of one method."""
    config = planner.config
    if method == "refiner":
        return refiner.refine(config, case.field, case.raw, case.line, case.classical)[0]
    if method == "sequence":
        return sequence.plan(config, case.field, case.raw, case.classical)[0]
    if method == "astar":
        points = case.raw
    elif method == "band":
        points = elastic_band(resample(case.line, 0.05), case.field, planner.soft_m)
    elif method == "spline":
        points = b_spline(case.raw)
    elif method == "network":
        points = refiner.propose(config, case.field, case.line)
    elif method == "sequence_raw":
        points = sequence.propose(config, case.field, case.start[:2], case.goal[:2], case.classical[:, :2])
    else:
        reference = make_reference(case.line)
        points = reference.curve(descend(reference, case.field, Discs(config)))
    return with_headings(resample(points, 0.05), last_yaw_rad=case.goal[2], first_yaw_rad=case.start[2])


def b_spline(points: np.ndarray) -> np.ndarray:
    """A cubic smoothing spline through points (N, 2), `SPLINE_ERROR_M` off them in the mean, its ends on theirs."""
    weights = np.ones(len(points))
    weights[[0, -1]] = 1e3
    knots, _ = splprep(points.T, w=weights, s=len(points) * SPLINE_ERROR_M**2)
    return np.stack(splev(np.linspace(0.0, 1.0, 10 * len(points)), knots), axis=1)


def timed(call: Callable[..., np.ndarray], *args: object) -> tuple[np.ndarray, float]:
    """The result and how long it took, in ms."""
    began = time.perf_counter()
    return call(*args), 1e3 * (time.perf_counter() - began)


def score(path: np.ndarray, case: Case, obstacles: tuple[np.ndarray, np.ndarray], time_ms: float) -> Score:
    """Measure one path against the truth."""
    everywhere = true_clearance_m(dense(path), *obstacles)
    driven = true_clearance_m(path[1:-1], *obstacles)
    length = path_length(path)
    return Score(
        bool((everywhere <= 0.0).any()),
        float(driven.mean()),
        float(driven.min()),
        sharpest_radpm(path),
        length / path_length(case.raw),
        time_ms,
    )


def dense(path: np.ndarray) -> np.ndarray:
    """Poses (K, 3) on the way through poses (N, 3), at most STEP_M and STEP_RAD apart."""
    path = path.copy()
    path[:, 2] = np.unwrap(path[:, 2])
    # The turns on the spot come first and last: not spread over the first and the last piece.
    first, last = path[:1].copy(), path[-1:].copy()
    path[0, 2], path[-1, 2] = path[1, 2], path[-2, 2]
    path = np.concatenate([first, path, last])
    move = np.linalg.norm(np.diff(path[:, :2], axis=0), axis=1) / STEP_M
    count = np.ceil(np.maximum(move, np.abs(np.diff(path[:, 2])) / STEP_RAD)).astype(int).clip(min=1)
    pieces = [a + (b - a) * np.linspace(0.0, 1.0, n, endpoint=False)[:, None] for a, b, n in _pairs(path, count)]
    return np.concatenate([*pieces, path[-1:]])


def _pairs(path: np.ndarray, count: np.ndarray):
    return zip(path[:-1], path[1:], count, strict=True)


def true_clearance_m(poses: np.ndarray, centres: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Signed distance (K,) from the rectangle at poses (K, 3) to the nearest of the discs."""
    return np.concatenate(
        [_clearance_m(block, centres, radii) for block in np.array_split(poses, len(poses) // 256 + 1)]
    )


def _clearance_m(poses: np.ndarray, centres: np.ndarray, radii: np.ndarray) -> np.ndarray:
    offset = centres[None] - poses[:, None, :2]
    cos, sin = np.cos(poses[:, 2:]), np.sin(poses[:, 2:])
    ahead = np.abs(cos * offset[..., 0] + sin * offset[..., 1]) - HALF_M[0]
    aside = np.abs(cos * offset[..., 1] - sin * offset[..., 0]) - HALF_M[1]
    distance = np.hypot(np.maximum(ahead, 0.0), np.maximum(aside, 0.0)) + np.minimum(np.maximum(ahead, aside), 0.0)
    return (distance - radii).min(axis=1)


def metrics_of(scores: dict[str, list[Score]], fallback_rate: float) -> dict[str, float]:
    """Flat numbers: those of the refiner under their plain names, those of the others with the method's name."""
    if not scores["astar"]:
        raise ValueError("no path in any world: nothing to measure")
    numbers: dict[str, float] = {"paths": len(scores["astar"]), "fallback_rate": fallback_rate}
    print(f"{'':<9}{'collisions':>11}{'clearance m':>13}{'least m':>9}{'rad/m':>7}{'length':>8}{'ms':>8}")
    for method, rows in scores.items():
        values = np.array([tuple(vars(row).values()) for row in rows], dtype=float)
        mean, tag = values.mean(axis=0), "" if method == "refiner" else f"_{method}"
        numbers |= {
            f"collisions{tag}": float(values[:, 0].sum()),
            f"clearance_mean{tag}_m": mean[1],
            f"clearance_min{tag}_m": mean[2],
            f"curvature_max{tag}_radpm": mean[3],
            f"curvature_worst{tag}_radpm": values[:, 3].max(),
            f"length_ratio{tag}": mean[4],
            f"length_ratio_max{tag}": values[:, 4].max(),
            f"time{tag}_ms": float(np.median(values[:, 5])),
        }
        print(
            f"{method:<9}{values[:, 0].sum():>11.0f}{mean[1]:>13.4f}{mean[2]:>9.4f}{mean[3]:>7.2f}{mean[4]:>8.4f}"
            f"{np.median(values[:, 5]):>8.2f}"
        )
    return numbers


def plot(file: Path, world: BarnWorld, case: Case, paths: dict[str, tuple[np.ndarray, float]]) -> None:
    """Draw a world with the paths of all methods."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(5, 10))
    for xy in world.cylinders_m:
        axes.add_patch(pyplot.Circle(xy, world.radius_m, color="0.7"))
    for method, colour in (("astar", "tab:red"), ("band", "tab:green"), ("descent", "tab:blue"), ("refiner", "k")):
        axes.plot(*paths[method][0][:, :2].T, color=colour, lw=1.0, label=method)
    axes.set(aspect="equal", title=file.stem)
    axes.legend(loc="lower right")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=80)
    pyplot.close(figure)
