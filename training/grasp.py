# SPDX-License-Identifier: Apache-2.0
"""The grasp network: planar grasps on a height map, from labels that physics has checked.

Objects of `axon_sim.objects` come to rest on a table and are seen as from the robot's mast. At points and angles of the
height map the robot's own gripper is lowered as `axon_grasp.grasps.fit_gripper` says, with an error of aim, closed and
lifted in MuJoCo: it holds or not. In the second round the network proposes where to try, so that it learns what its own
favourites are worth. Labels are kept in the training's folder and made by `--workers` processes.

Seeds of objects and scenes: training from 1,000,000 on, validation 500,000 to 999,999; those below are benchmarks'.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, smooth_l1_loss

from axon_core.cameras import PinholeCamera
from axon_core.inference import OnnxModel
from axon_grasp import grasps as gr
from axon_grasp.heightmap import CELLS, HeightMap, NothingSeen, centers_of, make_height_map, network_input, object_mask
from axon_grasp.model import GraspNet, patches_at
from axon_sim import grasping
from axon_sim.scenes import LabelRenderer
from training.export import export_onnx
from training.harness import Run, Trained

VERSION = "1.0.0"
TRAIN_SEED, VALIDATION_SEED = 1_000_000, 500_000
# flat ones, which this gripper cannot take from above, are rare: a few teach that
CATEGORIES = 2 * ("ball", "banana", "bottle", "bowl", "box", "can", "cup", "mug") + ("book", "plate")
TRAIN_OBJECTS, VALIDATION_OBJECTS = (1_000_000, 2**31 - 1), (500_000, 1_000_000)
WIDTH_PX, HEIGHT_PX = 320, 240
VIEWS, TRIALS, EASY = 2, 12, 12
SHARD = 20  # scenes a file
AIM_SIGMA_M, AIM_SIGMA_RAD = 0.002, 0.03  # of the arm, the camera's mount and the map together
MOUNT_SIGMA_M, MOUNT_SIGMA_RAD = 0.0015, 0.0015
COLUMNS = 6  # of a label: row, column, angle, held, thickness (NaN: not known), whether physics said so
BATCH, RATE, WEIGHT_DECAY = 128, 3e-3, 1e-3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scenes", type=int, default=620, help="scenes with grasps at random (default: 620)")
    parser.add_argument("--proposed", type=int, default=160, help="scenes with grasps of the network (default: 160)")
    parser.add_argument("--validation", type=int, default=160, help="scenes to validate on (default: 160)")
    parser.add_argument("--epochs", type=int, default=4, help="epochs of the first round (default: 4)")
    parser.add_argument("--epochs-both", type=int, default=9, help="epochs over the labels of both (default: 9)")
    parser.add_argument("--workers", type=int, default=2, help="processes that make labels (default: 2)")
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch (default: 1)")


def main(run: Run) -> Trained:
    """Label, train, label where the network would grasp, train again, export, measure."""
    args = run.args
    torch.set_num_threads(args.threads)
    torch.manual_seed(run.seed)
    labels = run.folder / "labels"
    validation = Part(labels / "validation", VALIDATION_SEED, args.validation, VALIDATION_OBJECTS)
    first = Part(labels / "first", TRAIN_SEED, args.scenes, TRAIN_OBJECTS)
    second = Part(labels / "second", TRAIN_SEED + args.scenes, args.proposed, TRAIN_OBJECTS)
    state = run.load_checkpoint() or {"epoch": 0}
    make_labels([validation, first], None, args.workers)
    trainer = Trainer(run, state)
    trainer.train(load([first]), load([validation]), 0, args.epochs)
    proposer = run.folder / "proposer.onnx"
    if not proposer.is_file():
        export(trainer.network, proposer)
    make_labels([second], proposer, args.workers)
    trainer.train(load([first, second]), load([validation]), args.epochs, args.epochs + args.epochs_both)
    file = run.folder / "grasp.onnx"
    export(trainer.network, file)
    return describe(file, trainer.evaluate(load([validation])), load([first, second]))


# Labels


@dataclass(frozen=True)
class Part:
    """A folder of labels: `count` scenes whose seeds begin at `seed`, their objects' seeds in a range of their own."""

    folder: Path
    seed: int
    count: int
    objects: tuple[int, int]

    def shards(self) -> Iterator[tuple[Path, range]]:
        """All files of the part, and the seeds of the scenes in each."""
        for begin in range(0, self.count, SHARD):
            seeds = range(self.seed + begin, self.seed + min(begin + SHARD, self.count))
            yield self.folder / f"{seeds.start}.npz", seeds


