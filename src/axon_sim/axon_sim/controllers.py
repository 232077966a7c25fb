# SPDX-License-Identifier: Apache-2.0
"""Controllers of the robot's joints: what runs in the drivers of a real one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicHermiteSpline

from axon_core.motion import Twist2, check_twist, limit_twist
from axon_sim import robot


class BaseController:
    """Turns velocity commands into wheel speeds, within the base's limits, and stops when commands stay away."""

    def __init__(self, timeout_s: float):
        self.timeout_s = timeout_s
        self._command = Twist2()
        self._command_time_s = -np.inf
        self._velocity = Twist2()

    def command(self, twist: Twist2, time_s: float) -> None:
        """Take a velocity command; ValueError for NaN or infinity, and the old command stays."""
        self._command, self._command_time_s = check_twist(twist), time_s

    def step(self, time_s: float, dt_s: float) -> tuple[float, float]:
        """Return the speeds (left, right) in rad/s that the wheels shall have now."""
        fresh = time_s - self._command_time_s <= self.timeout_s
        target = Twist2(self._command.vx_mps, 0.0, self._command.wz_radps) if fresh else Twist2()
        if target != self._velocity:
            self._velocity = limit_twist(target, self._velocity, robot.BASE_LIMITS, dt_s)
        turn = 0.5 * robot.WHEEL_TRACK_M * self._velocity.wz_radps
        return (
            (self._velocity.vx_mps - turn) / robot.WHEEL_RADIUS_M,
            (self._velocity.vx_mps + turn) / robot.WHEEL_RADIUS_M,
        )


@dataclass(frozen=True)
class Trajectory:
    """Positions (K, N) at times (K,) in seconds after its start, increasing; velocities (K, N) or None."""

    times_s: np.ndarray
    positions: np.ndarray
    velocities: np.ndarray | None = None


class JointGroup:
    """Position-controlled joints that follow trajectories and otherwise hold where they are told to.

    The reference never moves faster than the joints' speed limits, whatever a trajectory asks.
    """

    def __init__(
        self, names: Sequence[str], max_speeds: Sequence[float], lower: np.ndarray, upper: np.ndarray, start: np.ndarray
    ):
        self.names = tuple(names)
        self.lower, self.upper = lower, upper
        self._max_speeds = np.asarray(max_speeds)
        self.reference = np.array(start, dtype=np.float64)
        self._goal = self.reference.copy()
        self._spline: CubicHermiteSpline | None = None
        self._start_s = 0.0

    def follow(self, trajectory: Trajectory, time_s: float) -> None:
        """Begin a trajectory at `time_s`, from the present reference; ValueError where it cannot be."""
        times, positions, velocities = self._from_here(self._checked(trajectory))
        self._spline = CubicHermiteSpline(times, positions, velocities) if len(times) > 1 else None
        self._goal, self._start_s = positions[-1].copy(), time_s

    def hold(self) -> None:
        """Stop where the reference is."""
        self._spline, self._goal = None, self.reference.copy()

    @property
    def end_s(self) -> float:
        """Time at which the trajectory ends; -inf while holding."""
        return self._start_s + float(self._spline.x[-1]) if self._spline is not None else -np.inf

    def desired(self, time_s: float) -> np.ndarray:
        """Return the positions (N,) that the trajectory has at a time."""
        if self._spline is None or time_s >= self.end_s:
            return self._goal
        return np.asarray(self._spline(time_s - self._start_s))

    def step(self, time_s: float, dt_s: float) -> np.ndarray:
        """Return the reference (N,) for now."""
        desired = self.desired(time_s)
        if desired is self._goal:
            self._spline = None
        reach = self._max_speeds * dt_s
        self.reference = self.reference + np.clip(desired - self.reference, -reach, reach)
        return self.reference

    def _checked(self, trajectory: Trajectory) -> Trajectory:
        times = np.asarray(trajectory.times_s, dtype=np.float64)
        positions = np.asarray(trajectory.positions, dtype=np.float64)
        wanted = (len(times), len(self.names))
        if times.ndim != 1 or len(times) == 0 or positions.shape != wanted:
            raise ValueError(
                f"trajectory: {times.shape} times, {positions.shape} positions; expected 1 or more of {wanted}"
            )
        if not (np.isfinite(times).all() and np.isfinite(positions).all()):
            raise ValueError("trajectory: a time or position is not finite")
        if times[0] < 0.0 or (np.diff(times) <= 0.0).any():
            raise ValueError(f"trajectory: times {times.tolist()} s must increase from 0 or more")
        self._check_limits(positions)
        if trajectory.velocities is None:
            return Trajectory(times, positions)
        velocities = np.asarray(trajectory.velocities, dtype=np.float64)
        if velocities.shape != wanted or not np.isfinite(velocities).all():
            raise ValueError(f"trajectory: velocities {velocities.shape}; expected finite {wanted}")
        return Trajectory(times, positions, velocities)

    def _check_limits(self, positions: np.ndarray) -> None:
        outside = (positions < self.lower - 1e-6) | (positions > self.upper + 1e-6)
        if outside.any():
            row, col = np.argwhere(outside)[0]
            raise ValueError(
                f"{self.names[col]} = {positions[row, col]:.4f}: "
                f"expected {self.lower[col]:.4f} .. {self.upper[col]:.4f}"
            )

    def _from_here(self, trajectory: Trajectory) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return times, positions and velocities that begin at rest at the present reference."""
        times, positions, velocities = trajectory.times_s, trajectory.positions, trajectory.velocities
        if times[0] > 0.0:
            times = np.concatenate([[0.0], times])
            positions = np.concatenate([self.reference[None], positions])
            if velocities is not None:
                velocities = np.concatenate([np.zeros((1, len(self.names))), velocities])
        return times, positions, _smooth_velocities(times, positions) if velocities is None else velocities


def _smooth_velocities(times: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Return velocities (K, N) for a path without overshoot: zero at the ends and where a joint turns back."""
    velocities = np.zeros_like(positions)
    if len(times) > 2:
        slopes = np.diff(positions, axis=0) / np.diff(times)[:, None]
        before, after = slopes[:-1], slopes[1:]
        steady = before * after > 0.0
        mean = 2.0 * before * after / np.where(steady, before + after, 1.0)
        velocities[1:-1] = np.where(steady, mean, 0.0)
    return velocities


