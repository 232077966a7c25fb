# SPDX-License-Identifier: Apache-2.0
"""The learned driving policy in BARN's worlds: under the shield, without it, and the classical tracker beside it.

Protocol, task and time limit are those of the bench `barn`: come within 1 m of the goal, 10 m ahead, in 100 s. All
three get the same worlds, the same noise and nothing but scan, odometry and goal. The policy was trained in generated
worlds of seeds from 1,000,000 on; those of --generated lie below 500,000, and the published ones are never trained on.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from barn import choose_worlds, metrics_of, plot, print_drives
from barn_drive import CONTROL_PERIOD_S, Drive, Driver, Task

from axon_planner.config import PlannerConfig
from axon_planner.runtime import Navigator
from axon_policy.config import PolicyConfig
from axon_policy.runtime import DrivePolicy
from axon_safety.config import SafetyConfig
from axon_sim.barn import generate_barn, list_barn, load_barn
from axon_sim.planar import PlanarConfig, PlanarSimulator

KINDS = ("policy", "unshielded", "tracker")
OF_PEERS = ("success", "collision", "timeout", "score", "time_mean_s")
FIRST_TRAINED_SEED = 500_000

Latency = tuple[float, float]
"""Median and 95th percentile of the network's time in one drive, in seconds; NaN where there is no network."""
Drives = dict[str, list[tuple[Drive, Latency]]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options beside --data (folder with the BARN worlds), --json and --seed."""
    parser.add_argument("--generated", type=int, metavar="N", help="drive N generated worlds, no data needed")
    parser.add_argument("--worlds", default="50", metavar="W", help="a count, evenly spread; all; a list: 1,5,151")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes (default: 2)")
    parser.add_argument("--model", default="policy", help="name of a shipped network, or path of an ONNX file")
    parser.add_argument("--plot", type=Path, metavar="DIR", help="draw every run of the policy into this folder")


def main(args: argparse.Namespace) -> dict[str, float]:
    """Drive every world three times; print the policy's runs. Raises ValueError for what is not there."""
    data, indices = worlds_of(args)
    drives = drive_all([Task(data, index, 0, args.seed) for index in indices], args.model, args.jobs)
    print_drives([drive for drive, _ in drives["policy"]])
    if args.plot:
        for drive, _ in drives["policy"]:
            plot(drive, data, args.plot)
    return numbers_of(drives)


def worlds_of(args: argparse.Namespace) -> tuple[str | None, list[int]]:
    """Folder and indices of the worlds asked for."""
    if args.generated:
        indices = [1000 * (args.seed + 1) + i for i in range(args.generated)]
        if not 0 < args.generated <= 1000 or max(indices) >= FIRST_TRAINED_SEED:
            raise ValueError(f"--generated {args.generated} --seed {args.seed}: expected at most 1000 and below 498")
        return None, indices
    if args.data:
        return str(args.data), choose_worlds(list_barn(args.data), args.worlds)
    raise ValueError("no worlds: give --data DIR (the BARN worlds) or --generated N")


def numbers_of(drives: Drives) -> dict[str, float]:
    """The policy's means under their own names, those of its peers with the peer's name before them."""
    means = {kind: metrics_of([drive for drive, _ in runs], 1.0) for kind, runs in drives.items()}
    numbers = {key: value for key, value in means["policy"].items() if key != "speedup"}
    p50_s, p95_s = np.median([latency for _, latency in drives["policy"]], axis=0)
    numbers |= {"network_p50_ms": 1000.0 * float(p50_s), "network_p95_ms": 1000.0 * float(p95_s)}
    peers = (kind for kind in drives if kind != "policy")
    return numbers | {f"{kind}_{key}": means[kind][key] for kind in peers for key in OF_PEERS}


def drive_all(tasks: list[Task], model: str, jobs: int) -> Drives:
    """All tasks by all kinds of drivers, in `jobs` processes."""
    os.environ.update(OMP_NUM_THREADS="1", NUMBA_NUM_THREADS="1")
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        calls = {kind: [pool.submit(run, kind, model, task) for task in tasks] for kind in KINDS}
        return {kind: [call.result() for call in runs] for kind, runs in calls.items()}


class PolicyDriver(Driver):
    """Drives as `Driver` does, the policy in the navigator's place; without the shield where so asked."""

    def __init__(self, model: str, shielded: bool = True) -> None:
        self.config, self.shielded = PlanarConfig(), shielded
        self.navigator = DrivePolicy(PolicyConfig(model=model, control_rate_hz=1.0 / CONTROL_PERIOD_S))
        self.safety = SafetyConfig(rate_hz=1.0 / CONTROL_PERIOD_S)
        self.navigator.warm_up()

    def _control(self, simulator: PlanarSimulator, shield: object) -> tuple[bool, str, str]:
        if self.shielded:
            return super()._control(simulator, shield)
        odometry, age_s = simulator.odometry(), min(simulator.scan_age_s, 1.0)
        step = self.navigator.step(
            simulator.time_s, odometry.odom_T_base, odometry.velocity, simulator.scan(), self.config.base_T_laser, age_s
        )
        simulator.step(step.command, CONTROL_PERIOD_S)
        return step.over, step.reason, ""


class TrackerDriver(Driver):
    """The classical navigator alone, without the learned refiner of its paths."""

    def __init__(self) -> None:
        self.config = PlanarConfig()
        self.navigator = Navigator(PlannerConfig(control_rate_hz=1.0 / CONTROL_PERIOD_S, refine=False))
        self.safety = SafetyConfig(rate_hz=1.0 / CONTROL_PERIOD_S)
        self.navigator.warm_up()


@cache
def driver_of(kind: str, model: str) -> Driver:
    """The process's own driver, made once."""
    return TrackerDriver() if kind == "tracker" else PolicyDriver(model, kind == "policy")


def run(kind: str, model: str, task: Task) -> tuple[Drive, Latency]:
    """One drive, and what the network took in it."""
    driver = driver_of(kind, model)
    world = generate_barn(task.index) if task.data_dir is None else load_barn(task.data_dir, task.index)
    seed = int(np.random.SeedSequence([task.seed, task.index, task.run]).generate_state(1)[0])
    drive = replace(driver.drive(world, seed), index=task.index, run=task.run)
    if not isinstance(driver, PolicyDriver):
        return drive, (float("nan"),) * 2
    latency = driver.navigator.network.latency.summary()
    return drive, (latency.p50_s, latency.p95_s)
