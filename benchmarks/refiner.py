# SPDX-License-Identifier: Apache-2.0
"""Path refiner: paths through BARN worlds and apartments, made in seven ways, checked against the true obstacles.

The planner knows the whole world as a grid of 0.04 m cells. In each BARN world A* plans the benchmark's task and a few
ways between random places, in each apartment a few ways. Beside the refiner (the network's path where it passes the
planner's checks, else the elastic band's) stand A*'s own path, the elastic band, a smoothing B-spline through A*'s path
(FITPACK), the network's path unchecked, and L-BFGS on the cost that the network was trained on, unchecked too; and the
sequence planner, checked (its proposal, else the elastic band's path) and unchecked (`sequence_raw`). A path
collides where the footprint, 0.42 x 0.33 m, touches a cylinder or a wall anywhere on it (in an apartment: a cell of a
grid of 1 cm): poses every 5 mm and 0.02 rad, the turns on the spot at both ends included. Clearance is that of the
footprint; curvature is measured on pieces of 0.1 m; maxima are of each path, then averaged; times are medians.

`cost_ratio_to_optimiser`: the mean over paths of the network's cost over L-BFGS's, both as proposed, speeds included.
`time_ratio_to_optimiser`: the median of the same paths' times, one pass of the network, its features and its curve over
L-BFGS's descent; `time_ratio_to_optimiser_checked`: all that the planner does for either, the checks included.
`duration`: of driving the path at its speeds, those of equation (4) of axon_planner.path_cost where a method has none.
Generated worlds have seeds below 500,000, which no training sees; the published worlds are in no training.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from scipy.interpolate import splev, splprep
from scipy.ndimage import binary_erosion

from axon_planner.config import PlannerConfig
from axon_planner.costmap import Costmap, Field
from axon_planner.outline import Discs
from axon_planner.path_cost import DriveScales, drive_cost
from axon_planner.planning import PathPlanner, path_length
from axon_planner.refiner import Driven, Refiner, Verdict
from axon_planner.sequence import SequencePlanner
from axon_planner.smoothing import elastic_band, resample, shortcut, spread, with_headings
from axon_planner.speeds import drivable_speeds, duration_s, sharpest_radpm, speeds_along
from axon_sim.barn import BarnWorld, generate_barn, list_barn, load_barn
from axon_sim.worlds import make_world

STEP_M, STEP_RAD = 0.005, 0.02
ROOM_TO_TURN_M = 0.35  # around the random places, so that the base can turn there
SPLINE_ERROR_M = 0.05
MAP_SIZE_M = 24.0
FINE_M = 0.01
NEAR_M = 3.0
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
    duration_s: float
    time_ms: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options beside --data (folder with the BARN worlds), --json and --seed."""
    parser.add_argument("--worlds", type=int, metavar="N", help="N worlds, evenly spread (default: all; 50 generated)")
    parser.add_argument("--paths", type=int, default=1, metavar="N", help="random paths in each world beside the task")
    parser.add_argument("--apartments", type=int, default=30, metavar="N", help="N apartments too (default: 30)")
    parser.add_argument("--model", default="refiner", metavar="M", help="a shipped model's name or an ONNX file")
    parser.add_argument("--sequence-model", default="sequence", metavar="M", help="the same for the sequence planner")
    parser.add_argument("--plot", type=Path, metavar="DIR", help="draw every world into this folder")


