# SPDX-License-Identifier: Apache-2.0
"""Nodes as processes: how they start, what the README's example does, and how they end."""

import signal
import sys
import time
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import LaserScan, Range

from axon_ros.conversions import header
from axon_ros.qos import RESULT
from axon_ros.testing import isolated_domain, process, spin_until

SLOW = Path(__file__).with_name("slow_node.py")


def wait_for(predicate, timeout_s=10.0):
    deadline = time.monotonic() + timeout_s
    while not (value := predicate()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return value


def test_the_readmes_example_works(ros_node, example):
    results, statuses = [], []
    ros_node.create_subscription(Range, "robot1/nearest", results.append, RESULT)
    ros_node.create_subscription(DiagnosticArray, "/diagnostics", statuses.append, RESULT)
    publisher = ros_node.create_publisher(LaserScan, "robot1/scan", RESULT)
    command = [sys.executable, str(example), "--ros-args", "-r", "__ns:=/robot1", "-p", "bias_m:=0.5"]
    with process(command) as node:
        msg = LaserScan(angle_increment=0.1, range_min=0.1, range_max=10.0, ranges=[3.0, 2.0, float("inf")])
        msg.header = header(ros_node.get_clock().now().to_msg(), "laser")
        ros_node.create_timer(0.1, lambda: publisher.publish(msg))  # best effort: the first may be lost
        assert spin_until(ros_node, lambda: results)
        assert results[0].range == pytest.approx(2.5) and results[0].header == msg.header
        assert spin_until(ros_node, lambda: statuses)
        assert statuses[0].status[0].name == "robot1/nearest"
        assert node.stop(signal.SIGINT) == 0
        assert "Traceback" not in node.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_load_is_interrupted_cleanly(processes, number):
    node = processes([sys.executable, str(SLOW), "loading"])
    assert wait_for(lambda: "loading" in node.output)
    begin = time.monotonic()
    node.send(number)
    node.send(signal.SIGINT)  # as a terminal and a launcher do, both
    assert node.wait(5.0) == 0 and time.monotonic() - begin < 3.0
    assert "Traceback" not in node.output


def test_a_node_may_end_by_itself(processes):
    assert processes([sys.executable, str(SLOW), "finishing"]).wait(10.0) == 7


def test_a_callback_that_always_raises_does_not_kill(processes):
    node = processes([sys.executable, str(SLOW), "failing"])
    assert wait_for(lambda: "unexpected KeyError: 'every time'" in node.output)
    time.sleep(0.5)
    assert node.alive and node.output.count("every time") <= 2
    assert node.stop(signal.SIGTERM) == 0


def test_an_error_in_taking_neither_silences_nor_deafens(processes):
    node = processes([sys.executable, str(SLOW), "untakable"])
    assert wait_for(lambda: node.output.count("lives") >= 3), node.output
    assert "unexpected UnboundLocalError" in node.output
    assert node.stop(signal.SIGTERM, 5.0) == 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--ros-args", "-p", "bias:=1.0"], "unknown parameter 'bias': did you mean 'bias_m'?"),
        (["--ros-args", "-p", "bias_m:=5.0"], "bias_m = 5.0: expected -1.0 .. 1.0 m"),
        (["--ros-args", "--params-file", "none.yaml"], "Error opening YAML file"),
        (["--frobnicate"], "unknown argument '--frobnicate'"),
    ],
)
def test_arguments_that_do_not_fit_end_with_one_line(processes, example, arguments, text):
    node = processes([sys.executable, str(example), *arguments])
    assert node.wait(10.0) == 2
    (line,) = node.output.splitlines()
    assert line.startswith("NearestNode: ") and text in line


def test_two_tests_never_share_a_domain():
    with isolated_domain() as first, isolated_domain() as second:
        assert first != second


def test_a_process_group_ends_with_its_test():
    with process(["bash", "-c", "trap '' INT TERM; sleep 77 & sleep 77"]) as shell:
        assert wait_for(lambda: _children(shell.popen.pid))
        children = _children(shell.popen.pid)
    assert wait_for(lambda: not any(_running(pid) for pid in children))


def _children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def _running(pid):
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()
