# SPDX-License-Identifier: Apache-2.0
"""The BARN bench: which worlds it picks, what it refuses, how it counts, and one drive of planner and shield."""

from __future__ import annotations

import argparse
from dataclasses import replace

import barn
import numpy as np
import pytest
from barn_drive import Drive, Driver
from dwa import DynamicWindow

from axon_core.grids import Grid
from axon_core.motion import Twist2
from axon_planner.config import PlannerConfig
from axon_planner.costmap import Costmap
from axon_planner.tracker import FollowStatus
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


def test_peers_are_named_once_and_known():
    assert barn._peers("dwa,pursuit") == ("dwa", "pursuit") and barn._peers("none") == ()
    for wrong in ("teb", "dwa,dwa"):
        with pytest.raises(argparse.ArgumentTypeError, match="dwa, pursuit"):
            barn._peers(wrong)


def test_peers_have_their_own_names_and_ours_is_told_for_the_same_worlds():
    good = Drive(1, 0, "success", "", 10.0, 5.0, 1.0, 0.1, 0.0, np.zeros((1, 3)))
    slow, bad = replace(good, time_s=20.0), replace(good, outcome="collision")
    numbers = barn.peer_metrics([good, bad, good, bad, slow], {"dwa": [bad, slow, slow]}, 2)
    assert numbers["dwa_success"] == pytest.approx(2 / 3) and numbers["dwa_collision"] == pytest.approx(1 / 3)
    assert numbers["dwa_score"] == pytest.approx(0.5 / 3) and numbers["dwa_episodes"] == 3
    assert numbers["mppi_on_dwa_worlds_score"] == pytest.approx((0.5 + 0.5 + 0.25) / 3)


def window_step(wall_x_m: float, speed_mps: float, side: float = 1.0, wall=(-1.0, 1.0), end=(5.0, 0.0)):
    """One step of the dynamic window to `end` before a wall that spans `wall` in y; y times `side` everywhere."""
    config = PlannerConfig(map_size_m=12.0, resolution_m=0.05)
    grid = Grid(np.zeros((240, 240), np.int8), 0.05, np.array([-6.0, -6.0]))
    for y in np.arange(wall[0] + 0.025, wall[1], 0.05):
        grid.data[int(np.floor((side * y + 6.0) / 0.05)), int((wall_x_m + 6.0) / 0.05)] = 100
    costmap = Costmap(config)
    costmap.set_map(grid)
    follower = DynamicWindow(config)
    follower.set_path(np.array([[0.0, 0.0, 0.0], [end[0], side * end[1], 0.0]]))
    follower._last = Twist2(speed_mps, 0.0, 0.0)
    return follower.step(np.zeros(3), Twist2(speed_mps, 0.0, 0.0), costmap.field(), 0.05)


@pytest.mark.parametrize("speed_mps", [0.5, 1.0, 1.5])
def test_the_dynamic_window_admits_only_what_can_still_stop(speed_mps):
    config = PlannerConfig()
    free = window_step(5.5, speed_mps).command
    assert free.vx_mps == pytest.approx(speed_mps + config.max_accel_mps2 * 0.05) and abs(free.wz_radps) < 0.02
    way = speed_mps**2 / (2.0 * config.max_decel_mps2)
    near = window_step(0.5 * config.footprint_length_m + way, speed_mps)
    assert near.status is FollowStatus.BLOCKED
    assert near.command.vx_mps == pytest.approx(speed_mps - config.max_decel_mps2 * 0.05)


def test_the_dynamic_window_of_a_mirrored_scene_is_the_mirrored_one():
    one, other = (window_step(1.0, 0.6, side, (-0.1, 0.7), (2.0, 1.0)).command for side in (1.0, -1.0))
    assert one.vx_mps == pytest.approx(other.vx_mps, abs=1e-6)
    assert one.wz_radps == pytest.approx(-other.wz_radps, abs=1e-6) and abs(one.wz_radps) > 0.05


@pytest.mark.parametrize("tracker", ["dwa", "pursuit"])
def test_peers_cross_a_generated_world_without_contact(tracker):
    drive = Driver(tracker).drive(generate_barn(100), 0)
    assert drive.outcome == "success" and drive.min_clearance_m > 0.0
