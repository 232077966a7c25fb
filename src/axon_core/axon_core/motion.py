# SPDX-License-Identifier: Apache-2.0
"""Velocities of a planar base and the limits that they keep."""

import dataclasses
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from axon_core.arrays import FloatArray
from axon_core.checks import check_array, check_number


class Twist2(NamedTuple):
    """Velocity in the base frame: x forward, y left, turn counter-clockwise."""

    vx_mps: float = 0.0
    vy_mps: float = 0.0
    wz_radps: float = 0.0


@dataclass(frozen=True)
class MotionLimits:
    """What a base can do; all magnitudes, none negative, accelerations above zero."""

    max_speed_mps: float
    max_reverse_mps: float
    max_turn_radps: float
    max_accel_mps2: float
    max_decel_mps2: float
    max_turn_accel_radps2: float

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = check_number(field.name, getattr(self, field.name), minimum=0.0)
            if value == 0.0 and "accel" in field.name:
                raise ValueError(f"{field.name} = 0.0: expected more than 0, or the base can never change its speed")


def check_twist(twist: Twist2, name: str = "twist") -> Twist2:
    """Return the twist as plain floats; ValueError for NaN or infinity."""
    return Twist2(*check_array(name, twist, shape=(3,)).tolist())


def clip_twist(twist: Twist2, limits: MotionLimits) -> Twist2:
    """Return the twist within the speed limits; sideways and forward keep their ratio, the turn is clipped alone."""
    vx = float(np.clip(twist.vx_mps, -limits.max_reverse_mps, limits.max_speed_mps))
    speed = math.hypot(vx, twist.vy_mps)
    scale = limits.max_speed_mps / speed if speed > limits.max_speed_mps else 1.0
    turn = float(np.clip(twist.wz_radps, -limits.max_turn_radps, limits.max_turn_radps))
    return Twist2(vx * scale, twist.vy_mps * scale, turn)


def limit_twist(target: Twist2, current: Twist2, limits: MotionLimits, dt_s: float) -> Twist2:
    """Return the twist nearest to `target` that the base can have `dt_s` after `current`.

    The velocity moves on the straight line to the clipped target: at `max_decel_mps2` while the speed falls, at
    `max_accel_mps2` while it rises (so a reversal brakes first). A `current` within the speed limits stays within;
    one beyond them is braked. A zero target while moving is braked to zero, not cut. Raises ValueError for NaN.
    """
    dt = check_number("dt_s", dt_s, minimum=0.0)
    goal = clip_twist(check_twist(target, "target"), limits)
    now = check_twist(current, "current")
    velocity = _ramp(np.array(now[:2]), np.array(goal[:2]), limits, dt)
    max_step = limits.max_turn_accel_radps2 * dt
    turn = now.wz_radps + min(max(goal.wz_radps - now.wz_radps, -max_step), max_step)
    return Twist2(float(velocity[0]), float(velocity[1]), turn)


def _ramp(now: FloatArray, goal: FloatArray, limits: MotionLimits, dt_s: float) -> FloatArray:
    change = goal - now
    length = float(np.hypot(*change))
    if length == 0.0:
        return goal
    direction = change / length
    braking_length = min(max(float(-now @ direction), 0.0), length)  # up to the slowest point of the line
    braking_s = braking_length / limits.max_decel_mps2
    if braking_s >= dt_s:
        step = limits.max_decel_mps2 * dt_s
    else:
        step = braking_length + limits.max_accel_mps2 * (dt_s - braking_s)
    return goal if step >= length else np.asarray(now + direction * step)
