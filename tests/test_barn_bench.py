# SPDX-License-Identifier: Apache-2.0
"""The BARN bench: which worlds it picks, what it refuses, how it counts, and one drive of planner and shield."""

from __future__ import annotations

import argparse
from dataclasses import replace

import barn
import numpy as np
import pytest
from barn_drive import Drive, Driver

from axon_sim.barn import BarnWorld, generate_barn


def test_a_count_is_spread_evenly_over_what_is_there():
    available = list(range(0, 500, 2))
    chosen = barn.choose_worlds(available, "20")
    assert len(chosen) == len(set(chosen)) == 20
    assert chosen[0] == available[0] and chosen[-1] == available[-1]
    assert max(np.diff(chosen)) - min(np.diff(chosen)) <= 2
    assert barn.choose_worlds(available, "all") == available
    assert barn.choose_worlds(available, "4,2,") == [4, 2]


@pytest.mark.parametrize("wanted", ["0", "9999", "some", "3,", "1.5"])
def test_worlds_that_are_not_there_are_refused(wanted):
    with pytest.raises(ValueError, match="--worlds"):
        barn.choose_worlds([2, 4, 6], wanted)


def test_without_worlds_the_bench_says_how_to_get_some():
    with pytest.raises(ValueError, match="--data DIR"):
        barn.main(argparse.Namespace(generated=None, data=None, seed=0))


def test_metrics_are_means_over_all_runs():
    good = Drive(1, 0, "success", "", 20.0, 5.0, 1.0, 0.1, 0.0, np.zeros((1, 3)))
    bad = [replace(good, outcome="collision", time_s=4.0), replace(good, outcome="timeout", time_s=100.0)]
    metrics = barn.metrics_of([good, good, *bad], wall_s=2.0)
    assert metrics["success"] == 0.5 and metrics["collision"] == metrics["timeout"] == 0.25
    assert metrics["score"] == pytest.approx(0.5 * 0.25)
    assert metrics["speedup"] == pytest.approx((20 + 20 + 4 + 100) / 2)


@pytest.fixture(scope="module")
def driver() -> Driver:
    return Driver()


def test_planner_and_shield_cross_generated_worlds_without_a_map(driver: Driver):
    drives = [driver.drive(generate_barn(100 + seed), seed) for seed in range(4)]
    assert [drive.outcome for drive in drives] == ["success"] * 4
    assert all(drive.time_s >= 9.0 / 2.0 and drive.min_clearance_m > 0.0 for drive in drives)
    again = driver.drive(generate_barn(100), 0)
    np.testing.assert_array_equal(again.path_m, drives[0].path_m)


def test_a_closed_field_ends_without_collision(driver: Driver):
    wall = np.column_stack([np.arange(-6.0, 2.0, 0.15), np.full(54, 7.0)])
    lane = np.vstack([generate_barn(100).cylinders_m, wall])
    world = BarnWorld(lane, path_m=np.array([[-2.25, 5.0], [-2.25, 9.5]]))
    drive = driver.drive(world, 1, time_limit_s=15.0)
    assert drive.outcome == "timeout" and drive.score == 0.0
