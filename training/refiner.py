# SPDX-License-Identifier: Apache-2.0
"""Path refiner: a small convolutional network that moves the waypoints of A* paths and says how fast to pass them.

There are no labels: it is taught by the cost of what results. A batch of paths goes through the network, the curves
that its offsets make are priced, at the speeds that it gives, by the cost of axon_planner.path_cost, and its gradient
runs back through them into the weights: an optimisation over paths, done once for all of them (amortised), after which
one pass answers for a new path.

Worlds: BARN-like fields, apartments, warehouses and rooms of random boxes and posts, of seeds from 1,000,000 on; the
validation's are 500,000 and on. Half of them show only the outlines of things, as a scanner does.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import binary_erosion, distance_transform_edt, gaussian_filter1d
from torch import nn

from axon_planner.config import PlannerConfig
from axon_planner.costmap import Field
from axon_planner.model import RefinerNet
from axon_planner.outline import Discs, clearances
from axon_planner.path_cost import (
    BARRIER_M,
    BARRIER_WEIGHT,
    CLEARANCE_WEIGHT,
    COMFORT_M,
    CURVATURE_M,
    LEAST_SPEED,
    SPACING_M,
    DriveScales,
    Reference,
    drive_cost,
    make_reference,
    smoother,
    speed_weights,
)
from axon_planner.planning import PathPlanner, path_length
from axon_planner.refiner import CHANNELS, Curve, Refiner, Verdict, cost_of_drive, features
from axon_planner.smoothing import resample, shortcut, with_headings
from axon_planner.speeds import duration_s, sharpest_radpm, speeds_along
from axon_sim.worlds import make_world
from training.export import export_onnx
from training.harness import Run, Trained

RESOLUTION_M = 0.04
TRAINING_SEEDS, VALIDATION_SEEDS = 1_000_000, 500_000
VALIDATION_WORLDS = 32
PATHS_A_WORLD = 10
SHORTEST_M = 1.5
POINTS_A_BATCH = 2048
LEARNING_RATE = 2e-3
KINDS = ("barn-like", "rooms", "barn-like", "rooms", "apartment", "barn-like", "rooms", "warehouse")


@dataclass(frozen=True)
class Sample:
    """A path to refine: the search's points (N, 2), the corners (M, 2) that its shortcuts leave, the elastic band's

    path (K, 3) along them, and the field that they run through.
    """

    raw: np.ndarray
    line: np.ndarray
    classical: np.ndarray
    field: Field


def make_samples(first_seed: int, worlds: int) -> Iterator[Sample]:
    """Paths between random places of `worlds` worlds."""
    planner = PathPlanner(PlannerConfig(resolution_m=RESOLUTION_M))
    for k in range(worlds):
        seed = first_seed + k
        rng = np.random.default_rng(seed)
        occupied, origin_m = occupied_cells(KINDS[k % len(KINDS)], seed, rng)
        field = field_of(occupied, origin_m, hollow=rng.random() < 0.5)
        for _ in range(PATHS_A_WORLD):
            sample = random_path(planner, field, rng)
            if sample is not None:
                yield sample


def occupied_cells(kind: str, seed: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Mask (H, W) of a world and the corner (2,) of its first cell."""
    if kind == "rooms":
        return random_rooms(rng), np.zeros(2)
    grid = make_world(f"{kind}:{seed}").ground_truth_grid(RESOLUTION_M)
    return grid.data > 0, grid.origin_m


