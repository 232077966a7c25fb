# SPDX-License-Identifier: Apache-2.0
"""A path between two poses over what the costmap knows: cost field, search, smoothing, check."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from axon_planner.config import PlannerConfig
from axon_planner.costmap import Costmap, Field
from axon_planner.guide import Guide, guided_path
from axon_planner.refiner import Refiner, Verdict
from axon_planner.search import SearchResult, SearchStatus, find_path
from axon_planner.sequence import SequencePlanner
from axon_planner.smoothing import elastic_band, path_length, resample, segment_cost, shortcut, with_headings
from axon_planner.speeds import speeds_along

__all__ = ["PathPlanner", "PlanResult", "path_length"]

SPACING_M = 0.05
# A robot may stand nearer to an obstacle than it would plan: within this distance it may leave through such cells.
ESCAPE_M = 0.35
ESCAPE_COST = 4.0


@dataclass(frozen=True)
class PlanResult:
    """`path` (N, 3) poses and `raw` (M, 2) the search's own points, empty unless FOUND; `cost` in metres.

    `speeds_mps` (N,): how fast `path` may be driven. `refinement` says whether `path` is a network's (the sequence
    planner's, or else the refiner's), or why it is not; None where nobody tried.
    """

    status: SearchStatus
    path: np.ndarray
    raw: np.ndarray
    cost: float
    expanded: int
    planning_s: float
    reason: str = ""
    refinement: Verdict | None = None
    speeds_mps: np.ndarray = field(default_factory=lambda: np.empty(0))

    @property
    def found(self) -> bool:
        """Whether there is a path."""
        return self.status is SearchStatus.FOUND


class PathPlanner:
    """Plans on a costmap with a robot's footprint; a `guide` orders the search, a `refiner` smooths its path.

    With a `sequence` planner that one's proposal comes first, where it holds.
    """

    def __init__(
        self,
        config: PlannerConfig,
        refiner: Refiner | None = None,
        guide: Guide | None = None,
        sequence: SequencePlanner | None = None,
    ):
        self.config, self.refiner, self.guide, self.sequence = config, refiner, guide, sequence
        footprint = config.footprint
        # Half a cell more than the inscribed circle: an obstacle may lie that far before the centre of its cell.
        self.hard_m = footprint.inscribed_radius_m + 0.5 * config.resolution_m
        self.soft_m = footprint.inscribed_radius_m + config.comfort_clearance_m

    def cost_of(self, field: Field) -> np.ndarray:
        """Cost (H, W) float32 of a metre in each cell: 1 in the open, more near obstacles, inf where the base hits."""
        nearness = np.clip((self.soft_m - field.distance_m) / (self.soft_m - self.hard_m), 0.0, 1.0)
        cost = 1.0 + np.float32(self.config.clearance_weight) * nearness * nearness
        cost[field.unknown] *= np.float32(self.config.unknown_cost)
        cost[field.distance_m < self.hard_m] = np.inf
        return cost

    def plan(self, costmap: Costmap, start: np.ndarray, goal: np.ndarray) -> PlanResult:
        """Path from pose `start` to pose `goal`, (3,) each, in the costmap's frame; an ordinary "no" is a status."""
        began_s = time.perf_counter()
        for name, pose in (("start", start), ("goal", goal)):
            if not costmap.contains(pose):
                return _no(SearchStatus.OUTSIDE, f"{name} {_text(pose)} lies outside the map", began_s)
        return self.plan_on(costmap.field(start, goal), start, goal)

    def plan_on(self, field: Field, start: np.ndarray, goal: np.ndarray) -> PlanResult:
        """As `plan`, on a field that was taken before."""
        began_s = time.perf_counter()
        cost = self.cost_of(field)
        blocked = ~np.isfinite(cost)
        start_cell, goal_cell = field.cell_of(start), field.cell_of(goal)
        if _inside(blocked, start_cell) and blocked[start_cell]:
            if field.distance_m[start_cell] < 0.5 * self.config.footprint.inscribed_radius_m:
                return _no(SearchStatus.START_BLOCKED, f"start {_text(start)} lies in an obstacle", began_s)
            self._open_way_out(field, cost, start_cell)
            blocked = ~np.isfinite(cost)
        found = self._search(blocked, start_cell, goal_cell, _finite(cost))
        if not found.found:
            pose = start if found.status is SearchStatus.START_BLOCKED else goal
            return _no(found.status, f"{found.status.value} {_text(pose)}: {found.reason}", began_s, found.expanded)
        raw = _with_ends(field.centers_of(found.cells), start, goal)
        corners = shortcut(raw, cost, field)
        classical = self._smooth(corners, field, start, goal)
        path, speeds, verdict = self._better(field, raw, corners, classical)
        planning_s, length_cost = time.perf_counter() - began_s, found.cost * field.resolution_m
        return PlanResult(found.status, path, raw, length_cost, found.expanded, planning_s, "", verdict, speeds)

    def _better(
        self, field: Field, raw: np.ndarray, corners: np.ndarray, classical: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, Verdict | None]:
        """The classical path, or what a network makes better; its speeds; and what the last one asked said."""
        if self.sequence is not None:
            proposed = self.sequence.plan(self.config, field, raw, classical)
            if proposed.verdict is Verdict.REFINED or self.refiner is None:
                return proposed.path, proposed.speeds_mps, proposed.verdict
        if self.refiner is None:
            return classical, speeds_along(self.config, field, classical), None
        refined = self.refiner.refine(self.config, field, raw, corners, classical)
        return refined.path, refined.speeds_mps, refined.verdict

    def _search(self, blocked: np.ndarray, start: tuple, goal: tuple, cost: np.ndarray) -> SearchResult:
        timeout_s = self.config.search_timeout_s
        if self.guide is None or not _inside(blocked, goal):
            return find_path(blocked, start, goal, cost, timeout_s)
        ahead = self.guide.read(blocked).towards(goal)
        return guided_path(blocked, start, goal, ahead, cost, self.config.guide_bound, timeout_s=timeout_s)

    def cost_along(self, field: Field, path: np.ndarray) -> float:
        """Cost in metres of a path (N, 2+) on a field, inf where it is blocked."""
        return segment_cost(path[:, :2], self.cost_of(field), field)

    def blocked_at(self, field: Field, path: np.ndarray) -> int | None:
        """Index of the first pose of a path at which the base would hit something, or None."""
        hits = np.flatnonzero(field.distance_at(path[:, :2]) < self.config.footprint.inscribed_radius_m)
        return int(hits[0]) if len(hits) else None

    def _smooth(self, corners: np.ndarray, field: Field, start: np.ndarray, goal: np.ndarray) -> np.ndarray:
        band = elastic_band(resample(corners, SPACING_M), field, self.soft_m)
        return with_headings(resample(band, SPACING_M), last_yaw_rad=goal[2], first_yaw_rad=start[2])

    def _open_way_out(self, field: Field, cost: np.ndarray, cell: tuple[int, int]) -> None:
        """Where the base stands too near to an obstacle, let it leave over cells that are no nearer, at a high cost."""
        reach = int(ESCAPE_M / field.resolution_m)
        rows = slice(max(0, cell[0] - reach), cell[0] + reach + 1)
        cols = slice(max(0, cell[1] - reach), cell[1] + reach + 1)
        leaving = np.isinf(cost[rows, cols]) & (field.distance_m[rows, cols] >= field.distance_m[cell])
        cost[rows, cols][leaving] = 1.0 + ESCAPE_COST * self.config.clearance_weight


def _finite(cost: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(cost), cost, np.float32(1.0))


def _with_ends(points: np.ndarray, start: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """Put the exact start and goal in the places of the first and the last cell."""
    inner = points[1:-1]
    return np.array([start[:2], *inner, goal[:2]], dtype=np.float64)


def _inside(grid: np.ndarray, cell: tuple[int, int]) -> bool:
    return 0 <= cell[0] < grid.shape[0] and 0 <= cell[1] < grid.shape[1]


def _text(pose: np.ndarray) -> str:
    return f"({pose[0]:.2f}, {pose[1]:.2f})"


def _no(status: SearchStatus, reason: str, began_s: float, expanded: int = 0) -> PlanResult:
    return PlanResult(
        status, np.empty((0, 3)), np.empty((0, 2)), float("inf"), expanded, time.perf_counter() - began_s, reason
    )
