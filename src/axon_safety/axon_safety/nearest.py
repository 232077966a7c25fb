# SPDX-License-Identifier: Apache-2.0
"""The admissible command nearest to the wanted one.

A command u = (vx, vy, wz) is admissible where the barrier of no point is negative (`collision.rooms_left`). Near a
command u_k the barrier of a point is a half-plane, h(u_k) + grad h (u - u_k) >= 0; the wanted command is projected on
the half-planes of the points that limit it and on what the base can reach: the CBF-QP of Ames et al., "Control barrier
functions: theory and applications" (2019), linearised anew about what comes out (sequential quadratic programming), and
followed by a small search. Every command that is returned has passed the roll-out, but for the braking that is left
when none has. All equations: docs/shield.md.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from axon_safety.collision import AWAY, CREEP_MPS, Scene, brake, hits_any, ramp, ramp_all, rooms_left, stays_clear
from axon_safety.outline import outline_distance

_PLANES = 6  # half-planes of as many points
_PROJECTIONS = 2  # after the first
_LOOK_M = 0.3  # points with more room than this limit nothing in the next period
_APART_M = 0.15
_AIM_M = 5e-4  # room left by a projection, so that it does not fail by a rounding
_PROBE = 0.02  # m/s and rad/s, of the differences
_STEPS = 40
_SETTLED = 1e-7
_SLACK = 1e-9
_BISECTIONS = 5
_ROUNDS = 3
_NUDGE_M = 1e-4


def nearest_admissible(scene, wanted, dt, spread):
    """The next command (vx, vy, wz), and whether an obstacle keeps the base from the wanted one.

    wanted: (3,) within the speed limits. dt: since the last command. spread: (3,) square of the change on each axis
    that counts as 1 (m/s)^2; zero for an axis that the base does not have. In order: what the accelerations leave of
    the wanted command, if that is admissible; the nearest admissible one of `reachable`; braking.
    """
    scene = _within_reach(scene, dt)
    start, clear = _first(scene, wanted, dt)
    if clear:
        return start, False
    if not wanted.any():
        return start, True
    return _search(scene, wanted, start, dt, spread), True


@njit(cache=True)
def _first(scene, wanted, dt):
    start = next_command(scene, wanted, dt)
    return start, stays_clear(scene, start)


def _search(scene, wanted, start, dt, spread):
    """The nearest admissible command that is found; braking where there is none.

    Not compiled as a whole: of its parts each compiles in a second or two, all in one in ten.
    """
    bounds = reachable(scene, wanted, spread, dt)
    likely = _limiting(scene, rooms_left(scene, start, np.arange(scene.points.shape[0]), _LOOK_M))
    projected = _projected(scene, wanted, start, bounds, spread)
    best, least = _by_candidates(scene, likely, wanted, projected, bounds, spread, dt)
    if least == np.inf:
        return next_command(scene, np.zeros(3), dt)
    for _ in range(_PROJECTIONS):
        before = best
        for end in (_projected(scene, wanted, best, bounds, spread), start):
            if change(end, wanted, spread) < change(best, wanted, spread):
                best = _toward(scene, likely, best, end, bounds)
        if change(best, before, spread) < _SETTLED:
            break
    return _refined(scene, likely, wanted, best, bounds, spread)


def _projected(scene, wanted, command, bounds, spread):
    """Where the barriers, linearised about a command, let the wanted one be projected to."""
    rows, offsets = _half_planes(scene, wanted, command, bounds)
    u = project(wanted, rows, offsets, bounds[0], bounds[1], spread)
    slower = min(1.0, bounds[4] / max(math.hypot(u[0], u[1]), 1e-9))
    return float(slower * u[0]), float(slower * u[1]), float(u[2])


@njit(cache=True)
def next_command(scene, wanted, dt):
    """What the accelerations leave of a wanted command (3,) after dt: each axis for itself; a stop, along the arc."""
    last = (scene.last[0], scene.last[1], scene.last[2])
    if not wanted.any():
        return brake(last, scene.limits[1], scene.limits[2], dt)
    return ramp_all(last, (wanted[0], wanted[1], wanted[2]), scene.limits, dt)


@njit(cache=True)
def _passes(scene, likely, command, bounds):
    """Whether a command is allowed and admissible; the points likely to forbid it are asked first, which is quicker."""
    return allowed(command, bounds) and not hits_any(scene, command, likely) and stays_clear(scene, command)


@njit(cache=True)
def _within_reach(scene, dt):
    """The scene without the points that no command can bring the outline's room to."""
    speed = turn = 0.0
    for k in range(3):
        rate = max(scene.limits[0], scene.limits[1]) if k < 2 else scene.limits[2]
        fastest = max(abs(scene.now[k]), abs(scene.last[k])) + rate * (scene.hold_s[0] + dt)
        speed, turn = (math.hypot(speed, fastest), turn) if k < 2 else (speed, fastest)
    stop_s = max(speed / scene.limits[1], turn / scene.limits[2])
    moving_s = scene.hold_s.sum() + 0.5 * stop_s
    travel = scene.moving[0] * (scene.moving[1] + scene.hold_s.sum() + stop_s)
    room = scene.margins[0] + scene.margins[1] * speed + travel
    reach = room + speed * moving_s + scene.outline.radius_m * min(turn * moving_s, 2.0)
    points, distances, count = np.empty_like(scene.points), np.empty_like(scene.distances), 0
    for i in range(scene.points.shape[0]):
        if scene.distances[i] <= reach:
            points[count, 0], points[count, 1] = scene.points[i, 0], scene.points[i, 1]
            distances[count] = scene.distances[i]
            count += 1
    return Scene(
        points[:count],
        distances[:count],
        scene.outline,
        scene.now,
        scene.last,
        scene.hold_s,
        scene.limits,
        scene.margins,
        scene.moving,
    )


