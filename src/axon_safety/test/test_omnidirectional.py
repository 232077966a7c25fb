# SPDX-License-Identifier: Apache-2.0
"""Properties of the shield for omnidirectional bases and moving obstacles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safety_scenes import PERIOD_S, exact_scan

from axon_core.motion import Twist2
from axon_safety.config import SafetyConfig
from axon_safety.runtime import OBSTACLE, Shield

FREE = exact_scan([], angle_min=-np.pi, rays=721)
speeds = st.floats(-2.5, 2.5)
few = settings(max_examples=15, deadline=None, derandomize=True)


def last_step(wanted, scan, steps=30, **changes):
    return all_steps(wanted, scan, steps, **changes)[-1]


def all_steps(wanted, scan, steps=30, **changes):
    config = SafetyConfig(rate_hz=20.0, holonomic=True, **changes)
    shield = Shield(config, np.array([0.12, 0.0, 0.0]))
    return [shield.step(PERIOD_S * i, wanted, Twist2(), scan, 0.0) for i in range(steps)]


def seen(circles):
    return exact_scan(circles, angle_min=-np.pi, rays=721)


@few
@given(speeds, speeds, speeds)
def test_free_space_changes_nothing_but_the_speed_limits(vx, vy, wz):
    command = last_step(Twist2(vx, vy, wz), FREE, steps=60, obstacle_speed_mps=0.5).command
    forward = min(max(vx, -0.5), 2.0)
    scale = min(1.0, 2.0 / max(np.hypot(forward, vy), 1e-9))
    assert command == pytest.approx((scale * forward, scale * vy, wz), abs=1e-6)


@few
@given(speeds, speeds, speeds, st.floats(0.5, 1.5), st.floats(-0.6, 0.6))
def test_a_mirrored_scene_gives_the_mirrored_command(vx, vy, wz, x, y):
    one = last_step(Twist2(vx, vy, wz), seen([[x, y, 0.1]])).command
    other = last_step(Twist2(vx, -vy, -wz), seen([[x, -y, 0.1]])).command
    assert other == pytest.approx((one.vx_mps, -one.vy_mps, -one.wz_radps), abs=0.05)


@pytest.mark.parametrize("obstacle_speed_mps", [0.0, 0.5, 1.0])
def test_sideways_speed_grows_with_the_distance_and_leaves_room_to_stop(obstacle_speed_mps):
    reached = []
    for gap in (0.1, 0.3, 0.6, 1.0, 2.0):
        step = last_step(Twist2(0.0, 2.0), seen([[0.0, 0.165 + gap + 0.1, 0.1]]), obstacle_speed_mps=obstacle_speed_mps)
        speed = step.command.vy_mps
        reached.append(speed)
        stop_s = 0.08 + speed / 2.5
        assert speed * 0.08 + speed**2 / 5.0 + obstacle_speed_mps * stop_s <= gap or speed == 0.0
    assert all(np.diff(reached) >= -1e-9)
    assert reached[-1] > 1.0


def test_faster_obstacles_allow_less_speed_toward_them():
    scan = seen([[1.2, 0.0, 0.1]])
    runs = [all_steps(Twist2(2.0), scan, obstacle_speed_mps=speed) for speed in (0.0, 0.5, 1.0)]
    assert all(OBSTACLE in {step.limited_by for step in run} for run in runs)
    still, slow, fast = (max(step.command.vx_mps for step in run) for run in runs)
    assert still > slow > fast


def test_with_a_moving_obstacle_at_hand_the_base_backs_out_but_neither_turns_nor_advances():
    scan = seen([[0.36, 0.0, 0.1]])  # 0.05 m ahead of the outline
    for wanted in (Twist2(0.0, 0.0, 1.0), Twist2(0.5), Twist2(0.2, 0.5, -1.0)):
        assert last_step(wanted, scan, obstacle_speed_mps=0.5).command.wz_radps == 0.0
        assert last_step(wanted, scan, obstacle_speed_mps=0.5).command.vx_mps <= 0.0
    assert last_step(Twist2(-0.5), scan, obstacle_speed_mps=0.5).command.vx_mps < 0.0


def test_who_backs_out_of_a_moving_obstacles_room_does_not_come_back_before_it_has_left_it():
    config = SafetyConfig(rate_hz=20.0, obstacle_speed_mps=0.5)
    shield = Shield(config, np.array([0.12, 0.0, 0.0]))
    scan, moving = seen([[0.34, 0.0, 0.1]]), Twist2()  # 0.03 m ahead of the outline
    for step in range(20):
        wanted = Twist2(-0.1) if step < 4 else Twist2(1.6)
        command = shield.step(PERIOD_S * step, wanted, moving, scan, 0.0).command
        assert command.vx_mps <= 0.0
        moving = command
    assert command == pytest.approx((0.0, 0.0, 0.0))


def test_beside_a_moving_obstacle_the_base_leaves_straight_away_and_not_along_it():
    scan = seen([[0.0, 0.165 + 0.05 + 0.1, 0.1]])  # 0.05 m to the left
    assert last_step(Twist2(0.0, -0.15), scan, obstacle_speed_mps=0.5).command.vy_mps < -0.1
    assert last_step(Twist2(0.15), scan, obstacle_speed_mps=0.5).command.vx_mps == pytest.approx(0.0, abs=1e-6)
    assert last_step(Twist2(0.15), scan).command.vx_mps > 0.1  # what stands may be passed
