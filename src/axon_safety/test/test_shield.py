# SPDX-License-Identifier: Apache-2.0
"""What the shield promises, as properties: limits, time-outs, symmetry, and no collision whatever the driver does."""

import math
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml
from safety_scenes import (
    BASE_T_LASER,
    INCREMENT,
    PERIOD_S,
    exact_scan,
    new_shield,
    random_world,
    reckless_driver,
    settle,
)

from axon_core.config import config_from_mapping
from axon_core.motion import Twist2
from axon_core.scans import Scan
from axon_safety.config import SafetyConfig
from axon_safety.runtime import (
    ACCELERATION,
    BAD_COMMAND,
    NO_SOURCE,
    NOTHING,
    OBSTACLE,
    SPEED,
    STALE_ODOMETRY,
    STALE_SCAN,
    Shield,
)
from axon_sim.planar import PlanarSimulator

FREE = exact_scan([[9.0, 9.0, 0.1]])
TOLERANCE = 1e-9


def mirrored(scan: Scan) -> Scan:
    return Scan(
        scan.ranges_m[::-1].copy(), scan.angle_min_rad, scan.angle_increment_rad, scan.range_min_m, scan.range_max_m
    )


# --- limits


def test_free_way_lets_a_modest_command_through_unchanged():
    last = settle(new_shield(), Twist2(0.8, 0.0, 0.4), FREE)[-1]
    assert last.command == Twist2(0.8, 0.0, 0.4)
    assert last.limited_by == NOTHING and last.source == "direct"


@pytest.mark.parametrize("wanted", [Twist2(9.0), Twist2(-9.0), Twist2(0.0, 0.0, 9.0), Twist2(0.3, 5.0, -9.0)])
def test_speeds_stay_within_the_limits_and_sideways_is_dropped(wanted):
    config = SafetyConfig()
    steps = settle(new_shield(), wanted, FREE, steps=60)
    for step in steps:
        assert -config.max_reverse_mps - TOLERANCE <= step.command.vx_mps <= config.max_speed_mps + TOLERANCE
        assert abs(step.command.wz_radps) <= config.max_turn_radps + TOLERANCE
        assert step.command.vy_mps == 0.0
    assert steps[0].limited_by == ACCELERATION and steps[-1].limited_by in (SPEED, NOTHING)


def test_accelerations_hold_for_any_sequence_of_commands_faults_and_obstacles():
    rng = np.random.default_rng(5)
    config = SafetyConfig()
    for _ in range(10):
        shield, now_s, last = new_shield(), 0.0, Twist2()
        scans = [FREE, exact_scan([[0.6, 0.0, 0.1]]), exact_scan([[1.5, 0.2, 0.1]])]
        for _ in range(100):
            wanted = Twist2(*rng.uniform(-4.0, 4.0, 3)) if rng.random() < 0.9 else Twist2(math.nan)
            age_s = 0.0 if rng.random() < 0.9 else 1.0
            dt_s = rng.uniform(0.02, 0.1)
            now_s += dt_s
            step = shield.step(now_s, wanted, last, scans[rng.integers(3)], age_s).command
            dt_s = max(dt_s, 0.05) if last == Twist2() else dt_s
            assert abs(step.vx_mps - last.vx_mps) <= config.max_accel_mps2 * dt_s + TOLERANCE
            assert abs(step.wz_radps - last.wz_radps) <= config.max_turn_accel_radps2 * dt_s + TOLERANCE
            last = step


def test_a_zero_command_while_moving_brakes_along_the_arc_instead_of_cutting():
    shield = new_shield()
    moving = settle(shield, Twist2(1.0, 0.0, 0.5), FREE)[-1].command
    speeds = [moving.vx_mps]
    for i in range(40, 60):
        command = shield.step(PERIOD_S * i, Twist2(), moving, FREE, 0.0).command
        if command.vx_mps > 0.0:
            assert command.wz_radps / command.vx_mps == pytest.approx(0.5)
        speeds.append(command.vx_mps)
    assert min(np.diff(speeds)) == pytest.approx(-2.5 * PERIOD_S)
    assert speeds[-1] == 0.0


# --- obstacles


@pytest.mark.parametrize("distance", [0.3, 0.35, 0.5, 1.0])
def test_a_standing_base_is_not_driven_into_a_wall_ahead(distance):
    wall = np.array([[distance, -1.0, distance, 1.0]])
    shield = new_shield()
    reach = max(step.command.vx_mps for step in settle(shield, Twist2(2.0), exact_scan([], wall)))
    room = distance - 0.21
    assert reach**2 / (2.0 * 2.5) <= room
    assert reach > 0.3


