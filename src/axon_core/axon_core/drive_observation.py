# SPDX-License-Identifier: Apache-2.0
"""What a driving policy sees and says: the one definition for training in a simulator and for driving on a robot.

A `DriveObserver` is fed with scans and poses; its observation has two parts, both in the frame of the base now:

- `map` uint8 (4, 48, 48): the surroundings as remembered from all scans, 0.1 m a pixel, row 0 farthest ahead, column 0
  farthest left, the base's origin between rows 31 and 32. Channels: occupied (0 or 255); never seen (0 or 255); the
  base's own way (255 now, 0 after `TRAIL_S`); nearness of the goal (127 as near as the base is, 255 `GOAL_SPAN_M`
  nearer).
- `vector` float32 (81,), each about -1 .. 1: nearest hit in each of 72 sectors, goal, velocity, last action, rest.

An action is (2,) in -1 .. 1: forward speed, and turn. A scene mirrored at the base's x axis has the observation
`mirror_observation` and deserves the action `mirror_action`.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike

from axon_core.arrays import AnyArray, Float32Array, FloatArray
from axon_core.checks import check_array
from axon_core.geometry import se2_apply, se2_inverse
from axon_core.motion import Twist2
from axon_core.scans import Scan

CONTRACT = "axon-drive-1"
"""Name of this definition; a network says which one it was trained with."""

MAX_SPEED_MPS, MAX_REVERSE_MPS, MAX_TURN_RADPS = 1.2, 0.3, 2.0
"""What the actions 1, -1 (forward) and 1 (turn) stand for."""
DECISION_PERIOD_S = 0.1
"""Time between two decisions, during which the action is kept."""

MAP_PIXELS, PIXEL_M, ROWS_AHEAD = 48, 0.1, 32
CHANNELS = ("occupied", "unseen", "trail", "goal")
TRAIL_S, GOAL_SPAN_M = 30.0, 4.0
SECTORS, NEAR_M, FAR_M = 72, 0.2, 4.0
GOAL, VELOCITY, ACTION, REST = 72, 76, 78, 80
"""Where in the vector each part begins; before GOAL are the sectors, counter-clockwise from straight behind."""
VECTOR_SIZE = 81
MAP_SHAPE = (len(CHANNELS), MAP_PIXELS, MAP_PIXELS)

REST_RADIUS_M, REST_S = 0.15, 5.0
_CELL_M, _CELLS = 0.05, 192
"""The memory: a window of 9.6 m that rolls with the base; an observation reaches 4 m."""
_RECENTRE_M = 0.7
_EVIDENCE = 3
_TRAIL_RADIUS_M = 0.15
_CLEAR_WITHIN = 0.3
_CLEAR_EVERY_RAD = 0.015
"""Rays that lie nearer together pass the same cells: some of them are enough to clear."""
_MIRRORED_SIGNS = np.ones(VECTOR_SIZE, dtype=np.float32)
_MIRRORED_SIGNS[[GOAL + 2, VELOCITY + 1, ACTION + 1]] = -1.0
_MIRRORED_INDEX = np.concatenate([np.arange(SECTORS)[::-1], np.arange(SECTORS, VECTOR_SIZE)])


def action_to_twist(action: ArrayLike) -> Twist2:
    """Return the velocity that an action (2,) asks for, clipped to -1 .. 1; ValueError where it is not finite."""
    forward, turn = np.clip(check_array("action", action, shape=(2,)), -1.0, 1.0).tolist()
    return Twist2(forward * (MAX_SPEED_MPS if forward >= 0.0 else MAX_REVERSE_MPS), 0.0, turn * MAX_TURN_RADPS)


def twist_to_action(twist: Twist2) -> Float32Array:
    """Return the action (2,) that asks for a velocity, clipped to what an action can say."""
    forward = twist.vx_mps / (MAX_SPEED_MPS if twist.vx_mps >= 0.0 else MAX_REVERSE_MPS)
    return np.clip(np.array([forward, twist.wz_radps / MAX_TURN_RADPS], dtype=np.float32), -1.0, 1.0)


def mirror_observation(observation: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
    """Return the observation of the scene mirrored at the x axis of the base; also for batches (..., 4, 48, 48)."""
    vector = observation["vector"][..., _MIRRORED_INDEX] * _MIRRORED_SIGNS
    return {"map": np.ascontiguousarray(observation["map"][..., ::-1]), "vector": vector}


def mirror_action(action: ArrayLike) -> Float32Array:
    """Return the action (..., 2) that turns the other way."""
    return np.asarray(action, dtype=np.float32) * np.array([1.0, -1.0], dtype=np.float32)


def mirror_tables() -> tuple[AnyArray, Float32Array]:
    """Return index and sign (81,) that mirror a vector: `vector[index] * sign`."""
    return _MIRRORED_INDEX.copy(), _MIRRORED_SIGNS.copy()


class DriveObserver:
    """Remembers what the scans have shown in a frame that the base moves in (odom), and makes observations of it."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything seen."""
        self._evidence: AnyArray = np.full((_CELLS, _CELLS), -1, dtype=np.int8)
        self._visited_s: AnyArray = np.full((_CELLS, _CELLS), -np.inf, dtype=np.float32)
        self._origin_m: FloatArray | None = None
        self._points = np.zeros((0, 2))
        self._rest: tuple[float, FloatArray] | None = None

    @property
    def has_seen(self) -> bool:
        """Whether any scan was entered."""
        return self._origin_m is not None

    def see(self, scan: Scan, odom_T_laser: ArrayLike) -> None:
        """Enter a scan, taken from that pose (3,) of the scanner."""
        pose = check_array("odom_T_laser", odom_T_laser, shape=(3,))
        self._follow(pose)
        assert self._origin_m is not None
        reach = 0.5 * _CELLS * _CELL_M
        geometry = np.array([scan.angle_min_rad, scan.angle_increment_rad, scan.range_min_m, scan.range_max_m])
        self._points = _enter(self._evidence, self._origin_m, pose, scan.ranges_m, geometry, reach)

    def observe(
        self, t_s: float, odom_T_base: ArrayLike, velocity: Twist2, odom_goal: ArrayLike, last_action: ArrayLike
    ) -> dict[str, AnyArray]:
        """Return the observation at `t_s` for the goal (2,), from the pose (3,) of the base; ValueError before a scan.

        `last_action` (2,) is what the policy said last, zero at the beginning of a drive.
        """
        pose = check_array("odom_T_base", odom_T_base, shape=(3,))
        goal = check_array("odom_goal", odom_goal, shape=(2,))
        if self._origin_m is None:
            raise ValueError("nothing to observe: see() was not given a scan yet")
        self._follow(pose)
        _leave_trail(self._visited_s, self._origin_m, pose, t_s)
        image = _render(self._evidence, self._visited_s, self._origin_m, pose, goal, t_s)
        return {"map": image, "vector": self._vector(t_s, pose, velocity, goal, np.asarray(last_action))}

    def begin_drive(self) -> None:
        """Forget where the base has been, as a new goal may well lie there; what was seen stays."""
        self._visited_s[:] = -np.inf
        self._rest = None

    def _vector(
        self, t_s: float, pose: FloatArray, velocity: Twist2, goal: FloatArray, last_action: AnyArray
    ) -> Float32Array:
        x, y = se2_apply(se2_inverse(pose), goal[None])[0]
        distance = math.hypot(x, y)
        unit = (x / distance, y / distance) if distance > 1e-6 else (1.0, 0.0)
        vector = np.empty(VECTOR_SIZE, dtype=np.float32)
        vector[:GOAL] = _sectors(self._points, pose)
        vector[GOAL:VELOCITY] = (math.log1p(distance) / 3.0, *unit, min(distance / 3.0, 1.0))[0:4]
        vector[VELOCITY:ACTION] = velocity.vx_mps / MAX_SPEED_MPS, velocity.wz_radps / MAX_TURN_RADPS
        vector[ACTION:REST] = last_action
        vector[REST] = min(self._rested_s(t_s, pose) / REST_S, 1.0)
        return np.clip(vector, -2.0, 2.0)

    def _rested_s(self, t_s: float, pose: FloatArray) -> float:
        """How long the base has been within `REST_RADIUS_M` of one place."""
        if self._rest is None or math.dist(self._rest[1][:2], pose[:2]) > REST_RADIUS_M or t_s < self._rest[0]:
            self._rest = t_s, pose
        return t_s - self._rest[0]

    def _follow(self, pose: FloatArray) -> None:
        """Keep the window around the base."""
        half = 0.5 * _CELLS * _CELL_M
        if self._origin_m is None:
            self._origin_m = np.round(pose[:2] / _CELL_M) * _CELL_M - half
            return
        offset = pose[:2] - (self._origin_m + half)
        if np.abs(offset).max() <= _RECENTRE_M:
            return
        shift = np.round(offset / _CELL_M).astype(int)
        self._origin_m = self._origin_m + shift * _CELL_M
        self._evidence = _shifted(self._evidence, shift, -1)
        self._visited_s = _shifted(self._visited_s, shift, -np.inf)


