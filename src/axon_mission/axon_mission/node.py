# SPDX-License-Identifier: Apache-2.0
"""The executive as a node: the action `fetch`, served by ticking the tree, whose skills are the actions of other nodes.

One thread: a timer at `tick_rate_hz` ticks, and results of actions come in between.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from action_msgs.msg import GoalStatus
from control_msgs.action import FollowJointTrajectory
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from geometry_msgs.msg import Point, PointStamped, PoseStamped, Twist
from nav2_msgs.action import NavigateToPose
from nav_msgs.msg import OccupancyGrid
from rclpy.action import ActionClient
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint
from vision_msgs.msg import Detection3D, Detection3DArray

from axon_core.geometry import apply_transform, se2_apply
from axon_core.grids import OCCUPIED
from axon_core.motion import Twist2
from axon_mission.config import MissionConfig
from axon_mission.runtime import Mission, Report
from axon_mission.sightings import Sighting
from axon_mission.skills import Code, Failure, FloatArray, Job, JobState
from axon_msgs.action import Fetch, Pick
from axon_ros.conversions import grid_from_msg, header, pose_to_msg, twist_to_msg
from axon_ros.endings import Endings
from axon_ros.errors import BadInput, NoTransform
from axon_ros.process import node_main
from axon_ros.qos import COMMAND, LATCHED, SENSOR
from axon_ros.skill_node import SkillNode
from axon_ros.speaker import Level
from axon_ros.stamps import duration_of, stamp_seconds
from axon_ros.unsent_goals import UnsentGoals

PICK_TIMEOUT_S = 120.0
JOINTS_TIMEOUT_S = 15.0
TILT_SPEED_RADPS = 1.0
DETECTIONS_TIMEOUT_S = 5.0  # a detector may be as slow as that


@dataclass
class Call:
    """A goal on its way: when something was last heard of it, and since when it is out."""

    job: Job
    began_s: float
    heard_s: float
    handle: Any = None


class Caller:
    """An action of another node. A goal is a Job, which fails where the other node falls silent or goes away."""

    def __init__(self, node: SkillNode, action_type: type, name: str, provider: str, longest_s: float) -> None:
        self._node, self.name, self._provider, self._longest_s = node, name, provider, longest_s
        self._client = ActionClient(node, action_type, name)
        self._call: Call | None = None
        self._unsent = UnsentGoals()

    @property
    def missing(self) -> str:
        """What to do where nobody serves the action, empty where somebody does."""
        return "" if self._client.server_is_ready() else self._no_server

    def start(self, goal: Any) -> Job:
        """Send a goal; one that is still out is not looked at any more."""
        now_s = self._node.now_s()
        self._call = call = Call(Job(), now_s, now_s)
        call.job.withdraw = lambda: self._withdraw(call)
        self._unsent.clear()
        self._unsent.add(self._client, lambda: self._send(call, goal), lambda: call.job.fail(self._no_server))
        return call.job

    def watch(self, silence_s: float = math.inf) -> None:
        """Fail the goal that is out where it takes too long, or nothing is heard of it."""
        call, now_s = self._call, self._node.now_s()
        self._unsent.settle()
        if call is None or call.job.state is not JobState.RUNNING or self._unsent:
            return
        silent_s, age_s = now_s - call.heard_s, now_s - call.began_s
        if age_s > self._longest_s:
            self._give_up(call, f"'{self.name}' has not ended within {self._longest_s:g} s")
        elif silent_s > silence_s:
            self._give_up(call, f"'{self.name}' has been silent for {silent_s:.1f} s: has {self._provider} died?")

    def close(self) -> None:
        """Destroy the client."""
        self._client.destroy()

    @property
    def _no_server(self) -> str:
        return f"no action server '{self.name}': start {self._provider}, or see why it is not active"

    def _send(self, call: Call, goal: Any) -> None:
        call.began_s = call.heard_s = self._node.now_s()
        future = self._client.send_goal_async(goal, feedback_callback=lambda _: self._heard(call))
        future.add_done_callback(lambda done: self._on_response(call, done.result()))

    def _give_up(self, call: Call, reason: str) -> None:
        self._withdraw(call)
        call.job.fail(reason)

    def _heard(self, call: Call) -> None:
        call.heard_s = self._node.now_s()

    def _withdraw(self, call: Call) -> None:
        if call is self._call:
            self._unsent.clear()
        if call.handle is not None:
            call.handle.cancel_goal_async()

    def _on_response(self, call: Call, handle: Any) -> None:
        self._heard(call)
        if not handle.accepted:
            call.job.fail(f"'{self.name}' refuses the goal")
            return
        call.handle = handle
        if call.job.state is not JobState.RUNNING:  # withdrawn before the answer came
            self._withdraw(call)
            return
        handle.get_result_async().add_done_callback(lambda done: self._on_result(call, done.result()))

    def _on_result(self, call: Call, answer: Any) -> None:
        if answer.status == GoalStatus.STATUS_SUCCEEDED:
            call.job.succeed()
        else:
            call.job.fail(_reason(answer.result))


class RosSkills:
    """The tree's `Skills`, by actions and topics of the contract."""

    def __init__(self, node: MissionNode) -> None:
        self._node = node
        self._velocity = node.output(Twist, "cmd_vel_nav", COMMAND)
        self._driving = False
        self._costmap: OccupancyGrid | None = None
        self._joints: dict[str, float] = {}
        self._drive = Caller(node, NavigateToPose, "navigate_to_pose", "axon_planner", math.inf)
        self._pick = Caller(node, Pick, "pick", "axon_grasp", PICK_TIMEOUT_S)
        trajectory, drivers = FollowJointTrajectory, "the robot's controllers"
        self._arm = Caller(node, trajectory, "arm_controller/follow_joint_trajectory", drivers, JOINTS_TIMEOUT_S)
        self._head = Caller(node, trajectory, "head_controller/follow_joint_trajectory", drivers, JOINTS_TIMEOUT_S)
        node.input(OccupancyGrid, "costmap", self._on_costmap, LATCHED, timeout_s=None)
        node.input(JointState, "joint_states", self._on_joints, SENSOR)

    @property
    def callers(self) -> tuple[Caller, ...]:
        """All that is called."""
        return self._drive, self._pick, self._arm, self._head

    def watch(self) -> None:
        """Notice who does not answer any more."""
        for caller in self.callers:
            caller.watch(self._node.config.silence_timeout_s if caller is self._drive else math.inf)

    # What the tree asks

    def now_s(self) -> float:
        return self._node.now_s()

    def missing(self) -> list[str]:
        found = [caller.missing for caller in self.callers if caller.missing]
        if self._costmap is None:
            found.append("nothing on 'costmap': start axon_planner")
        absent = [name for name in self._node.config.finger_joints if name not in self._joints]
        if absent:
            found.append(f"nothing on 'joint_states' of {', '.join(absent)}: start the robot, or set finger_joints")
        try:
            self.base_pose()
        except Failure as failure:
            found.append(str(failure))
        return found

    def base_pose(self) -> FloatArray:
        try:
            return self._node.lookup_se2(self._node.config.map_frame, self._node.config.base_frame)
        except NoTransform as error:
            raise Failure(Code.MISSING_SKILL, f"{error}: start axon_slam, or set map_frame") from error

    def obstacles_near(self, point_m: FloatArray, radius_m: float) -> FloatArray:
        if self._costmap is None:
            return np.empty((0, 2))
        grid = grid_from_msg(self._costmap)
        map_T_grid = self._node.lookup_se2(self._node.config.map_frame, self._costmap.header.frame_id)
        points = se2_apply(map_T_grid, grid.centers_of(np.argwhere(grid.data == OCCUPIED)))
        return points[np.linalg.norm(points - point_m, axis=1) < radius_m]

    def grip_width_m(self) -> float:
        return sum(self._joints[name] for name in self._node.config.finger_joints)

    def move_base(self, velocity: Twist2 | None) -> None:
        if velocity is not None or self._driving:
            self._velocity.publish(twist_to_msg(velocity or Twist2()))
        self._driving = velocity is not None

    def drive_to(self, map_T_base: FloatArray) -> Job:
        pose = PoseStamped(header=self._header(), pose=pose_to_msg(map_T_base))
        return self._drive.start(NavigateToPose.Goal(pose=pose))

    def look(self, tilt_rad: float) -> Job:
        joint = self._node.config.tilt_joint
        seconds = 0.2 + abs(tilt_rad - self._joints.get(joint, 0.0)) / TILT_SPEED_RADPS
        return self._head.start(_trajectory((joint,), (tilt_rad,), seconds))

    def move_arm(self, joints_rad: tuple[float, ...]) -> Job:
        config: MissionConfig = self._node.config
        return self._arm.start(_trajectory(config.arm_joints, joints_rad, config.arm_move_s))

    def pick(self, class_id: str, target_m: FloatArray) -> Job:
        target = PointStamped(header=self._header(), point=Point(**dict(zip("xyz", map(float, target_m), strict=True))))
        return self._pick.start(Pick.Goal(class_id=class_id, target=target))

    # Inputs

    def _on_costmap(self, msg: OccupancyGrid) -> None:
        grid_from_msg(msg)  # refuses what is none
        self._costmap = msg

    def _on_joints(self, msg: JointState) -> None:
        if len(msg.position) != len(msg.name):
            raise BadInput(f"{len(msg.name)} joints with {len(msg.position)} positions")
        self._joints.update(zip(msg.name, msg.position, strict=True))

    def _header(self) -> Any:
        return header(self.now_s(), self._node.config.map_frame)


