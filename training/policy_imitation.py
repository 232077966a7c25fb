# SPDX-License-Identifier: Apache-2.0
"""The first half of the driving policy's training: learn from the classical navigator, on the learner's own way.

DAgger (Ross, Gordon, Bagnell 2011): whoever drives, the expert says at every decision what it would do; the learner
drives a growing share of the episodes, so that its own mistakes are among what it learns from.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from axon_core.drive_observation import (
    DECISION_PERIOD_S,
    MAP_SHAPE,
    MAX_REVERSE_MPS,
    MAX_SPEED_MPS,
    MAX_TURN_RADPS,
    REST,
    VECTOR_SIZE,
    mirror_action,
    mirror_observation,
    twist_to_action,
)
from axon_core.motion import Twist2
from axon_planner.config import PlannerConfig
from axon_planner.runtime import Navigator
from axon_policy.model import DriveNetwork
from axon_safety.config import SafetyConfig
from axon_safety.runtime import OBSTACLE, Shield
from axon_sim.environments.navigate import CONTROL_PERIOD_S, NavigateConfig, NavigateEnv
from axon_sim.planar import PlanarConfig, PlanarSimulator

STUMBLE_S = (0.3, 1.0)
STUCK = 0.6
"""Of `REST_S`: a learner that stands still for longer is driven on by the expert, or it would show little else."""
BATCH = 256


class ShieldGuard:
    """The safety shield as a guard of the environment, as its node runs beside the policy's."""

    def __init__(self, planar: PlanarConfig) -> None:
        self._shield = Shield(SafetyConfig(rate_hz=1.0 / CONTROL_PERIOD_S), planar.base_T_laser)
        self.held_back = False

    def __call__(self, simulator: PlanarSimulator, command: Twist2) -> Twist2:
        odometry, age_s = simulator.odometry(), simulator.time_s - simulator.odometry().stamp_s
        step = self._shield.step(
            simulator.time_s, command, odometry.velocity, simulator.scan(), simulator.scan_age_s, age_s,
            odometry.odom_T_base,
        )  # fmt: skip
        self.held_back = step.limited_by == OBSTACLE
        return step.command


class Expert:
    """The classical navigator, asked once a decision; it keeps a map of its own, from the same scans."""

    def __init__(self) -> None:
        self.navigator = Navigator(
            PlannerConfig(
                control_rate_hz=1.0 / DECISION_PERIOD_S, max_speed_mps=MAX_SPEED_MPS, max_reverse_mps=MAX_REVERSE_MPS,
                max_turn_radps=MAX_TURN_RADPS, goal_tolerance_m=0.2, goal_yaw_tolerance_rad=3.15, goal_timeout_s=0.0,
                samples=200, refine=False,
            )
        )  # fmt: skip
        self.navigator.warm_up()

    def begin(self, environment: NavigateEnv) -> None:
        """Forget the last drive, take the goal of this one."""
        self.navigator.reset()
        self._goal = np.append(environment.goal_in_odom, 0.0)
        self.navigator.set_goal(self._goal)

    def action(self, environment: NavigateEnv) -> np.ndarray | None:
        """What it would do now (2,); None where it does not know."""
        simulator = environment.simulator
        odometry, laser = simulator.odometry(), environment.planar.base_T_laser
        step = self.navigator.step(
            simulator.time_s, odometry.odom_T_base, odometry.velocity, simulator.scan(), laser, simulator.scan_age_s
        )
        if step.over:
            self.navigator.set_goal(self._goal)
        return None if step.over or step.path is None else twist_to_action(step.command)


@dataclass
class Demonstrations:
    """What was seen, and what the expert would have done: map (N, 4, 48, 48), vector (N, 81), action (N, 2)."""

    image: np.ndarray
    vector: np.ndarray
    action: np.ndarray

    @staticmethod
    def stack(rows: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> Demonstrations:
        images, vectors, actions = zip(*rows, strict=True)
        return Demonstrations(np.array(images, np.uint8), np.array(vectors), np.array(actions, np.float32))


class Store:
    """Demonstrations on disk, a file of each kind that only grows, so that an interrupted training finds them again."""

    def __init__(self, folder: Path) -> None:
        self._files = {kind: folder / f"{kind}.bin" for kind in ("image", "vector", "action")}
        self._kinds = {
            "image": (np.uint8, MAP_SHAPE), "vector": (np.float32, (VECTOR_SIZE,)), "action": (np.float32, (2,)),
        }  # fmt: skip
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, rows: Demonstrations) -> None:
        for kind, file in self._files.items():
            with file.open("ab") as stream:
                stream.write(np.ascontiguousarray(getattr(rows, kind), self._kinds[kind][0]).tobytes())

    def read(self, count: int) -> Demonstrations:
        """The first `count` of them, mapped from disk."""
        return Demonstrations(
            *(np.memmap(file, self._kinds[kind][0], "r", shape=(count, *self._kinds[kind][1]))
              for kind, file in self._files.items())
        )  # fmt: skip

    def keep(self, count: int) -> None:
        """Drop what lies beyond the first `count`: of a round that was interrupted."""
        for kind, file in self._files.items():
            dtype, shape = self._kinds[kind]
            with file.open("ab") as stream:
                stream.truncate(count * int(np.prod(shape)) * np.dtype(dtype).itemsize)


