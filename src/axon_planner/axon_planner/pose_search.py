# SPDX-License-Identifier: Apache-2.0
"""What searches over poses share: the base's rectangle against the distance field, prices, cost-to-go, the result.

A pose is free where the rectangle keeps `margin_m` from the centre of every occupied cell: half a cell, as far as an
obstacle may lie off that centre, and the configured margin. A cover by discs answers for most poses; where it says
"perhaps", the rectangle itself is measured. What a metre costs is told by the place of the base's origin alone, as for
the searches over cells, so that the cost-to-go in the plane knows it:

    k = (1 + clearance_weight n^2) (unknown_cost where nobody looked),   n = (soft - D) / (soft - hard) in 0 .. 1   (1)

with D the distance to the nearest obstacle, hard the inscribed circle and half a cell, soft that circle and the
comfort.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit

from axon_planner.config import PlannerConfig
from axon_planner.costmap import Field
from axon_planner.grid_steps import SQRT2, pop, put, steps_of
from axon_planner.outline import STEP_M, Discs, clearance_along, clearances, disc_clearance
from axon_planner.search import SearchStatus

SPACING_M = 0.05
# Between the centres of cells the interpolated distance exceeds the true one by 0.147 cells at most: that of a single
# point, (0 + 1 + 1 + sqrt 2) / 4 - 1 / sqrt 2 in the middle of four centres.
INTERPOLATED_CELLS = 0.15
ESCAPE_M = 0.35  # a base that stands nearer to something than it would plan may leave within this distance
TOUCH_M = 0.01  # but come no nearer on the way than by this: corners swing out a little
COARSE_M = 0.08  # cells of the cost-to-go are at least as large


@dataclass(frozen=True)
class PoseResult:
    """Outcome of a search over poses: `poses` (N, 3) at most 5 cm apart, empty unless FOUND.

    `directions` (N - 1,) int8 says how each piece is driven: 1 forward, -1 backward, 0 turned on the spot. `cost` is in
    metres of the open floor; else inf.
    """

    status: SearchStatus
    poses: np.ndarray
    directions: np.ndarray
    cost: float
    expanded: int
    reason: str = ""

    @property
    def found(self) -> bool:
        """Whether there is a path."""
        return self.status is SearchStatus.FOUND


def no_poses(status: SearchStatus, reason: str, expanded: int = 0) -> PoseResult:
    """Return a result without a path."""
    return PoseResult(status, np.empty((0, 3)), np.empty(0, np.int8), math.inf, expanded, reason)


class Body(NamedTuple):
    """The base over a field at one moment, for compiled searches; lengths in metres."""

    distance: np.ndarray
    unknown: np.ndarray
    price: np.ndarray
    origin: np.ndarray
    resolution: float
    half: np.ndarray
    center_x: float
    discs: np.ndarray
    disc_radius: float
    swing: float
    """From the base's origin to its farthest corner: what a turn by one radian moves it."""
    margin: float
    gap: float
    """Poses between which no point moves farther than this, and which keep `margin`, keep half a cell between."""
    start: np.ndarray
    start_room: float
    """Within ESCAPE_M of `start` (2,) this much room is enough."""


def make_body(config: PlannerConfig, field: Field, start: np.ndarray) -> Body:
    """Return the base of a config over a field, that stands at pose `start` (3,)."""
    kept = max(config.safety_margin_m, 0.25 * field.resolution_m)
    margin = 0.5 * field.resolution_m + kept
    discs = _fine_discs(config)
    start = np.asarray(start, dtype=np.float64)
    room = float(clearances(config, field, start[None])[0])
    half = np.array([0.5 * config.footprint_length_m, 0.5 * config.footprint_width_m])
    origin = np.asarray(field.origin_m, dtype=np.float64)
    return Body(
        field.distance_m, field.unknown, price_of(config, field), origin, float(field.resolution_m), half,
        float(config.footprint_center_x_m), discs.centers_m, discs.radius_m, config.footprint.circumscribed_radius_m,
        margin, 2.0 * kept, start[:2].copy(), min(margin, room - TOUCH_M),
    )  # fmt: skip


def price_of(config: PlannerConfig, field: Field) -> np.ndarray:
    """Cost (H, W) float32 of a metre in each cell, (1)."""
    hard_m = config.footprint.inscribed_radius_m + 0.5 * field.resolution_m
    soft_m = config.footprint.inscribed_radius_m + config.comfort_clearance_m
    nearness = np.clip((soft_m - field.distance_m) / np.float32(soft_m - hard_m), 0.0, 1.0)
    price = 1.0 + np.float32(config.clearance_weight) * nearness * nearness
    price[field.unknown] *= np.float32(config.unknown_cost)
    return price


