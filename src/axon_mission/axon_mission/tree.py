# SPDX-License-Identifier: Apache-2.0
"""The tree of a fetch, of py_trees: what follows what, and what is tried where something fails.

    fetch (sequence)
      search (selector): for each place
        look at PLACE (sequence)
          go to PLACE, find OBJECT
          acquire OBJECT (retry): look again, approach, pick
      carry (sequence): step back
      bring (sequence without memory): OBJECT is held, go to PLACE

The last one asks at every tick whether the object is still held, and breaks the drive off where it is not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from py_trees.behaviour import Behaviour
from py_trees.common import Status
from py_trees.composites import Selector
from py_trees.composites import Sequence as Chain
from py_trees.decorators import Retry

from axon_mission import tasks
from axon_mission.skills import Failure
from axon_mission.tasks import Fetch, Steps


class Task(Behaviour):
    """A leaf that runs a generator of `tasks`; its failure's reason is kept in the fetch."""

    def __init__(self, name: str, fetch: Fetch, work: Callable[[], Steps]) -> None:
        super().__init__(name)
        self._fetch, self._work = fetch, work
        self._steps: Steps = iter(())

    def initialise(self) -> None:
        self._fetch.said = ""
        self._steps = self._work()

    def update(self) -> Status:
        try:
            next(self._steps)
            return Status.RUNNING
        except StopIteration:
            self._fetch.done.append(self.name)
            return Status.SUCCESS
        except Failure as failure:
            self._fetch.failures.append((self.name, failure))
            return Status.FAILURE

    def terminate(self, new_status: Status) -> None:
        self._steps.close()


class Held(Behaviour):
    """A condition: the object is in the gripper."""

    def __init__(self, fetch: Fetch) -> None:
        super().__init__(f"{fetch.class_id} is held")
        self._fetch = fetch

    def update(self) -> Status:
        try:
            tasks.check_held(self._fetch)
            return Status.SUCCESS
        except Failure as failure:
            self._fetch.failures.append((self.name, failure))
            return Status.FAILURE


def fetch_tree(fetch: Fetch, places: Sequence[str], bring_to: str) -> Behaviour:
    """Return the tree that searches the places in this order, and brings the object where `bring_to` says."""
    search = Selector("search", memory=True, children=[_look_at(fetch, place) for place in places])
    carry = Task(f"step back with {fetch.class_id}", fetch, partial(tasks.back_off, fetch))
    return Chain("fetch", memory=True, children=[search, carry, *([_bring(fetch, bring_to)] if bring_to else [])])


def _look_at(fetch: Fetch, place: str) -> Behaviour:
    go_to = Task(f"go to {place}", fetch, partial(tasks.go_to, fetch, place))
    find = Task(f"find {fetch.class_id} at {place}", fetch, partial(tasks.find, fetch))
    acquire = Retry(f"acquire {fetch.class_id}", _acquire(fetch), fetch.config.pick_attempts)
    return Chain(f"look at {place}", memory=True, children=[go_to, find, acquire])


def _acquire(fetch: Fetch) -> Behaviour:
    steps = [("look again at", tasks.look_again), ("approach", tasks.approach), ("pick", tasks.pick)]
    children = [Task(f"{verb} {fetch.class_id}", fetch, partial(work, fetch)) for verb, work in steps]
    return Chain(f"take {fetch.class_id}", memory=True, children=children)


def _bring(fetch: Fetch, place: str) -> Behaviour:
    bring = Task(f"bring {fetch.class_id} to {place}", fetch, partial(tasks.go_to, fetch, place))
    return Chain("bring", memory=False, children=[Held(fetch), bring])
