# SPDX-License-Identifier: Apache-2.0
"""Worlds are what they promise: reproducible, passable, with reachable goals; bad names are answered."""

import numpy as np
import pytest
from scipy import ndimage

from axon_core.grids import distance_field_m
from axon_sim import barn, robot
from axon_sim.config import SimConfig
from axon_sim.simulator import Simulator
from axon_sim.worlds import World, make_world
from axon_sim.worlds.builder import SceneBuilder

SEEDED = [
    "apartment:0",
    "apartment:1",
    "apartment:2",
    "apartment:7",
    "warehouse:0",
    "warehouse:1",
    "tabletop:0",
    "tabletop:5",
    "barn-like:7",
]


def reachable_from_start(world: World, radius_m: float) -> dict[str, bool]:
    """Flood the free space that a disc of a radius can pass, from the start."""
    grid = world.ground_truth_grid(0.05)
    free = distance_field_m(grid.data > 0, grid.resolution_m) > radius_m
    regions, _ = ndimage.label(free)
    start, *goals = (
        regions[tuple(cell)] for cell in grid.cells_of([world.start[:2], *(g[:2] for g in world.goals.values())])
    )
    return {name: bool(start == region != 0) for name, region in zip(world.goals, goals, strict=True)}


@pytest.mark.parametrize("name", SEEDED)
def test_goals_are_reachable(name):
    world = make_world(name)
    assert world.goals and all(reachable_from_start(world, 0.28).values()), reachable_from_start(world, 0.28)


@pytest.mark.parametrize("seed", range(3))
def test_doors_are_wide(seed):
    world = make_world(f"apartment:{seed}")
    rooms = reachable_from_start(world, 0.40)
    assert all(rooms[name] for name in ("living_room", "kitchen", "hall", "bedroom", "study")), rooms


@pytest.mark.parametrize("name", SEEDED)
def test_robot_stands_free_at_the_start(name):
    simulator = Simulator(make_world(name), SimConfig())
    contacts = [simulator.step().contacts for _ in range(20)][-1]
    assert contacts.collisions == 0, contacts.names
    assert np.linalg.norm(simulator.truth().pose[:2] - simulator.start[:2]) < 0.002


def test_a_seed_is_a_world():
    one, same, other = (
        make_world(*arguments).spec.compile() for arguments in (("apartment:3",), ("apartment", 3), ("apartment", 4))
    )
    np.testing.assert_array_equal(one.body_pos, same.body_pos)
    np.testing.assert_array_equal(one.mat_rgba, same.mat_rgba)
    np.testing.assert_array_equal(one.tex_data, same.tex_data)
    assert one.body_pos.shape != other.body_pos.shape or (one.body_pos != other.body_pos).any()


def test_ground_truth_grid_of_a_box():
    builder = SceneBuilder("box", 0)
    builder.floor(builder.material("grey", (0.5, 0.5, 0.5)), (-2, -2, 2, 2))
    builder.fixed("box").box((1.0, 0.5, 0.6), (0.5, 0.25, 0.0), "grey")
    builder.fixed("lamp").box((1.0, 1.0, 0.1), (-1.0, -1.0, 2.0), "grey")
    grid = builder.finish((0, 0, 0), {}, (-2, -2, 2, 2)).ground_truth_grid(0.05)
    occupied = grid.centers_of(np.argwhere(grid.data > 0))
    assert len(occupied) * 0.05**2 == pytest.approx(0.5, rel=0.16)  # every cell that it touches
    assert occupied.min(axis=0) == pytest.approx([0.0, 0.0], abs=0.06)
    assert occupied.max(axis=0) == pytest.approx([1.0, 0.5], abs=0.06)


def test_barn_world_has_its_posts(tmp_path):
    field = barn.generate_barn(5)
    path = tmp_path / "world_5.world"
    path.write_text(barn.format_world(field))
    world = make_world(str(path))
    posts = [geom for geom in world.spec.geoms if geom.parent.name == "post"]
    assert sorted((round(g.pos[0], 4), round(g.pos[1], 4)) for g in posts) == sorted(
        map(tuple, field.cylinders_m.round(4))
    )
    np.testing.assert_allclose(world.start, field.start)
    np.testing.assert_allclose(world.goals["goal"][:2], field.goal)


def test_goals_from_start_are_in_the_odometry_frame():
    world = make_world("apartment")
    x, y, _ = world.goals_from_start()["study"]
    c, s = np.cos(world.start[2]), np.sin(world.start[2])
    back = world.start[:2] + np.array([[c, -s], [s, c]]) @ [x, y]
    np.testing.assert_allclose(back, world.goals["study"][:2])


@pytest.mark.parametrize(
    "name, says",
    [
        ("appartment", "did you mean 'apartment'"),
        ("warehouse:x", "expected a number"),
        ("apartment:", "expected a number"),
        ("barn:one", "expected a number"),
        ("nowhere/at_all.world", "at_all.world"),
    ],
)
def test_bad_names_are_answered(name, says):
    with pytest.raises(ValueError, match=says):
        make_world(name)


def test_cut_off_world_file(tmp_path):
    path = tmp_path / "cut.world"
    path.write_text(barn.format_world(barn.generate_barn(1))[:2000])
    with pytest.raises(ValueError, match="cut off"):
        make_world(str(path))


def test_missing_barn_folder_says_what_to_set(monkeypatch, tmp_path):
    monkeypatch.setenv("AXON_BARN_DIR", str(tmp_path / "none"))
    with pytest.raises(ValueError, match="none"):
        make_world("barn:151")


def test_footprint_is_the_protocols():
    vertices = robot.robot_footprint().vertices_m
    np.testing.assert_allclose(vertices.max(axis=0) - vertices.min(axis=0), [0.42, 0.33])
