# SPDX-License-Identifier: Apache-2.0
"""Learned guide on the grid maps of Moving AI (Sturtevant 2012): expansions, costs and time beside A*'s.

--data is a folder with .map files, each with its .map.scen, in any subfolder. Of every scenario --problems are taken,
evenly spread over its lengths, the first eighth left out (hardly longer than a straight line). Diagonal steps cost sqrt
2 and cut no corner. Every problem is searched by A*, by the guided search, and by its peers without a network: weighted
A* of the same bound, and weighted A* of bound 1.1, in one process. All of them are this package's own, compiled.

`expansion_ratio` is the median of expanded cells, guided over A*; `cost_ratio` the mean of costs over the optimum;
`time_ratio` the median time over A*'s when every problem pays for the network's pass, the sweep and the search;
`time_ratio_map_read` when the map was read before (the network answers for a map, not for a problem: as many starts and
goals as one likes share it). `expansion_ratio_lattice_counted` adds every lattice node swept to the guided search's
cells.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from axon_planner.guide import BOUND, Guide, guided_path

TOLERANCE = 0.02  # some published lengths are rounded
PASSABLE = (".", "G")


@dataclass(frozen=True)
class Problem:
    """A start, a goal (row, col), and the published optimal length."""

    start: tuple[int, int]
    goal: tuple[int, int]
    optimal: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options beside --data (folder of maps), --json and --seed."""
    parser.add_argument("--problems", type=int, default=10, metavar="N", help="problems of each map (default: 10)")
    parser.add_argument("--model", default="guide", metavar="M", help="a shipped model's name or an ONNX file")
    parser.add_argument(
        "--bound", type=float, default=BOUND, metavar="W", help=f"at most W times the optimum ({BOUND:g})"
    )


def main(args: argparse.Namespace) -> dict[str, float]:
    """Search every problem of every map; ValueError for data that is not there."""
    files = sorted(args.data.rglob("*.map")) if args.data else []
    if not files:
        raise ValueError(f"no .map in {args.data}: name a folder of Moving AI maps in --data")
    guide = Guide.load(args.model)
    rows = []
    for file in files:
        blocked = load_map(file)
        mine = [solve(guide, blocked, problem, args.bound) for problem in load_problems(file, args.problems)]
        print(f"  {file.parent.name + '/' + file.stem:<28} {len(mine):>3}  {_line(mine)}", flush=True)
        rows += mine
    return metrics_of(rows, len(files), args.bound)


def load_map(file: Path) -> np.ndarray:
    """Blocked cells (H, W) bool."""
    lines = file.read_text("utf-8").splitlines()
    head = lines.index("map")
    return np.array([[letter not in PASSABLE for letter in line] for line in lines[head + 1 :] if line])


def load_problems(file: Path, count: int) -> list[Problem]:
    """`count` problems of a map's scenario, evenly spread over its longer seven eighths."""
    lines = [line.split() for line in file.with_suffix(".map.scen").read_text("utf-8").splitlines()[1:] if line.strip()]
    problems = []
    for k in np.linspace(len(lines) // 8, len(lines) - 1, count).astype(int):
        *_, start_x, start_y, goal_x, goal_y, optimal = lines[k]
        problems.append(Problem((int(start_y), int(start_x)), (int(goal_y), int(goal_x)), float(optimal)))
    return problems


def solve(guide: Guide, blocked: np.ndarray, problem: Problem, bound: float) -> dict[str, float]:
    """Expansions, costs and times of all searches of one problem, each the best of three times."""
    ends = (problem.start, problem.goal)
    read_s, reading = timed(lambda: guide.read(blocked))
    sweep_s, ahead = timed(lambda: reading.towards(problem.goal))
    plain_s, plain = timed(lambda: guided_path(blocked, *ends, bound=1.0))
    guided_s, guided = timed(lambda: guided_path(blocked, *ends, ahead, bound=bound))
    weighted_s, weighted = timed(lambda: guided_path(blocked, *ends, bound=bound))
    _, careful = timed(lambda: guided_path(blocked, *ends, bound=1.1))
    if abs(plain.cost - problem.optimal) > TOLERANCE:
        raise ValueError(f"A* finds {plain.cost}, the scenario says {problem.optimal}: expected the same")
    cells, best = max(1, plain.expanded), max(1.0, plain.cost)
    nodes = int(np.isfinite(ahead.lattice).sum())
    return {
        "cells": cells,
        "expansion_ratio": guided.expanded / cells,
        "expansion_ratio_lattice_counted": (guided.expanded + nodes) / cells,
        "expansion_ratio_weighted": weighted.expanded / cells,
        "expansion_ratio_weighted_1_1": careful.expanded / cells,
        "cost_ratio": guided.cost / best,
        "cost_ratio_weighted": weighted.cost / best,
        "cost_ratio_weighted_1_1": careful.cost / best,
        "proven": guided.proven,
        "violation": guided.cost > bound * plain.cost + 1e-6,
        "time_ratio": (read_s + sweep_s + guided_s) / plain_s,
        "time_ratio_map_read": (sweep_s + guided_s) / plain_s,
        "time_ratio_weighted": weighted_s / plain_s,
        "read_ms": 1e3 * read_s,
        "sweep_ms": 1e3 * sweep_s,
        "guided_ms": 1e3 * guided_s,
        "astar_ms": 1e3 * plain_s,
    }


def timed(call):
    """The least of three times in seconds, and the result."""
    least = np.inf
    for _ in range(3):
        began_s = time.perf_counter()
        result = call()
        least = min(least, time.perf_counter() - began_s)
    return least, result


def metrics_of(rows: list[dict[str, float]], maps: int, bound: float) -> dict[str, float]:
    """Medians; of costs the means."""
    columns = {key: np.array([row[key] for row in rows]) for key in rows[0]}
    violations = columns.pop("violation")
    numbers = {key: float(v.mean() if key.startswith("cost") else np.median(v)) for key, v in columns.items()}
    numbers["cost_ratio_max"] = float(columns["cost_ratio"].max())
    return {**numbers, "bound_violations": float(violations.sum()), "bound": bound, "problems": len(rows), "maps": maps}


def _line(rows: list[dict[str, float]]) -> str:
    numbers = metrics_of(rows, 1, 0.0)
    keys = (
        "cells",
        "expansion_ratio",
        "cost_ratio",
        "expansion_ratio_weighted",
        "cost_ratio_weighted",
        "time_ratio_map_read",
    )
    return "  ".join(f"{key} {numbers[key]:.4g}" for key in keys)
