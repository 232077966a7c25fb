# SPDX-License-Identifier: Apache-2.0
"""Picking, step by step, on any robot that does what `Robot` asks.

Procedures are generators: each `next` looks once at what is going on and returns at once, so that a timer can carry
them on; what they yield is the stage. They end by returning, or raise PickFailed with a code of axon_msgs/Pick and the
reason.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

import numpy as np

from axon_core.arrays import AnyArray, FloatArray
from axon_core.cameras import PinholeCamera
from axon_grasp.arm import Path
from axon_grasp.grasps import PlanarGrasp
from axon_grasp.runtime import Grasper, NoGrasp, NoReach, NothingSeen, PickPlan, Seen

VIEW_TIMEOUT_S = 5.0


class Stage(Enum):
    """What a pick is doing; values as in axon_msgs/Pick."""

    SEARCHING = 0
    APPROACHING = 1
    CLOSING = 2
    LIFTING = 3
    VERIFYING = 4


class PickFailed(Exception):
    """Why a pick ended; `code` is the name of an error code of axon_msgs/Pick."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Call:
    """Something asked of the robot that takes a while: `done` at the end, with a `value`, or an `error` text."""

    def __init__(self) -> None:
        self.done = False
        self.value: Any = None
        self.error: Exception | None = None

    def end(self, value: Any = None, error: Exception | None = None) -> None:
        """End well, or with an error."""
        self.value, self.error, self.done = value, error, True


@dataclass(frozen=True)
class View:
    """One depth image (H, W) in m and where it was taken from, base_T_camera (4, 4)."""

    stamp_s: float
    depth_m: AnyArray
    camera: PinholeCamera
    base_T_camera: FloatArray


@dataclass(frozen=True)
class Request:
    """What to pick: the thing at `target_m` (3,) in the base's frame, or anywhere in view where it is None."""

    class_id: str = ""
    target_m: FloatArray | None = None
    lift_m: float = 0.0


class Robot(Protocol):
    """What the procedures need of a robot. Poses are in the base's frame, which stands still meanwhile."""

    def now_s(self) -> float:
        """Return the time of stamps."""

    def view(self, after_s: float) -> View | None:
        """Return the newest view taken after a time, None where there is none yet; raises PickFailed."""

    def arm_positions(self) -> FloatArray:
        """Return where the arm's joints are (N,)."""

    def opening_m(self) -> float:
        """Return the opening between the fingertips."""

    def touch_n(self) -> tuple[float, float] | None:
        """Return the forces on both fingertips, None where they cannot feel."""

    def detected(self, class_id: str, near_m: FloatArray | None) -> FloatArray | None:
        """Return where a thing of that class was just seen (3,), the nearest to a point; None where none was."""

    def move_arm(self, path: Path) -> Call:
        """Follow a path."""

    def move_head(self, position: float) -> Call:
        """Tilt the camera."""

    def grip(self, opening_m: float, force_n: float) -> Call:
        """Move the fingers."""

    def compute(self, function: Callable[[], Any]) -> Call:
        """Run something that takes long, beside everything else."""


Steps = Generator[Stage, None, Any]


def pick(robot: Robot, grasper: Grasper, request: Request) -> Steps:
    """Search, approach, close, lift, verify, fold; return the PlanarGrasp that was executed."""
    config = grasper.config
    for attempt in range(config.attempts):
        seen = yield from search(robot, grasper, request)
        plan = yield from _planned(robot, grasper, seen, request.lift_m)
        yield from _take(robot, grasper, plan)
        if _is_held(robot, grasper):
            yield from _wait(robot.move_arm(plan.carry), Stage.VERIFYING, "fold the arm")
            if _is_held(robot, grasper):
                return plan.grasp
        last = attempt + 1 == config.attempts
        yield from _let_go(robot, grasper, plan)
        if last:
            raise PickFailed("NOT_HELD", f"the fingers closed on nothing or lost it, in {config.attempts} attempts")
    raise AssertionError("unreachable")  # attempts is at least 1


def search(robot: Robot, grasper: Grasper, request: Request) -> Steps:
    """Turn the camera to the target, look, and return what is Seen there."""
    target = _target_of(robot, grasper, request)
    yield from _turn_head(robot, grasper, target)
    view = yield from _look(robot, grasper)
    target = _target_of(robot, grasper, Request(request.class_id, target, request.lift_m))
    call = robot.compute(lambda: grasper.perceive(view.depth_m, view.camera, view.base_T_camera, target))
    return (yield from _wait(call, Stage.SEARCHING, "look for grasps"))