def _shifted(grid: AnyArray, shift: AnyArray, fill: Any) -> AnyArray:
    """Return the grid [row = y, col = x] after its window moved by `shift` (2,) cells in x, y."""
    moved = np.full_like(grid, fill)
    (to_col, from_col), (to_row, from_row) = (_overlap(int(cells), len(grid)) for cells in shift)
    moved[to_row, to_col] = grid[from_row, from_col]
    return moved


def _overlap(shift: int, size: int) -> tuple[slice, slice]:
    kept = max(0, size - abs(shift))
    low, high = slice(0, kept), slice(size - kept, size)
    return (low, high) if shift >= 0 else (high, low)


@njit(cache=True)
def _enter(evidence: Any, origin: Any, pose: Any, ranges: Any, geometry: Any, reach: float) -> Any:
    """Clear the cells that rays passed, mark those that they hit; return the hits (N, 2) in the frame of the pose.

    As in a costmap, a ray takes evidence off a cell only where it passes near its centre: one that grazes saw little.
    """
    angle_min, increment, range_min, range_max = geometry
    points = np.empty((len(ranges), 2))
    count, stride = 0, max(1, int(_CLEAR_EVERY_RAD / abs(increment)))
    for ray in range(len(ranges)):
        measured = range_min if ranges[ray] == -np.inf else ranges[ray]
        if not measured >= range_min:  # NaN, or too near to tell
            continue
        angle = pose[2] + angle_min + ray * increment
        cos, sin = math.cos(angle), math.sin(angle)
        if ray % stride == 0:
            _clear(evidence, origin, pose[0], pose[1], cos, sin, min(measured - _CELL_M, reach))
        if measured <= range_max:
            points[count, 0], points[count, 1] = pose[0] + measured * cos, pose[1] + measured * sin
            count += 1
    for i in range(count):
        col = math.floor((points[i, 0] - origin[0]) / _CELL_M)
        row = math.floor((points[i, 1] - origin[1]) / _CELL_M)
        if 0 <= row < evidence.shape[0] and 0 <= col < evidence.shape[1]:
            evidence[row, col] = _EVIDENCE
    return points[:count].copy()


