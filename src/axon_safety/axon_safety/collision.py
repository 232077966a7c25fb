# SPDX-License-Identifier: Apache-2.0
"""Will the base's rectangle touch anything, if it takes this command and then brakes?

The base is rolled forward as it will move: it keeps following the last command for the latency, then this one until
the next can take effect, then it brakes along its arc to a stand. After Fox, Burgard, Thrun, "The Dynamic Window
Approach" (1997), whose admissible velocities are those from which the robot can still stop; here with latency, turning
and the exact rectangle instead of a disc.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

KEEP = 0.995
"""What is already nearer than the margin may come nearer by this factor at most: near contact is never approached."""
CREEP_MPS = 0.2
"""Up to this speed the margin that grows with speed is none."""
_STEP_M = 0.025
_MAX_STEP_S = 0.05
_REST = 1e-6
_ROUNDING_M = 1e-6
_CORE_M = 0.05


@njit(cache=True)
def box_distances(points, box):
    """Signed distance (N,) of points (N, 2) from the box (3,) = half length, half width, centre x; negative inside."""
    distances = np.empty(points.shape[0])
    for i in range(points.shape[0]):
        out_x, out_y = abs(points[i, 0] - box[2]) - box[0], abs(points[i, 1]) - box[1]
        distances[i] = math.hypot(out_x, out_y) if out_x > 0.0 and out_y > 0.0 else max(out_x, out_y)
    return distances


@njit(cache=True)
def ramp(now, target, rising, falling, dt):
    """One speed after dt on its way to a target, at `falling` while its magnitude shrinks, else at `rising`."""
    if now * target < 0.0:
        stop_s = abs(now) / falling
        if stop_s >= dt:
            return now - math.copysign(falling * dt, now)
        now, dt = 0.0, dt - stop_s
    rate = falling if abs(target) < abs(now) else rising
    return now + min(max(target - now, -rate * dt), rate * dt)


@njit(cache=True)
def brake(v, w, decel, turn_decel, dt):
    """One step of braking along the arc: forward and turning speed shrink by the same factor, as both limits allow."""
    need = max(abs(v) / decel, abs(w) / turn_decel)
    keep = 0.0 if need <= dt else 1.0 - dt / need
    return v * keep, w * keep


@njit(cache=True)
def stays_clear(points, distances, now, last, target, hold_s, limits, margins, box):
    """Does the rectangle keep its margin from points (N, 2; base frame) until it stands?

    distances: (N,) of the points now, now and last and target: (2,) forward and turning speed measured, commanded last,
    commanded next, hold_s: (2,) how long each of the two commands acts, limits: (3,) accel, decel, turn accel,
    margins: (2,) margin and margin per speed, box: (3,) as in box_distances. A point within the margin from the start
    must not come nearer, and where there is one, the margin for all is its distance: a base that is too near to a wall
    can still drive along it, and away.
    """
    nearest = np.inf
    for i in range(distances.shape[0]):
        nearest = min(nearest, distances[i])
    margin = min(margins[0], KEEP * max(0.0, nearest))
    v, w = now[0], now[1]
    x = y = yaw = t = 0.0
    while True:
        reach = abs(v) + abs(w) * (box[0] + box[1] + abs(box[2]))
        left = hold_s[0] - t if t < hold_s[0] else hold_s[0] + hold_s[1] - t
        dt = min(_MAX_STEP_S, _STEP_M / max(reach, 0.1))
        if left > _REST:
            dt = min(dt, left)
        v0, w0 = v, w
        if t < hold_s[0] - _REST:
            v, w = ramp(v, last[0], limits[0], limits[1], dt), ramp(w, last[1], limits[2], limits[2], dt)
        elif t < hold_s[0] + hold_s[1] - _REST:
            v, w = ramp(v, target[0], limits[0], limits[1], dt), ramp(w, target[1], limits[2], limits[2], dt)
        elif abs(v) < 1e-3 and abs(w) < 1e-3:
            return True
        else:
            v, w = brake(v, w, limits[1], limits[2], dt)
        t += dt
        turn = 0.5 * (w0 + w) * dt
        x += 0.5 * (v0 + v) * dt * math.cos(yaw + 0.5 * turn)
        y += 0.5 * (v0 + v) * dt * math.sin(yaw + 0.5 * turn)
        yaw += turn
        if _too_near(points, distances, x, y, yaw, margin + margins[1] * max(0.0, abs(v) - CREEP_MPS), box):
            return False


@njit(cache=True)
def _too_near(points, distances, x, y, yaw, margin, box):
    cos, sin = math.cos(yaw), math.sin(yaw)
    for i in range(points.shape[0]):
        dx, dy = points[i, 0] - x, points[i, 1] - y
        out_x = abs(cos * dx + sin * dy - box[2]) - box[0]
        out_y = abs(cos * dy - sin * dx) - box[1]
        if out_x >= margin or out_y >= margin:
            continue
        distance = math.hypot(out_x, out_y) if out_x > 0.0 and out_y > 0.0 else max(out_x, out_y)
        if distances[i] > 0.0:
            if distance < min(margin, KEEP * distances[i] - _ROUNDING_M):
                return True
        elif distance < margin and _depth_m(out_x, out_y) > _depth_of(points[i], box) + _ROUNDING_M:
            return True
    return False


@njit(cache=True)
def _depth_of(point, box):
    return _depth_m(abs(point[0] - box[2]) - box[0], abs(point[1]) - box[1])


@njit(cache=True)
def _depth_m(out_x, out_y):
    """How near a point at the outline, or in it, is to a core well inside: grows with every way of pressing on."""
    return -math.hypot(max(0.0, out_x + _CORE_M), max(0.0, out_y + _CORE_M))
