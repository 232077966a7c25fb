# SPDX-License-Identifier: Apache-2.0
"""What the shield has reckoned with in a step, to be drawn: only made where somebody looks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from axon_core.arrays import FloatArray
from axon_core.geometry import se2_apply
from axon_core.motion import Twist2
from axon_safety.collision import Scene, next_state, rooms_left, stands


class ShieldPicture(NamedTuple):
    """A step of the shield, all in the base frame at that time.

    footprint_m: (V, 2). wanted_track, chosen_track: (M, 3) poses until the base stands, if what the accelerations leave
    of the wanted command, or the chosen one, is followed by braking. wanted_stop_m, chosen_stop_m: (V, 2) footprints
    where they end. limiting_m: (K, 2) points whose room the wanted command would take; none where it passes.
    limited_by: as in ShieldStep. reason: one line for people.
    """

    footprint_m: FloatArray
    wanted_track: FloatArray
    chosen_track: FloatArray
    wanted_stop_m: FloatArray
    chosen_stop_m: FloatArray
    limiting_m: FloatArray
    limited_by: str
    reason: str


def picture_of(scene: Scene, wanted: Twist2, chosen: Twist2, limited_by: str, clearance_m: float) -> ShieldPicture:
    """Return the picture of a step; wanted: what the accelerations leave of it."""
    wanted_track, chosen_track = stopping_track(scene, tuple(wanted)), stopping_track(scene, tuple(chosen))
    rooms = rooms_left(scene, tuple(wanted), np.arange(len(scene.points)), 0.0)
    corners = scene.outline.corners
    near = f", {clearance_m:.2f} m" if np.isfinite(clearance_m) else ""
    return ShieldPicture(
        corners,
        wanted_track,
        chosen_track,
        se2_apply(wanted_track[-1], corners),
        se2_apply(chosen_track[-1], corners),
        scene.points[rooms < 0.0],
        limited_by,
        f"{limited_by}{near}: {_words(chosen)}",
    )


def stopping_track(scene: Scene, target: tuple[float, float, float]) -> FloatArray:
    """Poses (M, 3) of the base from now until it stands, if the next command is target and braking follows."""
    return np.array(_poses(scene, target))


@njit(cache=True)
def _poses(scene, target):
    velocity = (scene.now[0], scene.now[1], scene.now[2])
    pose, t = (0.0, 0.0, 0.0), 0.0
    poses = [pose]
    while not stands(t, velocity, scene.hold_s):
        pose, velocity, t = next_state(scene, target, pose, velocity, t)
        poses.append(pose)
    return poses


def _words(command: Twist2) -> str:
    sideways = f", {command.vy_mps:.2f} left" if command.vy_mps else ""
    return f"{command.vx_mps:.2f} m/s{sideways}, {command.wz_radps:.2f} rad/s"