def main(args: argparse.Namespace) -> dict[str, float]:
    """Plan and refine in all worlds; ValueError for data that is not there."""
    refiner, descent = Refiner.load(args.model), Refiner.by_descent()
    sequence = SequencePlanner.load(args.sequence_model)
    planner = PathPlanner(PlannerConfig(map_size_m=MAP_SIZE_M))
    scores: dict[str, list[Score]] = {method: [] for method in METHODS}
    ratios = []
    for number, place in enumerate(places(args, args.apartments)):
        rng = np.random.default_rng([args.seed, number])
        for start, goal in place.tasks(rng, args.paths):
            case = plan(planner, place.costmap, start, goal)
            if case is None:
                continue
            if not ratios:
                compile_all(refiner, descent, sequence, planner, case)
            paths = {method: timed(make, method, refiner, sequence, planner, case) for method in METHODS}
            ratios.append(ratios_of(refiner, descent, planner.config, case))
            for method, (driven, time_ms) in paths.items():
                scores[method].append(score(driven, case, place.obstacles, time_ms))
            if args.plot:
                plot(args.plot / f"{place.name.replace(':', '_')}_{len(ratios)}.png", place, case, paths)
    verdicts = refiner.counts
    print("; ".join(f"{verdict.value} {count}" for verdict, count in verdicts.items() if count))
    numbers = metrics_of(scores, 1.0 - verdicts[Verdict.REFINED] / max(1, sum(verdicts.values())))
    numbers["fallback_not_better_rate"] = verdicts[Verdict.COSTLY] / numbers["paths"]
    numbers |= sequence_rates(sequence)
    cost, ours, theirs, ours_checked, theirs_checked = np.array(ratios).T
    return numbers | {
        "cost_ratio_to_optimiser": float(cost.mean()),
        "cost_ratio_to_optimiser_p95": float(np.percentile(cost, 95)),
        "time_ratio_to_optimiser": float(np.median(ours / theirs)),
        "time_ratio_to_optimiser_checked": float(np.median(ours_checked / theirs_checked)),
        "optimiser_ms": float(np.median(theirs)),
    }


def ratios_of(refiner: Refiner, descent: Refiner, config: PlannerConfig, case: Case) -> tuple[float, ...]:
    """Cost of the network's path over the optimiser's, and the times of both, as proposed and with the checks."""
    costs, times, checked = [], [], []
    counts = dict(refiner.counts)
    for each in (refiner, descent):
        curve, time_ms = timed(each.propose, config, case.field, case.line)
        scales = DriveScales.of(config.limits)
        costs.append(drive_cost(curve.points, curve.speeds, case.field, Discs(config), scales)[0])
        times.append(time_ms)
        checked.append(timed(each.refine, config, case.field, case.raw, case.line, case.classical)[1])
    refiner.counts = counts  # the paths are counted once, where they are scored
    return costs[0] / costs[1], *times, *checked


def sequence_rates(sequence: SequencePlanner) -> dict[str, float]:
    """Shares of the sequence planner's proposals that were not taken: all, and by reason."""
    total = max(1, sum(sequence.counts.values()))
    kept = {verdict: n for verdict, n in sequence.counts.items() if n and verdict is not Verdict.REFINED}
    print("sequence: " + "; ".join(f"{verdict.value} {n}" for verdict, n in kept.items()))
    reasons = {f"sequence_fallback_{verdict.name.lower()}_rate": n / total for verdict, n in kept.items()}
    return {"sequence_fallback_rate": sum(kept.values()) / total} | reasons


def compile_all(
    refiner: Refiner, descent: Refiner, sequence: SequencePlanner, planner: PathPlanner, case: Case
) -> None:
    """Let everything run once, so that no time is that of a compiler."""
    for method in METHODS:
        make(method, refiner, sequence, planner, case)
    ratios_of(refiner, descent, planner.config, case)
    refiner.reset_counts()
    sequence.reset_counts()


def places(args: argparse.Namespace, apartments: int) -> Iterator[Place]:
    """BARN worlds and apartments, each with a costmap that knows it all."""
    data = str(args.data) if args.data else None
    first = 1000 * (args.seed + 1)
    if data:
        names = [f"barn:{i}" for i in list_barn(args.data)]
    else:
        names = [f"barn-like:{(first + i) % (LAST_SEED + 1)}" for i in range(args.worlds or 50)]
    count = len(names) if args.worlds is None else min(args.worlds, len(names))
    for k in np.linspace(0, len(names) - 1, count).round().astype(int):
        index = int(names[k].split(":")[1])
        yield BarnPlace(
            names[k], costmap_of(names[k], data), load_barn(args.data, index) if data else generate_barn(index)
        )
    for i in range(apartments):
        name = f"apartment:{(first + i) % (LAST_SEED + 1)}"
        yield Apartment(name, costmap_of(name, None))


