# SPDX-License-Identifier: Apache-2.0
"""SLAM in a room that is drawn exactly, so that the right answer is known."""

import json
from dataclasses import replace

import numpy as np
import pytest
from rooms import CAMERA, MOUNT, around, make_room

from axon_core.grids import OCCUPIED
from axon_slam.config import SlamConfig
from axon_slam.evaluation import ate_m, rmse
from axon_slam.frames import robot_pixels
from axon_slam.runtime import Slam, SlamState
from axon_slam.se3 import inverse, se3_exp, so3_log

STEP_S = 0.1
CONFIG = SlamConfig(feature_count=500)
ROOM = make_room(5)
WAY = around(90)
BLACK = np.zeros((CAMERA.height, CAMERA.width), dtype=np.uint8)
NO_DEPTH = np.zeros((CAMERA.height, CAMERA.width), dtype=np.float32)


def drive(slam, poses, begin_s=0.0, odometry=None):
    results = []
    for number, pose in enumerate(poses):
        image, depth = ROOM.look(pose @ MOUNT)
        odom = None if odometry is None else odometry[number]
        results.append(slam.step(begin_s + STEP_S * number, image, depth, odom))
    return results


def relative(poses):
    return np.array([inverse(poses[0]) @ pose for pose in poses])


def blind(slam, begin_s, count, odometry=None):
    return [
        slam.step(begin_s + STEP_S * i, BLACK, NO_DEPTH, None if odometry is None else odometry[i])
        for i in range(count)
    ]


@pytest.fixture(scope="module")
def driven():
    """Once around without odometry: the SLAM object and its answers."""
    slam = Slam(CONFIG, CAMERA, MOUNT)
    return slam, drive(slam, WAY)


def test_a_way_around_is_followed_to_a_centimetre_or_two(driven):
    slam, results = driven
    assert results[0].keyframe and all(result.state is SlamState.TRACKING for result in results)
    truth = relative(WAY)
    got = np.array([result.map_T_base for result in results])
    assert np.abs(got[:, :3, 3] - truth[:, :3, 3]).max() < 0.05
    turns = [np.linalg.norm(so3_log(a[:3, :3].T @ b[:3, :3])) for a, b in zip(got, truth, strict=True)]
    assert max(turns) < 0.02
    stamps, corrected = slam.trajectory()
    np.testing.assert_allclose(stamps, STEP_S * np.arange(len(WAY)))
    assert rmse(ate_m(corrected[:, :3, 3], truth[:, :3, 3])) < 0.02


def test_keyframes_are_few_and_the_map_shows_the_walls(driven):
    slam, _ = driven
    assert 8 <= len(slam.map) <= 45
    grid = slam.grid()
    room_T_map = WAY[0]
    centers = grid.centers_of(np.argwhere(grid.data == OCCUPIED))
    walls = centers @ room_T_map[:2, :2].T + room_T_map[:2, 3]
    assert np.median(np.abs(np.abs(walls).max(axis=1) - 3.0)) < 0.06


def test_moving_the_world_moves_the_map_and_leaves_the_error():
    world = se3_exp(np.array([0.0, 0.0, 2.0, 4.0, -3.0, 0.0]))
    plain, moved = (Slam(CONFIG, CAMERA, MOUNT) for _ in range(2))
    first = drive(plain, WAY[:15], odometry=WAY[:15])
    second = drive(moved, WAY[:15], odometry=world @ WAY[:15])
    for one, other in zip(first, second, strict=True):
        np.testing.assert_allclose(other.map_T_base, world @ one.map_T_base, atol=1e-4)
    np.testing.assert_allclose(moved.points(), plain.points() @ world[:3, :3].T + world[:3, 3], atol=2e-3)


def test_blackness_is_lost_within_a_second_and_light_finds_the_way_back():
    slam = Slam(CONFIG, CAMERA, MOUNT)
    drive(slam, WAY[:30])
    dark = blind(slam, 3.0, 10)
    assert dark[-1].state is SlamState.LOST and dark[-1].matches == 0 and "covered" in dark[-1].reason
    back = drive(slam, WAY[8:14], begin_s=4.0)  # elsewhere than where the light went out
    assert back[-1].state is SlamState.TRACKING
    truth = inverse(WAY[0]) @ WAY[13]
    assert np.linalg.norm(back[-1].map_T_base[:3, 3] - truth[:3, 3]) < 0.05


