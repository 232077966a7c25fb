# SPDX-License-Identifier: Apache-2.0
"""A path between two poses over what the costmap knows: cost field, search, smoothing, check.

Searches over cells (`CELL_PLANNERS`) take the inscribed circle for the base; their chain of cells is cut short,
smoothed and refined. Searches over poses (`POSE_PLANNERS`) check the rectangle, and their paths go out as they are:
nothing may move what keeps a turning limit or passes with centimetres to spare.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from axon_core.grids import Grid
from axon_planner.any_angle import find_any_angle_path
from axon_planner.config import PlannerConfig
from axon_planner.costmap import Costmap, Field
from axon_planner.guide import Ahead, Guide, guided_path
from axon_planner.hybrid import plan_hybrid
from axon_planner.outline import STEP_M, clearances
from axon_planner.pose_search import PoseResult, price_of
from axon_planner.refiner import Refiner, Verdict
from axon_planner.search import SearchResult, SearchStatus, find_path
from axon_planner.sequence import SequencePlanner
from axon_planner.smoothing import elastic_band, path_length, resample, segment_cost, shortcut, with_headings
from axon_planner.speeds import speeds_along
from axon_planner.turning import plan_turning

__all__ = ["CELL_PLANNERS", "PLANNERS", "POSE_PLANNERS", "PathPlanner", "PlanResult", "path_length"]

CELL_PLANNERS = ("astar", "weighted", "theta", "sequence")
POSE_PLANNERS: dict[str, Callable[..., PoseResult]] = {"footprint": plan_turning, "hybrid": plan_hybrid}
PLANNERS = (*CELL_PLANNERS, *POSE_PLANNERS)

SPACING_M = 0.05
# A robot may stand nearer to an obstacle than it would plan: within this distance it may leave through such cells.
ESCAPE_M = 0.35
ESCAPE_COST = 4.0


@dataclass(frozen=True)
class PlanResult:
    """`path` (N, 3) poses and `raw` (M, 2) the search's own points, empty unless FOUND; `cost` in metres.

    `speeds_mps` (N,): how fast `path` may be driven; None where its follower shall say. `refinement` says whether
    `path` is a network's (the sequence planner's, or else the refiner's), or why it is not; None where nobody tried.
    `directions` (N - 1,) int8 of a search over poses: 1 driven forward, -1 backward, 0 turned on the spot; None of one
    over cells, whose paths are driven forward.
    """

    status: SearchStatus
    path: np.ndarray
    raw: np.ndarray
    cost: float
    expanded: int
    planning_s: float
    reason: str = ""
    refinement: Verdict | None = None
    speeds_mps: np.ndarray | None = None
    directions: np.ndarray | None = None

    @property
    def found(self) -> bool:
        """Whether there is a path."""
        return self.status is SearchStatus.FOUND


class PathPlanner:
    """Plans on a costmap with a robot's footprint, by `config.planner` or the one that is asked for.

    A `guide` orders the planner astar; of searches over cells a `refiner` smooths the paths, and for the planner
    sequence the proposal of `sequence` comes first, where it holds.
    """

    def __init__(
        self,
        config: PlannerConfig,
        refiner: Refiner | None = None,
        guide: Guide | None = None,
        sequence: SequencePlanner | None = None,
    ):
        self.config, self.refiner, self.guide, self.sequence = config, refiner, guide, sequence
        self._guided: tuple[Ahead, np.ndarray, Field] | None = None
        footprint = config.footprint
        # Half a cell more than the inscribed circle: an obstacle may lie that far before the centre of its cell.
        self.hard_m = footprint.inscribed_radius_m + 0.5 * config.resolution_m
        self.soft_m = footprint.inscribed_radius_m + config.comfort_clearance_m

    def cost_of(self, field: Field) -> np.ndarray:
        """Cost (H, W) float32 of a metre in each cell: 1 in the open, more near obstacles, inf where the base hits."""
        cost = price_of(self.config, field)
        cost[field.distance_m < self.hard_m] = np.inf
        return cost

    @property
    def plans_poses(self) -> bool:
        """Whether the configured planner searches over poses, whose paths have directions."""
        return self.config.planner in POSE_PLANNERS

    def plan(self, costmap: Costmap, start: np.ndarray, goal: np.ndarray, planner: str | None = None) -> PlanResult:
        """Path from pose `start` to pose `goal`, (3,) each, in the costmap's frame; an ordinary "no" is a status.

        `planner` is one of PLANNERS, by default the configured one; ValueError for another, or one that does not fit
        the base.
        """
        began_s = time.perf_counter()
        for name, pose in (("start", start), ("goal", goal)):
            if not costmap.contains(pose):
                return _no(SearchStatus.OUTSIDE, f"{name} {_text(pose)} lies outside the map", began_s)
        return self.plan_on(costmap.field(start, goal), start, goal, planner)

    def plan_on(self, field: Field, start: np.ndarray, goal: np.ndarray, planner: str | None = None) -> PlanResult:
        """As `plan`, on a field that was taken before."""
        planner = planner or self.config.planner
        refused = self.refusal_of(planner)
        if refused:
            raise ValueError(f"planner '{planner}': {refused}")
        if planner in POSE_PLANNERS:
            return self._plan_poses(POSE_PLANNERS[planner], field, start, goal)
        return self._plan_cells(planner, field, start, goal)

    def refusal_of(self, planner: str) -> str:
        """Why a planner cannot be asked; empty where it can."""
        if planner not in PLANNERS:
            return f"expected one of {', '.join(PLANNERS)}"
        if planner == "sequence" and self.sequence is None:
            return "expected a SequencePlanner, none was given"
        return self.config.misfit_of(planner)

    def _plan_poses(self, search: Callable[..., PoseResult], field: Field, start: np.ndarray, goal) -> PlanResult:
        began_s = time.perf_counter()
        found = search(self.config, field, start, goal, self.config.search_timeout_s)
        if not found.found:
            pose = start if found.status is SearchStatus.START_BLOCKED else goal
            return _no(found.status, f"{found.status.value} {_text(pose)}: {found.reason}", began_s, found.expanded)
        planning_s = time.perf_counter() - began_s
        return PlanResult(
            found.status, found.poses, found.poses[:, :2], found.cost, found.expanded, planning_s,
            directions=found.directions,
        )  # fmt: skip

    def _plan_cells(self, planner: str, field: Field, start: np.ndarray, goal: np.ndarray) -> PlanResult:
        began_s = time.perf_counter()
        cost = self.cost_of(field)
        blocked = ~np.isfinite(cost)
        start_cell, goal_cell = field.cell_of(start), field.cell_of(goal)
        if _inside(blocked, start_cell) and blocked[start_cell]:
            if field.distance_m[start_cell] < 0.5 * self.config.footprint.inscribed_radius_m:
                return _no(SearchStatus.START_BLOCKED, f"start {_text(start)} lies in an obstacle", began_s)
            self._open_way_out(field, cost, start_cell)
            blocked = ~np.isfinite(cost)
        found = self._search(planner, field, blocked, start_cell, goal_cell, _finite(cost))
        if not found.found:
            pose = start if found.status is SearchStatus.START_BLOCKED else goal
            return _no(found.status, f"{found.status.value} {_text(pose)}: {found.reason}", began_s, found.expanded)
        raw = _with_ends(field.centers_of(found.cells), start, goal)
        corners = shortcut(raw, cost, field)
        classical = self._smooth(corners, field, start, goal)
        path, speeds, verdict = self._better(planner, field, raw, corners, classical)
        planning_s, length_cost = time.perf_counter() - began_s, found.cost * field.resolution_m
        return PlanResult(found.status, path, raw, length_cost, found.expanded, planning_s, "", verdict, speeds)

    def _better(
        self, planner: str, field: Field, raw: np.ndarray, corners: np.ndarray, classical: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, Verdict | None]:
        """The classical path, or what a network makes better; its speeds; and what the last one asked said."""
        if planner == "sequence":
            proposed = self.sequence.plan(self.config, field, raw, classical)
            if proposed.verdict is Verdict.REFINED or self.refiner is None:
                return proposed.path, proposed.speeds_mps, proposed.verdict
        if self.refiner is None:
            return classical, speeds_along(self.config, field, classical), None
        refined = self.refiner.refine(self.config, field, raw, corners, classical)
        return refined.path, refined.speeds_mps, refined.verdict

    def _search(self, planner: str, field: Field, blocked: np.ndarray, start: tuple, goal: tuple, cost) -> SearchResult:
        timeout_s = self.config.search_timeout_s
        if planner == "theta":
            return find_any_angle_path(blocked, start, goal, cost, timeout_s)
        if planner == "weighted":
            return find_path(blocked, start, goal, cost, timeout_s, weight=self.config.search_weight)
        if self.guide is None or not _inside(blocked, goal):
            return find_path(blocked, start, goal, cost, timeout_s)
        ahead = self.guide.read(blocked, cost=cost).towards(goal, start)
        self._guided = ahead, blocked, field
        return guided_path(blocked, start, goal, ahead, cost, self.config.guide_bound, timeout_s=timeout_s)

    def guide_grid(self) -> Grid | None:
        """What the guide held for the cost from each cell to the goal, in the last search that it ordered.

        Percent of the largest (0 at the goal), -1 where the base does not fit; None where it has ordered none.
        """
        if self._guided is None:
            return None
        ahead, blocked, field = self._guided
        cost = ahead.cost_to_go()
        known = np.isfinite(cost) & ~blocked
        share = np.where(known, cost, 0.0) / max(float(cost[known].max(initial=0.0)), 1e-6)
        percent = np.where(known, np.rint(100.0 * share), -1.0).astype(np.int8)
        return Grid(percent, field.resolution_m, field.origin_m.copy())

    def cost_along(self, field: Field, path: np.ndarray) -> float:
        """Cost in metres of a path (N, 2+) on a field, inf where it is blocked."""
        return segment_cost(path[:, :2], self.cost_of(field), field)

    def blocked_at(self, field: Field, path: np.ndarray) -> int | None:
        """Index of the first pose of a path at which the base would hit something, or None."""
        if self.plans_poses:
            hits = np.flatnonzero(clearances(self.config, field, path) < 0.5 * field.resolution_m - STEP_M)
        else:
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
