# SPDX-License-Identifier: Apache-2.0
"""The planner as a node: Nav2's three actions, `goal_pose`, and commands to the safety node.

One thread: a timer at `control_rate_hz` drives, and goals end as `axon_ros.endings` says. At any time one drive goes
on; a new goal ends the old one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from geometry_msgs.msg import Point, PoseStamped, Twist, TwistStamped
from nav2_msgs.action import ComputePathToPose, FollowPath, NavigateToPose
from nav_msgs.msg import OccupancyGrid, Odometry, Path
from sensor_msgs.msg import LaserScan
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker

from axon_core.geometry import se2_compose, wrap_angle
from axon_core.grids import Grid
from axon_core.models import ModelError
from axon_core.motion import Twist2
from axon_planner.config import PlannerConfig
from axon_planner.planning import PLANNERS, PlanResult
from axon_planner.refiner import Verdict
from axon_planner.runtime import CONTROLLERS, Navigator, NavStatus, NavStep
from axon_planner.search import SearchStatus
from axon_ros.conversions import (
    grid_from_msg,
    grid_to_msg,
    header,
    path_from_msg,
    path_to_msg,
    pose_from_msg,
    pose_to_msg,
    twist_to_msg,
)
from axon_ros.diagnostics import ModelInfo
from axon_ros.driving import BaseMotion, PlacedScans, pose_of_frame
from axon_ros.endings import Endings
from axon_ros.errors import BadInput, NoTransform
from axon_ros.process import node_main
from axon_ros.qos import COMMAND, LATCHED, RESULT, SENSOR
from axon_ros.skill_node import SkillNode
from axon_ros.speaker import Level
from axon_ros.stamps import duration_of

# Which planner an id of compute_path_to_pose means; None is the one of the parameter `planner`.
PLANNER_IDS = {"": None, "GridBased": None, **{name: name for name in PLANNERS}}
# Which controller an id of follow_path means; None is the one of the parameter `controller`.
CONTROLLER_IDS = {"": None, "FollowPath": None, **{name: name for name in CONTROLLERS}}
FEEDBACK_S = 0.2
COSTMAP_PERIOD_S = 1.0
SPEEDS_WIDTH_M, SPEEDS_HEIGHT_M = 0.05, 0.02  # the line of speeds, a little above the plan that it lies on
# Metres or radians that a goal in the map moves before anybody minds: localisation always trembles a little.
CORRECTION = 0.01

_Plan, _Follow, _Navigate = ComputePathToPose.Result, FollowPath.Result, NavigateToPose.Result
PLAN_CODES = {
    SearchStatus.FOUND: _Plan.NONE,
    SearchStatus.START_BLOCKED: _Plan.START_OCCUPIED,
    SearchStatus.GOAL_BLOCKED: _Plan.GOAL_OCCUPIED,
    SearchStatus.NO_PATH: _Plan.NO_VALID_PATH,
    SearchStatus.TIMEOUT: _Plan.TIMEOUT,
    SearchStatus.LIMIT: _Plan.TIMEOUT,
}
# Nav2's navigator hands on the codes of its planner and controller; so does this one.
NAVIGATE_CODES = {
    NavStatus.REACHED: _Navigate.NONE,
    NavStatus.CANCELLED: _Navigate.NONE,
    NavStatus.START_BLOCKED: _Plan.START_OCCUPIED,
    NavStatus.GOAL_BLOCKED: _Plan.GOAL_OCCUPIED,
    NavStatus.OUTSIDE: _Plan.GOAL_OUTSIDE_MAP,
    NavStatus.NO_PATH: _Plan.NO_VALID_PATH,
    NavStatus.BLOCKED: _Follow.FAILED_TO_MAKE_PROGRESS,
    NavStatus.TIMEOUT: _Follow.CONTROLLER_TIMED_OUT,
    NavStatus.STALE_SCAN: _Follow.NO_VALID_CONTROL,
}


@dataclass
class Outcome:
    """How a drive ended: `state` is what becomes of the goal (succeed, abort or canceled)."""

    state: str
    error_code: int = 0
    error_msg: str = ""


@dataclass(frozen=True)
class Target:
    """Where to: a pose (3,) or a path (N, 3) in its own frame, and that frame's pose (3,) in `global_frame`."""

    frame: str
    frame_T_target: np.ndarray
    global_T_frame: np.ndarray

    @property
    def poses(self) -> np.ndarray:
        """The same in `global_frame`."""
        return se2_compose(self.global_T_frame, self.frame_T_target)


