# SPDX-License-Identifier: Apache-2.0
"""Planar grasps on a height map: where the open gripper has room, how deep it goes, and which of the network's to take.

A planar grasp comes straight from above: a point (x, y) of the map and the angle of the closing direction about the
vertical. An angle and that angle + pi are the same grasp; ANGLES bins share [0, pi), and bin k has its centre at
(k + 1/2) pi / ANGLES.
"""

from dataclasses import dataclass

import numpy as np

from axon_core.arrays import AnyArray, FloatArray
from axon_grasp.heightmap import RESOLUTION_M, HeightMap, centers_of

ANGLES = 18


@dataclass(frozen=True)
class GripperShape:
    """A two-finger gripper, in m. `tip_m` is how far the fingertips reach beyond the grasp's origin, `palm_m` how far
    the palm stays behind it. Along the closing direction the fingers are `finger_thick_m` thick and the palm is
    `palm_long_m` long; across it they are `finger_wide_m` and `palm_wide_m`."""

    max_opening_m: float = 0.09
    finger_thick_m: float = 0.014
    finger_wide_m: float = 0.022
    tip_m: float = 0.019
    palm_m: float = 0.045
    palm_long_m: float = 0.116
    palm_wide_m: float = 0.048


@dataclass(frozen=True)
class FitLimits:
    """How a grasp is placed: how deep below the highest point between the fingers, and the distances to keep.

    Where the object narrows under the fingers as `tapers` says by `taper`, a grasp's quality is 1 / e of what it was.
    """

    depth_m: float = 0.030
    clearance_m: float = 0.004
    side_clearance_m: float = 0.003
    least_overlap_m: float = 0.008
    taper: float = 0.3


@dataclass(frozen=True)
class Placement:
    """How the gripper stands over K grasps: height of its origin (K,), opening (K,), and whether it can (K,)."""

    z_m: FloatArray
    opening_m: FloatArray
    fits: AnyArray


@dataclass(frozen=True)
class PlanarGrasp:
    """One grasp: its pose, x along the approach and y along the closing direction (axon_msgs/Grasp).

    `opening_m` is the gripper's before closing, `thickness_m` what it is expected to close on, `hanging_m` how far the
    object may reach below the grasp's origin.
    """

    base_T_grasp: FloatArray
    opening_m: float
    thickness_m: float
    quality: float
    hanging_m: float


def bin_angles() -> FloatArray:
    """Return the angles (ANGLES,) of the bins' centres."""
    return np.asarray((np.arange(ANGLES) + 0.5) * np.pi / ANGLES)


def bins_of(angles_rad: AnyArray) -> AnyArray:
    """Return the bins of angles; an angle and that angle + pi have the same."""
    return np.floor(np.mod(angles_rad, np.pi) / np.pi * ANGLES).astype(np.intp) % ANGLES


def fit_gripper(
    heights: HeightMap,
    xy_m: AnyArray,
    angles_rad: AnyArray,
    shape: GripperShape,
    limits: FitLimits,
) -> Placement:
    """Lower the open gripper over points (K, 2) at angles (K,) as far as it should and can.

    Of several openings the one is taken with which it goes deepest, and of equal ones the widest. Fingers never start
    inside of what the map shows; a grasp whose fingertips cannot reach below what is between them does not fit.
    """
    xy, angles = np.asarray(xy_m, dtype=np.float64), np.asarray(angles_rad, dtype=np.float64)
    palm = _highest(heights, xy, angles, *_rectangle(0.0, shape.palm_long_m, shape.palm_wide_m))
    openings = shape.max_opening_m * np.array([1.0, 0.8, 0.6, 0.4])
    rows = [_lowest_z(heights, xy, angles, opening, palm, shape, limits) for opening in openings]
    z = np.stack([row[0] for row in rows])
    between = np.stack([row[1] for row in rows])
    best = np.argmin(np.round(z, 3), axis=0)  # the first of equals: the widest
    chosen = best, np.arange(len(xy))
    overlap = between[chosen] - (z[chosen] - shape.tip_m)
    return Placement(z[chosen], openings[best], overlap >= limits.least_overlap_m)


def tapers(
    heights: HeightMap, xy_m: AnyArray, angles_rad: AnyArray, placed: Placement, shape: GripperShape, limits: FitLimits
) -> FloatArray:
    """Return by how much what is between the fingers narrows across them (K,): half the change of its thickness.

    That is the tangent of the angle between the surfaces and the fingers, and friction has to hold against it: a can
    that is gripped beside its middle is squeezed out like a wet bar of soap.
    """
    xy, angles = np.asarray(xy_m, dtype=np.float64), np.asarray(angles_rad, dtype=np.float64)
    along, across = _rectangle(0.0, shape.max_opening_m, shape.finger_wide_m)
    tips_m = placed.z_m - shape.tip_m + limits.clearance_m
    over = _look_up(heights, xy, angles, along, across) > tips_m[:, None, None]
    over &= (np.abs(along) < 0.5 * placed.opening_m[:, None])[:, :, None]
    thickness_m = over.sum(axis=1) * (along[1] - along[0])
    return np.asarray(0.5 * np.abs(thickness_m @ across) / np.square(across).sum())  # least squares


def poses_of(heights: HeightMap, xy_m: AnyArray, angles_rad: AnyArray, z_m: AnyArray) -> FloatArray:
    """Return base_T_grasp (K, 4, 4) of grasps from above."""
    poses = np.zeros((len(xy_m), 4, 4))
    cos, sin = np.cos(angles_rad), np.sin(angles_rad)
    poses[:, 2, 0] = -1.0
    poses[:, 0, 1], poses[:, 1, 1] = cos, sin
    poses[:, 0, 2], poses[:, 1, 2] = sin, -cos  # z = x cross y
    poses[:, :2, 3], poses[:, 2, 3] = xy_m, z_m
    poses[:, 3, 3] = 1.0
    return np.asarray(heights.base_T_map @ poses)


