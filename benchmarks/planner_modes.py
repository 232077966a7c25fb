# SPDX-License-Identifier: Apache-2.0
"""All planners beside exact A*: weighted, theta, footprint and hybrid; in generated worlds, and on MovingAI's maps.

In apartments and BARN-like worlds, known as a whole, between random poses. Three bases: 0.42 x 0.33 m that turns on the
spot (astar, weighted, theta, footprint), one of 1.0 x 0.4 m (names with `long_`), a car of 0.6 x 0.4 m whose tightest
circle is 0.6 m (names with `car_`). `length_ratio` is the mean of a path's length over A*'s of the same base,
`time_ratio` the median of the times of whole plans, each the best of --repeat; `hits`: share of the paths on which the
footprint, an oriented rectangle, comes over the centre of an occupied cell, turns on the spot included.
With --data, also on MovingAI's maps (Sturtevant 2012), where every cell costs alike: searches alone, over A* cell by
cell. scikit-image's MCP_Geometric answers the same problems where it is installed. Where OMPL is installed, its Reeds
and Shepp's and Dubins' lengths are compared with ours, and its RRT-Connect over Reeds and Shepp's curves, asked by our
test of a pose, plans for the car; its time includes the calls from C++ to Python.
"""

from __future__ import annotations

import argparse
import importlib
import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from movingai import find_maps, read_map, read_problems
from stopwatch import best_of

from axon_planner.any_angle import find_any_angle_path
from axon_planner.config import PlannerConfig
from axon_planner.costmap import Costmap, Field
from axon_planner.outline import clearance_along
from axon_planner.planning import PathPlanner, PlanResult, path_length
from axon_planner.pose_search import is_free, make_body
from axon_planner.reeds_shepp import dubins, reeds_shepp
from axon_planner.search import SearchResult, find_path
from axon_sim.worlds import make_world

MAP_M = 24.0
ROOM_M = 0.65  # every base can stand and turn at both ends
BASE = PlannerConfig(map_size_m=MAP_M, refine=False, search_weight=1.5, search_timeout_s=10.0)
LONG = replace(BASE, footprint_length_m=1.0, footprint_width_m=0.4)
CAR = replace(BASE, footprint_length_m=0.6, footprint_width_m=0.4, min_turning_radius_m=0.6)
CASES = {
    "astar": (BASE, "astar"),
    "weighted": (BASE, "weighted"),
    "theta": (BASE, "theta"),
    "footprint": (BASE, "footprint"),
    "long_astar": (LONG, "astar"),
    "long_footprint": (LONG, "footprint"),
    "car_astar": (CAR, "astar"),
    "car_hybrid": (CAR, "hybrid"),
}
OVER = {"long_footprint": "long_astar", "car_hybrid": "car_astar"}  # the others are compared with astar
RADIUS_M = 1.0
OMPL_S = 5.0

