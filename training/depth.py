# SPDX-License-Identifier: Apache-2.0
"""Metric depth and its uncertainty from one image, learned from rendered views of the simulator's worlds.

Views of apartments, warehouses, tables and scenes of objects from the robot's mast are rendered once into the folder
`views` of this training. Cropping, mirroring and the worlds' own seeds give cameras of other focal lengths, other
textures and layouts; colours, light, blur and noise are changed at random. The mean of log-depth is fitted by its
absolute error and that of its gradients, the scale of a Laplace distribution about it by likelihood.
"""

from __future__ import annotations

import argparse
import math

import cv2
import numpy as np
import torch
import torch.nn.functional as functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from axon_core.cameras import PinholeCamera
from axon_depth.canonical import INPUT_HEIGHT_PX, INPUT_WIDTH_PX
from axon_depth.evaluation import ause, depth_metrics, mean_of, within_sigma
from axon_depth.model import DepthNet, Symmetric
from axon_depth.runtime import DepthEstimator
from training.depth_data import HEIGHT_PX, TRAINING_SEED, VALIDATION_SEED, WIDTH_PX, Sample, View, crop, render
from training.export import export_onnx
from training.harness import Run, Trained

VERSION = "0.1.0"
VIEWS_EACH = 12
GRADIENT_SCALES, GRADIENT_WEIGHT = (1, 2, 4, 8), 0.5
AVERAGE_DECAY = 0.998
WARM_UP_STEPS = 200
SMALL_BY, SMALL_UNTIL = 2, 0.45  # begin with small views: the same time sees three times as many
LARGEST_GRADIENT = 5.0
EVALUATED_TO_M = 8.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options beside those of every recipe."""
    parser.add_argument("--worlds", type=int, default=400, metavar="N", help="worlds to learn from (default: 400)")
    parser.add_argument("--held-out", type=int, default=24, metavar="N", help="worlds to validate on (default: 24)")
    parser.add_argument("--minutes", type=float, default=60.0, help="time for rendering and learning (default: 60)")
    parser.add_argument("--batch", type=int, default=16, metavar="N", help="views a step (default: 16)")
    parser.add_argument("--rate", type=float, default=1e-3, help="highest learning rate (default: 1e-3)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads of PyTorch (default: 1)")


def main(run: Run) -> Trained:
    """Render, train, calibrate, export, measure."""
    args = run.args
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(1)
    folder = run.folder / "views"
    held_out = render(folder, range(VALIDATION_SEED, VALIDATION_SEED + args.held_out), VIEWS_EACH)
    views = render(folder, range(TRAINING_SEED, TRAINING_SEED + args.worlds), VIEWS_EACH)
    network = Symmetric(Training(run, views, held_out).finish()).eval()
    network.log_scale_offset.copy_(torch.tensor(calibration(network, held_out)))
    file = run.folder / "depth.onnx"
    inputs = {
        "image": torch.rand(1, 3, INPUT_HEIGHT_PX, INPUT_WIDTH_PX),
        "principal_row_px": torch.tensor([0.5 * INPUT_HEIGHT_PX]),
        "inverse_floor": torch.rand(1, 1, INPUT_HEIGHT_PX, INPUT_WIDTH_PX),
        "floor_known": torch.ones(1),
    }
    export_onnx(network, inputs, ("log_depth", "log_scale"), file)
    metrics = measure(DepthEstimator(file), held_out)
    return describe(file, metrics, network, args)


class Training:
    """The network, its average over the last steps, and the optimiser; goes on from the run's checkpoint."""

    def __init__(self, run: Run, views: list[View], held_out: list[View]) -> None:
        self.run, self.views, self.held_out = run, views, held_out
        torch.manual_seed(run.seed)
        self.network = DepthNet().to(run.device, memory_format=torch.channels_last)
        self.average = AveragedModel(self.network, multi_avg_fn=get_ema_multi_avg_fn(AVERAGE_DECAY), use_buffers=True)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=run.args.rate, weight_decay=1e-3)
        self._parts = {"network": self.network, "average": self.average, "optimizer": self.optimizer}
        self.step = run.resume(**self._parts)

    def finish(self) -> DepthNet:
        """Take steps until the time is over; return the averaged network."""
        lately: list[dict[str, float]] = []
        while (progress := self.run.elapsed_s / (60.0 * self.run.args.minutes)) < 1.0:
            self.optimizer.param_groups[0]["lr"] = self.run.args.rate * share_of_rate(progress, self.step)
            shrink = SMALL_BY if progress < SMALL_UNTIL else 1
            lately.append(self._step(shrink))
            if self.step % 100 == 0:
                self.run.log(step=self.step, progress=progress, **mean_of(lately))
                lately = []
            if self.step % 500 == 0:
                self._save()
                self.run.log(step=self.step, **held_out_error(self.average.module, self.held_out[::8], shrink))
        self._save()
        return self.average.module.to("cpu", memory_format=torch.contiguous_format).eval()

    def _save(self) -> None:
        self.run.keep(self.step, **self._parts)

    def _step(self, shrink: int) -> dict[str, float]:
        """Learn from one batch of views, `shrink` times smaller than the runtime's."""
        rng = np.random.default_rng([self.run.seed, self.step])
        torch.manual_seed(int(rng.integers(2**62)))
        batch = [crop(self.views[number], rng, shrink) for number in self._numbers()]
        canonical_m, image, *others = (part.to(self.run.device) for part in tensors(batch))
        self.network.train()
        with torch.autocast(self.run.device, torch.bfloat16):
            log_depth, log_scale = self.network(altered(image), *others)
        losses = losses_of(log_depth, log_scale, canonical_m.log())
        self.optimizer.zero_grad(set_to_none=True)
        sum(losses.values()).backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), LARGEST_GRADIENT)
        self.optimizer.step()
        self.average.update_parameters(self.network)
        self.step += 1
        return {name: float(loss.detach()) for name, loss in losses.items()}

    def _numbers(self) -> np.ndarray:
        """Return which views this step sees: all of them once in every round, in an order of its own."""
        size = self.run.args.batch
        a_round = max(len(self.views) // size, 1)
        order = np.random.default_rng([self.run.seed, 1, self.step // a_round]).permutation(len(self.views))
        return order[(self.step % a_round) * size :][:size]


def share_of_rate(progress: float, step: int) -> float:
    """Return the share of the highest learning rate: up over WARM_UP_STEPS, down along a cosine until progress is 1."""
    return min((step + 1) / WARM_UP_STEPS, 1.0) * 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0)))


