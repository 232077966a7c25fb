# SPDX-License-Identifier: Apache-2.0
"""The sequence planner's training: its labels, its maps, its cost, and a short run."""

from __future__ import annotations

import numpy as np
import pytest
import refiner as bench

from axon_planner.config import PlannerConfig
from axon_planner.outline import Discs, clearance_along
from axon_planner.path_cost import DriveScales, drive_cost, smooth
from axon_planner.refiner import cost_of_drive
from axon_planner.sequence import REACH_M
from axon_planner.smoothing import with_headings
from axon_planner.speeds import speeds_along
from training import sequence as recipe
from training.harness import run

CONFIG = PlannerConfig()
DISCS = Discs(CONFIG)


@pytest.fixture(scope="module")
def routes() -> list[recipe.Route]:
    return list(recipe.make_routes(recipe.VALIDATION_SEEDS + 900, 2))


def test_labels_cost_less_than_the_elastic_band_and_are_free(routes):
    saved = []
    for route in routes:
        label, band = (
            cost_of_drive(CONFIG, route.field, poses, speeds_along(CONFIG, route.field, poses))
            for poses in (with_headings(route.label[:, :2]), route.classical)
        )
        saved.append(band - label)
        assert route.label[[0, -1], :2] == pytest.approx(route.classical[[0, -1], :2])
        assert clearance_along(CONFIG, route.field, with_headings(route.label[:, :2])) > -0.05
    assert np.mean(saved) > 0.0


def test_pieces_lie_on_their_label_and_end_within_reach(routes):
    rng = np.random.default_rng(0)
    for route in routes:
        for _ in range(10):
            piece = recipe.random_piece(route.label, rng)
            away = np.linalg.norm(piece[-1, :2] - piece[0, :2])
            assert recipe.SHORTEST_M - 1e-9 <= away <= REACH_M + 1e-9
            apart = np.linalg.norm(piece[:, None] - route.label[None], axis=2).min(axis=1)
            assert apart.max() < 1e-9


def test_the_training_descends_the_cost_that_the_planner_judges_by(routes):
    rng = np.random.default_rng(0)
    batches, scales = recipe.Batches(routes, CONFIG), DriveScales.of(CONFIG.limits)
    pieces = [(k, recipe.random_piece(routes[k].label, rng)) for k in range(min(6, len(routes)))]
    batch = batches.batch(pieces)
    noise = 0.03 * rng.standard_normal(batch.labels.shape).astype(np.float32)
    points = batch.labels + recipe.torch.from_numpy(noise)
    excess = recipe.excess(points, batch, batches).numpy()
    curves = batch.curves(points).numpy()
    for i, (k, _) in enumerate(pieces):
        speeds, spacing = batch.speeds[i].double().numpy(), float(batch.spacing_m[i])
        label = batch.centers[i].double().numpy() + batch.labels[i].double().numpy() @ batch.axes[i].double().numpy()
        assert curves[i] == pytest.approx(
            batch.centers[i].numpy() + smooth(points[i].numpy()) @ batch.axes[i].numpy(), abs=1e-4
        )
        cost, least = (
            drive_cost(points, speeds, routes[k].field, DISCS, scales, spacing)[0]
            for points in (curves[i].astype(float), label)
        )
        assert excess[i] == pytest.approx(np.log(cost / least), abs=2e-3)


def test_a_scanner_sees_the_near_side_of_a_wall_and_not_what_is_behind():
    occupied = np.zeros((100, 100), bool)
    occupied[40:46] = True
    seen = np.zeros_like(occupied)
    recipe._look_around(occupied, seen, 20.0, 50.0, 200.0, 720)
    assert seen[:40, 5:95].mean() > 0.95 and seen[40, 20:80].all() and not seen[42:].any()


def test_a_scanned_map_shows_only_what_is_there(routes):
    rng = np.random.default_rng(0)
    occupied, origin_m = recipe.occupied_cells("rooms", 1, rng)
    truth = recipe.field_of(occupied, origin_m, hollow=False)
    field = recipe.scanned(occupied, truth, rng)
    marked = field.distance_m == 0.0
    assert (occupied | ~marked).all() and marked.any() and not (marked & field.unknown).any()
    assert 0.0 < field.unknown.mean() < 1.0


def test_seeds_of_training_validation_and_bench_do_not_meet():
    assert bench.LAST_SEED < recipe.VALIDATION_SEEDS < recipe.TRAINING_SEEDS


def test_a_few_steps_of_training_export_a_network_that_the_planner_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(recipe, "VALIDATION_WORLDS", 1)
    trained = run("sequence", ["--worlds", "1", "--steps", "4", "--out", str(tmp_path)])
    assert trained.file.stat().st_size < 3e6
    assert 0.0 <= trained.metrics["collision_free_rate"] <= 1.0
    assert "one_leg" in (tmp_path / "card.md").read_text()
