# SPDX-License-Identifier: Apache-2.0
"""Metric depth of simulated worlds and scenes that the shipped network has never seen, from the robot's mast.

Views of apartments, warehouses, tables and scenes of objects as `axon_sim.world_views` and `axon_sim.scenes` give them
(320 x 240, half of them look at an object), of true depth up to 8 m. The network knows height and attitude of the
camera over the floor as a robot does, from tf, with the error of a mast measured by hand (1 cm, 0.01 rad a axis);
`..._floor_unknown` is without. Beside it, in the same run and with the same knowledge: one constant depth everywhere,
and the floor as seen from there, what rises above it at a constant depth; the constants are the best of other views.
Training uses seeds from 1 000 000, validation from 500 000; this uses 1000 `--seed` + 0 .. 999.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from axon_core.cameras import PinholeCamera
from axon_core.models import find_model
from axon_depth.canonical import Floor, floor_below
from axon_depth.config import DepthConfig
from axon_depth.evaluation import DELTA, ause, depth_metrics, mean_of, within_sigma
from axon_depth.runtime import DepthEstimator, DepthResult
from axon_sim.scenes import SceneConfig, make_scene, render_labels
from axon_sim.world_views import ViewConfig, make_world_views

KINDS = ("apartment", "warehouse", "tabletop", "scene")
FARTHEST_M = 8.0
LARGEST_SEED = 400
_TUNING_SEED = 999  # of 1000: the views that the peers' constants are chosen on
VIEWS = ViewConfig()
SCENES = SceneConfig(image_size_px=320)
FLOOR_HEIGHT_M, FLOOR_TURN_RAD = 0.01, 0.01
CONSTANTS_M = np.geomspace(0.5, FARTHEST_M, 60)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options beside --json and --seed."""
    parser.add_argument("--model", default="depth", help="shipped network, or an ONNX file (default: depth)")
    parser.add_argument("--worlds", type=int, default=8, metavar="N", help="worlds of each kind (default: 8)")
    parser.add_argument("--views", type=int, default=6, metavar="N", help="views of each world (default: 6)")
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="draw a contact sheet of the first views there")


@dataclass(frozen=True)
class Sight:
    """One view: colour, true depth (H, W) in m with NaN beyond `FARTHEST_M`, the camera, the floor as it knows it."""

    kind: str
    rgb: np.ndarray
    true_m: np.ndarray
    camera: PinholeCamera
    floor: Floor | None


def main(args: argparse.Namespace) -> dict[str, float]:
    """Measure the network and its peers on the same views."""
    if not 0 <= args.seed <= LARGEST_SEED:
        raise ValueError(f"--seed {args.seed}: expected 0 .. {LARGEST_SEED}; the seeds above are those of training")
    if not 0 < args.worlds < _TUNING_SEED // len(KINDS):
        raise ValueError(f"--worlds {args.worlds}: expected 1 .. {_TUNING_SEED // len(KINDS) - 1}")
    estimator = DepthEstimator(find_model(args.model).path, DepthConfig(max_depth_m=100.0))
    peers = make_peers([sight for kind in KINDS for sight in look(kind, 1000 * args.seed + _TUNING_SEED, args.views)])
    sights, results, rows = [], [], {name: [] for name in ("network", *peers)}
    for sight in all_sights(args):
        result = estimator.step(sight.rgb, sight.camera, sight.floor)
        blind = depth_metrics(estimator.step(sight.rgb, sight.camera).depth_m, sight.true_m)
        rows["network"].append({**of_network(result, sight), "delta1_floor_unknown": blind["delta1"]})
        for name, peer in peers.items():
            rows[name].append(depth_metrics(peer(sight), sight.true_m))
        sights.append(sight)
        results.append(result)
    if args.sheet:
        cv2.imwrite(str(args.sheet), contact_sheet(sights, results))
    return {**numbers_of(sights, rows), **timing(estimator, sights[0]), "views": len(sights)}


def all_sights(args: argparse.Namespace) -> Iterator[Sight]:
    """Yield the views of all worlds; views that show nothing within `FARTHEST_M` are left out."""
    for index in range(args.worlds * len(KINDS)):
        for sight in look(KINDS[index % len(KINDS)], 1000 * args.seed + index, args.views):
            if np.isfinite(sight.true_m).any():
                yield sight


def look(kind: str, seed: int, count: int) -> Iterator[Sight]:
    """Yield views of one world or scene; of a square view of a scene its middle rows."""
    scene = make_scene(seed, SCENES) if kind == "scene" else make_world_views(kind, seed, VIEWS)
    for number in range(count):
        view = render_labels(scene, number) if kind == "scene" else scene.view(number)
        height = view.camera.width * 3 // 4
        top = (view.camera.height - height) // 2
        rows, old = slice(top, top + height), view.camera
        camera = PinholeCamera(old.width, height, old.fx, old.fy, old.cx, old.cy - top)
        depth_m = view.depth_m[rows]
        true_m = np.where(depth_m <= FARTHEST_M, depth_m, np.nan)
        yield Sight(kind, view.rgb[rows], true_m, camera, measured_floor(view.world_T_camera, seed, number))