@njit(cache=True)
def change(one, other, spread):
    """Norm of the difference of two commands, each axis weighed by `spread` (see `nearest_admissible`)."""
    total = 0.0
    for k in range(3):
        if spread[k] > 0.0:
            total += (one[k] - other[k]) ** 2 / spread[k]
    return math.sqrt(total)


@njit(cache=True)
def reachable(scene, wanted, spread, dt):
    """Bounds of the choice: low (3,), high (3,), the way (3,) and least speed along it, top speed.

    Each axis as far as the accelerations allow; and no faster than the wanted command would be now or than braking, nor
    against it: a shield that avoids an obstacle slows and turns, but does not drive where nobody wanted to.
    """
    start, braking = next_command(scene, wanted, dt), next_command(scene, np.zeros(3), dt)
    low, high, way = np.empty(3), np.empty(3), np.zeros(3)
    for k in range(3):
        rising, falling = (scene.limits[0], scene.limits[1]) if k < 2 else (scene.limits[2], scene.limits[2])
        low[k] = ramp(scene.last[k], -np.inf, rising, falling, dt)
        high[k] = ramp(scene.last[k], np.inf, rising, falling, dt)
        if spread[k] == 0.0:
            low[k] = high[k] = start[k]
    way[0], way[1] = wanted[0], wanted[1]
    length = math.hypot(wanted[0], wanted[1])
    if length > 0.0:
        way /= length
    least = min(0.0, _dot(way, start), _dot(way, braking))
    top = max(math.hypot(start[0], start[1]), math.hypot(braking[0], braking[1]))
    return low, high, way, least, top


@njit(cache=True)
def allowed(command, bounds):
    """Whether a command lies within the bounds that `reachable` returns."""
    low, high, way, least, top = bounds
    for k in range(3):
        if command[k] < low[k] - _SLACK or command[k] > high[k] + _SLACK:
            return False
    return _dot(way, command) >= least - _SLACK and math.hypot(command[0], command[1]) <= top + _SLACK