@njit(cache=True)
def _clear(evidence: Any, origin: Any, x: float, y: float, cos: float, sin: float, length: float) -> None:
    """Walk a ray cell by cell along its longer axis."""
    steps = int(length * max(abs(cos), abs(sin)) / _CELL_M)
    stride = _CELL_M / max(abs(cos), abs(sin))
    gx, gy = (x - origin[0]) / _CELL_M, (y - origin[1]) / _CELL_M
    for k in range(steps + 1):
        at_x, at_y = gx + k * stride * cos / _CELL_M, gy + k * stride * sin / _CELL_M
        col, row = math.floor(at_x), math.floor(at_y)
        if row < 0 or col < 0 or row >= evidence.shape[0] or col >= evidence.shape[1]:
            return
        across = abs((at_x - col - 0.5) * sin - (at_y - row - 0.5) * cos)
        if evidence[row, col] < 0:
            evidence[row, col] = 0
        elif evidence[row, col] > 0 and across < _CLEAR_WITHIN:
            evidence[row, col] -= 1


@njit(cache=True)
def _leave_trail(visited: Any, origin: Any, pose: Any, t: float) -> None:
    reach = int(_TRAIL_RADIUS_M / _CELL_M)
    col0, row0 = int((pose[0] - origin[0]) / _CELL_M), int((pose[1] - origin[1]) / _CELL_M)
    for row in range(row0 - reach, row0 + reach + 1):
        for col in range(col0 - reach, col0 + reach + 1):
            if 0 <= row < visited.shape[0] and 0 <= col < visited.shape[1]:
                visited[row, col] = t


