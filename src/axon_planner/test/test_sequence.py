# SPDX-License-Identifier: Apache-2.0
"""The sequence planner: what it sees, what its check promises, whatever the network says; and the shipped network."""

from __future__ import annotations

import numpy as np
import pytest
from playground import Playground, corridor
from test_planning import CONFIG, GOAL, START, costmap_of, random_map

from axon_core.geometry import se2_apply, se2_inverse
from axon_core.inference import OnnxModel
from axon_core.models import ModelError, find_model
from axon_planner.config import PlannerConfig
from axon_planner.costmap import Field
from axon_planner.outline import STEP_M, Discs, clearance_along
from axon_planner.path_cost import COMFORT_M, DriveScales, descend, make_reference
from axon_planner.planning import PathPlanner, path_length
from axon_planner.refiner import LONGEST, Refined, Refiner, Verdict, cost_of_drive
from axon_planner.runtime import Navigator, NavStatus
from axon_planner.sequence import (
    CELL_M,
    CELLS,
    FAR_M,
    HALF_M,
    PLANES,
    REACH_M,
    WAYPOINTS,
    SequencePlanner,
    in_sight,
    legs_of,
    see,
)
from axon_planner.smoothing import resample, shortcut, with_headings
from axon_planner.speeds import sharpest_radpm, speeds_along

RADIUS_M = Discs(CONFIG).radius_m


class Case:
    """A random room with the search's path and the classical one."""

    def __init__(self, seed: int, discs: int = 25, start: np.ndarray = START, goal: np.ndarray = GOAL):
        costmap = costmap_of(random_map(seed, discs))
        planner = PathPlanner(CONFIG)
        plan = planner.plan(costmap, start, goal)
        self.field, self.raw, self.classical = costmap.field(), plan.raw, plan.path
        self.line = shortcut(plan.raw, planner.cost_of(self.field), self.field) if plan.found else plan.raw

    def planned_by(self, network) -> Refined:
        return SequencePlanner(network).plan(CONFIG, self.field, self.raw, self.classical)

    def cost_of(self, path: np.ndarray) -> float:
        return cost_of_drive(CONFIG, self.field, path, speeds_along(CONFIG, self.field, path))


def straight(planes: np.ndarray, spans: np.ndarray) -> np.ndarray:
    """What an untrained network answers: even steps from end to end."""
    along = np.linspace(-0.5, 0.5, WAYPOINTS + 1)
    return np.stack([spans * along, np.zeros((len(spans), WAYPOINTS + 1))], axis=-1)


def bulged(height_m: float):
    """A network that arches to the window's left."""
    arch = height_m * np.sin(np.linspace(0.0, np.pi, WAYPOINTS + 1))
    return lambda planes, spans: straight(planes, spans) + np.stack([0.0 * arch, arch], axis=-1)


def mirrored(field: Field) -> Field:
    """The field mirrored at the line y = 0, about which the room of these tests lies."""
    return Field(field.distance_m[::-1].copy(), field.unknown[::-1].copy(), field.resolution_m, field.origin_m)


def flip(points: np.ndarray) -> np.ndarray:
    """Points or poses, mirrored at y = 0."""
    return points * np.array([1.0, -1.0, -1.0])[: points.shape[-1]]


# What it sees


@pytest.mark.parametrize("seed", range(4))
def test_a_window_holds_what_the_field_says_at_its_places(seed):
    case, rng = Case(seed), np.random.default_rng(seed)
    start, goal = rng.uniform(-2.0, 2.0, (2, 2))
    window, planes = see(case.field, start, goal, RADIUS_M)
    half = np.array([0.5 * np.linalg.norm(goal - start), 0.0])
    assert window.to_map(np.array([-half, half])) == pytest.approx(np.array([start, goal]))
    points = rng.uniform(-4.0, 4.0, (9, 2))
    assert window.from_map(window.to_map(points)) == pytest.approx(points)
    for row, col in rng.integers(0, CELLS, (20, 2)):
        place = window.to_map((np.array([col, row]) + 0.5) * CELL_M - HALF_M)
        distance = case.field.distance_at(place[None])[0]
        assert planes[0, row, col] == pytest.approx(np.clip((distance - RADIUS_M) / COMFORT_M, -0.5, 1.5), abs=1e-5)
        assert planes[1, row, col] == pytest.approx(min(distance / FAR_M, 1.0), abs=1e-5)
        inside = (np.abs(place) < 4.0).all()
        assert planes[2, row, col] == (not inside), "the room is known, what lies outside is not"
    ahead = window.to_map(np.array([1.0, 0.0])) - window.to_map(np.zeros(2))
    left = window.to_map(np.array([0.0, 1.0])) - window.to_map(np.zeros(2))
    assert left == pytest.approx([-ahead[1], ahead[0]])


