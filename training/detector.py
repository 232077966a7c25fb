# SPDX-License-Identifier: Apache-2.0
"""The object detector: ten household categories, from rendered scenes and rooms, for a robot's small camera.

Renders its images first (kept in --data), then trains in steps of one batch; validation images have seeds of their own.
"""

from __future__ import annotations

import argparse
import copy
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import onnx
import torch

from axon_core.boxes import nms
from axon_detector.evaluation import Found, Truth, average_precisions, mean_precisions
from axon_detector.model import SIZE_MULTIPLE, DetectorNet
from axon_sim.objects import CATEGORIES
from training import detector_data as data
from training.detector_loss import Truth as Target
from training.detector_loss import detection_loss
from training.export import export_onnx
from training.harness import Run, Trained

VERSION = "0.1.0"
HEIGHT, WIDTH = 256, 320
DESCRIPTION = """Boxes of household objects in the image of a robot's camera. An anchor-free network of {millions:.2f} M
parameters (`axon_detector/model.py`), {gflop:.2f} GFLOP for an image of 320 x 240 px, trained from nothing on {images}
rendered images (`axon_sim.scenes`, `axon_sim.world_views`)."""
EVALUATION = """COCO's mean average precision on {held_out} rendered images of validation seeds ({first_seed} and up),
each at its own size: tables, floors and apartments whose objects, textures and lights it was not trained on. Objects of
which less than a quarter is visible are neither missed nor wrong when found. `./axon bench detector-sim` measures on
more."""
LIMITS = """- It has seen rendered images only; photographs of real things are outside of what it knows.
- Ten categories, each a procedural family; books in a shelf are furniture to it.
- Objects below 8 px are mostly missed; cup, mug and can are confused where a handle or rim is smaller than a pixel.
- Scores are not calibrated."""
INPUT = "images: 1x3xHxW float32, BGR 0..255, H and W multiples of 32; image in the upper left, padding 114"
OUTPUT = "boxes: 1xNx4 x_min, y_min, x_max, y_max px; scores: 1xNx10 in 0..1, before suppression"
_WEIGHT_DECAY, _CLIP_NORM = 0.02, 10.0
_EMA_DECAY, _EMA_WARM_UP = 0.999, 200.0
_RISE, _FALL = 0.02, 0.25
_LOG_EVERY, _KEEP_EVERY, _VALIDATE_EVERY = 50, 100, 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options beside those of every training."""
    parser.add_argument("--data", type=Path, default=Path("out/data/detector"), help="folder of the rendered images")
    parser.add_argument("--scenes", type=int, default=3000, help="table and floor scenes, 6 views each (default: 3000)")
    parser.add_argument("--rooms", type=int, default=220, help="apartments, 20 views each (default: 220)")
    parser.add_argument("--workers", type=int, default=2, help="processes that render (default: 2)")
    parser.add_argument("--steps", type=int, default=26_000, help="steps of one batch (default: 26000)")
    parser.add_argument("--minutes", type=float, default=0.0, help="end after so long even so; 0: never (default)")
    parser.add_argument("--batch", type=int, default=8, help="images a step (default: 8)")
    parser.add_argument("--rate", type=float, default=2e-3, help="largest learning rate (default: 2e-3)")
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch (default: 1)")


def main(run: Run) -> Trained:
    """Render, train, validate, export."""
    args = run.args
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(1)
    training, validation = render(args)
    print(f"{len(training)} images to learn from, {len(validation)} to validate", flush=True)
    network = train(run, training, validation)
    metrics = validate(network, validation)
    file = run.folder / "detector.onnx"
    export(network, file)
    return Trained(file=file, version=VERSION, metrics=metrics, **describe(network, training, validation))


def render(args: argparse.Namespace) -> tuple[list[data.Sample], list[data.Sample]]:
    """Return the samples to learn from and those to validate on, drawn where they are not yet there."""
    first = data.TRAINING_SEED + 10_000 * args.seed
    scenes, rooms = drawn(args, range(first, first + args.scenes), 6, range(first, first + args.rooms), 20)
    # rooms twice, for they are what the robot will see; of those without an object every fourth is enough
    empty = [sample for sample in rooms if not len(sample.labels)]
    rooms = [sample for sample in rooms if len(sample.labels)]
    held_out = data.VALIDATION_SEED
    validation = drawn(args, range(held_out, held_out + 100), 4, range(held_out, held_out + 20), 12)
    return scenes + 2 * (rooms + empty[::4]), validation[0] + validation[1]


def drawn(
    args: argparse.Namespace, scenes: range, scene_views: int, rooms: range, room_views: int
) -> tuple[list[data.Sample], list[data.Sample]]:
    """Return samples of scenes and of apartments of these seeds."""
    tables = partial(data.scene_views, views=scene_views)
    apartments = partial(data.world_views, name="apartment", views=room_views)
    return (
        data.render(args.data / "scenes", scenes, tables, args.workers),
        data.render(args.data / "apartment", rooms, apartments, args.workers),
    )


def train(run: Run, training: list[data.Sample], validation: list[data.Sample]) -> DetectorNet:
    """Return the network after all steps: the moving average of its weights."""
    args = run.args
    torch.manual_seed(run.seed)
    network = DetectorNet(len(CATEGORIES)).to(run.device, memory_format=torch.channels_last)
    average = copy.deepcopy(network).eval()
    optimiser = torch.optim.AdamW(groups(network))
    parts = {"network": network, "average": average, "optimiser": optimiser}
    step, losses = run.resume(**parts), []
    ahead = Ahead(partial(batch, training, run.seed, args.batch), step)
    while (done := progress(run, step)) < 1.0:
        set_rate(optimiser, args.rate * rate_factor(done))
        images, targets = ahead.take(step, run.device)
        losses.append(learn(network, optimiser, images, targets))
        follow(average, network, step)
        step += 1
        if step % _LOG_EVERY == 0:
            score_loss, box_loss = np.mean(losses[-_LOG_EVERY:], axis=0)
            run.log(step=step, score_loss=score_loss, box_loss=box_loss, done=done)
        if step % _KEEP_EVERY == 0:
            run.keep(step, **parts)
        if step % _VALIDATE_EVERY == 0:
            run.log(step=step, **validate(average, validation[::4]))
    return average


def progress(run: Run, step: int) -> float:
    """Return how much of the training is done, by steps or by time, whichever is further: 0 .. 1."""
    by_time = run.elapsed_s / (60.0 * run.args.minutes) if run.args.minutes else 0.0
    return max(step / run.args.steps, by_time)


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of all groups."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def groups(network: torch.nn.Module) -> list[dict]:
    """Return the optimiser's groups: no weight decay for norms and biases."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    free = [p for p in network.parameters() if p.ndim <= 1]
    return [{"params": decayed, "weight_decay": _WEIGHT_DECAY}, {"params": free, "weight_decay": 0.0}]