def random_rooms(rng: np.random.Generator) -> np.ndarray:
    """Mask (H, W): walls with doors, boxes at any angle and posts."""
    height, width = rng.integers(130, 260, 2)
    y, x = np.mgrid[:height, :width] * RESOLUTION_M
    mask = np.zeros((height, width), bool)
    mask[[0, -1]] = mask[:, [0, -1]] = True
    for _ in range(rng.integers(0, 4)):
        _add_wall(mask, rng)
    things = int(rng.uniform(0.1, 0.8) * height * width * RESOLUTION_M**2)
    for _ in range(things):
        cx, cy, turn = (
            rng.uniform(0, width * RESOLUTION_M),
            rng.uniform(0, height * RESOLUTION_M),
            rng.uniform(0, math.pi),
        )
        along = (x - cx) * math.cos(turn) + (y - cy) * math.sin(turn)
        across = (y - cy) * math.cos(turn) - (x - cx) * math.sin(turn)
        half = rng.uniform(0.03, 0.5, 2) if rng.random() < 0.5 else rng.uniform(0.03, 0.2, 2)
        box = rng.random() < 0.5
        mask |= (np.abs(along) < half[0]) & (np.abs(across) < half[1]) if box else np.hypot(along, across) < half[0]
    return mask


def _add_wall(mask: np.ndarray, rng: np.random.Generator) -> None:
    """A wall across the room, 0.08 to 0.2 m thick, with one or two doors of 0.8 to 1.4 m."""
    wall = mask if rng.random() < 0.5 else mask.T
    at, thick = rng.integers(25, wall.shape[0] - 25), rng.integers(2, 6)
    wall[at : at + thick] = True
    for _ in range(rng.integers(1, 3)):
        door = rng.integers(20, 36)
        left = rng.integers(2, wall.shape[1] - door - 2)
        wall[at : at + thick, left : left + door] = False


def field_of(occupied: np.ndarray, origin_m: np.ndarray, hollow: bool) -> Field:
    """The distance field that the planner would have."""
    seen = occupied & ~binary_erosion(occupied) if hollow else occupied
    distance = (distance_transform_edt(~seen) * RESOLUTION_M).astype(np.float32)
    return Field(distance, np.zeros_like(seen), RESOLUTION_M, np.asarray(origin_m, dtype=np.float64))


def random_path(planner: PathPlanner, field: Field, rng: np.random.Generator) -> Sample | None:
    """A* between two random free places and its shortcuts; None where there is no way, or a short one."""
    free = np.argwhere(field.distance_m > planner.hard_m)
    start, goal = field.centers_of(free[rng.integers(0, len(free), 2)])
    if np.linalg.norm(goal - start) < SHORTEST_M:
        return None
    plan = planner.plan_on(field, np.append(start, 0.0), np.append(goal, 0.0))
    if not plan.found:
        return None
    return Sample(plan.raw, shortcut(plan.raw, planner.cost_of(field), field), plan.path, field)