def test_unknown_cells_are_seen_as_such():
    case = Case(0)
    unknown = np.zeros_like(case.field.unknown)
    unknown[:, case.field.cell_of(np.zeros(2))[1] :] = True
    field = Field(case.field.distance_m, unknown, case.field.resolution_m, case.field.origin_m)
    _, planes = see(field, np.array([-1.0, 0.0]), np.array([1.0, 0.0]), RADIUS_M)
    assert planes[2, :, : CELLS // 2].sum() == 0.0 and planes[2, :, CELLS // 2 :].all()


def test_a_mirrored_scene_is_what_the_mirrored_window_shows():
    case = Case(5)
    start, goal = np.array([-2.0, -1.2]), np.array([1.9, 0.7])
    window, planes = see(case.field, start, goal, RADIUS_M)
    other, same = see(mirrored(case.field), flip(start), flip(goal), RADIUS_M)
    assert same[:, ::-1] == pytest.approx(planes, abs=1e-5)
    assert flip(other.mirrored().to_map(np.ones((1, 2)))) == pytest.approx(window.to_map(np.ones((1, 2))))


@pytest.mark.parametrize("seed", range(6))
def test_legs_end_on_the_route_within_reach(seed):
    rng = np.random.default_rng(seed)
    route = np.cumsum(rng.standard_normal((60, 2)), axis=0)
    places = legs_of(route)
    assert places[[0, -1]] == pytest.approx(route[[0, -1]])
    assert np.linalg.norm(np.diff(places, axis=0), axis=1).max() <= REACH_M + 1e-9
    assert len(places) > 2
    near = np.linalg.norm(places[:, None] - resample(route, 1e-3)[None], axis=2).min(axis=1)
    assert near.max() < 2e-3
    assert len(legs_of(route[:2] / np.linalg.norm(route[1] - route[0]))) == 2, "a near goal takes one leg"


def test_a_way_around_that_leaves_the_window_takes_more_legs():
    there_and_back = np.array([[0.0, 0.0], [0.0, 6.0], [2.0, 6.0], [2.0, 0.0]])
    assert not in_sight(there_and_back[None])[0] and len(legs_of(there_and_back)) > 2
    near = there_and_back * np.array([1.0, 0.5])
    assert in_sight(near[None])[0] and len(legs_of(near)) == 2
    turned = near @ np.array([[0.6, 0.8], [-0.8, 0.6]]) + 7.0
    assert in_sight(np.stack([near, turned])).all(), "wherever it lies"
    assert in_sight(np.zeros((1, 4, 2)))[0], "an end on the start has no direction, and is in sight"


def test_a_goal_out_of_sight_needs_a_route():
    planner, case = SequencePlanner(straight), Case(1)
    with pytest.raises(ValueError, match=r"8\.00 m away.*at most 4\.8"):
        planner.propose(CONFIG, case.field, np.array([-4.0, 0.0]), np.array([4.0, 0.0]))
    curve = planner.propose(CONFIG, case.field, np.array([-2.0, 0.0]), np.array([2.0, 0.0]))
    assert curve[[0, -1]] == pytest.approx(np.array([[-2.0, 0.0], [2.0, 0.0]]))
    assert np.abs(curve[:, 1]).max() < 1e-9 and path_length(curve) == pytest.approx(4.0)


def test_the_cheaper_of_both_guesses_stays():
    data = np.zeros((200, 200))
    data[98:130, 95:105] = 100  # to the left of the way, mostly
    field = costmap_of(data).field()
    start, goal = np.array([-2.0, 0.0]), np.array([2.0, 0.0])
    for height in (0.7, -0.7):  # around it by the window's left or right, whichever window it is
        curve = SequencePlanner(bulged(height)).propose(CONFIG, field, start, goal)
        assert curve[len(curve) // 2, 1] < -0.5 and field.distance_at(curve).min() > 0.2


# Networks that answer anything


def random_walk(planes: np.ndarray, spans: np.ndarray) -> np.ndarray:
    return np.random.default_rng(0).uniform(-4.0, 4.0, (len(spans), WAYPOINTS + 1, 2))


def with_one(value: float):
    def network(planes, spans):
        points = straight(planes, spans)
        points[-1, 7, 1] = value
        return points

    return network


BAD = {Verdict.UNSAFE, Verdict.LONG, Verdict.CURVED, Verdict.COSTLY}
HOSTILE = {
    "nan": (with_one(np.nan), {Verdict.SENSELESS}),
    "infinite": (with_one(-np.inf), {Verdict.SENSELESS}),
    "too few points": (lambda planes, spans: straight(planes, spans)[:, 1:], {Verdict.SENSELESS}),
    "too few legs": (lambda planes, spans: straight(planes, spans)[1:], {Verdict.SENSELESS}),
    "nothing": (lambda planes, spans: np.zeros((0,)), {Verdict.SENSELESS}),
    "a spike": (with_one(1e9), BAD),
    "noise": (random_walk, BAD),
    "a detour": (bulged(3.0), BAD),
    "stays": (lambda planes, spans: 0.0 * straight(planes, spans), BAD),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("seed", range(3))
def test_whatever_the_network_says_the_classical_path_is_there_with_the_reason(name, seed):
    network, reasons = HOSTILE[name]
    case = Case(seed)
    planned = case.planned_by(network)
    assert planned.path is case.classical and planned.verdict in reasons
    assert planned.speeds_mps == pytest.approx(speeds_along(CONFIG, case.field, case.classical))


def test_next_to_the_goal_nobody_is_asked():
    case, called = Case(0), []
    line = np.array([[0.0, 0.0], [0.3, 0.0]])
    classical = with_headings(resample(line, 0.05))
    planner = SequencePlanner(lambda *seen: called.append(seen))
    planned = planner.plan(CONFIG, case.field, line, classical)
    assert planned.path is classical and planned.verdict is Verdict.SHORT and not called
    assert planner.counts[Verdict.SHORT] == sum(planner.counts.values()) == 1


def slow_clearance(field: Field, poses: np.ndarray) -> float:
    """By the footprint's own polygon and every occupied cell."""
    occupied = field.centers_of(np.argwhere(field.distance_m == 0.0))
    nearest = np.inf
    for pose in poses:
        near = occupied[np.abs(occupied - pose[:2]).max(axis=1) < 1.2]
        nearest = min(nearest, CONFIG.footprint.distance_to(se2_apply(se2_inverse(pose), near)).min(initial=0.9))
    return nearest


def assert_sound(case: Case, path: np.ndarray) -> None:
    """What the check promises of every path that is taken, by brute force."""
    assert path[0] == pytest.approx(case.classical[0]) and path[-1] == pytest.approx(case.classical[-1])
    assert np.isfinite(path).all() and path_length(path) <= LONGEST * path_length(case.raw)
    room, before = (slow_clearance(case.field, with_headings(resample(p[:, :2], 0.02))) for p in (path, case.classical))
    assert room > CONFIG.safety_margin_m and room >= min(before, CONFIG.near_clearance_m) - STEP_M
    limit = max(sharpest_radpm(case.classical), CONFIG.max_turn_radps / CONFIG.max_speed_mps)
    assert sharpest_radpm(path) <= limit
    assert case.cost_of(path) < case.cost_of(case.classical)


def nearly_best(case: Case, rng: np.random.Generator, noise_m: float):
    """A network that knows the best curve of L-BFGS between two places in sight, and trembles."""
    reference = make_reference(case.line)
    offsets, _ = descend(reference, case.field, Discs(CONFIG), DriveScales.of(CONFIG.limits))
    best = reference.curve(offsets)
    best = resample(best, 1.0, WAYPOINTS + 1) + resample(noise_m * rng.standard_normal((8, 2)), 1.0, WAYPOINTS + 1)
    window, _ = see(case.field, best[0], best[-1], RADIUS_M)
    return lambda planes, spans: np.stack([each.from_map(best) for each in (window, window.mirrored())])


def test_a_path_that_is_taken_is_sound_by_brute_force_and_any_other_is_the_classical_one():
    rng, verdicts = np.random.default_rng(0), []
    for seed in range(8):
        start, goal = rng.uniform([-2.5, -1.5], [-1.0, 1.5]), rng.uniform([1.0, -1.5], [2.0, 1.5])
        case = Case(seed, 25, np.append(start, 0.3), np.append(goal, 0.3))
        if not len(case.raw):
            continue
        for noise_m in (0.0, 0.03, 0.1):
            planned = case.planned_by(nearly_best(case, rng, noise_m))
            verdicts.append(planned.verdict)
            if planned.verdict is Verdict.REFINED:
                assert_sound(case, planned.path)
            else:
                assert planned.path is case.classical
    assert verdicts.count(Verdict.REFINED) >= 5 and len(set(verdicts)) > 1


def test_the_refiner_comes_where_the_proposal_does_not_hold():
    planner = PathPlanner(
        CONFIG,
        Refiner(lambda reference, *_: np.full((2, len(reference.points)), np.nan)),
        sequence=SequencePlanner(HOSTILE["noise"][0]),
    )
    result = planner.plan(costmap_of(random_map(0)), START, GOAL, "sequence")
    assert result.found and result.refinement is Verdict.SENSELESS
    assert planner.refiner.counts[Verdict.SENSELESS] == 1 and planner.sequence.counts[Verdict.REFINED] == 0


# Models


def test_a_model_that_is_not_there_is_refused_by_name():
    driver = Navigator(PlannerConfig(refine=False, sequence_model="no-such.onnx"))
    with pytest.raises(ModelError, match="no-such"):
        driver.plan_path(np.zeros(3), np.array([3.0, 0.0, 0.0]), "sequence")


def test_a_file_that_is_no_sequence_planner_is_refused_at_once():
    with pytest.raises(ModelError, match="a sequence planner has"):
        SequencePlanner.load(str(find_model("refiner").path))


def test_the_exported_network_answers_as_pytorch_does_and_goes_straight_before_it_has_learned(tmp_path):
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from axon_planner.sequence_model import SequenceNet
    from training.export import export_onnx, largest_difference

    torch.manual_seed(0)
    network = SequenceNet(width=8, state=16)
    seen = {"planes": torch.rand(3, PLANES, CELLS, CELLS), "span": torch.tensor([[4.0], [1.0], [0.0]])}
    even = straight(None, seen["span"].numpy())
    assert network(*seen.values()).detach().numpy() == pytest.approx(even, abs=1e-5)
    torch.nn.init.normal_(network.last.weight)
    axes = {name: {0: "legs"} for name in ("planes", "span", "points")}
    file = tmp_path / "sequence.onnx"
    export_onnx(network, seen, ["points"], file, axes)
    other = {"planes": torch.rand(2, PLANES, CELLS, CELLS), "span": torch.tensor([[2.0], [4.8]])}
    assert largest_difference(network, other, ["points"], file) < 1e-4
    points = OnnxModel(file).run({name: value.numpy() for name, value in other.items()})["points"]
    assert points[:, 0, 0] == pytest.approx([-1.0, -2.4]) and points[:, -1, 0] == pytest.approx([1.0, 2.4])
    assert np.abs(points[:, 1:-1, 1]).max() > 0.05, "it moves"


# The shipped network


@pytest.fixture(scope="module")
def shipped() -> SequencePlanner:
    return SequencePlanner.load("sequence")


def test_the_shipped_network_mirrors_with_the_scene(shipped):
    for seed in range(4):
        case = Case(seed)
        start, goal = np.array([-2.0, -1.2]), np.array([2.0, 1.0])
        curve = shipped.propose(CONFIG, case.field, start, goal)
        other = shipped.propose(CONFIG, mirrored(case.field), flip(start), flip(goal))
        assert flip(resample(other, 0.1, 50)) == pytest.approx(resample(curve, 0.1, 50), abs=1e-3)


def test_the_shipped_network_walks_around_what_stands_in_the_way(shipped):
    data = np.zeros((200, 200))
    data[[0, -1], :] = data[:, [0, -1]] = 100
    data[95:116, 95:105] = 100  # 0.4 x 0.84 m across the straight way
    field = costmap_of(data).field()
    curve = shipped.propose(CONFIG, field, np.array([-2.0, 0.0]), np.array([2.0, 0.0]))
    assert clearance_along(CONFIG, field, with_headings(resample(curve, 0.05))) > 0.0
    assert path_length(curve) < 1.15 * 4.0


def test_most_proposals_of_the_shipped_network_are_free_and_taken_ones_are_sound(shipped):
    free, taken = [], 0
    for seed in range(16):
        case = Case(seed)
        curve = shipped.propose(CONFIG, case.field, START[:2], GOAL[:2], case.classical[:, :2])
        free.append(clearance_along(CONFIG, case.field, with_headings(resample(curve, 0.05))) > 0.0)
        planned = shipped.plan(CONFIG, case.field, case.raw, case.classical)
        if planned.verdict is Verdict.REFINED:
            taken += 1
            assert_sound(case, planned.path)
    assert np.mean(free) > 0.5 and taken > 0


def test_a_drive_by_it_reaches_its_goal(shipped):
    config = PlannerConfig(max_speed_mps=1.0, planner="sequence")
    driver = Navigator(config)
    driver.set_goal(np.array([5.0, 0.0, 0.0]))
    assert Playground(config, [[2.0, 0.3, 0.1], [3.5, -0.4, 0.1]], corridor()).drive(driver).status is NavStatus.REACHED
    assert sum(driver.sequence.counts.values()) > 3


def test_the_navigator_plans_with_it_when_asked():
    driver = Navigator(PlannerConfig(refine=False))
    plan = driver.plan_path(np.zeros(3), np.array([3.0, 0.0, 0.0]), "sequence")
    assert plan.found and plan.refinement is not None and driver.sequence.name == "sequence"
    assert driver.plan_path(np.zeros(3), np.array([3.0, 0.0, 0.0])).refinement is None
