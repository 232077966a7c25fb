# SPDX-License-Identifier: Apache-2.0
"""Depth of photographs by the network that has only seen the simulator, against a depth camera's.

`--data` is a folder of frames as 7-Scenes publishes them; its depth is registered to the colour camera as in the bench
slam-7scenes. `..._scaled` is after each image's depth was given the true median, so that only the shape counts;
without it, the metres do. The camera is in a hand, so nothing is known of height and tilt, and the network is not told.
Baselines: one depth everywhere, and a level floor below a camera of one tilt, a wall behind it; tilt and wall are the
best of all for these very frames, chosen with their truth, so that the baseline is as strong as such a thing can be.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from depth_sim import FARTHEST_M, Sight, contact_sheet, of_network
from slam_7scenes import COLOR_CAMERA, COLOR_T_DEPTH, DEPTH_CAMERA, load_sequence, read_depth

from axon_core.models import find_model
from axon_depth.config import DepthConfig
from axon_depth.evaluation import depth_metrics, mean_of, median_scaled
from axon_depth.runtime import DepthEstimator
from axon_slam.registration import register_depth

TILTS_RAD = np.arange(-0.2, 0.81, 0.1)
WALLS = (1.5, 2.0, 3.0, 4.0, 6.0)  # distance of the wall over the camera's height


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options beside --data, --json and --seed (nothing here is random)."""
    parser.add_argument("--model", default="depth", help="shipped network, or an ONNX file (default: depth)")
    parser.add_argument("--every", type=int, default=5, metavar="N", help="only each Nth frame (default: 5)")
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="draw a contact sheet there")


def main(args: argparse.Namespace) -> dict[str, float]:
    """Measure the network and the baselines on the same frames. ValueError where there are none."""
    if not args.data:
        raise ValueError("no frames: give --data DIR with frame-XXXXXX.color, .depth, .pose files")
    sights = read_sights(args.data, max(args.every, 1))
    estimator = DepthEstimator(find_model(args.model).path, DepthConfig(max_depth_m=100.0))
    results = [estimator.step(sight.rgb, sight.camera) for sight in sights]
    rows = []
    for sight, result in zip(sights, results, strict=True):
        rows.append({**of_network(result, sight), **scaled(result.depth_m, sight.true_m)})
    if args.sheet:
        cv2.imwrite(str(args.sheet), contact_sheet(sights, results, 16))
    numbers = mean_of(rows)
    scale = [np.nanmedian(s.true_m) / np.nanmedian(r.depth_m) for s, r in zip(sights, results, strict=True)]
    return {
        **dict(sorted(numbers.items(), key=lambda item: item[0] != "delta1_scaled")),
        **baselines(sights),
        "median_scale": float(np.median(scale)),
        "frames": len(sights),
    }


def read_sights(folder: Path, every: int) -> list[Sight]:
    """Return the frames that show some depth, registered to colour."""
    sequence = load_sequence(folder)
    sights = []
    for color, depth in list(zip(sequence.colors, sequence.depths, strict=True))[::every]:
        rgb = cv2.cvtColor(cv2.imread(str(color)), cv2.COLOR_BGR2RGB)
        depth_m = register_depth(read_depth(depth), DEPTH_CAMERA, COLOR_CAMERA, COLOR_T_DEPTH)
        true_m = np.where((depth_m > 0.0) & (depth_m <= FARTHEST_M), depth_m, np.nan)
        if np.isfinite(true_m).any():
            sights.append(Sight("photograph", rgb, true_m, COLOR_CAMERA, None))
    return sights


def scaled(told_m: np.ndarray, true_m: np.ndarray) -> dict[str, float]:
    """Return the measures after the told depth was given the true median."""
    return {f"{key}_scaled": value for key, value in depth_metrics(median_scaled(told_m, true_m), true_m).items()}


def baselines(sights: list[Sight]) -> dict[str, float]:
    """Return delta1_scaled and abs_rel_scaled of one depth everywhere, and of the best floor and wall."""
    shape = (COLOR_CAMERA.height, COLOR_CAMERA.width)
    rooms = [room(tilt, wall) for tilt in TILTS_RAD for wall in WALLS]
    found = [mean_of([scaled(told, sight.true_m) for sight in sights[::4]]) for told in rooms]
    best = rooms[int(np.argmax([numbers["delta1_scaled"] for numbers in found]))]
    told_of = {"constant": np.ones(shape), "floor": best}
    numbers = {}
    for name, told in told_of.items():
        means = mean_of([scaled(told, sight.true_m) for sight in sights])
        numbers |= {f"{key}_{name}": means[key] for key in ("delta1_scaled", "abs_rel_scaled")}
    return numbers


def room(tilt_rad: float, wall: float) -> np.ndarray:
    """Return the depth (H, W), in heights of the camera, of a level floor seen under a tilt, and of a wall."""
    shape = (COLOR_CAMERA.height, COLOR_CAMERA.width)
    rays = COLOR_CAMERA.back_project_image(np.ones(shape))
    falling = rays @ np.array([0.0, np.cos(tilt_rad), np.sin(tilt_rad)])
    return np.minimum(1.0 / np.maximum(falling, 1e-6), wall)