def collect(
    expert: Expert,
    decisions: int,
    seed: int,
    learner_share: float,
    weights: dict[str, torch.Tensor] | None,
    first_seed: int,
) -> Demonstrations:
    """Drive until so many decisions have an expert's answer; a share of the episodes is driven by the learner."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    config = NavigateConfig(time_limit_s=40.0, first_seed=first_seed)
    environment, drive = NavigateEnv(config, ShieldGuard), _driver(weights)
    rows: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    while len(rows) < decisions:
        observation, _ = environment.reset(seed=int(rng.integers(2**31)))
        expert.begin(environment)
        learner = drive if drive is not None and rng.random() < learner_share else None
        rows += list(_episode(environment, observation, expert, learner, rng))
    return Demonstrations.stack(rows[:decisions])


def _driver(weights: dict[str, torch.Tensor] | None) -> Callable[[dict[str, np.ndarray]], np.ndarray] | None:
    if weights is None:
        return None
    network = DriveNetwork()
    network.load_state_dict(weights)
    return lambda observation: act(network, observation)


@torch.no_grad()
def act(network: DriveNetwork, observation: dict[str, np.ndarray]) -> np.ndarray:
    """The network's action (2,) for one observation."""
    image, vector = (torch.from_numpy(observation[part])[None] for part in ("map", "vector"))
    return network(image, vector)[0].clamp(-1.0, 1.0).numpy()


def _episode(environment, observation, expert, learner, rng) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """One drive; now and then the driver stumbles, so that the expert shows how to recover."""
    over, stumbling, stumble = False, 0, np.zeros(2, np.float32)
    while not over:
        answer = expert.action(environment)
        if answer is not None:
            yield observation["map"], observation["vector"], answer
        if stumbling == 0 and rng.random() < 0.02:
            stumbling = round(rng.uniform(*STUMBLE_S) / DECISION_PERIOD_S)
            stumble = rng.uniform(-1.0, 1.0, 2).astype(np.float32)
        stuck = observation["vector"][REST] > STUCK
        asked = learner if learner and not stuck else None
        action = asked(observation) if asked else np.zeros(2, np.float32) if answer is None else answer
        stumbling, action = (stumbling - 1, stumble) if stumbling else (0, action)
        observation, _, terminated, truncated, _ = environment.step(action)
        over = terminated or truncated


class Collectors:
    """Processes that `collect`; they live through all rounds, as making their worlds is dear."""

    def __init__(self, jobs: int) -> None:
        os.environ.update(OMP_NUM_THREADS="1", NUMBA_NUM_THREADS="1")
        self._jobs, self._pool = jobs, ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"))

    def __enter__(self) -> Collectors:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def ask(
        self, decisions: int, seed: int, learner_share: float, weights: dict[str, torch.Tensor] | None, first_seed: int
    ) -> list[Future[Demonstrations]]:
        """Begin to collect so many of the expert's answers, a share in each process."""
        share = -(-decisions // self._jobs)
        weights = None if weights is None else {name: value.clone() for name, value in weights.items()}
        return [
            self._pool.submit(_collect_prepared, share, seed * 1000 + job, learner_share, weights, first_seed)
            for job in range(self._jobs)
        ]


_expert: Expert | None = None


def _collect_prepared(
    decisions: int, seed: int, learner_share: float, weights: dict[str, torch.Tensor] | None, first_seed: int
) -> Demonstrations:
    """`collect` with the process's own expert, compiled once."""
    global _expert
    _expert = _expert or Expert()
    return collect(_expert, decisions, seed, learner_share, weights, first_seed)


def imitate(
    network: DriveNetwork, optimizer: torch.optim.Optimizer, rows: Demonstrations, steps: int, rng: np.random.Generator
) -> float:
    """So many steps of regression on the expert's answers; return the mean loss. Half of each batch is mirrored.

    The loss is all but absolute: where the expert passes now left, now right, the median is one of the two, and the
    mean would be straight on.
    """
    losses = []
    for _ in range(steps):
        picked = np.sort(rng.integers(0, len(rows.action), BATCH))
        seen = {"map": rows.image[picked], "vector": rows.vector[picked]}
        answers, flip = rows.action[picked].copy(), rng.random(BATCH) < 0.5
        mirrored = mirror_observation({part: values[flip] for part, values in seen.items()})
        for part in seen:
            seen[part][flip] = mirrored[part]
        answers[flip] = mirror_action(answers[flip])
        with torch.autocast("cpu", torch.bfloat16):
            said = network.one_sided(torch.from_numpy(seen["map"]), torch.from_numpy(seen["vector"]))
        loss = functional.smooth_l1_loss(said.float(), torch.from_numpy(answers), beta=0.02)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return float(np.mean(losses))
