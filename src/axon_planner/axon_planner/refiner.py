# SPDX-License-Identifier: Apache-2.0
"""Refine a path with a network, and take its answer only where it holds.

The search's path, its detours cut short, becomes a reference line; one pass of the network moves the line's points
sideways and says how fast to drive there; the smooth curve through them is measured, and is returned only where it is
sound and better than the classical path. See `path_cost` for the curve and what it costs. The optimiser that the
network learned from can answer in its place (`Refiner.by_descent`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np

from axon_core.inference import OnnxModel
from axon_core.models import ModelError, find_model
from axon_planner.config import PlannerConfig
from axon_planner.costmap import Field
from axon_planner.outline import STEP_M, Discs, clearance_along
from axon_planner.path_cost import (
    COMFORT_M,
    MAX_OFFSET_M,
    SPACING_M,
    DriveScales,
    Reference,
    descend,
    drive_cost,
    make_reference,
    speed_bounds,
)
from axon_planner.smoothing import path_length, resample, spread, with_headings
from axon_planner.speeds import drivable_speeds, sharpest_radpm, speeds_along

STRIP = 21
STRIP_HALF_M = 0.75
CHANNELS = STRIP + 6
TO_END_M = 2.0  # how far ahead the network sees the end of the path
LONGEST = 1.02  # of the length of the search's own path
SHORTEST_M = 0.6
POSES_M = 0.05
MEASURED_TO_M = 0.5 * STEP_M  # two clearances that differ by less are the same

Answer = Callable[[Reference, Field, Discs, DriveScales], tuple[np.ndarray, np.ndarray]]
"""A reference of N points, and what is around -> offsets (N,) in metres and speeds (N,) as shares of the top speed."""


@dataclass(frozen=True)
class Curve:
    """A path as it was proposed: `points` (N, 2) at an even spacing and `speeds` (N,) as shares of the top speed."""

    points: np.ndarray
    speeds: np.ndarray


@dataclass(frozen=True)
class Refined:
    """The better path of two: poses (N, 3), speeds (N,) in m/s that it may be driven at, and why it is this one."""

    path: np.ndarray
    speeds_mps: np.ndarray
    verdict: Verdict


class Verdict(Enum):
    """What became of a refined path; the value says why the classical one was taken instead."""

    REFINED = "refined"
    SHORT = "too short to refine"
    SENSELESS = "the network answered nonsense"
    LONG = "too long"
    CURVED = "turns tighter"
    UNSAFE = "too near to obstacles"
    COSTLY = "not better"


def features(reference: Reference, field: Field, radius_m: float, scales: DriveScales) -> np.ndarray:
    """What the network sees, (1, CHANNELS, N) float32.

    STRIP channels: the room that a disc of `radius_m` has at places across the line, from the right to the left, in
    units of COMFORT_M and at most 1.5 of them. Then the line's turns, how far it may move (`ramp`), how near its end
    is, and the robot's three `scales` all along.
    """
    across = np.linspace(-STRIP_HALF_M, STRIP_HALF_M, STRIP)
    places = reference.points[None] + across[:, None, None] * reference.normals[None]
    room = (field.distance_at(places.reshape(-1, 2)).reshape(STRIP, -1) - radius_m) / COMFORT_M
    normals = reference.normals
    count = len(normals)
    turn = np.zeros(count)
    turn[1:-1] = (normals[:-2, 0] * normals[2:, 1] - normals[:-2, 1] * normals[2:, 0]) / (2.0 * reference.spacing_m)
    to_end = np.minimum(1.0, np.arange(count)[::-1] * reference.spacing_m / TO_END_M)
    robot = np.repeat(scales.as_array()[:, None], count, axis=1)
    rows = np.concatenate([np.clip(room, -0.5, 1.5), 0.5 * turn[None], reference.ramp[None], to_end[None], robot])
    return rows[None].astype(np.float32)


class Refiner:
    """A network, or another that answers, between the search and the tracker, and what has become of its answers.

    `counts` is how often each verdict was given; it may be read at any time.
    """

    def __init__(self, answer: Answer, name: str = "-", version: str = "-", sha256: str = "-"):
        self._answer = answer
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

        def answer(reference, field, discs, scales):
            given = onnx.run({"features": features(reference, field, discs.radius_m, scales)})
            return given["offsets"][0], given["speeds"][0]

        return cls(answer, model.name, model.version, model.sha256)

    @classmethod
    def by_descent(cls) -> Refiner:
        """The optimiser that the network learned from, in its place: some thirty times slower, a little better."""
        return cls(descend, "descent")

    def refine(
        self, config: PlannerConfig, field: Field, raw: np.ndarray, line: np.ndarray, classical: np.ndarray
    ) -> Refined:
        """The better path of two: `classical` (N, 3), or what the network makes of `line` (M, 2).

        `line` is the search's path `raw` (K, 2) without its detours; both paths have the ends of `classical`, and its
        headings there.
        """
        refined = self._attempt(config, field, raw, line, classical)
        self.counts[refined.verdict] += 1
        return refined

    def _attempt(self, config, field, raw, line, classical) -> Refined:
        kept = speeds_along(config, field, classical)
        if path_length(line) < SHORTEST_M:
            return Refined(classical, kept, Verdict.SHORT)
        curve = self.propose(config, field, line)
        if curve is None:
            return Refined(classical, kept, Verdict.SENSELESS)
        path = with_headings(
            resample(curve.points, POSES_M), last_yaw_rad=classical[-1, 2], first_yaw_rad=classical[0, 2]
        )
        speeds = drivable_speeds(config, path, spread(curve.speeds, len(path)))
        verdict = judge(config, field, raw, (classical, kept), (path, speeds))
        return Refined(path, speeds, verdict) if verdict is Verdict.REFINED else Refined(classical, kept, verdict)

    def propose(self, config: PlannerConfig, field: Field, line: np.ndarray) -> Curve | None:
        """The network's curve along `line` (M, 2), unchecked; None where its answer makes no sense."""
        reference = make_reference(line)
        count = len(reference.points)
        answers = self._answer(reference, field, Discs(config), DriveScales.of(config.limits))
        offsets, speeds = (np.asarray(each, dtype=np.float64) for each in answers)
        for each in (offsets, speeds):
            if each.shape != (count,) or not np.isfinite(each).all():
                return None
        bound = MAX_OFFSET_M * reference.ramp  # which holds the ends, whatever the network says
        return Curve(reference.curve(np.clip(offsets, -bound, bound)), np.clip(speeds, *speed_bounds(count)))


