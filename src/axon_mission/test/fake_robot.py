# SPDX-License-Identifier: Apache-2.0
"""A robot in a few lines: it drives at once, creeps as it is told, sees what stands near, picks where it can reach."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from axon_core.geometry import se2_compose
from axon_core.motion import Twist2
from axon_mission.config import MissionConfig
from axon_mission.runtime import Mission, Report
from axon_mission.sightings import Sighting
from axon_mission.skills import Job

TICK_S = 0.05
SEES_M = 1.5
CONFIG = MissionConfig(places=("sofa=1.0,3.0,1.57", "table=4.0,0.0,0.0", "home=0.0,0.0,0.0"))


@dataclass
class FakeRobot:
    """The tree's `Skills`. What shall go wrong is set from outside; `calls` says what was asked, in order."""

    things: dict[str, np.ndarray] = field(default_factory=dict)
    obstacles_m: np.ndarray = field(default_factory=lambda: np.empty((0, 2)))
    unreachable: set[tuple[float, ...]] = field(default_factory=set)
    pick_failures: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    pose: np.ndarray = field(default_factory=lambda: np.zeros(3))
    time_s: float = 100.0
    width_m: float = 0.08
    wall_x_m: float = np.inf
    tall_m: float = 0.1
    calls: list[str] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    hangs: set[str] = field(default_factory=set)
    velocity: Twist2 | None = None

    def now_s(self) -> float:
        return self.time_s

    def missing(self) -> list[str]:
        return self.absent

    def base_pose(self) -> np.ndarray:
        return self.pose

    def obstacles_near(self, point_m: np.ndarray, radius_m: float) -> np.ndarray:
        return self.obstacles_m

    def grip_width_m(self) -> float:
        return self.width_m

    def move_base(self, velocity: Twist2 | None) -> None:
        self.velocity = velocity

    def drive_to(self, map_T_base: np.ndarray) -> Job:
        job = self._job("drive")
        if tuple(np.round(map_T_base, 2)) in self.unreachable:
            job.fail("no path")
        elif "drive" not in self.hangs:
            self.pose = np.array(map_T_base)
            job.succeed()
        return job

    def look(self, tilt_rad: float) -> Job:
        return self._done("look")

    def move_arm(self, joints_rad: tuple[float, ...]) -> Job:
        return self._done("fold")

    def pick(self, class_id: str, target_m: np.ndarray) -> Job:
        job = self._job("pick")
        if self.pick_failures:
            job.fail(self.pick_failures.pop(0))
        else:
            self.width_m = 0.05
            job.succeed()
        return job

    def step(self) -> None:
        """Let a tick pass."""
        self.time_s += TICK_S
        if self.velocity is not None:
            moved = se2_compose(self.pose, [self.velocity.vx_mps * TICK_S, 0.0, self.velocity.wz_radps * TICK_S])
            if moved[0] <= self.wall_x_m:
                self.pose = moved

    def sightings(self) -> list[Sighting]:
        """What the detector says in this tick."""
        return [
            Sighting(self.time_s, name.split("_")[0], 0.9, place, self.tall_m)
            for name, place in self.things.items()
            if np.linalg.norm(place[:2] - self.pose[:2]) < SEES_M
        ]

    def _job(self, what: str) -> Job:
        self.calls.append(what)
        job = Job(withdraw=lambda: self.calls.append(f"cancel {what}"))
        self.jobs.append(job)
        return job

    def _done(self, what: str) -> Job:
        job = self._job(what)
        job.succeed()
        return job


def play(mission: Mission, robot: FakeRobot, longest_s: float = 300.0, watch=lambda report: None) -> Report:
    """Tick until the fetch is over; returns its last report."""
    for _ in range(round(longest_s / TICK_S)):
        report = mission.tick()
        watch(report)
        if report.over:
            return report
        robot.step()
        for sighting in robot.sightings():
            mission.observe(sighting)
    raise AssertionError(f"not over after {longest_s} s: {report}")
