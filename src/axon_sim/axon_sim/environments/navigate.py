# SPDX-License-Identifier: Apache-2.0
"""`axon/Navigate-v0`: drive a differential base to a goal among obstacles that only its scanner shows.

Observation, action and decision period are those of `axon_core.drive_observation`: what is trained here drives a robot.
The table of rewards and ends is in the package's README.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Protocol

import gymnasium
import numpy as np
from gymnasium import spaces

from axon_core.arrays import AnyArray, Float32Array, FloatArray
from axon_core.config import check_config, param
from axon_core.drive_observation import (
    DECISION_PERIOD_S,
    MAP_SHAPE,
    VECTOR_SIZE,
    DriveObserver,
    action_to_twist,
)
from axon_core.geometry import se2_apply, se2_compose, se2_inverse, wrap_angle
from axon_core.motion import Twist2
from axon_sim.barn import BarnWorld
from axon_sim.environments.worlds import WayField, make_task
from axon_sim.planar import PlanarConfig, PlanarSimulator

CONTROL_PERIOD_S = 0.05
"""The guard acts so often, as the safety node does; a multiple of it is a decision."""
PRIVILEGED_SIZE = 6


class Guard(Protocol):
    """What may stand between policy and base: given the simulator and a command, the command that it lets by."""

    def __call__(self, simulator: PlanarSimulator, command: Twist2) -> Twist2: ...


@dataclass(frozen=True)
class NavigateConfig:
    """Ends and rewards of an episode; the rewards' unit is a metre of progress."""

    time_limit_s: float = param(60.0, "An episode is truncated then", unit="s", minimum=0.1)
    goal_radius_m: float = param(0.3, "The goal is reached within this distance", unit="m", minimum=0.05)
    first_seed: int = param(1_000_000, "Worlds are those of the seeds from here on", minimum=0)
    worlds: int = param(1200, "Number of different worlds", minimum=1)
    progress_reward: float = param(1.0, "Of a metre nearer to the goal, on the true way")
    time_reward: float = param(-0.02, "Of every decision")
    success_reward: float = param(5.0, "Of reaching the goal")
    collision_reward: float = param(-5.0, "Of a collision, which ends the episode")
    near_reward: float = param(-0.05, "Of a decision that ends within near_m of an obstacle, in proportion")
    near_m: float = param(0.10, "Clearance below which near_reward counts", unit="m", minimum=0.01)
    held_reward: float = param(-0.05, "Of a decision during which the guard held the base back")
    smooth_reward: float = param(-0.02, "Of the squared change of the action")

    def __post_init__(self) -> None:
        check_config(self)


