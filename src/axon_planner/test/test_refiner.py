# SPDX-License-Identifier: Apache-2.0
"""The refiner: what its cost and its checks promise, whatever the network says; and what the shipped network does."""

from __future__ import annotations

import numpy as np
import pytest
from playground import Playground, corridor
from test_planning import CONFIG, GOAL, START, costmap_of, random_map

from axon_core.geometry import se2_apply, se2_inverse
from axon_core.inference import OnnxModel
from axon_core.models import ModelError, find_model
from axon_planner.config import PlannerConfig
from axon_planner.outline import STEP_M, Discs, clearance_along, clearances
from axon_planner.path_cost import (
    LEAST_SPEED,
    TIME_WEIGHT,
    TURN_AT_SPEED,
    DriveScales,
    cost_and_gradient,
    descend,
    drive_cost,
    make_reference,
    path_cost,
    smooth_adjoint,
    smoother,
)
from axon_planner.planning import PathPlanner, path_length
from axon_planner.refiner import CHANNELS, LONGEST, STRIP, Refined, Refiner, Verdict, cost_of_drive
from axon_planner.runtime import Navigator, NavStatus
from axon_planner.smoothing import resample, shortcut, with_headings
from axon_planner.speeds import sharpest_radpm, speeds_along

DISCS = Discs(CONFIG)
SCALES = DriveScales.of(CONFIG.limits)
POSTS = [[2.0, 0.3, 0.1], [3.5, -0.4, 0.1]]


class Case:
    """A random room with the search's path through it, its shortcuts and the classical path."""

    def __init__(self, seed: int):
        planner = PathPlanner(CONFIG)
        costmap = costmap_of(random_map(seed))
        plan = planner.plan(costmap, START, GOAL)
        self.field = costmap.field()
        self.raw, self.classical = plan.raw, plan.path
        self.line = shortcut(plan.raw, planner.cost_of(self.field), self.field)
        self.reference = make_reference(self.line)

    def refined_by(self, answer) -> Refined:
        return Refiner(answer).refine(CONFIG, self.field, self.raw, self.line, self.classical)


def answer(offsets, speeds=np.ones):
    """Answers with `offsets(n)` metres and `speeds(n)` of the top speed for n points."""
    return lambda reference, *_: tuple(np.asarray(each(len(reference.points))) for each in (offsets, speeds))


# The cost


@pytest.mark.parametrize("timed", [False, True])
def test_gradient_of_the_cost_is_its_numerical_derivative(timed):
    case, rng = Case(3), np.random.default_rng(0)
    points = case.reference.curve(0.05 * rng.standard_normal(len(case.reference.points)))
    speeds = rng.uniform(0.1, 1.0, len(points))

    def cost(points, speeds):
        if timed:
            return drive_cost(points, speeds, case.field, DISCS, SCALES, 0.1)
        return *cost_and_gradient(points, case.field, DISCS, 0.1), np.zeros(len(points))

    _, by_points, by_speeds = cost(points, speeds)
    gradient = np.column_stack([by_points, by_speeds])
    for i, k in zip(rng.integers(0, len(points), 60), rng.integers(0, 3, 60), strict=True):
        nudge = np.zeros((len(points), 3))
        nudge[i, k] = 1e-6
        ahead, behind = (cost(points + s * nudge[:, :2], speeds + s * nudge[:, 2])[0] for s in (1.0, -1.0))
        assert (ahead - behind) / 2e-6 == pytest.approx(gradient[i, k], abs=3e-4)


def test_the_cheapest_speed_of_a_piece_is_the_one_of_the_formula():
    """On a circle in the open: no other constant speed costs less than equation (4)'s."""
    turn = np.linspace(0.0, 2.0, 60)
    for radius in (0.3, 0.5, 0.8):
        circle = radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)
        field = costmap_of(np.zeros((200, 200))).field()
        cheapest = (TIME_WEIGHT / (2.0 * TURN_AT_SPEED * (SCALES.turn_m / radius) ** 2)) ** (1.0 / 3.0)
        costs = [
            drive_cost(circle, np.full(60, f * min(cheapest, 1.0)), field, DISCS, SCALES)[0] for f in (0.95, 1, 1.05)
        ]
        assert costs[1] < costs[0] and (costs[1] < costs[2] or cheapest >= 1.0)


