# SPDX-License-Identifier: Apache-2.0
"""The examination notices every broken promise; a node that breaks none passes it."""

import functools
import sys
from pathlib import Path

import pytest

from axon_ros import conformance

# What is broken together, in one life of the faulty node, and under which promise and by which words it is noticed.
LIVES = [
    (
        conformance.by_hand,
        {
            "no description": ("descriptions", "'bare' has no description"),
            "absolute name": ("relative names", "['/nearest']"),
            "poor diagnostics": ("diagnostics", "lacks ['cpu_s']"),
            "takes anything": ("refusals", "'choice' = 'no such choice' is taken"),
            "accepts NaN": ("bad inputs", "expected ['with NaN only'"),
            "traceback": ("clean end", "RuntimeError: at the end"),
        },
    ),
    (
        conformance.by_hand,
        {
            "no range": ("descriptions", "'boundless' is a number without range"),
            "ignores autostart": ("autostart", "autostart is false, but"),
            "fast diagnostics": ("diagnostics", "expected every second"),
            "refuses everything": ("changes", "'gain' = 1.0, as it is, is refused"),
            "raises on NaN": ("bad inputs", "unexpected errors"),
            "exit code": ("clean end", "exit code 1 after SIGINT"),
        },
    ),
    (
        conformance.by_hand,
        {
            "unwatched input": ("absence", "no entry 'in /conformance/imu'"),
            "dies of NaN": ("bad inputs", "one kills it"),
        },
    ),
    (conformance.by_hand, {"sulks": ("next good input", "are not accepted"), "hangs": ("clean end", "goes on")}),
    (
        conformance.by_hand,
        {"cannot return": ("lifecycle", "step 4: not inactive"), "no diagnostics": ("diagnostics", "0 statuses")},
    ),
    (
        conformance.in_simulated_time,
        {"wall clock": ("simulated time", "not stamped with /clock"), "exit code": ("clean end", "after SIGTERM")},
    ),
    (conformance.with_an_unknown_parameter, {"ignores files": ("unknown parameters", "that does not exist")}),
]
CASES = [(life, fault) for life, (_, faults) in enumerate(LIVES) for fault in faults]


@functools.cache
def violations(life):
    check, faults = LIVES[life]
    return check([sys.executable, str(Path(__file__).with_name("faulty_node.py")), ",".join(faults)])


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("life", "fault"), CASES, ids=[f"{fault} ({life})" for life, fault in CASES])
def test_a_broken_promise_is_noticed(life, fault):
    promise, words = LIVES[life][1][fault]
    assert words in violations(life).get(promise, ""), violations(life)


def test_nothing_else_is_said_of_it():
    for life, (_, faults) in enumerate(LIVES[:2]):
        assert violations(life).keys() == {promise for promise, _ in faults.values()}


@pytest.mark.timeout(180)
def test_a_node_that_breaks_nothing_passes():
    assert conformance.examine([sys.executable, str(Path(__file__).with_name("faulty_node.py")), "none"]) == {}