def tensors(batch: list[Sample]) -> list[torch.Tensor]:
    """Return canonical depth (N, 1, H/2, W/2) in m, then what the network takes."""

    def stacked(name: str) -> torch.Tensor:
        return torch.from_numpy(np.stack([np.asarray(getattr(sample, name), np.float32) for sample in batch]))

    image = stacked("image").permute(0, 3, 1, 2) / 255.0
    floor = stacked("inverse_floor")[:, None]
    return [stacked("canonical_m")[:, None], image, stacked("principal_row_px"), floor, stacked("floor_known")]


def altered(image: torch.Tensor) -> torch.Tensor:
    """Return images (N, 3, H, W) 0 .. 1 under another light, by another sensor, of things of other colours."""
    count = (len(image), 1, 1, 1)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, device=image.device)

    if torch.rand(()) < 0.1:
        image = image[:, torch.randperm(3)]
    if torch.rand(()) < 0.2:
        image = functional.avg_pool2d(image, 3, 1, 1, count_include_pad=False)
    grey = image.mean(dim=1, keepdim=True)
    image = grey + (image - grey) * (0.4 + torch.rand(count, device=image.device))
    image = image.clamp(1e-3, 1.0) ** torch.exp(0.15 * normal(*count))
    image = image * torch.exp(0.1 * normal(*count) + 0.06 * normal(len(image), 3, 1, 1)) + 0.03 * normal(*count)
    grain = 0.03 * torch.rand(count, device=image.device)
    image = image + grain * normal(len(image), 1, *image.shape[2:])
    return image.clamp(0.0, 1.0).contiguous(memory_format=torch.channels_last)


