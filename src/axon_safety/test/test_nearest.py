# SPDX-License-Identifier: Apache-2.0
"""The nearest admissible command against brute force: admissible, unchanged where it can be, nearest, symmetric."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axon_core.footprints import footprint_from_list, rectangle_footprint
from axon_safety.collision import Scene, brake, stays_clear
from axon_safety.nearest import allowed, change, nearest_admissible, next_command, project, reachable
from axon_safety.outline import outline_distances, outline_of

DT_S = 0.05
DIFFERENTIAL, OMNIDIRECTIONAL = np.array([1.0, 0.0, 1.0]), np.array([1.0, 1.0, 1.0])
OUTLINES = {
    "rectangle": outline_of(rectangle_footprint(0.42, 0.33)),
    "ell": outline_of(footprint_from_list("ell", [0.4, -0.3, 0.4, 0.0, 0.1, 0.0, 0.1, 0.3, -0.3, 0.3, -0.3, -0.3])),
    "long": outline_of(rectangle_footprint(1.4, 0.3, 0.3)),
}
BASES = pytest.mark.parametrize("spread", [DIFFERENTIAL, OMNIDIRECTIONAL], ids=["differential", "omnidirectional"])
SHAPES = pytest.mark.parametrize("shape", list(OUTLINES))
few = settings(max_examples=60, deadline=None, derandomize=True)


def random_scene(seed: int, spread, shape: str = "rectangle") -> tuple[Scene, np.ndarray]:
    """A base on its way among some round obstacles, from where it can stop, and what its driver wants."""
    rng = np.random.default_rng([seed, 2])
    outline = OUTLINES[shape]
    while True:
        around = np.linspace(-np.pi, np.pi, 24, endpoint=False)
        circle = 0.15 * np.column_stack([np.cos(around), np.sin(around)])
        away = outline.radius_m + rng.uniform(0.1, 1.2, (4, 1))
        centers = away * (lambda a: np.column_stack([np.cos(a), np.sin(a)]))(rng.uniform(-np.pi, np.pi, 4))
        points = (centers[:, None] + circle[None]).reshape(-1, 2)
        last = rng.uniform([-0.5, -1.0, -2.5], [2.0, 1.0, 2.5]) * (spread > 0.0) * rng.choice([0.0, 0.5, 1.0])
        scene = scene_of(points, last, outline, rng.choice([0.0, 0.3]))
        stop = brake(tuple(last), 2.5, 6.0, DT_S)
        if (scene.distances > 0.03).all() and stays_clear(scene, stop):
            return scene, rng.uniform([-0.5, -1.4, -2.5], [2.0, 1.4, 2.5]) * (spread > 0.0)


def scene_of(points, velocity, outline=OUTLINES["rectangle"], obstacle_speed_mps=0.0) -> Scene:
    points = np.reshape(np.asarray(points, dtype=float), (-1, 2))
    velocity = np.asarray(velocity, dtype=float)
    return Scene(
        points,
        outline_distances(points, outline.corners),
        outline,
        velocity.copy(),
        velocity.copy(),
        np.array([0.08, DT_S]),
        np.array([2.5, 2.5, 6.0]),
        np.array([0.025, 0.02]),
        np.array([obstacle_speed_mps, 0.0]),
    )


def limited(spread, shape="rectangle", count=40):
    """Scenes in which an obstacle forbids the wanted command, with what is chosen in its place."""
    for seed in range(6 * count):
        scene, wanted = random_scene(seed, spread, shape)
        command, obstructed = nearest_admissible(scene, wanted, DT_S, spread)
        if obstructed:
            yield scene, wanted, np.array(command)
            count -= 1
        if count == 0:
            return


# --- projection


def random_half_planes(rng, count):
    """Half-planes (count, 3), offsets (count,) and bounds that all contain a common inner point."""
    inner, rows = rng.uniform(-0.5, 0.5, 3), rng.normal(size=(count, 3))
    offsets = rows @ inner - rng.uniform(0.0, 0.5, count)
    return rows, offsets, inner - rng.uniform(0.1, 1.0, 3), inner + rng.uniform(0.1, 1.0, 3)


@few
@given(st.integers(0, 10_000), st.integers(0, 4))
def test_a_projection_fulfils_all_half_planes_and_no_point_of_them_is_nearer(seed, count):
    rng = np.random.default_rng(seed)
    rows, offsets, low, high = random_half_planes(rng, count)
    wanted, spread = rng.uniform(-2.0, 2.0, 3), np.array([1.0, 1.0, rng.uniform(0.1, 4.0)])
    u = project(wanted, rows, offsets, low, high, spread)
    assert (rows @ u >= offsets - 1e-9).all() and (u >= low - 1e-9).all() and (u <= high + 1e-9).all()
    others = rng.uniform(low, high, (4000, 3))
    others = others[(others @ rows.T >= offsets).all(axis=1)]
    # The projection theorem: (wanted - u) . (v - u) <= 0 for all v of a convex set, in the norm's inner product.
    assert ((others - u) @ ((wanted - u) / spread) <= 1e-9).all()


def test_a_projection_on_one_half_plane_is_the_closed_form():
    row, offset, wanted = np.array([[0.6, 0.8, 0.0]]), np.array([0.0]), np.array([-1.0, -1.0, 0.3])
    u = project(wanted, row, offset, np.full(3, -9.0), np.full(3, 9.0), OMNIDIRECTIONAL)
    np.testing.assert_allclose(u, wanted + 1.4 * row[0], atol=1e-9)


# --- what is admissible


@pytest.mark.parametrize("obstacle_speed_mps", [0.0, 0.3])
@pytest.mark.parametrize("distance_m", [0.1, 0.3, 0.7, 1.2])
def test_straight_ahead_the_barrier_is_reaction_and_braking_distance(distance_m, obstacle_speed_mps):
    """v tau + v^2 / 2a <= d - margin - v_obs (tau + v / a), which for a still obstacle is v <= alpha(d - margin)."""
    wall = [[0.21 + distance_m, y] for y in np.linspace(-0.1, 0.1, 21)]
    late_s = 0.05  # a step of the roll-out, by which it may take the stand for later
    for factor, seen_m, admissible in (
        (0.98, distance_m - late_s * obstacle_speed_mps, True),
        (1.02, distance_m, False),
    ):
        velocity = np.array([factor * fastest_toward(seen_m, obstacle_speed_mps), 0.0, 0.0])
        scene = scene_of(wall, velocity, obstacle_speed_mps=obstacle_speed_mps)
        assert stays_clear(scene, tuple(velocity)) == admissible


def fastest_toward(distance_m, obstacle_speed_mps, decel=2.5, margin_m=0.025):
    """The v at which the inequality is an equation."""
    tau_s = 0.08 + DT_S
    slope, room_m = tau_s + obstacle_speed_mps / decel, distance_m - margin_m - obstacle_speed_mps * tau_s
    return decel * (np.sqrt(slope**2 + 2.0 * room_m / decel) - slope)


# --- choice


@BASES
@SHAPES
def test_what_is_chosen_is_admissible_and_within_reach(spread, shape):
    for scene, wanted, command in limited(spread, shape):
        assert stays_clear(scene, tuple(command))
        assert allowed(tuple(command), reachable(scene, wanted, spread, DT_S))
        assert spread[1] > 0.0 or command[1] == 0.0


@BASES
@SHAPES
def test_an_admissible_command_passes_unchanged_and_no_other_does(spread, shape):
    passed = 0
    for seed in range(100):
        scene, wanted = random_scene(seed, spread, shape)
        start = next_command(scene, wanted, DT_S)
        command, obstructed = nearest_admissible(scene, wanted, DT_S, spread)
        assert obstructed == (not stays_clear(scene, start))
        assert obstructed or command == start
        passed += not obstructed
    assert 10 < passed < 100


def grid(bounds, count):
    low, high = bounds[0], bounds[1]
    axes = [np.linspace(a, b, count) if b > a else np.array([a]) for a, b in zip(low, high, strict=True)]
    return list(itertools.product(*axes))


@BASES
@SHAPES
def test_no_command_of_a_fine_grid_is_nearer(spread, shape):
    """By more than a tenth of what the accelerations allow in a period; on average by much less."""
    missed = []
    for scene, wanted, command in limited(spread, shape, count=25):
        bounds = reachable(scene, wanted, spread, DT_S)
        ours, best = change(tuple(command), wanted, spread), np.inf
        for other in grid(bounds, 25 if spread[1] == 0.0 else 9):
            cost = change(other, wanted, spread)
            if cost < min(best, ours) and allowed(other, bounds) and stays_clear(scene, other):
                best = cost
        missed.append(max(0.0, ours - best))
    assert np.percentile(missed, 90) < 0.03 and np.mean(missed) < 0.01, missed


@BASES
def test_a_mirrored_scene_gives_the_mirrored_choice(spread):
    flip = np.array([1.0, -1.0, -1.0])
    for scene, wanted, command in limited(spread):
        points = scene.points * flip[:2]
        other = scene_of(points, scene.now * flip, obstacle_speed_mps=scene.moving[0])
        mirrored, _ = nearest_admissible(other, wanted * flip, DT_S, spread)
        assert np.array(mirrored) * flip == pytest.approx(command, abs=1e-5)


@BASES
def test_what_is_chosen_is_no_faster_than_wanted_and_not_against_it(spread):
    for scene, wanted, command in limited(spread):
        speed, top = np.hypot(*command[:2]), np.hypot(*next_command(scene, wanted, DT_S)[:2])
        assert speed <= max(top, np.hypot(*brake(tuple(scene.last), 2.5, 6.0, DT_S)[:2])) + 1e-9
        if scene.last[:2] @ wanted[:2] >= 0.0:
            assert command[:2] @ wanted[:2] >= -1e-6


def test_an_omnidirectional_base_slides_along_a_slanted_wall():
    direction = np.array([np.cos(1.0), np.sin(1.0)])
    wall = np.array([0.5, 0.0]) + np.linspace(-1.0, 1.0, 80)[:, None] * direction
    scene = scene_of(wall, np.zeros(3))
    command = np.zeros(3)
    for _ in range(30):
        scene = scene._replace(now=command, last=command)
        command = np.array(nearest_admissible(scene, np.array([1.0, 0.0, 0.0]), DT_S, OMNIDIRECTIONAL)[0])
    along, across = command[:2] @ direction, command[:2] @ [direction[1], -direction[0]]
    assert along > 0.35  # a driver straight on has 0.54 along the wall, 0.84 across it
    assert across < 0.6


def test_who_only_turns_is_not_driven_away_from_where_it_stands():
    for scene, wanted, _ in limited(OMNIDIRECTIONAL):
        still = scene._replace(now=np.zeros(3), last=np.zeros(3))
        command, _ = nearest_admissible(still, np.array([0.0, 0.0, wanted[2]]), DT_S, OMNIDIRECTIONAL)
        assert np.hypot(*command[:2]) <= 1e-6