def measured_floor(world_T_camera: np.ndarray, *seed: int) -> Floor:
    """Return the floor below a camera as its robot knows it."""
    rng, true = np.random.default_rng(seed), floor_below(world_T_camera)
    up = np.array(true.up) + rng.normal(0.0, FLOOR_TURN_RAD, 3)
    return Floor(true.height_m + float(rng.normal(0.0, FLOOR_HEIGHT_M)), tuple(up / np.linalg.norm(up)))


def of_network(result: DepthResult, sight: Sight) -> dict[str, float]:
    """Return the measures of one answer, those of its sigma too."""
    found = depth_metrics(result.depth_m, sight.true_m)
    found["within_sigma"] = within_sigma(result.depth_m, result.sigma_m, sight.true_m)
    found["ause"] = ause(result.depth_m, result.sigma_m, sight.true_m)
    return found


def make_peers(tuning: Sequence[Sight]) -> dict:
    """Return the peers by name, functions of a sight, each with the constant that has the best delta1 on the views."""

    def best(told) -> float:
        scores = [np.mean([share_close(told(s, c), s.true_m) for s in tuning]) for c in CONSTANTS_M]
        return float(CONSTANTS_M[int(np.argmax(scores))])

    constant_m, beyond_m = best(constant), best(floor_or)
    return {
        "constant": lambda sight: constant(sight, constant_m),
        "floor": lambda sight: floor_or(sight, beyond_m),
    }


def share_close(told_m: np.ndarray, true_m: np.ndarray) -> float:
    """Return delta1, NaN in the truth left out."""
    known = np.isfinite(true_m)
    ratio = told_m[known] / true_m[known]
    return float(np.mean(np.maximum(ratio, 1.0 / ratio) < DELTA)) if known.any() else 0.0


def constant(sight: Sight, depth_m: float) -> np.ndarray:
    """Return one depth everywhere."""
    return np.full(sight.true_m.shape, depth_m)


def floor_or(sight: Sight, beyond_m: float) -> np.ndarray:
    """Return the depth of the floor, known from the camera's pose, and `beyond_m` where that is farther or is none."""
    shape = (sight.camera.height, sight.camera.width)
    rays = sight.camera.back_project_image(np.ones(shape))
    falling = np.maximum(-(rays @ np.array(sight.floor.up)), 1e-6)
    return np.minimum(sight.floor.height_m / falling, beyond_m)


def numbers_of(sights: Sequence[Sight], rows: dict) -> dict[str, float]:
    """Return the means over all views, of the network without a prefix, and its delta1 of each kind of world."""
    numbers = dict(mean_of(rows["network"]))
    for kind in KINDS:
        numbers[f"delta1_{kind}"] = float(
            np.mean([row["delta1"] for row, sight in zip(rows["network"], sights, strict=True) if sight.kind == kind])
        )
    for name in rows:
        if name != "network":
            numbers |= {f"{key}_{name}": value for key, value in mean_of(rows[name]).items()}
    return numbers


def timing(estimator: DepthEstimator, sight: Sight) -> dict[str, float]:
    """Return the milliseconds of the whole step and of the network, median of 30, on one thread."""
    durations = []
    for _ in range(30):
        began = time.perf_counter()
        estimator.step(sight.rgb, sight.camera, sight.floor)
        durations.append(time.perf_counter() - began)
    return {
        "step_p50_ms": 1e3 * float(np.median(durations)),
        "network_p50_ms": 1e3 * estimator.network.latency.summary().p50_s,
    }


def contact_sheet(sights: Sequence[Sight], results: Sequence[DepthResult], count: int = 32) -> np.ndarray:
    """Return a picture of some views: colour, depth told and true (0 to 8 m), sigma over depth (0 to 0.4)."""
    rows = []
    for index in np.linspace(0, len(sights) - 1, min(count, len(sights))).astype(int):
        sight, result = sights[index], results[index]
        maps = [result.depth_m / FARTHEST_M, sight.true_m / FARTHEST_M, result.sigma_m / result.depth_m / 0.4]
        rows.append(np.hstack([sight.rgb[..., ::-1], *map(colored, maps)]))
    pairs = [np.hstack(rows[start : start + 2]) for start in range(0, len(rows) - 1, 2)] or rows
    return np.vstack(pairs)


def colored(values: np.ndarray) -> np.ndarray:
    """Return values 0 .. 1 as colours (H, W, 3) BGR, holes black."""
    image = cv2.applyColorMap((255.0 * np.clip(np.nan_to_num(values), 0.0, 1.0)).astype(np.uint8), cv2.COLORMAP_TURBO)
    image[~np.isfinite(values)] = 0
    return image
