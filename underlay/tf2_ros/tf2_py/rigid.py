# SPDX-License-Identifier: Apache-2.0
"""Rigid transforms as plain tuples (x, y, z, qx, qy, qz, qw): metres, then a unit quaternion.

A lookup composes a handful of them, for which Python floats are several times faster than NumPy arrays.
"""

from __future__ import annotations

from math import acos, sin, sqrt

Rigid = tuple[float, float, float, float, float, float, float]

IDENTITY: Rigid = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
NORM_TOLERANCE = 1e-2  # on the squared norm, as in tf2
_NEARLY_PARALLEL = 1.0 - 1e-8  # cosine of the half angle from which slerp is linear to double precision


def compose(a_T_b: Rigid, b_T_c: Rigid) -> Rigid:
    """a_T_c."""
    ax, ay, az, i, j, k, w = a_T_b
    bx, by, bz, bi, bj, bk, bw = b_T_c
    # v + 2 w (q x v) + 2 q x (q x v), with u = 2 (q x v)
    ux, uy, uz = 2.0 * (j * bz - k * by), 2.0 * (k * bx - i * bz), 2.0 * (i * by - j * bx)
    return (
        ax + bx + w * ux + j * uz - k * uy,
        ay + by + w * uy + k * ux - i * uz,
        az + bz + w * uz + i * uy - j * ux,
        w * bi + i * bw + j * bk - k * bj,
        w * bj - i * bk + j * bw + k * bi,
        w * bk + i * bj - j * bi + k * bw,
        w * bw - i * bi - j * bj - k * bk,
    )


def inverse(a_T_b: Rigid) -> Rigid:
    """b_T_a."""
    x, y, z, i, j, k, w = a_T_b
    rx, ry, rz = compose((0.0, 0.0, 0.0, -i, -j, -k, w), (-x, -y, -z, 0.0, 0.0, 0.0, 1.0))[:3]
    return (rx, ry, rz, -i, -j, -k, w)


def interpolate(a: Rigid, b: Rigid, fraction: float) -> Rigid:
    """From ``a`` (fraction 0) to ``b`` (1): positions along the line, rotations along the shorter great arc (slerp)."""
    cosine = a[3] * b[3] + a[4] * b[4] + a[5] * b[5] + a[6] * b[6]
    sign = 1.0 if cosine >= 0.0 else -1.0  # q and -q are the same rotation
    cosine *= sign
    keep = 1.0 - fraction
    p, q = keep, sign * fraction
    if cosine < _NEARLY_PARALLEL:
        angle = acos(cosine)
        scale = 1.0 / sin(angle)
        p, q = sin(keep * angle) * scale, sign * sin(fraction * angle) * scale
    i, j, k, w = p * a[3] + q * b[3], p * a[4] + q * b[4], p * a[5] + q * b[5], p * a[6] + q * b[6]
    n = 1.0 / sqrt(i * i + j * j + k * k + w * w)
    return (
        keep * a[0] + fraction * b[0],
        keep * a[1] + fraction * b[1],
        keep * a[2] + fraction * b[2],
        i * n,
        j * n,
        k * n,
        w * n,
    )


def normalized(transform: Rigid) -> Rigid:
    """The same with a unit quaternion.

    Raises:
        ValueError: a number that is not finite, or a quaternion whose squared norm is not 1 within NORM_TOLERANCE.
    """
    x, y, z, i, j, k, w = transform
    square = i * i + j * j + k * k + w * w
    if not abs(x + y + z + square) < float("inf"):
        raise ValueError(f"translation ({x}, {y}, {z}) or rotation ({i}, {j}, {k}, {w}) is not finite")
    if abs(square - 1.0) > NORM_TOLERANCE:
        hint = "; no rotation is (0, 0, 0, 1)" if square == 0.0 else ""
        raise ValueError(f"rotation (x={i}, y={j}, z={k}, w={w}) has norm {sqrt(square):.6g}, expected 1{hint}")
    n = 1.0 / sqrt(square)
    return (x, y, z, i * n, j * n, k * n, w * n)
