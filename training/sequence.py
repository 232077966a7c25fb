# SPDX-License-Identifier: Apache-2.0
"""Sequence planner: an LSTM that proposes waypoints one after another, taught by A*'s paths and the cost of its own.

Each path of A*, cut short and descended by L-BFGS on the cost of axon_planner.path_cost, is a label, and so is every
piece of it, either way round: a piece of a cheapest path is a cheapest path. The network first steps along the labels
(teacher forcing), then more and more along its own points (scheduled sampling, Bengio et al. 2015), where the cost of
the curve that it makes, driven at the label's speeds, runs its gradient back through all steps.

Worlds: those of training/refiner.py, seeds from 1,000,000 on; the validation's are 500,000 and on. In half of them the
map is what a scanner saw from a few places: outlines, and unknown behind them.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numba import njit
from torch import nn

from axon_planner.config import PlannerConfig
from axon_planner.costmap import Field
from axon_planner.outline import Discs, clearance_along
from axon_planner.path_cost import SPACING_M, DriveScales, descend, drive_cost, make_reference, smoother, speed_weights
from axon_planner.planning import PathPlanner, path_length
from axon_planner.refiner import Verdict, cost_of_drive
from axon_planner.sequence import CELLS, PLANES, REACH_M, WAYPOINTS, SequencePlanner, Window, in_sight, legs_of, see
from axon_planner.sequence_model import SequenceNet
from axon_planner.smoothing import resample, spread, with_headings
from axon_planner.speeds import speeds_along
from training.export import export_onnx
from training.harness import Run, Trained
from training.refiner import KINDS, RESOLUTION_M, Fields, batch_cost, field_of, occupied_cells, random_path

TRAINING_SEEDS, VALIDATION_SEEDS = 1_000_000, 500_000
VALIDATION_WORLDS = 32
PATHS_A_WORLD = 12
SHORTEST_M = 0.6
VIEWS, VIEW_M, RAYS = (1, 5), 8.0, 720
BATCH = 48
LEARNING_RATE = 2e-3
TAUGHT_SHARE, TAUGHT_UNTIL = 0.9, 0.35  # of the steps: from here on it walks alone
IMITATION = (4.0, 0.1)  # weight of the distance to the label, at the beginning and from TAUGHT_UNTIL on
EVENNESS = 0.02


@dataclass(frozen=True)
class Route:
    """A way through a field: the search's points `raw` (N, 2), the elastic band's path `classical` (K, 3), and the

    label, points and speeds as shares of the top speed (M, 3) every 0.1 m.
    """

    raw: np.ndarray
    classical: np.ndarray
    label: np.ndarray
    field: Field


def make_routes(first_seed: int, worlds: int) -> Iterator[Route]:
    """Ways between random places of `worlds` worlds, and the best that L-BFGS makes of them."""
    planner = PathPlanner(PlannerConfig(resolution_m=RESOLUTION_M))
    discs, scales = Discs(planner.config), DriveScales.of(planner.config.limits)
    for k in range(worlds):
        seed = first_seed + k
        rng = np.random.default_rng(seed)
        occupied, origin_m = occupied_cells(KINDS[k % len(KINDS)], seed, rng)
        field = field_of(occupied, origin_m, hollow=False)
        if rng.random() < 0.5:
            field = scanned(occupied, field, rng)
        for _ in range(PATHS_A_WORLD):
            sample = random_path(planner, field, rng)
            if sample is not None:
                reference = make_reference(sample.line)
                offsets, speeds = descend(reference, field, discs, scales)
                label = np.column_stack([reference.curve(offsets), speeds])
                yield Route(sample.raw, sample.classical, label, field)


def scanned(occupied: np.ndarray, truth: Field, rng: np.random.Generator) -> Field:
    """What a scanner has seen of a world from a few free places: outlines where it looked, unknown elsewhere."""
    seen = np.zeros(occupied.shape, bool)
    free = np.argwhere(truth.distance_m > 0.3)
    for row, col in free[rng.integers(0, len(free), rng.integers(*VIEWS))]:
        _look_around(occupied, seen, float(row), float(col), VIEW_M / RESOLUTION_M, RAYS)
    field = field_of(occupied & seen, truth.origin_m, hollow=False)
    return Field(field.distance_m, ~seen, field.resolution_m, field.origin_m)


@njit(cache=True)
def _look_around(occupied, seen, row, col, reach, rays):
    """Mark what rays from a cell cross, up to the first occupied one and with it."""
    for k in range(rays):
        down, along = math.sin(2.0 * math.pi * k / rays), math.cos(2.0 * math.pi * k / rays)
        for i in range(2 * int(reach)):
            r, c = int(row + 0.5 * i * down + 0.5), int(col + 0.5 * i * along + 0.5)
            if r < 0 or c < 0 or r >= occupied.shape[0] or c >= occupied.shape[1]:
                break
            seen[r, c] = True
            if occupied[r, c]:
                break


def random_piece(label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A piece (N, 3) of a label that is in sight and at least SHORTEST_M wide, either way round.

    About half of the pieces are as long as REACH_M allows.
    """
    label = label[::-1] if rng.random() < 0.5 else label
    while True:
        first = int(rng.integers(0, len(label) - 1))
        away = np.linalg.norm(label[:, :2] - label[first, :2], axis=1)
        away[: first + 1] = 0.0
        good = np.flatnonzero((away >= SHORTEST_M) & (away <= REACH_M))
        if len(good):
            last = int(good[-1] if rng.random() < 0.5 else rng.choice(good))
            piece = label[first : last + 1]
            if in_sight(piece[None, :, :2])[0]:
                return piece


