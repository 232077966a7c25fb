# SPDX-License-Identifier: Apache-2.0
"""Shortest curves between two poses for a base that cannot turn tighter than a circle: Dubins, Reeds and Shepp.

Forward only: Dubins, "On Curves of Minimal Length with a Constraint on Average Curvature", 1957; the six words in the
closed form of Shkel and Lumelsky, "Classification of the Dubins set", 2001. Forward and backward: Reeds and Shepp,
"Optimal paths for a car that goes both forwards and backwards", 1990: of their 48 words the eight families of section 8
are computed, the others follow by driving the word backward in time, mirrored, or from its end (`_candidate`).

A curve has up to five pieces: circles to the left (kind 1) and to the right (-1), straight lines (0). Its length is the
same from the goal to the start for Reeds and Shepp's, and for Dubins' where both poses are turned round.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from axon_core.checks import check_array, check_number

LEFT, STRAIGHT, RIGHT = 1, 0, -1
PIECES = 5
_ZERO = 1e-10
_QUARTER = 0.5 * np.pi
# Kinds of the pieces of the families (8.1), (8.2), (8.3), (8.7), (8.8), (8.9), (8.10), (8.11); 9 is none.
_FAMILIES = np.array(
    [
        [1, 0, 1, 9, 9],
        [1, 0, -1, 9, 9],
        [1, -1, 1, 9, 9],
        [1, -1, 1, -1, 9],
        [1, -1, 1, -1, 9],
        [1, -1, 0, 1, 9],
        [1, -1, 0, -1, 9],
        [1, -1, 0, 1, -1],
    ],
    np.int8,
)
_FROM_THE_END = np.array([False, False, True, False, False, True, True, False])  # families that are not their own


@dataclass(frozen=True)
class Curve:
    """Pieces from `start` (3,): `kinds` (K,) int8 and `lengths_m` (K,), negative where driven backward."""

    start: np.ndarray
    kinds: np.ndarray
    lengths_m: np.ndarray
    radius_m: float

    @property
    def length_m(self) -> float:
        """Metres driven, backward ones included."""
        return float(np.abs(self.lengths_m).sum())

    @property
    def changes(self) -> int:
        """How often the direction of driving changes."""
        signs = np.sign(self.lengths_m[np.abs(self.lengths_m) > _ZERO])
        return int(np.count_nonzero(np.diff(signs)))

    def poses(self, spacing_m: float) -> tuple[np.ndarray, np.ndarray]:
        """Poses (N, 3) at most `spacing_m` apart along the curve, and (N - 1,) int8: 1 forward, -1 backward."""
        return curve_poses(self.start, self.kinds, self.lengths_m, self.radius_m, spacing_m)


def dubins(start: np.ndarray, goal: np.ndarray, radius_m: float) -> Curve:
    """Return the shortest curve driven forward from pose `start` to pose `goal`, (3,) each."""
    return _curve(_dubins, start, goal, radius_m)


def reeds_shepp(start: np.ndarray, goal: np.ndarray, radius_m: float) -> Curve:
    """Return the shortest curve driven forward and backward from pose `start` to pose `goal`, (3,) each."""
    return _curve(_reeds_shepp, start, goal, radius_m)


def _curve(solve, start, goal, radius_m: float) -> Curve:
    start, goal = check_array("start", start, shape=(3,)), check_array("goal", goal, shape=(3,))
    radius_m = check_number("radius_m", radius_m, minimum=1e-6)
    kinds, lengths = np.zeros(PIECES, np.int8), np.zeros(PIECES)
    solve(*relative(start[0], start[1], start[2], goal[0], goal[1], goal[2], radius_m), kinds, lengths)
    used = np.abs(lengths) > _ZERO
    return Curve(start, kinds[used], lengths[used] * radius_m, radius_m)


def curve_poses(
    start: np.ndarray, kinds: np.ndarray, lengths_m: np.ndarray, radius_m: float, spacing_m: float
) -> tuple[np.ndarray, np.ndarray]:
    """Poses (N, 3) and directions (N - 1,) int8 along pieces from `start` (3,), at most `spacing_m` apart."""
    poses, directions = [np.asarray(start, dtype=np.float64)[None]], []
    for kind, length in zip(kinds, lengths_m, strict=True):
        count = max(1, int(np.ceil(abs(length) / spacing_m - 1e-9)))
        along = length * np.arange(1, count + 1) / count
        poses.append(arc_poses(poses[-1][-1], kind / radius_m, along))
        directions.append(np.full(count, np.sign(length), np.int8))
    return np.concatenate(poses), np.concatenate(directions) if directions else np.empty(0, np.int8)


def arc_poses(start: np.ndarray, curvature_radpm: float, along_m: np.ndarray) -> np.ndarray:
    """Poses (N, 3) after signed lengths (N,) on the arc of one curvature, 0 for a line, that begins at `start` (3,)."""
    half = 0.5 * curvature_radpm * along_m
    chord = along_m * np.sinc(half / np.pi)
    yaw = start[2] + half
    return np.column_stack([start[0] + chord * np.cos(yaw), start[1] + chord * np.sin(yaw), yaw + half])


@njit(cache=True, inline="always")
def relative(x, y, yaw, goal_x, goal_y, goal_yaw, radius):
    """The goal as the start sees it, in radii: x, y and the turn."""
    dx, dy = (goal_x - x) / radius, (goal_y - y) / radius
    cos, sin = np.cos(yaw), np.sin(yaw)
    return dx * cos + dy * sin, dy * cos - dx * sin, goal_yaw - yaw


@njit(cache=True)
def advance(x, y, yaw, curvature, length):
    """The pose after a signed length on an arc."""
    half = 0.5 * curvature * length
    chord = length if abs(half) < 1e-9 else length * np.sin(half) / half
    middle = yaw + half
    return x + chord * np.cos(middle), y + chord * np.sin(middle), middle + half


@njit(cache=True, inline="always")
def _wrapped(angle):
    """The angle in [-pi, pi]."""
    return angle - 2.0 * np.pi * np.rint(angle / (2.0 * np.pi))


@njit(cache=True, inline="always")
def _turn(angle):
    """The angle in [0, 2 pi); what rounding took just below a whole turn is none."""
    angle = angle % (2.0 * np.pi)
    return 0.0 if 2.0 * np.pi - angle < 1e-9 else angle


@njit(cache=True)
def _dubins(x, y, phi, kinds, lengths):
    """Fill in kinds and lengths in radii of the shortest of Dubins' six words; return the sum."""
    d, theta = np.hypot(x, y), np.arctan2(y, x)
    a, b = -theta, phi - theta
    sa, sb, ca, cb, cab = np.sin(a), np.sin(b), np.cos(a), np.cos(b), np.cos(a - b)
    best = np.inf
    for word in range(6):
        t, p, q = np.inf, 0.0, 0.0
        if word < 4:
            first, last = (1.0 if word in (0, 2) else -1.0), (1.0 if word in (0, 3) else -1.0)
            # p^2 of (LSL), (RSR), (LSR), (RSL): the centres of both circles are p, or hypot(p, 2), apart
            square = (2.0 if word < 2 else -2.0) + d * d + 2.0 * d * (first * sa - last * sb)
            square += -2.0 * cab if word < 2 else 2.0 * cab
            if square >= 0.0:
                p = np.sqrt(square)
                to = np.arctan2(last * cb - first * ca, d + first * sa - last * sb)
                if word >= 2:
                    to -= np.arctan2(-2.0 * first, p)
                t, q = _turn(first * (to - a)), _turn(last * (b - to))
        else:
            first = last = 1.0 if word == 4 else -1.0
            cosine = (6.0 - d * d + 2.0 * cab - first * 2.0 * d * (sa - sb)) / 8.0
            if abs(cosine) <= 1.0:
                p = 2.0 * np.pi - np.arccos(cosine)
                to = np.arctan2(first * (cb - ca), d + first * (sa - sb))
                t = _turn(first * (to - a) + 0.5 * p)
                q = _turn(first * (b - a) - t + p)
        if t + p + q < best:
            best = t + p + q
            lengths[:] = 0.0
            kinds[:] = 0
            kinds[0], kinds[2], lengths[0], lengths[1], lengths[2] = first, last, t, p, q
            if word >= 4:
                kinds[1] = -first
    return best