def _fine_discs(config: PlannerConfig) -> Discs:
    """So many discs that the cover stands out at the sides by a centimetre or two."""
    count = 3
    while count < 12 and Discs(config, count).radius_m > 0.5 * config.footprint_width_m + 0.015:
        count += 1
    return Discs(config, count)


def refused_ends(
    config: PlannerConfig, field: Field, body: Body, start: np.ndarray, goal: np.ndarray
) -> tuple[SearchStatus, str] | None:
    """Return why there is nothing to search for, with the reason in words; None where there is."""
    for name, pose in (("start", start), ("goal", goal)):
        row, col = field.cell_of(pose)
        if not (0 <= row < field.distance_m.shape[0] and 0 <= col < field.distance_m.shape[1]):
            return SearchStatus.OUTSIDE, f"{name} lies outside the map"
    if body.start_room < -field.resolution_m:
        return SearchStatus.START_BLOCKED, f"an obstacle lies {-body.start_room:.2f} m inside the footprint"
    if not is_free(body, goal[0], goal[1], goal[2]):
        room = float(clearances(config, field, np.asarray(goal, dtype=np.float64)[None])[0])
        text = f"the footprint keeps {room:.2f} m there: expected {body.margin:.2f} m"
        return SearchStatus.GOAL_BLOCKED, text
    return None


def keeps_clear(config: PlannerConfig, field: Field, body: Body, poses: np.ndarray) -> bool:
    """Whether the footprint keeps half a cell along a whole path, or near a tight start no less than there."""
    enough = 0.5 * field.resolution_m - STEP_M  # what is measured may be that far below the truth
    tight = min(enough, body.start_room - 0.5 * body.gap - STEP_M)
    near = np.linalg.norm(poses[:, :2] - body.start, axis=1) < ESCAPE_M
    leaves = len(poses) if near.all() else int(near.argmin())
    if leaves > 0 and clearance_along(config, field, poses[: leaves + 1]) < tight:
        return False
    rest = poses[leaves:]
    return len(rest) == 0 or clearance_along(config, field, rest) >= (tight if near[leaves:].any() else enough)


@njit(cache=True)
def look(body, x, y, yaw):
    """Room around the cover by discs at a pose, at least 0; -1 where the rectangle itself has not its margin."""
    needed = body.margin
    if body.start_room < needed and np.hypot(x - body.start[0], y - body.start[1]) < ESCAPE_M:
        needed = body.start_room
    height, width = body.distance.shape
    col = int(np.floor((x - body.origin[0]) / body.resolution))
    row = int(np.floor((y - body.origin[1]) / body.resolution))
    if row < 0 or col < 0 or row >= height or col >= width:
        return -1.0
    cos, sin = np.cos(yaw), np.sin(yaw)
    room = disc_clearance(
        body.distance, body.origin[0], body.origin[1], body.resolution, x, y, cos, sin, body.discs, body.disc_radius
    )
    rim = int((body.swing + body.disc_radius) / body.resolution) + 1  # outside the map discs see nothing
    inner = rim <= row < height - rim and rim <= col < width - rim
    if inner and room >= needed + INTERPOLATED_CELLS * body.resolution:
        return max(room, 0.0)
    if _hits(body, x + body.center_x * cos, y + body.center_x * sin, cos, sin, needed):
        return -1.0
    return max(room, 0.0) if inner else 0.0


@njit(cache=True)
def is_free(body, x, y, yaw):
    """Whether the base may stand at a pose."""
    return look(body, x, y, yaw) >= 0.0


@njit(cache=True)
def backs_blindly(body, x, y, yaw):
    """Whether the tail lies over what nobody has seen: scanners look ahead, so that backward nobody would see it."""
    cos, sin = np.cos(yaw), np.sin(yaw)
    back = body.center_x - body.half[0]
    for side in (-body.half[1], 0.0, body.half[1]):
        col = int(np.floor((x + back * cos - side * sin - body.origin[0]) / body.resolution))
        row = int(np.floor((y + back * sin + side * cos - body.origin[1]) / body.resolution))
        inside = 0 <= row < body.unknown.shape[0] and 0 <= col < body.unknown.shape[1]
        if not inside or body.unknown[row, col]:
            return True
    return False