class Gripper:
    """Two coupled fingers: moves to an opening with at most a given force, and says whether it stalled or arrived."""

    SPEED_MPS = 0.10
    STALL_SPEED_MPS = 0.002
    STALL_TIME_S = 0.25
    TOLERANCE_M = 0.002

    def __init__(self, width_m: float):
        self.target_width_m = width_m
        self.max_force_n = robot.GRIPPER_MAX_FORCE_N
        self._reference_m = width_m
        self._still_s = 0.0

    def command(self, width_m: float, max_force_n: float = 0.0) -> None:
        """Move to an opening between the fingertips; `max_force_n` 0 is the gripper's own limit."""
        if not 0.0 <= width_m <= robot.GRIPPER_MAX_WIDTH_M:
            raise ValueError(f"gripper width {width_m} m: expected 0.0 .. {robot.GRIPPER_MAX_WIDTH_M}")
        if not 0.0 <= max_force_n < np.inf:
            raise ValueError(f"gripper force {max_force_n} N: expected 0 (the limit) or more")
        limit = robot.GRIPPER_MAX_FORCE_N
        self.target_width_m, self._still_s = float(width_m), 0.0
        self.max_force_n = min(max_force_n, limit) if max_force_n > 0.0 else limit

    def step(self, width_m: float, speed_mps: float, dt_s: float) -> float:
        """Return the reference opening for now, given the measured opening and its speed."""
        reach = self.SPEED_MPS * dt_s
        self._reference_m += float(np.clip(self.target_width_m - self._reference_m, -reach, reach))
        waiting = self._reference_m == self.target_width_m or abs(self._reference_m - width_m) > 2.0 * self.TOLERANCE_M
        self._still_s = self._still_s + dt_s if abs(speed_mps) < self.STALL_SPEED_MPS and waiting else 0.0
        return self._reference_m

    def reached(self, width_m: float) -> bool:
        """Return whether the fingers have the commanded opening."""
        return abs(width_m - self.target_width_m) <= self.TOLERANCE_M

    @property
    def stalled(self) -> bool:
        """Return whether the fingers have not moved for a while."""
        return self._still_s >= self.STALL_TIME_S