def test_never_faster_towards_an_obstacle_than_asked_for():
    rng = np.random.default_rng(6)
    for _ in range(60):
        distance, bearing = rng.uniform(0.4, 2.5), rng.uniform(-1.0, 1.0)
        scan = exact_scan([[distance * math.cos(bearing), distance * math.sin(bearing), 0.1]])
        wanted = Twist2(rng.uniform(0.0, 2.0), 0.0, rng.uniform(-2.0, 2.0))
        for step in settle(new_shield(), wanted, scan, steps=25):
            assert -TOLERANCE <= step.command.vx_mps <= wanted.vx_mps + TOLERANCE


def test_a_nearer_obstacle_never_allows_more_speed():
    reached = [
        settle(new_shield(), Twist2(2.0), exact_scan([[d, 0.0, 0.1]]))[-1].command.vx_mps
        for d in np.arange(0.4, 3.0, 0.1)
    ]
    assert all(later >= earlier - 0.21 for earlier, later in pairwise(reached))  # one step of scale
    assert reached[0] <= 0.4 and reached[-1] == 2.0


def test_mirrored_scene_and_command_give_the_mirrored_answer():
    rng = np.random.default_rng(7)
    for _ in range(40):
        circles = np.column_stack([rng.uniform(-1.5, 1.5, (8, 2)), np.full(8, 0.08)])
        circles = circles[np.hypot(circles[:, 0], circles[:, 1]) > 0.4]
        scan, wanted = exact_scan(circles), Twist2(rng.uniform(-0.5, 2.0), 0.0, rng.uniform(-2.0, 2.0))
        for one, other in zip(
            settle(new_shield(), wanted, scan, steps=15),
            settle(new_shield(), wanted._replace(wz_radps=-wanted.wz_radps), mirrored(scan), steps=15),
            strict=True,
        ):
            assert other.command == pytest.approx((one.command.vx_mps, 0.0, -one.command.wz_radps), abs=0.01)


def test_a_gap_wider_than_the_base_and_its_margins_is_drivable():
    half = 0.5 * 0.33 + 0.05
    walls = np.array([[-1.0, half, 3.0, half], [-1.0, -half, 3.0, -half]])
    assert settle(new_shield(), Twist2(0.5), exact_scan([], walls))[-1].command.vx_mps == 0.5


def test_a_gap_narrower_than_the_base_is_not():
    circles = [[0.5, 0.2, 0.075], [0.5, -0.2, 0.075]]
    step = settle(new_shield(), Twist2(1.0), exact_scan(circles))[-1]
    assert step.command.vx_mps < 0.8 and step.limited_by == OBSTACLE


def test_touching_distance_ahead_still_lets_the_base_back_out_and_turn_away():
    wall = np.array([[0.22, -0.1, 0.22, 0.1]])
    scan = exact_scan([], wall)
    assert settle(new_shield(unseen_radius_m=0.0), Twist2(-0.3), scan)[-1].command.vx_mps == pytest.approx(-0.3)
    beside = exact_scan([], np.array([[-0.6, 0.175, 3.0, 0.175]]))
    along = settle(new_shield(), Twist2(0.5, 0.0, 0.1), beside)[-10:]
    assert np.mean([step.command.vx_mps for step in along]) > 0.02  # along the wall, if in pulses
    free_turn = settle(new_shield(), Twist2(0.0, 0.0, 1.0), exact_scan([[0.36, 0.0, 0.05]]))[-1]
    assert free_turn.command.wz_radps == 1.0


def test_an_arc_into_an_obstacle_becomes_a_turn_on_the_spot_where_that_is_free():
    step = settle(new_shield(), Twist2(0.5, 0.0, 1.0), exact_scan([[0.30, 0.0, 0.05]]))[-1]
    assert step.limited_by == OBSTACLE
    assert step.command.wz_radps > 0.0 and step.command.vx_mps < 0.2


def test_what_was_never_seen_behind_is_not_backed_into():
    step = settle(new_shield(), Twist2(-0.5), FREE)
    travelled = 0.0
    shield, speed = new_shield(), 0.0
    for i in range(100):
        speed = shield.step(PERIOD_S * i, Twist2(-0.5), Twist2(speed), FREE, 0.0).command.vx_mps
        travelled += PERIOD_S * speed
    assert step and -(0.4 - 0.21) < travelled <= 0.0


