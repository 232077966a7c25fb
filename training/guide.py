# SPDX-License-Identifier: Apache-2.0
"""Learned guide: a small convolutional network that lays a lattice of costs over a map, taught by exact costs of ways.

A batch of generated maps goes through the network. On every map a few goals are drawn; the cost from random cells to a
goal is predicted by equation (1) of axon_planner.guide, a cheapest way over the lattice, and compared with the exact
one (Dijkstra over cells). A cheapest way changes with each cost on it at the rate 1, and not with any other (the
envelope theorem), so that the error runs back from a cell along its way over the lattice into the network's answers.

Maps of all sizes from 32 to 192 cells, of seeds from 1,000,000 on; the validation's are 500,000 and on. Half of them
have the moves of the planner, half those of the Motion Planning Dataset.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numba import njit
from torch import nn

from axon_planner.guide import (
    BLOCK,
    BOUND,
    TAPS,
    Guide,
    Moves,
    edge_of,
    guided_path,
    network_input,
    read_off,
    sweep,
)
from axon_planner.guide_model import GuideNet
from training.export import export_onnx
from training.guide_data import exact_costs, largest_region, make_map
from training.harness import Run, Trained

TRAINING_SEEDS, VALIDATION_SEEDS = 1_000_000, 500_000
SIZES = (32, 32, 32, 64, 64, 96, 128, 192)
CELLS_A_BATCH = 1 << 17
GOALS, STARTS = 2, 128
VALIDATION_MAPS = 96
LEARNING_RATE = 3e-3


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
        for row, col in region[rng.integers(0, len(region), GOALS)]:
            exact = exact_costs(blocked, int(row), int(col), moves.diagonal, moves.cuts_corners)
            some = region[rng.integers(0, len(region), STARTS)]
            goals.append((len(cells), row * zoom, col * zoom))
            starts.append(some * zoom)
            costs.append(exact[some[:, 0], some[:, 1]] * zoom)
        cells.append(network_input(blocked, moves)[0])
    exact = torch.from_numpy(np.array(costs, np.float32))
    return Batch(torch.from_numpy(np.concatenate(cells)), np.array(goals), np.array(starts), exact)


class LatticeCost(torch.autograd.Function):
    """Costs (N, M) of ways from starts to goals by the edges (B, 4, h, w) and taps (B, 144, h, w) of their maps."""

    @staticmethod
    def forward(ctx, edges: torch.Tensor, taps: torch.Tensor, goals: np.ndarray, starts: np.ndarray) -> torch.Tensor:
        arrays = (edges.detach().numpy(), taps.detach().numpy())
        costs, *ctx.ways = lattice_costs(*arrays, goals, starts)
        ctx.goals, ctx.starts, ctx.shapes = goals, starts, (edges.shape, taps.shape)
        return torch.from_numpy(costs)

    @staticmethod
    def backward(ctx, slope: torch.Tensor):
        grads = [np.zeros(shape, np.float32) for shape in ctx.shapes]
        lattice_slopes(np.ascontiguousarray(slope.numpy()), ctx.goals, ctx.starts, *ctx.ways, *grads)
        return torch.from_numpy(grads[0]), torch.from_numpy(grads[1]), None, None


@njit(cache=True)
def lattice_costs(edges, taps, goals, starts):
    """Costs (N, M), and the ways: how each node was reached, in which order, how many, and each start's tap."""
    count, high, wide = len(goals), edges.shape[2], edges.shape[3]
    costs = np.empty(starts.shape[:2], np.float32)
    hows, orders = np.empty((count, high, wide), np.int8), np.empty((count, high * wide), np.int32)
    sizes, chosen = np.empty(count, np.int64), np.empty(starts.shape[:2], np.int8)
    for n in range(count):
        which, row, col = goals[n]
        lattice, how, order = sweep(edges[which], taps[which], row, col)
        hows[n], sizes[n] = how, len(order)
        orders[n, : len(order)] = order
        for m in range(starts.shape[1]):
            costs[n, m], chosen[n, m] = read_off(lattice, taps[which], starts[n, m, 0], starts[n, m, 1])
    return costs, hows, orders, sizes, chosen


