# SPDX-License-Identifier: Apache-2.0
"""The executive without ROS: `begin` a fetch, `tick` it often, read its report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from py_trees.behaviour import Behaviour
from py_trees.common import Status

from axon_mission.config import MissionConfig
from axon_mission.sightings import Sighting, Sightings
from axon_mission.skills import Code, Failure, Skills
from axon_mission.tasks import Fetch
from axon_mission.tree import fetch_tree

_BLAME = (Code.NO_WAY, Code.NOT_FOUND, Code.NOT_PICKED, Code.MISSING_SKILL, Code.LOST_OBJECT)
"""Of several failures the one farthest on in this row is the fetch's: what came nearest to the goal tells most."""


@dataclass(frozen=True)
class Report:
    """How a fetch stands. `over` with Code.NONE: it has succeeded; else `reason` says what failed, and why."""

    task: str
    why: str
    done: tuple[str, ...]
    over: bool = False
    code: Code = Code.NONE
    reason: str = ""


class Mission:
    """One fetch at a time."""

    def __init__(self, config: MissionConfig, skills: Skills) -> None:
        self.config = config
        self._skills = skills
        self._sightings = Sightings(config)
        self._fetch: Fetch | None = None
        self._tree: Behaviour | None = None
        self._began_s = 0.0

    @property
    def busy(self) -> bool:
        """Whether a fetch goes on."""
        return self._fetch is not None

    def reconfigure(self, config: MissionConfig) -> None:
        """Use other parameters; what goes on keeps its places and numbers of attempts."""
        self.config = self._sightings.config = config
        if self._fetch is not None:
            self._fetch.config = config

    def observe(self, sighting: Sighting) -> None:
        """Take a detection in; one from afar is left out."""
        if not self.busy:
            return
        try:
            base = self._skills.base_pose()
        except Failure:
            return
        if np.linalg.norm(sighting.place_m[:2] - base[:2]) <= self.config.sighting_range_m:
            self._sightings.add(sighting)

    def check(self, class_id: str, search_places: Sequence[str], bring_to: str) -> None:
        """Raise Failure(BAD_GOAL) for a goal that cannot be meant."""
        known = self.config.poses
        if not class_id:
            raise Failure(Code.BAD_GOAL, "class_id is empty: name what to fetch, 'mug' for instance")
        if not known:
            raise Failure(Code.BAD_GOAL, "no places are known: set the parameter places")
        for place in [*search_places, *([bring_to] if bring_to else [])]:
            if place not in known:
                raise Failure(Code.BAD_GOAL, f"unknown place {place!r}: known are {', '.join(known)}")

    def begin(self, class_id: str, search_places: Sequence[str], bring_to: str) -> None:
        """Begin a fetch. Raises Failure(BAD_GOAL)."""
        self.check(class_id, search_places, bring_to)
        self.stop()
        self._sightings.forget()
        self._fetch = Fetch(class_id, self.config, self._skills, self._sightings)
        places = search_places or [name for name in self.config.poses if name != bring_to]
        self._tree = fetch_tree(self._fetch, places or [bring_to], bring_to)
        self._began_s = self._skills.now_s()

    def tick(self) -> Report:
        """Go on. After a report that is `over` no fetch goes on."""
        fetch, tree = self._fetch, self._tree
        assert fetch is not None and tree is not None, "tick without begin"
        task = self._running(tree)
        if self._skills.now_s() - self._began_s > self.config.timeout_s:
            reason = f"{task}: not done within {self.config.timeout_s:g} s{_tail(fetch.said)}"
            return self._end(task, Code.TIMEOUT, reason)
        if waiting := self._await_skills():
            return waiting
        tree.tick_once()
        if tree.status is Status.RUNNING:
            return Report(self._running(tree), _why(fetch), tuple(fetch.done))
        return self._conclude(tree, fetch)

    def stop(self) -> None:
        """Break the fetch off: what it waits for is cancelled, the base stands."""
        if self._tree is not None:
            self._tree.stop(Status.INVALID)
        self._fetch = self._tree = None

    def _await_skills(self) -> Report | None:
        """Before the first tick of the tree: wait for what it needs."""
        assert self._fetch is not None and self._tree is not None
        if self._tree.status is not Status.INVALID or not (missing := self._skills.missing()):
            return None
        if self._skills.now_s() - self._began_s > self.config.startup_timeout_s:
            return self._end("wait for skills", Code.MISSING_SKILL, "; ".join(missing))
        return Report("wait for skills", "; ".join(missing), ())

    def _conclude(self, tree: Behaviour, fetch: Fetch) -> Report:
        if tree.status is Status.SUCCESS:
            return self._end("", Code.NONE, "")
        return self._end(fetch.failures[-1][0], _blamed(fetch), "; ".join(_lines(fetch)))

    def _end(self, task: str, code: Code, reason: str) -> Report:
        assert self._fetch is not None
        done = tuple(self._fetch.done)
        self.stop()
        return Report(task, reason, done, True, code, reason)

    @staticmethod
    def _running(tree: Behaviour) -> str:
        tip = tree.tip()
        return tip.name if tip is not None else "wait for skills"


def _blamed(fetch: Fetch) -> Code:
    codes = [failure.code for _, failure in fetch.failures]
    return max(codes, key=lambda code: _BLAME.index(code) if code in _BLAME else len(_BLAME))


def _lines(fetch: Fetch) -> list[str]:
    """Each failed task with its reason, once."""
    return list(dict.fromkeys(f"{task}: {failure}" for task, failure in fetch.failures))


def _why(fetch: Fetch) -> str:
    """What is known of the running task: its own word, else how the last one failed."""
    return fetch.said or (_lines(fetch)[-1] if fetch.failures else "")


def _tail(text: str) -> str:
    return f" ({text})" if text else ""