def test_points_on_the_robot_itself_are_ignored_but_not_those_at_its_skin():
    inside = Scan(np.full(541, 0.05, dtype=np.float32), -0.75 * math.pi, INCREMENT, 0.01, 20.0)
    assert settle(new_shield(unseen_radius_m=0.0), Twist2(0.5), inside)[-1].command.vx_mps == 0.5
    skin = exact_scan([], np.array([[0.205, -0.1, 0.205, 0.1]]))
    assert settle(new_shield(), Twist2(0.5), skin)[-1].command.vx_mps == 0.0


# --- faults


def test_a_stale_scan_and_a_missing_one_stop_the_robot():
    shield = new_shield()
    assert shield.step(0.0, Twist2(1.0), Twist2(), None, math.inf).limited_by == STALE_SCAN
    settle_at = [shield.step(0.05 * i, Twist2(0.5), Twist2(), FREE, 0.0) for i in range(1, 20)][-1]
    assert settle_at.command.vx_mps == 0.5
    late = [shield.step(1.0 + 0.05 * i, Twist2(0.5), Twist2(0.5), FREE, 0.05 * (i + 1)) for i in range(16)]
    assert late[-1].limited_by == STALE_SCAN and late[-1].command == Twist2()


def test_scans_full_of_nan_count_as_none():
    blind = Scan(np.full(541, math.nan, dtype=np.float32), -2.3, 0.0085, 0.05, 20.0)
    step = settle(new_shield(), Twist2(0.5), blind)[-1]
    assert step.limited_by == STALE_SCAN and step.command == Twist2()


def test_single_nan_do_not_hide_a_wall():
    scan = exact_scan([], np.array([[0.4, -1.0, 0.4, 1.0]]))
    scan.ranges_m[::3] = math.nan
    assert settle(new_shield(), Twist2(1.0), scan)[-1].command.vx_mps < 0.7


def test_too_near_to_measure_is_an_obstacle():
    near = Scan(np.full(541, -np.inf, dtype=np.float32), -0.75 * math.pi, INCREMENT, 0.12, 20.0)
    assert settle(new_shield(), Twist2(0.5), near)[-1].command.vx_mps == 0.0


def test_stale_or_nonsense_odometry_stops_the_robot():
    shield = new_shield()
    moving = settle(shield, Twist2(0.5), FREE)[-1].command
    old = [shield.step(2.0 + 0.05 * i, Twist2(0.5), moving, FREE, 0.0, odom_age_s=0.4) for i in range(10)][-1]
    assert old.limited_by == STALE_ODOMETRY and old.command == Twist2()
    assert settle(new_shield(), Twist2(0.5), FREE, velocity=Twist2(math.nan))[-1].limited_by == STALE_ODOMETRY


def test_a_command_that_is_not_finite_is_refused_counted_and_stops():
    shield = new_shield()
    step = shield.step(0.0, Twist2(math.nan), Twist2(), FREE, 0.0)
    assert step.limited_by == BAD_COMMAND and step.command == Twist2()
    with pytest.raises(ValueError, match="nav"):
        shield.submit("nav", 0.0, Twist2(math.inf))
    assert shield.arbiter.refused == {"direct": 1, "nav": 1}


# --- sources


def test_priorities_and_time_outs():
    shield = new_shield()
    shield.step(0.0, None, Twist2(), FREE, 0.0)

    def drive(now_s, **commands):
        for source, speed in commands.items():
            shield.submit(source, now_s, Twist2(speed))
        return shield.step(now_s, None, Twist2(), FREE, 0.0)

    assert drive(0.05, policy=0.3, nav=0.2).source == "nav"
    assert drive(0.10, policy=0.3, nav=0.2, teleop=0.0).source == "teleop"
    assert drive(0.20, policy=0.3).source == "teleop"  # still within its time
    assert drive(0.36, policy=0.3).source == "policy"
    silent = drive(0.60)
    assert silent.source == "" and silent.limited_by == NO_SOURCE


