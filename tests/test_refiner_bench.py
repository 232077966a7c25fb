# SPDX-License-Identifier: Apache-2.0
"""The refiner's bench and its training: what they measure by, and a short run of each."""

from __future__ import annotations

import numpy as np
import pytest
import refiner
from harness import make_parser

from axon_core.footprints import rectangle_footprint
from axon_core.geometry import se2_apply, se2_inverse
from axon_planner.config import PlannerConfig
from axon_planner.outline import Discs
from axon_planner.path_cost import LEAST_SPEED, drive_cost, make_reference
from training import refiner as recipe
from training.harness import run


def options(*words):
    return make_parser("refiner", refiner).parse_args(words)


def test_true_clearance_is_that_of_the_footprints_polygon():
    rng = np.random.default_rng(0)
    centres, radii = rng.uniform(-1.0, 1.0, (40, 2)), np.full(40, 0.075)
    poses = np.column_stack([rng.uniform(-0.8, 0.8, (50, 2)), rng.uniform(-3.0, 3.0, 50)])
    footprint = rectangle_footprint(0.42, 0.33)
    expected = [(footprint.distance_to(se2_apply(se2_inverse(pose), centres)) - radii).min() for pose in poses]
    assert refiner.true_clearance_m(poses, centres, radii) == pytest.approx(expected)


def test_dense_poses_leave_no_gap_and_turn_on_the_spot_at_both_ends():
    path = np.array([[0.0, 0.0, -2.0], [1.0, 0.0, 0.0], [1.5, 0.5, 0.8], [2.0, 1.0, 3.0]])
    dense = refiner.dense(path)
    assert dense[0] == pytest.approx(path[0]) and dense[-1] == pytest.approx(path[-1])
    steps = np.diff(dense, axis=0)
    assert np.linalg.norm(steps[:, :2], axis=1).max() <= refiner.STEP_M + 1e-9
    assert np.abs(steps[:, 2]).max() <= refiner.STEP_RAD + 1e-9
    standing = np.linalg.norm(dense[:, :2] - path[0, :2], axis=1) < 1e-9
    assert dense[standing, 2].min() == pytest.approx(-2.0) and dense[standing, 2].max() == pytest.approx(0.0)


def test_two_generated_worlds_give_every_number_and_no_collision():
    numbers = refiner.main(options("--worlds", "1", "--apartments", "1", "--paths", "1", "--seed", "3"))
    assert numbers["paths"] >= 3 and numbers["cost_ratio_to_optimiser"] < 1.2 and numbers["collisions"] == 0
    assert 0.0 <= numbers["fallback_rate"] <= 1.0 and numbers["length_ratio_max"] <= 1.05
    assert numbers["curvature_max_radpm"] < numbers["curvature_max_astar_radpm"]
    for method in refiner.METHODS[1:]:
        assert {f"collisions_{method}", f"clearance_mean_{method}_m", f"time_{method}_ms"} <= numbers.keys()
    assert all(np.isfinite(list(numbers.values())))


def test_a_folder_without_worlds_is_refused(tmp_path):
    with pytest.raises(ValueError, match="BARN"):
        refiner.main(options("--data", str(tmp_path)))


@pytest.fixture(scope="module")
def samples():
    return list(recipe.make_samples(recipe.VALIDATION_SEEDS + 900, 2))


def test_the_training_descends_the_cost_that_the_planner_judges_by(samples):
    discs, rng = Discs(PlannerConfig()), np.random.default_rng(0)
    batches = recipe.Batches(samples, discs)
    for count, bucket in list(batches.buckets.items())[:4]:
        chosen = [int(k) for k in bucket[:3]]
        references = [make_reference(samples[k].line, count=count) for k in chosen]
        robots = [recipe.random_robot(rng) for _ in chosen]
        batch = batches.batch(references, chosen, robots)
        speeds = rng.uniform(LEAST_SPEED, 1.0, (len(chosen), count)).astype(np.float32)
        offsets = (0.05 * rng.standard_normal((len(chosen), count))).astype(np.float32)
        curves = batch.curves(recipe.torch.from_numpy(offsets))
        costs = recipe.batch_cost(
            curves, recipe.torch.from_numpy(speeds), batch.spacing_m, batch.which, batch.weights, batches.fields, discs
        )
        for row, (k, reference, robot) in enumerate(zip(chosen, references, robots, strict=True)):
            curve = reference.curve(offsets[row].astype(float))
            expected = drive_cost(curve, speeds[row], samples[k].field, discs, robot, reference.spacing_m)[0]
            assert costs[row].item() == pytest.approx(expected, rel=1e-4)


def test_seeds_of_training_validation_and_bench_do_not_meet():
    assert refiner.LAST_SEED < recipe.VALIDATION_SEEDS < recipe.TRAINING_SEEDS


def test_bent_lines_keep_their_ends(samples):
    rng = np.random.default_rng(0)
    for sample in samples[:4]:
        for _ in range(8):
            line = recipe.bent(sample.line, rng)
            kept = [np.abs(way[[0, -1]] - sample.line[[0, -1]]).max() < 1e-9 for way in (line, line[::-1])]
            assert any(kept)


def test_a_few_steps_of_training_export_a_network_that_the_refiner_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(recipe, "VALIDATION_WORLDS", 1)
    trained = run("refiner", ["--worlds", "1", "--steps", "20", "--out", str(tmp_path)])
    assert trained.file.is_file() and trained.metrics["length_ratio"] <= 1.05
    assert (tmp_path / "card.md").read_text().count("astar") >= 2
