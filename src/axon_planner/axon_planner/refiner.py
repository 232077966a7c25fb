# SPDX-License-Identifier: Apache-2.0
"""Refine a path with a network, and take its answer only where it holds.

The search's path, its detours cut short, becomes a reference line; one pass of the network moves the line's points
sideways; the smooth curve through them is measured, and is returned only where it is sound and better than the
classical path. See `path_cost` for the curve and what it costs.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

import numpy as np

from axon_core.geometry import wrap_angle
from axon_core.inference import OnnxModel
from axon_core.models import ModelError, find_model
from axon_planner.config import PlannerConfig
from axon_planner.costmap import Field
from axon_planner.outline import STEP_M, Discs, clearance_along
from axon_planner.path_cost import COMFORT_M, MAX_OFFSET_M, SPACING_M, Reference, make_reference, path_cost
from axon_planner.smoothing import path_length, resample, with_headings

STRIP = 21
STRIP_HALF_M = 0.75
CHANNELS = STRIP + 2
LONGEST = 1.05  # of the length of the search's own path
SHORTEST_M = 0.6
POSES_M = 0.05
MEASURED_TO_M = 0.5 * STEP_M  # two clearances that differ by less are the same

Network = Callable[[np.ndarray], np.ndarray]
"""Features (1, CHANNELS, N) float32 -> offsets (1, N) in metres."""


class Verdict(Enum):
    """What became of a refined path; the value says why the classical one was taken instead."""

    REFINED = "refined"
    SHORT = "too short to refine"
    SENSELESS = "the network answered nonsense"
    LONG = "too long"
    CURVED = "turns tighter"
    UNSAFE = "too near to obstacles"
    COSTLY = "not better"


def features(reference: Reference, field: Field, radius_m: float) -> np.ndarray:
    """What the network sees, (1, CHANNELS, N) float32: clearances across the line, its turns, how far it may move.

    The first STRIP channels are the room that a disc of `radius_m` has at places across the line, from the right to
    the left, in units of COMFORT_M and at most 1.5 of them.
    """
    across = np.linspace(-STRIP_HALF_M, STRIP_HALF_M, STRIP)
    places = reference.points[None] + across[:, None, None] * reference.normals[None]
    room = (field.distance_at(places.reshape(-1, 2)).reshape(STRIP, -1) - radius_m) / COMFORT_M
    normals = reference.normals
    turn = np.zeros(len(normals))
    turn[1:-1] = (normals[:-2, 0] * normals[2:, 1] - normals[:-2, 1] * normals[2:, 0]) / (2.0 * reference.spacing_m)
    rows = np.concatenate([np.clip(room, -0.5, 1.5), 0.5 * turn[None], reference.ramp[None]])
    return rows[None].astype(np.float32)


class Refiner:
    """A network between the search and the tracker, and what has become of its answers.

    `counts` is how often each verdict was given; it may be read at any time.
    """

    def __init__(self, network: Network, name: str = "-", version: str = "-", sha256: str = "-"):
        self._network = network
        self.name, self.version, self.sha256 = name, version, sha256
        self.reset_counts()

    def reset_counts(self) -> None:
        """Count from zero."""
        self.counts = dict.fromkeys(Verdict, 0)

    @classmethod
    def load(cls, name_or_path: str) -> Refiner:
        """The refiner of a shipped model's name, or of a user's own file; ModelError where there is none."""
        model = find_model(name_or_path)
        onnx = OnnxModel(model.path, threads=1, dynamic_size=32)
        _check_model(onnx)
        return cls(lambda seen: onnx.run({"features": seen})["offsets"], model.name, model.version, model.sha256)

    def refine(
        self, config: PlannerConfig, field: Field, raw: np.ndarray, line: np.ndarray, classical: np.ndarray
    ) -> tuple[np.ndarray, Verdict]:
        """The better path of two: `classical` (N, 3), or what the network makes of `line` (M, 2); and why.

        `line` is the search's path `raw` (K, 2) without its detours; both paths have the ends of `classical`, and its
        headings there.
        """
        path, verdict = self._attempt(config, field, raw, line, classical)
        self.counts[verdict] += 1
        return path if verdict is Verdict.REFINED else classical, verdict

    def _attempt(self, config, field, raw, line, classical) -> tuple[np.ndarray, Verdict]:
        if path_length(line) < SHORTEST_M:
            return classical, Verdict.SHORT
        curve = self.propose(config, field, line)
        if curve is None:
            return classical, Verdict.SENSELESS
        path = with_headings(resample(curve, POSES_M), last_yaw_rad=classical[-1, 2], first_yaw_rad=classical[0, 2])
        return path, judge(config, field, raw, classical, path)

    def propose(self, config: PlannerConfig, field: Field, line: np.ndarray) -> np.ndarray | None:
        """The network's curve (N, 2) along `line` (M, 2), unchecked; None where its answer makes no sense."""
        reference = make_reference(line)
        offsets = np.asarray(self._network(features(reference, field, Discs(config).radius_m)))
        if offsets.shape != (1, len(reference.points)) or not np.isfinite(offsets).all():
            return None
        bound = MAX_OFFSET_M * reference.ramp  # which holds the ends, whatever the network says
        return reference.curve(np.clip(offsets[0].astype(np.float64), -bound, bound))