@dataclass(frozen=True)
class Batch:
    """Pieces in their windows: planes (B, C, H, W), spans (B, 1), labels (B, T + 1, 2), speeds (B, T + 1), the windows'

    axes (B, 2, 2) and centres (B, 1, 2), spacings (B,), the labels' costs (B,), fields (B,).
    """

    planes: torch.Tensor
    spans: torch.Tensor
    labels: torch.Tensor
    speeds: torch.Tensor
    axes: torch.Tensor
    centers: torch.Tensor
    spacing_m: torch.Tensor
    costs: torch.Tensor
    which: torch.Tensor

    def curves(self, points: torch.Tensor) -> torch.Tensor:
        """Smooth curves (B, T + 1, 2) in the fields' frames through points (B, T + 1, 2) of the windows."""
        blur = torch.tensor(smoother(WAYPOINTS + 1), dtype=torch.float32)
        return self.centers + (blur @ points) @ self.axes


class Batches:
    """Draws pieces of routes."""

    def __init__(self, routes: list[Route], config: PlannerConfig) -> None:
        self.routes, self.discs, self.scales = routes, Discs(config), DriveScales.of(config.limits)
        known = {id(route.field): k for k, route in enumerate(routes)}
        order = {field: k for k, field in enumerate(known)}
        self.which = [order[id(route.field)] for route in routes]
        self.fields = Fields([routes[k].field for k in known.values()])

    def draw(self, rng: np.random.Generator, count: int = BATCH) -> Batch:
        """A batch of random pieces."""
        chosen = rng.integers(0, len(self.routes), count)
        pieces = [(int(k), random_piece(self.routes[k].label, rng)) for k in chosen]
        return self.batch(pieces, rng.random(count) < 0.5)

    def batch(self, pieces: list[tuple[int, np.ndarray]], mirrored: np.ndarray | None = None) -> Batch:
        """The tensors of pieces (N, 3) of the routes of these numbers, some in `mirrored` (B,) windows."""
        labels = [resample(piece[:, :2], SPACING_M, WAYPOINTS + 1) for _, piece in pieces]
        speeds = [spread(piece[:, 2], WAYPOINTS + 1) for _, piece in pieces]
        fields = [self.routes[k].field for k, _ in pieces]
        seen = [
            see(field, label[0], label[-1], self.discs.radius_m) for field, label in zip(fields, labels, strict=True)
        ]
        if mirrored is not None:
            seen = [_mirrored(*each) if turn else each for each, turn in zip(seen, mirrored, strict=True)]
        windows: list[Window] = [window for window, _ in seen]
        spacings = [path_length(label) / WAYPOINTS for label in labels]
        costs = [
            drive_cost(label, shares, field, self.discs, self.scales, spacing)[0]
            for label, shares, field, spacing in zip(labels, speeds, fields, spacings, strict=True)
        ]
        return Batch(
            torch.from_numpy(np.stack([planes for _, planes in seen])),
            _stack([[window.span_m] for window in windows]),
            _stack([window.from_map(label) for window, label in zip(windows, labels, strict=True)]),
            _stack(speeds),
            _stack([window.axes for window in windows]),
            _stack([window.center_m[None] for window in windows]),
            _stack(spacings),
            _stack(costs),
            torch.tensor([self.which[k] for k, _ in pieces]),
        )