def losses_of(log_depth: torch.Tensor, log_scale: torch.Tensor, truth: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the losses of (N, 1, h, w) each: error of log-depth, of its gradients (Li and Snavely 2018), likelihood.

    The likelihood does not move the mean: it would weigh each pixel by how sure the network is already.
    """
    error = log_depth - truth
    likelihood = error.detach().abs() * torch.exp(-log_scale) + log_scale
    return {
        "error": error.abs().mean(),
        "gradient": GRADIENT_WEIGHT * torch.stack([gradient(error, step) for step in GRADIENT_SCALES]).mean(),
        "likelihood": 0.2 * likelihood.mean(),
    }


def gradient(error: torch.Tensor, step: int) -> torch.Tensor:
    """Return the mean absolute difference of pixels `step` apart."""
    across, down = error[..., step:] - error[..., :-step], error[..., step:, :] - error[..., :-step, :]
    return across.abs().mean() + down.abs().mean()


@torch.no_grad()
def held_out_error(network: torch.nn.Module, views: list[View], shrink: int) -> dict[str, float]:
    """Return the mean absolute error of log-depth and the share within a factor of 1.25."""
    errors = torch.cat([error.abs().flatten() for error, _ in answers(network, views, shrink)])
    return {"held_out_error": float(errors.mean()), "held_out_delta1": float((errors < np.log(1.25)).float().mean())}


@torch.no_grad()
def calibration(network: torch.nn.Module, views: list[View]) -> float:
    """Return what to add to the log of the scale so that it is the most likely one on views never learned from."""
    ratios = [error.abs() * torch.exp(-log_scale) for error, log_scale in answers(network, views)]
    return float(torch.stack(ratios).mean().log())


def answers(network: torch.nn.Module, views: list[View], shrink: int = 1):
    """Yield the error of log-depth and the log of the scale for crops that are the same each time."""
    network.eval()
    device = next(network.parameters()).device
    for number, view in enumerate(views):
        canonical_m, *inputs = (
            part.to(device) for part in tensors([crop(view, np.random.default_rng(number), shrink)])
        )
        log_depth, log_scale = network(*inputs)
        yield log_depth - canonical_m.log(), log_scale


def measure(estimator: DepthEstimator, views: list[View]) -> dict[str, float]:
    """Return the mean measures of what the runtime answers to whole views, of depth up to EVALUATED_TO_M."""
    rows = []
    for view in views:
        image, depth_m = view.read()
        camera = PinholeCamera(
            WIDTH_PX, HEIGHT_PX, view.focal_px, view.focal_px, 0.5 * (WIDTH_PX - 1), view.principal_row_px
        )
        true_m = np.where(depth_m <= EVALUATED_TO_M, depth_m, np.nan)
        if not np.isfinite(true_m).any():
            continue
        result = estimator.step(image, camera, view.floor)
        found = depth_metrics(result.depth_m, true_m)
        found["delta1_floor_unknown"] = depth_metrics(estimator.step(image, camera).depth_m, true_m)["delta1"]
        found["within_sigma"] = within_sigma(result.depth_m, result.sigma_m, true_m)
        found["ause"] = ause(result.depth_m, result.sigma_m, true_m)
        rows.append(found)
    return mean_of(rows)


def describe(file, metrics: dict[str, float], network: Symmetric, args: argparse.Namespace) -> Trained:
    """Say what has been made."""
    parameters = sum(weights.numel() for weights in network.parameters())
    return Trained(
        file=file,
        version=VERSION,
        task="depth",
        description=(
            "Metric depth and its standard deviation in every pixel of one image, from the camera's intrinsics and, "
            "where a robot knows them, its height and attitude over the floor. "
            f"An encoder-decoder of {parameters / 1e6:.2f} M parameters with skips, asked for the image and its mirror "
            "image; it answers for one canonical camera, and the runtime scales depth by the focal length (Metric3D)."
        ),
        evaluation=(
            f"Mean over {args.held_out * VIEWS_EACH} views of {args.held_out} worlds and scenes (seeds from "
            f"{VALIDATION_SEED}), never trained on, of true depth up to {EVALUATED_TO_M:g} m; the scale of sigma was "
            "set on them. `./axon bench depth-sim` measures on others, beside peers; within_sigma would be 0.757, ause "
            "0 in the best case and 1 by chance."
        ),
        limits=(
            "It has seen rendered rooms only, from 0.85 to 1.25 m over a level floor. Where that floor is not known "
            "(delta1_floor_unknown) its metres are a guess from what things look like. Photographs differ from all "
            "it knows; `./axon bench depth-rgbd` says how much; sigma is too small there and hardly tells good pixels "
            "from bad. Blank walls without a floor in view, mirrors, glass and the sky have no right depth; thin "
            "things are blurred at half the input's 128 x 96 pixels. Lens distortion is not modelled. Do not drive "
            "by it alone."
        ),
        metrics=metrics,
        details={
            "input": "image 1x3x96x128 RGB 0..1, principal_row_px 1, inverse_floor 1x1x96x128 1/m, floor_known 1",
            "output": "log_depth, log_scale 1x1x48x64, of canonical depth in m (focal length 92 px)",
            "parameters": parameters,
        },
    )
