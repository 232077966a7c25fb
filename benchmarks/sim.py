# SPDX-License-Identifier: Apache-2.0
"""How fast the simulator runs: alone, and as a node with a subscriber in another process.

The robot turns in the apartment with RGB-D at 320x240 and 10 Hz, lidar 10 Hz, odometry and IMU 50 Hz, all subscribed.
`rtf` is simulated seconds a wall second through the node, running free; `rtf_core` the same without ROS. `step_us` is
one 2 ms physics step, `scan_us` one turn of the lidar, `render_ms` one colour and depth image, `cpu` the cores that the
node takes, `*_hz` what arrives in the other process a simulated second.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable
from statistics import median

import psutil
import rclpy
from geometry_msgs.msg import Twist
from nav_msgs.msg import Odometry
from rclpy.executors import SingleThreadedExecutor
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, Imu, LaserScan

from axon_core.motion import Twist2
from axon_ros.qos import COMMAND, SENSOR
from axon_ros.testing import isolated_domain, process
from axon_sim.config import TICK_S, SimConfig
from axon_sim.simulator import Simulator

TOPICS = {
    "color": (Image, "camera/color/image_raw"),
    "depth": (Image, "camera/depth/image_raw"),
    "scan": (LaserScan, "scan"),
    "odom": (Odometry, "odom"),
    "imu": (Imu, "imu"),
}
TURN = Twist2(0.0, 0.0, 0.5)
START_TIMEOUT_S = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--world", default="apartment", help="world to run in (default: apartment)")
    parser.add_argument("--seconds", type=float, default=15.0, help="wall time through the node (default: 15)")


def main(args: argparse.Namespace) -> dict[str, float]:
    """Return the numbers of both runs."""
    return {**measure_core(args.world, args.seed), **measure_node(args.world, args.seed, args.seconds)}


def measure_core(world: str, seed: int) -> dict[str, float]:
    """Time the parts of the simulator, and all of them together, in this process."""
    simulator = Simulator.from_config(SimConfig(world=world, seed=seed))
    simulator.render()
    begin = time.perf_counter()
    for _ in range(round(5.0 / TICK_S)):
        simulator.command_velocity(TURN)
        simulator.step(render=True)
    rtf_core = 5.0 / (time.perf_counter() - begin)
    tick_s = _median_s(lambda: simulator.step(), 400)
    scan_s = _median_s(lambda: simulator.lidar.measure(simulator.data), 100)
    render_s = _median_s(simulator.render, 30)
    simulator.close()
    substeps = TICK_S / simulator.model.opt.timestep
    return {
        "rtf_core": rtf_core,
        "step_us": 1e6 * tick_s / substeps,
        "scan_us": 1e6 * scan_s,
        "render_ms": 1e3 * render_s,
    }


def measure_node(world: str, seed: int, seconds: float) -> dict[str, float]:
    """Run the node free in a process of its own, subscribed to from this one."""
    parameters = (f"world:={world}", f"seed:={seed}", "real_time_factor:=0.0")
    arguments = [word for parameter in parameters for word in ("-p", parameter)]
    with isolated_domain(), process([sys.executable, "-m", "axon_sim.node", "--ros-args", *arguments]) as node:
        listener = Listener()
        try:
            return listener.measure(node.popen.pid, seconds)
        finally:
            rclpy.try_shutdown()
            node.stop()


class Listener:
    """Subscribes to the robot and counts what comes."""

    def __init__(self) -> None:
        rclpy.init(args=[])
        self.node = rclpy.create_node("bench_sim")
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.counts: Counter[str] = Counter()
        self.time_s = 0.0
        for name, (kind, topic) in TOPICS.items():
            self.node.create_subscription(kind, topic, self._counter(name), SENSOR)
        self.node.create_subscription(Clock, "/clock", self._on_clock, SENSOR)
        self.command = self.node.create_publisher(Twist, "cmd_vel", COMMAND)

    def measure(self, pid: int, seconds: float) -> dict[str, float]:
        """Wait until everything comes, then count for a while."""
        self._spin_until(lambda: all(self.counts[name] >= 3 for name in TOPICS), START_TIMEOUT_S)
        missing = [topic for name, (_, topic) in TOPICS.items() if self.counts[name] < 3]
        if missing:
            raise RuntimeError(f"nothing came on {', '.join(missing)} within {START_TIMEOUT_S} s")
        usage = psutil.Process(pid)
        cpu_begin, sim_begin, begin = _cpu_s(usage), self.time_s, time.perf_counter()
        self.counts.clear()
        self._spin_until(lambda: False, seconds)
        wall_s, sim_s = time.perf_counter() - begin, self.time_s - sim_begin
        rates = {f"{name}_hz": self.counts[name] / sim_s for name in TOPICS}
        return {"rtf": sim_s / wall_s, "cpu": (_cpu_s(usage) - cpu_begin) / wall_s, **rates}

    def _spin_until(self, done: Callable[[], bool], timeout_s: float) -> None:
        twist = Twist()
        twist.angular.z = TURN.wz_radps
        end = time.perf_counter() + timeout_s
        next_command = 0.0
        while time.perf_counter() < end and not done():
            if time.perf_counter() > next_command:
                self.command.publish(twist)
                next_command = time.perf_counter() + 0.05
            self.executor.spin_once(timeout_sec=0.02)

    def _counter(self, name: str) -> Callable[[object], None]:
        return lambda msg: self.counts.update((name,))

    def _on_clock(self, msg: Clock) -> None:
        self.time_s = msg.clock.sec + 1e-9 * msg.clock.nanosec


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _median_s(function: Callable[[], object], count: int) -> float:
    durations = []
    for _ in range(count):
        begin = time.perf_counter()
        function()
        durations.append(time.perf_counter() - begin)
    return median(durations)