class MissionNode(SkillNode):
    """Serves `fetch`; publishes `mission/status` on every change."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("mission", MissionConfig, **kwargs)
        self._endings = Endings()
        self._mission: Mission | None = None
        self._handle: Any = None

    def on_start(self) -> None:
        self._skills = RosSkills(self)
        self._mission = Mission(self.config, self._skills)
        self._said: Report | None = None
        self._pending: tuple[Any, list[Guess]] | None = None
        self._status = self.output(DiagnosticStatus, "mission/status", LATCHED)
        self.input(Detection3DArray, "detections_3d", self._on_detections, SENSOR, timeout_s=DETECTIONS_TIMEOUT_S)
        self.action(Fetch, "fetch", self._endings.execute, accepted=self._accept)
        self.timer(1.0 / self.config.tick_rate_hz, self._tick)
        self._say(Report("idle", "waiting for a goal", ()))

    def on_stop(self) -> None:
        self._end("abort", Code.UNKNOWN, "the mission node was deactivated")
        for caller in self._skills.callers:
            caller.close()
        self._mission = None

    def on_config_change(self, config: MissionConfig) -> None:
        if self._mission is not None:
            self._mission.reconfigure(config)

    def status_values(self) -> dict[str, str]:
        return {"task": self._said.task, "why": self._said.why} if self.state == "active" and self._said else {}

    # The action

    def _accept(self, handle: Any) -> None:
        self._end("abort", Code.UNKNOWN, "preempted by a new goal")
        request = handle.request
        try:
            self._mission.begin(request.class_id, list(request.search_places), request.bring_to)
        except Failure as failure:
            self._conclude(handle, "abort", failure.code, str(failure))
            return
        self.get_logger().info(f"fetch {request.class_id}" + (f" to {request.bring_to}" if request.bring_to else ""))
        self._handle = handle

    def _tick(self) -> None:
        if self._handle is None:
            return
        if self._handle.is_cancel_requested:
            self._end("canceled", Code.NONE, "cancelled by request")
            return
        self._skills.watch()
        self._observe()
        report = self._mission.tick()
        self._say(report)
        if report.over:
            handle, self._handle = self._handle, None
            self._conclude(handle, "abort" if report.code else "succeed", report.code, report.reason)

    def _end(self, state: str, code: Code, reason: str) -> None:
        """End the fetch that goes on, if there is one."""
        handle, self._handle = self._handle, None
        self._mission.stop()
        if handle is not None:
            self._say(Report("idle", reason, (), True, code, reason))
            self._conclude(handle, state, code, reason)

    def _conclude(self, handle: Any, state: str, code: Code, reason: str) -> None:
        self.get_logger().info(f"fetch {state}" + (f": {reason}" if reason else ""))
        self._endings.end(handle, state, Fetch.Result(error_code=int(code), error_msg=reason))

    def _say(self, report: Report) -> None:
        """Tell what has changed since the last time: status, feedback, log."""
        if report == self._said:
            return
        before, self._said = self._said, report
        if self._handle is not None:
            self._handle.publish_feedback(Fetch.Feedback(task=report.task, done=list(report.done)))
        if before is None or before.task != report.task:
            self.get_logger().info(f"{report.task}{': ' + report.why if report.why else ''}")
        self._status.publish(self._status_msg(report))

    @staticmethod
    def _status_msg(report: Report) -> DiagnosticStatus:
        level = Level.ERROR if report.code else Level.OK
        values = {"over": str(report.over).lower(), "code": report.code.name, "done": "; ".join(report.done)}
        pairs = [KeyValue(key=key, value=value) for key, value in values.items()]
        return DiagnosticStatus(
            level=bytes([level]),
            name=report.task or "done",
            message=report.why,
            hardware_id="axon_mission",
            values=pairs,
        )

    # Detections

    def _on_detections(self, msg: Detection3DArray) -> None:
        guesses = [guess for guess in map(_best_guess, msg.detections) if guess]
        if self._mission.busy and guesses:
            self._pending = msg.header, guesses
            self._observe()

    def _observe(self) -> None:
        """Enter the pending detections where the transform of their stamp is known; else at a later tick."""
        if self._pending is None:
            return
        head, guesses = self._pending
        try:
            map_T_camera = self.lookup_transform(self.config.map_frame, head.frame_id, head.stamp)
        except NoTransform:  # which is watched, and said, where transforms are looked up
            return
        self._pending = None
        for guess in guesses:
            place_m = apply_transform(map_T_camera, guess.place_m[None])[0]
            height_m = float(np.abs(map_T_camera[2, :3]) @ guess.size_m)  # of the box that stands upright around it
            self._mission.observe(Sighting(stamp_seconds(head.stamp), guess.class_id, guess.score, place_m, height_m))


@dataclass(frozen=True)
class Guess:
    """What a detection most likely is, with its box: middle (3,) and edges (3,) in the camera's frame, m."""

    class_id: str
    score: float
    place_m: FloatArray
    size_m: FloatArray