def test_with_odometry_darkness_is_crossed_by_it_and_mapping_goes_on():
    config = replace(CONFIG, restart_after_s=1.0)
    slam = Slam(config, CAMERA, MOUNT)
    drive(slam, WAY[:10], odometry=WAY[:10])
    dark = blind(slam, 1.0, 25, odometry=WAY[10:35])
    assert dark[-1].state is SlamState.LOST
    np.testing.assert_allclose(dark[-1].map_T_base, WAY[34], atol=0.05)
    after = drive(slam, WAY[35:60], begin_s=3.5, odometry=WAY[35:60])
    assert after[-1].state is SlamState.TRACKING
    assert np.linalg.norm(after[-1].map_T_base[:3, 3] - WAY[59][:3, 3]) < 0.06
    np.testing.assert_allclose(after[-1].map_T_odom[:3, 3], 0.0, atol=0.1)


def test_odometry_that_is_off_by_a_tenth_does_not_carry_the_map_away():
    slipping = [se3_exp(np.array([0, 0, 0.002 * i, 0.004 * i, 0.0, 0.0])) @ pose for i, pose in enumerate(WAY[:60])]
    slam = Slam(CONFIG, CAMERA, MOUNT)
    results = drive(slam, WAY[:60], odometry=slipping)
    slipped_m = np.linalg.norm(slipping[-1][:3, 3] - WAY[59][:3, 3])
    assert slipped_m > 0.2
    assert np.linalg.norm(results[-1].map_T_base[:3, 3] - WAY[59][:3, 3]) < 0.4 * slipped_m


def test_a_sudden_slip_is_overruled_by_what_is_seen():
    jump = se3_exp(np.array([0.0, 0.0, 0.1, 0.2, 0.0, 0.0]))
    slipping = [pose if i < 15 else pose @ jump for i, pose in enumerate(WAY[:30])]
    slam = Slam(CONFIG, CAMERA, MOUNT)
    results = drive(slam, WAY[:30], odometry=slipping)
    assert np.linalg.norm(results[-1].map_T_base[:3, 3] - WAY[29][:3, 3]) < 0.07


def test_an_arm_that_is_carried_before_the_camera_is_not_taken_for_a_world_that_stands_still():
    arm = np.random.default_rng(3).integers(0, 255, (CAMERA.height, CAMERA.width)).astype(np.uint8)
    box_m = (0.0, -0.5, 0.2, 0.4, 0.5, 0.8)
    errors_m = []
    for box in ((), box_m):
        slam = Slam(replace(CONFIG, robot_box_m=box), CAMERA, MOUNT)
        for number, pose in enumerate(WAY[:40]):
            image, depth = ROOM.look(pose @ MOUNT)
            if number >= 10:  # it comes up on the way
                image[:, 150:], depth[:, 150:] = arm[:, 150:], 0.35
            result = slam.step(STEP_S * number, image, depth)
        errors_m.append(np.linalg.norm(result.map_T_base[:3, 3] - relative(WAY)[39][:3, 3]))
        if box:
            base_T_points = (slam.points() - result.map_T_base[:3, 3]) @ result.map_T_base[:3, :3]
            assert not ((base_T_points > box_m[:3]) & (base_T_points < box_m[3:])).all(axis=1).any()
    assert errors_m[0] > 0.5 and errors_m[1] < 0.06


def test_the_robots_own_pixels_are_those_in_the_box_and_beside_it():
    depth = np.full((CAMERA.height, CAMERA.width), 2.0, dtype=np.float32)
    depth[100:140, 200:240] = 0.35
    depth[0, 0] = 0.0
    found = robot_pixels(depth, CAMERA, MOUNT, (0.3, -0.5, 0.0, 0.4, 0.5, 1.0))
    assert found[100:140, 200:240].all() and found[97, 197] and not found[90, 220] and not found[0, 0]
    assert found.sum() == 48 * 48
    assert not robot_pixels(depth, CAMERA, MOUNT, (0.3, 0.0, 0.0, 0.4, 0.5, 1.0)).any()  # left of the base


