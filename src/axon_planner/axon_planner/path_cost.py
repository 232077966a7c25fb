# SPDX-License-Identifier: Apache-2.0
"""What a smooth path and the speeds on it cost: the terms that the refiner was trained on and is judged by.

A path is a curve q(o) = S (r + o n): the points r (N, 2) of a reference line at an even spacing h, moved by offsets
o (N,) along the line's normals n, then smoothed by S = ([1 2 1] / 4)^SMOOTHING, a binomial filter that keeps both ends
(a B-spline of degree 2 SMOOTHING - 1 with the moved points as its control points). It is driven at shares s (N,) of the
top speed. The cost in metres, with the means e_i of s at both ends of piece i, is

    J(q, s) = sum_i l_i (1 + c_i (1 + NEAR_AT_SPEED e_i^2) + TIME_WEIGHT (1 / e_i - 1))
            + sum_i |u_i - u_(i-1)|^2 / h  (CURVATURE_M^2 + TURN_AT_SPEED rho^2 s_i^2)
            + RAMP_WEIGHT h sum_i [max(0, A g_i / h - 1)^2 + max(0, -B g_i / h - 1)^2]                           (1)
    g_i  = s_(i+1)^2 - s_i^2
    c_i  = mean_k [CLEARANCE_WEIGHT near(x_ik, COMFORT_M)^2 + BARRIER_WEIGHT near(x_ik, BARRIER_M)^2]             (2)
    near(x, m) = max(0, 1 - (D(x) - R) / m)                                                                      (3)

with the pieces' lengths l_i, directions u_i and middles m_i, the discs of radius R that cover the footprint at
x_ik = m_i + a_k u_i, and D the distance to the nearest obstacle. For small turns |u_i - u_(i-1)|^2 / h sums up to the
integral of the squared curvature. The robot's limits stand in rho, A, B (`DriveScales`). Without speeds, J(q) is what
is left where time costs nothing. Along a straight or a circle the cheapest speed is

    s^3 = TIME_WEIGHT / (2 (NEAR_AT_SPEED c + TURN_AT_SPEED rho^2 k^2)),   k the curvature                         (4)

Ratliff et al., "CHOMP: Gradient Optimization Techniques for Efficient Motion Planning", ICRA 2009, descends such costs
for one path at a time; so does `descend`, which a network answers for in one pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numba import njit
from scipy.optimize import minimize

from axon_core.motion import MotionLimits
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
TIME_WEIGHT = 0.25  # metres that it is worth to gain the time of one metre at top speed
NEAR_AT_SPEED = 0.125
TURN_AT_SPEED = 0.25
RAMP_WEIGHT = 0.5
LEAST_SPEED = 0.1  # of the top speed


@dataclass(frozen=True)
class DriveScales:
    """A robot's limits as lengths in metres, for a top speed V.

    `turn_m`, rho of (1): the radius at V and the largest turning speed; `accel_m`, A, and `brake_m`, B: the way from
    a stand to V and back.
    """

    turn_m: float
    accel_m: float
    brake_m: float

    @classmethod
    def of(cls, limits: MotionLimits) -> DriveScales:
        """The scales of a base's limits."""
        top = limits.max_speed_mps
        return cls(
            top / limits.max_turn_radps, 0.5 * top**2 / limits.max_accel_mps2, 0.5 * top**2 / limits.max_decel_mps2
        )

    def as_array(self) -> np.ndarray:
        """(3,) in the order of the fields."""
        return np.array([self.turn_m, self.accel_m, self.brake_m])


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


def smooth_adjoint(slopes: np.ndarray) -> np.ndarray:
    """S^T of slopes (N, ...): by the points that were smoothed, of what is known by the smooth ones."""
    slopes = np.array(slopes, dtype=np.float64)
    for _ in range(SMOOTHING):
        inner = slopes[1:-1].copy()
        slopes[1:-1] *= 0.5
        slopes[:-2] += 0.25 * inner
        slopes[2:] += 0.25 * inner
    return slopes


@lru_cache(maxsize=64)
def smoother(count: int) -> np.ndarray:
    """S as a matrix (count, count)."""
    return smooth(np.eye(count))


def path_cost(points: np.ndarray, field: Field, discs: Discs, spacing_m: float | None = None) -> float:
    """J (1) of points (N, 2) at an even spacing, by default their own mean one, where time costs nothing."""
    return cost_and_gradient(points, field, discs, spacing_m)[0]


def cost_and_gradient(
    points: np.ndarray, field: Field, discs: Discs, spacing_m: float | None = None
) -> tuple[float, np.ndarray]:
    """As `path_cost`, with its derivative (N, 2) by the points; the h of (1) is constant."""
    return _evaluate(points, np.ones(len(points)), field, discs, np.zeros(6), spacing_m)[:2]


def drive_cost(
    points: np.ndarray,
    speeds: np.ndarray,
    field: Field,
    discs: Discs,
    scales: DriveScales,
    spacing_m: float | None = None,
) -> tuple[float, np.ndarray, np.ndarray]:
    """J (1) of points (N, 2) driven at shares `speeds` (N,) of the top speed; its derivatives (N, 2) and (N,)."""
    return _evaluate(points, speeds, field, discs, speed_weights(scales), spacing_m)


def speed_weights(scales: DriveScales) -> np.ndarray:
    """The weights (6,) of (1) that go with speeds, as the compiled cost takes them."""
    turn = TURN_AT_SPEED * scales.turn_m**2
    return np.array([TIME_WEIGHT, NEAR_AT_SPEED, turn, RAMP_WEIGHT, scales.accel_m, scales.brake_m])