@njit(cache=True)
def project(wanted, rows, offsets, low, high, spread):
    """The u (3,) nearest to wanted with rows u >= offsets and low <= u <= high, in the norm of `change`.

    rows: (M, 3), offsets: (M,). The dual active-set method of Goldfarb and Idnani (1983) for the identity as Hessian:
    the most violated half-plane enters, those whose multipliers vanish on the way leave. Exact after some steps; where
    no u fulfils all half-planes, the nearest one to those that had entered.
    """
    normals, bounds = _unit_half_planes(wanted, rows, offsets, low, high, spread)
    z = np.zeros(3)  # u = wanted + sqrt(spread) z
    active, weights, count = np.zeros(4, dtype=np.int64), np.zeros(4), 0
    entering = -1
    for _ in range(_STEPS):
        if entering < 0:
            entering = _most_violated(normals, bounds, z)
            if entering < 0:
                break
            weights[count] = 0.0
        shares, free = _split(normals, active, count, entering)
        missing, size = bounds[entering] - _dot(normals[entering], z), _dot(free, free)
        full = missing / size if size > _SLACK and count < 3 else np.inf
        step, leaving = full, -1
        for j in range(count):
            if shares[j] > _SLACK and weights[j] / shares[j] < step:
                step, leaving = weights[j] / shares[j], j
        if step == np.inf:
            break  # the half-planes have no point in common
        for k in range(3):
            z[k] += step * free[k] if full < np.inf else 0.0
        for j in range(count):
            weights[j] -= step * shares[j]
        weights[count] += step
        if leaving < 0:
            active[count] = entering
            count, entering = count + 1, -1
        else:
            for j in range(leaving, count):
                active[j], weights[j] = active[j + 1], weights[j + 1]
            count -= 1
    u = np.empty(3)
    for k in range(3):
        u[k] = min(max(wanted[k] + math.sqrt(spread[k]) * z[k], low[k]), high[k])
    return u


@njit(cache=True)
def _unit_half_planes(wanted, rows, offsets, low, high, spread):
    """All half-planes, the bounds' too, as unit normals (M + 6, 3) and distances (M + 6,) from wanted; or none as 0."""
    count = rows.shape[0]
    normals, bounds = np.zeros((count + 6, 3)), np.zeros(count + 6)
    for j in range(count):
        bounds[j] = offsets[j] - _dot(rows[j], wanted)
        for k in range(3):
            normals[j, k] = rows[j, k]
    for k in range(3):
        normals[count + k, k], normals[count + 3 + k, k] = 1.0, -1.0
        bounds[count + k], bounds[count + 3 + k] = low[k] - wanted[k], wanted[k] - high[k]
    for j in range(count + 6):
        length = 0.0
        for k in range(3):
            normals[j, k] *= math.sqrt(spread[k])
            length += normals[j, k] ** 2
        length = math.sqrt(length)
        bounds[j] = bounds[j] / length if length > _SLACK else -np.inf
        for k in range(3):
            normals[j, k] = normals[j, k] / length if length > _SLACK else 0.0
    return normals, bounds


@njit(cache=True)
def _most_violated(normals, bounds, z):
    worst, index = _SLACK, -1
    for j in range(normals.shape[0]):
        missing = bounds[j] - _dot(normals[j], z)
        if missing > worst:
            worst, index = missing, j
    return index


@njit(cache=True)
def _split(normals, active, count, entering):
    """A normal as a sum of the active ones (their shares (3,)) and what is free of them (3,): by Gram and Schmidt."""
    basis, upper, shares, free = np.zeros((3, 3)), np.zeros((3, 3)), np.zeros(3), np.zeros(3)
    for k in range(3):
        free[k] = normals[entering, k]
    for j in range(count):
        for k in range(3):
            basis[j, k] = normals[active[j], k]
        for i in range(j):
            upper[i, j] = _dot(basis[i], normals[active[j]])
            _take_off(basis[j], upper[i, j], basis[i])
        upper[j, j] = math.sqrt(_dot(basis[j], basis[j]))
        for k in range(3):
            basis[j, k] /= upper[j, j]
        shares[j] = _dot(basis[j], normals[entering])
        _take_off(free, shares[j], basis[j])
    for j in range(count - 1, -1, -1):
        for i in range(j + 1, count):
            shares[j] -= upper[j, i] * shares[i]
        shares[j] /= upper[j, j]
    return shares, free


