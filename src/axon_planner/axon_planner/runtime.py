# SPDX-License-Identifier: Apache-2.0
"""Drive to a pose from scans and odometry: what the node, the benchmarks and a user's own program all call."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np

from axon_core.checks import check_array
from axon_core.geometry import se2_compose, wrap_angle
from axon_core.grids import Grid
from axon_core.motion import Twist2, limit_twist
from axon_core.scans import Scan
from axon_planner.config import PlannerConfig
from axon_planner.costmap import Costmap, Field
from axon_planner.guide import Guide
from axon_planner.outline import clearances
from axon_planner.pieces import PieceFollower
from axon_planner.planning import PLANNERS, PathPlanner, PlanResult, path_length
from axon_planner.pursuit import PursuitFollower
from axon_planner.refiner import Refiner
from axon_planner.search import SearchStatus
from axon_planner.sequence import SequencePlanner
from axon_planner.tracker import Follower, FollowStatus, PathFollower, within_radius

__all__ = ["CONTROLLERS", "NavStatus", "NavStep", "Navigator", "PathFollower", "PathPlanner", "PlanResult"]

CONTROLLERS: dict[str, type[Follower]] = {"mppi": PathFollower, "pursuit": PursuitFollower}

# A new path that runs elsewhere is taken only where it is this much cheaper, or two equal ways would alternate.
SWITCH_FACTOR = 0.85
SAME_WAY_M = 0.35
SAME_GOAL = 0.05  # metres, radians: a path that ends farther from the goal was made for where the goal was before
LOST_PATH_M = 0.6
LOST_PIECE_M = 0.3  # a path that was planned to the centimetre is planned anew from farther off
SKIP_M = 0.3
BLOCKED_FOR_S = 0.8
PROGRESS_M = 0.2
BACK_OFF_S = 1.2
BACK_OFF_TURNS_RADPS = (0.0, -0.15, 0.15, -0.4, 0.4)
BACK_OFF_TOUCH_M = 5e-3  # the nose of a base beside a wall swings out a little while its tail leaves
TRAIL_SPACING_M, TRAIL_POINTS = 0.05, 200
FORGET_RING_M = (0.7, 2.5)
NEW_PLACE_M = 1.0


class NavStatus(Enum):
    """Where a drive stands; the value says it in words."""

    IDLE = "no goal"
    RUNNING = "driving"
    REACHED = "goal reached"
    NO_PATH = "no path to the goal"
    GOAL_BLOCKED = "goal in an obstacle"
    START_BLOCKED = "robot in an obstacle"
    OUTSIDE = "goal outside the map"
    BLOCKED = "no way on after all recoveries"
    TIMEOUT = "time for the goal is over"
    STALE_SCAN = "no fresh scan"
    CANCELLED = "cancelled"


_FAILED_SEARCH = {
    SearchStatus.OUTSIDE: NavStatus.OUTSIDE,
    SearchStatus.START_BLOCKED: NavStatus.START_BLOCKED,
    SearchStatus.GOAL_BLOCKED: NavStatus.GOAL_BLOCKED,
    SearchStatus.NO_PATH: NavStatus.NO_PATH,
    SearchStatus.TIMEOUT: NavStatus.NO_PATH,
    SearchStatus.LIMIT: NavStatus.NO_PATH,
}


@dataclass(frozen=True)
class NavStep:
    """What to do now: a command, whose status says why it may be zero, and the path (N, 3) it follows.

    `over`: the drive has ended as `status` says, with `reason`, and the next one needs a new goal. STALE_SCAN is
    first a halt, and over only after `patience_s`.
    """

    command: Twist2
    status: NavStatus
    over: bool
    path: np.ndarray | None = None
    reason: str = ""
    remaining_m: float = math.nan
    recoveries: int = 0


class Navigator:
    """Plan, follow, replan, recover. Call `step` at `control_rate_hz`; all poses (3,) are in one frame (odom or map).

    A goal is a pose (`set_goal`, the navigator plans) or a path (`set_path`, the navigator only follows).
    """

    def __init__(self, config: PlannerConfig | None = None, refiner: Refiner | None = None):
        """`refiner`: by default `config.refiner_model`, loaded where `config.refine` asks for it (ModelError)."""
        self.config = config or PlannerConfig()
        self.refiner = refiner
        self._refines_by = None if refiner is None else self.config.refine_by
        self.guide: Guide | None = None
        self.sequence: SequencePlanner | None = None
        self._forget_all()

    def _forget_all(self) -> None:
        self.costmap = Costmap(self.config)
        self.planner = self._make_planner(self.config)
        self._controller: str | None = None  # asked for by this drive; None: the configured one
        self.follower = self.make_follower()
        self.plan: PlanResult | None = None
        self.path: np.ndarray | None = None
        self.speeds_mps: np.ndarray | None = None  # (N,) along `path`, where the plan has said so
        self._directions: np.ndarray | None = None
        self.goal: np.ndarray | None = None
        self._plans_itself = True
        self._status, self._reason = NavStatus.IDLE, ""
        self._last_scan: Scan | None = None
        self._scan_t_s = -math.inf
        self._trail: deque[np.ndarray] = deque(maxlen=TRAIL_POINTS)
        self._last_t_s: float | None = None
        self._reset_drive()

    @property
    def status(self) -> NavStatus:
        """Where the drive stands since the last step."""
        return self._status

    def set_goal(self, goal_pose: np.ndarray) -> None:
        """Drive to `goal_pose` (3,) from the next step on; replaces the goal before. ValueError if not finite."""
        self._begin(check_array("goal_pose", goal_pose, shape=(3,)), plans_itself=True)

    def set_path(self, path: np.ndarray, controller: str | None = None) -> None:
        """Follow `path` (N, 3) as it is, without planning; replaces any goal before.

        `controller`: one of `CONTROLLERS` for this drive; None: the configured one.
        """
        if controller is not None and controller not in CONTROLLERS:
            raise ValueError(f"controller '{controller}': expected one of {', '.join(CONTROLLERS)}")
        path = check_array("path", path, shape=(None, 3))
        if len(path) == 0:
            raise ValueError("path is empty: expected at least one pose")
        self._begin(path[-1].copy(), plans_itself=False, controller=controller)
        self._take(path)

    def move_target(self, target: np.ndarray) -> None:
        """Go on with the same drive, whose goal (3,) or path (N, 3) a correction of its frame has moved."""
        if self.goal is None:
            return
        goal = check_array("target", target, shape=(3,) if self._plans_itself else (None, 3)).reshape(-1, 3)[-1].copy()
        self._best_remaining_m += float(np.linalg.norm(goal[:2] - self.goal[:2]))  # a longer way is no lack of progress
        self.goal = goal
        if self._plans_itself:
            self._next_plan_t_s = -math.inf
        else:
            self._take(target)

    def cancel(self) -> None:
        """End the drive: the next steps brake to a stop."""
        if self.goal is not None:
            self._end(NavStatus.CANCELLED, "cancelled by request")

    def reset(self) -> None:
        """Forget the goal and everything seen."""
        static = self.costmap.static
        self._forget_all()
        self.costmap.set_map(static)

    def reconfigure(self, config: PlannerConfig) -> None:
        """Take other parameters from the next step on; what is known and where it drives stays."""
        self.planner = self._make_planner(config)
        self.config = self.costmap.config = config
        self.follower = self.make_follower()
        if self.path is not None:
            self._take(self.path, self.speeds_mps, self._directions)

    def make_follower(self) -> Follower | PieceFollower:
        """What follows the path: the drive's own choice, or the configured one; by pieces where paths may have some."""
        kind = CONTROLLERS[self._controller or self.config.controller]
        if self.planner.plans_poses or self.config.min_turning_radius_m > 0.0:
            return PieceFollower(self.config, kind)
        return kind(self.config)

    def _make_planner(self, config: PlannerConfig) -> PathPlanner:
        if config.refine and config.refine_by != self._refines_by:
            by_network = config.refine_by == "network"
            self.refiner = Refiner.load(config.refiner_model) if by_network else Refiner.by_descent()
            self._refines_by = config.refine_by
        if config.guide and self.guide is None:
            self.guide = Guide.load(config.guide_model)
        refiner, guide = self.refiner if config.refine else None, self.guide if config.guide else None
        sequence = self._sequence_planner(config) if config.planner == "sequence" else self.sequence
        return PathPlanner(config, refiner, guide, sequence)

    def _sequence_planner(self, config: PlannerConfig) -> SequencePlanner:
        """The sequence planner, loaded when it is first asked for."""
        if self.sequence is None:
            self.sequence = SequencePlanner.load(config.sequence_model)
        return self.sequence

    def plan_path(self, start: np.ndarray, goal: np.ndarray, planner: str | None = None) -> PlanResult:
        """Path from `start` to `goal`, (3,) each, over what is known now; changes nothing in the drive.

        `planner`: one of `planning.PLANNERS`; None: the configured one. ValueError where it does not fit the base,
        ModelError where it is sequence and its network is not there.
        """
        static = self.costmap.static
        for name, pose in (("start", start), ("goal", goal)):
            if static is not None and not _within(static, pose):
                return _outside(name, pose)
        if planner == "sequence":
            self.planner.sequence = self._sequence_planner(self.config)
        return self.planner.plan(self.costmap, start, goal, planner)

    def set_map(self, grid: Grid | None) -> None:
        """Lay a map (in the frame of all poses) under the scans."""
        self.costmap.set_map(grid)

    def observe(self, t_s: float, scan: Scan, odom_T_laser: np.ndarray) -> None:
        """Enter a scan measured at `t_s` from the pose of the scanner at that time."""
        self.costmap.update(scan, odom_T_laser)
        self._scan_t_s = t_s

    def warm_up(self) -> None:
        """Compile everything by driving a metre among made-up walls, then forget it."""
        ranges = np.full(180, 3.0, np.float32)
        scan = Scan(ranges, -1.5, 3.0 / 179, 0.1, 10.0)
        self.set_goal(np.array([1.5, 0.0, 0.0]))
        for k in range(3):
            self.step(k * 0.05, np.zeros(3), Twist2(), Scan(ranges + k, *_geometry(scan)), np.zeros(3))
        for planner in PLANNERS:
            if not self.planner.refusal_of(planner):
                self.planner.plan_on(self.costmap.field(), np.zeros(3), np.array([1.5, 0.5, 1.0]), planner)
        for controller in CONTROLLERS.values():
            follower = controller(self.config)
            follower.set_path(np.array([[0.0, 0.0, 0.0], [1.5, 0.0, 0.0]]))
            follower.step(np.zeros(3), Twist2(), self.costmap.field(), 0.05)
        for network in (self.refiner, self.sequence):
            if network is not None:
                network.reset_counts()
        self.reset()

    def step(
        self,
        t_s: float,
        odom_T_base: np.ndarray,
        velocity: Twist2,
        scan: Scan | None,
        base_T_laser: np.ndarray,
        scan_age_s: float = 0.0,
    ) -> NavStep:
        """One control step at `t_s`: base pose (3,) and measured velocity now, the newest scan and its age.

        The same scan object given again is not entered again. Without a scan for `scan_timeout_s` the command is zero.
        """
        pose = check_array("odom_T_base", odom_T_base, shape=(3,))
        dt_s = self._elapsed(t_s)
        self._leave_trail(pose)
        if scan is not None and scan is not self._last_scan:
            then = se2_compose(pose, _moved(velocity, -scan_age_s))
            self.observe(t_s - scan_age_s, scan, se2_compose(then, base_T_laser))
            self._last_scan = scan
        if self.goal is None:
            return self._result(self._brake(velocity, dt_s), pose)
        if t_s - self._scan_t_s > self.config.scan_timeout_s:
            self._halt(t_s)
            return self._result(self._brake(velocity, dt_s), pose)
        self._halted_since_s = None
        self._status, self._reason = NavStatus.RUNNING, ""
        command = self._drive(t_s, pose, velocity, dt_s)
        return self._result(command, pose)

    def _begin(self, goal: np.ndarray, plans_itself: bool, controller: str | None = None) -> None:
        self.goal, self._plans_itself = goal, plans_itself
        self._status, self._reason = NavStatus.RUNNING, ""
        self.plan = self.path = None
        if controller != self._controller:
            self._controller = controller
            self.follower = self.make_follower()
        self.follower.reset()
        self._reset_drive()

    def _reset_drive(self) -> None:
        self._next_speeds_t_s = -math.inf
        self._began_t_s: float | None = None
        self._halted_since_s: float | None = None
        self._next_plan_t_s = -math.inf
        self._no_path_since_s: float | None = None
        self._blocked_since_s: float | None = None
        self._best_remaining_m, self._progress_t_s = math.inf, math.inf
        self._recovery: Callable[..., Twist2] | None = None
        self._recovery_since_s = self._recovery_until_s = -math.inf
        self._recovery_place: np.ndarray | None = None
        self._forgot_once = False
        self.recoveries = 0
        self._recoveries_here = 0

    def _elapsed(self, t_s: float) -> float:
        nominal = 1.0 / self.config.control_rate_hz
        elapsed = nominal if self._last_t_s is None else t_s - self._last_t_s
        self._last_t_s = t_s
        return min(max(elapsed, 0.2 * nominal), 4.0 * nominal)

    def _halt(self, t_s: float) -> None:
        """Wait for the scanner; that time is nobody's lack of progress."""
        age = f"{t_s - self._scan_t_s:.2f} s old" if math.isfinite(self._scan_t_s) else "not there yet"
        self._status, self._reason = NavStatus.STALE_SCAN, f"newest scan is {age}: check the scanner and its topic"
        self._halted_since_s = t_s if self._halted_since_s is None else self._halted_since_s
        if self._began_t_s is not None:
            self._progress_t_s = t_s
        if t_s - self._halted_since_s > self.config.patience_s:
            self._end(NavStatus.STALE_SCAN, self._reason)

    def _brake(self, velocity: Twist2, dt_s: float) -> Twist2:
        return self.follower.stop(velocity, dt_s)

    def _end(self, status: NavStatus, reason: str) -> None:
        self._status, self._reason = status, reason
        self.goal = None

    def _result(self, command: Twist2, pose: np.ndarray) -> NavStep:
        remaining = math.nan
        if self.path is not None:
            nearest = int(np.square(self.path[:, :2] - pose[:2]).sum(axis=1).argmin())
            remaining = path_length(self.path[nearest:])
        return NavStep(command, self._status, self.goal is None, self.path, self._reason, remaining, self.recoveries)

    def _drive(self, t_s: float, pose: np.ndarray, velocity: Twist2, dt_s: float) -> Twist2:
        if self._began_t_s is None:
            self._began_t_s = self._progress_t_s = t_s
        if self.config.goal_timeout_s and t_s - self._began_t_s > self.config.goal_timeout_s:
            self._end(NavStatus.TIMEOUT, f"not reached within {self.config.goal_timeout_s:.1f} s")
            return self._brake(velocity, dt_s)
        if self._recovery is not None:
            if t_s < self._recovery_until_s:
                return self._recovery(t_s, pose, velocity, dt_s)
            self._finish_recovery(t_s)
        field = self._field(pose)
        if self._plans_itself and self._plan_is_due(t_s, pose, field):
            self._replan(t_s, pose, field)
        if self.goal is None or self.path is None:
            return self._brake(velocity, dt_s)
        if self.speeds_mps is None:
            self._keep_speeds(t_s, field)
        return self._follow(t_s, pose, velocity, field, dt_s)

    def _field(self, pose: np.ndarray) -> Field:
        return self.costmap.field(pose, self.goal)

    def _plan_is_due(self, t_s: float, pose: np.ndarray, field: Field) -> bool:
        if self.planner.plans_poses:  # its manoeuvres are driven as they were planned, as long as that is possible
            if self.path is None:
                return t_s >= self._next_plan_t_s
            if self._next_plan_t_s == -math.inf or self._is_lost(pose):
                return True
        elif t_s >= self._next_plan_t_s or self.path is None:
            return True
        if t_s < self._next_plan_t_s - self.config.replan_period_s + 0.1:
            return False
        return self.planner.blocked_at(field, self._ahead(pose)) is not None

    def _is_lost(self, pose: np.ndarray) -> bool:
        return float(np.linalg.norm(self.path[:, :2] - pose[:2], axis=1).min()) > LOST_PIECE_M

    def _ahead(self, pose: np.ndarray) -> np.ndarray:
        """What is left of the path, without the part that the base stands on."""
        nearest = int(np.square(self.path[:, :2] - pose[:2]).sum(axis=1).argmin())
        return self.path[min(nearest + 2, len(self.path) - 1) :]

    def _replan(self, t_s: float, pose: np.ndarray, field: Field) -> None:
        self._next_plan_t_s = t_s + self.config.replan_period_s
        self.plan = self._search(pose, field)
        if self.plan.found:
            self._no_path_since_s = None
            if self.path is None or self._is_better(self.plan, pose, field):
                self._take(self.plan.path, self.plan.speeds_mps, self.plan.directions)
            return
        if self._no_path_since_s is None:
            self._no_path_since_s = t_s
        self.path = None
        waited = t_s - self._no_path_since_s
        if self.plan.status is SearchStatus.OUTSIDE or waited >= self.config.no_path_timeout_s:
            self._end(_FAILED_SEARCH[self.plan.status], self.plan.reason)
        elif waited >= 0.5 * self.config.no_path_timeout_s and not self._forgot_once:
            self._forgot_once = True
            self.costmap.forget_ring(pose, *FORGET_RING_M)

    def _search(self, pose: np.ndarray, field: Field) -> PlanResult:
        static = self.costmap.static
        if not self.costmap.contains(self.goal) or (static is not None and not _within(static, self.goal)):
            return _outside("goal", self.goal)
        return self.planner.plan_on(field, pose, self.goal)

    def _is_better(self, plan: PlanResult, pose: np.ndarray, field: Field) -> bool:
        """Take the new path where it runs the same way, or is clearly cheaper, or the old one is blocked or lost."""
        if self.planner.plans_poses or np.linalg.norm(self.path[-1] - plan.path[-1]) > SAME_GOAL:
            return True
        ahead = self._ahead(pose)
        gap = np.linalg.norm(plan.path[:, None, :2] - ahead[None, ::2, :2], axis=2)
        if gap.min(axis=0).max() < SAME_WAY_M or gap[0].min() > LOST_PATH_M:
            return True
        if self.planner.blocked_at(field, ahead) is not None:
            return True
        return self.planner.cost_along(field, plan.path) < SWITCH_FACTOR * self.planner.cost_along(field, ahead)

    def _keep_speeds(self, t_s: float, field: Field) -> None:
        """Say anew, by what is seen now, how fast a path may be driven that came without speeds."""
        if t_s >= self._next_speeds_t_s:
            self._next_speeds_t_s = t_s + self.config.replan_period_s
            self.follower.keep_speeds(field)

    def _take(
        self, path: np.ndarray, speeds_mps: np.ndarray | None = None, directions: np.ndarray | None = None
    ) -> None:
        self.path, self.speeds_mps, self._directions = path, speeds_mps, directions
        self._next_speeds_t_s = -math.inf
        skip_m = SKIP_M if self._plans_itself else 0.0
        if isinstance(self.follower, PieceFollower):
            self.follower.set_path(path, skip_m, speeds_mps, directions)
        else:
            self.follower.set_path(path, skip_m, speeds_mps)

    def _follow(self, t_s: float, pose: np.ndarray, velocity: Twist2, field: Field, dt_s: float) -> Twist2:
        step = self.follower.step(pose, velocity, field, dt_s)
        if step.status is FollowStatus.REACHED:
            self._end(NavStatus.REACHED, "")
            return step.command
        if step.status is FollowStatus.ASTRAY and self._plans_itself:
            self._plan_another_manoeuvre(t_s, pose)
            return step.command
        self._watch_progress(t_s, step.remaining_m, pose)
        blocked = step.status is FollowStatus.BLOCKED or (step.status is FollowStatus.ASTRAY and not self._plans_itself)
        if not blocked:
            self._blocked_since_s = None
        elif self._blocked_since_s is None:
            self._blocked_since_s = t_s
        stuck = t_s - self._progress_t_s > self.config.progress_timeout_s
        if stuck or (blocked and t_s - self._blocked_since_s > BLOCKED_FOR_S):
            self._start_recovery(t_s, pose)
        return step.command

    def _watch_progress(self, t_s: float, remaining_m: float, pose: np.ndarray) -> None:
        turn_left = (
            abs(wrap_angle(self.goal[2] - pose[2])) if remaining_m < 2.0 * self.config.goal_tolerance_m else math.pi
        )
        remaining_m += 0.3 * turn_left  # the turn at the end is progress too
        if remaining_m < self._best_remaining_m - PROGRESS_M:
            self._best_remaining_m, self._progress_t_s = remaining_m, t_s
            if self._recovery_place is not None and np.linalg.norm(pose[:2] - self._recovery_place) > NEW_PLACE_M:
                self._recoveries_here, self._recovery_place = 0, None

    def _plan_another_manoeuvre(self, t_s: float, pose: np.ndarray) -> None:
        """Plan from where the base came to stand beside the end of a path or of a piece; this counts as a recovery."""
        if self._count_recovery(pose):
            self._finish_recovery(t_s)

    def _count_recovery(self, pose: np.ndarray) -> bool:
        """Whether there may be one more recovery here; else the drive has ended."""
        if self._recoveries_here >= self.config.max_recoveries:
            self._end(NavStatus.BLOCKED, f"no progress after {self._recoveries_here} recoveries")
            return False
        self.recoveries += 1
        self._recoveries_here += 1
        self._recovery_place = pose[:2].copy()
        return True

    def _start_recovery(self, t_s: float, pose: np.ndarray) -> None:
        """Back off first; the next time forget what was seen around; then back off again, farther each time."""
        if not self._count_recovery(pose):
            return
        if self._recoveries_here % 2 == 0:
            self.costmap.forget_ring(pose, *FORGET_RING_M)
            self._finish_recovery(t_s)
            return
        self._recovery, self._recovery_since_s = self._back_off, t_s
        self._recovery_until_s = t_s + self._recoveries_here * BACK_OFF_S

    def _finish_recovery(self, t_s: float) -> None:
        self._recovery = None
        self._blocked_since_s = None
        self._next_plan_t_s = -math.inf
        self._best_remaining_m, self._progress_t_s = math.inf, t_s

    def _back_off(self, t_s: float, pose: np.ndarray, velocity: Twist2, dt_s: float) -> Twist2:
        """Reverse along the freest of a few arcs, as long as that is free; the scanner is blind there.

        After `BACK_OFF_S` only where the base came from: what it drove over is free.
        """
        field = self._field(pose)
        speed = -min(self.config.max_reverse_mps, 0.3)
        blind = t_s - self._recovery_since_s > BACK_OFF_S
        best, best_room = Twist2(), -math.inf
        for wish in BACK_OFF_TURNS_RADPS:
            turn = within_radius(Twist2(speed, 0.0, wish), self.config).wz_radps
            arc = [se2_compose(pose, _moved(Twist2(speed, 0.0, turn), t)) for t in (0.0, 0.25, 0.5, 0.75)]
            room = clearances(self.config, field, np.array(arc))
            if blind and not self._came_along(arc[-1]):
                continue
            if room.min() > best_room and room.min() >= min(0.5 * field.resolution_m, room[0] - BACK_OFF_TOUCH_M):
                best, best_room = Twist2(speed, 0.0, turn), room.min()
        return within_radius(limit_twist(best, velocity, self.config.limits, dt_s), self.config)

    def _leave_trail(self, pose: np.ndarray) -> None:
        if not self._trail or np.linalg.norm(self._trail[-1] - pose[:2]) > TRAIL_SPACING_M:
            self._trail.append(pose[:2].copy())

    def _came_along(self, pose: np.ndarray) -> bool:
        """Whether the base has been where `pose` is."""
        return bool(np.linalg.norm(np.array(self._trail) - pose[:2], axis=1).min() < 2.0 * TRAIL_SPACING_M)


def _moved(velocity: Twist2, dt_s: float) -> np.ndarray:
    """Pose (3,) after `dt_s` at constant velocity from the origin."""
    yaw = velocity.wz_radps * dt_s
    x = velocity.vx_mps * dt_s * math.cos(0.5 * yaw)
    y = velocity.vx_mps * dt_s * math.sin(0.5 * yaw)
    return np.array([x, y, yaw])


def _outside(name: str, pose: np.ndarray) -> PlanResult:
    reason = f"{name} ({pose[0]:.2f}, {pose[1]:.2f}) lies outside the map"
    return PlanResult(SearchStatus.OUTSIDE, np.empty((0, 3)), np.empty((0, 2)), math.inf, 0, 0.0, reason)


def _within(grid: Grid, pose: np.ndarray) -> bool:
    return bool(grid.contains(grid.cells_of(pose[None, :2]))[0])


def _geometry(scan: Scan) -> tuple[float, float, float, float]:
    return scan.angle_min_rad, scan.angle_increment_rad, scan.range_min_m, scan.range_max_m
