# SPDX-License-Identifier: Apache-2.0
"""Propose a path waypoint by waypoint with a recurrent network, and take it only where it holds.

The network sees a square of the costmap about the way from one place to another and emits WAYPOINTS waypoints one after
another, each from the one before. A goal that it cannot see the way to is reached in legs between places of the
classical route. Each leg is proposed twice, for the scene and for its mirror image, and the cheaper one stays: two
guesses at the way around are better than one, and a mirrored scene gets the mirrored path. One call of the network
answers for all of that. The joined path goes through the refiner's check (`refiner.judge`): the footprint along the
whole length, the turning limit, the length against A*'s, the cost against the classical path.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from axon_core.inference import OnnxModel
from axon_core.models import ModelError, find_model
from axon_planner.config import PlannerConfig
from axon_planner.costmap import Field
from axon_planner.outline import Discs
from axon_planner.path_cost import COMFORT_M, SPACING_M, path_cost, smooth
from axon_planner.refiner import POSES_M, SHORTEST_M, Refined, Verdict, judge
from axon_planner.smoothing import path_length, resample, with_headings
from axon_planner.speeds import speeds_along

CELL_M = 0.1
CELLS = 80
HALF_M = 0.5 * CELL_M * CELLS
PLANES = 3
WAYPOINTS = 40
REACH_M = 4.8  # from one end of a leg to the other: leaves 1.6 m of the window around
FAR_M = 2.0  # distances beyond this look alike
EDGE_M = 0.4  # a way that comes nearer to the edge of the window than this is not in sight
POINTS_A_LEG = 32
NEAREST_M = 0.05  # ends nearer to each other than this have no direction

Network = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Planes (B, PLANES, CELLS, CELLS) and spans (B, 1) float32 -> points (B, WAYPOINTS + 1, 2) in metres."""


@dataclass(frozen=True)
class Window:
    """A square of the plane about the way from one place to another, turned so that the way runs along its x.

    `center_m` (2,) is the middle of the way, `axes` (2, 2) the unit vectors of x and y as rows, `span_m` its length:
    the ends lie at (-span / 2, 0) and (span / 2, 0). The y axis points to the left, to the right in a mirrored window.
    """

    center_m: np.ndarray
    axes: np.ndarray
    span_m: float

    def to_map(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 2) of the window in the field's frame."""
        return self.center_m + points @ self.axes

    def mirrored(self) -> Window:
        """The same square with y the other way."""
        return Window(self.center_m, self.axes * np.array([[1.0], [-1.0]]), self.span_m)

    def from_map(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 2) of the field's frame in the window's."""
        return (points - self.center_m) @ self.axes.T


def see(field: Field, start: np.ndarray, goal: np.ndarray, radius_m: float) -> tuple[Window, np.ndarray]:
    """The window between two places (2,), and what the network sees there, (PLANES, CELLS, CELLS) float32.

    Rows run along y, columns along x: turned over, they are what the mirrored window shows. The planes are the room of
    a disc of `radius_m` in units of COMFORT_M, within -0.5 .. 1.5; the distance to obstacles in units of FAR_M, at most
    1; and 1 where nobody looked or outside the field.
    """
    way = goal - start
    span = float(np.linalg.norm(way))
    ahead = way / span if span > NEAREST_M else np.array([1.0, 0.0])
    window = Window(0.5 * (start + goal), np.array([ahead, [-ahead[1], ahead[0]]]), span)
    places = window.to_map(_places()).reshape(-1, 2)
    distance = field.distance_at(places).reshape(CELLS, CELLS)
    room = np.clip((distance - radius_m) / COMFORT_M, -0.5, 1.5)
    far = np.clip(distance / FAR_M, 0.0, 1.0)
    planes = np.stack([room, far, _unknown_at(field, places).reshape(CELLS, CELLS)])
    return window, planes.astype(np.float32)


def _places() -> np.ndarray:
    """Centres (CELLS, CELLS, 2) of the window's cells, in its frame."""
    along = (np.arange(CELLS) + 0.5) * CELL_M - HALF_M
    return np.stack(np.meshgrid(along, along), axis=-1)


def _unknown_at(field: Field, points: np.ndarray) -> np.ndarray:
    """Whether each of points (N, 2) lies where nobody looked, or outside the field."""
    cells = np.floor((points - field.origin_m) / field.resolution_m).astype(np.int64)
    height, width = field.unknown.shape
    inside = (cells >= 0).all(axis=1) & (cells[:, 0] < width) & (cells[:, 1] < height)
    unknown = np.ones(len(points), bool)
    unknown[inside] = field.unknown[cells[inside, 1], cells[inside, 0]]
    return unknown


def in_sight(ways: np.ndarray) -> np.ndarray:
    """Whether ways (K, N, 2) are in sight, (K,): ends within REACH_M, all points EDGE_M inside their window."""
    way = ways[:, -1] - ways[:, 0]
    span = np.linalg.norm(way, axis=1)
    ahead = np.where(span[:, None] > NEAREST_M, way / np.maximum(span, NEAREST_M)[:, None], [1.0, 0.0])
    from_middle = ways - 0.5 * (ways[:, :1] + ways[:, -1:])
    along = np.abs((from_middle * ahead[:, None]).sum(axis=2)).max(axis=1)
    aside = np.abs(from_middle[..., 1] * ahead[:, :1] - from_middle[..., 0] * ahead[:, 1:]).max(axis=1)
    return (span <= REACH_M) & (np.maximum(along, aside) <= HALF_M - EDGE_M)