def _planned(robot: Robot, grasper: Grasper, seen: Seen, lift_m: float) -> Steps:
    positions = robot.arm_positions()
    call = robot.compute(lambda: grasper.plan(seen, positions, lift_m))
    return (yield from _wait(call, Stage.SEARCHING, "plan the arm's path"))


def _take(robot: Robot, grasper: Grasper, plan: PickPlan) -> Steps:
    """Approach, close, lift."""
    yield from _wait(robot.grip(plan.grasp.opening_m, 0.0), Stage.APPROACHING, "open the gripper")
    for path in (plan.approach, plan.descend):
        yield from _wait(robot.move_arm(path), Stage.APPROACHING, "approach the grasp")
    yield from _wait(robot.grip(0.0, grasper.config.grip_force_n), Stage.CLOSING, "close the gripper")
    yield from _wait(robot.move_arm(plan.lift), Stage.LIFTING, "lift")


def _let_go(robot: Robot, grasper: Grasper, plan: PickPlan) -> Steps:
    """Open where one is, and get the arm out of the camera's sight."""
    yield from _wait(robot.grip(grasper.config.gripper_max_opening_m, 0.0), Stage.VERIFYING, "open the gripper")
    positions = robot.arm_positions()
    if np.abs(positions - plan.lift.positions[-1]).max() < 0.1:
        yield from _wait(robot.move_arm(plan.carry), Stage.VERIFYING, "fold the arm")


def _is_held(robot: Robot, grasper: Grasper) -> bool:
    touch = robot.touch_n()
    feels = touch is None or min(touch) >= grasper.config.held_touch_n
    return robot.opening_m() > grasper.config.held_width_m and feels


def _target_of(robot: Robot, grasper: Grasper, request: Request) -> FloatArray:
    """Return where to look (3,): a detection of the class near the target, else the target, else ahead."""
    config, target = grasper.config, request.target_m
    found = robot.detected(request.class_id, target) if request.class_id else None
    if found is not None and (target is None or np.linalg.norm(found - target) <= config.search_radius_m):
        return found
    if request.class_id and (target is None or config.require_detection):
        raise PickFailed(
            "NO_OBJECT", f"no detection of '{request.class_id}' within {config.search_radius_m} m of the target"
        )
    return np.array([config.watch_x_m, 0.0, config.watch_z_m]) if target is None else target


def _turn_head(robot: Robot, grasper: Grasper, target: FloatArray) -> Steps:
    config = grasper.config
    if not config.head_joint:
        return
    if grasper.arm is None:
        raise PickFailed("NO_REACH", "the robot's description is not known: is robot_description published?")
    try:
        tilt = grasper.arm.tilt_to(target, config.head_joint, config.camera_frame)
    except ValueError as error:
        raise PickFailed("UNKNOWN", str(error)) from error
    yield from _wait(robot.move_head(tilt), Stage.SEARCHING, "turn the camera to the target")


def _look(robot: Robot, grasper: Grasper) -> Steps:
    """Wait for a view that was taken after the camera came to rest."""
    after_s = robot.now_s() + grasper.config.settle_s
    while (view := robot.view(after_s)) is None:
        if robot.now_s() > after_s + VIEW_TIMEOUT_S:
            raise PickFailed("NO_OBJECT", f"no depth image within {VIEW_TIMEOUT_S:.0f} s: check the camera")
        yield Stage.SEARCHING
    return view


def _wait(call: Call, stage: Stage, what: str) -> Steps:
    """Wait for a call and return its value; what failed becomes the pick's error."""
    while not call.done:
        yield stage
    if call.error is None:
        return call.value
    error = call.error
    codes = {NothingSeen: "NO_OBJECT", NoGrasp: "NO_GRASP", NoReach: "NO_REACH"}
    if isinstance(error, PickFailed):
        raise PickFailed(error.code, f"{what}: {error}") from error
    raise PickFailed(codes.get(type(error), "UNKNOWN"), f"{what}: {error}") from error


__all__ = ["Call", "PickFailed", "PlanarGrasp", "Request", "Robot", "Stage", "View", "pick", "search"]
