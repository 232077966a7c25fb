# SPDX-License-Identifier: Apache-2.0
"""Learned guide in a robot's own costmaps, where cells have costs: expansions, costs and time beside A*'s.

Worlds like those of BARN, generated, or with --data the published ones; of each the benchmark's own start and goal and
--paths random pairs, on the costmap that the planner would search (cells of 4 cm, 600 a side, dearer near obstacles).
A* is the planner's own (`find_path`). `expansion_ratio` is the median of expanded cells, guided over A*,
`expansion_ratio_mean` the mean, `cost_ratio` the mean of costs over the optimum. `time_ratio_map_read` is the median
time of sweep and search over A*'s, `time_ratio` with reading the map, as the planner does for every plan. `unweighted`
reads the map without its costs, `weighted` is weighted A* of the same bound.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
from refiner import places
from stopwatch import best_of

from axon_planner.config import PlannerConfig
from axon_planner.guide import Guide, GuidedResult, Reading, guided_path
from axon_planner.planning import PathPlanner
from axon_planner.search import find_path

BLOCKED_COST = 1e6


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options beside --data (folder with the BARN worlds), --json and --seed."""
    parser.add_argument("--worlds", type=int, default=20, metavar="N", help="worlds (default: 20)")
    parser.add_argument("--paths", type=int, default=1, metavar="N", help="random paths in each world beside the task")
    parser.add_argument("--model", default="guide", metavar="M", help="a shipped model's name or an ONNX file")
    bound = PlannerConfig().guide_bound
    parser.add_argument(
        "--bound", type=float, default=bound, metavar="W", help=f"at most W times the optimum ({bound:g})"
    )


def main(args: argparse.Namespace) -> dict[str, float]:
    """Search every pair in every world; ValueError where none of them has a way."""
    guide = Guide.load(args.model)
    rows = [row for problem in problems(args) if (row := solve(guide, *problem, args.bound)) is not None]
    if not rows:
        raise ValueError(f"no start and goal with a way between them in {args.worlds} worlds: ask for more of them")
    columns = {key: np.array([row[key] for row in rows]) for key in rows[0]}
    violations = float(columns.pop("violation").sum())
    numbers = {key: float(v.mean() if key.startswith("cost") else np.median(v)) for key, v in columns.items()}
    numbers["expansion_ratio_mean"] = float(columns["expansion_ratio"].mean())
    return {**numbers, "bound_violations": violations, "bound": args.bound, "problems": len(rows)}


def problems(args: argparse.Namespace) -> Iterator[tuple[np.ndarray, tuple[int, int], tuple[int, int]]]:
    """Cost (H, W) of each cell, inf where blocked, with start and goal cells."""
    planner = PathPlanner(PlannerConfig(map_size_m=24.0))
    for number, place in enumerate(places(args, apartments=0)):
        for start, goal in place.tasks(np.random.default_rng([args.seed, number]), args.paths):
            field = place.costmap.field(start, goal)
            yield planner.cost_of(field), field.cell_of(start), field.cell_of(goal)


def solve(
    guide: Guide, cost: np.ndarray, start: tuple[int, int], goal: tuple[int, int], bound: float
) -> dict[str, float] | None:
    """Expansions, costs and times of all searches of one problem; None where there is no way."""
    blocked = ~np.isfinite(cost)
    cost = np.where(blocked, np.float32(BLOCKED_COST), cost)
    plain_s, plain = best_of(3, lambda: find_path(blocked, start, goal, cost))
    if not plain.found or plain.expanded == 0:
        return None
    read_s, reading = best_of(3, lambda: guide.read(blocked, cost=cost))

    def search(from_map: Reading | None) -> GuidedResult:
        ahead = None if from_map is None else from_map.towards(goal, start)
        return guided_path(blocked, start, goal, ahead, cost, bound)

    guided_s, guided = best_of(3, lambda: search(reading))
    unweighted, weighted = search(guide.read(blocked)), search(None)
    return {
        "cells": plain.expanded,
        "expansion_ratio": guided.expanded / plain.expanded,
        "expansion_ratio_unweighted": unweighted.expanded / plain.expanded,
        "expansion_ratio_weighted": weighted.expanded / plain.expanded,
        "cost_ratio": guided.cost / plain.cost,
        "cost_ratio_unweighted": unweighted.cost / plain.cost,
        "cost_ratio_weighted": weighted.cost / plain.cost,
        "violation": guided.cost > bound * plain.cost + 1e-6,
        "time_ratio": (read_s + guided_s) / plain_s,
        "time_ratio_map_read": guided_s / plain_s,
        "read_ms": 1e3 * read_s,
        "guided_ms": 1e3 * guided_s,
        "astar_ms": 1e3 * plain_s,
    }
