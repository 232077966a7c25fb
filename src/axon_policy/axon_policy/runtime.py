# SPDX-License-Identifier: Apache-2.0
"""Drive to a goal by the network: what the node, the benchmarks and a user's own program all call."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np

from axon_core.arrays import Float32Array, FloatArray
from axon_core.checks import check_array
from axon_core.drive_observation import (
    CONTRACT,
    DECISION_PERIOD_S,
    MAP_SHAPE,
    VECTOR_SIZE,
    DriveObserver,
    action_to_twist,
)
from axon_core.geometry import se2_compose
from axon_core.inference import OnnxModel
from axon_core.models import Model, ModelError, find_model
from axon_core.motion import Twist2
from axon_core.scans import Scan
from axon_policy.config import PolicyConfig

PROGRESS_M = 0.2
_TICK_S = 1e-3
_INPUTS = {"map": ((1, *MAP_SHAPE), np.uint8), "vector": ((1, VECTOR_SIZE), np.float32)}


class DriveStatus(Enum):
    """Where a drive stands; the value says it in words."""

    IDLE = "no goal"
    RUNNING = "driving"
    REACHED = "goal reached"
    STUCK = "no progress"
    TIMEOUT = "time for the goal is over"
    STALE_SCAN = "no fresh scan"
    STALE_ODOMETRY = "no fresh odometry"
    CANCELLED = "cancelled"


HALTED = (DriveStatus.STALE_SCAN, DriveStatus.STALE_ODOMETRY)


@dataclass(frozen=True)
class DriveStep:
    """What to do now: a command, zero unless RUNNING, and the straight distance to the goal.

    `over`: the drive has ended as `status` says, with `reason`, and the next one needs a new goal. A stale input is
    first a halt, and over only after `patience_s`.
    """

    command: Twist2
    status: DriveStatus
    over: bool
    reason: str = ""
    remaining_m: float = math.nan


class DrivePolicy:
    """Set a goal, then call `step` at `control_rate_hz`; the network is asked every `DECISION_PERIOD_S`.

    All poses are in one continuous frame (odom). Raises ModelError where the network is none for driving.
    """

    def __init__(self, config: PolicyConfig | None = None) -> None:
        self.config = config or PolicyConfig()
        self.model = find_model(self.config.model)
        self.network = open_network(self.model, self.config.threads)
        self.reset()

    def reset(self) -> None:
        """Forget the goal and everything seen."""
        self._observer = DriveObserver()
        self._scan: Scan | None = None
        self._scan_s = -math.inf
        self.goal: FloatArray | None = None
        self._status, self._reason = DriveStatus.IDLE, ""
        self._begin_drive()

    def reconfigure(self, config: PolicyConfig) -> None:
        """Take other parameters from the next step on; what was seen and where it drives stays."""
        self.config = config

    def warm_up(self) -> None:
        """Compile everything by one step among made-up walls, then forget it."""
        self.set_goal(np.array([2.0, 0.0]))
        scan = Scan(np.full(90, 3.0, np.float32), -1.5, 3.0 / 89, 0.1, 10.0)
        self.step(0.0, np.zeros(3), Twist2(), scan, np.zeros(3))
        self.reset()

    def set_goal(self, goal: FloatArray) -> None:
        """Drive to `goal` (2+,), x and y in metres, from the next step on; replaces the goal before."""
        self.goal = check_array("goal", np.asarray(goal)[:2], shape=(2,))
        self._status, self._reason = DriveStatus.RUNNING, ""
        self._observer.begin_drive()
        self._begin_drive()

    def move_goal(self, goal: FloatArray) -> None:
        """Go on with the same drive, whose goal (2+,) a correction of its frame has moved."""
        if self.goal is not None:
            moved = check_array("goal", np.asarray(goal)[:2], shape=(2,))
            self._nearest_m += math.dist(moved, self.goal)  # a longer way is no lack of progress
            self.goal = moved

    def cancel(self) -> None:
        """End the drive: the next steps say to stand."""
        if self.goal is not None:
            self._end(DriveStatus.CANCELLED, "cancelled by request")

    def observe(self, t_s: float, scan: Scan, odom_T_laser: FloatArray) -> None:
        """Enter a scan measured at `t_s` from the pose (3,) of the scanner at that time."""
        self._observer.see(scan, odom_T_laser)
        self._scan_s = t_s

    def step(
        self,
        t_s: float,
        odom_T_base: FloatArray,
        velocity: Twist2,
        scan: Scan | None = None,
        base_T_laser: FloatArray | None = None,
        scan_age_s: float = 0.0,
        odom_age_s: float = 0.0,
    ) -> DriveStep:
        """One control step at `t_s`: base pose (3,) and measured velocity, the newest scan, the ages of both.

        The same scan object given again is not entered again; who calls `observe` gives none here.
        """
        pose = check_array("odom_T_base", odom_T_base, shape=(3,))
        if scan is not None and scan is not self._scan:
            then = se2_compose(pose, _moved(velocity, odom_age_s - scan_age_s))
            laser = np.zeros(3) if base_T_laser is None else base_T_laser
            self.observe(t_s - scan_age_s, scan, se2_compose(then, laser))
            self._scan = scan
        if self.goal is None:
            return self._result(Twist2(), pose)
        if not self._inputs_are_fresh(t_s, odom_age_s):
            self._action = np.zeros(2, dtype=np.float32)
            return self._result(Twist2(), pose)
        self._halted_since_s = None
        self._status, self._reason = DriveStatus.RUNNING, ""
        self._watch(t_s, pose)
        command = self._decide(t_s, pose, velocity) if self.goal is not None else Twist2()
        return self._result(command, pose)

    def _begin_drive(self) -> None:
        self._action: Float32Array = np.zeros(2, dtype=np.float32)
        self._next_decision_s = -math.inf
        self._began_s: float | None = None
        self._halted_since_s: float | None = None
        self._nearest_m, self._progress_s = math.inf, -math.inf

    def _end(self, status: DriveStatus, reason: str) -> None:
        self._status, self._reason = status, reason
        self.goal = None

    def _result(self, command: Twist2, pose: FloatArray) -> DriveStep:
        remaining = math.nan if self.goal is None else math.dist(pose[:2], self.goal)
        return DriveStep(command, self._status, self.goal is None, self._reason, remaining)

    def _inputs_are_fresh(self, t_s: float, odom_age_s: float) -> bool:
        """Whether the base may move; else wait for what is missing, and give up after `patience_s`."""
        scan_age_s = t_s - self._scan_s
        if not odom_age_s <= self.config.odom_timeout_s:
            text = f"newest odometry is {odom_age_s:.2f} s old: check the base and its topic"
            self._status, self._reason = DriveStatus.STALE_ODOMETRY, text
        elif abs(scan_age_s) > self.config.scan_timeout_s:  # from the future: time has jumped back
            age = f"{scan_age_s:.2f} s old" if math.isfinite(scan_age_s) else "not there yet"
            text = f"newest scan is {age}: check the scanner and its topic"
            self._status, self._reason = DriveStatus.STALE_SCAN, text
        else:
            return True
        self._halted_since_s = t_s if self._halted_since_s is None else self._halted_since_s
        if t_s - self._halted_since_s > self.config.patience_s:
            self._end(self._status, self._reason)
        self._progress_s = t_s  # waiting is nobody's lack of progress
        return False

    def _watch(self, t_s: float, pose: FloatArray) -> None:
        """End the drive where it has arrived, takes too long or comes no nearer."""
        assert self.goal is not None
        config, remaining_m = self.config, math.dist(pose[:2], self.goal)
        if self._began_s is None:
            self._began_s = self._progress_s = t_s
        if remaining_m < self._nearest_m - PROGRESS_M:
            self._nearest_m, self._progress_s = remaining_m, t_s
        if remaining_m <= config.goal_tolerance_m:
            self._end(DriveStatus.REACHED, "")
        elif config.goal_timeout_s and t_s - self._began_s > config.goal_timeout_s:
            self._end(DriveStatus.TIMEOUT, f"not reached within {config.goal_timeout_s:.1f} s")
        elif config.progress_timeout_s and t_s - self._progress_s > config.progress_timeout_s:
            waited = f"no nearer than {self._nearest_m:.2f} m for {config.progress_timeout_s:.1f} s"
            self._end(DriveStatus.STUCK, f"{waited}: try the planner, or a goal on the way")

    def _decide(self, t_s: float, pose: FloatArray, velocity: Twist2) -> Twist2:
        """Ask the network where a decision is due, else keep to the last."""
        if t_s >= self._next_decision_s - _TICK_S or t_s < self._next_decision_s - DECISION_PERIOD_S - _TICK_S:
            self._next_decision_s = t_s + DECISION_PERIOD_S
            observation = self._observer.observe(t_s, pose, velocity, self.goal, self._action)
            answers = self.network.run({part: value[None] for part, value in observation.items()})
            self._action = check_array("action", answers["action"][0], shape=(2,)).astype(np.float32)
        return self._within_limits(action_to_twist(self._action))

    def _within_limits(self, twist: Twist2) -> Twist2:
        """Slower where the parameters say so, on the same arc."""
        config = self.config
        top = config.max_speed_mps if twist.vx_mps >= 0.0 else config.max_reverse_mps
        scale = min(1.0, top / max(abs(twist.vx_mps), 1e-9), config.max_turn_radps / max(abs(twist.wz_radps), 1e-9))
        return Twist2(scale * twist.vx_mps, 0.0, scale * twist.wz_radps)


def open_network(model: Model, threads: int) -> OnnxModel:
    """Load and warm a network; ModelError where its observation or its inputs are not ours."""
    contract = model.details.get("observation", CONTRACT)
    if contract != CONTRACT:
        raise ModelError(f"{model.path}: made for the observation '{contract}', this is '{CONTRACT}': train it anew")
    network = OnnxModel(model.path, threads=threads)
    found = {spec.name: (spec.shape, spec.dtype) for spec in network.inputs}
    expected = {name: (shape, np.dtype(dtype)) for name, (shape, dtype) in _INPUTS.items()}
    if found != expected or [spec.name for spec in network.outputs] != ["action"]:
        raise ModelError(f"{model.path}: takes {found}; a driving network takes {expected} and answers 'action'")
    return network


def _moved(velocity: Twist2, dt_s: float) -> FloatArray:
    """Pose (3,) after `dt_s` at constant velocity from the origin."""
    yaw = velocity.wz_radps * dt_s
    x, y = velocity.vx_mps * dt_s * math.cos(0.5 * yaw), velocity.vx_mps * dt_s * math.sin(0.5 * yaw)
    return np.array([x, y, yaw])