@pytest.mark.parametrize("speed", [0.2, 0.25])
def test_a_silent_source_stops_the_robot_within_three_tenths_of_a_second(speed):
    shield, rate_hz = Shield(SafetyConfig(rate_hz=50.0), BASE_T_LASER), 50.0
    for i in range(100):
        shield.submit("nav", i / rate_hz, Twist2(speed))
        shield.step(i / rate_hz, None, Twist2(speed), FREE, 0.0)
    fell_silent_s = 99 / rate_hz
    for i in range(100, 130):
        if shield.step(i / rate_hz, None, Twist2(speed), FREE, 0.0).command == Twist2():
            break
    assert i / rate_hz - fell_silent_s <= 0.3 + 1e-9


def test_who_sends_nonsense_hands_over():
    shield = new_shield()
    shield.submit("nav", 0.0, Twist2(0.3))
    shield.submit("policy", 0.0, Twist2(0.2))
    with pytest.raises(ValueError):
        shield.submit("nav", 0.0, Twist2(math.nan))
    assert shield.step(0.0, None, Twist2(), FREE, 0.0).source == "policy"
    with pytest.raises(ValueError, match="expected one of teleop, nav, policy"):
        shield.submit("stranger", 0.0, Twist2())


@pytest.mark.parametrize(
    "change", [{"sources": ()}, {"sources": ("a", "a")}, {"source_timeout_s": 0.5}, {"margin_m": -0.1}]
)
def test_nonsense_parameters_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        SafetyConfig(**change)


def test_new_parameters_take_effect_while_driving():
    shield = new_shield()
    settle(shield, Twist2(1.0), FREE)
    shield.configure(SafetyConfig(max_speed_mps=0.3, rate_hz=20.0))
    assert [shield.step(2.0 + 0.05 * i, Twist2(1.0), Twist2(1.0), FREE, 0.0) for i in range(20)][
        -1
    ].command.vx_mps == 0.3


def test_time_that_jumps_back_starts_over():
    shield = new_shield()
    settle(shield, Twist2(1.0), FREE)
    assert shield.step(0.0, Twist2(1.0), Twist2(), FREE, 0.0).command.vx_mps <= 0.125 + TOLERANCE


# --- the whole


def collides(seed: int) -> bool:
    """Every other drive the shield gets odometry's pose, else its velocity alone."""
    rng = np.random.default_rng(seed)
    simulator = PlanarSimulator(random_world(rng), seed=seed)
    shield, driver = new_shield(), reckless_driver(seed % 5, rng)
    for step in range(80):
        now_s, odometry = simulator.time_s, simulator.odometry()
        pose = odometry.odom_T_base if seed % 2 else None
        wanted, scan, age_s = driver(step, simulator), simulator.scan(), simulator.scan_age_s
        safe = shield.step(now_s, wanted, odometry.velocity, scan, age_s, now_s - odometry.stamp_s, pose)
        if not simulator.step(safe.command, PERIOD_S):
            return True
    return False


@pytest.mark.timeout(600)
def test_no_reckless_driver_ever_hits_anything():
    """200 drives of 4 s among random cylinders and walls, with the simulator's noise, delays and drop-outs."""
    assert [seed for seed in range(200) if collides(seed)] == []


def test_without_the_shield_the_same_drivers_hit_things():
    hits = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        simulator, driver = PlanarSimulator(random_world(rng), seed=seed), reckless_driver(seed % 5, rng)
        hits += any(not simulator.step(driver(step, simulator), PERIOD_S) for step in range(100))
    assert hits >= 8


def test_a_step_takes_less_than_half_a_millisecond():
    circles = np.column_stack([np.random.default_rng(8).uniform(-3.0, 3.0, (60, 2)), np.full(60, 0.075)])
    circles = circles[np.hypot(circles[:, 0], circles[:, 1]) > 0.6]
    scans = [exact_scan(circles + np.array([0.001 * i, 0.0, 0.0])) for i in range(50)]
    shield, took = new_shield(), []
    for i, scan in enumerate(scans):
        began = time.process_time()
        shield.step(PERIOD_S * i, Twist2(2.0, 0.0, 0.5), Twist2(0.5), scan, 0.0)
        took.append(time.process_time() - began)
    assert np.percentile(took, 25) < 0.5e-3  # process time; neighbours on the same core lengthen the rest


def test_the_shipped_parameters_are_valid():
    shipped = yaml.safe_load((Path(__file__).parents[3] / "config" / "safety.yaml").read_text(encoding="utf-8"))
    assert config_from_mapping(SafetyConfig, shipped["/**/safety"]["ros__parameters"]) == SafetyConfig()
