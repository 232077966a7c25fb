# SPDX-License-Identifier: Apache-2.0
"""The mission's state machine: what it does next and what its verdict is, in plain steps of time."""

from __future__ import annotations

import numpy as np
import pytest

from axon_demo.config import DirectorConfig, RecorderConfig
from axon_demo.mission import Goal, Mission, Step


def goal(name: str, x: float) -> Goal:
    return Goal(name, np.array([x, 0.0, 0.0]), np.array([x, 0.0, 0.0]))


def started(*goals: Goal, **settings: float) -> Mission:
    """A mission whose first goal has just been sent, at 1 s."""
    mission = Mission(goals or (goal("first", 1.0),), DirectorConfig(**settings))
    mission.on_position(np.zeros(2))
    assert mission.step(1.0, 1.0, server_ready=True) is Step.SEND
    return mission


def test_it_waits_for_planner_truth_and_clock_and_says_what_is_missing() -> None:
    mission = Mission([goal("first", 1.0)], DirectorConfig(startup_timeout_s=10.0))
    assert mission.step(0.0, 100.0, server_ready=True) is Step.WAIT
    mission.on_position(np.zeros(2))
    assert mission.step(5.0, 105.0, server_ready=False) is Step.WAIT
    assert mission.step(6.0, 111.0, server_ready=False) is Step.FINISH
    assert not mission.success
    assert "navigate_to_pose" in mission.reason and "ground_truth" not in mission.reason


def test_goals_go_out_in_order_and_all_reached_is_success() -> None:
    mission = started(goal("first", 1.0), goal("second", 2.0))
    mission.on_position(np.array([1.0, 0.1]))
    mission.on_reached(5.0)
    assert mission.step(5.1, 5.1, True) is Step.SEND
    assert mission.current.name == "second"
    mission.on_position(np.array([2.0, 0.0]))
    mission.on_reached(9.0)
    assert mission.step(9.1, 9.1, True) is Step.FINISH
    summary = mission.summary()
    assert summary["success"] and summary["goals_reached"] == 2
    assert summary["duration_s"] == pytest.approx(8.0)
    assert summary["goal_0_error_m"] == pytest.approx(0.1)


def test_the_true_position_decides_and_not_the_planner() -> None:
    mission = started(goal_tolerance_m=0.5)
    mission.on_position(np.array([0.4, 0.0]))
    mission.on_reached(5.0)
    assert mission.step(5.1, 5.1, True) is Step.FINISH
    assert not mission.success
    assert "0.60 m away" in mission.reason


def test_success_without_any_ground_truth_is_impossible() -> None:
    mission = started()
    mission._position_m = None
    mission.on_reached(5.0)
    assert not mission.success


def test_a_collision_is_the_end() -> None:
    mission = started()
    mission.on_position(np.array([0.5, -0.25]))
    mission.on_collision(3.0, "base/wall")
    assert mission.step(3.1, 3.1, True) is Step.FINISH
    assert mission.reason == "collided with base/wall at x 0.50 m, y -0.25 m"
    mission.on_reached(4.0)
    assert not mission.success


def test_a_silent_planner_gets_its_goal_again_without_losing_an_attempt() -> None:
    mission = started(silence_timeout_s=3.0, retries=0)
    assert mission.step(3.9, 3.9, True) is Step.WAIT
    for now_s in (4.1, 7.2):
        assert mission.step(now_s, now_s, True) is Step.SEND
    mission.on_feedback(9.0)
    assert mission.step(11.0, 11.0, True) is Step.WAIT
    assert mission.outcomes[0].resends == 2 and mission.outcomes[0].attempts == 1


def test_a_goal_given_up_is_tried_again_after_a_pause_and_then_failed() -> None:
    mission = started(retries=1)
    mission.on_given_up(2.0, "no path")
    assert mission.step(2.5, 2.5, True) is Step.WAIT
    assert mission.step(3.1, 3.1, True) is Step.SEND
    mission.on_given_up(4.0, "no path to the goal")
    assert mission.step(4.1, 4.1, True) is Step.FINISH
    assert mission.reason == "goal 'first' given up after 2 attempts: no path to the goal"


def test_the_time_limit_is_one_of_the_nodes_clock() -> None:
    mission = started(timeout_s=20.0)
    mission.on_feedback(20.9)
    assert mission.step(20.9, 500.0, True) is Step.WAIT
    assert mission.step(21.1, 501.0, True) is Step.FINISH
    assert "time limit of 20 s" in mission.reason


def test_a_clock_that_stands_still_is_noticed_on_the_wall_clock() -> None:
    mission = started(stalled_clock_timeout_s=15.0)
    mission.step(2.0, 2.0, True)
    assert mission.step(2.0, 16.0, True) is Step.WAIT
    assert mission.step(2.0, 18.0, True) is Step.FINISH
    assert "stood still at 2.0 s" in mission.reason


def test_the_first_verdict_stays() -> None:
    mission = started()
    mission.on_position(np.array([1.0, 0.0]))
    mission.on_reached(5.0)
    mission.on_collision(5.1, "wall")
    assert mission.success and mission.ended_s == 5.0


def test_a_mission_without_goals_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Mission([], DirectorConfig())


@pytest.mark.parametrize("entry", ["costmap", "costmap=", "=3", "costmap=-1", "costmap=fast", "costmap=nan"])
def test_a_rate_that_is_none_is_refused_with_its_text(entry: str) -> None:
    with pytest.raises(ValueError, match=r"costmap=1\.0"):
        RecorderConfig(max_rates_hz=(entry,))
