# SPDX-License-Identifier: Apache-2.0
"""BARN worlds: reading, refusing, generating, and the benchmark's arithmetic."""

import os
from pathlib import Path

import numpy as np
import pytest

from axon_sim.barn import (
    BarnWorld,
    barn_score,
    format_world,
    generate_barn,
    list_barn,
    load_barn,
    parse_world,
    path_cells_to_m,
    reference_path_m,
)

DATA = Path(os.environ.get("AXON_BARN_DIR", Path(__file__).parents[4] / "shared" / "data" / "barn"))
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"no BARN data in {DATA}; set AXON_BARN_DIR")


def clearance_m(world: BarnWorld) -> float:
    return float(np.linalg.norm(world.path_m[:, None] - world.cylinders_m[None], axis=2).min() - world.radius_m)


def test_text_round_trip_keeps_every_cylinder():
    world = generate_barn(3)
    back = parse_world(format_world(world))
    np.testing.assert_allclose(back.cylinders_m, world.cylinders_m, atol=1e-6)
    assert back.radius_m == world.radius_m


def test_one_cylinder_stands_where_the_file_says():
    world = parse_world(format_world(BarnWorld(np.array([[1.25, -0.5]]), 0.2)))
    np.testing.assert_allclose(world.cylinders_m, [[1.25, -0.5]])
    assert world.radius_m == 0.2


def test_a_box_becomes_its_four_sides():
    box = (
        "<model name='wall'><pose>2 1 0 0 0 1.5707963</pose><link><collision><geometry>"
        "<box><size>4 0.2 1</size></box></geometry></collision></link></model></world>"
    )
    walls = parse_world(format_world(generate_barn(0)).replace("</world>", box)).walls_m
    assert walls.shape == (4, 4)
    corners = walls[:, :2]
    np.testing.assert_allclose([corners.min(0), corners.max(0)], [[1.9, -1.0], [2.1, 3.0]], atol=1e-6)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[: len(text) // 2], "cut off or not XML"),
        (lambda text: "", "cannot be read"),
        (lambda text: "<html><body>404</body></html>", "expected an SDF world"),
        (lambda text: "<sdf version='1.6'></sdf>", "expected an SDF world"),
        (lambda text: "<sdf version='1.6'><world name='w'></world></sdf>", "no cylinder"),
        (lambda text: text.replace("</world>", "<include><uri>model://x</uri></include></world>"), "includes other"),
        (lambda text: text.replace("cylinder>", "sphere>"), "is a sphere"),
        (lambda text: text.replace("0 0 0 0</pose>", "0 0.5 0 0</pose>", 1), "tilted"),
        (lambda text: text.replace("0 0 0 0</pose>", "0 nan 0 0</pose>", 1), "finite numbers"),
        (lambda text: text.replace("0 0 0 0</pose>", "0 0</pose>", 1), "expected 6"),
        (lambda text: text.replace("<radius>0.075000", "<radius>0.5", 1), "one radius"),
        (lambda text: text.replace("<radius>0.075000", "<radius>-1"), "radius"),
    ],
)
def test_what_is_not_a_barn_world_is_refused_with_the_reason(damage, message):
    with pytest.raises(ValueError, match=message):
        parse_world(damage(format_world(generate_barn(1))))


def test_missing_and_empty_folders_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no such folder"):
        list_barn(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="holds no BARN world"):
        list_barn(tmp_path)