def costmap_of(name: str, data: str | None) -> Costmap:
    """A world's costmap that knows it all."""
    costmap = Costmap(PlannerConfig(map_size_m=MAP_SIZE_M))
    grid = make_world(name, data_dir=data).ground_truth_grid(0.04)
    costmap.roll_to(grid.origin_m + 0.5 * grid.resolution_m * np.array(grid.data.shape[::-1]))
    costmap.set_map(grid)
    return costmap


@dataclass(frozen=True)
class BarnPlace:
    """A BARN world."""

    name: str
    costmap: Costmap
    world: BarnWorld

    @property
    def obstacles(self) -> tuple[np.ndarray, np.ndarray]:
        """Centres (N, 2) and radii (N,) of all cylinders, and of points every 5 mm along walls."""
        world = self.world
        walls = [np.linspace(w[:2], w[2:], 1 + int(np.hypot(*(w[2:] - w[:2])) / STEP_M)) for w in world.walls_m]
        points = np.concatenate([np.zeros((0, 2)), *walls])
        radii = np.concatenate([np.full(len(world.cylinders_m), world.radius_m), np.zeros(len(points))])
        return np.concatenate([world.cylinders_m, points]), radii

    def tasks(self, rng: np.random.Generator, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The benchmark's own start and goal, then pairs of random places in the lane."""
        yield self.world.start, np.append(self.world.goal, np.pi / 2)
        low, high = self.world.cylinders_m.min(axis=0), self.world.cylinders_m.max(axis=0)
        free = free_places(self.costmap)
        yield from random_tasks(free[((free > low) & (free < high)).all(axis=1)], rng, count)


@dataclass(frozen=True)
class Apartment:
    """A generated apartment."""

    name: str
    costmap: Costmap

    @cached_property
    def obstacles(self) -> tuple[np.ndarray, np.ndarray]:
        """Middles (N, 2) of all occupied cells of FINE_M that have a free neighbour, and half their diagonal (N,)."""
        grid = make_world(self.name).ground_truth_grid(FINE_M)
        occupied = grid.data > 0
        rim = np.argwhere(occupied & ~binary_erosion(occupied))
        return grid.origin_m + (rim[:, ::-1] + 0.5) * FINE_M, np.full(len(rim), FINE_M / np.sqrt(2.0))

    def tasks(self, rng: np.random.Generator, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Pairs of random places, one more than in a BARN world."""
        yield from random_tasks(free_places(self.costmap), rng, count + 1)


Place = BarnPlace | Apartment


def free_places(costmap: Costmap) -> np.ndarray:
    """Points (N, 2) that have room to turn."""
    field = costmap.field()
    return field.centers_of(np.argwhere((field.distance_m > ROOM_TO_TURN_M) & ~field.unknown))


def random_tasks(free: np.ndarray, rng: np.random.Generator, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Poses at pairs of places, both looking from the first to the second."""
    for _ in range(count):
        start, goal = free[rng.integers(0, len(free), 2)]
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


def make(method: str, refiner: Refiner, sequence: SequencePlanner, planner: PathPlanner, case: Case) -> Driven:
    """The path (N, 3) of one method, and the speeds (N,) on it."""
    config, field = planner.config, case.field
    if method == "refiner":
        refined = refiner.refine(config, field, case.raw, case.line, case.classical)
        return refined.path, refined.speeds_mps
    if method == "sequence":
        planned = sequence.plan(config, field, case.raw, case.classical)
        return planned.path, planned.speeds_mps
    if method in ("network", "descent"):
        curve = (refiner if method == "network" else Refiner.by_descent()).propose(config, field, case.line)
        path = posed(curve.points, case)
        return path, drivable_speeds(config, path, spread(curve.speeds, len(path)))
    if method == "astar":
        points = case.raw
    elif method == "sequence_raw":
        points = sequence.propose(config, field, case.start[:2], case.goal[:2], case.classical[:, :2])
    elif method == "band":
        points = elastic_band(resample(case.line, 0.05), field, planner.soft_m)
    else:
        points = b_spline(case.raw)
    path = posed(points, case)
    return path, speeds_along(config, field, path)


def posed(points: np.ndarray, case: Case) -> np.ndarray:
    """Poses (N, 3) every 0.05 m along points, with the task's headings at both ends."""
    return with_headings(resample(points, 0.05), last_yaw_rad=case.goal[2], first_yaw_rad=case.start[2])


def b_spline(points: np.ndarray) -> np.ndarray:
    """A cubic smoothing spline through points (N, 2), `SPLINE_ERROR_M` off them in the mean, its ends on theirs."""
    weights = np.ones(len(points))
    weights[[0, -1]] = 1e3
    knots, _ = splprep(points.T, w=weights, s=len(points) * SPLINE_ERROR_M**2)
    return np.stack(splev(np.linspace(0.0, 1.0, 10 * len(points)), knots), axis=1)


def timed(call: Callable[..., Any], *args: object) -> tuple[Any, float]:
    """The result and how long it took, in ms."""
    began = time.perf_counter()
    return call(*args), 1e3 * (time.perf_counter() - began)


def score(driven: Driven, case: Case, obstacles: tuple[np.ndarray, np.ndarray], time_ms: float) -> Score:
    """Measure one path against the truth."""
    path, speeds = driven
    obstacles = near(path, *obstacles)
    everywhere = true_clearance_m(dense(path), *obstacles)
    driven = true_clearance_m(path[1:-1], *obstacles)
    length = path_length(path)
    return Score(
        bool((everywhere <= 0.0).any()),
        float(driven.mean()),
        float(driven.min()),
        sharpest_radpm(path),
        length / path_length(case.raw),
        duration_s(path, speeds),
        time_ms,
    )


def near(path: np.ndarray, centres: np.ndarray, radii: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The obstacles within 3 m of a path's box, or all where there are none: others are nearest to no pose."""
    low, high = path[:, :2].min(axis=0) - NEAR_M, path[:, :2].max(axis=0) + NEAR_M
    inside = ((centres > low) & (centres < high)).all(axis=1)
    return (centres[inside], radii[inside]) if inside.any() else (centres, radii)


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
    print(
        f"{'':<13}{'collisions':>11}{'clearance m':>13}{'least m':>9}{'rad/m':>7}{'length':>8}{'drive s':>9}{'ms':>8}"
    )
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
            f"duration{tag}_s": mean[5],
            f"time{tag}_ms": float(np.median(values[:, 6])),
        }
        print(
            f"{method:<13}{values[:, 0].sum():>11.0f}{mean[1]:>13.4f}{mean[2]:>9.4f}{mean[3]:>7.2f}{mean[4]:>8.4f}"
            f"{mean[5]:>9.2f}{np.median(values[:, 6]):>8.2f}"
        )
    return numbers


def plot(file: Path, place: Place, case: Case, paths: dict[str, tuple[Driven, float]]) -> None:
    """Draw a place with the paths of all methods."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 10))
    for xy, radius in zip(*near(case.raw, *place.obstacles), strict=True):
        axes.add_patch(pyplot.Circle(xy, max(radius, 0.01), color="0.7"))
    for method, colour in (("astar", "tab:red"), ("band", "tab:green"), ("descent", "tab:blue")):
        axes.plot(*paths[method][0][0][:, :2].T, color=colour, lw=1.0, label=method)
    path, speeds = paths["refiner"][0]
    dots = axes.scatter(*path[:, :2].T, c=speeds, s=8, cmap="viridis", label="refiner", zorder=3)
    figure.colorbar(dots, label="m/s")
    axes.set(aspect="equal", title=file.stem)
    axes.legend(loc="lower right")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=80)
    pyplot.close(figure)
