# SPDX-License-Identifier: Apache-2.0
"""Learned guide: a small convolutional network that lays a lattice of costs over a map, taught by exact costs of ways.

A batch of generated maps goes through the network. On every map a few goals are drawn; the cost from random cells to a
goal is predicted by equation (1) of axon_planner.guide, a cheapest way over the lattice, and compared with the exact
one (Dijkstra over cells). A cheapest way changes with each cost on it at the rate 1, and not with any other (the
envelope theorem), so that the error runs back from a cell along its way over the lattice into the network's answers.

Maps of all sizes from 32 to 256 cells, of seeds from 1,000,000 on; the validation's are 500,000 and on. Half of them
have the moves of the planner, half those of the Motion Planning Dataset.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numba import njit
from torch import nn
from torch.nn import functional

from axon_planner.guide import BOUND, Guide, Moves, guided_path, network_input, untaught
from axon_planner.guide_lattice import (
    AROUND,
    BLOCK,
    CHANNELS,
    DIAGONALS,
    EACH,
    OWN,
    begin_sweep,
    lay,
    node_at,
    read_off,
)
from axon_planner.guide_model import GuideNet
from training.export import export_onnx
from training.guide_data import exact_costs, largest_region, make_map
from training.harness import Run, Trained

TRAINING_SEEDS, VALIDATION_SEEDS = 1_000_000, 500_000
SIZES = (32, 32, 32, 64, 64, 96, 128, 192, 256)
CELLS_A_BATCH = 1 << 17
GOALS, PAIRS = 2, 96
APART = 8  # cells at most between the two starts of a pair, along each axis
VALIDATION_MAPS = 64
GREEDS = (1.05, 1.1, 1.2, 1.5, 2.0, 3.0)
LEARNING_RATE = 3e-3
HUBER = 0.3  # error up to which it counts by its square, so that the mean is learned, not the median


@dataclass(frozen=True)
class Batch:
    """Maps (B, 2, H, W) as the network takes them, and costs of ways on them.

    `goals` (N, 3) int64: map, row, col; `starts` (N, M, 2) int64; `costs` (N, M): exact; all in enlarged cells.
    """

    cells: torch.Tensor
    goals: np.ndarray
    starts: np.ndarray
    costs: torch.Tensor


def make_batch(rng: np.random.Generator, size: int) -> Batch:
    """Maps of about `size` cells a side, with goals and starts on them."""
    zoom = 2 if size <= 64 else 1
    count = max(1, CELLS_A_BATCH // (zoom * size) ** 2)
    height, width = (int(size * rng.uniform(0.8, 1.0)) if size > 32 else size for _ in range(2))
    cells, goals, starts, costs = [], [], [], []
    while len(cells) < count:
        blocked, moves = make_map(rng, height, width), (Moves.OCTILE, Moves.MOORE)[int(rng.integers(2))]
        region = np.argwhere(largest_region(blocked, moves.cuts_corners))
        for goal in region[rng.integers(0, len(region), GOALS)]:
            exact = exact_costs(blocked, *map(int, goal), moves.diagonal, moves.cuts_corners)
            some = make_pairs(rng, region, exact)
            goals.append((len(cells), *(zoom * goal)))
            starts.append(zoom * some)
            costs.append(zoom * exact[tuple(some.T)])
        cells.append(network_input(blocked, moves)[0])
    exact = torch.from_numpy(np.array(costs, np.float32))
    return Batch(torch.from_numpy(np.concatenate(cells)), np.array(goals), np.array(starts), exact)


def make_pairs(rng: np.random.Generator, region: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Starts (2 PAIRS, 2): random cells of the region (N, 2), then one near each of them, or the same again."""
    some = region[rng.integers(0, len(region), PAIRS)]
    mates = np.clip(some + rng.integers(-APART, APART + 1, some.shape), 0, np.array(exact.shape) - 1)
    reached = np.isfinite(exact[tuple(mates.T)])
    return np.concatenate([some, np.where(reached[:, None], mates, some)])


class LatticeCost(torch.autograd.Function):
    """Costs (N, M) of ways from starts to goals by the answers (B, h, w, 58) to their maps `cells` (B, 2, H, W)."""

    @staticmethod
    def forward(ctx, answers: torch.Tensor, cells: np.ndarray, goals: np.ndarray, starts: np.ndarray) -> torch.Tensor:
        costs = np.empty(starts.shape[:2], np.float32)
        ctx.ways, ctx.goals, ctx.starts, ctx.shape = [], goals, starts, answers.shape
        maps = zip(cells, answers.detach().numpy(), strict=True)
        graphs = [lay(one[0] > 0.5, answer, bool(one[1, 0, 0])) for one, answer in maps]
        for n, (which, row, col) in enumerate(goals):
            sweep = begin_sweep(graphs[which], row, col)
            costs[n], taps = read_starts(graphs[which], sweep, starts[n])
            ctx.ways.append((graphs[which], sweep, taps))
        return torch.from_numpy(costs)

    @staticmethod
    def backward(ctx, slope: torch.Tensor):
        slopes = np.zeros(ctx.shape, np.float32)
        for one, (which, row, col), starts, way in zip(slope.numpy(), ctx.goals, ctx.starts, ctx.ways, strict=True):
            add_slopes(np.ascontiguousarray(one), row, col, starts, *way, slopes[which])
        return torch.from_numpy(slopes), None, None, None