@njit(cache=True)
def lattice_slopes(slope, goals, starts, hows, orders, sizes, chosen, edge_slopes, tap_slopes):
    """Add the slopes of all costs to those of the edges and taps that they are sums of."""
    high, wide = hows.shape[1:]
    rows = np.array([0, 0, 1, -1, 1, 1, -1, -1])
    cols = np.array([1, -1, 0, 0, 1, -1, 1, -1])
    for n in range(len(goals)):
        which, row, col = goals[n]
        carried = np.zeros((high, wide))
        for m in range(starts.shape[1]):
            r, c, k = starts[n, m, 0], starts[n, m, 1], chosen[n, m]
            tap_slopes[which, k * 16 + (r % 4) * 4 + c % 4, r // 4, c // 4] += slope[n, m]
            carried[r // 4 + k // 3 - 1, c // 4 + k % 3 - 1] += slope[n, m]
        for i in range(sizes[n] - 1, -1, -1):
            r, c = orders[n, i] // wide, orders[n, i] % wide
            how = hows[n, r, c]
            if how >= 8:
                tap_slopes[which, (how - 8) * 16 + (row % 4) * 4 + col % 4, row // 4, col // 4] += carried[r, c]
                continue
            before_r, before_c = r - rows[how], c - cols[how]
            kind, er, ec = edge_of(before_r, before_c, how)
            edge_slopes[which, kind, er, ec] += carried[r, c]
            carried[before_r, before_c] += carried[r, c]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options beside those of every recipe."""
    parser.add_argument("--steps", type=int, default=2000, metavar="N", help="steps of training (default: 2000)")


def main(run: Run) -> Trained:
    """Train, export, measure."""
    torch.set_num_threads(1)
    torch.manual_seed(run.seed)
    network = GuideNet().to(memory_format=torch.channels_last)
    checks = [make_batch(np.random.default_rng([VALIDATION_SEEDS, k]), size) for k, size in enumerate(SIZES)]
    train(run, network, checks)
    file = run.folder / "guide.onnx"
    axes = {"cells": {2: "H", 3: "W"}, "edges": {2: "h", 3: "w"}, "taps": {2: "h", 3: "w"}}
    export_onnx(network, {"cells": torch.ones(1, 2, 64, 64)}, ["edges", "taps"], file, axes)
    return describe(file, measure(Guide.load(str(file))))


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
    """Mean error of costs, in units of the root of a cost: what independent errors along a way would add up to."""
    edges, taps = network(batch.cells.contiguous(memory_format=torch.channels_last))
    predicted = LatticeCost.apply(edges.contiguous(), taps.contiguous(), batch.goals, batch.starts)
    return ((predicted - batch.costs) / (batch.costs + BLOCK).sqrt()).abs().mean()


def validate(network: GuideNet, checks: list[Batch]) -> dict[str, float]:
    """The error on small maps and on large ones."""
    with torch.no_grad():
        errors = [error(network, batch).item() for batch in checks]
    small = sum(1 for size in SIZES if size <= 64)
    return {"small": float(np.mean(errors[:small])), "large": float(np.mean(errors[small:]))}


def measure(guide: Guide) -> dict[str, float]:
    """Expansions and costs of guided searches beside A*'s and weighted A*'s on validation maps, in both moves."""
    rows: dict[Moves, list] = {moves: [] for moves in Moves}
    for k in range(VALIDATION_MAPS):
        rng = np.random.default_rng([VALIDATION_SEEDS, 1000 + k])
        moves, size = (Moves.MOORE, 32) if k % 2 else (Moves.OCTILE, int(rng.integers(96, 385)))
        blocked = make_map(rng, size, size)
        region = np.argwhere(largest_region(blocked, moves.cuts_corners))
        reading = guide.read(blocked, moves)
        for _ in range(6):
            start, goal = (tuple(map(int, cell)) for cell in region[rng.choice(len(region), 2, replace=False)])
            rows[moves].append(compare(blocked, start, goal, reading.towards(goal), moves))
    metrics = {}
    for moves, values in rows.items():
        share, cost, weighted_share, weighted_cost = np.array(values).T
        name = moves.value
        metrics[f"{name}_expansion_ratio"], metrics[f"{name}_cost_ratio"] = np.median(share), cost.mean()
        metrics[f"{name}_expansion_ratio_weighted"] = np.median(weighted_share)
        metrics[f"{name}_cost_ratio_weighted"] = weighted_cost.mean()
        metrics[f"{name}_cost_ratio_max"] = cost.max()
    return {key: float(value) for key, value in metrics.items()}


def compare(blocked, start, goal, ahead, moves) -> tuple[float, float, float, float]:
    """Expansions over A*'s and cost over the optimum: guided, then weighted A* of the same bound."""
    best = guided_path(blocked, start, goal, bound=1.0, moves=moves)
    found = guided_path(blocked, start, goal, ahead, moves=moves)
    weighted = guided_path(blocked, start, goal, bound=BOUND, moves=moves)
    ratios = [(r.expanded / max(1, best.expanded), r.cost / best.cost) for r in (found, weighted)]
    return (*ratios[0], *ratios[1])


def describe(file: Path, metrics: dict[str, float]) -> Trained:
    """The card's text."""
    return Trained(
        file=file,
        version="0.1.0",
        task="search guidance",
        description=(
            "Reads a map of any size once and lays a lattice over it: for each block of 4 x 4 cells what it costs"
            " to go to each neighbouring block and from its cells to the nine nodes around, from which the cost "
            "between any two places is a cheapest way over the lattice. A* uses it to choose its order. Four "
            "convolutions; it learned from the exact costs of ways on generated maps, differentiated through the "
            "cheapest ways."
        ),
        evaluation=(
            "Generated maps whose seeds are none of the training's, random starts and goals: `octile` on maps of "
            "96 to 384 cells with the planner's moves, `moore` on 32 x 32 cells where every step costs 1. Bound "
            f"{BOUND:g}. Expansions are medians of a search's over A*'s, costs are means over the optimum; "
            "`weighted` is weighted A* of the same bound without the network. `./axon bench guide-mpd` and "
            "`guide-movingai` measure on published sets."
        ),
        limits=(
            "One node a block: two ways through the same 4 x 4 cells that a wall parts are one to it, so that "
            "mazes of corridors one cell wide gain little on large maps. It knows free and blocked, not what a "
            "cell costs. On a grid that a compiled A* searches in a millisecond, reading the map takes longer "
            "than it saves, unless many searches share the map."
        ),
        metrics=metrics,
        details={
            "input": "cells float32 (1, 2, H, W): free 1, blocked 0; 1 where every step costs 1, else 0",
            "output": f"edges (1, 4, H/4, W/4), taps (1, {TAPS}, H/4, W/4), float32, costs in cells",
        },
    )