@njit(cache=True)
def _hits(body, mx, my, cos, sin, needed):
    """Whether the centre of an occupied cell lies nearer than `needed` to the rectangle about (mx, my)."""
    height, width = body.distance.shape
    grow = max(needed, 0.0)
    across = abs(cos) * body.half[0] + abs(sin) * body.half[1] + grow
    along = abs(sin) * body.half[0] + abs(cos) * body.half[1] + grow
    first_col = max(0, int(np.floor((mx - across - body.origin[0]) / body.resolution)))
    last_col = min(width - 1, int(np.floor((mx + across - body.origin[0]) / body.resolution)))
    first_row = max(0, int(np.floor((my - along - body.origin[1]) / body.resolution)))
    last_row = min(height - 1, int(np.floor((my + along - body.origin[1]) / body.resolution)))
    for r in range(first_row, last_row + 1):
        dy = body.origin[1] + (r + 0.5) * body.resolution - my
        c = first_col
        while c <= last_col:
            free = body.distance[r, c]
            if free > 0.0:  # no occupied cell in this row for as many cells
                c += max(1, int(np.ceil(free / body.resolution - 1e-3)))
                continue
            dx = body.origin[0] + (c + 0.5) * body.resolution - mx
            out_x = abs(dx * cos + dy * sin) - body.half[0]
            out_y = abs(dy * cos - dx * sin) - body.half[1]
            signed = np.hypot(max(out_x, 0.0), max(out_y, 0.0)) if max(out_x, out_y) > 0.0 else max(out_x, out_y)
            if signed < needed:
                return True
            c += 1
    return False


@njit(cache=True, inline="always")
def price_at(body, x, y):
    """Cost of a metre at a place inside the map."""
    col = int((x - body.origin[0]) / body.resolution)
    row = int((y - body.origin[1]) / body.resolution)
    return body.price[row, col]


def cost_to_go(config: PlannerConfig, field: Field, body: Body, goal: np.ndarray) -> tuple[np.ndarray, float]:
    """Cost in metres (H', W') from the middle of coarse cells to `goal`, inf where there is no way, and their edge.

    By Dijkstra's algorithm over the prices of cells where the base may stand at some heading. A coarse cell is free
    where any of its cells is, and costs their mean; a chain of cells is up to 8 % longer than a straight line.
    """
    least = config.footprint.inscribed_radius_m + body.margin - math.sqrt(0.5) * field.resolution_m
    factor = np.where(field.distance_m < least, np.float32(np.inf), body.price)
    if body.start_room < body.margin:
        _open_way_out(field, factor, body)
    merged = max(1, round(COARSE_M / field.resolution_m))
    row, col = field.cell_of(goal)
    edge = merged * field.resolution_m
    return _dijkstra(_coarsened(factor, merged), row // merged, col // merged) * np.float32(edge), edge


def _open_way_out(field: Field, factor: np.ndarray, body: Body) -> None:
    """Let a base that stands too near to something leave, over cells as dear as the dearest."""
    row, col = field.cell_of(body.start)
    reach = int(ESCAPE_M / field.resolution_m)
    window = (slice(max(0, row - reach), row + reach + 1), slice(max(0, col - reach), col + reach + 1))
    blocked = np.isinf(factor[window])
    factor[window][blocked & (field.distance_m[window] > 0.0)] = body.price.max()


@njit(cache=True)
def _coarsened(factor, merged):
    """The mean of each block's free cells, with a blocked rim."""
    height, width = factor.shape
    rows, cols = (height + merged - 1) // merged, (width + merged - 1) // merged
    total, count = np.zeros((rows + 2, cols + 2), np.float32), np.zeros((rows + 2, cols + 2), np.float32)
    for r in range(height):
        for c in range(width):
            if factor[r, c] < np.inf:
                total[r // merged + 1, c // merged + 1] += factor[r, c]
                count[r // merged + 1, c // merged + 1] += 1.0
    return np.where(count > 0.0, total / np.maximum(count, np.float32(1.0)), np.float32(np.inf))


@njit(cache=True)
def _dijkstra(padded, row, col):
    """Cost in cells (H, W) float32 from every cell to one, on a padded grid, diagonal steps past corners allowed."""
    width = padded.shape[1]
    factor = padded.ravel()
    offsets = steps_of(width)
    cost = np.full(factor.size, np.inf, np.float32)
    slot = np.full(factor.size, -1, np.int32)
    keys, cells = np.empty(factor.size), np.empty(factor.size, np.int32)
    goal = (row + 1) * width + col + 1
    cost[goal] = 0.0
    size = put(keys, cells, slot, 0, goal, 0.0)
    while size > 0:
        cell, size = pop(keys, cells, slot, size)
        for k in range(8):
            near = cell + offsets[k]
            if slot[near] == -2 or factor[near] == np.inf:
                continue
            length = 1.0 if k < 4 else SQRT2
            here = factor[cell] if factor[cell] < np.inf else factor[near]
            reached = cost[cell] + length * 0.5 * (here + factor[near])
            if reached < cost[near]:
                cost[near] = reached
                size = put(keys, cells, slot, size, near, reached)
    return cost.reshape(padded.shape)[1:-1, 1:-1].copy()