def make_labels(parts: list[Part], proposer: Path | None, workers: int) -> None:
    """Make what is missing of some parts, in processes of their own."""
    jobs = [(file, seeds, part.objects, proposer) for part in parts for file, seeds in part.shards()]
    missing = [job for job in jobs if not job[0].is_file()]
    if not missing:
        return
    print(f"labels: {len(missing)} of {len(jobs)} files of {SHARD} scenes to make", flush=True)
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        for done, file in enumerate(pool.imap_unordered(_make_shard, missing), 1):
            if done % 10 == 0:
                print(f"labels: {done} of {len(missing)} ({file})", flush=True)


def _make_shard(job: tuple[Path, range, tuple[int, int], Path | None]) -> str:
    """Label the scenes of one file; a reader sees the whole file or none."""
    file, seeds, objects, proposer = job
    network = OnnxModel(proposer, threads=1) if proposer is not None else None
    samples = [sample for seed in seeds for sample in label_scene(seed, objects, network)]
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f"{file.stem}.{os.getpid()}.tmp.npz")
    np.savez_compressed(
        temporary,
        maps=np.stack([maps for maps, _ in samples]).astype(np.float16),
        labels=np.stack([labels for _, labels in samples]).astype(np.float32),
    )
    temporary.replace(file)
    return file.name


def label_scene(seed: int, objects: tuple[int, int], network: OnnxModel | None) -> list[tuple[Any, Any]]:
    """Return the network's input and labels (L, COLUMNS) of each view of a scene; one to three objects."""
    rng = np.random.default_rng([seed, 7])
    table = grasping.draw_table(rng, objects, int(rng.choice([1, 1, 1, 2, 3])), CATEGORIES)
    samples = []
    for _ in range(VIEWS):
        target = table.world_T_objects()[0][:3, 3] + rng.normal(0.0, [0.012, 0.012, 0.01])
        try:
            heights = observe(table, rng, target)
            labels = label_view(table, heights, rng, network)
        except NothingSeen:
            continue
        samples.append((network_input(heights), labels))
    return samples


_renderer: list[LabelRenderer] = []


def observe(table: grasping.GraspTable, rng: np.random.Generator, target: np.ndarray) -> HeightMap:
    """Return the height map that a robot somewhere about the table makes of its view, in the frame of the table."""
    if not _renderer:
        _renderer.append(LabelRenderer(table.model, WIDTH_PX, HEIGHT_PX, shadows=False))
    world_T_camera = grasping.draw_view(rng, table, target)
    depth = grasping.photograph_depth(table.draw_depth(world_T_camera, _renderer[0]), rng)
    believed = world_T_camera.copy()
    believed[:3, :3] = small_turn(rng.normal(0.0, MOUNT_SIGMA_RAD, 3)) @ believed[:3, :3]
    believed[:3, 3] += rng.normal(0.0, MOUNT_SIGMA_M, 3)
    return make_height_map(depth, robot_camera(), believed, target)


def robot_camera() -> PinholeCamera:
    """The intrinsics of the robot's camera."""
    focal = float(0.5 * HEIGHT_PX / np.tan(0.5 * np.radians(55.0)))
    return PinholeCamera(WIDTH_PX, HEIGHT_PX, focal, focal, 0.5 * (WIDTH_PX - 1), 0.5 * (HEIGHT_PX - 1))


