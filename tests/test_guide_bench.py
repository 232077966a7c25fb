# SPDX-License-Identifier: Apache-2.0
"""The guide's benches and its training: what they measure by, and that its slopes are those of its costs."""

from __future__ import annotations

import guide_movingai
import guide_mpd
import guide_robot
import movingai
import numpy as np
import pytest
import torch
from harness import make_parser

from axon_planner.config import PlannerConfig
from axon_planner.guide import Moves, guided_path
from axon_planner.guide_lattice import channel_scales
from training import guide as recipe
from training.guide_data import FAMILIES, exact_costs, largest_region, make_map


@pytest.mark.parametrize("moves", Moves)
def test_slopes_of_lattice_costs_are_their_finite_differences(moves):
    rng = torch.Generator().manual_seed(0)
    cells = np.zeros((1, 2, 24, 24), np.float32)
    cells[0, 0], cells[0, 1] = (torch.rand(24, 24, generator=rng) < 0.75).numpy(), moves is Moves.MOORE
    answers = torch.from_numpy(channel_scales(moves.cuts_corners)) * (0.7 + torch.rand(1, 6, 6, 58, generator=rng))
    region = np.argwhere(largest_region(cells[0, 0] < 0.5, moves.cuts_corners))
    goals, starts = np.array([[0, *region[len(region) // 2]]]), region[None]
    direction = torch.randn(answers.shape, generator=rng)

    def total(step):
        return recipe.LatticeCost.apply(answers + step * direction, cells, goals, starts).double().sum().item()

    variable = answers.clone().requires_grad_()
    recipe.LatticeCost.apply(variable, cells, goals, starts).sum().backward()
    with torch.no_grad():
        assert (total(1e-3) - total(-1e-3)) / 2e-3 == pytest.approx((variable.grad * direction).sum().item(), rel=0.02)


@pytest.mark.parametrize("moves", Moves)
def test_exact_costs_are_those_of_the_search(moves):
    rng = np.random.default_rng(4)
    blocked = make_map(rng, 48, 40)
    cells = np.argwhere(largest_region(blocked, moves.cuts_corners))
    goal = tuple(map(int, cells[0]))
    costs = exact_costs(blocked, *goal, moves.diagonal, moves.cuts_corners)
    for cell in cells[:: max(1, len(cells) // 20)]:
        found = guided_path(blocked, tuple(map(int, cell)), goal, bound=1.0, moves=moves)
        assert found.cost == pytest.approx(costs[tuple(cell)], abs=1e-3)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_every_family_draws_the_same_map_from_the_same_seed_at_any_size(family):
    for shape in ((32, 32), (70, 100), (160, 130)):
        one, other = (family(np.random.default_rng(3), *shape) for _ in range(2))
        assert one.shape == shape and one.dtype == bool and (one == other).all()


def test_starts_come_from_the_far_half_and_astar_agrees_with_the_distances():
    blocked = make_map(np.random.default_rng(8), 32, 32)
    goal = tuple(map(int, np.argwhere(largest_region(blocked, True))[0]))
    exact = exact_costs(blocked, *goal, 1.0, True)
    distance = np.where(np.isfinite(exact), exact, -1.0)
    starts = guide_mpd.draw_starts(distance, np.random.default_rng(0))
    assert starts.shape == (15, 2)
    assert distance[tuple(starts.T)].min() >= np.percentile(distance[distance >= 0], 55.0)
    for start in starts:
        assert guide_mpd.plain_astar(blocked, tuple(map(int, start)), goal)[0] == distance[tuple(start)]
    assert guide_mpd.harmonic(1.0, 0.5) == pytest.approx(2.0 / 3.0) and guide_mpd.harmonic(0.0, 0.5) == 0.0


def test_a_map_and_its_scenario_are_read_as_published(tmp_path):
    (tmp_path / "a.map").write_text("type octile\nheight 2\nwidth 4\nmap\n.G@T\n..W.\n")
    rows = "".join(f"0\ta.map\t4\t2\t0\t0\t1\t{k % 2}\t1.5\n" for k in range(20))
    (tmp_path / "a.map.scen").write_text("version 1\n" + rows)
    blocked = movingai.read_map(tmp_path / "a.map")
    assert (blocked == np.array([[0, 0, 1, 1], [0, 0, 1, 0]], bool)).all()
    problems = guide_movingai.chosen(tmp_path / "a.map", 5)
    assert len(problems) == 5 and all(p.start == (0, 0) and p.goal[1] == 1 and p.length == 1.5 for p in problems)


@pytest.mark.parametrize("bench", [guide_mpd, guide_movingai])
def test_a_folder_without_data_is_refused(bench, tmp_path):
    with pytest.raises(ValueError, match="--data"):
        bench.main(make_parser("guide", bench).parse_args(["--data", str(tmp_path)]))


def test_seeds_of_training_and_validation_do_not_meet():
    assert recipe.VALIDATION_SEEDS < recipe.TRAINING_SEEDS


def test_a_small_set_is_measured_within_the_bound_and_at_its_published_lengths(tmp_path):
    rng = np.random.default_rng(12)
    blocked = make_map(rng, 70, 90)
    cells = np.argwhere(largest_region(blocked, False))
    lines = ["".join("@" if cell else "." for cell in row) for row in blocked]
    (tmp_path / "a.map").write_text("\n".join(["type octile", "height 70", "width 90", "map", *lines]) + "\n")
    rows = []
    for row, col, r, c in cells[rng.integers(0, len(cells), (12, 2))].reshape(12, 4).tolist():
        length = guided_path(blocked, (row, col), (r, c), bound=1.0).cost
        rows.append((length, f"0\ta.map\t90\t70\t{col}\t{row}\t{c}\t{r}\t{length:.8f}\n"))
    (tmp_path / "a.map.scen").write_text("version 1\n" + "".join(line for _, line in sorted(rows)))
    arguments = ["--data", str(tmp_path), "--problems", "5"]
    numbers = guide_movingai.main(make_parser("guide-movingai", guide_movingai).parse_args(arguments))
    assert numbers["bound_violations"] == 0 and numbers["problems"] == 5 and numbers["maps"] == 1
    assert 1.0 <= numbers["cost_ratio"] <= numbers["cost_ratio_max"] <= numbers["bound"]
    assert numbers["expansion_ratio"] < numbers["expansion_ratio_lattice_counted"]
    (tmp_path / "a.map.scen").write_text("version 1\n" + rows[0][1].replace(rows[0][1].split("\t")[-1], "0.5\n"))
    with pytest.raises(ValueError, match="the scenario says"):
        guide_movingai.main(make_parser("guide-movingai", guide_movingai).parse_args(arguments))


def test_a_robots_costmap_is_searched_within_the_bound_of_its_planner():
    numbers = guide_robot.main(make_parser("guide-robot", guide_robot).parse_args(["--worlds", "1"]))
    assert numbers["bound_violations"] == 0 and numbers["problems"] >= 1
    assert 1.0 <= numbers["cost_ratio"] <= numbers["bound"] == PlannerConfig().guide_bound