def test_a_straight_path_in_the_open_costs_its_length_and_a_bent_one_more():
    field = costmap_of(np.zeros((200, 200))).field()
    straight = np.stack([np.linspace(-2.0, 2.0, 41), np.zeros(41)], axis=1)
    assert path_cost(straight, field, DISCS) == pytest.approx(4.0)
    bent = straight + np.stack([np.zeros(41), 0.1 * np.sin(np.linspace(0, np.pi, 41))], axis=1)
    assert path_cost(bent, field, DISCS) > path_length(bent)


def test_curves_keep_their_ends_and_straight_lines():
    reference = make_reference(np.array([[0.0, 0.0], [3.0, 1.0]]))
    assert reference.curve(np.zeros(len(reference.points))) == pytest.approx(reference.points)
    moved = reference.curve(0.3 * reference.ramp)
    assert moved[[0, -1]] == pytest.approx(np.array([[0.0, 0.0], [3.0, 1.0]]))
    middle = moved[len(moved) // 2] - reference.points[len(moved) // 2]
    assert middle == pytest.approx(0.3 * np.array([-1.0, 3.0]) / np.sqrt(10.0), abs=1e-6), "to the left"


def test_the_adjoint_of_smoothing_is_its_transpose():
    matrix = smoother(20)
    assert smooth_adjoint(np.eye(20)) == pytest.approx(matrix.T)


def test_descent_lowers_the_cost():
    for seed in range(4):
        case = Case(seed)
        offsets, speeds = descend(case.reference, case.field, DISCS, SCALES)
        curves = [case.reference.curve(o) for o in (offsets, np.zeros_like(offsets))]
        before, after = (drive_cost(c, speeds, case.field, DISCS, SCALES, 0.1)[0] for c in reversed(curves))
        assert after < before
        slower = drive_cost(curves[0], 0.9 * speeds, case.field, DISCS, SCALES, 0.1)[0]
        assert after < slower and speeds[-1] == pytest.approx(LEAST_SPEED)


# The check against the footprint


def slow_clearance(case: Case, poses: np.ndarray) -> float:
    """By the footprint's own polygon and every occupied cell."""
    occupied = case.field.centers_of(np.argwhere(case.field.distance_m == 0.0))
    nearest = np.inf
    for pose in poses:
        near = occupied[np.abs(occupied - pose[:2]).max(axis=1) < 1.2]
        nearest = min(nearest, CONFIG.footprint.distance_to(se2_apply(se2_inverse(pose), near)).min(initial=0.9))
    return nearest


@pytest.mark.parametrize("seed", range(3))
def test_clearance_along_a_path_is_that_of_the_rectangle_between_the_poses_too(seed):
    case, rng = Case(seed), np.random.default_rng(seed)
    coarse = np.column_stack([rng.uniform(-2.5, 2.5, (4, 2)), rng.uniform(-3.0, 3.0, 4)])
    yaw = np.unwrap(coarse[:, 2])
    f = np.linspace(0.0, 3.0, 400)
    dense = np.column_stack([np.interp(f, range(4), column) for column in (coarse[:, 0], coarse[:, 1], yaw)])
    truth = slow_clearance(case, dense)
    found = clearance_along(CONFIG, case.field, coarse)
    assert truth - 1.1 * STEP_M <= found <= truth + 1e-9
    single = np.minimum([slow_clearance(case, pose[None]) for pose in dense[::40]], 0.5)
    assert clearances(CONFIG, case.field, dense[::40]) == pytest.approx(single, abs=1e-5)


# Networks that answer anything


HOSTILE = {
    "nan": (answer(lambda n: np.full(n, np.nan)), {Verdict.SENSELESS}),
    "one infinite": (answer(lambda n: np.where(np.arange(n) == 5, np.inf, 0.0)), {Verdict.SENSELESS}),
    "too few": (answer(lambda n: np.zeros(n - 1)), {Verdict.SENSELESS}),
    "no numbers": (lambda *_: (np.zeros((0,)), np.zeros((0,))), {Verdict.SENSELESS}),
    "no speed that is one": (answer(np.zeros, lambda n: np.full(n, np.nan)), {Verdict.SENSELESS}),
    "crawling": (answer(np.zeros, lambda n: np.full(n, -7.0)), {Verdict.COSTLY, Verdict.CURVED}),
    "zigzag": (answer(lambda n: 0.5 * np.where(np.arange(n) // 4 % 2, 1.0, -1.0)), {Verdict.LONG}),
    "a detour": (answer(lambda n: np.full(n, 0.5)), {Verdict.UNSAFE, Verdict.COSTLY, Verdict.CURVED, Verdict.LONG}),
    "a mile away": (answer(lambda n: np.full(n, -1e9)), {Verdict.UNSAFE, Verdict.COSTLY, Verdict.CURVED, Verdict.LONG}),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("seed", range(3))
def test_whatever_the_network_says_the_classical_path_is_there_with_the_reason(name, seed):
    hostile, reasons = HOSTILE[name]
    case = Case(seed)
    refined = case.refined_by(hostile)
    assert refined.path is case.classical and refined.verdict in reasons
    assert refined.speeds_mps == pytest.approx(speeds_along(CONFIG, case.field, case.classical))


def test_a_path_through_a_wall_is_refused():
    data = np.zeros((200, 200))
    data[100, 60:140] = 100  # along the way, 0.4 m to its right
    planner, costmap = PathPlanner(CONFIG), costmap_of(data)
    start, goal = np.array([-3.0, 0.42, 0.0]), np.array([3.0, 0.42, 0.0])
    plan = planner.plan(costmap, start, goal)
    refiner = Refiner(answer(lambda n: -0.4 * np.sin(np.linspace(0.0, np.pi, n))))
    refined = refiner.refine(CONFIG, costmap.field(), plan.raw, np.array([start[:2], goal[:2]]), plan.path)
    assert refined.path is plan.path and refined.verdict is Verdict.UNSAFE and refiner.counts[Verdict.UNSAFE] == 1


@pytest.mark.parametrize("seed", range(8))
def test_an_accepted_path_is_better_and_never_longer_than_allowed_nor_less_safe(seed):
    case, rng = Case(seed), np.random.default_rng(seed)
    best, speeds = descend(case.reference, case.field, DISCS, SCALES)
    for noise in (0.0, 0.03, 0.1):
        wrong = resample(noise * rng.standard_normal((8, 2)), 1.0, len(best))[:, 0]
        refined = case.refined_by(answer(lambda n, wrong=wrong: best + wrong, lambda n: speeds))
        path = refined.path
        if refined.verdict is not Verdict.REFINED:
            assert path is case.classical
            continue
        assert path[0] == pytest.approx(START) and path[-1] == pytest.approx(GOAL)
        straight = np.linalg.norm(GOAL[:2] - START[:2])
        assert straight - 1e-9 <= path_length(path) <= LONGEST * path_length(case.raw)
        room, before = (slow_clearance(case, resampled(p)) for p in (path, case.classical))
        assert room >= min(before, CONFIG.near_clearance_m) - STEP_M and room > CONFIG.safety_margin_m
        assert sharpest_radpm(path) <= max(sharpest_radpm(case.classical), CONFIG.max_turn_radps / CONFIG.max_speed_mps)
        kept = speeds_along(CONFIG, case.field, case.classical)
        costs = [
            cost_of_drive(CONFIG, case.field, *drive) for drive in ((path, refined.speeds_mps), (case.classical, kept))
        ]
        assert costs[0] < costs[1]


def resampled(path: np.ndarray) -> np.ndarray:
    return with_headings(resample(path[:, :2], 0.02))


def test_next_to_the_goal_there_is_nothing_to_refine():
    case = Case(0)
    line = np.array([[0.0, 0.0], [0.3, 0.0]])
    classical = with_headings(resample(line, 0.05))
    called = []
    refined = Refiner(lambda *given: called.append(given)).refine(CONFIG, case.field, line, line, classical)
    assert refined.path is classical and refined.verdict is Verdict.SHORT and not called


# The planner and the navigator with one


@pytest.mark.parametrize("name", ["nan", "a mile away"])
def test_a_drive_with_a_hostile_network_reaches_its_goal_and_says_why(name):
    config = PlannerConfig(max_speed_mps=1.0, refine=True)
    driver = Navigator(config, Refiner(HOSTILE[name][0]))
    driver.set_goal(np.array([5.0, 0.0, 0.0]))
    assert Playground(config, POSTS, corridor()).drive(driver).status is NavStatus.REACHED
    counts = driver.refiner.counts
    assert counts[Verdict.REFINED] == 0 and sum(counts[reason] for reason in HOSTILE[name][1]) > 5
    assert driver.plan.refinement in {*HOSTILE[name][1], Verdict.SHORT}


def test_it_is_asked_only_where_the_parameter_says_so():
    asked = []
    refiner = Refiner(lambda *given: asked.append(1) or answer(np.zeros)(*given))
    driver = Navigator(PlannerConfig(refine=False), refiner)
    driver.warm_up()
    assert not asked and driver.plan_path(np.zeros(3), np.array([3.0, 0.0, 0.0])).refinement is None
    driver.reconfigure(PlannerConfig(refine=True))
    assert driver.plan_path(np.zeros(3), np.array([3.0, 0.0, 0.0])).refinement is not None and asked


def test_a_model_that_is_not_there_is_refused_by_name():
    with pytest.raises(ModelError, match="no-such"):
        Navigator(PlannerConfig(refine=True, refiner_model="no-such.onnx"))
    driver = Navigator(PlannerConfig(refine=False, refiner_model="no-such.onnx"))
    with pytest.raises(ModelError, match="no-such"):
        driver.reconfigure(PlannerConfig(refine=True, refiner_model="no-such.onnx"))
    assert not driver.config.refine, "what was refused is not taken"


def test_a_file_that_is_no_refiner_is_refused_at_once(tmp_path):
    onnx = pytest.importorskip("onnx")
    value = onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node("Identity", ["image"], ["boxes"])
    ends = [[value(name, onnx.TensorProto.FLOAT, [1, 3, 8])] for name in ("image", "boxes")]
    opset = [onnx.helper.make_opsetid("", 17)]
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "other", *ends), opset_imports=opset, ir_version=8)
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(ModelError, match="a refiner has 'features'"):
        Refiner.load(str(tmp_path / "other.onnx"))


# The shipped network


@pytest.fixture(scope="module")
def shipped() -> Refiner:
    return Refiner.load("refiner")


def test_the_network_mirrors_with_the_scene_and_keeps_the_ends():
    onnx = OnnxModel(find_model("refiner").path, threads=1, dynamic_size=32)
    rng = np.random.default_rng(1)
    seen = rng.uniform(-0.5, 1.5, (1, CHANNELS, 70)).astype(np.float32)
    seen[0, STRIP + 1, [0, -1]] = 0.0  # the ramp
    mirrored = seen.copy()
    mirrored[:, :STRIP] = seen[:, STRIP - 1 :: -1]
    mirrored[:, STRIP] *= -1.0
    there, here = (onnx.run({"features": x}) for x in (seen, mirrored))
    offsets, speeds = there["offsets"][0], there["speeds"][0]
    assert offsets == pytest.approx(-here["offsets"][0], abs=1e-5)
    assert speeds == pytest.approx(here["speeds"][0], abs=1e-5)
    assert speeds.min() >= LEAST_SPEED and speeds.max() <= 1.0
    assert offsets[0] == offsets[-1] == 0.0 and np.abs(offsets).max() > 0.01


def test_the_network_costs_less_than_the_elastic_band_on_most_paths(shipped):
    saved = []
    for seed in range(12):
        case = Case(seed)
        curve = shipped.propose(CONFIG, case.field, case.line)
        kept = speeds_along(CONFIG, case.field, case.classical)
        cost = drive_cost(curve.points, curve.speeds, case.field, DISCS, SCALES)[0]
        saved.append(cost_of_drive(CONFIG, case.field, case.classical, kept) - cost)
        refined = shipped.refine(CONFIG, case.field, case.raw, case.line, case.classical)
        assert (refined.verdict is Verdict.REFINED) == (refined.path is not case.classical)
    assert np.mean(saved) > 0.0 and np.mean(np.array(saved) > 0.0) > 0.5


def test_a_refined_drive_reaches_its_goal(shipped):
    config = PlannerConfig(max_speed_mps=1.0, refine=True)
    driver = Navigator(config, shipped)
    driver.set_goal(np.array([5.0, 0.0, 0.0]))
    assert Playground(config, POSTS, corridor()).drive(driver).status is NavStatus.REACHED
    assert shipped.counts[Verdict.REFINED] > 0