@njit(cache=True)
def dubins_length(x, y, phi):
    """Length in radii of the shortest curve driven forward."""
    return _dubins(x, y, phi, np.empty(PIECES, np.int8), np.empty(PIECES))


@njit(cache=True, inline="always")
def _tau_omega(u, v, xi, eta, phi):
    """The first and the last angle of (8.7) and (8.8)."""
    delta = _wrapped(u - v)
    a, b = np.sin(u) - np.sin(delta), np.cos(u) - np.cos(delta) - 1.0
    angle = np.arctan2(eta * a - xi * b, xi * a + eta * b)
    behind = 2.0 * (np.cos(delta) - np.cos(v) - np.cos(u)) + 3.0 < 0.0
    tau = _wrapped(angle + np.pi) if behind else _wrapped(angle)
    return tau, _wrapped(tau - u + v - phi)


@njit(cache=True)
def _solve(family, x, y, phi):
    """Whether a family's word exists, with its angles and lengths t, u, v."""
    same = family in (0, 2, 5)  # the last circle is a left one, or stands for one
    xi = x - np.sin(phi) if same else x + np.sin(phi)
    eta = y - 1.0 + np.cos(phi) if same else y - 1.0 - np.cos(phi)
    rho, theta = np.hypot(xi, eta), np.arctan2(eta, xi)
    t, u, v = 0.0, 0.0, 0.0
    if family == 0:  # (8.1) L+ S+ L+
        t, u = theta, rho
        v = _wrapped(phi - t)
        return t >= 0.0 and v >= 0.0, t, u, v
    if family == 1 and rho >= 2.0:  # (8.2) L+ S+ R+
        u = np.sqrt(rho * rho - 4.0)
        t = _wrapped(theta + np.arctan2(2.0, u))
        v = _wrapped(t - phi)
        return t >= 0.0 and v >= 0.0, t, u, v
    if family == 2 and rho <= 4.0:  # (8.3) L+ R- L, whose last piece has either sign (8.4)
        u = -2.0 * np.arcsin(0.25 * rho)
        t = _wrapped(theta + 0.5 * u + np.pi)
        v = _wrapped(phi - t + u)
        return t >= 0.0, t, u, v
    if family == 3 and rho <= 2.0:  # (8.7) L+ R+(u) L-(u) R-
        u = np.arccos(0.25 * (2.0 + rho))
        t, v = _tau_omega(u, -u, xi, eta, phi)
        return t >= 0.0 and v <= 0.0, t, u, v
    if family == 4 and 4.0 <= rho * rho <= 20.0:  # (8.8) L+ R-(u) L-(u) R+
        u = -np.arccos((20.0 - rho * rho) / 16.0)
        t, v = _tau_omega(u, u, xi, eta, phi)
        return t >= 0.0 and v >= 0.0, t, u, v
    if family == 5 and rho >= 2.0:  # (8.9) L+ R-(pi/2) S- L-
        far = np.sqrt(rho * rho - 4.0)
        u = 2.0 - far
        t = _wrapped(theta + np.arctan2(far, -2.0))
        v = _wrapped(phi - _QUARTER - t)
        return t >= 0.0 and u <= 0.0 and v <= 0.0, t, u, v
    if family == 6 and rho >= 2.0:  # (8.10) L+ R-(pi/2) S- R-
        t = np.arctan2(xi, -eta)
        u = 2.0 - rho
        v = _wrapped(t + _QUARTER - phi)
        return t >= 0.0 and u <= 0.0 and v <= 0.0, t, u, v
    if family == 7 and rho >= 2.0:  # (8.11) L+ R-(pi/2) S- L-(pi/2) R+
        u = 4.0 - np.sqrt(rho * rho - 4.0)
        if u <= 0.0:
            t = _wrapped(np.arctan2((4.0 - u) * xi - 2.0 * eta, -2.0 * xi + (u - 4.0) * eta))
            v = _wrapped(t - phi)
            return t >= 0.0 and v >= 0.0, t, u, v
    return False, t, u, v