@dataclass
class Drive:
    """One drive on its way: `handle` is None for a goal that came by topic."""

    handle: Any
    result: Any
    target: Target
    began_s: float
    lost_since_s: float | None = None
    feedback_s: float = -math.inf


class PlannerNode(SkillNode):
    """Subscribes scan, odom, map, goal_pose; publishes cmd_vel_nav, plans and costmap; serves three actions."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("planner", PlannerConfig, **kwargs)
        self._navigator: Navigator | None = None
        self._drive: Drive | None = None
        self._endings = Endings()

    def on_load(self, config: PlannerConfig) -> None:
        self._navigator = Navigator(config)
        self._navigator.warm_up()
        self._name_model()

    def on_start(self) -> None:
        self._scans = PlacedScans(self, self.config.global_frame, self._navigator.observe)
        self._motion = BaseMotion(self, self.config.global_frame, self.config.base_frame)
        self._published_path: np.ndarray | None = None
        command_type = TwistStamped if self.config.stamped else Twist
        self._command = self.output(command_type, "cmd_vel_nav", COMMAND)
        self._plan_output = self.output(Path, "plan", RESULT)
        self._raw_output = self.output(Path, "plan_raw", RESULT)
        self._guide_output = self.output(OccupancyGrid, "guide_cost", LATCHED)
        self._speeds_output = self.output(Marker, "plan_speeds", RESULT)
        self._costmap_output = self.output(OccupancyGrid, "costmap", LATCHED)
        self.input(LaserScan, "scan", self._scans.take, SENSOR)
        self.input(Odometry, "odom", self._motion.take, SENSOR)
        self.input(OccupancyGrid, "map", self._on_map, LATCHED, timeout_s=None, required=False)
        self.input(PoseStamped, "goal_pose", self._on_goal_pose, RESULT, timeout_s=None, required=False)
        self.action(ComputePathToPose, "compute_path_to_pose", self._compute_path)
        self.action(FollowPath, "follow_path", self._endings.execute, accepted=self._follow_path)
        self.action(NavigateToPose, "navigate_to_pose", self._endings.execute, accepted=self._navigate)
        self.timer(1.0 / self.config.control_rate_hz, self._control)
        self.timer(COSTMAP_PERIOD_S, self._publish_costmap)

    def on_stop(self) -> None:
        """Stop the base and end the drive; the servers go with the activity, once its client has the result."""
        self._end_drive(Outcome("abort", _Navigate.UNKNOWN, "the planner was deactivated"))
        self._publish_command(Twist2())

    def on_unload(self) -> None:
        self._navigator = None

    def on_config_change(self, config: PlannerConfig) -> None:
        self._navigator.reconfigure(config)
        self._name_model()

    def _name_model(self) -> None:
        refiner = self._navigator.refiner
        if refiner is not None:
            self.model = ModelInfo(refiner.name, refiner.version, refiner.sha256, "cpu")

    def status_values(self) -> dict[str, str]:
        refiner = self._navigator.refiner if self._navigator is not None else None
        values = {"planner": self.config.planner, "guided_searches": self._guide_text()} | self._sequence_values()
        if refiner is None or not self.config.refine:
            return {"refined_paths": "off"} | values
        counts = refiner.counts
        kept = [f"{verdict.value} {n}" for verdict, n in counts.items() if n and verdict is not Verdict.REFINED]
        return {
            "refined_paths": f"{counts[Verdict.REFINED]} of {sum(counts.values())}",
            "classical_paths": ", ".join(kept) or "none",
        } | values

    def _sequence_values(self) -> dict[str, str]:
        """How many of the sequence planner's paths were taken, and why the others were not; empty before the first."""
        sequence = self._navigator.sequence if self._navigator is not None else None
        if sequence is None:
            return {}
        kept = [
            f"{verdict.value} {n}" for verdict, n in sequence.counts.items() if n and verdict is not Verdict.REFINED
        ]
        total, taken = sum(sequence.counts.values()), sequence.counts[Verdict.REFINED]
        return {"sequence_paths": f"{taken} of {total}", "sequence_refused": ", ".join(kept) or "none"}

    def _guide_text(self) -> str:
        guide = self._navigator.guide if self._navigator is not None else None
        if guide is None or not self.config.guide:
            return "off"
        mean_ms = 1e3 * guide.read_s / max(1, guide.readings)
        return f"{guide.readings}, {mean_ms:.1f} ms to read a map ({guide.name} {guide.version})"

    # Inputs

    def _on_map(self, msg: OccupancyGrid) -> None:
        grid: Grid = grid_from_msg(msg)
        if msg.header.frame_id != self.config.global_frame:
            text = (
                f"map in frame '{msg.header.frame_id}' not used: planning in global_frame '{self.config.global_frame}'"
            )
            self.say_once("map", text, Level.OK)
            return
        self._navigator.set_map(grid)

    def _on_goal_pose(self, msg: PoseStamped) -> None:
        self._begin_drive(None, _Navigate(), self._pose_target(msg))

    # Actions

    def _navigate(self, handle: Any) -> None:
        try:
            goal = self._pose_target(handle.request.pose)
        except BadInput as error:
            self._conclude(handle, _Navigate(), _refusal(error, _Navigate.TF_ERROR, _Navigate.UNKNOWN))
            return
        self._begin_drive(handle, _Navigate(), goal)

    def _follow_path(self, handle: Any) -> None:
        controller = handle.request.controller_id
        if controller not in CONTROLLER_IDS:
            text = f"controller_id '{controller}': expected one of {_listed(CONTROLLER_IDS)}"
            self._conclude(handle, _Follow(), Outcome("abort", _Follow.INVALID_CONTROLLER, text))
            return
        try:
            path = self._path_target(handle.request.path)
        except BadInput as error:
            self._conclude(handle, _Follow(), _refusal(error, _Follow.TF_ERROR, _Follow.INVALID_PATH))
            return
        self._begin_drive(handle, _Follow(), path, CONTROLLER_IDS[controller])

    def _compute_path(self, handle: Any) -> Any:
        result, outcome = self._plan_outcome(handle.request)
        getattr(handle, outcome.state)()
        return _filled(result, outcome)

    def _plan_outcome(self, request: Any) -> tuple[Any, Outcome]:
        result = _Plan()
        if request.planner_id not in PLANNER_IDS:
            text = f"planner_id '{request.planner_id}': expected one of {_listed(PLANNER_IDS)}"
            return result, Outcome("abort", _Plan.INVALID_PLANNER, text)
        planner = PLANNER_IDS[request.planner_id] or self.config.planner
        if self.config.misfit_of(planner):
            text = f"planner_id '{request.planner_id}': {self.config.misfit_of(planner)}"
            return result, Outcome("abort", _Plan.INVALID_PLANNER, text)
        try:
            goal = self._pose_target(request.goal).poses
            start = self._pose_target(request.start).poses if request.use_start else self._base_pose()
        except BadInput as error:
            return result, _refusal(error, _Plan.TF_ERROR, _Plan.UNKNOWN)
        try:
            plan = self._navigator.plan_path(start, goal, planner)
        except ModelError as error:
            return result, Outcome("abort", _Plan.INVALID_PLANNER, str(error))
        result.planning_time = duration_of(plan.planning_s)
        if not plan.found:
            return result, Outcome("abort", _plan_code(plan), plan.reason)
        result.path = self._path_msg(plan.path)
        self._plan_output.publish(result.path)
        return result, Outcome("succeed")

    def _conclude(self, handle: Any, result: Any, outcome: Outcome) -> None:
        self._endings.end(handle, outcome.state, _filled(result, outcome))

    def _begin_drive(self, handle: Any, result: Any, target: Target, controller: str | None = None) -> None:
        self._end_drive(Outcome("abort", _Navigate.UNKNOWN, "preempted by a new goal"), stop=False)
        if target.poses.ndim == 1:
            self._navigator.set_goal(target.poses)
        else:
            self._navigator.set_path(target.poses, controller)
        self._drive = Drive(handle, result, target, self.now_s())

    def _keep_up_with_map(self, drive: Drive) -> None:
        """Move the target in `global_frame` when localisation has corrected where the map lies there."""
        if drive.target.frame != self.config.map_frame:
            return
        try:
            global_T_map = pose_of_frame(self, self.config.global_frame, drive.target.frame)
        except NoTransform:
            return  # said in diagnostics; odometry alone is good for a while yet
        moved = replace(drive.target, global_T_frame=global_T_map)
        if _farthest_apart(moved.poses, drive.target.poses) > CORRECTION:
            drive.target = moved
            self._navigator.move_target(moved.poses)

    def _end_drive(self, outcome: Outcome, stop: bool = True) -> None:
        """Conclude the drive, if there is one, and stop the base unless another drive takes over."""
        drive, self._drive = self._drive, None
        if drive is None:
            return
        if stop:
            self._navigator.cancel()
            self._publish_command(Twist2())
        failed = stop and outcome.state == "abort"
        self.diagnose(
            Level.WARN if failed else Level.OK, f"last drive: {outcome.error_msg or outcome.state}", key="drive"
        )
        if drive.handle is not None:
            self._conclude(drive.handle, drive.result, outcome)

    # Control

    def _control(self) -> None:
        self._scans.settle()
        drive = self._drive
        if drive is None:
            return
        if drive.handle is not None and drive.handle.is_cancel_requested:
            self._end_drive(Outcome("canceled", _Navigate.NONE, "cancelled by request"))
            return
        now_s = self.now_s()
        try:
            pose, velocity = self._base_state(now_s)
        except BadInput as error:
            self._wait_for_state(drive, now_s, error)
            return
        drive.lost_since_s = None
        self._keep_up_with_map(drive)
        step = self._navigator.step(now_s, pose, velocity, None, np.zeros(3))
        self._publish_path()
        if step.over:
            self._end_drive(_outcome(step))
            return
        self._publish_command(step.command)
        halted = step.status is NavStatus.STALE_SCAN
        text = f"{step.status.value}: {step.reason}" if step.reason else step.status.value
        self.diagnose(Level.WARN if halted else Level.OK, text, key="drive")
        self._give_feedback(drive, now_s, step, pose, velocity)

    def _base_state(self, now_s: float) -> tuple[np.ndarray, Twist2]:
        """Pose of the base now, and its velocity; BadInput if the odometry is stale."""
        pose, velocity, age_s = self._motion.now(now_s, self.config.odom_timeout_s)
        if age_s > self.config.odom_timeout_s:
            raise BadInput(f"newest odometry is {age_s:.2f} s old: check the base and its topic")
        return pose, velocity

    def _wait_for_state(self, drive: Drive, now_s: float, error: BadInput) -> None:
        self._publish_command(Twist2())
        self.diagnose(Level.WARN, f"halted: {error}", key="drive")
        drive.lost_since_s = now_s if drive.lost_since_s is None else drive.lost_since_s
        if now_s - drive.lost_since_s > self.config.patience_s:
            code = drive.result.TF_ERROR if isinstance(error, NoTransform) else _Follow.NO_VALID_CONTROL
            self._end_drive(Outcome("abort", code, str(error)))

    def _give_feedback(self, drive: Drive, now_s: float, step: NavStep, pose: np.ndarray, velocity: Twist2) -> None:
        if drive.handle is None or now_s - drive.feedback_s < FEEDBACK_S:
            return
        drive.feedback_s = now_s
        distance = step.remaining_m if math.isfinite(step.remaining_m) else 0.0
        if isinstance(drive.result, _Follow):
            drive.handle.publish_feedback(FollowPath.Feedback(distance_to_goal=distance, speed=velocity.vx_mps))
            return
        drive.handle.publish_feedback(
            NavigateToPose.Feedback(
                current_pose=PoseStamped(header=self._header(), pose=pose_to_msg(pose)),
                navigation_time=duration_of(now_s - drive.began_s),
                estimated_time_remaining=duration_of(distance / max(velocity.vx_mps, 0.25 * self.config.max_speed_mps)),
                number_of_recoveries=step.recoveries,
                distance_remaining=distance,
            )
        )

    # Outputs

    def _publish_command(self, command: Twist2) -> None:
        message = twist_to_msg(command)
        if self.config.stamped:
            message = TwistStamped(header=header(self.now_s(), self.config.base_frame), twist=message)
        self._command.publish(message)

    def _publish_path(self) -> None:
        path = self._navigator.path
        if path is None or path is self._published_path:
            return
        self._published_path = path
        if self._plan_output.watched:
            self._plan_output.publish(self._path_msg(path))
        speeds = self._navigator.speeds_mps
        if speeds is not None and self._speeds_output.watched:
            self._speeds_output.publish(speeds_marker(path, speeds / self.config.max_speed_mps, self._header()))
        plan = self._navigator.plan
        if plan is not None and plan.found and self._raw_output.watched:
            self._raw_output.publish(self._path_msg(np.column_stack([plan.raw, np.zeros(len(plan.raw))])))

    def _publish_costmap(self) -> None:
        if self._costmap_output.watched:
            self._costmap_output.publish(grid_to_msg(self._navigator.costmap.to_grid(), self._header()))
        if self._guide_output.watched:
            guided = self._navigator.planner.guide_grid()
            if guided is not None:
                self._guide_output.publish(grid_to_msg(guided, self._header()))

    def _header(self) -> Any:
        return header(self.now_s(), self.config.global_frame)

    def _path_msg(self, path: np.ndarray) -> Path:
        return path_to_msg(path, self._header())

    # Frames

    def _base_pose(self) -> np.ndarray:
        return self.lookup_se2(self.config.global_frame, self.config.base_frame)

    def _pose_target(self, stamped: PoseStamped) -> Target:
        return self._target(stamped.header.frame_id, pose_from_msg(stamped.pose))

    def _path_target(self, msg: Path) -> Target:
        if not msg.poses:
            raise BadInput("the path is empty: expected at least one pose")
        return self._target(msg.header.frame_id or msg.poses[0].header.frame_id, np.array(path_from_msg(msg)))

    def _target(self, frame: str, poses: np.ndarray) -> Target:
        return Target(frame, poses, pose_of_frame(self, self.config.global_frame, frame))


