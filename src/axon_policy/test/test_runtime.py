# SPDX-License-Identifier: Apache-2.0
"""The core: how drives begin, halt and end, what it asks of a network, and what the shipped one can do."""

from __future__ import annotations

import math

import numpy as np
import pytest
from steering import CALM, hall, steering_network

from axon_core.config import config_from_mapping
from axon_core.drive_observation import MAP_SHAPE, MAX_SPEED_MPS, VECTOR_SIZE, mirror_observation
from axon_core.models import ModelError
from axon_core.motion import Twist2
from axon_policy.config import PolicyConfig
from axon_policy.runtime import DrivePolicy, DriveStatus
from axon_sim.planar import PlanarSimulator

DT_S = 0.05
GOAL = np.array([3.0, 1.0, 0.0])


class Loop:
    """A policy and a simulated base in closed loop; the sensors can be broken."""

    def __init__(self, policy: DrivePolicy, world=None) -> None:
        self.policy, self.simulator = policy, PlanarSimulator(world or hall(), CALM)
        self.scanning, self.odom_age_s, self.steps = True, 0.0, []
        self._scan = self._scan_age_s = None

    def step(self):
        simulator = self.simulator
        if self.scanning or self._scan is None:
            self._scan, taken_s = simulator.scan(), simulator.time_s - simulator.scan_age_s
            self._taken_s = taken_s
        odometry = simulator.odometry()
        step = self.policy.step(
            simulator.time_s, odometry.odom_T_base, odometry.velocity, self._scan, CALM.base_T_laser,
            simulator.time_s - self._taken_s, self.odom_age_s,
        )  # fmt: skip
        simulator.step(step.command, DT_S)
        self.steps.append(step)
        return step

    def run(self, seconds: float):
        for _ in range(round(seconds / DT_S)):
            if self.step().over:
                break
        return self.steps[-1]


@pytest.fixture
def policy(network) -> DrivePolicy:
    made = DrivePolicy(PolicyConfig(model=str(network), patience_s=1.0, progress_timeout_s=5.0, goal_timeout_s=30.0))
    made.warm_up()
    return made


def test_it_drives_to_the_goal_and_says_so(policy):
    loop = Loop(policy)
    assert loop.step().status is DriveStatus.IDLE and loop.steps[-1].command == Twist2()
    policy.set_goal(GOAL)
    end = loop.run(20.0)
    assert end.over and end.status is DriveStatus.REACHED and end.command == Twist2()
    assert math.dist(loop.simulator.pose[:2], GOAL[:2]) < policy.config.goal_tolerance_m + 0.1
    running = [step for step in loop.steps if step.status is DriveStatus.RUNNING]
    assert running[0].remaining_m == pytest.approx(math.hypot(3.0, 1.0), abs=0.02)
    assert running[-1].remaining_m < 0.5
    assert max(step.command.vx_mps for step in running) == pytest.approx(0.5 * MAX_SPEED_MPS)


def test_the_network_is_asked_ten_times_a_second(policy):
    policy.set_goal(GOAL)
    count = policy.network.latency.count
    Loop(policy).run(2.0)
    assert policy.network.latency.count - count == 20


@pytest.mark.parametrize("missing", ["scan", "odometry"])
def test_without_a_fresh_input_it_stands_goes_on_when_it_is_back_and_gives_up_in_the_end(policy, missing):
    status = {"scan": DriveStatus.STALE_SCAN, "odometry": DriveStatus.STALE_ODOMETRY}[missing]
    loop = Loop(policy)
    policy.set_goal(np.array([6.0, 0.0]))
    assert loop.run(1.0).command.vx_mps > 0.1
    loop.scanning, loop.odom_age_s = missing != "scan", 1.0 if missing == "odometry" else 0.0
    halted = loop.run(0.8)
    assert halted.status is status and halted.command == Twist2() and not halted.over and "check the" in halted.reason
    loop.scanning, loop.odom_age_s = True, 0.0
    assert loop.run(0.3).command.vx_mps > 0.1
    loop.scanning, loop.odom_age_s = missing != "scan", 1.0 if missing == "odometry" else 0.0
    end = loop.run(3.0)
    assert end.over and end.status is status and end.command == Twist2()


