# SPDX-License-Identifier: Apache-2.0
"""A field of cylinders, driven by the nodes as processes, ends as it does with the ROS-free classes alone."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from axon_planner.config import PlannerConfig
from axon_planner.runtime import Navigator
from axon_ros.testing import domain, processes
from axon_safety.config import SafetyConfig
from axon_safety.runtime import Shield
from axon_sim.barn import BarnWorld, generate_barn, load_barn
from axon_sim.planar import PlanarSimulator

__all__ = ["domain", "processes"]

ROOT = Path(__file__).resolve().parents[1]
LIMIT_S = 60.0
DATA = Path(os.environ.get("AXON_BARN_DIR", ROOT.parent / "shared" / "data" / "barn"))
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"no BARN data in {DATA}; set AXON_BARN_DIR")


def core_drives(world: BarnWorld, seed: int) -> bool:
    """Whether navigator and shield bring the planar robot to within a metre of the goal."""
    simulator, navigator = PlanarSimulator(world, seed=seed), Navigator(PlannerConfig())
    shield = Shield(SafetyConfig(), simulator.config.base_T_laser)
    navigator.set_goal(np.array([world.goal[1] - world.start[1], world.start[0] - world.goal[0], 0.0]))
    while simulator.time_s < LIMIT_S and np.linalg.norm(simulator.pose[:2] - world.goal) > 1.0:
        odometry, scan, age_s = simulator.odometry(), simulator.scan(), simulator.scan_age_s
        laser = simulator.config.base_T_laser
        step = navigator.step(simulator.time_s, odometry.odom_T_base, odometry.velocity, scan, laser, age_s)
        command = shield.step(simulator.time_s, step.command, odometry.velocity, scan, age_s).command
        if not simulator.step(command, 0.05):
            return False
    return bool(np.linalg.norm(simulator.pose[:2] - world.goal) <= 1.0)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", ["barn-like:5", pytest.param("barn:151", marks=needs_data)])
def test_nodes_and_core_both_cross_the_field(name, processes, tmp_path):
    kind, number = name.split(":")
    assert core_drives(generate_barn(int(number)) if kind == "barn-like" else load_barn(DATA, int(number)), seed=5)
    launch = [sys.executable, "-m", "axon_launch", str(ROOT / "launch" / "demo.launch.yaml")]
    arguments = {
        "world": name,
        "data_dir": DATA,
        "planner_config": ROOT / "config" / "barn" / "planner.yaml",
        "out_dir": tmp_path,
        "timeout_s": LIMIT_S,
        "record": "false",
    }
    runner = processes([*launch, *(f"{name}:={value}" for name, value in arguments.items())])
    assert runner.wait(200.0) == 0, runner.output
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["success"] is True and summary["collisions"] == 0, runner.output
