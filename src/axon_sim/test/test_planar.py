# SPDX-License-Identifier: Apache-2.0
"""The planar simulator against closed forms, slow oracles and its own promises."""

import math
import time
from dataclasses import replace

import numpy as np
import pytest

from axon_core.motion import Twist2
from axon_sim.barn import BarnWorld, generate_barn
from axon_sim.planar import PlanarConfig, PlanarSimulator, cast_rays

EXACT = PlanarConfig(
    scan_noise_m=0.0, scan_dropout=0.0, odom_scale_error=0.0, odom_noise=0.0, odom_yaw_drift_radps=0.0
)  # fmt: skip
EMPTY = np.zeros((0, 4))


def world_of(cylinders, walls=EMPTY, radius=0.075, start=(0.0, 0.0, 0.0)) -> BarnWorld:
    return BarnWorld(np.reshape(cylinders, (-1, 2)), radius, start=start, walls_m=walls)


def marched_range_m(pose, angle, circles, walls, step_m=0.002) -> float:
    """Slow oracle: walk along the ray until something is within half a step."""
    reach = np.arange(0.0, 8.0, step_m)
    points = pose[:2] + reach[:, None] * [math.cos(pose[2] + angle), math.sin(pose[2] + angle)]
    distance = np.linalg.norm(points[:, None] - circles[None, :, :2], axis=2) - circles[:, 2]
    for wall in walls:
        edge = wall[2:] - wall[:2]
        along = np.clip((points - wall[:2]) @ edge / (edge @ edge), 0, 1)
        distance = np.column_stack([distance, np.linalg.norm(points - wall[:2] - along[:, None] * edge, axis=1)])
    hit = np.flatnonzero(distance.min(axis=1) <= 0.5 * step_m)
    return reach[hit[0]] if len(hit) else math.inf


def test_ray_meets_a_circle_and_a_wall_where_geometry_says():
    circles, walls = np.array([[2.0, 0.0, 0.5]]), np.array([[-3.0, -1.0, -3.0, 1.0]])
    ranges = cast_rays(np.zeros(3), -math.pi, math.pi / 2, 4, circles, walls)
    np.testing.assert_allclose(ranges, [3.0, np.inf, 1.5, np.inf], rtol=1e-6)
    assert cast_rays(np.array([2.1, 0.0, 0.0]), 0.0, 0.1, 1, circles, walls)[0] == 0.0


def test_rays_agree_with_a_slow_oracle_all_around():
    rng = np.random.default_rng(1)
    for _ in range(4):
        circles = np.column_stack([rng.uniform(-4, 4, (25, 2)), rng.uniform(0.05, 0.4, 25)])
        circles = circles[np.hypot(circles[:, 0], circles[:, 1]) > 0.6]
        walls = rng.uniform(-4, 4, (4, 4))
        pose = np.array([0.0, 0.0, rng.uniform(-math.pi, math.pi)])
        increment = 2.0 * math.pi / 90
        ranges = cast_rays(pose, -math.pi, increment, 90, circles, walls)
        slow = np.array([marched_range_m(pose, -math.pi + i * increment, circles, walls) for i in range(90)])
        seen = np.isfinite(slow)
        grazing = np.abs(np.where(seen, ranges, 0) - np.where(seen, slow, 0)) > 0.02
        assert grazing.sum() <= 3  # a tangent ray may pass the walker's half step


def test_turning_the_world_and_the_scanner_together_changes_nothing():
    rng = np.random.default_rng(2)
    circles = np.column_stack([rng.uniform(1, 5, (30, 2)), np.full(30, 0.1)])
    walls = rng.uniform(-5, -1, (3, 4))
    turn = 2.1
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    turned = np.column_stack([circles[:, :2] @ rotation.T, circles[:, 2]])
    turned_walls = np.hstack([walls[:, :2] @ rotation.T, walls[:, 2:] @ rotation.T])
    still = cast_rays(np.array([0.3, 0.1, 0.4]), -2.0, 0.02, 200, circles, walls)
    pose = np.array([*(rotation @ [0.3, 0.1]), 0.4 + turn])
    both = cast_rays(pose, -2.0, 0.02, 200, turned, turned_walls)
    assert (np.isfinite(still) == np.isfinite(both)).mean() > 0.98
    same = np.isfinite(still) & np.isfinite(both)
    assert np.median(np.abs(still[same] - both[same])) < 1e-5