def _mirrored(window: Window, planes: np.ndarray) -> tuple[Window, np.ndarray]:
    return window.mirrored(), planes[:, ::-1]


def _stack(arrays: list) -> torch.Tensor:
    return torch.from_numpy(np.array(arrays, dtype=np.float32))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options beside those of every recipe."""
    parser.add_argument("--worlds", type=int, default=480, metavar="N", help="training worlds (default: 480)")
    parser.add_argument("--steps", type=int, default=5000, metavar="N", help="steps of training (default: 5000)")


def main(run: Run) -> Trained:
    """Train, export, measure."""
    torch.set_num_threads(1)
    torch.manual_seed(run.seed)
    config = PlannerConfig()
    batches = Batches(list(make_routes(TRAINING_SEEDS + 10_000 * run.seed, run.args.worlds)), config)
    checks = Batches(list(make_routes(VALIDATION_SEEDS, VALIDATION_WORLDS)), config)
    print(f"{len(batches.routes)} training routes, {len(checks.routes)} for validation", flush=True)
    network = SequenceNet()
    train(run, network, batches, checks)
    file = run.folder / "sequence.onnx"
    example = {"planes": torch.rand(2, PLANES, CELLS, CELLS), "span": torch.tensor([[4.0], [1.0]])}
    export_onnx(network, example, ["points"], file, {name: {0: "legs"} for name in ("planes", "span", "points")})
    return describe(file, measure(SequencePlanner.load(str(file)), checks.routes))


def train(run: Run, network: SequenceNet, batches: Batches, checks: Batches) -> None:
    """Minimise cost and distance to the labels; goes on where a checkpoint is."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=1e-4)
    steps = run.args.steps
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, steps, pct_start=max(0.05, 2.0 / steps))
    parts = {"network": network, "optimiser": optimiser, "schedule": schedule}
    for step in range(run.resume(**parts), steps):
        torch.manual_seed(run.seed + step)
        batch = batches.draw(np.random.default_rng([run.seed, step]))
        loss = loss_of(network, batch, batches, min(1.0, step / (TAUGHT_UNTIL * steps)))
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if (step + 1) % 250 == 0:
            run.log(step=step + 1, loss=loss.item(), **validate(network, checks))
            run.keep(step + 1, **parts)


def loss_of(network: SequenceNet, batch: Batch, batches: Batches, alone: float) -> torch.Tensor:
    """The mean of log J / J of the label, of the distance to the label, and of uneven steps.

    `alone` runs from 0 to 1 while the network learns to walk without the label.
    """
    points = network(batch.planes, batch.spans, batch.labels, TAUGHT_SHARE * (1.0 - alone))
    apart = (points - batch.labels).norm(dim=-1).mean()
    weight = IMITATION[0] + (IMITATION[1] - IMITATION[0]) * alone
    return excess(points, batch, batches).mean() + weight * apart + EVENNESS * unevenness(points)


def excess(points: torch.Tensor, batch: Batch, batches: Batches) -> torch.Tensor:
    """log (J / J of the label) of the curves through points (B, T + 1, 2) at the label's speeds, (B,)."""
    weights = _stack(speed_weights(batches.scales)).expand(len(points), -1)
    curves = batch.curves(points)
    cost = batch_cost(curves, batch.speeds, batch.spacing_m, batch.which, weights, batches.fields, batches.discs)
    return torch.log(cost / batch.costs)


def unevenness(points: torch.Tensor) -> torch.Tensor:
    """Variance of the steps' lengths over the square of their mean, averaged."""
    length = (points[:, 1:] - points[:, :-1]).norm(dim=-1)
    return (length.var(dim=1) / length.mean(dim=1).square().clamp(min=1e-6)).mean()