@njit(cache=True)
def _take_off(vector, share, other):
    for k in range(3):
        vector[k] -= share * other[k]


@njit(cache=True)
def _half_planes(scene, wanted, command, bounds):
    """Half-planes rows u >= offsets, (M, 3) and (M,), of the points that limit a command, and of the way to go."""
    low, high, way, least, _ = bounds
    rooms = rooms_left(scene, command, np.arange(scene.points.shape[0]), _LOOK_M)
    which = _limiting(scene, rooms)
    count = which.shape[0]
    rows, offsets = np.zeros((count + 1, 3)), np.zeros(count + 1)
    for k in range(3):
        rows[count, k] = way[k]
    offsets[count] = least
    here = rooms_left(scene, command, which, np.inf)
    for k in range(3):
        if high[k] - low[k] < _SLACK:
            continue
        inward = 0.5 * (low[k] + high[k]) - command[k]
        step = math.copysign(_PROBE, inward if abs(inward) > _SETTLED else wanted[k] - command[k])
        probe = (
            command[0] + (step if k == 0 else 0.0),
            command[1] + (step if k == 1 else 0.0),
            command[2] + (step if k == 2 else 0.0),
        )
        there = rooms_left(scene, probe, which, np.inf)
        for j in range(count):
            rows[j, k] = (there[j] - here[j]) / step
    for j in range(count):
        offsets[j] = _dot(rows[j], command) - here[j] + _AIM_M
    return rows, offsets


@njit(cache=True)
def _limiting(scene, rooms):
    """Indices of the points with the least room, a hand's breadth apart."""
    left = rooms.copy()
    which = np.empty(_PLANES, dtype=np.int64)
    for count in range(_PLANES):
        worst = np.argmin(left) if left.shape[0] else 0
        if left.shape[0] == 0 or left[worst] == np.inf:
            return which[:count]
        which[count] = worst
        for i in range(left.shape[0]):
            dx, dy = scene.points[i, 0] - scene.points[worst, 0], scene.points[i, 1] - scene.points[worst, 1]
            if dx * dx + dy * dy < _APART_M * _APART_M:
                left[i] = np.inf
    return which


@njit(cache=True)
def _by_candidates(scene, likely, wanted, first, bounds, spread, dt):
    """The nearest admissible one of first and of some other candidates, and how near it is: inf where none is."""
    best, least = first, np.inf
    candidates = _candidates(scene, wanted, bounds, spread, dt)
    for i in range(-1, candidates.shape[0]):
        command = first if i < 0 else (candidates[i, 0], candidates[i, 1], candidates[i, 2])
        cost = change(command, wanted, spread)
        if cost < least - _SETTLED and _passes(scene, likely, command, bounds):
            best, least = command, cost
    return best, least


