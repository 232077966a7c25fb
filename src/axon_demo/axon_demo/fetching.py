# SPDX-License-Identifier: Apache-2.0
"""A fetch as a state machine without ROS: one goal for the executive, its tasks as they come, the verdict by truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from axon_demo.config import DirectorConfig
from axon_demo.mission import Facts, FloatArray, Goal, Run, Step

_LIFTED_M = 0.05
_CARRIED_WITHIN_M = 0.6
_CARRIED_ABOVE_M = 0.25


@dataclass
class Task:
    """One task of the executive: when it ran, and whether it has ended well."""

    name: str
    began_s: float
    ended_s: float | None = None
    done: bool = False


@dataclass(frozen=True)
class TrueObject:
    """Where an object truly is (3,) in the world, and what it is."""

    name: str
    category: str
    place_m: FloatArray


class FetchRun(Run):
    """A fetch has succeeded when the executive says so and the object truly is in the hand, at the place."""

    server = "fetch (mission)"

    def __init__(self, place: Goal, search_places: Sequence[str], config: DirectorConfig) -> None:
        super().__init__(config)
        self.place, self.search_places = place, tuple(search_places)
        self.tasks: list[Task] = []
        self.error = ""
        self._done = 0
        self._first: dict[str, FloatArray] = {}
        self._objects: dict[str, TrueObject] = {}
        self._lift_m = 0.0
        self._own_touches = 0

    @property
    def doing(self) -> str:
        return f"while the task was {self.tasks[-1].name!r}" if self.tasks else "before its first task"

    def on_objects(self, objects: Sequence[TrueObject]) -> None:
        """Where all objects truly are."""
        self._objects = {one.name: one for one in objects if one.category == self.config.fetch}
        for one in self._objects.values():
            first = self._first.setdefault(one.name, one.place_m)
            self._lift_m = max(self._lift_m, float(one.place_m[2] - first[2]))

    def on_task(self, now_s: float, name: str, done: Sequence[str]) -> None:
        """The executive says what it does, and all that it has done."""
        ended_well = len(done) > self._done
        self._done = len(done)
        if self.tasks and self.tasks[-1].name == name and self.tasks[-1].ended_s is None:
            return
        self._end_task(now_s, ended_well)
        self.tasks.append(Task(name, now_s))

    def on_result(self, now_s: float, code: str, reason: str) -> None:
        """The executive has ended; `code` is empty where it says that all went well. The truth decides."""
        self._end_task(now_s, not code)
        self.error = code
        if code:
            self.finish(now_s, False, f"{code}: {reason}")
            return
        wrong = self._wrong()
        what = f"{self.config.fetch} fetched and brought to {self.place.name}, no collision"
        self.finish(now_s, not wrong, wrong or what)

    def begin(self, now_s: float) -> Step:
        return Step.SEND

    def go_on(self, now_s: float, server_ready: bool) -> Step:
        return Step.WAIT

    def lacks(self) -> list[str]:
        return super().lacks() + ([] if self._objects else [f"no {self.config.fetch} on sim/objects (simulator)"])

    def may_touch(self, touches: Sequence[str]) -> bool:
        """What is carried may touch the arm that carries it; that is counted by itself."""
        own = all(touch.partition("/")[2] in self._objects for touch in touches)
        self._own_touches += own
        return own

    def facts(self) -> Facts:
        facts: Facts = {
            "object": self.config.fetch,
            "bring_to": self.place.name,
            "place_x_m": round(float(self.place.world_T_goal[0]), 3),
            "place_y_m": round(float(self.place.world_T_goal[1]), 3),
            "found": any(task.done and task.name.startswith("find ") for task in self.tasks),
            "picked": self._lift_m >= _LIFTED_M,
            "lift_m": round(self._lift_m, 3),
            "object_touches": self._own_touches,
            "tasks": len(self.tasks),
        }
        if self.error:
            facts["error"] = self.error
        if np.isfinite(error_m := self.distance_m(self.place.world_T_goal[:2])):
            facts["place_error_m"] = round(error_m, 3)
        for number, task in enumerate(self.tasks):
            facts |= _task_facts(f"task_{number}_", task)
        return facts

    def _end_task(self, now_s: float, done: bool) -> None:
        if self.tasks and self.tasks[-1].ended_s is None:
            self.tasks[-1].ended_s, self.tasks[-1].done = now_s, done

    def _wrong(self) -> str:
        """What of the executive's success is not true; empty where all is."""
        error_m = self.distance_m(self.place.world_T_goal[:2])
        if not error_m <= self.config.goal_tolerance_m:
            return f"the executive says that {self.place.name!r} is reached, but it is {error_m:.2f} m away"
        if not any(self._is_carried(one) for one in self._objects.values()):
            return f"the executive says that it holds a {self.config.fetch}, but none is in its hand"
        return ""

    def _is_carried(self, one: TrueObject) -> bool:
        return self.distance_m(one.place_m[:2]) <= _CARRIED_WITHIN_M and one.place_m[2] >= _CARRIED_ABOVE_M


def _task_facts(prefix: str, task: Task) -> Facts:
    facts: Facts = {f"{prefix}name": task.name, f"{prefix}began_s": round(task.began_s, 2), f"{prefix}done": task.done}
    if task.ended_s is not None:
        facts[f"{prefix}ended_s"] = round(task.ended_s, 2)
    return facts