def legs_of(route: np.ndarray) -> np.ndarray:
    """Places (K, 2) that cut a route (N, 2) into legs of equal length, its ends among them: the fewest in sight."""
    count = max(1, int(np.ceil(np.linalg.norm(route[-1] - route[0]) / REACH_M)))
    while True:
        points = resample(route, REACH_M, count * POINTS_A_LEG + 1)
        legs = points[np.arange(count)[:, None] * POINTS_A_LEG + np.arange(POINTS_A_LEG + 1)]
        if in_sight(legs).all():
            return np.concatenate([legs[:, 0], legs[-1:, -1]])
        count += 1


class SequencePlanner:
    """A network that proposes whole paths, and what has become of them.

    `counts` is how often each verdict was given; Verdict.REFINED is a proposal that was taken.
    """

    def __init__(self, network: Network, name: str = "-", version: str = "-", sha256: str = "-"):
        self._network = network
        self.name, self.version, self.sha256 = name, version, sha256
        self.reset_counts()

    def reset_counts(self) -> None:
        """Count from zero."""
        self.counts = dict.fromkeys(Verdict, 0)

    @classmethod
    def load(cls, name_or_path: str) -> SequencePlanner:
        """The planner of a shipped model's name, or of a user's own file; ModelError where there is none."""
        model = find_model(name_or_path)
        onnx = OnnxModel(model.path, threads=1)
        _check_model(onnx)
        return cls(
            lambda planes, spans: onnx.run({"planes": planes, "span": spans})["points"],
            model.name,
            model.version,
            model.sha256,
        )

    def plan(self, config: PlannerConfig, field: Field, raw: np.ndarray, classical: np.ndarray) -> Refined:
        """The better path of two: `classical` (N, 3), or the network's between the same ends and headings.

        `raw` (K, 2) is the search's path, whose length bounds the proposal's. Both are driven at the speeds of
        `speeds.speeds_along`.
        """
        planned = self._attempt(config, field, raw, classical)
        self.counts[planned.verdict] += 1
        return planned

    def _attempt(self, config, field, raw, classical) -> Refined:
        kept = speeds_along(config, field, classical)
        if path_length(classical) < SHORTEST_M:
            return Refined(classical, kept, Verdict.SHORT)
        curve = self.propose(config, field, classical[0, :2], classical[-1, :2], classical[:, :2])
        if curve is None:
            return Refined(classical, kept, Verdict.SENSELESS)
        path = with_headings(resample(curve, POSES_M), last_yaw_rad=classical[-1, 2], first_yaw_rad=classical[0, 2])
        speeds = speeds_along(config, field, path)
        verdict = judge(config, field, raw, (classical, kept), (path, speeds))
        return Refined(path, speeds, verdict) if verdict is Verdict.REFINED else Refined(classical, kept, verdict)

    def propose(
        self,
        config: PlannerConfig,
        field: Field,
        start: np.ndarray,
        goal: np.ndarray,
        route: np.ndarray | None = None,
    ) -> np.ndarray | None:
        """The network's curve (N, 2) from `start` (2,) to `goal` (2,), unchecked; None where it makes no sense.

        A `route` (M, 2) from one to the other is cut into legs in sight. Without one the goal must be within REACH_M
        (ValueError).
        """
        places, discs = self._places(start, goal, route), Discs(config)
        seen = [see(field, a, b, discs.radius_m) for a, b in pairwise(places)]
        legs = self._ask([window for window, _ in seen], np.stack([planes for _, planes in seen]))
        if legs is None:
            return None
        pieces = [places[:1]]
        for guesses, end in zip(legs, places[1:], strict=True):
            cheaper = min(guesses, key=lambda points: path_cost(smooth(points), field, discs))
            pieces += [cheaper[1:-1], end[None]]  # the ends are ours, whatever the network says
        return smooth(resample(np.concatenate(pieces), SPACING_M))

    def _ask(self, windows: list[Window], planes: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]] | None:
        """Two guesses (WAYPOINTS + 1, 2) for each window, in the field's frame; None where the answer is none."""
        both = [*windows, *(window.mirrored() for window in windows)]
        spans = np.array([[window.span_m] for window in both], np.float32)
        points = np.asarray(self._network(np.concatenate([planes, planes[:, :, ::-1]]), spans))
        if points.shape != (len(both), WAYPOINTS + 1, 2) or not np.isfinite(points).all():
            return None
        points = np.clip(points.astype(np.float64), -HALF_M, HALF_M)
        legs = [window.to_map(leg) for window, leg in zip(both, points, strict=True)]
        return list(zip(legs[: len(windows)], legs[len(windows) :], strict=True))

    @staticmethod
    def _places(start: np.ndarray, goal: np.ndarray, route: np.ndarray | None) -> np.ndarray:
        if route is not None:
            return legs_of(route)
        away = float(np.linalg.norm(goal - start))
        if away > REACH_M:
            raise ValueError(f"the goal is {away:.2f} m away: expected at most {REACH_M} m, or a route to it")
        return np.array([start, goal], dtype=np.float64)


def _check_model(onnx: OnnxModel) -> None:
    """Refuse, once and not at every plan, a file that does not map windows to waypoints."""
    taken, given = {spec.name: spec.shape for spec in onnx.inputs}, {spec.name: spec.shape for spec in onnx.outputs}
    expected = {"planes": (None, PLANES, CELLS, CELLS), "span": (None, 1)}, {"points": (None, WAYPOINTS + 1, 2)}
    if (taken, given) != expected:
        raise ModelError(f"{onnx.path}: takes {taken}, gives {given}: a sequence planner has {expected}")