@njit(cache=True)
def _candidates(scene, wanted, bounds, spread, dt):
    """Commands (48, 3) to try: what the accelerations leave of some goals, and a coarse grid of what is in reach.

    Goals: the wanted arc ever slower, to a stand; one axis of a sideways one; a turn; a creep straight on, or away from
    what is near.
    """
    vx, vy, wz = wanted[0], wanted[1], wanted[2]
    slow = min(0.2, CREEP_MPS / max(math.hypot(vx, vy), 1e-9))
    away_x, away_y = _way_out(scene, wanted, spread)
    goals = np.zeros((21, 3))
    for i in range(10):
        scale = 0.9 - 0.1 * i
        goals[i, 0], goals[i, 1], goals[i, 2] = scale * vx, scale * vy, scale * wz
    for i in range(3):
        scale = 1.0 - 0.4 * i
        goals[10 + i, 0], goals[10 + i, 2] = scale * vx, wz
        goals[13 + i, 1], goals[13 + i, 2] = scale * vy, wz
    for i in range(2):
        scale = 1.0 - 0.5 * i
        goals[16 + i, 2] = scale * wz
        goals[18 + i, 0], goals[18 + i, 1] = scale * away_x, scale * away_y
    goals[20, 0], goals[20, 1] = slow * vx, slow * vy
    candidates = np.empty((48, 3))
    for i in range(21):
        command = next_command(scene, goals[i], dt)
        candidates[i, 0], candidates[i, 1], candidates[i, 2] = command[0], command[1], command[2]
    low, high = bounds[0], bounds[1]
    for i in range(27):
        candidates[21 + i, 0] = low[0] + 0.5 * (i % 3) * (high[0] - low[0])
        candidates[21 + i, 1] = low[1] + 0.5 * (i // 3 % 3) * (high[1] - low[1])
        candidates[21 + i, 2] = low[2] + 0.5 * (i // 9) * (high[2] - low[2])
    return candidates


@njit(cache=True)
def _way_out(scene, wanted, spread):
    """Creeping velocity (vx, vy) straight away from the nearest point, as far as the wanted one leads away from it."""
    if scene.points.shape[0] == 0:
        return 0.0, 0.0
    nearest = np.argmin(scene.distances)
    x, y = scene.points[nearest, 0], scene.points[nearest, 1]
    corners = scene.outline.corners
    here = outline_distance(x, y, corners)
    away_x = (outline_distance(x - _NUDGE_M, y, corners) - here) / _NUDGE_M
    away_y = (outline_distance(x, y - _NUDGE_M, corners) - here) / _NUDGE_M if spread[1] > 0.0 else 0.0
    gain = math.hypot(away_x, away_y)
    if gain < AWAY:
        return 0.0, 0.0
    speed = min(CREEP_MPS, max(0.0, (wanted[0] * away_x + wanted[1] * away_y) / gain)) / gain
    return speed * away_x, speed * away_y


@njit(cache=True)
def _toward(scene, likely, best, end, bounds):
    """The last admissible command on the line from an admissible one to a nearer one, by bisection."""
    low, high = 0.0, 1.0
    if _passes(scene, likely, end, bounds):
        return end
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        command = _between(best, end, middle)
        if _passes(scene, likely, command, bounds):
            low = middle
        else:
            high = middle
    return _between(best, end, low)


@njit(cache=True)
def _between(one, other, share):
    return (
        one[0] + share * (other[0] - one[0]),
        one[1] + share * (other[1] - one[1]),
        one[2] + share * (other[2] - one[2]),
    )


@njit(cache=True)
def _refined(scene, likely, wanted, best, bounds, spread):
    """Pattern search: the nearest admissible of the neighbours, at ever smaller steps."""
    low, high = bounds[0], bounds[1]
    share = 0.25
    for _ in range(_ROUNDS):
        here, least, found = best, change(best, wanted, spread), False
        for i in range(27):
            step = (i % 3 - 1, i // 3 % 3 - 1, i // 9 - 1)
            command = (
                here[0] + step[0] * share * (high[0] - low[0]),
                here[1] + step[1] * share * (high[1] - low[1]),
                here[2] + step[2] * share * (high[2] - low[2]),
            )
            command = (
                min(max(command[0], low[0]), high[0]),
                min(max(command[1], low[1]), high[1]),
                min(max(command[2], low[2]), high[2]),
            )
            cost = change(command, wanted, spread)
            if cost < least - _SETTLED and _passes(scene, likely, command, bounds):
                best, least, found = command, cost, True
        if not found:
            share *= 0.5
    return best


@njit(cache=True)
def _dot(one, other):
    return one[0] * other[0] + one[1] * other[1] + one[2] * other[2]