class Fields:
    """All distance fields in one tensor, looked up bilinearly and differentiably."""

    def __init__(self, fields: list[Field]) -> None:
        sizes = [field.distance_m.size for field in fields]
        self.values = torch.from_numpy(np.concatenate([field.distance_m.ravel() for field in fields]))
        self.first = torch.tensor(np.cumsum([0, *sizes[:-1]]))
        self.shape = torch.tensor([field.distance_m.shape for field in fields])
        self.origin_m = torch.tensor(np.array([field.origin_m for field in fields]), dtype=torch.float32)

    def distance(self, which: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
        """Distances (B, ...) in metres at points (B, ..., 2) of the fields `which` (B,)."""
        shape = (-1, *[1] * (points.dim() - 2))
        rows, cols = self.shape[which, 0].view(shape), self.shape[which, 1].view(shape)
        place = (points - self.origin_m[which].view(*shape, 2)) / RESOLUTION_M - 0.5
        col = torch.minimum(place[..., 0].clamp(min=0.0), cols - 1.001)
        row = torch.minimum(place[..., 1].clamp(min=0.0), rows - 1.001)
        c, r = col.detach().long(), row.detach().long()
        fx, fy = col - c, row - r
        at = self.first[which].view(shape) + r * cols + c
        low = torch.lerp(self.values[at], self.values[at + 1], fx)
        high = torch.lerp(self.values[at + cols], self.values[at + cols + 1], fx)
        return torch.lerp(low, high, fy)


def batch_cost(
    points: torch.Tensor,
    speeds: torch.Tensor,
    spacing_m: torch.Tensor,
    which: torch.Tensor,
    weights: torch.Tensor,
    fields: Fields,
    discs: Discs,
) -> torch.Tensor:
    """J (1) of axon_planner.path_cost for paths (B, N, 2), speeds (B, N), spacings (B,) and `speed_weights` (B, 6).

    A test holds the two equal.
    """
    w_time, w_near, w_turn, w_ramp, accel, brake = weights.T[:, :, None]
    edges = points[:, 1:] - points[:, :-1]
    length = edges.norm(dim=-1).clamp(min=1e-6)
    along = edges / length[..., None]
    centers = torch.tensor(discs.centers_m, dtype=points.dtype)
    places = 0.5 * (points[:, 1:] + points[:, :-1])[:, None] + centers[None, :, None, None] * along[:, None]
    room = fields.distance(which, places) - discs.radius_m
    near = CLEARANCE_WEIGHT * (1.0 - room / COMFORT_M).clamp(min=0.0) ** 2
    near = (near + BARRIER_WEIGHT * (1.0 - room / BARRIER_M).clamp(min=0.0) ** 2).mean(dim=1)
    mean = 0.5 * (speeds[:, 1:] + speeds[:, :-1])
    metres = length * (1.0 + near * (1.0 + w_near * mean**2) + w_time * (1.0 / mean - 1.0))
    turned = ((along[:, 1:] - along[:, :-1]) ** 2).sum(dim=2) / spacing_m[:, None]
    bends = turned * (CURVATURE_M**2 + w_turn * speeds[:, 1:-1] ** 2)
    gain = (speeds[:, 1:] ** 2 - speeds[:, :-1] ** 2) / spacing_m[:, None]
    over = (accel * gain - 1.0).clamp(min=0.0) ** 2 + (-brake * gain - 1.0).clamp(min=0.0) ** 2
    return metres.sum(dim=1) + bends.sum(dim=1) + (w_ramp * spacing_m[:, None] * over).sum(dim=1)


@dataclass(frozen=True)
class Batch:
    """References of one length N: features (B, C, N), points and normals (B, N, 2), spacings (B,), fields (B,),

    and what speeds cost their robots (B, 6).
    """

    features: torch.Tensor
    points: torch.Tensor
    normals: torch.Tensor
    spacing_m: torch.Tensor
    which: torch.Tensor
    weights: torch.Tensor

    def curves(self, offsets_m: torch.Tensor) -> torch.Tensor:
        """Paths (B, N, 2) for offsets (B, N)."""
        blur = torch.tensor(smoother(self.points.shape[1]), dtype=torch.float32)
        return blur @ (self.points + offsets_m[..., None] * self.normals)


class Batches:
    """Draws batches: paths of about one length, either way round, bent at random so that no two are the same."""

    def __init__(self, samples: list[Sample], discs: Discs) -> None:
        self.samples, self.discs = samples, discs
        known = {id(sample.field): k for k, sample in enumerate(samples)}  # one for each field
        order = {field: k for k, field in enumerate(known)}
        self.which = [order[id(sample.field)] for sample in samples]
        self.fields = Fields([samples[k].field for k in known.values()])
        counts = [max(16, 8 * round((path_length(sample.line) / SPACING_M + 1.0) / 8.0)) for sample in samples]
        self.buckets = {count: np.flatnonzero(np.array(counts) == count) for count in set(counts)}
        self.share = np.array([len(bucket) for bucket in self.buckets.values()]) / len(samples)

    def draw(self, rng: np.random.Generator, points: int) -> Batch:
        """A batch of about `points` waypoints."""
        count = int(rng.choice(list(self.buckets), p=self.share))
        chosen = rng.choice(self.buckets[count], max(4, points // count))
        references = [make_reference(bent(self.samples[k].line, rng), count=count) for k in chosen]
        return self.batch(references, [int(k) for k in chosen], [random_robot(rng) for _ in chosen])

    def batch(self, references: list[Reference], chosen: list[int], robots: list[DriveScales]) -> Batch:
        """The tensors of references along the samples `chosen`, for `robots`."""
        seen = [
            features(reference, self.samples[k].field, self.discs.radius_m, robot)
            for reference, k, robot in zip(references, chosen, robots, strict=True)
        ]
        return Batch(
            torch.from_numpy(np.concatenate(seen)),
            _stack([reference.points for reference in references]),
            _stack([reference.normals for reference in references]),
            _stack([reference.spacing_m for reference in references]),
            torch.tensor([self.which[k] for k in chosen]),
            _stack([speed_weights(robot) for robot in robots]),
        )


def _stack(arrays: list) -> torch.Tensor:
    return torch.from_numpy(np.array(arrays, dtype=np.float32))


def random_robot(rng: np.random.Generator) -> DriveScales:
    """The limits of any base: 0.3 to 2.5 m/s, 0.8 to 3 rad/s, 0.5 to 4 m/s^2."""
    top, accel, decel = np.exp(rng.uniform(np.log([0.3, 0.5, 0.5]), np.log([2.5, 4.0, 4.0])))
    return DriveScales(top / rng.uniform(0.8, 3.0), 0.5 * top**2 / accel, 0.5 * top**2 / decel)


def bent(line: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The line, half of the time from its end to its start, and pushed aside by smooth noise of up to a few cells."""
    line = line[::-1] if rng.random() < 0.5 else line
    if rng.random() < 0.5:
        return line
    points = resample(line, 0.25)
    noise = gaussian_filter1d(rng.standard_normal(points.shape), 2.0, axis=0) * rng.uniform(0.0, 0.15)
    window = np.minimum(1.0, np.minimum(np.arange(len(points)), np.arange(len(points))[::-1]) / 2.0)
    return points + noise * window[:, None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options beside those of every recipe."""
    parser.add_argument("--worlds", type=int, default=320, metavar="N", help="training worlds (default: 320)")
    parser.add_argument("--steps", type=int, default=10_000, metavar="N", help="steps of training (default: 10000)")


def main(run: Run) -> Trained:
    """Train, export, measure."""
    torch.set_num_threads(1)
    torch.manual_seed(run.seed)
    discs = Discs(PlannerConfig())
    batches = Batches(list(make_samples(TRAINING_SEEDS + 10_000 * run.seed, run.args.worlds)), discs)
    checks = Batches(list(make_samples(VALIDATION_SEEDS, VALIDATION_WORLDS)), discs)
    print(f"{len(batches.samples)} training paths, {len(checks.samples)} for validation", flush=True)
    network = RefinerNet()
    train(run, network, batches, checks)
    file = run.folder / "refiner.onnx"
    example = {"features": torch.rand(1, CHANNELS, 64)}
    axes = {"features": {2: "points"}, "offsets": {1: "points"}, "speeds": {1: "points"}}
    export_onnx(network, example, ["offsets", "speeds"], file, axes)
    return describe(file, measure(Refiner.load(str(file)), checks.samples))


def train(run: Run, network: RefinerNet, batches: Batches, checks: Batches) -> None:
    """Minimise the mean cost a metre; goes on where a checkpoint is."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=1e-4)
    steps = run.args.steps
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, steps, pct_start=max(0.05, 2.0 / steps))
    parts = {"network": network, "optimiser": optimiser, "schedule": schedule}
    for step in range(run.resume(**parts), steps):
        batch = batches.draw(np.random.default_rng([run.seed, step]), POINTS_A_BATCH)
        loss = excess(network, batch, batches)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if (step + 1) % 500 == 0:
            run.log(step=step + 1, loss=loss.item(), validation=validate(network, checks))
            run.keep(step + 1, **parts)


def excess(network: RefinerNet, batch: Batch, batches: Batches) -> torch.Tensor:
    """Mean cost of a metre beyond its length, over the refined paths of a batch."""
    offsets, speeds = network(batch.features)
    speeds = torch.cat([speeds[:, :-1], torch.full_like(speeds[:, -1:], LEAST_SPEED)], dim=1)
    cost = batch_cost(
        batch.curves(offsets), speeds, batch.spacing_m, batch.which, batch.weights, batches.fields, batches.discs
    )
    length = batch.spacing_m * (batch.points.shape[1] - 1)
    return (cost / length).mean() - 1.0


def validate(network: RefinerNet, checks: Batches) -> float:
    """Mean excess over all validation paths as they are."""
    network.eval()
    rng = np.random.default_rng(0)
    with torch.no_grad():
        values = []
        for count, bucket in checks.buckets.items():
            chosen = [int(k) for k in bucket]
            references = [make_reference(checks.samples[k].line, count=count) for k in chosen]
            robots = [random_robot(rng) for _ in chosen]
            values.append(len(chosen) * excess(network, checks.batch(references, chosen, robots), checks).item())
    network.train()
    return sum(values) / len(checks.samples)


def measure(refiner: Refiner, samples: list[Sample]) -> dict[str, float]:
    """What the paths that the refiner gives out are like, beside A*'s own, the elastic band's and an optimiser's."""
    config = PlannerConfig()
    descent = Refiner.by_descent()
    rows = []
    for sample in samples:
        refined = refiner.refine(config, sample.field, sample.raw, sample.line, sample.classical)
        costs = [_excess_of(each.propose(config, sample.field, sample.line), sample) for each in (refiner, descent)]
        kept = speeds_along(config, sample.field, sample.classical)
        costs.append(cost_of_drive(config, sample.field, sample.classical, kept) / path_length(sample.classical) - 1.0)
        raw = with_headings(resample(sample.raw, 0.05))
        clear = [clearances(config, sample.field, poses).mean() for poses in (raw, refined.path)]
        turns = [sharpest_radpm(poses) for poses in (raw, refined.path)]
        times = duration_s(refined.path, refined.speeds_mps) / duration_s(sample.classical, kept)
        rows.append([*costs, *clear, *turns, path_length(refined.path) / path_length(sample.raw), times])
    mean = np.mean(rows, axis=0)
    names = ("excess", "excess_descent", "excess_band", "clearance_mean_astar_m", "clearance_mean_m")
    names += ("curvature_max_astar_radpm", "curvature_max_radpm", "length_ratio", "duration_ratio_band")
    share = refiner.counts[Verdict.REFINED] / len(samples)
    return {**dict(zip(names, map(float, mean), strict=True)), "fallback_rate": 1.0 - share}


def _excess_of(curve: Curve, sample: Sample) -> float:
    scales = DriveScales.of(PlannerConfig().limits)
    cost = drive_cost(curve.points, curve.speeds, sample.field, Discs(PlannerConfig()), scales)[0]
    return cost / path_length(curve.points) - 1.0


def describe(file: Path, metrics: dict[str, float]) -> Trained:
    """The card's text."""
    return Trained(
        file=file,
        version="0.2.0",
        task="path refinement",
        description=(
            "Moves the waypoints of an A* path sideways, in one pass, to where the path is smooth and keeps clear, and "
            "says how fast each of them may be passed. A "
            "residual network of one-dimensional dilated convolutions along the path. It learned without labels, from "
            "the gradient of the cost in axon_planner.path_cost: length, nearness of obstacles to three discs that "
            "cover the footprint, squared curvature, time."
        ),
        evaluation=(
            "Paths between random places of 32 worlds of the simulator (BARN-like, rooms, apartments, warehouses) "
            "whose seeds are none of the training's, after the planner's checks. `excess` is the mean cost of a metre "
            "beyond 1, time included, of the network's answers before the checks, with L-BFGS on the same cost and the "
            "elastic band beside it; `astar` is the search's own path. `./axon bench refiner` measures on BARN."
        ),
        limits=(
            "Moves a point by at most 0.5 m to either side, so that it never finds another way round. Trained for a "
            "base of 0.42 x 0.33 m in 0.04 m cells, with any limits of speed; other outlines are checked, but are not "
            "what it has learned. Does not know what nobody has seen yet, or moving things. Its answers are proposals: "
            "a path that fails the planner's checks is not used."
        ),
        metrics=metrics,
        details={
            "input": f"features float32 (1, {CHANNELS}, N), see axon_planner.refiner.features",
            "output": "offsets float32 (1, N), metres to the left; speeds float32 (1, N), shares of the top speed",
        },
    )
