# SPDX-License-Identifier: Apache-2.0
"""The policy's bench: its worlds, what it refuses, the names of its numbers, and drives of the shipped network."""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
import policy_navigate as bench
import pytest
from barn_drive import Drive

from axon_sim.barn import generate_barn


def options(**given) -> argparse.Namespace:
    return argparse.Namespace(**{"generated": None, "data": None, "seed": 0, "worlds": "50", **given})


def test_generated_worlds_are_never_those_of_the_training():
    indices = {index for seed in (0, 1, 497) for index in bench.worlds_of(options(generated=50, seed=seed))[1]}
    assert len(indices) == 150 and max(indices) < bench.FIRST_TRAINED_SEED
    with pytest.raises(ValueError, match="498"):
        bench.worlds_of(options(generated=50, seed=500))


def test_without_worlds_the_bench_says_how_to_get_some():
    with pytest.raises(ValueError, match="--data DIR"):
        bench.worlds_of(options())


def test_numbers_of_the_policy_have_plain_names_and_those_of_its_peers_their_own():
    good = Drive(1, 0, "success", "", 12.0, 5.0, 1.0, 0.1, 0.0, np.zeros((1, 3)))
    bad = replace(good, outcome="collision")
    drives = {
        "policy": [(good, (0.001, 0.002)), (good, (0.003, 0.004))],
        "unshielded": [(good, (0.001, 0.002)), (bad, (0.001, 0.002))],
        "tracker": [(good, (np.nan, np.nan))],
    }
    numbers = bench.numbers_of(drives)
    assert numbers["success"] == 1.0 and numbers["collision"] == 0.0 and numbers["network_p50_ms"] == pytest.approx(2.0)
    assert numbers["unshielded_success"] == numbers["unshielded_collision"] == 0.5
    assert numbers["tracker_success"] == 1.0 and "speedup" not in numbers


def test_the_shipped_network_crosses_generated_fields_under_the_shield():
    """Four fields that it was not trained in: most of them to the end, none with a collision, and always the same."""
    driver = bench.driver_of("policy", "policy")
    drives = [driver.drive(generate_barn(200 + seed), seed) for seed in range(4)]
    assert [drive.outcome for drive in drives].count("success") >= 3
    assert all(drive.outcome != "collision" and drive.min_clearance_m > 0.0 for drive in drives)
    again = driver.drive(generate_barn(200), 0)
    np.testing.assert_array_equal(again.path_m, drives[0].path_m)