def rate_factor(done: float) -> float:
    """Return the factor on the learning rate: up, level, and down in the last quarter.

    A level rate lets a training be lengthened at will, and does as well as a cosine (Haegele et al., 2024).
    """
    rise, fall = done / _RISE, (1.0 - done) / _FALL
    return max(0.01, min(rise, 1.0, fall))


def batch(samples: list[data.Sample], seed: int, size: int, step: int) -> tuple[torch.Tensor, list[Target]]:
    """Return images (B, 3, H, W) and what is in them, the same for the same step of the same seed."""
    rng = np.random.default_rng([seed, step])
    pictures = [data.compose(samples, rng, HEIGHT, WIDTH) for _ in range(size)]
    images = torch.from_numpy(np.stack([p.bgr for p in pictures])).permute(0, 3, 1, 2)
    return images.float(), [Target(*map(torch.from_numpy, (p.boxes_xyxy, p.labels, p.ignored))) for p in pictures]


class Ahead:
    """Makes the batch of the next step in a thread while the network learns from the present one."""

    def __init__(self, make: Callable[[int], tuple[torch.Tensor, list[Target]]], step: int) -> None:
        self._make, self._pool = make, ThreadPoolExecutor(1)
        self._next = self._pool.submit(make, step)

    def take(self, step: int, device: str) -> tuple[torch.Tensor, list[Target]]:
        """Return the batch of a step on a device, and begin that of the one after."""
        images, targets = self._next.result()
        self._next = self._pool.submit(self._make, step + 1)
        moved = [Target(t.boxes.to(device, torch.float32), t.labels.to(device), t.ignored.to(device)) for t in targets]
        return images.to(device), moved