@njit(cache=True)
def read_starts(graph, sweep, starts):
    """Costs (M,) from the start cells (M, 2), and the edge that each one's tap takes."""
    costs, taps = np.empty(len(starts), np.float32), np.empty(len(starts), np.int32)
    for m in range(len(starts)):
        costs[m], taps[m] = read_off(graph, sweep, starts[m, 0], starts[m, 1])
    return costs, taps


@njit(cache=True)
def add_slopes(slope, row, col, starts, graph, sweep, taps, slopes):
    """Add to `slopes` (h, w, 58) those (M,) of the costs from all starts to a goal, along their ways."""
    carried = np.zeros(len(graph.masks))
    for m in range(len(starts)):
        r, c = starts[m]
        _tap_slope(slope[m], r, c, taps[m], graph, slopes)
        carried[graph.to[taps[m]] if taps[m] >= 0 else node_at(graph, r, c)] += slope[m]
    for i in range(sweep.counts[1] - 1, -1, -1):
        node = sweep.order[i]
        if sweep.before[node] >= 0:
            _edge_slope(carried[node], sweep.before[node], sweep.edge[node], graph, slopes)
            carried[sweep.before[node]] += carried[node]
        else:
            _tap_slope(carried[node], row, col, sweep.edge[node], graph, slopes)


