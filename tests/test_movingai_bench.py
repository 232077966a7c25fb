# SPDX-License-Identifier: Apache-2.0
"""The bench of the search on a map in MovingAI's format that is written here."""

from __future__ import annotations

import math

import movingai
import numpy as np
import planner_movingai
import pytest
from harness import make_parser

MAP = ["...@...", "...@...", ".......", "@@@.TT.", "......."]
PROBLEM = "0\tsmall.map\t7\t5\t{}\t{}\t{}\t{}\t{}"


def options(*words):
    return make_parser("planner-movingai", planner_movingai).parse_args(words)


@pytest.fixture
def folder(tmp_path):
    """One map of 5 x 7 cells with two problems, columns before rows as in the format."""
    (tmp_path / "small.map").write_text("\n".join(["type octile", "height 5", "width 7", "map", *MAP]) + "\n")
    rows = [
        PROBLEM.format(0, 0, 6, 0, f"{2 + 4 * math.sqrt(2):.8f}"),
        PROBLEM.format(0, 4, 0, 2, "8.00000000"),
    ]
    (tmp_path / "small.map.scen").write_text("\n".join(["version 1", *rows]) + "\n")
    return tmp_path


def test_published_lengths_are_met_and_peers_are_timed_on_the_same_problems(folder):
    numbers = planner_movingai.main(options("--data", str(folder), "--problems", "2", "--heapq-every", "1"))
    blocked = movingai.read_map(folder / "small.map")
    assert blocked.shape == (5, 7) and blocked.sum() == 7
    for problem in planner_movingai.chosen(folder / "small.map", 2, np.random.default_rng(0)):
        plain = planner_movingai.plain_astar(blocked, problem.start, problem.goal)
        assert plain == pytest.approx(planner_movingai.find_path(blocked, problem.start, problem.goal).cost)
    assert numbers["optimal"] == 1.0 and numbers["problems"] == 2
    assert numbers["time_ratio_heapq"] > 0.0 and numbers["time_ratio_astar"] > 0.0


def test_a_length_that_is_not_the_published_one_is_not_optimal(folder):
    text = (folder / "small.map.scen").read_text()
    (folder / "small.map.scen").write_text(text.replace("8.00000000", "7.41421356"))
    numbers = planner_movingai.main(options("--data", str(folder), "--problems", "2", "--heapq-every", "0"))
    assert numbers["optimal"] == 0.5


def test_what_is_no_map_and_an_empty_folder_are_named(folder, tmp_path_factory):
    with pytest.raises(ValueError, match=r"no \.map\.scen in it"):
        planner_movingai.main(options("--data", str(tmp_path_factory.mktemp("empty"))))
    with pytest.raises(ValueError, match="expected the folder"):
        planner_movingai.main(options())
    (folder / "small.map").write_text("not a map\n")
    with pytest.raises(ValueError, match="expected the four lines"):
        planner_movingai.main(options("--data", str(folder)))
