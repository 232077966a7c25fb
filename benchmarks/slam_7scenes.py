# SPDX-License-Identifier: Apache-2.0
"""7-Scenes: SLAM over a recorded sequence, its trajectory against the ground truth.

`--data` is a folder of frame-XXXXXX.color.{jpg,png}, .depth.png, .pose.txt as the set is published. Its depth is not
aligned with its colour; by default it is registered with a published calibration of that sensor type. Errors are of
all frames after an SE(3) alignment: `ate_rmse_m` of the trajectory as corrected in the end, `ate_online_rmse_m` of the
poses as they were told frame by frame.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from axon_core.cameras import PinholeCamera
from axon_slam.config import SlamConfig
from axon_slam.evaluation import ate_m, drift, rmse
from axon_slam.features import make_extractor
from axon_slam.frames import make_frame
from axon_slam.mapping import make_keyframe
from axon_slam.occupancy import EMPTY_SCAN
from axon_slam.registration import register_depth
from axon_slam.runtime import OPTICAL, Slam, SlamState
from axon_slam.se3 import inverse, orthonormal
from axon_slam.tracking import Tracker

FRAME_S = 1.0 / 30.0
NO_DEPTH_MM = 65535
DEPTH_CAMERA = PinholeCamera(640, 480, 585.0, 585.0, 320.0, 240.0)
COLOR_CAMERA = PinholeCamera(640, 480, 525.0, 525.0, 320.0, 240.0)
# Kinect calibration of LIRIS (projet.liris.cnrs.fr/voir/activities-dataset/kinect-calibration.html)
COLOR_T_DEPTH = orthonormal(
    np.array(
        [
            [0.999965, 0.002677, -0.007904, -0.025559],
            [-0.002741, 0.999963, -0.008150, 0.000101],
            [0.007882, 0.008172, 0.999936, 0.002032],
            [0.0, 0.0, 0.0, 1.0],
        ]
    )
)
CONFIG = SlamConfig(planar=False, use_odometry=False)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options beside --data, --json and --seed."""
    parser.add_argument("--frames", type=int, default=0, metavar="N", help="only the first N frames")
    parser.add_argument("--features", default="orb", choices=("orb", "sift"), help="kind of features (default: orb)")
    parser.add_argument("--as-it-is", action="store_true", help="take the depth as if it were aligned with colour")
    parser.add_argument("--no-baselines", action="store_true", help="leave out the runs without map and without loops")


@dataclass(frozen=True)
class Sequence:
    """Files of N frames and their true poses world_T_camera (N, 4, 4) of the depth camera."""

    colors: list[Path]
    depths: list[Path]
    poses: np.ndarray


@dataclass(frozen=True)
class Run:
    """Poses of the depth camera (N, 4, 4), as told at once and as known in the end; seconds; what happened."""

    online: np.ndarray
    final: np.ndarray
    wall_s: float
    cpu_s: float
    slowest_s: float
    lost: int
    slam: Slam


def main(args: argparse.Namespace) -> dict[str, float]:
    """Run over the sequence, and as baselines frame to frame and without loops. ValueError where it is not there."""
    if not args.data:
        raise ValueError("no sequence: give --data DIR with frame-XXXXXX.color, .depth, .pose files")
    sequence = load_sequence(args.data, args.frames)
    config = replace(CONFIG, features=args.features, seed=args.seed)
    run = drive(sequence, config, args.as_it_is)
    numbers = metrics_of(run, sequence)
    if not args.no_baselines:
        without_loops = drive(sequence, replace(config, loop_closure=False), args.as_it_is)
        numbers["ate_no_loop_rmse_m"] = ate(without_loops.online, sequence)
        numbers["ate_frame_to_frame_rmse_m"] = ate(frame_to_frame(sequence, config, args.as_it_is), sequence)
    return numbers


def load_sequence(folder: Path, limit: int = 0) -> Sequence:
    """Find the frames of a folder. Raises ValueError where there is none or one is incomplete."""
    depths = sorted(folder.glob("frame-*.depth.png"))
    if not depths:
        raise ValueError(f"--data {folder}: no frame-XXXXXX.depth.png there")
    depths = depths[:limit] if limit else depths
    colors, poses = [], []
    for depth in depths:
        stem = depth.name.removesuffix(".depth.png")
        found = [depth.with_name(f"{stem}.color.{kind}") for kind in ("jpg", "png")]
        color = next((path for path in found if path.is_file()), None)
        if color is None:
            raise ValueError(f"{found[0]}: missing")
        colors.append(color)
        poses.append(orthonormal(np.loadtxt(depth.with_name(f"{stem}.pose.txt"))))
    return Sequence(colors, depths, np.array(poses))


