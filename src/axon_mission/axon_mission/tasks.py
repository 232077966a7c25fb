# SPDX-License-Identifier: Apache-2.0
"""The tasks of a fetch: generators that yield while they wait, return when done, and raise Failure with the reason.

Breaking one off (`close()`) cancels what it waits for: that is how a cancelled goal, a time-out and a lost object end
a drive on its way.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from axon_core.motion import Twist2
from axon_mission.approach import (
    Stand,
    creep,
    point_in_base,
    reach_distance_m,
    stands,
    tilt_to,
    turned,
    way_left,
)
from axon_mission.config import MissionConfig
from axon_mission.sightings import Sightings, Spot
from axon_mission.skills import Code, Failure, Skills

FloatArray = NDArray[np.float64]
Steps = Iterator[None]
_STALLED_AFTER_S = 2.5
_PAUSE_S = 4.0
_PROGRESS_M = 0.01
_BACK_OFF_MPS = -0.12


@dataclass
class Fetch:
    """What one fetch knows: its goal, where the object is, from how far it is reached, how wide the gripper took it."""

    class_id: str
    config: MissionConfig
    skills: Skills
    sightings: Sightings
    target_m: FloatArray | None = None
    reach_m: float = 0.0
    approaches: int = 0
    held_width_m: float | None = None
    failures: list[tuple[str, Failure]] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    said: str = ""

    def spot(self, since_s: float = -np.inf, near: bool = False) -> Spot | None:
        """The object as it was seen lately; `near` only where it is thought to be."""
        return self.sightings.best(self.class_id, self.skills.now_s(), self.target_m if near else None, since_s)

    def wait_s(self, seconds: float) -> Steps:
        """Yield for a while."""
        until_s = self.skills.now_s() + seconds
        while self.skills.now_s() < until_s:
            yield


def go_to(fetch: Fetch, name: str) -> Steps:
    """Drive to a place, with the camera ahead."""
    yield from fetch.skills.look(fetch.config.drive_tilt_rad).wait(Code.MISSING_SKILL)
    pose = fetch.config.poses[name]
    for attempt in range(1, fetch.config.drive_attempts + 1):
        try:
            yield from fetch.skills.drive_to(pose).wait(Code.NO_WAY)
            return
        except Failure as failure:
            fetch.said = f"drive {attempt} to {name}: {failure}"
            if attempt == fetch.config.drive_attempts:
                raise
            yield from fetch.wait_s(_PAUSE_S)  # a planner that has just started may not know the map's frame yet


def find(fetch: Fetch) -> Steps:
    """Look around from here until the object has been seen at one spot often enough."""
    here = fetch.skills.base_pose()
    fetch.sightings.forget()
    for turn_rad in fetch.config.look_turns_rad:
        if turn_rad != 0.0:
            yield from _try_to_turn(fetch, turned(here, turn_rad))
        for tilt_rad in fetch.config.look_tilts_rad:
            yield from fetch.skills.look(tilt_rad).wait(Code.MISSING_SKILL)
            if (yield from _watch(fetch, fetch.config.look_s)):
                return
    raise Failure(Code.NOT_FOUND, f"not seen often enough from here: {_seen(fetch)}")


def look_again(fetch: Fetch) -> Steps:
    """Look where the object is thought to be; look around where it is not there any more."""
    yield from _look_at_target(fetch)
    if not (yield from _watch(fetch, fetch.config.look_s, since_s=fetch.skills.now_s())):
        yield from find(fetch)


def approach(fetch: Fetch) -> Steps:
    """Drive to where the arm reaches the object: to the beginning of a straight way first, then along it, slowly."""
    assert fetch.target_m is not None
    choices = _choose_stands(fetch, fetch.target_m)
    fetch.approaches += 1
    for number, stand in enumerate(choices, 1):
        try:
            yield from fetch.skills.look(fetch.config.drive_tilt_rad).wait(Code.MISSING_SKILL)
            yield from fetch.skills.drive_to(stand.run_up).wait(Code.NOT_PICKED)
            yield from _look_at_target(fetch)
            yield from _come_near(fetch, stand)
            return
        except Failure as failure:
            fetch.said = f"side {number} of {len(choices)}: {failure}"
            if number == len(choices):
                raise Failure(Code.NOT_PICKED, f"no side of {len(choices)} to stand at: {failure}") from failure


def pick(fetch: Fetch) -> Steps:
    """Pick the object from here. Where that fails, step back and fold the arm, to come again."""
    assert fetch.target_m is not None
    yield from _look_at_target(fetch)
    yield from _watch(fetch, fetch.config.look_s, since_s=fetch.skills.now_s(), near=True)
    try:
        yield from fetch.skills.pick(fetch.class_id, fetch.target_m).wait(Code.NOT_PICKED)
        fetch.held_width_m = fetch.skills.grip_width_m()
    except Failure:
        yield from back_off(fetch)
        yield from fetch.skills.move_arm(fetch.config.folded_rad).wait(Code.MISSING_SKILL)
        raise


def back_off(fetch: Fetch) -> Steps:
    """Step straight back from the table; the arm is folded by then, with what it holds."""
    began = fetch.skills.base_pose()
    try:
        yield from _reverse(fetch, began)
    finally:
        fetch.skills.move_base(None)


def check_held(fetch: Fetch) -> None:
    """Raise Failure where the fingers have closed further than they were around the object."""
    assert fetch.held_width_m is not None
    width_m = fetch.skills.grip_width_m()
    if width_m < fetch.config.held_share * fetch.held_width_m:
        raise Failure(
            Code.LOST_OBJECT,
            f"the gripper has closed from {1e3 * fetch.held_width_m:.0f} to {1e3 * width_m:.0f} mm: nothing is in it",
        )


def _try_to_turn(fetch: Fetch, pose: FloatArray) -> Steps:
    """A turn that fails costs a view, not the search."""
    try:
        yield from fetch.skills.drive_to(pose).wait(Code.NO_WAY)
    except Failure as failure:
        fetch.said = f"turn: {failure}"


def _watch(fetch: Fetch, seconds: float, since_s: float = -np.inf, near: bool = False) -> Generator[None, None, bool]:
    """Yield until the object is seen, at most for a while; return whether it was, its place in `target_m`."""
    until_s = fetch.skills.now_s() + seconds
    while (spot := fetch.spot(since_s, near)) is None and fetch.skills.now_s() < until_s:
        yield
    if spot is None:
        return False
    fetch.target_m, fetch.reach_m = spot.place_m, reach_distance_m(spot.top_m, fetch.config)
    x, y, z = spot.place_m
    fetch.said = f"{fetch.class_id} at x {x:.2f}, y {y:.2f}, z {z:.2f} m, seen {spot.count} times"
    return True


def _look_at_target(fetch: Fetch) -> Steps:
    assert fetch.target_m is not None
    distance_m = float(np.linalg.norm(point_in_base(fetch.skills.base_pose(), fetch.target_m)))
    tilt_rad = tilt_to(distance_m, float(fetch.target_m[2]), fetch.config)
    yield from fetch.skills.look(tilt_rad).wait(Code.MISSING_SKILL)


def _choose_stands(fetch: Fetch, target_m: FloatArray) -> list[Stand]:
    """The stands to try, best first; each time that the object is approached again another one comes first."""
    config, reach_m = fetch.config, fetch.reach_m
    if reach_m == 0.0:
        raise Failure(Code.NOT_PICKED, f"at a height of {target_m[2]:.2f} m it is out of the arm's reach")
    radius_m = reach_m + config.run_up_m + config.footprint.circumscribed_radius_m + 0.3
    obstacles_m = fetch.skills.obstacles_near(target_m[:2], radius_m)
    found = stands(target_m[:2], reach_m, fetch.skills.base_pose(), obstacles_m, config)[: config.stand_attempts]
    if not found:
        raise Failure(
            Code.NOT_PICKED, f"no free place to stand within the arm's reach of {reach_m:.2f} m for its height"
        )
    first = fetch.approaches % len(found)
    return found[first:] + found[:first]


def _come_near(fetch: Fetch, stand: Stand) -> Steps:
    """Creep until the object is at the stand's distance, or until the shield says that it goes no nearer."""
    assert fetch.target_m is not None
    skills, target_m = fetch.skills, fetch.target_m
    best, progress_s = np.inf, skills.now_s()
    try:
        while True:
            point = point_in_base(skills.base_pose(), target_m)
            velocity, left = creep(point, stand.distance_m, fetch.config), way_left(point, stand.distance_m)
            if velocity is None:
                return
            if left < best - _PROGRESS_M:
                best, progress_s = left, skills.now_s()
            if skills.now_s() - progress_s > _STALLED_AFTER_S:
                return _check_reach(fetch, float(np.linalg.norm(point)))
            skills.move_base(velocity)
            yield
    finally:
        skills.move_base(None)


def _check_reach(fetch: Fetch, distance_m: float) -> None:
    if distance_m > fetch.reach_m:
        raise Failure(
            Code.NOT_PICKED, f"the base comes no nearer than {distance_m:.2f} m, the arm reaches {fetch.reach_m:.2f} m"
        )


def _reverse(fetch: Fetch, began: FloatArray) -> Steps:
    """Drive straight back for `run_up_m`, or until that goes no further."""
    skills = fetch.skills
    until_s = skills.now_s() + fetch.config.run_up_m / abs(_BACK_OFF_MPS) + _STALLED_AFTER_S
    while skills.now_s() < until_s and np.linalg.norm(skills.base_pose()[:2] - began[:2]) < fetch.config.run_up_m:
        skills.move_base(Twist2(_BACK_OFF_MPS, 0.0, 0.0))
        yield


def _seen(fetch: Fetch) -> str:
    return fetch.sightings.words(fetch.skills.now_s(), fetch.class_id)