@njit(cache=True)
def _candidate(family, backward, mirrored, from_end, x, y, phi):
    """A family's word after the three changes of section 8: of the sign of time, of sides, and of the two ends."""
    if from_end:
        x, y = x * np.cos(phi) + y * np.sin(phi), x * np.sin(phi) - y * np.cos(phi)
    if backward:
        x, phi = -x, -phi
    if mirrored:
        y, phi = -y, -phi
    return _solve(family, x, y, phi)


@njit(cache=True)
def _reeds_shepp(x, y, phi, kinds, lengths):
    """Fill in kinds and lengths in radii of the shortest word; return the sum of the lengths' sizes."""
    best, word = np.inf, (0, False, False, False)
    t, u, v = 0.0, 0.0, 0.0
    for family in range(len(_FAMILIES)):
        for change in range(8 if _FROM_THE_END[family] else 4):
            backward, mirrored, from_end = change & 1 == 1, change & 2 == 2, change & 4 == 4
            exists, one, two, three = _candidate(family, backward, mirrored, from_end, x, y, phi)
            if not exists:
                continue
            total = abs(one) + abs(two) + abs(three)
            if family == 3 or family == 4:
                total += abs(two)
            elif family >= 5:
                total += _QUARTER if family < 7 else 2.0 * _QUARTER
            if total < best:
                best, word, t, u, v = total, (family, backward, mirrored, from_end), one, two, three
    _write(word, t, u, v, kinds, lengths)
    return best


@njit(cache=True)
def reeds_shepp_length(x, y, phi):
    """Length in radii of the shortest curve driven forward and backward."""
    return _reeds_shepp(x, y, phi, np.empty(PIECES, np.int8), np.empty(PIECES))


@njit(cache=True)
def _write(word, t, u, v, kinds, lengths):
    """Spell out a word's pieces."""
    family, backward, mirrored, from_end = word
    kinds[:] = 0
    lengths[:] = 0.0
    count = 3 if family < 3 else 4 if family < 7 else 5
    piece = np.zeros(PIECES)
    piece[0], piece[count - 1] = t, v
    if family < 3:
        piece[1] = u
    elif family == 3:
        piece[1], piece[2] = u, -u
    elif family == 4:
        piece[1], piece[2] = u, u
    else:
        piece[1], piece[2] = -_QUARTER, u
        if family == 7:
            piece[3] = -_QUARTER
    for i in range(count):
        k = count - 1 - i if from_end else i
        kinds[i] = -_FAMILIES[family, k] if mirrored else _FAMILIES[family, k]
        lengths[i] = -piece[k] if backward else piece[k]


@njit(cache=True)
def solve_curve(forward_only, x, y, phi, kinds, lengths):
    """Kinds and lengths in radii of the shortest curve of either sort, for compiled callers; returns the sum."""
    if forward_only:
        return _dubins(x, y, phi, kinds, lengths)
    return _reeds_shepp(x, y, phi, kinds, lengths)
