# SPDX-License-Identifier: Apache-2.0
"""The procedure of a pick on a robot of a few lines, whose hand holds or not as the test wants."""

from types import SimpleNamespace

import numpy as np
import pytest

from axon_grasp.arm import NoReach, Path
from axon_grasp.config import GraspConfig
from axon_grasp.grasps import PlanarGrasp
from axon_grasp.picking import Call, PickFailed, Request, Stage, View, pick
from axon_grasp.runtime import NoGrasp, NothingSeen, PickPlan

TARGET = np.array([0.45, 0.0, 0.6])


class FakeRobot:
    """Does everything at once, writes it down, and lets a second pass with each look."""

    def __init__(self, widths_m=(0.05,), touch=(5.0, 5.0), seen=True, detection=None):
        self.log, self.time_s = [], 0.0
        self.widths, self.touch, self.seen, self.detection = list(widths_m), touch, seen, detection
        self.width = 0.0

    def now_s(self):
        self.time_s += 1.0
        return self.time_s

    def view(self, after_s):
        return View(self.time_s, np.zeros((1, 1)), None, np.eye(4)) if self.seen else None

    def arm_positions(self):
        return np.zeros(6)

    def opening_m(self):
        return self.width

    def touch_n(self):
        return self.touch

    def detected(self, class_id, near_m):
        return self.detection

    def move_arm(self, path):
        return self.done(f"arm {path.positions[-1, 0]:g}")

    def move_head(self, position):
        return self.done("head")

    def grip(self, opening_m, force_n):
        self.width = opening_m or (self.widths.pop(0) if len(self.widths) > 1 else self.widths[0])
        return self.done("open" if opening_m else "close")

    def compute(self, function):
        call = Call()
        try:
            call.end(function())
        except ValueError as error:
            call.end(error=error)
        return call

    def done(self, what):
        self.log.append(what)
        call = Call()
        call.end()
        return call


def a_path(goal):
    return Path(np.array([np.zeros(6), np.full(6, float(goal))]), np.array([0.0, 1.0]))


class FakeGrasper:
    """Sees whatever is there, and plans four paths that end at 1, 2, 3 and 4."""

    def __init__(self, error=None, **changes):
        self.config = GraspConfig(head_joint="", settle_s=0.0, **changes)
        self.arm, self.error, self.targets = None, error, []
        self.grasp = PlanarGrasp(np.eye(4), 0.08, 0.05, 0.9, 0.05)

    def perceive(self, depth_m, camera, base_T_camera, target_m):
        self.targets.append(target_m)
        if isinstance(self.error, NothingSeen):
            raise self.error
        return SimpleNamespace(grasps=[self.grasp])

    def plan(self, seen, positions, lift_m):
        if self.error is not None:
            raise self.error
        return PickPlan(self.grasp, a_path(1), a_path(2), a_path(3), a_path(4))


def run(robot, grasper, request=None):
    """Run a pick to its end; returns what it returned and the stages in order."""
    stages = []
    steps = pick(robot, grasper, request or Request(target_m=TARGET))
    try:
        for _ in range(1000):
            stages.append(next(steps))
    except StopIteration as end:
        return end.value, stages
    raise AssertionError("it does not end")


def failure(robot, grasper, request=None):
    with pytest.raises(PickFailed) as caught:
        run(robot, grasper, request)
    return caught.value


def test_a_pick_opens_approaches_closes_lifts_and_folds():
    robot, grasper = FakeRobot(), FakeGrasper()
    grasp, _ = run(robot, grasper)
    assert grasp is grasper.grasp
    assert robot.log == ["open", "arm 1", "arm 2", "close", "arm 3", "arm 4"]


@pytest.mark.parametrize("robot", [FakeRobot(widths_m=(0.0,)), FakeRobot(touch=(0.0, 5.0))])
def test_empty_fingers_are_noticed_and_tried_again(robot):
    error = failure(robot, FakeGrasper(attempts=2))
    assert error.code == "NOT_HELD" and "2 attempts" in str(error)
    assert robot.log.count("close") == 2 and robot.log[-1] == "open"
    assert robot.width > 0.0  # it has let go


def test_a_second_attempt_may_hold():
    robot = FakeRobot(widths_m=(0.0, 0.05))
    grasp, _ = run(robot, FakeGrasper(attempts=2))
    assert grasp is not None and robot.log.count("close") == 2


def test_fingers_that_cannot_feel_are_believed_by_their_width():
    assert run(FakeRobot(touch=None), FakeGrasper())[0] is not None


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NothingSeen("bare"), "NO_OBJECT"),
        (NoGrasp("flat"), "NO_GRASP"),
        (NoReach("far"), "NO_REACH"),
        (ValueError("x"), "UNKNOWN"),
    ],
)
def test_every_failure_has_its_code_and_reason_and_moves_nothing(error, code):
    robot = FakeRobot()
    failed = failure(robot, FakeGrasper(error))
    assert failed.code == code and str(error) in str(failed)
    assert robot.log == []


def test_without_images_it_says_so():
    failed = failure(FakeRobot(seen=False), FakeGrasper())
    assert failed.code == "NO_OBJECT" and "depth" in str(failed)


def test_a_detection_near_the_target_is_where_it_looks():
    grasper, near = FakeGrasper(), TARGET + np.array([0.05, 0.0, 0.0])
    run(FakeRobot(detection=near), grasper, Request("mug", TARGET))
    np.testing.assert_array_equal(grasper.targets[-1], near)
    far = FakeGrasper()
    run(FakeRobot(detection=TARGET + np.array([0.9, 0.0, 0.0])), far, Request("mug", TARGET))
    np.testing.assert_array_equal(far.targets[-1], TARGET)


def test_a_class_alone_needs_a_detection():
    assert failure(FakeRobot(), FakeGrasper(), Request("mug")).code == "NO_OBJECT"
    assert failure(FakeRobot(), FakeGrasper(require_detection=True), Request("mug", TARGET)).code == "NO_OBJECT"


def test_a_call_that_takes_a_while_is_waited_for():
    robot = FakeRobot()
    slow, made = robot.done, []

    def late(what):
        call = slow(what)
        call.done = False
        made.append(call)
        return call

    robot.done = late
    steps = pick(robot, FakeGrasper(), Request(target_m=TARGET))
    stages = []
    for _ in range(200):
        try:
            stages.append(next(steps))
        except StopIteration:
            break
        if len(stages) % 3 == 0 and made:
            made[-1].done = True
    order = [stage for index, stage in enumerate(stages) if index == 0 or stages[index - 1] is not stage]
    assert order == [Stage.APPROACHING, Stage.CLOSING, Stage.LIFTING, Stage.VERIFYING]
