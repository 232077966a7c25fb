# SPDX-License-Identifier: Apache-2.0
"""A planner or a shield that is killed mid-drive: the robot stops, the runner starts it again, the drive finishes."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from nav_msgs.msg import Odometry

from axon_ros.qos import SENSOR
from axon_ros.testing import process, ros_node, spin_until

__all__ = ["ros_node"]

ROOT = Path(__file__).resolve().parents[1]
STOP_WITHIN_S = 1.2  # simulated: silence is noticed within 0.3 s, then the base brakes


class Watch:
    """What the simulator says of the robot's true motion: stamps (s) and speeds (m/s)."""

    def __init__(self, node):
        self.node, self.stamps, self.speeds = node, [], []
        node.create_subscription(Odometry, "sim/ground_truth", self._on_truth, SENSOR)

    def _on_truth(self, msg: Odometry) -> None:
        self.stamps.append(msg.header.stamp.sec + 1e-9 * msg.header.stamp.nanosec)
        self.speeds.append(abs(msg.twist.twist.linear.x))

    def wait_until_driving(self, timeout_s: float) -> bool:
        return spin_until(self.node, lambda: self.speeds and self.speeds[-1] > 0.4, timeout_s)

    def stops(self) -> bool:
        """Whether the robot stands within `STOP_WITHIN_S` of simulated time from now on."""
        begin = len(self.stamps)
        spin_until(self.node, lambda: self.stamps[-1] > self.stamps[begin - 1] + STOP_WITHIN_S, 20.0)
        return float(np.min(self.speeds[begin:])) < 0.02


def kill(runner_pid: int, executable: str) -> None:
    """SIGKILL the one process below the runner that runs `executable`."""
    below = psutil.Process(runner_pid).children(recursive=True)
    found = [child for child in below if any(executable in word for word in child.cmdline())]
    assert len(found) == 1, f"{executable}: {found}"
    found[0].send_signal(signal.SIGKILL)


@pytest.mark.timeout(300)
def test_a_killed_planner_and_a_killed_shield_stop_the_robot_and_the_drive_finishes(ros_node, tmp_path):
    watch = Watch(ros_node)
    arguments = {"world": "barn-like:5", "out_dir": tmp_path, "timeout_s": 200.0, "record": "false"}
    words = [f"{name}:={value}" for name, value in arguments.items()]
    launch = [sys.executable, "-m", "axon_launch", str(ROOT / "launch" / "demo.launch.yaml"), *words]
    with process(launch) as runner:
        for executable in ("planner_node", "safety_node"):
            assert watch.wait_until_driving(60.0), runner.output
            kill(runner.popen.pid, executable)
            assert watch.stops(), f"{executable} was killed, the robot drives on\n{runner.output}"
        deadline_s = time.monotonic() + 200.0
        while runner.alive and time.monotonic() < deadline_s:
            spin_until(ros_node, lambda: not runner.alive, 5.0)
        assert not runner.alive and runner.wait(1.0) == 0, runner.output
        assert runner.output.count("again") >= 2, runner.output