class NavigateEnv(gymnasium.Env[dict[str, AnyArray], Float32Array]):
    """One robot, one goal. `make_guard` is called at every reset; without it the commands reach the base as they are.

    With `privileged` the observation has a third part that only a critic may see: the true way to the goal. Options of
    `reset`: `world` (a BarnWorld with start and goal), or `seed_of_world`.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}

    def __init__(
        self,
        config: NavigateConfig | None = None,
        make_guard: Callable[[PlanarConfig], Guard] | None = None,
        planar: PlanarConfig | None = None,
        privileged: bool = False,
    ) -> None:
        self.config, self.planar = config or NavigateConfig(), planar or PlanarConfig()
        self._make_guard, self._privileged = make_guard, privileged
        parts: dict[str, spaces.Space[Any]] = {
            "map": spaces.Box(0, 255, MAP_SHAPE, np.uint8),
            "vector": spaces.Box(-2.0, 2.0, (VECTOR_SIZE,), np.float32),
        }
        if privileged:
            parts["privileged"] = spaces.Box(-np.inf, np.inf, (PRIVILEGED_SIZE,), np.float32)
        self.observation_space = spaces.Dict(parts)
        self.action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, AnyArray], dict[str, Any]]:
        """Begin in another world: drawn by the environment's generator, or the one that `options` name."""
        super().reset(seed=seed)
        world = self._choose_world(options or {})
        self.simulator = PlanarSimulator(world, self.planar, seed=int(self.np_random.integers(2**31)))
        self.way = _way(world)
        self.goal_in_odom = se2_apply(se2_inverse(world.start), world.goal[None])[0]
        self._guard = self._make_guard(self.planar) if self._make_guard else None
        self._observer, self._scan, self._action = DriveObserver(), None, np.zeros(2, dtype=np.float32)
        self._left_m, self._held = self.way.distance_m(world.start[:2]), False
        self._room_m = 1.0
        while self.simulator.scan() is None:
            self.simulator.step(Twist2(), CONTROL_PERIOD_S)
        return self._observe(), self._info()

    def step(self, action: Float32Array) -> tuple[dict[str, AnyArray], float, bool, bool, dict[str, Any]]:
        """Keep to an action (2,) for a decision's time."""
        action = np.clip(np.asarray(action, dtype=np.float32), -1.0, 1.0)
        command, self._held = action_to_twist(action), False
        for _ in range(round(DECISION_PERIOD_S / CONTROL_PERIOD_S)):
            allowed = self._guard(self.simulator, command) if self._guard else command
            self._held = self._held or bool(getattr(self._guard, "held_back", False))
            self.simulator.step(allowed, CONTROL_PERIOD_S)
        info = self._info()
        self._room_m = min(self.simulator.clearance_m, 1.0)
        reward = self._reward(action, info)
        self._action = action
        terminated = bool(info["collision"] or info["success"])
        return self._observe(), reward, terminated, self.simulator.time_s >= self.config.time_limit_s, info

    def _choose_world(self, options: Mapping[str, Any]) -> BarnWorld:
        if "world" in options:
            return options["world"]
        drawn = self.config.first_seed + int(self.np_random.integers(self.config.worlds))
        return _task(int(options.get("seed_of_world", drawn)))

    def _observe(self) -> dict[str, AnyArray]:
        simulator = self.simulator
        odometry, scan = simulator.odometry(), simulator.scan()
        if scan is not None and scan is not self._scan:
            back = _moved(odometry.velocity, odometry.stamp_s - (simulator.time_s - simulator.scan_age_s))
            pose = se2_compose(odometry.odom_T_base, se2_inverse(back))
            self._observer.see(scan, se2_compose(pose, self.planar.base_T_laser))
            self._scan = scan
        observation = self._observer.observe(
            simulator.time_s, odometry.odom_T_base, odometry.velocity, self.goal_in_odom, self._action
        )
        if self._privileged:
            observation["privileged"] = self._truth()
        return observation

    def _truth(self) -> Float32Array:
        """Length of the true way, its direction and that of the goal from the base, clearance and time left."""
        pose, world = self.simulator.pose, self.simulator.world
        heading = self.way.heading_rad(pose[:2]) - pose[2]
        time_left = 1.0 - self.simulator.time_s / self.config.time_limit_s
        ahead = np.linalg.norm(world.goal - pose[:2])
        values = (self._left_m / 5.0, math.cos(heading), math.sin(heading), ahead / 5.0, self._room_m, time_left)
        return np.array(values, dtype=np.float32)

    def _info(self) -> dict[str, Any]:
        off = np.linalg.norm(self.simulator.pose[:2] - self.simulator.world.goal)
        collision = self.simulator.collided
        success = bool(off <= self.config.goal_radius_m) and not collision
        return {"success": success, "collision": collision, "held": self._held, "time_s": self.simulator.time_s}

    def _reward(self, action: Float32Array, info: Mapping[str, Any]) -> float:
        config, before_m = self.config, self._left_m
        self._left_m = self.way.distance_m(self.simulator.pose[:2])
        progress = np.clip(before_m - self._left_m, -0.3, 0.3)  # no more than the base can drive in that time
        nearness = max(0.0, 1.0 - self._room_m / config.near_m)
        change = float(np.square(action - self._action).sum())
        return float(
            config.progress_reward * progress
            + config.time_reward
            + config.near_reward * nearness
            + config.held_reward * info["held"]
            + config.smooth_reward * change
            + config.success_reward * info["success"]
            + config.collision_reward * info["collision"]
        )


def _moved(velocity: Twist2, dt_s: float) -> FloatArray:
    """Pose (3,) after `dt_s` from the origin."""
    yaw = velocity.wz_radps * dt_s
    x, y = (velocity.vx_mps * dt_s * f(0.5 * yaw) for f in (math.cos, math.sin))
    return np.array([x, y, float(wrap_angle(yaw))])


@lru_cache(maxsize=4096)
def _task(seed: int) -> BarnWorld:
    return make_task(seed)


_ways: dict[int, tuple[BarnWorld, WayField]] = {}


def _way(world: BarnWorld) -> WayField:
    """The world's field, made once for each world object."""
    if id(world) not in _ways:
        _ways[id(world)] = world, WayField(world)
    return _ways[id(world)][1]