def small_turn(angles_rad: np.ndarray) -> np.ndarray:
    """Return the rotation (3, 3) by a rotation vector (3,) (Rodrigues)."""
    angle = float(np.linalg.norm(angles_rad))
    x, y, z = angles_rad / max(angle, 1e-12)
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * cross @ cross


def label_view(table: Any, heights: HeightMap, rng: np.random.Generator, network: OnnxModel | None) -> np.ndarray:
    """Try grasps where the gripper has room, and note some places where it has none or nothing to grasp."""
    mask = object_mask(heights)
    cells, angles = _random_grasps(mask, 5 * TRIALS, rng)
    if network is not None:
        proposed = _proposed_grasps(heights, mask, network, rng)
        cells, angles = np.vstack([proposed[0], cells]), np.concatenate([proposed[1], angles])
    shape, limits = gr.GripperShape(), gr.FitLimits()
    placed = gr.fit_gripper(heights, centers_of(cells), angles, shape, limits)
    chosen = np.flatnonzero(placed.fits)[:TRIALS]
    poses = gr.poses_of(heights, centers_of(cells[chosen]), angles[chosen], placed.z_m[chosen])
    tried = [_try(table, pose, float(placed.opening_m[i]), rng) for pose, i in zip(poses, chosen, strict=True)]
    rows = [_row(cells[i], angles[i], *outcome, 1.0) for i, outcome in zip(chosen, tried, strict=True)]
    rows += [_row(cells[i], angles[i], 0.0, np.nan, 0.0) for i in np.flatnonzero(~placed.fits)[:EASY]]
    everywhere = rng.integers(0, CELLS, (EASY, 2))
    turned = rng.uniform(0.0, np.pi, EASY)
    nothing = ~gr.fit_gripper(heights, centers_of(everywhere), turned, shape, limits).fits
    rows += [_row(c, a, 0.0, np.nan, 0.0) for c, a in zip(everywhere[nothing], turned[nothing], strict=True)]
    padding = [[0.0] * 3 + [np.nan] * 2 + [0.0]] * (TRIALS + 2 * EASY - len(rows))
    return np.array(rows + padding)


def _row(cell: np.ndarray, angle: float, held: float, thickness: float, physical: float) -> list[float]:
    return [float(cell[0]), float(cell[1]), float(angle), held, thickness, physical]


