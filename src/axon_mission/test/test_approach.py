# SPDX-License-Identifier: Apache-2.0
"""Where to stand: facing the object, within reach, clear of what stands around; and the last bit of the way."""

from dataclasses import replace

import numpy as np
import pytest

from axon_core.geometry import se2_apply, se2_compose, se2_inverse, wrap_angle
from axon_mission.approach import creep, point_in_base, reach_distance_m, stands, tilt_to
from axon_mission.config import MissionConfig

CONFIG = MissionConfig()
TARGET = np.array([2.0, 0.0, 0.5])
HERE = np.array([0.0, 0.0, 0.0])
NOTHING = np.empty((0, 2))
REACH_M = reach_distance_m(0.5, CONFIG)


def table(x_m=(1.86, 2.6), y_m=(-0.6, 0.6)):
    """The outline of a table as a scan shows it, a point each 4 cm."""
    xs, ys = np.arange(*x_m, 0.04), np.arange(*y_m, 0.04)
    sides = [np.column_stack([xs, np.full_like(xs, y)]) for y in y_m]
    sides += [np.column_stack([np.full_like(ys, x), ys]) for x in x_m]
    return np.concatenate(sides)


def test_every_stand_faces_the_object_within_reach_and_clear_of_the_table():
    found = stands(TARGET[:2], REACH_M, HERE, table(), CONFIG)
    assert found
    for stand in found:
        ahead = point_in_base(stand.pose, TARGET)
        assert ahead == pytest.approx([stand.distance_m, 0.0], abs=1e-9)
        assert stand.distance_m <= REACH_M + 1e-9
        for pose in (stand.pose, stand.run_up):
            points = se2_apply(se2_inverse(pose), table())
            assert CONFIG.footprint.distance_to(points).min() >= CONFIG.stand_clearance_m
        assert point_in_base(stand.pose, stand.run_up) == pytest.approx([-CONFIG.run_up_m, 0.0], abs=1e-9)


def test_the_side_where_the_robot_is_comes_first():
    for yaw in np.linspace(-3.0, 3.0, 7):
        here = TARGET[:2] + 1.5 * np.array([np.cos(yaw), np.sin(yaw)])
        best = stands(TARGET[:2], REACH_M, np.array([*here, 0.0]), NOTHING, CONFIG)[0]
        side = np.arctan2(*(best.pose[:2] - TARGET[:2])[::-1])
        assert abs(wrap_angle(side - yaw)) < 0.5


def test_the_other_stands_are_at_other_sides():
    poses = [stand.pose[2] for stand in stands(TARGET[:2], REACH_M, HERE, NOTHING, CONFIG)]
    gaps = [abs(wrap_angle(a - b)) for i, a in enumerate(poses) for b in poses[:i]]
    assert min(gaps) > 0.5


def test_turning_the_world_turns_the_stands():
    move = np.array([1.0, -2.0, 2.0 * np.pi / 36 * 7])  # a whole number of the sides that are tried
    found = stands(TARGET[:2], REACH_M, HERE, table(), CONFIG)[0]
    moved_target = se2_apply(move, TARGET[None, :2])[0]
    moved = stands(moved_target, REACH_M, se2_compose(move, HERE), se2_apply(move, table()), CONFIG)[0]
    assert moved.pose == pytest.approx(se2_compose(move, found.pose), abs=1e-6)


def test_no_stand_where_the_object_is_too_deep_in_the_table_or_too_high():
    deep = table((1.7, 2.7), (-0.6, 0.6))
    assert stands(np.array([2.2, 0.0]), reach_distance_m(0.75, CONFIG), HERE, deep, CONFIG) == []
    assert stands(np.array([2.0, 0.0]), reach_distance_m(1.3, CONFIG), HERE, NOTHING, CONFIG) == []


def test_reach_is_pythagoras():
    level = CONFIG.shoulder_height_m - CONFIG.tool_length_m
    assert reach_distance_m(level, CONFIG) == pytest.approx(CONFIG.reach_m + CONFIG.shoulder_x_m)
    assert reach_distance_m(level + 0.3, CONFIG) == pytest.approx(reach_distance_m(level - 0.3, CONFIG))
    assert reach_distance_m(level + CONFIG.reach_m + 0.01, CONFIG) == 0.0


def test_the_camera_tilts_down_to_what_is_lower_and_nearer():
    assert tilt_to(1.0, CONFIG.camera_height_m, CONFIG) == 0.0
    assert tilt_to(0.5, 0.5, CONFIG) > tilt_to(1.0, 0.5, CONFIG) > tilt_to(1.0, 0.8, CONFIG) > 0.0


@pytest.mark.parametrize("start", [(0.0, 0.0, 0.0), (1.75, 0.1, 0.2), (1.0, 0.5, -2.0), (1.2, -0.3, 3.0)])
def test_creeping_ends_before_the_object_and_facing_it(start):
    pose, distance_m = np.array(start), 0.42
    for _ in range(1200):
        velocity = creep(point_in_base(pose, TARGET), distance_m, CONFIG)
        if velocity is None:
            break
        assert abs(velocity.vx_mps) <= CONFIG.creep_speed_mps + 1e-9
        pose = se2_compose(pose, [0.05 * velocity.vx_mps, 0.0, 0.05 * velocity.wz_radps])
    assert velocity is None
    assert point_in_base(pose, TARGET) == pytest.approx([distance_m, 0.0], abs=0.025)


def test_a_longer_run_up_begins_farther_away():
    found = stands(TARGET[:2], REACH_M, HERE, NOTHING, replace(CONFIG, run_up_m=0.4))[0]
    assert np.linalg.norm(found.run_up[:2] - TARGET[:2]) == pytest.approx(found.distance_m + 0.4)
