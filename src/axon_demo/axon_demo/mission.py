# SPDX-License-Identifier: Apache-2.0
"""A run as a state machine without ROS: what is sent when, and the verdict. Drives here, fetches in fetching.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

import numpy as np
from numpy.typing import NDArray

from axon_demo.config import DirectorConfig

FloatArray = NDArray[np.float64]
Facts = dict[str, float | int | str | bool]
_PAUSE_BEFORE_RETRY_S = 1.0


@dataclass(frozen=True)
class Goal:
    """A named pose, in the world for the verdict and from the start pose for the planner; (3,) x_m, y_m, yaw_rad."""

    name: str
    world_T_goal: FloatArray
    start_T_goal: FloatArray


@dataclass
class Outcome:
    """What became of a goal. Times are those of the node's clock."""

    goal: Goal
    sent_s: float | None = None
    ended_s: float | None = None
    reached: bool = False
    attempts: int = 0
    resends: int = 0
    error_m: float = float("nan")
    reason: str = ""


class Step(Enum):
    """What the caller has to do now."""

    WAIT = auto()
    SEND = auto()
    FINISH = auto()


class Run:
    """What every run has: a start that waits for all it needs, a time limit, a clock that must not stand still.

    Feed it what happens (`on_...`), call `step` often, and do what that says. `now_s` is the node's clock (simulated
    time), `wall_s` one that always runs. `server` is the action that goals are sent to, and who serves it.
    """

    server = ""

    def __init__(self, config: DirectorConfig) -> None:
        self.config = config
        self.reason, self.success = "", False
        self.started_s: float | None = None
        self.started_wall_s = 0.0
        self.ended_s: float | None = None
        self.collisions = 0
        self._finished = False
        self._position_m: FloatArray | None = None
        self._clock: tuple[float, float] | None = None
        self._begun_wall_s: float | None = None

    # What a kind of run fills in

    @property
    def doing(self) -> str:
        """What goes on, for the reason of a time-out."""
        raise NotImplementedError

    def begin(self, now_s: float) -> Step:
        """All is there: begin."""
        raise NotImplementedError

    def go_on(self, now_s: float, server_ready: bool) -> Step:
        """What is to be done while nothing has ended."""
        raise NotImplementedError

    def lacks(self) -> list[str]:
        """What is still missing before the start."""
        return [] if self._position_m is not None else ["nothing on sim/ground_truth (simulator)"]

    def facts(self) -> Facts:
        """What this kind of run adds to the summary."""
        raise NotImplementedError

    def may_touch(self, touches: Sequence[str]) -> bool:
        """Whether these touches are none of those that end a run."""
        return False

    # What happens

    def on_position(self, world_position_m: FloatArray) -> None:
        """The true position (2,) of the base."""
        self._position_m = np.asarray(world_position_m, dtype=float)

    def on_collision(self, now_s: float, what: str) -> None:
        """The robot has touched something that it must not touch: the mission has failed.

        `what` are all touches so far, as part/thing, with commas between.
        """
        if self.may_touch(what.split(", ")):
            return
        self.collisions += 1
        where = "" if self._position_m is None else f" at x {self._position_m[0]:.2f} m, y {self._position_m[1]:.2f} m"
        self.finish(now_s, False, f"collided with {what}{where}")

    def step(self, now_s: float, wall_s: float, server_ready: bool) -> Step:
        """What is to be done now. After FINISH, `success` and `reason` hold the verdict."""
        self._check_clock(now_s, wall_s)
        if not self._finished and self.started_s is None:
            return self._start(now_s, wall_s, server_ready)
        if not self._finished and now_s - self.started_s > self.config.timeout_s:
            self.finish(now_s, False, f"time limit of {self.config.timeout_s:g} s, {self.doing}")
        return Step.FINISH if self._finished else self.go_on(now_s, server_ready)

    def finish(self, now_s: float, success: bool, reason: str) -> None:
        """Note the verdict; the first one counts."""
        if not self._finished:
            self._finished, self.success, self.reason, self.ended_s = True, success, reason, now_s

    def summary(self) -> Facts:
        """The verdict as a flat mapping."""
        duration_s = 0.0 if self.started_s is None or self.ended_s is None else self.ended_s - self.started_s
        facts: Facts = {
            "success": self.success,
            "reason": self.reason,
            "collisions": self.collisions,
            "duration_s": round(duration_s, 3),
        }
        if self.started_s is not None:
            facts["started_s"] = round(self.started_s, 3)
        return facts | self.facts()

    def distance_m(self, point_m: FloatArray) -> float:
        """True distance of the base from a point (2,) of the world; NaN where no truth has come."""
        return float("nan") if self._position_m is None else float(np.linalg.norm(self._position_m - point_m))

    def _start(self, now_s: float, wall_s: float, server_ready: bool) -> Step:
        if self._begun_wall_s is None:
            self._begun_wall_s = wall_s
        missing = [] if server_ready else [f"no action server {self.server}"]
        missing += self.lacks()
        missing += [] if now_s > 0.0 else ["no /clock (simulator)"]
        if not missing:
            self.started_s, self.started_wall_s = now_s, wall_s
            return self.begin(now_s)
        if wall_s - self._begun_wall_s > self.config.startup_timeout_s:
            self.finish(now_s, False, f"after {self.config.startup_timeout_s:g} s: {', '.join(missing)}")
            return Step.FINISH
        return Step.WAIT

    def _check_clock(self, now_s: float, wall_s: float) -> None:
        if self._clock is None or now_s != self._clock[0]:
            self._clock = now_s, wall_s
        elif self.started_s is not None and wall_s - self._clock[1] > self.config.stalled_clock_timeout_s:
            self.finish(now_s, False, f"the clock has stood still at {now_s:.1f} s: the simulator has died or hangs")