def speeds_marker(path: np.ndarray, shares: np.ndarray, head: Any) -> Marker:
    """A path (N, 3) as a line, from red where it is driven slowly to green at top speed; `shares` (N,) of that."""
    strip = Marker(header=head, ns="plan_speeds", type=Marker.LINE_STRIP, action=Marker.ADD)
    strip.scale.x, strip.pose.orientation.w = SPEEDS_WIDTH_M, 1.0
    strip.points = [Point(x=float(x), y=float(y), z=SPEEDS_HEIGHT_M) for x, y in path[:, :2]]
    bright = np.clip(shares, 0.0, 1.0)
    reds, greens = np.minimum(1.0, 2.0 * (1.0 - bright)), np.minimum(1.0, 2.0 * bright)
    strip.colors = [ColorRGBA(r=float(r), g=float(g), b=0.1, a=1.0) for r, g in zip(reds, greens, strict=True)]
    return strip


def _farthest_apart(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference between two poses (3,) or paths (N, 3): metres, or radians where those are more."""
    apart = np.atleast_2d(a) - np.atleast_2d(b)
    return float(max(np.linalg.norm(apart[:, :2], axis=1).max(), np.abs(wrap_angle(apart[:, 2])).max()))


def _filled(result: Any, outcome: Outcome) -> Any:
    result.error_code, result.error_msg = outcome.error_code, outcome.error_msg
    return result


def _refusal(error: BadInput, tf_error_code: int, other_code: int) -> Outcome:
    return Outcome("abort", tf_error_code if isinstance(error, NoTransform) else other_code, str(error))


def _outcome(step: NavStep) -> Outcome:
    if step.status is NavStatus.REACHED:
        return Outcome("succeed")
    return Outcome("abort", NAVIGATE_CODES[step.status], step.reason or step.status.value)


def _plan_code(plan: PlanResult) -> int:
    if plan.status is SearchStatus.OUTSIDE:
        return _Plan.START_OUTSIDE_MAP if plan.reason.startswith("start") else _Plan.GOAL_OUTSIDE_MAP
    return PLAN_CODES[plan.status]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


main = node_main(PlannerNode)

if __name__ == "__main__":
    raise SystemExit(main())