def _check_model(onnx: OnnxModel) -> None:
    """Refuse, once and not at every plan, a file that does not map features to offsets at any length."""
    taken, given = {spec.name: spec.shape for spec in onnx.inputs}, [spec.name for spec in onnx.outputs]
    if taken != {"features": (1, CHANNELS, None)} or given != ["offsets"]:
        expected = f"'features' (1, {CHANNELS}, any length) in and 'offsets' out"
        raise ModelError(f"{onnx.path}: takes {taken}, gives {given}: a refiner has {expected}")


def sharpest_radpm(path: np.ndarray) -> float:
    """Largest curvature in rad/m of a path (N, 2+), measured on pieces of SPACING_M."""
    points = resample(path[:, :2], SPACING_M)
    edges = np.diff(points, axis=0)
    turns = wrap_angle(np.diff(np.arctan2(edges[:, 1], edges[:, 0])))
    spacing = np.linalg.norm(edges, axis=1).mean()
    return float(np.abs(turns).max() / spacing) if len(turns) and spacing > 1e-6 else 0.0


def judge(config: PlannerConfig, field: Field, raw: np.ndarray, classical: np.ndarray, path: np.ndarray) -> Verdict:
    """Whether a network's path (N, 3) is sound, and better than the classical one (M, 3) with the same ends.

    `raw` (K, 2) is the search's own path, which bounds its length. REFINED where the path may be taken.
    """
    if path_length(path) > LONGEST * path_length(raw):
        return Verdict.LONG
    at_top_speed = config.max_turn_radps / config.max_speed_mps
    if sharpest_radpm(path) > max(sharpest_radpm(classical), at_top_speed):
        return Verdict.CURVED
    if not _is_safe(config, field, classical, path):
        return Verdict.UNSAFE
    discs = Discs(config)
    costs = [path_cost(resample(points[:, :2], SPACING_M), field, discs) for points in (path, classical)]
    return Verdict.REFINED if costs[0] < costs[1] else Verdict.COSTLY


def _is_safe(config: PlannerConfig, field: Field, classical: np.ndarray, path: np.ndarray) -> bool:
    """Whether the footprint keeps its margin all the way, and as much room as on the classical path, or enough of it.

    Turning on the spot, to the first heading and from the last, must not be less safe than on the classical path.
    """
    margin = config.safety_margin_m + 0.5 * field.resolution_m  # an obstacle lies up to half a cell off its centre
    before, after = (clearance_along(config, field, _on_the_way(poses)) for poses in (classical, path))
    if after < max(margin, min(before - MEASURED_TO_M, config.near_clearance_m)):
        return False
    for turn in (_turn_at_start, _turn_at_end):
        before, after = (clearance_along(config, field, turn(poses)) for poses in (classical, path))
        if after < min(before - MEASURED_TO_M, margin):
            return False
    return True


def _on_the_way(path: np.ndarray) -> np.ndarray:
    """The poses between the turns on the spot at both ends."""
    poses = path.copy()
    poses[0, 2], poses[-1, 2] = poses[1, 2], poses[-2, 2]
    return poses


def _turn_at_start(path: np.ndarray) -> np.ndarray:
    return np.array([path[0], [path[0, 0], path[0, 1], path[1, 2]]])


def _turn_at_end(path: np.ndarray) -> np.ndarray:
    return np.array([[path[-1, 0], path[-1, 1], path[-2, 2]], path[-1]])