def _check_model(onnx: OnnxModel) -> None:
    """Refuse, once and not at every plan, a file that does not map features to offsets and speeds at any length."""
    taken, given = {spec.name: spec.shape for spec in onnx.inputs}, [spec.name for spec in onnx.outputs]
    if taken != {"features": (1, CHANNELS, None)} or given != ["offsets", "speeds"]:
        expected = f"'features' (1, {CHANNELS}, any length) in, 'offsets' and 'speeds' out"
        raise ModelError(f"{onnx.path}: takes {taken}, gives {given}: a refiner has {expected}")


Driven = tuple[np.ndarray, np.ndarray]
"""A path (N, 3) and speeds (N,) in m/s on it."""


def judge(config: PlannerConfig, field: Field, raw: np.ndarray, classical: Driven, refined: Driven) -> Verdict:
    """Whether a network's path is sound, and better than the classical one with the same ends: REFINED where it is.

    `raw` (K, 2) is the search's own path, which bounds its length.
    """
    path = refined[0]
    if path_length(path) > LONGEST * path_length(raw):
        return Verdict.LONG
    at_top_speed = config.max_turn_radps / config.max_speed_mps
    if sharpest_radpm(path) > max(sharpest_radpm(classical[0]), at_top_speed):
        return Verdict.CURVED
    if not _is_safe(config, field, classical[0], path):
        return Verdict.UNSAFE
    better = cost_of_drive(config, field, *refined) < cost_of_drive(config, field, *classical)
    return Verdict.REFINED if better else Verdict.COSTLY


def cost_of_drive(config: PlannerConfig, field: Field, path: np.ndarray, speeds_mps: np.ndarray) -> float:
    """J (1) of `path_cost`, in metres, of a path (N, 2+) at evenly spaced points with `speeds_mps` (N,) on it."""
    points = resample(path[:, :2], SPACING_M)
    shares = spread(speeds_mps / config.max_speed_mps, len(points))
    return drive_cost(points, shares, field, Discs(config), DriveScales.of(config.limits))[0]


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
