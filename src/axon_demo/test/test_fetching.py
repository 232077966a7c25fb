# SPDX-License-Identifier: Apache-2.0
"""The verdict over a fetch: what the executive says, held against where everything truly is."""

from __future__ import annotations

import numpy as np
import pytest

from axon_demo.config import DirectorConfig
from axon_demo.director_node import make_run
from axon_demo.fetching import FetchRun, TrueObject
from axon_demo.mission import Goal, Step
from axon_sim.worlds import make_world

KITCHEN = Goal("kitchen", np.array([5.0, 2.0, 0.0]), np.array([4.0, 0.0, 0.0]))


def mug(*place_m: float) -> list[TrueObject]:
    return [TrueObject("mug", "mug", np.array(place_m)), TrueObject("can", "can", np.array([5.0, 2.0, 0.8]))]


def started(**settings: float) -> FetchRun:
    """A fetch that has just been sent, at 1 s; the mug stands on a table."""
    run = FetchRun(KITCHEN, ["table"], DirectorConfig(fetch="mug", bring_to="kitchen", **settings))
    run.on_position(np.zeros(2))
    run.on_objects(mug(1.0, 0.0, 0.5))
    assert run.step(1.0, 1.0, True) is Step.SEND
    return run


def ended(base: tuple[float, float], place: tuple[float, float, float], code: str = "") -> FetchRun:
    run = started()
    run.on_position(np.array(base))
    run.on_objects(mug(*place))
    run.on_result(60.0, code, "why")
    assert run.step(60.1, 60.1, True) is Step.FINISH
    return run


def test_in_the_hand_and_at_the_place_is_success() -> None:
    run = ended((5.1, 2.0), (5.25, 2.0, 0.35))
    assert run.success and "mug fetched and brought to kitchen" in run.reason
    assert run.summary()["place_error_m"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("base", "place", "says"),
    [
        ((5.1, 2.0), (1.0, 0.0, 0.5), "none is in its hand"),  # still on its table; the can nearby does not count
        ((5.1, 2.0), (5.2, 2.0, 0.04), "none is in its hand"),  # on the floor
        ((3.0, 2.0), (3.2, 2.0, 0.35), "2.00 m away"),
    ],
)
def test_the_truth_decides_and_not_the_executive(base, place, says) -> None:
    run = ended(base, place)
    assert not run.success and says in run.reason


def test_a_failure_keeps_its_code_and_reason() -> None:
    run = ended((0.0, 0.0), (1.0, 0.0, 0.5), "NOT_FOUND")
    assert not run.success and run.reason == "NOT_FOUND: why"
    assert run.summary()["error"] == "NOT_FOUND" and run.summary()["picked"] is False


def test_tasks_have_times_and_outcomes() -> None:
    run = started()
    run.on_task(2.0, "go to table", [])
    run.on_task(9.0, "find mug at table", ["go to table"])
    run.on_objects(mug(1.0, 0.0, 0.62))
    run.on_result(12.0, "NOT_FOUND", "nothing")
    facts = run.summary()
    assert facts["tasks"] == 2 and facts["picked"] is True and facts["lift_m"] == pytest.approx(0.12)
    assert (facts["task_0_began_s"], facts["task_0_ended_s"], facts["task_0_done"]) == (2.0, 9.0, True)
    assert facts["task_1_done"] is False and facts["found"] is False


def test_the_object_may_touch_the_robot_that_carries_it_and_nothing_else_may() -> None:
    run = started()
    run.on_collision(5.0, "arm_base_link/mug")
    assert run.step(5.1, 5.1, True) is Step.WAIT
    assert run.summary()["object_touches"] == 1 and run.summary()["collisions"] == 0
    run.on_collision(6.0, "arm_base_link/mug, base_link/table")
    assert run.step(6.1, 6.1, True) is Step.FINISH and not run.success
    assert run.summary()["collisions"] == 1


def test_it_waits_for_the_executive_and_for_the_truth_about_the_object() -> None:
    run = FetchRun(KITCHEN, ["table"], DirectorConfig(fetch="mug", startup_timeout_s=5.0))
    run.on_position(np.zeros(2))
    assert run.step(1.0, 1.0, True) is Step.WAIT
    assert run.step(2.0, 7.0, False) is Step.FINISH
    assert "fetch (mission)" in run.reason and "no mug on sim/objects" in run.reason


def test_the_time_limit_names_the_task() -> None:
    run = started(timeout_s=20.0)
    run.on_task(2.0, "go to table", [])
    assert run.step(21.5, 21.5, True) is Step.FINISH
    assert run.reason == "time limit of 20 s, while the task was 'go to table'"


def test_a_world_says_what_can_be_fetched_and_where_it_may_be() -> None:
    world = make_world("apartment:1000")
    run = make_run(world, DirectorConfig(fetch="mug", bring_to="kitchen"))
    assert isinstance(run, FetchRun) and run.search_places == ("coffee_table", "dining_table")
    with pytest.raises(ValueError, match="there is none in apartment, but ball"):
        make_run(world, DirectorConfig(fetch="spoon"))
    with pytest.raises(ValueError, match="'attic' is none of"):
        make_run(world, DirectorConfig(fetch="mug", bring_to="attic"))