def learn(
    network: DetectorNet, optimiser: torch.optim.Optimizer, images: torch.Tensor, targets: list[Target]
) -> tuple[float, float]:
    """One step; return the losses of scores and boxes."""
    network.train()
    with torch.autocast(images.device.type, torch.bfloat16):
        predicted = network.predict(images)
    score_loss, box_loss = detection_loss(predicted, targets)
    optimiser.zero_grad(set_to_none=True)
    (score_loss + box_loss).backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), _CLIP_NORM)
    optimiser.step()
    return score_loss.item(), box_loss.item()


@torch.no_grad()
def follow(average: torch.nn.Module, network: torch.nn.Module, step: int) -> None:
    """Move the average towards the network, quickly in the beginning."""
    decay = _EMA_DECAY * (1.0 - math.exp(-(step + 1) / _EMA_WARM_UP))
    for mine, theirs in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if mine.dtype.is_floating_point:
            mine.lerp_(theirs, 1.0 - decay)
        else:
            mine.copy_(theirs)


def validate(network: DetectorNet, samples: list[data.Sample]) -> dict[str, float]:
    """Return mean average precisions on samples, each at its own size."""
    found = [detect(network, sample.read()) for sample in samples]
    truths = [Truth(s.boxes_xyxy, s.labels, s.visibility < data.MIN_VISIBILITY) for s in samples]
    precisions = average_precisions(found, truths, len(CATEGORIES))
    map50_95, map50 = mean_precisions(precisions)
    return {"map50": map50, "map50_95": map50_95}


@torch.no_grad()
def detect(network: DetectorNet, image: np.ndarray) -> Found:
    """Detect in one BGR image, padded at its right and bottom."""
    height, width = (math.ceil(n / SIZE_MULTIPLE) * SIZE_MULTIPLE for n in image.shape[:2])
    canvas = np.full((height, width, 3), data.PADDING, dtype=np.float32)
    canvas[: image.shape[0], : image.shape[1]] = image
    device = next(network.parameters()).device
    boxes, scores = network(torch.from_numpy(canvas).permute(2, 0, 1)[None].to(device))
    boxes, (scores, labels) = boxes[0].cpu().numpy(), (t.cpu().numpy() for t in scores[0].max(dim=1))
    likely = np.flatnonzero(scores > 0.01)
    likely = likely[np.argsort(-scores[likely])][:400]
    kept = likely[nms(boxes[likely], scores[likely], 0.6, labels[likely])]
    return Found(boxes[kept], scores[kept], labels[kept])


def export(network: DetectorNet, file: Path) -> None:
    """Write the network with its classes; any height and width that are multiples of 32 fit."""
    example = torch.from_numpy(np.random.default_rng(0).uniform(0, 255, (1, 3, HEIGHT, WIDTH)).astype(np.float32))
    axes = {"images": {2: "height", 3: "width"}, "boxes": {1: "cells"}, "scores": {1: "cells"}}
    export_onnx(network, {"images": example}, ("boxes", "scores"), file, axes, tolerance=1e-2)
    model = onnx.load(file)
    onnx.helper.set_model_props(model, {"classes": ",".join(CATEGORIES), "license": "Apache-2.0"})
    onnx.save(model, file)


def describe(network: DetectorNet, training: list[data.Sample], validation: list[data.Sample]) -> dict:
    """What manifest and card say of it."""
    facts = {
        "millions": sum(p.numel() for p in network.parameters()) / 1e6,
        "gflop": flops(network) / 1e9,
        "images": len({sample.file for sample in training}),
        "held_out": len(validation),
        "first_seed": data.VALIDATION_SEED,
    }
    return {
        "task": "detection",
        "description": DESCRIPTION.format(**facts),
        "evaluation": EVALUATION.format(**facts),
        "limits": LIMITS,
        "details": {"input": INPUT, "output": OUTPUT, "classes": list(CATEGORIES)},
    }


def flops(network: torch.nn.Module) -> float:
    """Return the floating point operations of all convolutions for one image, two a multiplication with addition."""
    counts: list[float] = []

    def count(layer: torch.nn.Conv2d, _: tuple, output: torch.Tensor) -> None:
        counts.append(2.0 * layer.weight.numel() * output.shape[2] * output.shape[3])

    convolutions = (layer for layer in network.modules() if isinstance(layer, torch.nn.Conv2d))
    hooks = [layer.register_forward_hook(count) for layer in convolutions]
    with torch.no_grad():
        network(torch.zeros(1, 3, HEIGHT, WIDTH, device=next(network.parameters()).device))
    for hook in hooks:
        hook.remove()
    return sum(counts)
