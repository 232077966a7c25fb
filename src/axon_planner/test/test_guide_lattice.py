# SPDX-License-Identifier: Apache-2.0
"""The guide's lattice: what it joins is what the grid joins, whatever a network says that it costs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import label

from axon_planner.guide import Guide, Moves, guided_path, untaught
from axon_planner.guide_lattice import BLOCK, CHANNELS, channel_scales, lay, mean_costs

EIGHT = np.ones((3, 3), bool)


def any_costs(seed):
    """A network of random answers over two orders of magnitude."""
    rng = np.random.default_rng(seed)
    return lambda cells: (untaught(cells) * 10.0 ** rng.uniform(-1.0, 1.0, untaught(cells).shape)).astype(np.float32)


def regions(blocked, moves):
    return label(~blocked, EIGHT if moves.cuts_corners else None)[0]


@pytest.mark.parametrize("moves", Moves)
def test_nodes_are_the_connected_parts_of_blocks(moves):
    free = np.random.default_rng(0).random((48, 60)) < 0.6
    answer = np.tile(channel_scales(moves.cuts_corners), (12, 15, 1))
    graph = lay(free, answer, moves.cuts_corners)
    for block in range(12 * 15):
        row, col = BLOCK * (block // 15), BLOCK * (block % 15)
        parts, count = label(free[row : row + BLOCK, col : col + BLOCK], EIGHT if moves.cuts_corners else None)
        masks = graph.masks[graph.first[block] : graph.first[block + 1]]
        expected = {sum(1 << bit for bit in np.flatnonzero(parts == k + 1)) for k in range(count)}
        assert set(masks.tolist()) == expected and len(masks) == count


@pytest.mark.parametrize("moves", Moves)
@pytest.mark.parametrize("shape", [(30, 37), (75, 70)])
@pytest.mark.parametrize("share", [0.2, 0.4, 0.55])
def test_the_lattice_sees_a_way_exactly_where_there_is_one(moves, shape, share):
    blocked = np.random.default_rng(3).random(shape) < share
    reading, region = Guide(any_costs(1)).read(blocked, moves), regions(blocked, moves)
    for goal in np.argwhere(~blocked)[::150]:
        goal = tuple(map(int, goal))
        assert (np.isfinite(reading.towards(goal).cost_to_go()) == (region == region[goal])).all()


def test_two_sides_of_a_wall_of_one_cell_are_as_far_as_the_way_through_its_door():
    blocked = np.zeros((80, 90), bool)
    blocked[:, 41], blocked[70, 41] = True, False
    ahead = Guide(untaught).read(blocked).towards((10, 44))
    exact = guided_path(blocked, (10, 38), (10, 44), bound=1.0).cost
    assert exact > 120.0 and ahead.cost_to_go()[10, 38] == pytest.approx(exact, rel=0.03)


def test_edges_lead_both_ways_at_the_same_cost():
    blocked = np.random.default_rng(5).random((72, 72)) < 0.3
    for moves in Moves:
        graph = Guide(any_costs(2)).read(blocked, moves).graph
        begins = np.repeat(np.arange(len(graph.masks)), np.diff(graph.begin))
        there = dict(zip(zip(begins.tolist(), graph.to.tolist(), strict=True), graph.cost.tolist(), strict=True))
        assert len(there) == len(graph.to) > 1000
        assert all(there[b, a] == cost for (a, b), cost in there.items())


@pytest.mark.parametrize("moves", Moves)
def test_a_sweep_towards_a_start_settles_fewer_nodes_and_never_finds_less_than_the_cheapest(moves):
    blocked = np.random.default_rng(6).random((160, 160)) < 0.2
    start, goal = (tuple(map(int, cell)) for cell in np.argwhere(regions(blocked, moves) == 1)[[3000, 5000]])
    for network, equal in ((untaught, True), (any_costs(4), False)):
        reading = Guide(network).read(blocked, moves)
        whole, drawn = reading.towards(goal), reading.towards(goal, start)
        found = [guided_path(blocked, start, goal, ahead, moves=moves) for ahead in (whole, drawn)]
        assert 0 < drawn.swept < whole.swept and all(f.found for f in found)
        exact, reached = whole.cost_to_go()[start], drawn.cost_to_go()[start]
        assert reached >= exact - 1e-3
        if equal:  # distances of an empty map: what is expected to remain is then never too much
            assert reached == pytest.approx(exact, rel=1e-5)


def test_costs_of_cells_weigh_the_lattice_by_their_mean_over_a_block():
    blocked = np.random.default_rng(7).random((80, 84)) < 0.2
    goal = tuple(map(int, np.argwhere(~blocked)[2000]))
    guide = Guide(untaught)
    plain = guide.read(blocked).towards(goal).cost_to_go()
    even = guide.read(blocked, cost=np.full(blocked.shape, 2.5)).towards(goal).cost_to_go()
    reached = np.isfinite(plain)
    assert even[reached] == pytest.approx(2.5 * plain[reached], rel=1e-5)
    cost = np.random.default_rng(8).uniform(1.0, 9.0, (8, 12))
    free = np.random.default_rng(9).random((8, 12)) < 0.6
    free[:4, :4] = False
    means = mean_costs(free, cost)
    assert means[0, 0] == 1.0
    assert means[1, 2] == pytest.approx(cost[4:, 8:][free[4:, 8:]].mean(), rel=1e-6)


@pytest.mark.parametrize("side", [512, 1024])
def test_a_large_map_is_read_and_searched_with_the_shipped_network(side):
    blocked = np.zeros((side, side - 60), bool)
    blocked[::32], blocked[:, ::32] = True, True  # rooms with doors of one cell
    doors = np.random.default_rng(side).integers(1, 31, (side // 32 + 1, side // 32 + 1))
    for (row, col), at in np.ndenumerate(doors):
        for cell in ((32 * row, 32 * col + at), (32 * row + at, 32 * col)):
            if cell[0] < side and cell[1] < side - 60:
                blocked[cell] = False
    start, goal = (5, 5), (side - 7, side - 90)
    reading = Guide.load("guide").read(blocked)
    assert reading.graph.answer.shape == (side // BLOCK, (side - 60) // BLOCK, CHANNELS)
    ahead = reading.towards(goal, start)
    best = guided_path(blocked, start, goal, bound=1.0)
    found = guided_path(blocked, start, goal, ahead)
    assert best.cost - 1e-6 <= found.cost <= 1.05 * best.cost
    assert found.expanded < 0.25 * best.expanded and found.expanded + ahead.swept < best.expanded
