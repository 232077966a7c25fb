# SPDX-License-Identifier: Apache-2.0
"""Maps for the learned guide: eight families of obstacles, drawn at random, at any size.

No map and no problem of a published set is in here. Every family is a function (rng, height, width) -> blocked (H, W).
Thicknesses and distances grow with the map, so that a family looks alike at 32 and at 512 cells.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable

import numpy as np
from numba import njit
from scipy.ndimage import binary_dilation, gaussian_filter, label

Family = Callable[[np.random.Generator, int, int], np.ndarray]
EIGHT = np.ones((3, 3), bool)


def make_map(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A map (H, W) of a random family, turned and mirrored at random, with free cells enough to plan on."""
    for _ in range(20):
        family = FAMILIES[int(rng.choice(len(FAMILIES), p=WEIGHTS))]
        turned = rng.random() < 0.5
        blocked = family(rng, *((width, height) if turned else (height, width)))
        blocked = blocked.T if turned else blocked
        blocked = np.ascontiguousarray(blocked[:: rng.choice((-1, 1)), :: rng.choice((-1, 1))])
        if (~blocked).sum() > 0.1 * blocked.size:
            return blocked
    raise ValueError(f"no map of {height} x {width} cells with a tenth of them free in 20 trials: make it larger")


def _scale(height: int, width: int) -> float:
    return min(height, width) / 32.0


def _blobs(rng: np.random.Generator, blocked: np.ndarray, share: float) -> None:
    """Add discs and boxes over about `share` of the map."""
    height, width = blocked.shape
    scale = max(1.0, _scale(height, width) ** rng.uniform(0.0, 1.0))
    covered = 0.0
    while covered < share * blocked.size:
        half = scale * rng.uniform(0.6, 2.6, 2)
        row, col = int(rng.integers(height)), int(rng.integers(width))
        reach = math.ceil(half.max())
        rows, cols = slice(max(0, row - reach), row + reach + 1), slice(max(0, col - reach), col + reach + 1)
        y, x = np.mgrid[rows, cols][:, : blocked.shape[0], : blocked.shape[1]]
        y, x = y - row, x - col
        inside = (abs(y) <= half[0]) & (abs(x) <= half[1]) if rng.random() < 0.3 else y * y + x * x <= half[0] ** 2
        fits = blocked[rows, cols]
        fits |= inside[: fits.shape[0], : fits.shape[1]]
        covered += 4.0 * half[0] * half[1]


