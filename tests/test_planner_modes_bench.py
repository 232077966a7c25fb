# SPDX-License-Identifier: Apache-2.0
"""The bench of all planners: what its numbers must be, whatever the machine."""

from __future__ import annotations

import argparse
import math

import numpy as np
import planner_modes
import pytest


@pytest.fixture(scope="module")
def numbers():
    args = argparse.Namespace(worlds=1, problems=1, repeat=1, seed=3, data=None, json=None)
    return planner_modes.main(args)


def test_every_planner_finds_its_way_and_no_path_of_poses_comes_over_an_obstacle(numbers):
    assert numbers["problems"] == 2
    for name in planner_modes.CASES:
        assert numbers[f"{name}_found"] == 1.0 and numbers[f"{name}_ms_p50"] > 0.0
    for name in ("footprint", "long_footprint", "car_hybrid"):
        assert numbers[f"{name}_hits"] == 0.0
    assert 0.9 < numbers["theta_length_ratio"] < 1.1


def test_the_numbers_of_maps_are_those_of_their_problems(tmp_path):
    rows = ["." * 30] * 30
    rows[15] = "@" * 29 + "."
    (tmp_path / "wall.map").write_text("type octile\nheight 30\nwidth 30\nmap\n" + "\n".join(rows) + "\n")
    straight = 14 * math.sqrt(2.0) + 15.0  # from the left end of row 0 down to beside the gap, and back under the wall
    lines = ["version 1", f"0 wall.map 30 30 0 0 29 15 {straight}", f"0 wall.map 30 30 0 0 29 15 {straight}"]
    (tmp_path / "wall.map.scen").write_text("\n".join(lines) + "\n")
    args = argparse.Namespace(worlds=1, problems=2, repeat=1, seed=0)
    measured = planner_modes.measure_maps([tmp_path / "wall.map"], args)
    assert measured["maps"] == 1
    assert measured["maps_theta_length_ratio_max"] <= 1.0 + 1e-9
    for weight in ("1.1", "1.5", "3"):
        assert 1.0 - 1e-9 <= measured[f"maps_weighted_{weight}_length_ratio"] <= float(weight)


def test_without_a_peer_its_numbers_are_left_out_and_that_is_said(monkeypatch, capsys):
    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr(planner_modes.importlib, "import_module", absent)
    assert planner_modes.ompl_parts() is None and planner_modes.mcp_module() is None
    said = capsys.readouterr().out
    assert "ompl is not installed" in said and "skimage.graph is not installed" in said


def test_ratios_count_only_problems_that_both_have_solved():
    rows = [
        {"a_found": 1.0, "b_found": 1.0, "a_length": 2.0, "b_length": 1.0, "a_ms": 3.0, "b_ms": 1.0},
        {"a_found": 1.0, "b_found": 0.0, "a_length": 9.0, "a_ms": 9.0, "b_ms": 1.0},
    ]
    assert planner_modes.ratios(rows, "a", "b") == {"a_length_ratio": 2.0, "a_time_ratio": 3.0}
    assert np.isfinite(list(planner_modes.ratios(rows, "a", "b").values())).all()
