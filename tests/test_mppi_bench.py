# SPDX-License-Identifier: Apache-2.0
"""The trackers' bench: one core and all of them back, the peer's costs, its geometry, and a short measured run."""

from __future__ import annotations

import argparse
import os

import mppi
import numpy as np
import pytest

from axon_core.motion import Twist2
from axon_planner.tracker import PathFollower


def test_the_process_gets_its_cores_back_also_after_an_error():
    cores = os.sched_getaffinity(0)
    with pytest.raises(ValueError, match="inside"), mppi.one_core():
        assert len(os.sched_getaffinity(0)) == 1
        raise ValueError("inside")
    assert os.sched_getaffinity(0) == cores


def test_numpy_and_the_compiled_roll_out_agree_at_the_walls_too():
    field, plan = mppi.planned(1003)
    path, follower = plan.path, PathFollower(mppi.CONFIG)
    follower.set_path(path, speeds_mps=plan.speeds_mps)
    rng, dearest = np.random.default_rng(0), 0.0
    for at in rng.integers(0, len(path) - 1, 8):
        pose = path[at] + rng.normal(0.0, [0.15, 0.15, 0.4])
        peer = mppi.Peer([], [])
        mppi.compare(follower, pose, Twist2(rng.uniform(-0.3, 2.0), 0.0, rng.uniform(-1, 1)), field, peer)
        assert peer.cost_error < 1e-9
        arguments = follower.rollout_arguments(pose, Twist2(), field, follower.nearest(pose))
        dearest = max(dearest, follower.sample(arguments)[0].max())
    assert dearest > 100.0  # some of the drives did collide


def test_cross_track_is_the_distance_from_the_line_and_not_from_its_points():
    path = np.array([[0.0, 0.0, 0.0], [4.0, 0.0, 0.0], [4.0, 3.0, 0.0]])
    assert mppi.cross_track_m(path, np.array([2.0, 0.3, 1.0])) == pytest.approx(0.3)
    assert mppi.cross_track_m(path, np.array([4.0, 3.5, 0.0])) == pytest.approx(0.5)


def test_both_trackers_are_measured_on_the_same_path():
    numbers = mppi.main(argparse.Namespace(worlds=1, seed=0))
    assert numbers["mppi_reached"] == numbers["pursuit_reached"] == 1.0
    assert 0.0 < numbers["step_p50_ms"] <= numbers["step_p95_ms"] and numbers["numpy_cost_error"] < 1e-9
    assert 0.0 < numbers["mppi_cross_track_m"] < 0.2 and 0.0 < numbers["pursuit_cross_track_m"] < 0.2
    with pytest.raises(ValueError, match="--worlds 0"):
        mppi.main(argparse.Namespace(worlds=0, seed=0))
