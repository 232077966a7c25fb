# SPDX-License-Identifier: Apache-2.0
"""Learned guide on the grid maps of Moving AI (Sturtevant 2012): expansions, costs and time beside A*'s.

--data is a folder with .map files, each with its .map.scen, in any subfolder. Of every scenario --problems are taken,
evenly spread over its lengths, the first eighth left out (hardly longer than a straight line). Diagonal steps cost sqrt
2 and cut no corner. Every problem is searched by A*, by the guided search, and by its peers without a network: weighted
A* of the same bound, and weighted A* of bound 1.1, in one process. All of them are this package's own, compiled.

`expansion_ratio` is the median of expanded cells, guided over A*; `cost_ratio` the mean of costs over the optimum;
`time_ratio` the median time over A*'s when every problem pays for reading the map (the network's pass and laying the
lattice), the sweep and the search; `time_ratio_map_read` when the map was read before (as many starts and goals as one
likes share a reading), with the sweep still paid by each. `problems_to_gain`, the median of read / (A*'s time - guided
time), is how many problems must share a reading until A* would have taken longer. `expansion_ratio_lattice_counted`
adds every lattice node swept to the guided search's cells. `untaught` is the same lattice with the costs of an empty
map: what it saves without a network.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from movingai import Problem, find_maps, read_map, read_problems
from stopwatch import best_of

from axon_planner.guide import BOUND, Guide, GuidedResult, Reading, guided_path, untaught


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options beside --data (folder of maps), --json and --seed."""
    parser.add_argument("--problems", type=int, default=10, metavar="N", help="problems of each map (default: 10)")
    parser.add_argument("--model", default="guide", metavar="M", help="a shipped model's name or an ONNX file")
    parser.add_argument(
        "--bound", type=float, default=BOUND, metavar="W", help=f"at most W times the optimum ({BOUND:g})"
    )


def main(args: argparse.Namespace) -> dict[str, float]:
    """Search every problem of every map; ValueError for data that is not there."""
    files = find_maps(args.data)
    guide = Guide.load(args.model)
    rows = []
    for file in files:
        blocked = read_map(file)
        lattice = Guide(untaught).read(blocked)
        mine = [solve(guide, lattice, blocked, problem, args.bound) for problem in chosen(file, args.problems)]
        print(f"  {file.parent.name + '/' + file.stem:<28} {len(mine):>3}  {_line(mine)}", flush=True)
        rows += mine
    return metrics_of(rows, len(files), args.bound)


def chosen(file: Path, count: int) -> list[Problem]:
    """Return `count` problems of a map, evenly spread over the longer seven eighths of its scenario."""
    problems = read_problems(file)
    return [problems[k] for k in np.linspace(len(problems) // 8, len(problems) - 1, count).astype(int)]


def solve(guide: Guide, lattice: Reading, blocked: np.ndarray, problem: Problem, bound: float) -> dict[str, float]:
    """Expansions, costs and times of all searches of one problem, each the best of three times."""
    ends = (problem.start, problem.goal)
    read_s, reading = best_of(3, lambda: guide.read(blocked))
    plain_s, plain = best_of(3, lambda: guided_path(blocked, *ends, bound=1.0))
    guided_s, (guided, nodes) = best_of(3, lambda: sweep_and_search(reading, blocked, problem, bound))
    alone, _ = sweep_and_search(lattice, blocked, problem, bound)
    weighted_s, weighted = best_of(3, lambda: guided_path(blocked, *ends, bound=bound))
    _, careful = best_of(3, lambda: guided_path(blocked, *ends, bound=1.1))
    if abs(plain.cost - problem.length) > problem.tolerance:
        raise ValueError(f"A* finds {plain.cost}, the scenario says {problem.length}: expected the same")
    cells, best = max(1, plain.expanded), max(1.0, plain.cost)
    return {
        "cells": cells,
        "expansion_ratio": guided.expanded / cells,
        "expansion_ratio_lattice_counted": (guided.expanded + nodes) / cells,
        "expansion_ratio_untaught": alone.expanded / cells,
        "expansion_ratio_weighted": weighted.expanded / cells,
        "expansion_ratio_weighted_1_1": careful.expanded / cells,
        "cost_ratio": guided.cost / best,
        "cost_ratio_untaught": alone.cost / best,
        "cost_ratio_weighted": weighted.cost / best,
        "cost_ratio_weighted_1_1": careful.cost / best,
        "proven": guided.proven,
        "violation": guided.cost > bound * plain.cost + 1e-6,
        "time_ratio": (read_s + guided_s) / plain_s,
        "time_ratio_map_read": guided_s / plain_s,
        "time_ratio_weighted": weighted_s / plain_s,
        "problems_to_gain": read_s / (plain_s - guided_s) if guided_s < plain_s else np.inf,
        "read_ms": 1e3 * read_s,
        "guided_ms": 1e3 * guided_s,
        "astar_ms": 1e3 * plain_s,
    }


def sweep_and_search(reading: Reading, blocked: np.ndarray, problem: Problem, bound: float) -> tuple[GuidedResult, int]:
    """A guided search with a sweep of its own, and how many nodes that has settled."""
    ahead = reading.towards(problem.goal, problem.start)
    return guided_path(blocked, problem.start, problem.goal, ahead, bound=bound), ahead.swept


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