class Mission(Run):
    """A drive to one goal after another."""

    server = "navigate_to_pose (planner)"

    def __init__(self, goals: Sequence[Goal], config: DirectorConfig) -> None:
        if not goals:
            raise ValueError("goals = []: expected at least one goal")
        super().__init__(config)
        self.goals = goals
        self.outcomes = [Outcome(goal) for goal in goals]
        self._index = 0
        self._driving = False
        self._heard_s = self._retry_at_s = 0.0

    @property
    def current(self) -> Goal:
        """The goal that is driven to."""
        return self.goals[self._index]

    @property
    def doing(self) -> str:
        return f"on the way to {self.current.name!r}"

    @property
    def _outcome(self) -> Outcome:
        return self.outcomes[self._index]

    def on_feedback(self, now_s: float) -> None:
        """The planner has shown that it works on the goal."""
        self._heard_s = now_s

    def on_reached(self, now_s: float) -> None:
        """The planner says that it has arrived; the true position decides."""
        outcome = self._outcome
        outcome.ended_s, outcome.error_m = now_s, self._error_m()
        if not outcome.error_m <= self.config.goal_tolerance_m:
            outcome.reason = (
                f"the planner says that {outcome.goal.name!r} is reached, but it is {outcome.error_m:.2f} m away"
            )
            self.finish(now_s, False, outcome.reason)
            return
        outcome.reached, self._driving = True, False
        if self._index + 1 == len(self.goals):
            self.finish(now_s, True, f"{_all_of(len(self.goals))} reached, no collision")
        else:
            self._index += 1

    def on_given_up(self, now_s: float, why: str) -> None:
        """The planner has refused or aborted the goal: it is tried again a few times."""
        outcome = self._outcome
        outcome.reason = why
        if outcome.attempts > self.config.retries:
            outcome.ended_s, outcome.error_m = now_s, self._error_m()
            tries = f" after {outcome.attempts} attempts" if outcome.attempts > 1 else ""
            self.finish(now_s, False, f"goal {outcome.goal.name!r} given up{tries}: {why}")
            return
        self._driving = False
        self._retry_at_s = now_s + _PAUSE_BEFORE_RETRY_S

    def begin(self, now_s: float) -> Step:
        return self._send(now_s)

    def go_on(self, now_s: float, server_ready: bool) -> Step:
        if not self._driving:
            return self._send(now_s) if server_ready and now_s >= self._retry_at_s else Step.WAIT
        if now_s - self._heard_s > self.config.silence_timeout_s:
            # A planner that died and was started again knows nothing of the goal.
            self._outcome.resends += 1
            self._outcome.attempts -= 1
            return self._send(now_s)
        return Step.WAIT

    def _send(self, now_s: float) -> Step:
        outcome = self._outcome
        outcome.sent_s = now_s if outcome.sent_s is None else outcome.sent_s
        outcome.attempts += 1
        self._driving, self._heard_s = True, now_s
        return Step.SEND

    def _error_m(self) -> float:
        return self.distance_m(self.current.world_T_goal[:2])

    def facts(self) -> Facts:
        facts: Facts = {
            "goals": len(self.goals),
            "goals_reached": sum(outcome.reached for outcome in self.outcomes),
            "resends": sum(outcome.resends for outcome in self.outcomes),
        }
        for number, outcome in enumerate(self.outcomes):
            facts |= _outcome_facts(f"goal_{number}_", outcome)
        return facts


def _outcome_facts(prefix: str, outcome: Outcome) -> Facts:
    x, y, yaw = outcome.goal.world_T_goal
    facts: Facts = {
        f"{prefix}name": outcome.goal.name,
        f"{prefix}x_m": round(float(x), 3),
        f"{prefix}y_m": round(float(y), 3),
        f"{prefix}yaw_rad": round(float(yaw), 4),
        f"{prefix}reached": outcome.reached,
        f"{prefix}attempts": outcome.attempts,
    }
    if outcome.sent_s is not None and outcome.ended_s is not None:
        facts[f"{prefix}time_s"] = round(outcome.ended_s - outcome.sent_s, 3)
        if np.isfinite(outcome.error_m):
            facts[f"{prefix}error_m"] = round(outcome.error_m, 3)
    if outcome.reason:
        facts[f"{prefix}note"] = outcome.reason
    return facts


def _all_of(count: int) -> str:
    return "goal" if count == 1 else f"all {count} goals"