def _random_grasps(mask: np.ndarray, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return cells (count, 2) on or at an object, and angles (count,)."""
    on = np.argwhere(mask)
    cells = on[rng.integers(len(on), size=count)] + rng.integers(-2, 3, (count, 2))
    return np.clip(cells, 0, CELLS - 1), rng.uniform(0.0, np.pi, count)


def _proposed_grasps(
    heights: HeightMap, mask: np.ndarray, network: OnnxModel, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return cells and angles of the network's favourites, one by one drawn among the best, and turned a little."""
    quality = np.where(mask, network.run({"maps": network_input(heights)[None]})["quality"][0], 0.0)
    best = np.argsort(-quality.ravel())[: 12 * TRIALS]
    drawn = rng.permutation(best)[: 2 * TRIALS // 3]
    bins, rows, columns = np.unravel_index(drawn, quality.shape)
    angles = gr.bin_angles()[bins] + rng.uniform(-0.5, 0.5, len(bins)) * np.pi / gr.ANGLES
    return np.column_stack([rows, columns]), np.mod(angles, np.pi)


def _try(table: Any, pose: np.ndarray, opening_m: float, rng: np.random.Generator) -> tuple[float, float]:
    """Return whether a grasp holds that is aimed with the arm's error, and what it closed on."""
    aimed = pose.copy()
    turn = np.array([0.0, 0.0, rng.normal(0.0, AIM_SIGMA_RAD)])
    aimed[:3, :3] = small_turn(turn) @ aimed[:3, :3]
    aimed[:3, 3] += rng.normal(0.0, AIM_SIGMA_M, 3)
    outcome = table.try_grasp(aimed, opening_m)
    return float(outcome.held), outcome.width_m if outcome.held else np.nan


# Training


@dataclass(frozen=True)
class Tried:
    """Maps (N, 2, CELLS, CELLS) float16, labels (L, COLUMNS) and the map (L,) that each label belongs to."""

    maps: torch.Tensor
    labels: torch.Tensor
    of_map: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def only(self, kept: torch.Tensor) -> Tried:
        """Return some of the labels."""
        return Tried(self.maps, self.labels[kept], self.of_map[kept])

    def patches(self, rows: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        """Return what the network sees of some labels, a little off where a generator is given."""
        place = self.labels[rows, :3]
        if generator is not None:
            place = place + torch.randn(place.shape, generator=generator) * torch.tensor([0.2, 0.2, 0.03])
        return patches_at(self.maps[self.of_map[rows]].float(), *place.unbind(dim=1))


def load(parts: list[Part]) -> Tried:
    """Return all that was tried in some parts."""
    files = [np.load(file) for part in parts for file, _ in part.shards()]
    maps, labels = np.concatenate([f["maps"] for f in files]), np.concatenate([f["labels"] for f in files])
    of_map, row = np.nonzero(~np.isnan(labels[..., 3]))
    return Tried(torch.from_numpy(maps), torch.from_numpy(labels[of_map, row]), torch.from_numpy(of_map))


class Trainer:
    """The network, its optimiser and its schedule."""

    def __init__(self, run: Run, state: dict[str, Any]) -> None:
        self.run, self.epoch = run, state["epoch"]
        self.network = GraspNet().to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=RATE, weight_decay=WEIGHT_DECAY)
        if "network" in state:
            self.network.load_state_dict(state["network"])
            self.optimizer.load_state_dict(state["optimizer"])

    def train(self, data: Tried, validation: Tried, begin: int, end: int) -> None:
        """Train what is left of the epochs of a round, over which the rate falls as half a cosine."""
        while self.epoch < end:
            loss = self._pass_over(data, (self.epoch - begin) / (end - begin), 1.0 / (end - begin))
            self.epoch += 1
            self.run.log(epoch=self.epoch, loss=loss, **self.evaluate(validation))
            self.run.save_checkpoint(
                epoch=self.epoch, network=self.network.state_dict(), optimizer=self.optimizer.state_dict()
            )

    def evaluate(self, data: Tried) -> dict[str, float]:
        """Return loss, accuracy and average precision over the physical labels, and the error of thickness."""
        self.network.eval()
        physical = data.only(data.labels[:, 5] > 0.5)
        with torch.no_grad():
            answers = [self._answer(physical.patches(rows)) for rows in torch.arange(len(physical)).split(BATCH)]
        logits, thickness = (torch.cat(column) for column in zip(*answers, strict=True))
        known = ~torch.isnan(physical.labels[:, 4])
        return _scores(logits, physical.labels[:, 3], (thickness - physical.labels[:, 4])[known].abs())

    def _pass_over(self, data: Tried, share: float, epoch_share: float) -> float:
        self.network.train()
        generator = torch.Generator().manual_seed(1000 * self.run.seed + self.epoch)
        order, losses = torch.randperm(len(data), generator=generator), []
        for begin in range(0, len(order) - BATCH + 1, BATCH):
            self._set_rate(share + epoch_share * begin / len(order))
            rows = order[begin : begin + BATCH]
            answer = self._answer(augment(data.patches(rows, generator), generator))
            loss = grasp_loss(*answer, data.labels[rows])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            losses.append(float(loss.detach()))
        return float(np.mean(losses))

    def _answer(self, patches: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.autocast("cpu", torch.bfloat16):
            logits, thickness = self.network.judge(patches.to(memory_format=torch.channels_last))
        return logits.float(), thickness.float()

    def _set_rate(self, share: float) -> None:
        warm = min(1.0, (share + 0.002) / 0.04)
        for group in self.optimizer.param_groups:
            group["lr"] = RATE * warm * (0.5 + 0.5 * math.cos(math.pi * share)) + 1e-5


def grasp_loss(quality: torch.Tensor, thickness: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of the quality, places without room counting less; error of the thickness where one held."""
    weight = torch.where(labels[:, 5] > 0.5, 1.0, 0.2)
    judged = binary_cross_entropy_with_logits(quality, labels[:, 3], weight, reduction="sum") / weight.sum()
    known = ~torch.isnan(labels[:, 4])
    sized = smooth_l1_loss(100.0 * thickness[known], 100.0 * labels[known, 4]) if known.any() else 0.0
    return judged + 0.1 * sized


def augment(patches: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Mirror along and across the closing direction, for physics knows no left; move the surface by a millimetre."""
    for axis in (2, 3):
        mirrored = torch.rand(len(patches), 1, 1, 1, generator=generator) < 0.5
        patches = torch.where(mirrored, patches.flip(axis), patches)
    offset = 0.01 * torch.randn(len(patches), 1, 1, 1, generator=generator)
    return torch.cat([patches[:, :1] + offset, patches[:, 1:]], dim=1)


def _scores(logits: torch.Tensor, held: torch.Tensor, error_m: torch.Tensor) -> dict[str, float]:
    order = torch.argsort(-logits)
    hits = held[order]
    precision = torch.cumsum(hits, 0) / torch.arange(1, len(hits) + 1)
    return {
        "val_loss": float(binary_cross_entropy_with_logits(logits, held)),
        "val_accuracy": float(((logits > 0) == (held > 0.5)).float().mean()),
        "val_ap": float((precision * hits).sum() / hits.sum()),
        "val_held_share": float(held.mean()),
        "val_thickness_mm": 1e3 * float(error_m.mean()),
    }


# What it is


def export(network: GraspNet, file: Path) -> None:
    """Write the network as ONNX."""
    maps = torch.zeros(1, 2, CELLS, CELLS)
    maps[:, 1] = 1.0
    maps[:, 0, 40:56, 40:56] = 0.8
    export_onnx(network, {"maps": maps}, ["quality", "thickness_m"], file)


def describe(file: Path, scores: dict[str, float], data: Tried) -> Trained:
    """Return the network with its numbers and what they mean."""
    trials, maps = int((data.labels[:, 5] > 0.5).sum()), len(data.maps)
    return Trained(
        file=file,
        version=VERSION,
        task="planar grasps",
        description=(
            "A small fully convolutional network, run over a height map of the table (96 x 96 cells of 4 mm, seen from "
            "the mast) turned to each of 18 closing directions: for every cell the probability that the robot's "
            "two-finger gripper holds after a lift, and the thickness that it closes on. Trained on "
            f"{trials:,} grasps tried in physics on {maps:,} maps."
        ),
        evaluation=(
            "Grasps tried in physics on validation scenes, whose objects are in no training scene. `val_ap` is average "
            "precision, `val_held_share` the share that holds: what a constant would score. How often the robot's best "
            "grasp holds is measured by `./axon bench grasp-sim`."
        ),
        limits=(
            "Grasps straight from above only, by the shipped gripper (0.09 m): plates and flat books are beyond it. "
            "Simulated depth with the simulator's noise; transparent and shiny things, which give real cameras no "
            "depth, are not modelled. Rigid objects of the ten families of axon_sim. It knows neither weight nor "
            "slipperiness, and sees nothing of what is hidden."
        ),
        metrics=scores,
        details={"input": f"maps 1 x 2 x {CELLS} x {CELLS}: height in dm, known", "angles": gr.ANGLES},
    )
