# SPDX-License-Identifier: Apache-2.0
"""Learned guide on the Motion Planning Dataset, in the metrics of Neural A* (Yonetani et al., ICML 2021).

--data is the folder with the families' .npz files, --split train or val (a file's first or second four arrays). Every
step costs 1 and diagonal steps may cut corners, as in that data: its optimal distances are those of such steps, which
is checked for every problem. Of each map 15 problems: the distances of all free cells to the map's goal are cut at
their percentiles 55, 70, 85 and 100, and five starts are drawn at random from each of the three intervals, as in the
paper.

For each map, in percent: Opt, the share of problems with a path of optimal length; Exp, the mean of max(0, (E* - E) /
E*) with E the expanded cells, the goal included, and E* those of A* (Chebyshev distance, ties broken by 0.001 of the
Euclidean one, as in the authors' code); Hmean, the harmonic mean of the two. `opt`, `exp` and `hmean` are means over
all maps. Published: A* 0 Exp, Neural A* 87.7 / 40.1 / 52.0, on the sets' third split, which is not in this data. The
guide's own sweep over its lattice counts as the network's work, as the layers of Neural A*'s encoder do; `exp` and
`hmean` with `_lattice_counted` add every lattice node swept to E. `untaught` is the same lattice with the costs of an
empty map, without a network. Peer: `weighted`, weighted A* of the same bound.
"""

from __future__ import annotations

import argparse
import heapq
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
from numba import njit

from axon_planner.guide import BOUND, Guide, Moves, guided_path, untaught

FIRST_ARRAY = {"train": 0, "val": 4}
INTERVALS = (55.0, 70.0, 85.0, 100.0)
STARTS = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options beside --data (folder of .npz files), --json and --seed."""
    parser.add_argument("--split", choices=sorted(FIRST_ARRAY), default="val", help="which maps (default: val)")
    parser.add_argument("--maps", type=int, metavar="N", help="the first N maps of each family (default: all)")
    parser.add_argument("--model", default="guide", metavar="M", help="a shipped model's name or an ONNX file")
    parser.add_argument(
        "--bound", type=float, default=BOUND, metavar="W", help=f"at most W times the optimum ({BOUND:g})"
    )


def main(args: argparse.Namespace) -> dict[str, float]:
    """Search every problem; ValueError for data that is not there."""
    files = sorted(args.data.glob("*.npz")) if args.data else []
    if not files:
        raise ValueError(f"no .npz in {args.data}: name the folder of the Motion Planning Dataset in --data")
    guide = Guide.load(args.model)
    rng = np.random.default_rng(args.seed)
    scores, numbers = [], {}
    for file in files:
        family = [map_scores(guide, *one, args.bound, rng) for one in maps_of(file, args.split, args.maps)]
        scores += family
        numbers[f"hmean_{file.stem.partition('_032')[0]}"] = float(np.mean([s["hmean"] for s in family]))
    means = {key: float(np.mean([score[key] for score in scores])) for key in scores[0]}
    sums = {key: float(sum(score[key] for score in scores)) for key in ("bound_violations", "problems")}
    return {**means, **sums, "maps": float(len(scores)), "bound": args.bound, **numbers}


def maps_of(file: Path, split: str, count: int | None):
    """Blocked cells (H, W), goal and optimal distances (H, W), -1 where there is no way, of each map of a split."""
    first = FIRST_ARRAY[split]
    with np.load(file) as arrays:
        free, goals, negated = (arrays[f"arr_{first + k}"] for k in (0, 1, 3))
    for k in range(len(free) if count is None else min(count, len(free))):
        distance = -negated[k, 0]
        distance[distance == distance.max()] = -1.0
        yield free[k] == 0, tuple(map(int, np.argwhere(goals[k, 0])[0])), distance


def draw_starts(distance: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cells (15, 2): five from each interval between the percentiles of the distances to the goal."""
    edges = np.percentile(distance[distance >= 0.0], INTERVALS)
    drawn = []
    for low, high in pairwise(edges):
        cells = np.argwhere((distance >= max(low, 1.0)) & (distance <= high))
        drawn.append(cells[rng.integers(0, len(cells), STARTS)])
    return np.concatenate(drawn)


def map_scores(
    guide: Guide, blocked: np.ndarray, goal: tuple[int, int], distance: np.ndarray, bound: float, rng
) -> dict[str, float]:
    """The metrics of one map, in percent, with the counts that are summed over all maps."""
    began_s = time.perf_counter()
    reading = guide.read(blocked, Moves.MOORE)
    read_s = time.perf_counter() - began_s
    lattice = Guide(untaught).read(blocked, Moves.MOORE)
    rows: dict[str, list] = {"": [], "_untaught": [], "_weighted": [], "_lattice_counted": []}
    costs = []
    for cell in draw_starts(distance, rng):
        start, best = (int(cell[0]), int(cell[1])), float(distance[tuple(cell)])
        length, expanded = plain_astar(blocked, start, goal)
        if length != best:
            raise ValueError(f"A* finds {length}, the data says {best} from {start}: expected the sets' own distances")
        for name, from_map in (("", reading), ("_untaught", lattice), ("_weighted", None)):
            ahead = None if from_map is None else from_map.towards(goal, start)
            found = guided_path(blocked, start, goal, ahead, bound=bound, moves=Moves.MOORE)
            rows[name].append((found.cost == best, max(0.0, 1.0 - (found.expanded + 1) / expanded)))
            if name == "":
                costs.append(found.cost / best)
                saved = max(0.0, 1.0 - (found.expanded + 1 + ahead.swept) / expanded)
                rows["_lattice_counted"].append((found.cost == best, saved))
    scores = {}
    for name, values in rows.items():
        opt, exp = 100.0 * np.mean(values, axis=0)
        scores |= {f"opt{name}": opt, f"exp{name}": exp, f"hmean{name}": harmonic(opt, exp)}
    del scores["opt_lattice_counted"]  # is opt
    violations = float(np.sum(np.array(costs) > bound + 1e-9))
    counts = {"bound_violations": violations, "problems": len(costs)}
    return scores | counts | {"cost_ratio": float(np.mean(costs)), "read_ms": 1e3 * read_s}


def harmonic(one: float, other: float) -> float:
    """Harmonic mean, 0 where one of the two is."""
    return 2.0 * one * other / (one + other) if one + other > 0.0 else 0.0


@njit(cache=True)
def plain_astar(blocked: np.ndarray, start: tuple[int, int], goal: tuple[int, int]) -> tuple[float, int]:
    """Length and expanded cells, the goal included, of the A* that the paper compares with."""
    height, width = blocked.shape
    length, closed = np.full((height, width), np.inf), np.zeros((height, width), np.bool_)
    length[start] = 0.0
    heap, expanded = [(0.0, start[0], start[1])], 0
    while heap:
        _, row, col = heapq.heappop(heap)
        if closed[row, col]:
            continue
        closed[row, col] = True
        expanded += 1
        if row == goal[0] and col == goal[1]:
            break
        for k in range(9):
            r, c = row + k // 3 - 1, col + k % 3 - 1
            if not (0 <= r < height and 0 <= c < width) or blocked[r, c] or closed[r, c]:
                continue
            if length[row, col] + 1.0 < length[r, c]:
                length[r, c] = length[row, col] + 1.0
                dy, dx = abs(r - goal[0]), abs(c - goal[1])
                heapq.heappush(heap, (length[r, c] + max(dy, dx) + 0.001 * np.hypot(dy, dx), r, c))
    return length[goal], expanded