@pytest.mark.parametrize(
    ("centre", "touches"),
    [((0.284, 0.0), True), ((0.286, 0.0), False), ((0.0, 0.239), True), ((0.0, 0.241), False),
     ((0.21 + 0.052, 0.165 + 0.052), True), ((0.21 + 0.054, 0.165 + 0.054), False)],
)  # fmt: skip
@pytest.mark.parametrize("yaw", [0.0, 1.0, -2.5])
def test_rectangle_touches_a_cylinder_exactly_at_its_outline(centre, touches, yaw):
    x = math.cos(yaw) * centre[0] - math.sin(yaw) * centre[1]
    y = math.sin(yaw) * centre[0] + math.cos(yaw) * centre[1]
    simulator = PlanarSimulator(world_of([x, y], start=(0.0, 0.0, yaw)))
    assert simulator.collided == touches
    assert (simulator.clearance_m == 0.0) == touches


def test_rectangle_touches_walls_at_a_corner_an_edge_and_when_it_holds_them():
    def touches(wall):
        return PlanarSimulator(world_of([9.0, 9.0], np.array([wall], dtype=float))).collided

    assert touches([0.209, -1, 0.209, 1]) and not touches([0.211, -1, 0.211, 1])
    assert touches([-0.01, 0.0, 0.01, 0.0])
    corner = 0.21 + 0.165
    assert touches([corner - 0.002, 0, 0, corner - 0.002]) and not touches([corner + 0.002, 0, 0, corner + 0.002])


def test_clearance_agrees_with_dense_samples_of_the_outline():
    rng = np.random.default_rng(3)
    edge = np.linspace(-1, 1, 400)
    outline = np.vstack([np.column_stack([0.21 * edge, s * np.full(400, 0.165)]) for s in (-1, 1)])
    outline = np.vstack([outline, *(np.column_stack([s * np.full(400, 0.21), 0.165 * edge]) for s in (-1, 1))])
    for _ in range(30):
        wall = rng.uniform(0.3, 2.0, 4) * rng.choice([-1, 1], 4)
        simulator = PlanarSimulator(world_of([5.0, 5.0], wall[None]))
        span = wall[:2] + np.linspace(0, 1, 500)[:, None] * (wall[2:] - wall[:2])
        slow = np.linalg.norm(outline[:, None] - span[None], axis=2).min()
        assert simulator.clearance_m == pytest.approx(slow, abs=0.01) or simulator.collided


def test_base_obeys_acceleration_latency_and_speed_limits():
    simulator = PlanarSimulator(world_of([50.0, 50.0]), EXACT)
    simulator.step(Twist2(9.0, 0.0, 9.0), 0.05)
    assert simulator.velocity == Twist2()  # the command has not arrived yet
    speeds = []
    for _ in range(60):
        simulator.step(Twist2(9.0, 0.0, 9.0), 0.02)
        speeds.append(simulator.velocity)
    rises = np.diff([[s.vx_mps, s.wz_radps] for s in speeds], axis=0) / 0.02
    assert rises.max(axis=0) == pytest.approx([2.5, 6.0], rel=1e-6)
    assert speeds[-1].vx_mps == pytest.approx(2.0) and speeds[-1].wz_radps == pytest.approx(3.0)