@njit(cache=True)
def _render(evidence: Any, visited: Any, origin: Any, pose: Any, goal: Any, t: float) -> Any:
    """The map (4, 48, 48): a pixel is the worst of the four cells around its centre, so that nothing thin is lost."""
    image = np.zeros((4, MAP_PIXELS, MAP_PIXELS), dtype=np.uint8)
    cos, sin = math.cos(pose[2]), math.sin(pose[2])
    here = math.hypot(goal[0] - pose[0], goal[1] - pose[1])
    for r in range(MAP_PIXELS):
        for c in range(MAP_PIXELS):
            ahead, left = (ROWS_AHEAD - r - 0.5) * PIXEL_M, (0.5 * MAP_PIXELS - c - 0.5) * PIXEL_M
            unseen, recent = True, -np.inf
            for k in range(4):
                dx = ahead + (0.25 if k < 2 else -0.25) * PIXEL_M
                dy = left + (0.25 if k % 2 == 0 else -0.25) * PIXEL_M
                col = math.floor((pose[0] + cos * dx - sin * dy - origin[0]) / _CELL_M)
                row = math.floor((pose[1] + sin * dx + cos * dy - origin[1]) / _CELL_M)
                if row < 0 or col < 0 or row >= evidence.shape[0] or col >= evidence.shape[1]:
                    continue
                unseen = unseen and evidence[row, col] < 0
                if evidence[row, col] > 0:
                    image[0, r, c] = 255
                recent = max(recent, visited[row, col])
            x, y = pose[0] + cos * ahead - sin * left, pose[1] + sin * ahead + cos * left
            nearer = (here - math.hypot(goal[0] - x, goal[1] - y)) / GOAL_SPAN_M
            image[1, r, c] = 255 if unseen else 0
            image[2, r, c] = int(255.0 * max(0.0, 1.0 - (t - recent) / TRAIL_S))
            image[3, r, c] = int(127.5 * (1.0 + min(max(nearer, -1.0), 1.0)))
    return image


@njit(cache=True)
def _sectors(points: Any, pose: Any) -> Any:
    """Nearest point in each sector about the base, on a logarithmic scale: 0 at `NEAR_M`, 1 at `FAR_M` and beyond."""
    nearest = np.full(SECTORS, FAR_M * FAR_M)
    cos, sin = math.cos(pose[2]), math.sin(pose[2])
    for i in range(len(points)):
        dx, dy = points[i, 0] - pose[0], points[i, 1] - pose[1]
        squared = dx * dx + dy * dy
        if squared < FAR_M * FAR_M:
            bearing = math.atan2(cos * dy - sin * dx, cos * dx + sin * dy)
            sector = min(int((bearing + math.pi) / (2.0 * math.pi) * SECTORS), SECTORS - 1)
            nearest[sector] = min(nearest[sector], squared)
    scale = math.log(FAR_M / NEAR_M)
    return np.maximum(0.5 * np.log(np.maximum(nearest, 1e-4)) - math.log(NEAR_M), 0.0) / scale
