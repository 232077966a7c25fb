# SPDX-License-Identifier: Apache-2.0
"""What the tree asks of the robot: an interface that a node serves with actions, and a test with a few lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, IntEnum, auto
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from axon_core.motion import Twist2

FloatArray = NDArray[np.float64]


class Code(IntEnum):
    """Why a fetch failed; the numbers of axon_msgs/action/Fetch."""

    NONE = 0
    UNKNOWN = 1
    BAD_GOAL = 2
    NOT_FOUND = 3
    NO_WAY = 4
    NOT_PICKED = 5
    LOST_OBJECT = 6
    MISSING_SKILL = 7
    TIMEOUT = 8


class Failure(Exception):
    """A task has failed; the text says why."""

    def __init__(self, code: Code, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class JobState(Enum):
    """How far a job has come."""

    RUNNING = auto()
    SUCCEEDED = auto()
    FAILED = auto()


@dataclass
class Job:
    """Something that a skill does for us. `withdraw` tells the skill that nobody wants it any more."""

    state: JobState = JobState.RUNNING
    reason: str = ""
    withdraw: Callable[[], None] = lambda: None

    def succeed(self) -> None:
        """The skill has done it."""
        if self.state is JobState.RUNNING:
            self.state = JobState.SUCCEEDED

    def fail(self, reason: str) -> None:
        """The skill has given it up."""
        if self.state is JobState.RUNNING:
            self.state, self.reason = JobState.FAILED, reason

    def cancel(self) -> None:
        """End it, whatever comes of it."""
        if self.state is JobState.RUNNING:
            self.fail("cancelled")
            self.withdraw()

    def wait(self, code: Code) -> Iterator[None]:
        """Yield until it has ended; cancel it where the waiting is broken off. Raises Failure(code) where it failed."""
        try:
            while self.state is JobState.RUNNING:
                yield
        finally:
            self.cancel()
        if self.state is JobState.FAILED:
            raise Failure(code, self.reason)


class Skills(Protocol):
    """The robot, as the tree sees it. All places are in the map's frame, lengths in m, angles in rad."""

    def now_s(self) -> float:
        """The time that the robot lives in."""

    def missing(self) -> list[str]:
        """What does not answer, each with what to do about it; nothing where all is there."""

    def base_pose(self) -> FloatArray:
        """map_T_base (3,). Raises Failure where it is not known."""

    def obstacles_near(self, point_m: FloatArray, radius_m: float) -> FloatArray:
        """Points (N, 2) that the base must not touch."""

    def grip_width_m(self) -> float:
        """Opening between the fingertips."""

    def move_base(self, velocity: Twist2 | None) -> None:
        """Drive now, until the next call; None lets go of the base."""

    def drive_to(self, map_T_base: FloatArray) -> Job:
        """Navigate to a pose (3,)."""

    def look(self, tilt_rad: float) -> Job:
        """Tilt the camera, positive looks down."""

    def move_arm(self, joints_rad: tuple[float, ...]) -> Job:
        """Move the arm to these joint angles."""

    def pick(self, class_id: str, target_m: FloatArray) -> Job:
        """Pick an object (its place (3,)) from where the robot stands."""
