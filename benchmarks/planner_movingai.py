# SPDX-License-Identifier: Apache-2.0
"""The exact search on the maps of MovingAI (Sturtevant 2012), beside compiled and plain peers on the same problems.

`optimal`: share of problems whose length is the published one to 1e-3 (8-connected, sqrt 2, no corner cutting), or to
the digits that are published. `time_ratio_PEER`: median over problems of our time over the peer's, each the best of
--repeat runs, one thread. pyastar2d (C++) and scikit-image's MCP_Geometric (Cython) are asked where they are installed:
diagonal moves on, their weights made ready beforehand. They cut corners, so that their paths may be shorter; what is
compared is the time to answer the same question. heapq is a plain A* in Python by our rules, on every
--heapq-every-th problem.
`astar_*` is our own search cell by cell, as it runs where cells cost differently; its time over n log n of the n cells
that it expands is printed by the map's longer side.
"""

from __future__ import annotations

import argparse
import heapq
import importlib
import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from movingai import Problem, find_maps, read_map, read_problems
from stopwatch import best_of

from axon_planner.search import find_path

STEPS = [(0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1)]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options beside --data (folder with NAME.map and NAME.map.scen, at any depth), --json and --seed."""
    parser.add_argument("--problems", type=int, default=10, metavar="N", help="problems of each map (default: 10)")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="runs of each, the best counts (default: 3)")
    parser.add_argument("--heapq-every", type=int, default=10, metavar="N", help="0: never (default: 10)")


def main(args: argparse.Namespace) -> dict[str, float]:
    """Measure all maps. ValueError where there are none."""
    files = find_maps(args.data)
    if args.problems < 1 or args.repeat < 1:
        raise ValueError("--problems and --repeat: expected 1 or more")
    peers = compiled_peers()
    rng, rows = np.random.default_rng(args.seed), []
    for number, file in enumerate(files):
        found = list(measure_map(file, peers, args, rng, number))
        print(f"  {file.stem:<22}{summary(found)}", flush=True)
        rows += found
    return metrics_of(rows, peers)


def compiled_peers() -> dict[str, Callable[[np.ndarray], Callable[[Problem], Any]]]:
    """Return what is installed: a function that makes ready for a map another that answers a problem."""
    peers: dict[str, Callable[[np.ndarray], Callable[[Problem], Any]]] = {}
    for name, module, make in (("pyastar2d", "pyastar2d", by_pyastar2d), ("mcp", "skimage.graph", by_mcp)):
        try:
            peers[name] = make(importlib.import_module(module))
        except ImportError:
            print(f"  {module} is not installed: time_ratio_{name} is left out")
    return peers


def by_pyastar2d(module: Any) -> Callable[[np.ndarray], Callable[[Problem], Any]]:
    def ready(blocked: np.ndarray) -> Callable[[Problem], Any]:
        weights = np.where(blocked, np.inf, 1.0).astype(np.float32)
        return lambda problem: module.astar_path(weights, problem.start, problem.goal, allow_diagonal=True)

    return ready


def by_mcp(module: Any) -> Callable[[np.ndarray], Callable[[Problem], Any]]:
    def ready(blocked: np.ndarray) -> Callable[[Problem], Any]:
        costs = np.where(blocked, -1.0, 1.0)

        def answer(problem: Problem) -> Any:
            search = module.MCP_Geometric(costs)
            search.find_costs([problem.start], [problem.goal])
            return search.traceback(problem.goal)

        return answer

    return ready


def measure_map(
    file: Path, peers: dict[str, Any], args: argparse.Namespace, rng: np.random.Generator, number: int
) -> Iterator[dict[str, float]]:
    """Yield the numbers of each problem of a map."""
    blocked = read_map(file)
    ready = {name: make(blocked) for name, make in peers.items()}
    alike = np.ones(blocked.shape, np.float32)
    for index, problem in enumerate(chosen(file, args.problems, rng)):
        ours, result = best_of(args.repeat, lambda p=problem: find_path(blocked, p.start, p.goal))
        astar, by_cells = best_of(args.repeat, lambda p=problem: find_path(blocked, p.start, p.goal, alike))
        row = {
            "optimal": float(abs(result.cost - problem.length) <= problem.tolerance),
            "size": max(blocked.shape),
            "ms": 1e3 * ours,
            "expanded": result.expanded,
            "astar_ms": 1e3 * astar,
            "astar_expanded": by_cells.expanded,
        }
        for name, answer in ready.items():
            row[f"{name}_ms"] = 1e3 * best_of(args.repeat, lambda a=answer, p=problem: a(p))[0]
        if args.heapq_every and (number + index) % args.heapq_every == 0:
            row["heapq_ms"] = 1e3 * best_of(1, lambda p=problem: plain_astar(blocked, p.start, p.goal))[0]
        yield row


def chosen(file: Path, count: int, rng: np.random.Generator) -> list[Problem]:
    """Return problems of a map, one at random of each of `count` equal parts, from short to long."""
    problems = read_problems(file)
    edges = np.linspace(0, len(problems), count + 1).astype(int)
    return [problems[int(rng.integers(a, b))] for a, b in pairwise(edges) if b > a]


def plain_astar(blocked: np.ndarray, start: tuple[int, int], goal: tuple[int, int]) -> float:
    """Return the length by A* with heapq and dictionaries, as textbooks write it."""
    free = ~blocked
    best, closed, heap = {start: 0.0}, set(), [(0.0, start)]
    while heap:
        _, cell = heapq.heappop(heap)
        if cell == goal:
            return best[cell]
        if cell in closed:
            continue
        closed.add(cell)
        for dr, dc in STEPS:
            row, col = cell[0] + dr, cell[1] + dc
            if not (0 <= row < free.shape[0] and 0 <= col < free.shape[1]) or not free[row, col]:
                continue
            if dr and dc and not (free[row, cell[1]] and free[cell[0], col]):
                continue
            reached = best[cell] + math.hypot(dr, dc)
            if reached < best.get((row, col), math.inf):
                best[row, col] = reached
                down, across = abs(row - goal[0]), abs(col - goal[1])
                ahead = max(down, across) + (math.sqrt(2.0) - 1.0) * min(down, across)
                heapq.heappush(heap, (reached + ahead, (row, col)))
    return math.inf


def ratio(rows: list[dict[str, float]], peer: str, ours: str = "ms") -> float:
    """Return the median over problems of our time over a peer's."""
    return float(np.median([row[ours] / row[f"{peer}_ms"] for row in rows if f"{peer}_ms" in row]))