def test_without_any_scan_it_never_moves(policy):
    policy.set_goal(GOAL)
    step = policy.step(0.0, np.zeros(3), Twist2())
    assert step.status is DriveStatus.STALE_SCAN and step.command == Twist2() and "not there yet" in step.reason


def test_without_progress_it_says_that_it_is_stuck(policy):
    loop = Loop(policy, hall(things=[(2.0, y) for y in np.arange(-0.5, 0.6, 0.1)]))
    policy.set_goal(np.array([4.0, 0.0]))
    end = loop.run(20.0)
    assert end.over and end.status is DriveStatus.STUCK and "5.0 s" in end.reason


def test_time_ends_a_drive_and_a_cancelled_one_stands(policy):
    policy.reconfigure(PolicyConfig(goal_timeout_s=1.0))
    loop = Loop(policy)
    policy.set_goal(np.array([6.0, 0.0]))
    end = loop.run(3.0)
    assert end.status is DriveStatus.TIMEOUT and end.over and loop.simulator.time_s < 1.3
    policy.set_goal(np.array([6.0, 0.0]))
    loop.run(0.3)
    policy.cancel()
    assert loop.step().status is DriveStatus.CANCELLED and loop.steps[-1].command == Twist2()


def test_lower_limits_keep_the_arc(policy):
    policy.set_goal(np.array([0.5, 3.0]))
    loop = Loop(policy)
    full = loop.run(0.2).command
    policy.reconfigure(PolicyConfig(max_speed_mps=0.2))
    slow = loop.step().command
    assert slow.vx_mps == pytest.approx(0.2) and slow.wz_radps / slow.vx_mps == pytest.approx(
        full.wz_radps / full.vx_mps, rel=0.05
    )


def test_a_goal_moved_with_its_frame_is_the_same_drive(policy):
    loop = Loop(policy)
    policy.set_goal(np.array([3.0, 0.0]))
    loop.run(1.0)
    policy.move_goal(np.array([3.0, 1.0]))
    assert loop.run(20.0).status is DriveStatus.REACHED
    assert math.dist(loop.simulator.pose[:2], [3.0, 1.0]) < 0.4


def test_a_network_that_is_none_for_driving_is_refused(tmp_path):
    other = steering_network(tmp_path / "other.onnx", image_size=32)
    with pytest.raises(ModelError, match="takes"):
        DrivePolicy(PolicyConfig(model=str(other)))
    with pytest.raises(ModelError, match="no such file"):
        DrivePolicy(PolicyConfig(model=str(tmp_path / "none.onnx")))


def test_settings_out_of_range_are_refused():
    with pytest.raises(ValueError, match="max_speed_mps"):
        PolicyConfig(max_speed_mps=9.0)
    with pytest.raises(ValueError, match="max_speed_mps"):
        config_from_mapping(PolicyConfig, {"max_sped_mps": 1.0})


def test_the_shipped_network_answers_a_mirrored_scene_with_the_mirrored_action():
    network, rng = DrivePolicy().network, np.random.default_rng(0)
    turns = []
    for _ in range(5):
        seen = {
            "map": rng.integers(0, 256, MAP_SHAPE).astype(np.uint8),
            "vector": rng.uniform(-1, 1, VECTOR_SIZE).astype(np.float32),
        }
        answers = [
            network.run({part: value[None] for part, value in scene.items()})["action"][0]
            for scene in (seen, mirror_observation(seen))
        ]
        np.testing.assert_allclose(answers[1], answers[0] * [1.0, -1.0], atol=1e-5)
        turns.append(abs(answers[0][1]))
    assert max(turns) > 0.01


def test_the_shipped_network_drives_across_a_hall_around_things():
    policy = DrivePolicy()
    loop = Loop(policy, hall(things=[(2.0, 0.1), (3.5, -0.6), (3.5, 0.9)]))
    policy.set_goal(np.array([5.0, 0.0]))
    end = loop.run(30.0)
    assert end.status is DriveStatus.REACHED and not loop.simulator.collided