def forest(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Blobs, and sometimes a few walls that begin at an edge."""
    blocked = np.zeros((height, width), bool)
    _blobs(rng, blocked, rng.uniform(0.05, 0.35))
    for _ in range(int(rng.integers(0, 4))):
        row, thick, long = int(rng.integers(height)), int(rng.integers(1, 3)), int(rng.uniform(0.1, 0.6) * width)
        blocked[row : row + thick, :long] = True
        blocked = blocked[:, ::-1]
    return blocked


def gaps(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Walls from edge to edge, thin or thick, with one gap or a few, sometimes in a forest."""
    blocked = np.zeros((height, width), bool)
    scale = _scale(height, width)
    walls = int(rng.integers(1, 4 if scale < 2.0 else 9))
    for at in np.linspace(0, width, walls + 2)[1:-1]:
        thick = max(1, int(scale ** rng.uniform(0.3, 1.0) * rng.choice((1, 2, 4, 6))))
        left = int(np.clip(at + rng.normal() * 0.06 * width - thick / 2, 2, width - thick - 2))
        blocked[:, left : left + thick] = True
        for _ in range(int(rng.choice((1, 1, 2, 3)))):
            gap = max(2, int(rng.uniform(2.0, 5.0) * scale ** rng.uniform(0.2, 0.8)))
            low = int(rng.integers(0, height - gap + 1))
            blocked[low : low + gap, left : left + thick] = False
    if rng.random() < 0.4:
        _blobs(rng, blocked, rng.uniform(0.02, 0.2))
    return blocked


def bug_traps(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """U-shaped walls, open to any side, large against the map, sometimes in a forest."""
    blocked = np.zeros((height, width), bool)
    scale = _scale(height, width)
    for _ in range(int(rng.integers(1, 5 if scale < 2.0 else 13))):
        size = (rng.uniform(6.0, 22.0, 2) * scale ** rng.uniform(0.4, 1.0)).astype(int)
        size = np.minimum(size, (height - 2, width - 2))
        thick = max(1, int(rng.choice((1, 1, 2, 2, 3)) * scale ** rng.uniform(0.0, 0.7)))
        row, col = (int(rng.integers(-2, n - m + 3)) for n, m in zip((height, width), size, strict=True))
        trap = np.ones(size, bool)
        trap[thick:-thick, thick:] = False
        trap = np.rot90(trap, int(rng.integers(4))) if size[0] == size[1] else trap[:, :: rng.choice((-1, 1))]
        if rng.random() < 0.5 and size[1] > 2 * thick:
            trap = np.ones(size, bool)
            trap[thick:, thick:-thick] = False
            trap = trap[:: rng.choice((-1, 1))]
        rows, cols = slice(max(0, row), row + size[0]), slice(max(0, col), col + size[1])
        part = blocked[rows, cols]
        part |= trap[max(0, -row) :, max(0, -col) :][: part.shape[0], : part.shape[1]]
    if rng.random() < 0.4:
        _blobs(rng, blocked, rng.uniform(0.02, 0.15))
    return blocked


def partitions(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A plane split again and again by walls with one door each: a maze of rooms of many sizes."""
    blocked = np.zeros((height, width), bool)
    smallest = int(rng.uniform(5.0, 12.0) * _scale(height, width) ** rng.uniform(0.0, 0.7))
    thick = int(rng.choice((1, 1, 1, 2)))
    stack = [(0, 0, height, width)]
    while stack:
        row, col, high, wide = stack.pop()
        part = blocked[row : row + high, col : col + wide]
        upright = wide > high if rng.random() < 0.8 else rng.random() < 0.5
        part = part if upright else part.T
        if part.shape[1] < 2 * smallest + thick or part.shape[0] < 4:
            continue
        at = int(rng.integers(smallest, part.shape[1] - smallest - thick + 1))
        door = int(rng.integers(2, 5))
        low = int(rng.integers(0, part.shape[0] - door + 1))
        part[:, at : at + thick] = True
        part[low : low + door, at : at + thick] = False
        far = part.shape[1] - at - thick
        if upright:
            stack += [(row, col, high, at), (row, col + at + thick, high, far)]
        else:
            stack += [(row, col, at, wide), (row + at + thick, col, far, wide)]
    return blocked


def corridors(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A perfect maze by depth-first search, corridors of 1 cell or more, with a few walls taken out."""
    wide = int(rng.choice([n for n in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32) if 3 * n < min(height, width)]))
    thick = int(rng.choice((1, 1, 2)))
    pitch = wide + thick
    rows, cols = max(2, (height - thick) // pitch), max(2, (width - thick) // pitch)
    blocked = np.ones((height, width), bool)
    seen = np.zeros((rows, cols), bool)
    stack = [(int(rng.integers(rows)), int(rng.integers(cols)))]
    seen[stack[0]] = True
    while stack:
        row, col = stack[-1]
        _dig(blocked, (row, col), (row, col), pitch, wide, thick)
        steps = [(row + a, col + b) for a, b in ((0, 1), (1, 0), (0, -1), (-1, 0))]
        steps = [(r, c) for r, c in steps if 0 <= r < rows and 0 <= c < cols and not seen[r, c]]
        if not steps:
            stack.pop()
            continue
        step = steps[int(rng.integers(len(steps)))]
        _dig(blocked, (row, col), step, pitch, wide, thick)
        seen[step] = True
        stack.append(step)
    for _ in range(int(rng.uniform(0.0, 0.2) * rows * cols)):
        row, col = int(rng.integers(rows - 1)), int(rng.integers(cols - 1))
        _dig(blocked, (row, col), (row + 1, col) if rng.random() < 0.5 else (row, col + 1), pitch, wide, thick)
    return blocked


def _dig(blocked: np.ndarray, one: tuple, other: tuple, pitch: int, wide: int, thick: int) -> None:
    (top, left), (low, right) = np.minimum(one, other) * pitch + thick, np.maximum(one, other) * pitch + thick
    blocked[top : low + wide, left : right + wide] = False


def rooms(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Equal rooms in rows, walls of one cell, a door to most neighbours, as often as not of one cell."""
    size = int(rng.choice([n for n in (5, 7, 9, 9, 12, 17, 17, 24, 33, 65) if 2 * n < min(height, width)]))
    blocked = np.zeros((height, width), bool)
    blocked[::size], blocked[:, ::size] = True, True
    door = 1 if rng.random() < 0.5 else int(rng.integers(1, max(2, size // 4)))
    for row in range(0, height, size):
        for col in range(0, width, size):
            if rng.random() < 0.85:
                at = col + 1 + int(rng.integers(0, size - door))
                blocked[row, at : min(at + door, col + size)] = False
            if rng.random() < 0.85:
                at = row + 1 + int(rng.integers(0, size - door))
                blocked[at : min(at + door, row + size), col] = False
    blocked[0], blocked[:, 0] = True, True
    return blocked


def caves(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Smooth noise above a threshold: winding halls and islands."""
    noise = rng.standard_normal((height, width))
    wave = rng.uniform(1.2, 3.5) * max(1.0, _scale(height, width)) ** rng.uniform(0.0, 0.8)
    noise = gaussian_filter(noise, wave) + rng.uniform(0.0, 0.6) * gaussian_filter(noise, 0.35 * wave)
    return noise > np.quantile(noise, rng.uniform(0.45, 0.8))


def city(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Blocks of houses along streets at an angle, with yards and gaps between houses."""
    turn, block = rng.uniform(0.0, math.pi / 2), rng.uniform(8.0, 26.0) * max(1.0, _scale(height, width)) ** 0.3
    street = rng.uniform(2.0, 6.0)
    y, x = np.mgrid[:height, :width]
    along, across = x * math.cos(turn) + y * math.sin(turn), y * math.cos(turn) - x * math.sin(turn)
    which = np.floor(along / block).astype(int) * 7919 + np.floor(across / (0.7 * block)).astype(int) * 104729
    in_block = (along % block > street) & (across % (0.7 * block) > street)
    chance = np.random.default_rng(int(rng.integers(2**31))).random(1009)
    kept = in_block & (chance[which % 1009] < rng.uniform(0.5, 0.95))
    yards = gaussian_filter(rng.standard_normal((height, width)), rng.uniform(1.0, 2.5))
    kept &= yards < np.quantile(yards, rng.uniform(0.7, 1.0))
    return kept


def scatter(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Single cells blocked at random, up to near the share at which nothing connects any more."""
    return rng.random((height, width)) < rng.uniform(0.03, 0.4)


FAMILIES: tuple[Family, ...] = (forest, gaps, bug_traps, partitions, corridors, rooms, caves, city, scatter)
WEIGHTS = np.array([2.0, 2.5, 2.5, 2.5, 1.5, 1.5, 1.5, 1.5, 1.5]) / 17.0


def largest_region(blocked: np.ndarray, cut_corners: bool) -> np.ndarray:
    """Mask (H, W) of the largest connected set of free cells; diagonal contact joins where corners may be cut."""
    regions, count = label(~blocked, EIGHT if cut_corners else None)
    if count == 0:
        return np.zeros_like(blocked)
    return regions == 1 + np.argmax(np.bincount(regions.ravel())[1:])


def thicken(blocked: np.ndarray, cells: int) -> np.ndarray:
    """Obstacles grown by `cells` on every side, as a planner grows them by a robot's radius."""
    return binary_dilation(blocked, iterations=cells) if cells else blocked


@njit(cache=True)
def exact_costs(
    blocked: np.ndarray, row: int, col: int, diagonal: float, cut_corners: bool, limit: float = np.inf
) -> np.ndarray:
    """Exact cost (H, W) float32 from every cell to (row, col), inf where there is no way or it costs above `limit`.

    Dijkstra on a binary heap.
    """
    height, width = blocked.shape
    cost = np.full((height, width), np.inf, np.float32)
    cost[row, col] = 0.0
    heap = [(np.float32(0.0), row, col)]
    while heap:
        so_far, r, c = heapq.heappop(heap)
        if so_far > cost[r, c]:
            continue
        for k in range(9):
            dr, dc = k // 3 - 1, k % 3 - 1
            near_r, near_c = r + dr, c + dc
            if not (0 <= near_r < height and 0 <= near_c < width) or blocked[near_r, near_c]:
                continue
            oblique = dr != 0 and dc != 0
            if oblique and not cut_corners and (blocked[near_r, c] or blocked[r, near_c]):
                continue
            reached = np.float32(so_far + (diagonal if oblique else 1.0))
            if reached < cost[near_r, near_c] and reached <= limit:
                cost[near_r, near_c] = reached
                heapq.heappush(heap, (reached, near_r, near_c))
    return cost