def summary(rows: list[dict[str, float]]) -> str:
    """Return a map's line."""
    text = f"optimal {np.mean([r['optimal'] for r in rows]):.2f}  {np.median([r['ms'] for r in rows]):8.3f} ms"
    known = [name for name in ("pyastar2d", "mcp") if f"{name}_ms" in rows[0]]
    return text + "".join(f"  / {name} {ratio(rows, name):.3f}" for name in known)


def metrics_of(rows: list[dict[str, float]], peers: dict[str, Any]) -> dict[str, float]:
    """Return all numbers."""
    numbers = {
        "optimal": float(np.mean([row["optimal"] for row in rows])),
        "problems": len(rows),
        **{f"time_ratio_{name}": ratio(rows, name) for name in peers},
    }
    if any("heapq_ms" in row for row in rows):
        numbers["time_ratio_heapq"] = ratio(rows, "heapq")
    numbers["time_ratio_astar"] = ratio(rows, "astar")
    numbers |= {f"astar_time_ratio_{name}": ratio(rows, name, "astar_ms") for name in peers}
    for key in ("ms", "expanded", "astar_ms", "astar_expanded", *(f"{name}_ms" for name in peers)):
        numbers[f"{key}_p50"] = float(np.median([row[key] for row in rows]))
    return numbers | by_size(rows)


def by_size(rows: list[dict[str, float]]) -> dict[str, float]:
    """Return the median of ns over n log2 n of cell by cell search, by the longer side of the map."""
    groups = defaultdict(list)
    for row in rows:
        n = max(row["astar_expanded"], 2.0)
        groups[int(row["size"])].append(1e6 * row["astar_ms"] / (n * math.log2(n)))
    return {f"astar_ns_per_nlogn_{size}": float(np.median(values)) for size, values in sorted(groups.items())}