@njit(cache=True)
def _tap_slope(slope, row, col, edge, graph, slopes):
    sub, values, there = row % 4 * 4 + col % 4, graph.answer[row // 4, col // 4], slopes[row // 4, col // 4]
    if edge < 0:
        there[OWN + sub] += slope
        return
    k = graph.way[edge]
    there[AROUND + k] += slope * graph.lengths[k, sub] * values[EACH + sub]
    there[EACH + sub] += slope * graph.lengths[k, sub] * values[AROUND + k]


@njit(cache=True)
def _edge_slope(slope, node, edge, graph, slopes):
    wide = slopes.shape[1]
    one, other = graph.block[node], graph.block[graph.to[edge]]
    (row, col), (r, c) = (one // wide, one % wide), (other // wide, other % wide)
    k, place = graph.way[edge], graph.place[edge]
    if k < 4:
        slopes[row, col, 4 * k + place // 4] += slope
        slopes[r, c, 4 * (k ^ 1) + place % 4] += slope
    elif (row - r) == (col - c):
        slopes[min(row, r), min(col, c), DIAGONALS] += slope
    else:
        slopes[min(row, r), max(col, c), DIAGONALS + 1] += slope


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options beside those of every recipe."""
    parser.add_argument("--steps", type=int, default=6000, metavar="N", help="steps of training (default: 6000)")


def main(run: Run) -> Trained:
    """Train, export, measure."""
    torch.set_num_threads(1)
    torch.manual_seed(run.seed)
    network = GuideNet().to(memory_format=torch.channels_last)
    checks = [make_batch(np.random.default_rng([VALIDATION_SEEDS, k]), size) for k, size in enumerate(SIZES)]
    train(run, network, checks)
    file = run.folder / "guide.onnx"
    axes = {"cells": {2: "H", 3: "W"}, "answer": {1: "h", 2: "w"}}
    export_onnx(network, {"cells": torch.ones(1, 2, 64, 64)}, ["answer"], file, axes)
    return describe(file, measure(run, Guide.load(str(file))))


def train(run: Run, network: GuideNet, checks: list[Batch]) -> None:
    """Minimise the error of costs; goes on where a checkpoint is."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=1e-4)
    steps = run.args.steps
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, steps, pct_start=max(0.05, 2.0 / steps))
    parts = {"network": network, "optimiser": optimiser, "schedule": schedule}
    for step in range(run.resume(**parts), steps):
        seed = TRAINING_SEEDS + 1_000_000 * run.seed + step
        rng = np.random.default_rng(seed)
        loss = error(network, make_batch(rng, int(rng.choice(SIZES))))
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if (step + 1) % 100 == 0:
            run.log(step=step + 1, loss=loss.item(), **validate(network, checks))
            run.keep(step + 1, **parts)


def error(network: GuideNet, batch: Batch) -> torch.Tensor:
    """Mean error of costs, and of the differences between cells near each other, which is what a search goes by.

    Both in units of what independent errors along a way would add up to, the root of its cost.
    """
    answers = network(batch.cells.contiguous(memory_format=torch.channels_last))
    predicted = LatticeCost.apply(answers.contiguous(), batch.cells.numpy(), batch.goals, batch.starts)
    wrong = predicted - batch.costs
    one, other = wrong.split(PAIRS, dim=1)
    far, near = wrong / (batch.costs + BLOCK).sqrt(), (one - other) / APART**0.5
    return sum(functional.huber_loss(x, torch.zeros_like(x), delta=HUBER) / HUBER for x in (far, near))


def validate(network: GuideNet, checks: list[Batch]) -> dict[str, float]:
    """The error on small maps and on large ones."""
    with torch.no_grad():
        errors = [error(network, batch).item() for batch in checks]
    small = sum(1 for size in SIZES if size <= 64)
    return {"small": float(np.mean(errors[:small])), "large": float(np.mean(errors[small:]))}


def measure(run: Run, guide: Guide) -> dict[str, float]:
    """Expansions and costs of guided searches beside A*'s on validation maps; logs what other greeds would give."""
    metrics: dict[str, float] = {}
    for moves in Moves:
        problems = list(make_problems(moves))
        searches = {"_untaught": (Guide(untaught), moves.greed), "_weighted": (None, moves.greed)}
        searches |= {f"_greed_{greed:g}": (guide, greed) for greed in GREEDS} | {"": (guide, moves.greed)}
        found = {name: compare(problems, *one, moves) for name, one in searches.items()}
        rows = {f"{moves.value}_{key}{name}": value for name, row in found.items() for key, value in row.items()}
        run.log(**rows)
        metrics |= {key: value for key, value in rows.items() if "_greed_" not in key}
    return metrics


def make_problems(moves: Moves) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Validation maps with pairs (6, 2, 2) of cells on each: start and goal."""
    for k in range(VALIDATION_MAPS):
        rng = np.random.default_rng([VALIDATION_SEEDS, 1000 * list(Moves).index(moves) + 1000 + k])
        size = 32 if moves is Moves.MOORE else int(rng.integers(96, 385))
        blocked = make_map(rng, size, size)
        region = np.argwhere(largest_region(blocked, moves.cuts_corners))
        yield blocked, region[np.array([rng.choice(len(region), 2, replace=False) for _ in range(6)])]


def compare(problems: list, guide: Guide | None, greed: float, moves: Moves) -> dict[str, float]:
    """Median of expansions over A*'s, mean and largest of costs over the optimum."""
    shares, costs = [], []
    for blocked, pairs in problems:
        reading = None if guide is None else guide.read(blocked, moves)
        for start, goal in [tuple(tuple(map(int, cell)) for cell in pair) for pair in pairs]:
            best = guided_path(blocked, start, goal, bound=1.0, moves=moves)
            ahead = None if reading is None else reading.towards(goal, start)
            found = guided_path(blocked, start, goal, ahead, greed=greed, moves=moves)
            shares.append(found.expanded / max(1, best.expanded))
            costs.append(found.cost / best.cost)
    return {
        "expansion_ratio": float(np.median(shares)),
        "cost_ratio": float(np.mean(costs)),
        "cost_ratio_max": float(np.max(costs)),
    }


def describe(file: Path, metrics: dict[str, float]) -> Trained:
    """The card's text."""
    return Trained(
        file=file,
        version="0.2.0",
        task="search guidance",
        description=(
            "Reads a map of any size once and says what it costs to go about in it: for each connected part of a "
            "block of 4 x 4 cells (a node), what it costs to go to those that it touches, and from a cell to the "
            "nodes about it, from which the cost between any two places is a cheapest way over the lattice of nodes. "
            "A* uses it to choose its order. Which nodes there are and which touch is read off the map, not learned. "
            "Three convolutions; they learned from the exact costs of ways on generated maps, differentiated through "
            "the cheapest ways."
        ),
        evaluation=(
            "Generated maps whose seeds are none of the training's, random starts and goals: `octile` on maps of "
            "96 to 384 cells with the planner's moves, `moore` on 32 x 32 cells where every step costs 1. Bound "
            f"{BOUND:g}. Expansions are medians of a search's over A*'s, costs are means over the optimum; "
            "`untaught` is the same lattice with the costs of an empty map, without the network; `weighted` is "
            "weighted A* of the same bound. `./axon bench guide-mpd` and `guide-movingai` measure on published sets."
        ),
        limits=(
            "It sees free and blocked; what a cell costs beyond that multiplies its answers by the mean over a block, "
            "unlearned. Most of what is saved on large maps with octile steps is the lattice's doing, not the "
            "network's: compare `untaught`. On a grid that a compiled A* searches in a millisecond, reading the map "
            "takes longer than one search saves: several must share a reading."
        ),
        metrics=metrics,
        details={
            "input": "cells float32 (1, 2, H, W): free 1, blocked 0; 1 where every step costs 1, else 0",
            "output": f"answer float32 (1, H/4, W/4, {CHANNELS}): costs in cells, and factors",
        },
    )
