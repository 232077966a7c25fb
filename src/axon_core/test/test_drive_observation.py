# SPDX-License-Identifier: Apache-2.0
"""What a driving policy sees: places, mirrored scenes, memory; and actions as the inverse of velocities."""

import math

import numpy as np
import pytest

from axon_core.drive_observation import (
    ACTION,
    FAR_M,
    GOAL,
    MAP_PIXELS,
    MAP_SHAPE,
    MAX_REVERSE_MPS,
    MAX_SPEED_MPS,
    MAX_TURN_RADPS,
    NEAR_M,
    PIXEL_M,
    REST,
    ROWS_AHEAD,
    SECTORS,
    VECTOR_SIZE,
    VELOCITY,
    DriveObserver,
    action_to_twist,
    mirror_action,
    mirror_observation,
    twist_to_action,
)
from axon_core.geometry import se2_compose
from axon_core.motion import Twist2
from axon_core.scans import Scan

RAYS, FOV_RAD = 540, 1.5 * math.pi
GOAL_M = np.array([3.0, 1.0])
STANDING = Twist2()


def scan_of(ranges) -> Scan:
    return Scan(np.asarray(ranges, np.float32), -0.5 * FOV_RAD, FOV_RAD / (RAYS - 1), 0.1, 20.0)


def random_scan(seed: int = 0) -> Scan:
    """Ranges in steps, as of boxes at several distances."""
    rng = np.random.default_rng(seed)
    return scan_of(np.repeat(rng.uniform(0.6, 5.0, RAYS // 20 + 1), 20)[:RAYS])


def observe(scan, pose=(0.0, 0.0, 0.0), goal=GOAL_M, velocity=STANDING, action=(0.0, 0.0), t_s=0.0):
    observer = DriveObserver()
    observer.see(scan, np.asarray(pose))
    return observer.observe(t_s, np.asarray(pose), velocity, goal, np.asarray(action))


def test_shapes_and_ranges_are_as_described():
    seen = observe(random_scan())
    assert seen["map"].shape == MAP_SHAPE and seen["map"].dtype == np.uint8
    assert seen["vector"].shape == (VECTOR_SIZE,) and seen["vector"].dtype == np.float32
    assert np.abs(seen["vector"]).max() <= 2.0


def test_a_wall_ahead_lies_where_it_is():
    angles = scan_of(np.zeros(RAYS)).angles_rad
    with np.errstate(divide="ignore"):
        ranges = np.where(np.abs(angles) < 0.6, 2.03 / np.cos(angles), np.inf)
    seen = observe(scan_of(ranges))
    rows, cols = np.nonzero(seen["map"][0])
    assert set(rows) == {ROWS_AHEAD - 1 - math.floor(2.03 / PIXEL_M)}
    assert cols.min() > 0 and cols.max() < MAP_PIXELS - 1 and len(cols) > 20
    before = seen["map"][1, ROWS_AHEAD - 15 : ROWS_AHEAD - 5, MAP_PIXELS // 2]
    behind = seen["map"][1, : ROWS_AHEAD - 22, MAP_PIXELS // 2]
    assert (before == 0).all() and (behind == 255).all()


def test_sectors_are_logarithmic_and_turn_with_the_bearing():
    ranges = np.full(RAYS, np.inf)
    ranges[RAYS // 2 + 1] = 0.5  # just left of straight ahead
    sectors = observe(scan_of(ranges))["vector"][:SECTORS]
    assert sectors[SECTORS // 2] == pytest.approx(math.log(0.5 / NEAR_M) / math.log(FAR_M / NEAR_M), abs=1e-5)
    assert (np.delete(sectors, SECTORS // 2) == 1.0).all()


def test_turning_robot_and_goal_together_changes_nothing():
    """In multiples of a right angle, which leave the memory's cells what they are."""
    scan, start = random_scan(1), observe(random_scan(1))
    for turn in (0.5 * math.pi, math.pi):
        pose = np.array([0.0, 0.0, turn])
        moved = observe(scan, pose, se2_compose(pose, [*GOAL_M, 0.0])[:2])
        np.testing.assert_allclose(moved["vector"], start["vector"], atol=1e-5)
        assert (moved["map"] != start["map"]).mean() < 0.01


def test_a_mirrored_scene_is_the_mirrored_observation():
    scan = random_scan(2)
    straight = observe(scan, velocity=Twist2(0.5, 0.0, 0.4), action=(0.3, 0.6))
    turned = observe(
        scan_of(scan.ranges_m[::-1]), goal=GOAL_M * [1, -1], velocity=Twist2(0.5, 0.0, -0.4), action=(0.3, -0.6)
    )
    mirrored = mirror_observation(straight)
    apart = np.abs(mirrored["vector"] - turned["vector"])
    assert apart[SECTORS:].max() < 1e-6 and (apart[:SECTORS] > 1e-6).sum() <= 4  # a ray on the edge of two sectors
    assert (mirrored["map"] != turned["map"]).mean() < 0.01  # a point on the edge of two cells may fall into either
    twice = mirror_observation(mirrored)
    assert all((twice[part] == straight[part]).all() for part in straight)


def test_goal_velocity_action_and_rest_stand_in_their_places():
    seen = observe(random_scan(), velocity=Twist2(0.6, 0.0, -1.0), action=(0.25, -0.5))["vector"]
    distance = np.hypot(*GOAL_M)
    np.testing.assert_allclose(seen[GOAL : GOAL + 4], [math.log1p(distance) / 3, *(GOAL_M / distance), 1.0], atol=1e-6)
    np.testing.assert_allclose(seen[VELOCITY:ACTION], [0.6 / MAX_SPEED_MPS, -1.0 / MAX_TURN_RADPS], atol=1e-6)
    np.testing.assert_allclose(seen[ACTION:], [0.25, -0.5, 0.0])


def test_what_was_seen_is_remembered_out_of_view_and_forgotten_when_looked_through():
    observer, wall = DriveObserver(), scan_of(np.where(np.abs(np.arange(RAYS) - RAYS // 2) < 40, 1.0, np.inf))
    nothing = scan_of(np.full(RAYS, np.inf))
    observer.see(wall, np.zeros(3))
    observer.see(nothing, np.array([0.0, 0.0, math.pi]))  # it turned away
    back = observer.observe(0.0, np.array([0.0, 0.0, math.pi]), Twist2(), GOAL_M, np.zeros(2))["map"]
    assert (back[0, ROWS_AHEAD + 8 : ROWS_AHEAD + 11] > 0).sum() > 4
    for _ in range(4):
        observer.see(nothing, np.zeros(3))
    gone = observer.observe(0.0, np.zeros(3), Twist2(), GOAL_M, np.zeros(2))["map"]
    assert (gone[0] > 0).sum() < 0.2 * (back[0] > 0).sum()


def test_the_memory_rolls_with_the_base_and_loses_nothing_near():
    observer, scan = DriveObserver(), random_scan(3)
    observer.see(scan, np.array([1.0, 2.0, 0.0]))
    here = observer.observe(0.0, np.array([1.0, 2.0, 0.0]), Twist2(), GOAL_M, np.zeros(2))["map"][0]
    for x in np.arange(1.0, 2.6, 0.5):
        there = observer.observe(0.0, np.array([x, 2.0, 0.0]), Twist2(), GOAL_M, np.zeros(2))["map"][0]
    shift = round(1.5 / PIXEL_M)
    assert (there[shift:] != here[:-shift]).mean() < 0.01


def test_rest_grows_where_the_base_stays_and_its_way_fades():
    observer, at = DriveObserver(), np.zeros(3)
    observer.see(random_scan(), at)
    trails, rests = [], []
    for t_s in (0.0, 2.0, 4.0):
        seen = observer.observe(t_s, at, Twist2(), GOAL_M, np.zeros(2))
        rests.append(float(seen["vector"][REST]))
    assert rests == pytest.approx([0.0, 0.4, 0.8])
    for t_s, x in ((5.0, 0.6), (15.0, 0.6)):
        seen = observer.observe(t_s, np.array([x, 0.0, 0.0]), Twist2(), GOAL_M, np.zeros(2))
        trails.append(int(seen["map"][2, ROWS_AHEAD + 5, MAP_PIXELS // 2]))
    assert trails[0] > trails[1] > 0
    observer.begin_drive()
    assert observer.observe(16.0, at, Twist2(), GOAL_M, np.zeros(2))["vector"][REST] == 0.0


def test_actions_and_velocities_are_each_others_inverse():
    rng = np.random.default_rng(4)
    for action in rng.uniform(-1, 1, (20, 2)):
        np.testing.assert_allclose(twist_to_action(action_to_twist(action)), action, atol=1e-6)
    assert action_to_twist([1.0, 1.0]) == Twist2(MAX_SPEED_MPS, 0.0, MAX_TURN_RADPS)
    assert action_to_twist([-3.0, -3.0]) == Twist2(-MAX_REVERSE_MPS, 0.0, -MAX_TURN_RADPS)
    np.testing.assert_array_equal(mirror_action([0.3, 0.4]), np.float32([0.3, -0.4]))
    with pytest.raises(ValueError, match="action"):
        action_to_twist([math.nan, 0.0])


def test_without_a_scan_there_is_nothing_to_observe():
    with pytest.raises(ValueError, match="see"):
        DriveObserver().observe(0.0, np.zeros(3), Twist2(), GOAL_M, np.zeros(2))


def test_rays_without_a_measurement_say_nothing():
    seen = observe(scan_of(np.full(RAYS, np.nan)))
    assert (seen["map"][0] == 0).all() and (seen["map"][1] == 255).all() and (seen["vector"][:SECTORS] == 1.0).all()