def drive(sequence: Sequence, config: SlamConfig, as_it_is: bool) -> Run:
    """Run over all frames; the clock runs while `Slam.step` and the registration do, not while files are read."""
    color_T_depth, camera = registration(as_it_is)
    # the base is the depth camera, whose poses are the truth, its axes turned to a base's
    slam = Slam(config, camera, OPTICAL @ inverse(color_T_depth))
    register_depth(np.zeros((480, 640)), DEPTH_CAMERA, camera, color_T_depth)  # compiles
    told, durations, lost, cpu_s = [], [], 0, 0.0
    for number, (color, depth) in enumerate(zip(sequence.colors, sequence.depths, strict=True)):
        image = cv2.cvtColor(cv2.imread(str(color)), cv2.COLOR_BGR2RGB)
        depth_m = read_depth(depth)
        began, cpu_began = time.perf_counter(), time.process_time()
        if not as_it_is:
            depth_m = register_depth(depth_m, DEPTH_CAMERA, camera, color_T_depth)
        result = slam.step(number * FRAME_S, image, depth_m)
        durations.append(time.perf_counter() - began)
        cpu_s += time.process_time() - cpu_began
        told.append(result.map_T_base @ OPTICAL)
        lost += result.state is not SlamState.TRACKING or result.matches == 0
    final = slam.trajectory()[1] @ OPTICAL
    return Run(np.array(told), final, sum(durations), cpu_s, max(durations[1:], default=0.0), lost, slam)


def frame_to_frame(sequence: Sequence, config: SlamConfig, as_it_is: bool) -> np.ndarray:
    """Return the poses (N, 4, 4) of the depth camera by adding up motions between neighbouring frames, no map."""
    color_T_depth, camera = registration(as_it_is)
    extractor = make_extractor(config.features, config.feature_count)
    tracker = Tracker(config, extractor.max_distance)
    poses, last = [np.eye(4)], None
    for number, (color, depth) in enumerate(zip(sequence.colors, sequence.depths, strict=True)):
        depth_m = register_depth(read_depth(depth), DEPTH_CAMERA, camera, color_T_depth)
        image = cv2.cvtColor(cv2.imread(str(color)), cv2.COLOR_BGR2RGB)
        mount = OPTICAL @ inverse(color_T_depth)
        frame = make_frame(number * FRAME_S, image, depth_m, camera, mount, extractor, config)
        if last is not None:
            found = tracker.verify(frame, make_keyframe(last, np.eye(4), EMPTY_SCAN))
            poses.append(poses[-1] if found is None else poses[-1] @ found[0].map_T_base)
        last = frame
    return np.array(poses) @ OPTICAL


def registration(as_it_is: bool) -> tuple[np.ndarray, PinholeCamera]:
    """Return color_T_depth (4, 4) and the colour camera."""
    return (np.eye(4), DEPTH_CAMERA) if as_it_is else (COLOR_T_DEPTH, COLOR_CAMERA)


def read_depth(path: Path) -> np.ndarray:
    """Return depth in m (480, 640), 0 for none."""
    depth_mm = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if depth_mm is None or depth_mm.shape != (480, 640):
        raise ValueError(f"{path}: expected a depth image of 640 x 480")
    return np.where(depth_mm == NO_DEPTH_MM, 0, depth_mm).astype(np.float32) * 1e-3


def ate(poses: np.ndarray, sequence: Sequence) -> float:
    """RMSE of the positions in m."""
    return rmse(ate_m(poses[:, :3, 3], sequence.poses[:, :3, 3]))


def metrics_of(run: Run, sequence: Sequence) -> dict[str, float]:
    count = len(sequence.depths)
    if len(run.final) != count:
        raise ValueError(f"the map began only after {count - len(run.final)} of {count} frames")
    moved_m, turned_rad = drift(run.final, sequence.poses, min(30, count - 1))
    length_m = float(np.linalg.norm(np.diff(sequence.poses[:, :3, 3], axis=0), axis=1).sum())
    return {
        "ate_rmse_m": ate(run.final, sequence),
        "ate_online_rmse_m": ate(run.online, sequence),
        "ate_max_m": float(ate_m(run.final[:, :3, 3], sequence.poses[:, :3, 3]).max()),
        "rpe_1s_m": moved_m,
        "rpe_1s_deg": float(np.rad2deg(turned_rad)),
        "fps": count / run.wall_s,
        "cpu_ms_per_frame": 1e3 * run.cpu_s / count,
        "slowest_frame_ms": 1e3 * run.slowest_s,
        "frames": count,
        "frames_without_pose": run.lost,
        "keyframes": len(run.slam.map),
        "edges": len(run.slam.map.edges),
        "loops": run.slam.loops,
        "length_m": length_m,
    }
