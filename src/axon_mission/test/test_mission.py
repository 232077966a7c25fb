# SPDX-License-Identifier: Apache-2.0
"""The tree without ROS: what follows what, what is tried next, and that every failure has its reason."""

from dataclasses import replace

import numpy as np
import pytest
from fake_robot import CONFIG, FakeRobot, play

from axon_mission.approach import reach_distance_m
from axon_mission.runtime import Mission
from axon_mission.skills import Code, Failure, JobState

MUG_ON_TABLE = np.array([5.0, 0.0, 0.5])


def begun(robot, class_id="mug", places=(), bring_to="home", **changes):
    mission = Mission(replace(CONFIG, **changes), robot)
    mission.begin(class_id, places, bring_to)
    return mission


def test_a_mug_at_the_second_place_is_found_picked_and_brought():
    robot = FakeRobot(things={"mug": MUG_ON_TABLE})
    report = play(begun(robot), robot)
    assert (report.code, report.reason) == (Code.NONE, "")
    done = [task for task in report.done if not task.startswith("look again")]
    assert done == [
        "go to sofa",
        "go to table",
        "find mug at table",
        "approach mug",
        "pick mug",
        "step back with mug",
        "bring mug to home",
    ]
    assert np.allclose(robot.pose, CONFIG.poses["home"])


def test_places_are_searched_in_the_order_asked_for():
    robot = FakeRobot()
    report = play(begun(robot, places=("table", "sofa")), robot)
    assert [task for task in report.done if task.startswith("go to")] == ["go to table", "go to sofa"]


def test_what_is_nowhere_is_not_found_and_every_place_says_what_was_seen():
    robot = FakeRobot(things={"can": MUG_ON_TABLE})
    report = play(begun(robot), robot)
    assert report.code is Code.NOT_FOUND
    assert "find mug at sofa" in report.reason and "find mug at table" in report.reason
    assert "can" in report.reason


def test_a_place_without_a_way_is_tried_again_and_then_passed_over():
    robot = FakeRobot(things={"mug": MUG_ON_TABLE}, unreachable={(1.0, 3.0, 1.57)})
    report = play(begun(robot, drive_attempts=2), robot)
    assert report.code is Code.NONE
    assert "go to sofa" not in report.done and robot.calls[:4] == ["look", "drive", "drive", "look"]


def test_no_place_with_a_way_is_no_way():
    robot = FakeRobot(unreachable={(1.0, 3.0, 1.57), (4.0, 0.0, 0.0)})
    report = play(begun(robot), robot)
    assert report.code is Code.NO_WAY
    assert report.reason == "go to sofa: no path; go to table: no path"


def test_a_failed_pick_is_repeated_from_a_new_approach():
    robot = FakeRobot(things={"mug": MUG_ON_TABLE}, pick_failures=["slipped", "no grasp"])
    report = play(begun(robot, pick_attempts=3), robot)
    assert report.code is Code.NONE
    assert report.done.count("approach mug") == 3 and report.done.count("pick mug") == 1
    assert robot.calls.count("fold") == 2  # after each pick that failed


def test_each_new_approach_begins_at_another_side():
    robot = FakeRobot(things={"mug": MUG_ON_TABLE}, pick_failures=["slipped", "slipped"])
    stood = []

    def note(report):
        if report.task == "pick mug":
            stood.append(robot.pose[2])

    assert play(begun(robot, places=("table",), bring_to="", pick_attempts=3), robot, watch=note).code is Code.NONE
    assert max(stood) - min(stood) > 0.4


def test_a_taller_object_is_approached_nearer():
    assert reach_distance_m(0.9, CONFIG) < reach_distance_m(0.6, CONFIG)
    robot = FakeRobot(things={"mug": MUG_ON_TABLE}, tall_m=1.6)
    report = play(begun(robot, places=("table",)), robot)
    assert report.code is Code.NOT_PICKED and "out of the arm's reach" in report.reason


def test_picks_that_all_fail_are_not_picked_with_each_reason_once():
    robot = FakeRobot(things={"mug": MUG_ON_TABLE}, pick_failures=["slipped", "slipped", "no grasp"])
    report = play(begun(robot, places=("table",), pick_attempts=3), robot)
    assert report.code is Code.NOT_PICKED
    assert report.reason == "pick mug: slipped; pick mug: no grasp"