def test_a_cut_off_archive_is_refused(tmp_path):
    np.savez(tmp_path / "whole.npz", cyl_9=np.zeros((3, 2)))
    content = (tmp_path / "whole.npz").read_bytes()
    for part in (content[: len(content) // 2], b"", b"not a zip"):
        (tmp_path / "barn_x.npz").write_bytes(part)
        with pytest.raises(ValueError, match=r"barn_x\.npz: cut off"):
            list_barn(tmp_path)


def test_a_folder_of_world_files_is_read_as_well_as_an_archive(tmp_path):
    world = generate_barn(5)
    (tmp_path / "world_7.world").write_text(format_world(world))
    np.savez(tmp_path / "barn_x.npz", cyl_9=world.cylinders_m, path_9=np.array([[1, 0], [1, 1]]), radius=0.075)
    assert list_barn(tmp_path) == [7, 9]
    np.testing.assert_allclose(load_barn(tmp_path, 7).cylinders_m, load_barn(tmp_path, 9).cylinders_m, atol=1e-6)
    np.testing.assert_allclose(load_barn(tmp_path, 9).path_m, path_cells_to_m(np.array([[1, 0], [1, 1]])))
    assert load_barn(tmp_path, 7).optimal_length_m <= world.optimal_length_m  # the shortest way, not a random one
    with pytest.raises(ValueError, match=r"world 8 is not in .* 7, 9"):
        load_barn(tmp_path, 8)


def test_optimal_length_adds_start_path_and_goal():
    world = BarnWorld(np.zeros((1, 2)), start=[0, 0, 0], goal=[0, 10], path_m=[[3, 4], [3, 6]])
    assert world.optimal_length_m == pytest.approx(5 + 2 + 5)
    assert world.optimal_time_s == pytest.approx(6)
    with pytest.raises(ValueError, match="no reference path"):
        _ = BarnWorld(np.zeros((1, 2))).optimal_length_m


def test_published_cell_to_metre_rule():
    np.testing.assert_allclose(path_cells_to_m(np.array([[0, 0], [16, 29]])), [[-4.575, 5.075], [-2.175, 9.425]])


def test_score_is_half_at_best_and_falls_with_time():
    assert barn_score(True, 1.0, 5.0) == barn_score(True, 10.0, 5.0) == 0.5
    assert barn_score(True, 20.0, 5.0) == 0.25
    assert barn_score(True, 99.0, 5.0) == 0.125
    assert barn_score(False, 10.0, 5.0) == 0.0


def test_generated_worlds_are_deterministic_and_differ():
    np.testing.assert_array_equal(generate_barn(11).cylinders_m, generate_barn(11).cylinders_m)
    assert len({generate_barn(seed).cylinders_m.tobytes() for seed in range(8)}) == 8


def test_generated_worlds_are_passable_walled_and_open_ahead():
    for seed in range(15):
        world = generate_barn(seed)
        cylinders = world.cylinders_m
        assert clearance_m(world) >= 0.375 - 1e-9  # three cells less the cylinder's radius
        assert np.linalg.norm(np.diff(world.path_m, axis=0), axis=1).max() < 0.22
        assert (cylinders.min(0) > [-4.5, 0.0]).all() and (cylinders.max(0) < [0.0, 9.6]).all()
        assert world.path_m[0, 1] < 5.3 and world.path_m[-1, 1] > 9.4
        assert 10.0 <= world.optimal_length_m < 16.0
        assert np.linalg.norm(cylinders - world.start[:2], axis=1).min() > 1.5


def test_a_closed_field_has_no_reference_path():
    wall = np.stack([np.arange(-4.425, 0.0, 0.15), np.full(30, 7.125)], axis=1)
    with pytest.raises(ValueError, match="no way through"):
        reference_path_m(wall)


def test_generated_statistics_match_the_published_worlds():
    """The 250 published worlds have 181 .. 365 cylinders, quartiles 213 and 310, and OT quartiles 5.44 and 5.89 s."""
    worlds = [generate_barn(1000 + seed) for seed in range(70)]
    low, median, high = np.percentile([len(world.cylinders_m) for world in worlds], [25, 50, 75])
    assert 200 < low < 245 and 235 < median < 295 and 285 < high < 340
    assert 5.2 < np.median([world.optimal_time_s for world in worlds]) < 5.9


@needs_data
def test_archive_and_original_file_hold_the_same_world():
    for index in (1, 151, 299):
        from_text, world = parse_world(DATA / f"world_{index}.world"), load_barn(DATA, index)
        np.testing.assert_allclose(
            np.sort(from_text.cylinders_m, axis=0), np.sort(world.cylinders_m, axis=0), atol=1e-4
        )
        assert from_text.radius_m == pytest.approx(world.radius_m)


@needs_data
def test_our_reference_path_is_never_longer_than_the_published_one():
    for index in list_barn(DATA)[::25]:
        world = load_barn(DATA, index)
        ours = BarnWorld(world.cylinders_m, path_m=reference_path_m(world.cylinders_m))
        assert ours.optimal_length_m <= world.optimal_length_m + 0.2
        assert clearance_m(ours) >= 0.375 - 1e-3
