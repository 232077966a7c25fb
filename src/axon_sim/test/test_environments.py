# SPDX-License-Identifier: Apache-2.0
"""The navigation environment: Gymnasium's own checks, the same for the same seed, rewards by their table, true ways."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import axon_sim.environments
from axon_core.drive_observation import GOAL, ROWS_AHEAD
from axon_core.geometry import se2_apply
from axon_core.motion import Twist2
from axon_sim.barn import BarnWorld, generate_barn
from axon_sim.environments.navigate import NavigateConfig, NavigateEnv
from axon_sim.environments.worlds import WayField, generate_rooms, make_task
from axon_sim.planar import PlanarConfig

CALM = PlanarConfig(scan_noise_m=0.0, scan_dropout=0.0, odom_scale_error=0.0, odom_noise=0.0, odom_yaw_drift_radps=0.0)
AHEAD = np.array([0.5, 0.0], np.float32)


def lane(goal=(3.0, 0.0), start=(0.0, 0.0, 0.0), things=((0.0, 9.0),)) -> BarnWorld:
    """A corridor along x, two metres wide, with walls at both ends."""
    walls = np.array([[-1, -1, 6, -1], [-1, 1, 6, 1], [-1, -1, -1, 1], [6, -1, 6, 1.0]])
    return BarnWorld(np.array(things, dtype=float), 0.1, start=np.array(start), goal=np.array(goal), walls_m=walls)


def roll(environment: NavigateEnv, seed: int, steps: int = 30) -> list[tuple]:
    rng = np.random.default_rng(seed)
    observation, _ = environment.reset(seed=seed)
    rows = [(observation["map"].copy(), observation["vector"].copy(), 0.0)]
    for _ in range(steps):
        observation, reward, terminated, truncated, _ = environment.step(rng.uniform(-1, 1, 2).astype(np.float32))
        rows.append((observation["map"].copy(), observation["vector"].copy(), reward))
        if terminated or truncated:
            break
    return rows


def test_it_is_registered_and_passes_gymnasiums_checks():
    assert axon_sim.environments.NAVIGATE == "axon/Navigate-v0"
    environment = gymnasium.make("axon/Navigate-v0")
    check_env(environment.unwrapped, skip_render_check=True)


def test_the_same_seed_gives_the_same_episode_and_another_another():
    environment = NavigateEnv()
    first, again, other = roll(environment, 5), roll(NavigateEnv(), 5), roll(environment, 6)
    assert len(first) == len(again)
    for before, after in zip(first, again, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    assert not np.array_equal(first[0][1], other[0][1])


def test_driving_to_the_goal_ends_in_success_and_its_reward_is_the_way():
    config = NavigateConfig(near_reward=0.0, smooth_reward=0.0, time_reward=0.0)
    environment = NavigateEnv(config, planar=CALM)
    environment.reset(seed=0, options={"world": lane()})
    total, over = 0.0, False
    while not over:
        observation, reward, terminated, truncated, info = environment.step(AHEAD)
        total, over = total + reward, terminated or truncated
    assert terminated and info["success"] and not info["collision"]
    driven_m = environment.simulator.pose[0]
    assert total == pytest.approx(driven_m + config.success_reward, abs=0.15)
    assert observation["vector"][GOAL + 3] == pytest.approx((3.0 - driven_m) / 3.0, abs=0.05)


def test_a_collision_ends_the_episode_and_costs():
    environment = NavigateEnv(planar=CALM)
    environment.reset(seed=0, options={"world": lane(goal=(5.0, 0.5), things=((1.0, 0.0),))})
    for _ in range(40):
        _, reward, terminated, _, info = environment.step(AHEAD)
        if terminated:
            break
    assert info["collision"] and not info["success"] and reward < 0.8 * NavigateConfig().collision_reward


def test_time_truncates():
    environment = NavigateEnv(NavigateConfig(time_limit_s=1.0), planar=CALM)
    environment.reset(seed=0, options={"world": lane()})
    ends = [environment.step(np.zeros(2, np.float32))[2:4] for _ in range(10)]
    assert not any(terminated for terminated, _ in ends)
    assert [truncated for _, truncated in ends].index(True) >= 8


def test_a_guard_stands_between_action_and_base():
    class Wall:
        held_back = True

        def __init__(self, planar: PlanarConfig) -> None:
            pass

        def __call__(self, simulator, command) -> Twist2:
            assert command.vx_mps > 0.5
            return Twist2()

    environment = NavigateEnv(make_guard=Wall, planar=CALM)
    environment.reset(seed=0, options={"world": lane()})
    _, reward, _, _, info = environment.step(AHEAD)
    assert info["held"] and np.allclose(environment.simulator.pose[:2], 0.0) and reward < 0.0


def test_the_robot_sees_only_what_its_scanner_shows():
    """What stands behind a wall, or where the goal's way leads, changes nothing in what it observes."""
    hidden = lane(goal=(3.0, 0.0), things=((0.0, 9.0), (8.0, 0.0)))
    seen = [NavigateEnv(planar=CALM).reset(seed=1, options={"world": w})[0] for w in (lane(), hidden)]
    assert all(np.array_equal(seen[0][part], seen[1][part]) for part in ("map", "vector"))
    privileged = NavigateEnv(planar=CALM, privileged=True).reset(seed=1, options={"world": lane()})[0]
    assert set(privileged) - set(seen[0]) == {"privileged"}
    assert privileged["privileged"][1] == pytest.approx(1.0, abs=0.05)  # straight ahead


def test_walls_are_in_the_map_where_they_stand():
    observation, _ = NavigateEnv(planar=CALM).reset(seed=0, options={"world": lane()})
    cols = np.flatnonzero(observation["map"][0, ROWS_AHEAD - 12])
    assert {abs(int(col) - 24 + (col < 24)) for col in cols} <= {9, 10}


def test_the_true_way_goes_around_what_is_in_the_way():
    world = lane(goal=(4.0, 0.0), things=[(2.0, y) for y in np.arange(-1.0, 0.4, 0.1)])
    way, straight = WayField(world), WayField(lane(goal=(4.0, 0.0)))
    start = np.zeros(2)
    assert straight.distance_m(start) == pytest.approx(4.0, rel=0.1)
    assert straight.distance_m(start) + 0.3 < way.distance_m(start) < 9.0
    assert 0.1 < way.heading_rad(np.array([1.5, 0.0])) < 1.6 and way.is_reachable_from(start)
    closed = WayField(lane(goal=(4.0, 0.0), things=[(2.0, y) for y in np.arange(-1.0, 1.1, 0.1)]))
    assert not closed.is_reachable_from(start)


def test_tasks_are_the_same_for_a_seed_and_can_be_done():
    for seed in range(1_000_000, 1_000_008):
        task, again = make_task(seed), make_task(seed)
        assert np.array_equal(task.goal, again.goal) and np.array_equal(task.start, again.start)
        assert WayField(task).is_reachable_from(task.start[:2])
    rooms = generate_rooms(3)
    assert len(rooms.walls_m) >= 4 + 3 and WayField(rooms).is_reachable_from(rooms.start[:2])


def test_goal_in_the_frame_of_odometry_is_the_goal_of_the_world():
    environment = NavigateEnv(planar=CALM)
    world = generate_barn(3)
    environment.reset(seed=0, options={"world": world})
    np.testing.assert_allclose(se2_apply(world.start, environment.goal_in_odom[None])[0], world.goal, atol=1e-9)