def test_what_was_not_picked_here_is_looked_for_at_the_next_place():
    robot = FakeRobot(things={"mug": MUG_ON_TABLE, "mug_2": np.array([1.0, 4.0, 0.5])}, pick_failures=["slipped"] * 2)
    report = play(begun(robot, pick_attempts=2), robot)
    assert report.code is Code.NONE
    assert "find mug at sofa" in report.done and "find mug at table" in report.done


def test_a_drive_ends_when_the_object_is_lost():
    robot = FakeRobot(things={"mug": MUG_ON_TABLE})

    def drop(report):
        if report.task.startswith("step back"):
            robot.hangs.add("drive")
        if report.task.startswith("bring"):
            robot.width_m = 0.0

    report = play(begun(robot), robot, watch=drop)
    assert report.code is Code.LOST_OBJECT
    assert "from 50 to 0 mm" in report.reason
    assert robot.calls[-1] == "cancel drive"


def test_stopping_cancels_what_is_waited_for_and_lets_go_of_the_base():
    robot = FakeRobot(hangs={"drive"})
    mission = begun(robot)
    for _ in range(3):
        mission.tick()
    mission.stop()
    assert robot.calls == ["look", "drive", "cancel drive"]
    assert robot.jobs[-1].state is JobState.FAILED
    assert not mission.busy and robot.velocity is None


def test_too_long_a_fetch_is_a_timeout_that_names_the_task():
    robot = FakeRobot(hangs={"drive"})
    report = play(begun(robot, timeout_s=5.0), robot)
    assert report.code is Code.TIMEOUT
    assert report.reason.startswith("go to sofa: not done within 5 s")
    assert robot.calls[-1] == "cancel drive"


def test_missing_skills_are_waited_for_and_then_named():
    robot = FakeRobot(absent=["no action server 'pick': start axon_grasp"])
    reports = []
    report = play(begun(robot, startup_timeout_s=2.0), robot, watch=reports.append)
    assert report.code is Code.MISSING_SKILL
    assert report.reason == "no action server 'pick': start axon_grasp"
    assert {one.task for one in reports} == {"wait for skills"} and robot.calls == []
    assert len(reports) == pytest.approx(2.0 / 0.05, abs=2)


def test_skills_that_come_late_are_in_time():
    robot = FakeRobot(things={"mug": MUG_ON_TABLE}, absent=["no tf"])

    def appear(report):
        if robot.time_s > 101.0:
            robot.absent = []

    assert play(begun(robot), robot, watch=appear).code is Code.NONE


def test_without_a_place_to_bring_it_to_the_fetch_ends_with_the_object_in_hand():
    robot = FakeRobot(things={"mug": MUG_ON_TABLE})
    report = play(begun(robot, bring_to=""), robot)
    assert report.code is Code.NONE
    assert report.done[-1] == "step back with mug"


@pytest.mark.parametrize(
    ("class_id", "places", "bring_to", "says"),
    [
        ("", (), "home", "class_id is empty"),
        ("mug", ("attic",), "home", "unknown place 'attic': known are sofa, table, home"),
        ("mug", (), "attic", "unknown place 'attic'"),
    ],
)
def test_goals_that_cannot_be_meant_are_refused(class_id, places, bring_to, says):
    with pytest.raises(Failure, match=says) as caught:
        Mission(CONFIG, FakeRobot()).begin(class_id, places, bring_to)
    assert caught.value.code is Code.BAD_GOAL


def test_a_robot_that_knows_no_place_says_so():
    with pytest.raises(Failure, match="set the parameter places"):
        Mission(replace(CONFIG, places=()), FakeRobot()).begin("mug", (), "")


@pytest.mark.parametrize("entry", ["kitchen", "kitchen=1,2", "=1,2,3", "kitchen=1,2,nan", "kitchen=a,b,c"])
def test_a_place_that_cannot_be_read_is_quoted(entry):
    with pytest.raises(ValueError, match=r"places entry '.*': expected NAME=X,Y,YAW"):
        replace(CONFIG, places=(entry,))