def select_grasps(
    heights: HeightMap,
    quality: AnyArray,
    thickness_m: AnyArray,
    mask: AnyArray,
    shape: GripperShape,
    limits: FitLimits,
    count: int,
    min_quality: float,
) -> list[PlanarGrasp]:
    """Return the best grasps that the gripper has room for, best first, no two alike.

    quality and thickness_m, the network's, are (ANGLES, CELLS, CELLS); mask (CELLS, CELLS) says where a grasp's origin
    may lie. The quality of a grasp is less than the network's by its taper.
    """
    ranked = _candidates(np.where(mask, quality, 0.0), min_quality, 40 * count)
    if len(ranked) == 0:
        return []
    bins, cells = ranked[:, 0], ranked[:, 1:]
    xy, angles = centers_of(cells), bin_angles()[bins]
    placed = fit_gripper(heights, xy, angles, shape, limits)
    taper = tapers(heights, xy, angles, placed, shape, limits)
    values = quality[bins, cells[:, 0], cells[:, 1]] * np.exp(-np.square(taper / limits.taper))
    order = np.argsort(-values, kind="stable")
    kept = _unlike(xy, angles, order[(placed.fits & (values >= min_quality))[order]], count)
    poses = poses_of(heights, xy[kept], angles[kept], placed.z_m[kept])
    thickness = np.clip(thickness_m[bins, cells[:, 0], cells[:, 1]], 0.0, shape.max_opening_m)
    return [
        PlanarGrasp(pose, float(placed.opening_m[i]), float(thickness[i]), float(values[i]), float(placed.z_m[i]))
        for pose, i in zip(poses, kept, strict=True)
    ]


def _candidates(quality: AnyArray, min_quality: float, count: int) -> AnyArray:
    """Return bin, row, column (K, 3) of the best values of (ANGLES, H, W), best first."""
    flat = quality.ravel()
    count = min(count, len(flat))
    best = np.argpartition(flat, -count)[-count:]
    best = best[flat[best] >= min_quality]
    best = best[np.argsort(-flat[best], kind="stable")]
    return np.stack(np.unravel_index(best, quality.shape), axis=-1)


def _unlike(xy: AnyArray, angles: AnyArray, order: AnyArray, count: int) -> list[int]:
    """Return the first `count` of `order` that differ from those before by 8 mm or 15 degrees."""
    kept: list[int] = []
    for index in order:
        others = np.array(kept, dtype=np.intp)
        turn = np.abs(np.mod(angles[others] - angles[index] + 0.5 * np.pi, np.pi) - 0.5 * np.pi)
        alike = (np.linalg.norm(xy[others] - xy[index], axis=-1) < 0.008) & (turn < np.radians(15.0))
        if not alike.any():
            kept.append(int(index))
        if len(kept) == count:
            break
    return kept


def _lowest_z(
    heights: HeightMap,
    xy: AnyArray,
    angles: AnyArray,
    opening: float,
    palm: AnyArray,
    shape: GripperShape,
    limits: FitLimits,
) -> tuple[AnyArray, AnyArray]:
    """Return where the grasp's origin comes to stand (K,), and the highest point between the fingers (K,)."""
    thick = shape.finger_thick_m + 2.0 * limits.side_clearance_m
    wide = shape.finger_wide_m + 2.0 * limits.side_clearance_m
    center = 0.5 * (opening + shape.finger_thick_m)
    fingers = [_highest(heights, xy, angles, *_rectangle(side * center, thick, wide)) for side in (-1.0, 1.0)]
    under = np.maximum(np.maximum(*fingers), 0.0)
    between = _highest(heights, xy, angles, *_rectangle(0.0, max(opening - 0.004, 0.004), shape.finger_wide_m))
    z = np.maximum(between - limits.depth_m, under + shape.tip_m + limits.clearance_m)
    return np.maximum(z, palm - shape.palm_m + limits.clearance_m), between


def _rectangle(center: float, long_m: float, wide_m: float) -> tuple[AnyArray, AnyArray]:
    """Return a grid over a rectangle, closer than the map's cells: along and across the closing direction."""
    along = np.linspace(center - 0.5 * long_m, center + 0.5 * long_m, int(np.ceil(long_m / RESOLUTION_M)) + 1)
    across = np.linspace(-0.5 * wide_m, 0.5 * wide_m, int(np.ceil(wide_m / RESOLUTION_M)) + 1)
    return along, across


def _highest(heights: HeightMap, xy: AnyArray, angles: AnyArray, along: AnyArray, across: AnyArray) -> AnyArray:
    """Return the highest point (K,) of the map under a rectangle that is carried to points and turned by angles."""
    return _look_up(heights, xy, angles, along, across).max(axis=(1, 2))


def _look_up(heights: HeightMap, xy: AnyArray, angles: AnyArray, along: AnyArray, across: AnyArray) -> AnyArray:
    """Return the map's heights (K, A, B) on a grid that is carried to points and turned by angles."""
    cos, sin = np.cos(angles)[:, None, None], np.sin(angles)[:, None, None]
    a, b = along[None, :, None], across[None, None, :]
    x = xy[:, 0, None, None] + cos * a - sin * b
    y = xy[:, 1, None, None] + sin * a + cos * b
    return heights.look_up(np.stack([x, y], axis=-1))
