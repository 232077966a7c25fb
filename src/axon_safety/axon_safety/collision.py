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
AWAY = 0.95
"""Least gain of distance for each metre of a way out of a moving obstacle's room: almost straight away from it."""
_STEP_M = 0.025
_MAX_STEP_S = 0.05
_REST = 1e-6
_ROUNDING_M = 1e-6
_CORE_M = 0.05
_STRAIGHT_RADPS = 0.01


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
def brake(velocity, decel, turn_decel, dt):
    """One step of braking along the arc: all of (vx, vy, wz) shrink by the same factor, as both limits allow."""
    need = max(math.hypot(velocity[0], velocity[1]) / decel, abs(velocity[2]) / turn_decel)
    keep = 0.0 if need <= dt else 1.0 - dt / need
    return velocity[0] * keep, velocity[1] * keep, velocity[2] * keep


@njit(cache=True)
def ramp_all(now, target, limits, dt):
    """(vx, vy, wz) after dt on the way to a target; limits: (3,) accel, decel, turn accel, each axis for itself."""
    vx = ramp(now[0], target[0], limits[0], limits[1], dt)
    vy = ramp(now[1], target[1], limits[0], limits[1], dt)
    return vx, vy, ramp(now[2], target[2], limits[2], limits[2], dt)


@njit(cache=True)
def stays_clear(points, distances, now, last, target, hold_s, limits, margins, box, moving):
    """Does the rectangle keep its margin from points (N, 2; base frame) until it stands?

    distances: (N,) of the points now, now and last and target: (vx, vy, wz) measured, commanded last, commanded next,
    hold_s: (2,) how long each of the two commands acts, limits: (3,) accel, decel, turn accel, margins: (2,) margin and
    margin per speed, box: (3,) as in box_distances, moving: (2,) the obstacles' top speed and the age of the points. A
    point within the margin from the start must not come nearer, and where there is one, the margin for all is its
    distance: a base that is too near to a wall can still drive along it, and away. What an obstacle can travel until
    the base stands is kept besides; where that is short, who creeps and does not turn may go away from it: while a base
    turns, a corner swings toward an obstacle, and one that moves along may be met from the side.
    """
    nearest = np.inf
    for i in range(distances.shape[0]):
        nearest = min(nearest, distances[i])
    margin = min(margins[0], KEEP * max(0.0, nearest))
    slow = _creeps(now) and _creeps(last) and _creeps(target) and _agree(now, target) and _agree(last, target)
    velocity = (now[0], now[1], now[2])
    x = y = yaw = t = 0.0
    while True:
        reach = math.hypot(velocity[0], velocity[1]) + abs(velocity[2]) * (box[0] + box[1] + abs(box[2]))
        left = hold_s[0] - t if t < hold_s[0] else hold_s[0] + hold_s[1] - t
        dt = min(_MAX_STEP_S, _STEP_M / max(reach, 0.1))
        if left > _REST:
            dt = min(dt, left)
        before = velocity
        if t < hold_s[0] - _REST:
            velocity = ramp_all(before, last, limits, dt)
        elif t < hold_s[0] + hold_s[1] - _REST:
            velocity = ramp_all(before, target, limits, dt)
        elif math.hypot(before[0], before[1]) < 1e-3 and abs(before[2]) < 1e-3:
            return True
        else:
            velocity = brake(before, limits[1], limits[2], dt)
        t += dt
        turn = 0.5 * (before[2] + velocity[2]) * dt
        cos, sin = math.cos(yaw + 0.5 * turn), math.sin(yaw + 0.5 * turn)
        forward, left_m = 0.5 * (before[0] + velocity[0]) * dt, 0.5 * (before[1] + velocity[1]) * dt
        x += cos * forward - sin * left_m
        y += sin * forward + cos * left_m
        yaw += turn
        speed_room = margins[1] * max(0.0, math.hypot(velocity[0], velocity[1]) - CREEP_MPS)
        if _too_near(points, distances, x, y, yaw, margin + speed_room, moving[0] * (moving[1] + t), slow, box):
            return False


@njit(cache=True)
def _creeps(velocity):
    return math.hypot(velocity[0], velocity[1]) <= CREEP_MPS and abs(velocity[2]) <= _STRAIGHT_RADPS


@njit(cache=True)
def _agree(one, other):
    """Whether two velocities lead the same way: of there and back, the way back would lead toward the obstacle."""
    return one[0] * other[0] + one[1] * other[1] >= 0.0


@njit(cache=True)
def _too_near(points, distances, x, y, yaw, margin, travel, slow, box):
    cos, sin = math.cos(yaw), math.sin(yaw)
    room = margin + travel
    for i in range(points.shape[0]):
        dx, dy = points[i, 0] - x, points[i, 1] - y
        out_x = abs(cos * dx + sin * dy - box[2]) - box[0]
        out_y = abs(cos * dy - sin * dx) - box[1]
        if out_x >= room or out_y >= room:
            continue
        distance = math.hypot(out_x, out_y) if out_x > 0.0 and out_y > 0.0 else max(out_x, out_y)
        if distances[i] > 0.0:
            yielding = KEEP * distances[i] - _ROUNDING_M
            if distance < min(margin, yielding):
                return True
            away = slow and distance >= distances[i] + AWAY * math.hypot(x, y) - _ROUNDING_M
            if travel > 0.0 and distance < room and not away:
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
