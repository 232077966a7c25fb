# SPDX-License-Identifier: Apache-2.0
"""One drive through a BARN world: planner and shield in closed loop with the planar simulator, as the nodes run."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from threading import Barrier

import numpy as np
from dwa import DwaNavigator

from axon_core.geometry import se2_apply, se2_inverse
from axon_planner.config import PlannerConfig
from axon_planner.runtime import Navigator
from axon_safety.config import SafetyConfig
from axon_safety.runtime import OBSTACLE, Shield
from axon_sim.barn import BarnWorld, barn_score, generate_barn, load_barn
from axon_sim.planar import PlanarConfig, PlanarSimulator

CONTROL_PERIOD_S = 0.05
TIME_LIMIT_S = 100.0
GOAL_RADIUS_M = 1.0


@dataclass(frozen=True)
class Task:
    """World `index` of a data folder, or generated from that number where there is none; the run's seed and tracker."""

    data_dir: str | None
    index: int
    run: int
    seed: int
    tracker: str = "mppi"


@dataclass(frozen=True)
class Drive:
    """How a run ended: "success", "collision" or "timeout" (100 s, or the planner gave up: see `reason`)."""

    index: int
    run: int
    outcome: str
    reason: str
    time_s: float
    optimal_time_s: float
    wall_s: float
    min_clearance_m: float
    held_back: float
    path_m: np.ndarray

    @property
    def score(self) -> float:
        return barn_score(self.outcome == "success", self.time_s, self.optimal_time_s)


class Driver:
    """Holds the compiled parts, so that one process drives many worlds."""

    def __init__(self, tracker: str = "mppi") -> None:
        self.config = PlanarConfig()
        self.navigator = _navigator(tracker)
        self.safety = SafetyConfig(rate_hz=1.0 / CONTROL_PERIOD_S)
        self.navigator.warm_up()
        self.drive(generate_barn(0), seed=0, time_limit_s=0.5)

    def drive(
        self, world: BarnWorld, seed: int, time_limit_s: float = TIME_LIMIT_S, index: int = 0, run: int = 0
    ) -> Drive:
        """Drive from start to goal; the robot gets its scan, its odometry and the goal, nothing else."""
        began = time.perf_counter()
        simulator = PlanarSimulator(world, self.config, seed=seed)
        shield = Shield(self.safety, self.config.base_T_laser)
        self.navigator.reset()
        self.navigator.set_goal(np.append(se2_apply(se2_inverse(world.start), world.goal[None])[0], 0.0))
        poses, clearance_m, held_back, outcome, reason = [simulator.pose], math.inf, 0, "", ""
        while not outcome:
            over, reason, limited_by = self._control(simulator, shield)
            held_back += limited_by == OBSTACLE
            poses.append(simulator.pose)
            clearance_m = min(clearance_m, simulator.clearance_m)
            outcome = _outcome(simulator, world, over, time_limit_s)
        wall_s = time.perf_counter() - began
        optimal_s, steps = world.optimal_time_s, len(poses) - 1
        return Drive(
            index,
            run,
            outcome,
            reason,
            simulator.time_s,
            optimal_s,
            wall_s,
            clearance_m,
            held_back / steps,
            np.array(poses),
        )

    def _control(self, simulator: PlanarSimulator, shield: Shield) -> tuple[bool, str, str]:
        """One control period: sense, plan, shield, move."""
        t_s, odometry, scan, age_s = simulator.time_s, simulator.odometry(), simulator.scan(), simulator.scan_age_s
        navigation = self.navigator.step(
            t_s, odometry.odom_T_base, odometry.velocity, scan, self.config.base_T_laser, min(age_s, 1.0)
        )
        safe = shield.step(
            t_s, navigation.command, odometry.velocity, scan, age_s, t_s - odometry.stamp_s, odometry.odom_T_base
        )
        simulator.step(safe.command, CONTROL_PERIOD_S)
        return navigation.over, navigation.reason, safe.limited_by


def _navigator(tracker: str) -> Navigator:
    """The navigator with one of its own controllers, or with the dynamic window."""
    period = PlannerConfig(control_rate_hz=1.0 / CONTROL_PERIOD_S)
    return DwaNavigator(period) if tracker == "dwa" else Navigator(replace(period, controller=tracker))


def _outcome(simulator: PlanarSimulator, world: BarnWorld, over: bool, time_limit_s: float) -> str:
    """The verdict by the true pose, "" while the run goes on."""
    if simulator.collided:
        return "collision"
    if np.hypot(*(simulator.pose[:2] - world.goal)) <= GOAL_RADIUS_M:
        return "success"
    return "timeout" if over or simulator.time_s >= time_limit_s else ""


_drivers: dict[str, Driver] = {}


def start_worker(ready: Barrier, trackers: tuple[str, ...]) -> None:
    """Compile everything in a fresh process, then wait until the others have; release them where it fails."""
    try:
        _drivers.update({tracker: Driver(tracker) for tracker in trackers})
    except BaseException:
        ready.abort()
        raise
    ready.wait(timeout=600.0)


def run_task(task: Task) -> Drive:
    """Drive one run in a worker that `start_worker` has prepared."""
    world = generate_barn(task.index) if task.data_dir is None else load_barn(task.data_dir, task.index)
    seed = int(np.random.SeedSequence([task.seed, task.index, task.run]).generate_state(1)[0])
    return replace(_drivers[task.tracker].drive(world, seed), index=task.index, run=task.run)