def validate(network: SequenceNet, checks: Batches) -> dict[str, float]:
    """What it makes, alone, of one piece of each validation route: distance to the label, cost, share without hits."""
    network.eval()
    rng = np.random.default_rng(0)
    pieces = [(k, random_piece(route.label, rng)) for k, route in enumerate(checks.routes)]
    apart, costs, free = [], [], []
    config = PlannerConfig()
    for k in range(0, len(pieces), BATCH):
        some = pieces[k : k + BATCH]
        batch = checks.batch(some)
        with torch.no_grad():
            points = network(batch.planes, batch.spans)
        apart += (points - batch.labels).norm(dim=-1).amax(dim=1).tolist()
        costs += excess(points, batch, checks).tolist()
        for (number, _), curve in zip(some, batch.curves(points).double().numpy(), strict=True):
            free.append(clearance_along(config, checks.routes[number].field, with_headings(curve)) > 0.0)
    network.train()
    return {"apart_m": float(np.mean(apart)), "log_cost": float(np.mean(costs)), "free": float(np.mean(free))}


def measure(planner: SequencePlanner, routes: list[Route]) -> dict[str, float]:
    """How often a whole route is proposed without a hit, and taken, and what taken and classical paths cost."""
    config = PlannerConfig()
    free, ratios, legs = [], [], []
    for route in routes:
        if clearance_along(config, route.field, route.classical) > 0.0:
            ends = route.classical[[0, -1], :2]
            curve = planner.propose(config, route.field, *ends, route.classical[:, :2])
            free.append(curve is not None and clearance_along(config, route.field, with_headings(curve)) > 0.0)
            legs.append(len(legs_of(route.classical[:, :2])) == 2)
        planned = planner.plan(config, route.field, route.raw, route.classical)
        if planned.verdict is Verdict.REFINED:
            kept = speeds_along(config, route.field, route.classical)
            ratios.append(
                cost_of_drive(config, route.field, planned.path, planned.speeds_mps)
                / cost_of_drive(config, route.field, route.classical, kept)
            )
    counts = {f"refused_{verdict.name.lower()}": n / len(routes) for verdict, n in planner.counts.items() if n}
    counts.pop("refused_refined", None)
    one = np.array(legs)
    return {
        "paths": float(len(routes)),
        "collision_free_rate": float(np.mean(free)),
        "collision_free_rate_one_leg": float(np.array(free)[one].mean()) if one.any() else math.nan,
        "fallback_rate": 1.0 - len(ratios) / len(routes),
        **counts,
        "cost_ratio_taken": float(np.mean(ratios)) if ratios else math.nan,
    }


def describe(file: Path, metrics: dict[str, float]) -> Trained:
    """The card's text."""
    return Trained(
        file=file,
        version="0.1.0",
        task="path proposal",
        description=(
            "Proposes a path waypoint by waypoint. A convolutional encoder reads a window of 8 x 8 m of the costmap "
            "about the way from start to goal; an LSTM steps from the start, looks at the window where it stands, and "
            "departs from an even step towards the goal, which it reaches by construction. It learned from A*'s paths, "
            "descended by L-BFGS, first along them, then along its own steps, by the gradient of the cost in "
            "axon_planner.path_cost through all of them."
        ),
        evaluation=(
            "Routes between random places of 32 worlds of the simulator (BARN-like, rooms, apartments, warehouses) "
            "whose seeds are none of the training's, half of them as a scanner saw them. `collision_free_rate` is of "
            "whole proposed routes, unchecked, among those whose classical path touches nothing (some begin or end "
            "where the base has no room); `one_leg` of those that lie in one window. `fallback_rate` is after the "
            "planner's checks, of all routes, `refused_...` its parts; `cost_ratio_taken` is the cost of the taken "
            "proposals over the elastic band's. `./axon bench refiner` measures on BARN."
        ),
        limits=(
            "Sees 8 m; a way that leaves the window is proposed in legs that end on the classical route. Finds its "
            "way among posts and boxes and through doors that it sees, not through mazes: there it walks into walls, "
            "and the classical path is taken. Trained for a base of 0.42 x 0.33 m. Does not know the base's heading, "
            "speeds, or moving things. Its answers are proposals: a path that fails the planner's checks is not used."
        ),
        metrics=metrics,
        details={
            "input": f"planes float32 (B, {PLANES}, {CELLS}, {CELLS}) and span (B, 1), see axon_planner.sequence.see",
            "output": f"points float32 (B, {WAYPOINTS + 1}, 2), metres in the window",
        },
    )
