# SPDX-License-Identifier: Apache-2.0
"""What a smooth path costs, and how it may move: the terms that the refiner was trained on and is judged by.

A path is a curve q(o) = S (r + o n): the points r (N, 2) of a reference line at an even spacing h, moved by offsets
o (N,) along the line's normals n, then smoothed by S = ([1 2 1] / 4)^SMOOTHING, a binomial filter that keeps both ends
(a B-spline of degree 2 SMOOTHING - 1 with the moved points as its control points). Its cost in metres is

    J(q) = sum_i l_i (1 + c_i)  +  CURVATURE_M^2 sum_i |u_i - u_(i-1)|^2 / h                                     (1)
    c_i  = mean_k [CLEARANCE_WEIGHT near(x_ik, COMFORT_M)^2 + BARRIER_WEIGHT near(x_ik, BARRIER_M)^2]             (2)
    near(x, m) = max(0, 1 - (D(x) - R) / m)                                                                      (3)

with the pieces' lengths l_i, directions u_i and middles m_i, the discs of radius R that cover the footprint at
x_ik = m_i + a_k u_i, and D the distance to the nearest obstacle. For small turns the last sum is the integral of the
squared curvature. Ratliff et al., "CHOMP: Gradient Optimization Techniques for Efficient Motion Planning", ICRA 2009,
descends such costs for one path at a time; so does `descend`, which a network answers for in one pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numba import njit
from scipy.optimize import minimize

from axon_planner.costmap import Field
from axon_planner.outline import Discs
from axon_planner.smoothing import resample

SPACING_M = 0.10
SMOOTHING = 6
MAX_OFFSET_M = 0.5
RAMP_M = 0.5  # over this length from either end the offsets may grow to MAX_OFFSET_M

CLEARANCE_WEIGHT, COMFORT_M = 12.0, 0.40
BARRIER_WEIGHT, BARRIER_M = 40.0, 0.08
CURVATURE_M = 0.3


@dataclass(frozen=True)
class Reference:
    """The line that offsets move: `points` (N, 2) every `spacing_m`, unit `normals` (N, 2) to the left, `ramp` (N,).

    `ramp` is the largest share of MAX_OFFSET_M that a point may move by: 0 at both ends, 1 away from them.
    """

    points: np.ndarray
    normals: np.ndarray
    ramp: np.ndarray
    spacing_m: float

    def curve(self, offsets_m: np.ndarray) -> np.ndarray:
        """The path (N, 2) for offsets (N,)."""
        return smooth(self.points + offsets_m[:, None] * self.normals)


def make_reference(line: np.ndarray, count: int | None = None) -> Reference:
    """The reference along a chain of points (M, 2), its corners included: `count` points, by default by SPACING_M."""
    points = resample(line, SPACING_M, count)
    count = len(points)
    tangent = np.gradient(smooth(points), axis=0)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-9)
    spacing = float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum()) / (count - 1)
    to_end = np.minimum(np.arange(count), np.arange(count)[::-1]) * spacing
    return Reference(
        points, np.stack([-tangent[:, 1], tangent[:, 0]], axis=1), np.minimum(1.0, to_end / RAMP_M), spacing
    )


def smooth(points: np.ndarray) -> np.ndarray:
    """S of points (N, ...): straight even lines stay, both ends stay."""
    points = np.array(points, dtype=np.float64)
    for _ in range(SMOOTHING):
        points[1:-1] = 0.5 * points[1:-1] + 0.25 * (points[:-2] + points[2:])
    return points


@lru_cache(maxsize=64)
def smoother(count: int) -> np.ndarray:
    """S as a matrix (count, count)."""
    return smooth(np.eye(count))


def path_cost(points: np.ndarray, field: Field, discs: Discs, spacing_m: float | None = None) -> float:
    """J (1) of points (N, 2) at an even spacing, by default their own mean one."""
    return cost_and_gradient(points, field, discs, spacing_m)[0]


def cost_and_gradient(
    points: np.ndarray, field: Field, discs: Discs, spacing_m: float | None = None
) -> tuple[float, np.ndarray]:
    """J (1) of points (N, 2) and its derivative (N, 2) by them; the h of (1) is constant."""
    points = np.ascontiguousarray(points, dtype=np.float64)
    if spacing_m is None:
        spacing_m = float(np.linalg.norm(np.diff(points, axis=0), axis=1).mean())
    gradient = np.zeros_like(points)
    cost = _add_gradient(
        points, gradient, field.distance_m, field.origin_m, field.resolution_m, discs.centers_m, discs.radius_m,
        max(spacing_m, 1e-6),
    )  # fmt: skip
    return float(cost), gradient


def descend(reference: Reference, field: Field, discs: Discs, iterations: int = 100) -> np.ndarray:
    """Offsets (N,) in metres that minimise J by L-BFGS from zero: what the refiner is measured against."""
    blur = smoother(len(reference.points))
    bound = MAX_OFFSET_M * reference.ramp

    def objective(offsets: np.ndarray) -> tuple[float, np.ndarray]:
        cost, gradient = cost_and_gradient(reference.curve(offsets), field, discs, reference.spacing_m)
        return cost, ((blur.T @ gradient) * reference.normals).sum(axis=1)

    bounds = list(zip(-bound, bound, strict=True))
    found = minimize(
        objective, np.zeros(len(bound)), jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": iterations}
    )
    return np.asarray(found.x)


@njit(cache=True, inline="always")
def _distance_and_slope(distance, origin, resolution, x, y):
    """Bilinear distance at a point and its derivative by x and y; far from all and flat outside the field."""
    gx, gy = (x - origin[0]) / resolution - 0.5, (y - origin[1]) / resolution - 0.5
    col, row = int(np.floor(gx)), int(np.floor(gy))
    if row < 0 or col < 0 or row + 1 >= distance.shape[0] or col + 1 >= distance.shape[1]:
        return 1e3, 0.0, 0.0
    fx, fy = gx - col, gy - row
    d00, d01 = distance[row, col], distance[row, col + 1]
    d10, d11 = distance[row + 1, col], distance[row + 1, col + 1]
    low, high = d00 + fx * (d01 - d00), d10 + fx * (d11 - d10)
    slope_x = ((1.0 - fy) * (d01 - d00) + fy * (d11 - d10)) / resolution
    return low + fy * (high - low), slope_x, (high - low) / resolution


@njit(cache=True)
def _nearness(room):
    """c of (2) for one disc whose rim is `room` away from obstacles, and its derivative by that."""
    cost, slope = 0.0, 0.0
    if room < COMFORT_M:
        near = 1.0 - room / COMFORT_M
        cost += CLEARANCE_WEIGHT * near * near
        slope -= 2.0 * CLEARANCE_WEIGHT * near / COMFORT_M
    if room < BARRIER_M:
        near = 1.0 - room / BARRIER_M
        cost += BARRIER_WEIGHT * near * near
        slope -= 2.0 * BARRIER_WEIGHT * near / BARRIER_M
    return cost, slope


@njit(cache=True)
def _add_gradient(points, gradient, distance, origin, resolution, centers, radius, spacing):
    total, before_x, before_y, before_length = 0.0, 0.0, 0.0, 0.0
    share = 1.0 / len(centers)
    bend = CURVATURE_M * CURVATURE_M / spacing
    for i in range(len(points) - 1):
        ex, ey = points[i + 1, 0] - points[i, 0], points[i + 1, 1] - points[i, 1]
        length = max(np.hypot(ex, ey), 1e-9)
        ux, uy = ex / length, ey / length
        mx, my = 0.5 * (points[i, 0] + points[i + 1, 0]), 0.5 * (points[i, 1] + points[i + 1, 1])
        near, push_x, push_y, turn = 0.0, 0.0, 0.0, 0.0
        for a in centers:
            d, slope_x, slope_y = _distance_and_slope(distance, origin, resolution, mx + a * ux, my + a * uy)
            cost, slope = _nearness(d - radius)
            near += share * cost
            push_x += share * slope * slope_x
            push_y += share * slope * slope_y
            turn += share * slope * a * (slope_y * ux - slope_x * uy)  # by the direction of the piece
        total += length * (1.0 + near)
        # dl/dp = +-u, dm/dp = 1/2, du/dp = +- (I - u u^T) / l, whose only direction is the normal (-uy, ux)
        along_x = (1.0 + near) * ux - turn * uy
        along_y = (1.0 + near) * uy + turn * ux
        gradient[i, 0] += 0.5 * length * push_x - along_x
        gradient[i, 1] += 0.5 * length * push_y - along_y
        gradient[i + 1, 0] += 0.5 * length * push_x + along_x
        gradient[i + 1, 1] += 0.5 * length * push_y + along_y
        if i > 0:
            total += bend * ((ux - before_x) ** 2 + (uy - before_y) ** 2)
            # |u - v|^2 = 2 - 2 u.v: by u it is -2 v, of which only the part across u counts
            now = -2.0 * bend * (ux * before_y - uy * before_x) / length
            then = -2.0 * bend * (before_x * uy - before_y * ux) / before_length
            gradient[i, 0] -= -uy * now
            gradient[i, 1] -= ux * now
            gradient[i + 1, 0] += -uy * now
            gradient[i + 1, 1] += ux * now
            gradient[i - 1, 0] -= -before_y * then
            gradient[i - 1, 1] -= before_x * then
            gradient[i, 0] += -before_y * then
            gradient[i, 1] += before_x * then
        before_x, before_y, before_length = ux, uy, length
    return total
