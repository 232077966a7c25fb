# SPDX-License-Identifier: Apache-2.0
"""Where to stand to pick an object, and how to drive the last bit: geometry, no state."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from axon_core.geometry import se2_apply, se2_compose, se2_inverse, wrap_angle
from axon_core.motion import Twist2
from axon_mission.config import MissionConfig

FloatArray = NDArray[np.float64]
_SIDES = 36
_DISTANCE_STEP_M = 0.03
_SURE_REACH = 0.9  # of the reach: the height of the object's top is an estimate
_NEAREST_AHEAD_M = 0.08
_OTHER_SIDE_RAD = 0.5
_FACING_RAD = 0.04
_ARRIVED_M = 0.015
_TURN_FIRST_RAD = 0.25
_TURN_GAIN = 2.0
_SPEED_GAIN = 1.5
_SLOWEST_MPS = 0.03
_TURN_M_PER_RAD = 0.3  # what a turn costs, against a metre
_DISTANCE_PRICE = 4.0
_CLEARANCE_WORTH = 2.0
_ENOUGH_CLEARANCE_M = 0.25


@dataclass(frozen=True)
class Stand:
    """A pose to pick from, map_T_base (3,), and the one before it from which a straight way leads there."""

    pose: FloatArray
    run_up: FloatArray
    distance_m: float
    cost: float


def reach_distance_m(height_m: float, config: MissionConfig) -> float:
    """Return how far from base_link fingertips may be at a height, the hand coming from above.

    The wrist is then `tool_length_m` above it, and within `reach_m` of the shoulder (Pythagoras). 0 where it is too
    high or too low.
    """
    rise_m = height_m + config.tool_length_m - config.shoulder_height_m
    squared = config.reach_m**2 - rise_m**2
    return config.shoulder_x_m + float(np.sqrt(squared)) if squared > 0.0 else 0.0


def tilt_to(distance_m: float, height_m: float, config: MissionConfig) -> float:
    """Return the camera's tilt, positive down, that brings a point ahead of the base into the middle of the image."""
    return float(np.arctan2(config.camera_height_m - height_m, max(distance_m - config.camera_x_m, 0.05)))


def stands(
    target_m: FloatArray, reach_m: float, map_T_base: FloatArray, obstacles_m: FloatArray, config: MissionConfig
) -> list[Stand]:
    """Return where the robot can stand to pick what lies at `target_m` (2,), best first, each from another side.

    It faces the object, within `reach_m`, its footprint clear of all `obstacles_m` (N, 2) all the straight way.
    Near to where the robot is, near to `stand_distance_m` and far from obstacles is better.
    """
    nearest_m = 0.5 * config.footprint_length_m + _NEAREST_AHEAD_M
    found = []
    for side_rad in np.linspace(-np.pi, np.pi, _SIDES, endpoint=False):
        for distance_m in np.arange(nearest_m, reach_m + 1e-9, _DISTANCE_STEP_M):
            pose = _facing(target_m, side_rad, distance_m)
            run_up = _facing(target_m, side_rad, distance_m + config.run_up_m)
            clearance_m = _clearance_m(pose, run_up, obstacles_m, config)
            if clearance_m >= config.stand_clearance_m:
                off_m = abs(distance_m - min(config.stand_distance_m, _SURE_REACH * reach_m))
                cost = _cost(run_up, map_T_base, off_m, clearance_m)
                found.append(Stand(pose, run_up, float(distance_m), cost))
    return _from_different_sides(sorted(found, key=lambda stand: stand.cost))


def creep(base_point_m: FloatArray, distance_m: float, config: MissionConfig) -> Twist2 | None:
    """Return the velocity that brings the base to `distance_m` from a point (2,) in its frame, facing it.

    None where it is there. The base turns first and then drives; it backs off where it is too near.
    """
    bearing = float(np.arctan2(base_point_m[1], base_point_m[0]))
    left_m = float(np.linalg.norm(base_point_m)) - distance_m
    if abs(left_m) < _ARRIVED_M and abs(bearing) < _FACING_RAD:
        return None
    turn = float(np.clip(_TURN_GAIN * bearing, -config.creep_turn_radps, config.creep_turn_radps))
    if abs(bearing) > _TURN_FIRST_RAD or abs(left_m) < _ARRIVED_M:
        return Twist2(0.0, 0.0, turn)
    speed = np.sign(left_m) * np.clip(abs(_SPEED_GAIN * left_m), _SLOWEST_MPS, config.creep_speed_mps)
    return Twist2(float(speed), 0.0, turn)


def way_left(base_point_m: FloatArray, distance_m: float) -> float:
    """Return what `creep` still has to do, as metres: distance and turn."""
    bearing = abs(float(np.arctan2(base_point_m[1], base_point_m[0])))
    return abs(float(np.linalg.norm(base_point_m)) - distance_m) + _TURN_M_PER_RAD * bearing


def point_in_base(map_T_base: FloatArray, point_m: FloatArray) -> FloatArray:
    """Return a point (2,) of the map in the base's frame."""
    return se2_apply(se2_inverse(map_T_base), point_m[None, :2])[0]


def turned(map_T_base: FloatArray, turn_rad: float) -> FloatArray:
    """Return the pose (3,) after a turn on the spot."""
    return se2_compose(map_T_base, [0.0, 0.0, turn_rad])


def _facing(target_m: FloatArray, side_rad: float, distance_m: float) -> FloatArray:
    """The pose on a side of the target that looks at it."""
    offset = distance_m * np.array([np.cos(side_rad), np.sin(side_rad)])
    return np.array([*(target_m + offset), float(wrap_angle(side_rad + np.pi))])


def _clearance_m(pose: FloatArray, run_up: FloatArray, obstacles_m: FloatArray, config: MissionConfig) -> float:
    """Least distance from the footprint to an obstacle on the straight way between the two poses."""
    steps = np.linspace(0.0, 1.0, 3)[:, None]
    return min(_free_m(step, obstacles_m, config) for step in pose + steps * np.array([*(run_up - pose)[:2], 0.0]))


def _free_m(pose: FloatArray, obstacles_m: FloatArray, config: MissionConfig) -> float:
    if not len(obstacles_m):
        return np.inf
    return float(config.footprint.distance_to(se2_apply(se2_inverse(pose), obstacles_m)).min())


def _cost(run_up: FloatArray, map_T_base: FloatArray, off_m: float, clearance_m: float) -> float:
    """In metres of driving; `off_m` is how far the distance is off the best one."""
    way_m = float(np.linalg.norm(run_up[:2] - map_T_base[:2]))
    turn_m = _TURN_M_PER_RAD * abs(float(wrap_angle(run_up[2] - map_T_base[2])))
    return way_m + turn_m + _DISTANCE_PRICE * off_m - _CLEARANCE_WORTH * min(clearance_m, _ENOUGH_CLEARANCE_M)


def _from_different_sides(ordered: list[Stand]) -> list[Stand]:
    kept: list[Stand] = []
    for stand in ordered:
        if all(abs(float(wrap_angle(stand.pose[2] - other.pose[2]))) > _OTHER_SIDE_RAD for other in kept):
            kept.append(stand)
    return kept