def test_constant_command_follows_a_circle():
    simulator = PlanarSimulator(world_of([50.0, 50.0]), replace(EXACT, max_accel_mps2=1e4, max_turn_accel_radps2=1e4))
    simulator.step(Twist2(1.0, 0.0, 0.5), 0.05)
    simulator.step(Twist2(1.0, 0.0, 0.5), 2.0)
    np.testing.assert_allclose(simulator.pose, [2 * math.sin(1.0), 2 * (1 - math.cos(1.0)), 1.0], atol=1e-3)
    np.testing.assert_allclose(simulator.odometry().odom_T_base, simulator.pose, atol=0.03)


def test_driving_into_a_cylinder_ends_at_its_surface():
    simulator = PlanarSimulator(world_of([2.0, 0.0]))
    while simulator.step(Twist2(1.0), 0.05) and simulator.time_s < 10.0:
        pass
    assert simulator.collided
    assert simulator.pose[0] == pytest.approx(2.0 - 0.075 - 0.21, abs=0.011)
    stopped = simulator.pose
    simulator.step(Twist2(-1.0), 0.5)
    np.testing.assert_array_equal(simulator.pose, stopped)


def test_sensors_keep_their_rates_and_delays():
    simulator = PlanarSimulator(world_of([2.0, 0.0]), EXACT)
    assert simulator.scan() is None and simulator.scan_age_s == math.inf
    scans, stamps, ages = [], set(), []
    for _ in range(200):
        simulator.step(Twist2(), 0.005)
        scans.append(simulator.scan())
        stamps.add(simulator.odometry().stamp_s)
        ages.append(simulator.scan_age_s)
    assert len({id(scan) for scan in scans[4:]}) == pytest.approx(25, abs=1)
    assert len(stamps) == pytest.approx(50, abs=1)
    assert min(ages[10:]) == pytest.approx(0.02) and max(ages[10:]) == pytest.approx(0.055)


def test_noise_has_the_declared_size():
    config = replace(EXACT, scan_noise_m=0.01, scan_dropout=0.05)
    wall = np.array([[1.0, -5.0, 1.0, 5.0]])
    noisy, exact = (
        PlanarSimulator(world_of([9, 9], wall), config, seed=4),
        PlanarSimulator(world_of([9, 9], wall), EXACT),
    )
    noisy.step(Twist2(), 0.1), exact.step(Twist2(), 0.1)
    met = np.isfinite(exact.scan().ranges_m) & np.isfinite(noisy.scan().ranges_m)
    error = noisy.scan().ranges_m[met] - exact.scan().ranges_m[met]
    assert np.std(error) == pytest.approx(0.01, rel=0.2)
    assert np.isnan(noisy.scan().ranges_m).mean() == pytest.approx(0.05, abs=0.03)


def test_odometry_drifts_by_about_its_scale_error():
    errors = []
    for seed in range(25):
        simulator = PlanarSimulator(world_of([50.0, 50.0]), seed=seed)
        for _ in range(100):
            simulator.step(Twist2(2.0), 0.05)
        true = np.hypot(*simulator.pose[:2])
        errors.append(np.hypot(*simulator.odometry().odom_T_base[:2]) / true - 1.0)
    assert 0.004 < np.std(errors) < 0.02


def test_the_same_seed_gives_the_same_run_and_another_one_differs():
    def run(seed):
        simulator = PlanarSimulator(generate_barn(2), seed=seed)
        for i in range(40):
            simulator.step(Twist2(0.5, 0.0, math.sin(i)), 0.05)
        return simulator.odometry().odom_T_base.tobytes() + simulator.scan().ranges_m.tobytes()

    assert run(1) == run(1) != run(2)


def test_a_command_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="command"):
        PlanarSimulator(world_of([2.0, 0.0])).step(Twist2(math.nan), 0.05)


def test_faster_than_a_hundred_times_real_time():
    simulator = PlanarSimulator(generate_barn(7))
    simulator.step(Twist2(), 0.1)
    best = math.inf
    for _ in range(5):
        began = time.process_time()
        for _ in range(100):
            simulator.step(Twist2(0.0, 0.0, 0.5), 0.05)
        best = min(best, time.process_time() - began)
    assert 5.0 / best > 100.0