def _evaluate(points, speeds, field: Field, discs: Discs, weights: np.ndarray, spacing_m: float | None):
    points = np.ascontiguousarray(points, dtype=np.float64)
    if spacing_m is None:
        spacing_m = float(np.linalg.norm(np.diff(points, axis=0), axis=1).mean())
    by_points, by_speeds = np.zeros_like(points), np.zeros(len(points))
    cost = _add_gradient(
        points, np.asarray(speeds, dtype=np.float64), by_points, by_speeds, weights, field.distance_m, field.origin_m,
        field.resolution_m, discs.centers_m, discs.radius_m, max(spacing_m, 1e-6),
    )  # fmt: skip
    return float(cost), by_points, by_speeds


def descend(
    reference: Reference, field: Field, discs: Discs, scales: DriveScales, iterations: int = 200
) -> tuple[np.ndarray, np.ndarray]:
    """Offsets (N,) in metres and speeds (N,) that minimise J by L-BFGS: what the refiner is measured against."""
    count = len(reference.points)
    bound = MAX_OFFSET_M * reference.ramp

    def objective(variables: np.ndarray) -> tuple[float, np.ndarray]:
        curve = reference.curve(variables[:count])
        cost, by_points, by_speeds = drive_cost(curve, variables[count:], field, discs, scales, reference.spacing_m)
        return cost, np.concatenate([(smooth_adjoint(by_points) * reference.normals).sum(axis=1), by_speeds])

    low, high = speed_bounds(count)
    bounds = [*zip(-bound, bound, strict=True), *zip(low, high, strict=True)]
    first = np.concatenate([np.zeros(count), np.clip(0.7, low, high)])
    found = minimize(
        objective, first, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": iterations}
    ).x  # fmt: skip
    return found[:count], found[count:]


def speed_bounds(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Least and largest speeds (N,) as shares of the top speed: at the last point only the least."""
    low, high = np.full(count, LEAST_SPEED), np.ones(count)
    high[-1] = LEAST_SPEED
    return low, high


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
def nearness(room):
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
def _add_gradient(
    points, speeds, by_points, by_speeds, weights, distance, origin, resolution, centers, radius, spacing
):
    w_time, w_near, w_turn, w_ramp, accel, brake = weights
    total, before_x, before_y, before_length = 0.0, 0.0, 0.0, 0.0
    share = 1.0 / len(centers)
    for i in range(len(points) - 1):
        ex, ey = points[i + 1, 0] - points[i, 0], points[i + 1, 1] - points[i, 1]
        length = max(np.hypot(ex, ey), 1e-9)
        ux, uy = ex / length, ey / length
        mx, my = 0.5 * (points[i, 0] + points[i + 1, 0]), 0.5 * (points[i, 1] + points[i + 1, 1])
        near, push_x, push_y, turn = 0.0, 0.0, 0.0, 0.0
        for a in centers:
            d, slope_x, slope_y = _distance_and_slope(distance, origin, resolution, mx + a * ux, my + a * uy)
            cost, slope = nearness(d - radius)
            near += share * cost
            push_x += share * slope * slope_x
            push_y += share * slope * slope_y
            turn += share * slope * a * (slope_y * ux - slope_x * uy)  # by the direction of the piece
        speed = 0.5 * (speeds[i] + speeds[i + 1])
        times = 1.0 + w_near * speed * speed
        metre = 1.0 + near * times + w_time * (1.0 / speed - 1.0)
        total += length * metre
        slope = length * (w_near * near * speed - 0.5 * w_time / (speed * speed))
        by_speeds[i] += slope
        by_speeds[i + 1] += slope
        # dl/dp = +-u, dm/dp = 1/2, du/dp = +- (I - u u^T) / l, whose only direction is the normal (-uy, ux)
        along_x = metre * ux - times * turn * uy
        along_y = metre * uy + times * turn * ux
        half = 0.5 * length * times
        by_points[i, 0] += half * push_x - along_x
        by_points[i, 1] += half * push_y - along_y
        by_points[i + 1, 0] += half * push_x + along_x
        by_points[i + 1, 1] += half * push_y + along_y
        total += _add_ramp(speeds, by_speeds, i, spacing, w_ramp, accel, brake)
        if i > 0:
            bend = (CURVATURE_M * CURVATURE_M + w_turn * speeds[i] * speeds[i]) / spacing
            turned = (ux - before_x) ** 2 + (uy - before_y) ** 2
            total += bend * turned
            by_speeds[i] += 2.0 * w_turn * speeds[i] * turned / spacing
            # |u - v|^2 = 2 - 2 u.v: by u it is -2 v, of which only the part across u counts
            now = -2.0 * bend * (ux * before_y - uy * before_x) / length
            then = -2.0 * bend * (before_x * uy - before_y * ux) / before_length
            by_points[i, 0] -= -uy * now
            by_points[i, 1] -= ux * now
            by_points[i + 1, 0] += -uy * now
            by_points[i + 1, 1] += ux * now
            by_points[i - 1, 0] -= -before_y * then
            by_points[i - 1, 1] -= before_x * then
            by_points[i, 0] += -before_y * then
            by_points[i, 1] += before_x * then
        before_x, before_y, before_length = ux, uy, length
    return total


@njit(cache=True)
def _add_ramp(speeds, by_speeds, i, spacing, weight, accel, brake):
    """The last sum of (1) for one piece: gaining or losing speed faster than the robot can."""
    gain = speeds[i + 1] * speeds[i + 1] - speeds[i] * speeds[i]
    way = accel * gain if gain > 0.0 else -brake * gain
    over = way / spacing - 1.0
    if over <= 0.0:
        return 0.0
    slope = 4.0 * weight * over * (accel if gain > 0.0 else -brake)
    by_speeds[i + 1] += slope * speeds[i + 1]
    by_speeds[i] -= slope * speeds[i]
    return weight * spacing * over * over
