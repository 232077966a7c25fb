# SPDX-License-Identifier: Apache-2.0
"""Steering along a piece: it comes to the path, ends where the piece ends, mirrors, and stops before obstacles."""

from __future__ import annotations

import math

import numpy as np
import pytest
from playground import Playground
from scenes import block, make_field

from axon_core.motion import Twist2
from axon_planner.config import PlannerConfig
from axon_planner.reeds_shepp import LEFT, RIGHT, STRAIGHT, curve_poses
from axon_planner.steering import Steering
from axon_planner.tracker import FollowStatus

CAR = PlannerConfig(min_turning_radius_m=0.6, footprint_length_m=0.6, footprint_width_m=0.4, max_speed_mps=0.6)
EMPTY = make_field(np.zeros((200, 200), bool))
START = np.array([4.0, 4.0, 0.4])


def piece(direction: int, kinds=(STRAIGHT, LEFT, RIGHT, STRAIGHT)) -> np.ndarray:
    lengths = direction * np.array([0.4, 0.7, 0.7, 0.4])
    return curve_poses(START, np.array(kinds), lengths, 1.1 * CAR.min_turning_radius_m, 0.05)[0]


def drive(path: np.ndarray, direction: int, start: np.ndarray, field=EMPTY) -> tuple[Playground, bool, FollowStatus]:
    world, steering = Playground(CAR, pose=start), Steering(CAR, path, direction)
    for _ in range(400):
        step, done = steering.step(world.pose, world.velocity, field, 0.05)
        world.move(step.command, 0.05)
        if done:
            return world, True, step.status
    return world, False, step.status


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("off", [(0.0, 0.0, 0.0), (0.0, 0.05, 0.0), (0.0, -0.05, 0.1), (-0.05, 0.0, -0.1)])
def test_it_comes_to_the_path_and_stands_at_its_end(off, direction):
    path = piece(direction)
    world, done, _ = drive(path, direction, START + np.array(off))
    assert done
    miss = world.pose - path[-1]
    assert np.linalg.norm(miss[:2]) < 0.03 and abs(math.remainder(miss[2], 2 * math.pi)) < 0.06
    commands = np.array(world.commands)
    assert (direction * commands[:, 0] >= -1e-9).all(), "one way only"
    assert (np.abs(commands[:, 2]) * CAR.min_turning_radius_m <= np.abs(commands[:, 0]) + 1e-9).all()
    if not any(off):
        track = np.array(world.track)[:, None, :2]
        assert np.linalg.norm(track - path[None, :, :2], axis=2).min(axis=1).max() < 0.035


def test_a_mirrored_piece_is_driven_by_mirrored_commands():
    mirror = np.array([1.0, -1.0, -1.0])
    for direction in (1, -1):
        path = piece(direction) * mirror + np.array([0.0, 8.0, 0.0])
        one, _, _ = drive(piece(direction), direction, START)
        other, _, _ = drive(path, direction, START * mirror + np.array([0.0, 8.0, 0.0]))
        assert np.array(other.commands) == pytest.approx(np.array(one.commands) * mirror, abs=1e-9)


@pytest.mark.parametrize("direction", [1, -1])
def test_it_stops_before_what_stands_on_the_piece(direction):
    path = piece(direction)
    occupied = np.zeros((200, 200), bool)
    x, y = path[len(path) // 2, :2]
    block(occupied, x - 0.1, y - 0.1, x + 0.1, y + 0.1)
    world, done, status = drive(path, direction, START, make_field(occupied))
    assert not done and status is FollowStatus.BLOCKED
    assert world.velocity == pytest.approx(Twist2(), abs=1e-9)
    cells = make_field(occupied).centers_of(np.argwhere(occupied))
    apart = [CAR.footprint.distance_to(_seen_from(pose, cells)).min() for pose in world.track]
    assert min(apart) > 0.0


def _seen_from(pose: np.ndarray, points: np.ndarray) -> np.ndarray:
    cos, sin = math.cos(pose[2]), math.sin(pose[2])
    return (points - pose[:2]) @ np.array([[cos, -sin], [sin, cos]])
