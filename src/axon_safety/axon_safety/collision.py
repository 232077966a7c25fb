# SPDX-License-Identifier: Apache-2.0
"""Will the base's outline touch anything, if it takes this command and then brakes?

The base is rolled forward as it will move: it keeps following the last command for the latency, then this one until
the next can take effect, then it brakes along its arc to a stand. After Fox, Burgard, Thrun, "The Dynamic Window
Approach" (1997), whose admissible velocities are those from which the robot can still stop; here with latency, turning
and the exact polygon instead of a disc. The least room on the way is a backup control barrier function: Chen et al.,
"Backup control barrier functions" (2021), with braking for the backup.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from axon_core.arrays import FloatArray
from axon_safety.outline import Outline, outline_distance

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
_STRAIGHT_RADPS = 0.01


class Scene(NamedTuple):
    """All that decides whether a command is admissible: what is around the base, how it moves, the room it keeps.

    points: (N, 2) in the base frame, and distances: (N,) of them from the outline. now, last: (3,) vx, vy, wz measured
    and commanded last. hold_s: (2,) how long the last command and the next one act. limits: (3,) accel, decel, turn
    accel. margins: (2,) margin and margin per speed. moving: (2,) the obstacles' top speed and the points' age.
    """

    points: FloatArray
    distances: FloatArray
    outline: Outline
    now: FloatArray
    last: FloatArray
    hold_s: FloatArray
    limits: FloatArray
    margins: FloatArray
    moving: FloatArray


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
def stays_clear(scene, target):
    """Does the outline keep its room from all points until it stands, if the next command is target (vx, vy, wz)?

    A point within the margin from the start must not come nearer, and where there is one, the margin for all is its
    distance: a base that is too near to a wall can still drive along it, and away. What an obstacle can travel until
    the base stands is kept besides; where that is short, who creeps and does not turn may go away from it: while a base
    turns, a corner swings toward an obstacle, and one that moves along may be met from the side.
    """
    return not _rolled_out(scene, target, np.arange(scene.points.shape[0]), 0.0, True)[1]


@njit(cache=True)
def hits_any(scene, target, which):
    """Whether the command (vx, vy, wz) takes the room of one of the points which (K,)."""
    return _rolled_out(scene, target, which, 0.0, True)[1]


@njit(cache=True)
def rooms_left(scene, target, which, look_m):
    """Barriers (K,) in metres of the points which (K,) for a command (vx, vy, wz): the least distance minus room.

    A command is admissible where that of no point is negative. Room beyond look_m may be returned as inf.
    """
    return _rolled_out(scene, target, which, look_m, False)[0]


@njit(cache=True)
def _rolled_out(scene, target, which, look_m, stop_early):
    """Least distance minus room (K,) on the way to a stand, and whether one is negative; the first may end it."""
    margin, slow = _least_margin(scene), _leaves_slowly(scene, target)
    velocity = (scene.now[0], scene.now[1], scene.now[2])
    pose, t = (0.0, 0.0, 0.0), 0.0
    rooms, met = np.full(which.shape[0], np.inf), False
    while not stands(t, velocity, scene.hold_s):
        pose, velocity, t = next_state(scene, target, pose, velocity, t)
        fixed, travel = _needed(scene, margin, velocity, t)
        met |= _take_rooms(scene, pose, fixed, travel, slow, which, look_m, rooms)
        if met and stop_early:
            break
    return rooms, met


@njit(cache=True)
def _least_margin(scene):
    """The margin, or somewhat less than the distance of what is nearer."""
    nearest = np.inf
    for i in range(scene.distances.shape[0]):
        nearest = min(nearest, scene.distances[i])
    return min(scene.margins[0], KEEP * max(0.0, nearest))


@njit(cache=True)
def _needed(scene, margin, velocity, t):
    """Room r(t) in its two parts: the margin that grows with speed, and what an obstacle can have travelled."""
    speed_room = scene.margins[1] * max(0.0, math.hypot(velocity[0], velocity[1]) - CREEP_MPS)
    return margin + speed_room, scene.moving[0] * (scene.moving[1] + t)


@njit(cache=True)
def stands(t, velocity, hold_s):
    """Whether the base has come to its stand: both commands are over, and it no longer moves."""
    over = t >= hold_s[0] + hold_s[1] - _REST
    return over and math.hypot(velocity[0], velocity[1]) < 1e-3 and abs(velocity[2]) < 1e-3


@njit(cache=True)
def next_state(scene, target, pose, before, t):
    """Pose (x, y, yaw), velocity (vx, vy, wz) and time after one step of the roll-out, short enough for its speed."""
    hold_s, limits = scene.hold_s, scene.limits
    reach = math.hypot(before[0], before[1]) + abs(before[2]) * scene.outline.radius_m
    left = hold_s[0] - t if t < hold_s[0] - _REST else hold_s[0] + hold_s[1] - t
    dt = min(_MAX_STEP_S, _STEP_M / max(reach, 0.1))
    if left > _REST:
        dt = min(dt, left)
    if t < hold_s[0] - _REST:
        velocity = ramp_all(before, (scene.last[0], scene.last[1], scene.last[2]), limits, dt)
    elif t < hold_s[0] + hold_s[1] - _REST:
        velocity = ramp_all(before, target, limits, dt)
    else:
        velocity = brake(before, limits[1], limits[2], dt)
    turn = 0.5 * (before[2] + velocity[2]) * dt
    cos, sin = math.cos(pose[2] + 0.5 * turn), math.sin(pose[2] + 0.5 * turn)
    forward, left_m = 0.5 * (before[0] + velocity[0]) * dt, 0.5 * (before[1] + velocity[1]) * dt
    pose = (pose[0] + cos * forward - sin * left_m, pose[1] + sin * forward + cos * left_m, pose[2] + turn)
    return pose, velocity, t + dt


@njit(cache=True)
def _leaves_slowly(scene, target):
    now, last = scene.now, scene.last
    return _creeps(now) and _creeps(last) and _creeps(target) and _agree(now, target) and _agree(last, target)


@njit(cache=True)
def _creeps(velocity):
    return math.hypot(velocity[0], velocity[1]) <= CREEP_MPS and abs(velocity[2]) <= _STRAIGHT_RADPS


@njit(cache=True)
def _agree(one, other):
    """Whether two velocities lead the same way: of there and back, the way back would lead toward the obstacle."""
    return one[0] * other[0] + one[1] * other[1] >= 0.0


@njit(cache=True)
def _take_rooms(scene, pose, margin, travel, slow, which, look, rooms):
    """Lower the rooms (K,) to those at a pose of the roll-out, unless they are surely more than look; any negative?"""
    points, distances, corners, box = scene.points, scene.distances, scene.outline.corners, scene.outline.box
    cos, sin, driven = math.cos(pose[2]), math.sin(pose[2]), math.hypot(pose[0], pose[1])
    far_x, far_y = box[2] + margin + travel + look, box[3] + margin + travel + look
    met = False
    for k in range(which.shape[0]):
        i = which[k]
        dx, dy = points[i, 0] - pose[0], points[i, 1] - pose[1]
        x, y = cos * dx + sin * dy, cos * dy - sin * dx
        if abs(x - box[0]) >= far_x or abs(y - box[1]) >= far_y:
            continue
        distance, at_start = outline_distance(x, y, corners), distances[i]
        if at_start > 0.0:
            left = distance - min(margin, KEEP * at_start - _ROUNDING_M)
            away = slow and distance >= at_start + AWAY * driven - _ROUNDING_M
            if travel > 0.0 and not away:
                left = min(left, distance - margin - travel)
        elif distance < margin:
            left = _deeper(points[i], x, y, scene.outline.core)
        else:
            continue
        rooms[k] = min(rooms[k], left)
        met |= left < 0.0
    return met


@njit(cache=True)
def _deeper(point, x, y, core):
    """How much farther from the core a point of the outline, or in it, is than at the start: pressing on shows here."""
    return outline_distance(x, y, core) - outline_distance(point[0], point[1], core) + _ROUNDING_M