@pytest.mark.parametrize(("allowed_rad", "believed"), [(0.1, False), (3.0, True)])
def test_a_turn_beyond_what_is_allowed_is_not_believed(allowed_rad, believed):
    """The gyro says that the base stands still, the image that it has turned: a room that looks like another."""
    slam = Slam(replace(CONFIG, max_jump_rad=allowed_rad), CAMERA, MOUNT)
    drive(slam, WAY[:20], odometry=WAY[:20])
    turned = WAY[20] @ se3_exp(np.array([0.0, 0.0, 0.3, 0.0, 0.0, 0.0]))
    result = drive(slam, [turned], begin_s=2.0, odometry=[WAY[20]])[-1]
    assert (result.matches > 0) is believed
    np.testing.assert_allclose(result.map_T_base, turned if believed else WAY[20], atol=0.05)


def test_saved_and_loaded_it_is_the_same_map_and_the_base_is_found_in_it(driven, tmp_path):
    slam, _ = driven
    slam.save(tmp_path / "map")
    other = Slam(CONFIG, CAMERA, MOUNT)
    other.load(tmp_path / "map")
    np.testing.assert_allclose(other.map.poses(), slam.map.poses(), atol=1e-9)
    np.testing.assert_allclose(other.points(), slam.points(), atol=1e-5)
    assert len(other.map.edges) == len(slam.map.edges)
    np.testing.assert_array_equal(other.grid().data >= 0, slam.grid().data >= 0)
    assert other.state is SlamState.LOST
    found = drive(other, WAY[40:43], begin_s=100.0)
    assert found[0].state is SlamState.TRACKING
    truth = inverse(WAY[0]) @ WAY[42]
    assert np.linalg.norm(found[-1].map_T_base[:3, 3] - truth[:3, 3]) < 0.05


def test_what_is_no_map_is_not_loaded_and_leaves_the_present_one(driven, tmp_path):
    slam, _ = driven
    count = len(slam.map)
    with pytest.raises(OSError):
        slam.load(tmp_path / "nowhere")
    slam.save(tmp_path)
    (tmp_path / "keyframes.npz").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match=r"keyframes\.npz"):
        slam.load(tmp_path)
    (tmp_path / "map.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(ValueError, match="format 99"):
        slam.load(tmp_path)
    assert len(slam.map) == count
    with pytest.raises(ValueError, match="no map"):
        Slam(CONFIG).save(tmp_path)


def test_a_drifted_loop_is_closed():
    """The second half of the way is remembered where drift would have put it; the place seen again corrects it."""
    slam = Slam(replace(CONFIG, local_keyframes=3), CAMERA, MOUNT)
    drive(slam, WAY[:75])
    bend = se3_exp(np.array([0.0, 0.0, 0.2, 0.35, 0.0, 0.0]))
    pivot = slam.map.keyframes[5].map_T_base
    for keyframe in slam.map.keyframes[6:]:
        keyframe.map_T_base = pivot @ bend @ inverse(pivot) @ keyframe.map_T_base
    edge = next(i for i, e in enumerate(slam.map.edges) if e.a <= 5 < e.b)
    slam.map.edges[edge:] = [e for e in slam.map.edges[edge:] if not e.a < 5 < e.b]
    slam._motion.correct(pivot @ bend @ inverse(pivot) @ slam._motion.pose)
    truth = relative(WAY)
    drifted = rmse(ate_m(slam.trajectory()[1][:, :3, 3], truth[:75, :3, 3]))
    results = drive(slam, [*WAY[75:], *WAY[1:12]], begin_s=7.5)
    assert any(result.loop for result in results) and slam.loops > 0
    corrected = rmse(ate_m(slam.trajectory()[1][:75, :3, 3], truth[:75, :3, 3]))
    assert corrected < 0.5 * drifted


@pytest.mark.parametrize(
    ("image", "depth", "words"),
    [
        (np.zeros((10, 10), np.uint8), NO_DEPTH, "320 x 240"),
        (BLACK.astype(np.float32), NO_DEPTH, "uint8"),
        (BLACK, np.zeros((5, 5)), "depth_m"),
    ],
)
def test_what_does_not_fit_the_camera_is_refused(image, depth, words):
    with pytest.raises(ValueError, match=words):
        Slam(CONFIG, CAMERA).step(0.0, image, depth)


def test_time_runs_forward_and_a_camera_is_needed():
    slam = Slam(CONFIG, CAMERA)
    assert slam.step(1.0, BLACK, NO_DEPTH).state is SlamState.INITIALISING
    with pytest.raises(ValueError, match=r"stamp_s = 1\.0"):
        slam.step(1.0, BLACK, NO_DEPTH)
    with pytest.raises(ValueError, match="set_camera"):
        Slam(CONFIG).step(0.0, BLACK, NO_DEPTH)
