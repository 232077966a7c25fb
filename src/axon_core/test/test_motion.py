# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from axon_core.motion import MotionLimits, Twist2, clip_twist, limit_twist

speeds = st.floats(-20.0, 20.0)
twists = st.builds(Twist2, speeds, speeds, speeds)
positive = st.floats(0.1, 5.0)
limit_sets = st.builds(MotionLimits, positive, positive, positive, positive, positive, positive)
LIMITS = MotionLimits(2.0, 0.5, 2.0, 2.0, 4.0, 3.0)


def speed(twist):
    return math.hypot(twist.vx_mps, twist.vy_mps)


@given(twists, twists, limit_sets, st.floats(0.001, 1.0))
def test_limits_hold_for_every_input(target, current, limits, dt_s):
    current = clip_twist(current, limits)
    new = limit_twist(target, current, limits, dt_s)
    assert speed(new) <= limits.max_speed_mps + 1e-9
    assert new.vx_mps >= -limits.max_reverse_mps - 1e-9
    assert abs(new.wz_radps) <= limits.max_turn_radps + 1e-9
    change = math.hypot(new.vx_mps - current.vx_mps, new.vy_mps - current.vy_mps)
    assert change <= max(limits.max_accel_mps2, limits.max_decel_mps2) * dt_s + 1e-9
    assert speed(new) - speed(current) <= limits.max_accel_mps2 * dt_s + 1e-9
    assert abs(new.wz_radps - current.wz_radps) <= limits.max_turn_accel_radps2 * dt_s + 1e-9


@given(twists, twists, limit_sets)
def test_the_target_is_reached_in_the_end(target, current, limits):
    twist = current
    for _ in range(2000):
        twist = limit_twist(target, twist, limits, 0.5)
    np.testing.assert_allclose(twist, clip_twist(target, limits), atol=1e-9)


@given(twists, twists)
def test_a_mirrored_scene_has_a_mirrored_answer(target, current):
    def mirror(t):
        return Twist2(t.vx_mps, -t.vy_mps, -t.wz_radps)

    left = limit_twist(target, current, LIMITS, 0.1)
    np.testing.assert_allclose(mirror(left), limit_twist(mirror(target), mirror(current), LIMITS, 0.1), atol=1e-9)


def test_a_zero_command_brakes_and_does_not_cut():
    assert limit_twist(Twist2(), Twist2(2.0), LIMITS, 0.1).vx_mps == pytest.approx(1.6)


def test_a_reversal_brakes_first_and_then_speeds_up():
    # 0.2 m/s are braked in 0.05 s at 4 m/s^2, the other 0.05 s gain 0.1 m/s at 2 m/s^2
    assert limit_twist(Twist2(-1.0), Twist2(0.2), LIMITS, 0.1).vx_mps == pytest.approx(-0.1)


def test_too_fast_is_braked_and_not_cut():
    assert limit_twist(Twist2(5.0), Twist2(3.0), LIMITS, 0.1).vx_mps == pytest.approx(2.6)


@pytest.mark.parametrize("bad", [Twist2(float("nan")), Twist2(0.0, 0.0, float("inf"))])
def test_what_is_no_number_is_refused(bad):
    with pytest.raises(ValueError, match="target"):
        limit_twist(bad, Twist2(), LIMITS, 0.1)
    with pytest.raises(ValueError, match="current"):
        limit_twist(Twist2(), bad, LIMITS, 0.1)


def test_limits_without_sense_are_refused():
    with pytest.raises(ValueError, match=r"max_accel_mps2 = 0\.0"):
        MotionLimits(1.0, 1.0, 1.0, 0.0, 1.0, 1.0)
    with pytest.raises(ValueError, match=r"max_speed_mps = -1\.0"):
        MotionLimits(-1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