def _best_guess(detection: Detection3D) -> Guess | None:
    """The best hypothesis of a detection, None where it has none. Raises BadInput where it is nowhere."""
    if not detection.results:
        return None
    guess = max((result.hypothesis for result in detection.results), key=lambda one: one.score)
    center, edges = detection.bbox.center.position, detection.bbox.size
    place, size = (np.array([of.x, of.y, of.z]) for of in (center, edges))
    if not np.isfinite([*place, *size, guess.score]).all():
        raise BadInput(f"a {guess.class_id!r} with score {guess.score} at {place.tolist()}, {size.tolist()} m large")
    return Guess(guess.class_id, guess.score, place, size)


def _trajectory(names: tuple[str, ...], positions: tuple[float, ...], seconds: float) -> FollowJointTrajectory.Goal:
    point = JointTrajectoryPoint(positions=[float(p) for p in positions], time_from_start=duration_of(seconds))
    return FollowJointTrajectory.Goal(trajectory=JointTrajectory(joint_names=list(names), points=[point]))


def _reason(result: Any) -> str:
    """What an action's result says of itself."""
    said = getattr(result, "error_msg", "") or getattr(result, "error_string", "")
    return said or f"error code {result.error_code}"


main: Callable[..., int] = node_main(MissionNode)

if __name__ == "__main__":
    raise SystemExit(main())