Row = dict[str, float]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options beside --data (folder with MovingAI's maps), --json and --seed."""
    parser.add_argument("--worlds", type=int, default=6, metavar="N", help="generated worlds of each kind (default: 6)")
    parser.add_argument("--problems", type=int, default=5, metavar="N", help="of each world or map (default: 5)")
    parser.add_argument("--repeat", type=int, default=2, metavar="N", help="runs of each, the best counts (default: 2)")


def main(args: argparse.Namespace) -> dict[str, float]:
    """Measure all worlds and maps; ValueError for data that is not there."""
    if min(args.worlds, args.problems, args.repeat) < 1:
        raise ValueError("--worlds, --problems and --repeat: expected 1 or more")
    files = find_maps(args.data) if args.data else []
    ompl = ompl_parts()
    rows = list(measure_worlds(args, ompl))
    numbers = metrics_of(rows, ompl is not None) | {"problems": len(rows)}
    if ompl is not None:
        numbers |= curve_errors(ompl[0], args.seed)
    if files:
        numbers |= measure_maps(files, args)
    return numbers


def measure_worlds(args: argparse.Namespace, ompl: Any) -> Iterator[Row]:
    """Yield the numbers of each problem in generated worlds."""
    compiled = False
    for kind in ("apartment", "barn-like"):
        for k in range(args.worlds):
            seed = 100 * (args.seed + 1) + k
            field = field_of(f"{kind}:{seed}")
            rng = np.random.default_rng([args.seed, k, len(kind)])
            for start, goal in tasks(field, rng, args.problems):
                if not compiled:
                    solve(field, start, goal, 1, ompl)
                    compiled = True
                yield solve(field, start, goal, args.repeat, ompl)
            print(f"  {kind}:{seed}", flush=True)


def field_of(name: str) -> Field:
    """Return the distances in a world that is known as a whole."""
    costmap = Costmap(BASE)
    grid = make_world(name).ground_truth_grid(BASE.resolution_m)
    costmap.roll_to(grid.origin_m + 0.5 * grid.resolution_m * np.array(grid.data.shape[::-1]))
    costmap.set_map(grid)
    return costmap.field()


def tasks(field: Field, rng: np.random.Generator, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield pairs of poses at random places with room, on known floor, at least 2 m apart."""
    places = field.centers_of(np.argwhere((field.distance_m > ROOM_M) & ~field.unknown))
    while count > 0:
        start, goal = places[rng.integers(0, len(places), 2)]
        if np.linalg.norm(goal - start) > 2.0:
            count -= 1
            yield np.append(start, rng.uniform(-math.pi, math.pi)), np.append(goal, rng.uniform(-math.pi, math.pi))


def solve(field: Field, start: np.ndarray, goal: np.ndarray, repeat: int, ompl: Any) -> Row:
    """Plan one problem in every way."""
    row: Row = {}
    for name, (config, planner) in CASES.items():
        made = PathPlanner(config)
        seconds, plan = best_of(repeat, partial(made.plan_on, field, start, goal, planner))
        row |= scored(name, config, field, plan, seconds)
    if ompl is not None:
        seconds, length = best_of(1, lambda: by_ompl(ompl, field, start, goal))
        row |= {"ompl_found": float(length < math.inf), "ompl_ms": 1e3 * seconds, "ompl_length": length}
    return row


def scored(name: str, config: PlannerConfig, field: Field, plan: PlanResult, seconds: float) -> Row:
    row = {f"{name}_found": float(plan.found), f"{name}_ms": 1e3 * seconds, f"{name}_expanded": plan.expanded}
    if plan.found:
        row[f"{name}_length"] = path_length(plan.path)
        row[f"{name}_hits"] = float(clearance_along(config, field, plan.path) < -0.01)  # it may say 0.01 too little
    return row


def metrics_of(rows: list[Row], with_ompl: bool) -> dict[str, float]:
    """Return all numbers of the generated worlds."""
    numbers: dict[str, float] = {}
    for name in CASES:
        numbers[f"{name}_found"] = float(np.mean([row[f"{name}_found"] for row in rows]))
        numbers[f"{name}_hits"] = _mean(rows, lambda row, n=name: row[f"{n}_hits"])
        numbers[f"{name}_ms_p50"] = float(np.median([row[f"{name}_ms"] for row in rows]))
        numbers[f"{name}_ms_p95"] = float(np.percentile([row[f"{name}_ms"] for row in rows], 95))
        if name not in OVER.values() and name != "astar":
            other = OVER.get(name, "astar")
            numbers |= ratios(rows, name, other)
    if with_ompl:
        numbers["ompl_found"] = float(np.mean([row["ompl_found"] for row in rows]))
        numbers["ompl_ms_p50"] = float(np.median([row["ompl_ms"] for row in rows]))
        numbers |= {
            f"car_hybrid_over_ompl_{key}": value for key, value in ratios(rows, "car_hybrid", "ompl", "").items()
        }
    return numbers


def ratios(rows: list[Row], name: str, other: str, prefix: str | None = None) -> dict[str, float]:
    """Return the mean of length over length and the median of time over time, where both have found a path."""
    prefix = f"{name}_" if prefix is None else prefix
    both = [row for row in rows if row[f"{name}_found"] and row[f"{other}_found"]]
    return {
        f"{prefix}length_ratio": _mean(both, lambda row: row[f"{name}_length"] / row[f"{other}_length"]),
        f"{prefix}time_ratio": float(np.median([row[f"{name}_ms"] / row[f"{other}_ms"] for row in both])),
    }


def _mean(rows: list[Row], value: Callable[[Row], float]) -> float:
    values = []
    for row in rows:
        try:
            values.append(value(row))
        except KeyError:  # no path, nothing to measure
            continue
    return float(np.mean(values)) if values else math.nan


def ompl_parts() -> tuple[Any, Any] | None:
    """Return OMPL's modules base and geometric; None where it is not installed, which is said."""
    try:
        util = importlib.import_module("ompl.util")
        util.setLogLevel(util.LogLevel.LOG_ERROR)
        return importlib.import_module("ompl.base"), importlib.import_module("ompl.geometric")
    except ImportError:
        print("  ompl is not installed: its lengths and its RRT-Connect are left out")
        return None


def by_ompl(ompl: tuple[Any, Any], field: Field, start: np.ndarray, goal: np.ndarray) -> float:
    """Return the length in metres of what RRT-Connect finds and OMPL simplifies; inf where it finds none in time."""
    base, geometric = ompl
    space = base.ReedsSheppStateSpace(CAR.min_turning_radius_m)
    bounds = base.RealVectorBounds(2)
    height, width = field.distance_m.shape
    for axis, cells in enumerate((width, height)):
        bounds.setLow(axis, float(field.origin_m[axis]))
        bounds.setHigh(axis, float(field.origin_m[axis] + cells * field.resolution_m))
    space.setBounds(bounds)
    setup = geometric.SimpleSetup(space)
    body = make_body(CAR, field, start)
    setup.setStateValidityChecker(lambda state: bool(is_free(body, state.getX(), state.getY(), state.getYaw())))
    setup.getSpaceInformation().setStateValidityCheckingResolution(0.04 / space.getMaximumExtent())
    setup.setStartAndGoalStates(_state(space, start), _state(space, goal))
    setup.setPlanner(geometric.RRTConnect(setup.getSpaceInformation()))
    if not setup.solve(OMPL_S) or not setup.haveExactSolutionPath():
        return math.inf
    setup.simplifySolution()
    return float(setup.getSolutionPath().length())


def _state(space: Any, pose: np.ndarray) -> Any:
    state = space.allocState()
    state.setX(float(pose[0]))
    state.setY(float(pose[1]))
    state.setYaw(float(math.remainder(pose[2], 2.0 * math.pi)))
    return state


def curve_errors(base: Any, seed: int, count: int = 2000) -> dict[str, float]:
    """Return the largest differences of OMPL's lengths of shortest curves and ours, in radii."""
    rng, numbers = np.random.default_rng(seed), {}
    for name, ours, make in (
        ("reeds_shepp", reeds_shepp, base.ReedsSheppStateSpace),
        ("dubins", dubins, base.DubinsStateSpace),
    ):
        space, worst = make(RADIUS_M), 0.0
        for start, goal in rng.uniform([-4.0, -4.0, -math.pi], [4.0, 4.0, math.pi], (count, 2, 3)):
            theirs = space.distance(_state(space, start), _state(space, goal))
            worst = max(worst, abs(theirs - ours(start, goal, RADIUS_M).length_m))
        numbers[f"{name}_error_to_ompl"] = worst
    return numbers


def measure_maps(files: list[Path], args: argparse.Namespace) -> dict[str, float]:
    """Return lengths, expansions and times on MovingAI's maps over those of exact A* cell by cell."""
    columns = defaultdict(list)
    mcp = mcp_module()
    for file in files:
        blocked = read_map(file)
        alike = np.ones(blocked.shape, np.float32)
        problems = read_problems(file)
        for index in np.linspace(len(problems) // 8, len(problems) - 1, args.problems).astype(int):
            ends = (problems[index].start, problems[index].goal)
            seconds, exact = best_of(args.repeat, lambda b=blocked, e=ends, a=alike: find_path(b, *e, a))
            ways: dict[str, Callable[[], SearchResult]] = {
                f"weighted_{weight:g}": partial(find_path, blocked, *ends, alike, weight=weight)
                for weight in (1.1, 1.5, 3.0)
            }
            ways["theta"] = partial(find_any_angle_path, blocked, *ends, alike)
            for name, way in ways.items():
                taken, result = best_of(args.repeat, way)
                columns[f"{name}_length_ratio"].append(result.cost / max(exact.cost, 1e-9))
                columns[f"{name}_expansion_ratio"].append(result.expanded / max(exact.expanded, 1))
                columns[f"{name}_time_ratio"].append(taken / seconds)
            if mcp is not None:
                taken, _ = best_of(args.repeat, partial(by_mcp, mcp, blocked, *ends))
                columns["mcp_time_ratio"].append(taken / seconds)
        print(f"  {file.stem}", flush=True)
    numbers = {
        f"maps_{key}": float(np.mean(values) if key.endswith("length_ratio") else np.median(values))
        for key, values in columns.items()
    }
    return numbers | {"maps": len(files), "maps_theta_length_ratio_max": float(max(columns["theta_length_ratio"]))}


def mcp_module() -> Any:
    """Return skimage.graph; None where it is not installed, which is said."""
    try:
        return importlib.import_module("skimage.graph")
    except ImportError:
        print("  skimage.graph is not installed: maps_mcp_time_ratio is left out")
        return None


def by_mcp(module: Any, blocked: np.ndarray, start: tuple[int, int], goal: tuple[int, int]) -> Any:
    """Return MCP_Geometric's path; its diagonal steps may cut corners."""
    search = module.MCP_Geometric(np.where(blocked, -1.0, 1.0))
    search.find_costs([start], [goal])
    return search.traceback(goal)
