# SPDX-License-Identifier: Apache-2.0
"""The policy as a node: `policy/navigate_to_pose`, and commands for the safety node on `cmd_vel_policy`.

One thread: a timer at `control_rate_hz` drives, and goals end as `axon_ros.endings` says. A new goal ends the old one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped, Twist, TwistStamped
from nav2_msgs.action import FollowPath, NavigateToPose
from nav_msgs.msg import Odometry
from sensor_msgs.msg import LaserScan

from axon_core.geometry import se2_compose
from axon_core.motion import Twist2
from axon_policy.config import PolicyConfig
from axon_policy.runtime import HALTED, DrivePolicy, DriveStatus, DriveStep
from axon_ros.conversions import header, pose_from_msg, pose_to_msg, twist_to_msg
from axon_ros.diagnostics import ModelInfo
from axon_ros.driving import BaseMotion, PlacedScans, pose_of_frame
from axon_ros.endings import Endings
from axon_ros.errors import BadInput, NoTransform
from axon_ros.process import node_main
from axon_ros.qos import COMMAND, SENSOR
from axon_ros.skill_node import SkillNode
from axon_ros.speaker import Level
from axon_ros.stamps import duration_of

FEEDBACK_S = 0.2

_Result = NavigateToPose.Result
# As Nav2's navigator, which hands on the codes of its controller.
CODES = {
    DriveStatus.REACHED: _Result.NONE,
    DriveStatus.CANCELLED: _Result.NONE,
    DriveStatus.STUCK: FollowPath.Result.FAILED_TO_MAKE_PROGRESS,
    DriveStatus.TIMEOUT: FollowPath.Result.CONTROLLER_TIMED_OUT,
    DriveStatus.STALE_SCAN: FollowPath.Result.NO_VALID_CONTROL,
    DriveStatus.STALE_ODOMETRY: FollowPath.Result.NO_VALID_CONTROL,
}


@dataclass
class Drive:
    """One goal on its way, in the frame that it was given in."""

    handle: Any
    frame: str
    frame_T_goal: np.ndarray
    began_s: float
    lost_since_s: float | None = None
    feedback_s: float = -math.inf


class PolicyNode(SkillNode):
    """Subscribes scan and odom, serves policy/navigate_to_pose, publishes cmd_vel_policy while a goal goes on."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("policy", PolicyConfig, **kwargs)
        self._policy: DrivePolicy | None = None
        self._drive: Drive | None = None
        self._endings = Endings()

    def on_load(self, config: PolicyConfig) -> None:
        self._policy = DrivePolicy(config)
        self._policy.warm_up()
        model = self._policy.model
        self.model = ModelInfo(model.name, model.version, model.sha256, self._policy.network.device)

    def on_start(self) -> None:
        self._scans = PlacedScans(self, self.config.global_frame, self._policy.observe)
        self._motion = BaseMotion(self, self.config.global_frame, self.config.base_frame)
        self._standing = True
        self._command = self.output(TwistStamped if self.config.stamped else Twist, "cmd_vel_policy", COMMAND)
        self.input(LaserScan, "scan", self._scans.take, SENSOR)
        self.input(Odometry, "odom", self._motion.take, SENSOR)
        self.action(NavigateToPose, "policy/navigate_to_pose", self._endings.execute, accepted=self._navigate)
        self.timer(1.0 / self.config.control_rate_hz, self._control)

    def on_stop(self) -> None:
        """Stop the base and end the drive; the server goes with the activity, once its client has the result."""
        self._end_drive("abort", _Result.UNKNOWN, "the policy was deactivated")
        self._policy.reset()

    def on_unload(self) -> None:
        self._policy = None

    def on_config_change(self, config: PolicyConfig) -> None:
        self._policy.reconfigure(config)

    def status_values(self) -> dict[str, str]:
        if self._policy is None:
            return {}
        return {"network_p95_ms": f"{1000.0 * self._policy.network.latency.summary().p95_s:.2f}"}

    # The action

    def _navigate(self, handle: Any) -> None:
        stamped = handle.request.pose
        try:
            frame, pose = stamped.header.frame_id, pose_from_msg(stamped.pose)
            goal = se2_compose(pose_of_frame(self, self.config.global_frame, frame), pose)
        except BadInput as error:
            code = _Result.TF_ERROR if isinstance(error, NoTransform) else _Result.UNKNOWN
            self._conclude(handle, "abort", code, str(error))
            return
        self._end_drive("abort", _Result.UNKNOWN, "preempted by a new goal", stop=False)
        self._policy.set_goal(goal)
        self._drive = Drive(handle, frame, pose, self.now_s())

    def _conclude(self, handle: Any, state: str, code: int, text: str) -> None:
        self._endings.end(handle, state, _Result(error_code=code, error_msg=text))

    def _end_drive(self, state: str, code: int = _Result.NONE, text: str = "", stop: bool = True) -> None:
        """Conclude the drive, if there is one, and stop the base unless another drive takes over."""
        drive, self._drive = self._drive, None
        if drive is None:
            return
        if stop:
            self._policy.cancel()
            self._stand()
        failed = stop and state == "abort"
        self.diagnose(Level.WARN if failed else Level.OK, f"last drive: {text or state}", key="drive")
        self._conclude(drive.handle, state, code, text)

    # Control

    def _control(self) -> None:
        self._scans.settle()
        drive = self._drive
        if drive is None:
            return
        if drive.handle.is_cancel_requested:
            self._end_drive("canceled", _Result.NONE, "cancelled by request")
            return
        now_s = self.now_s()
        try:
            pose, velocity, age_s = self._motion.now(now_s, self.config.odom_timeout_s)
        except BadInput as error:
            self._wait_for_state(drive, now_s, error)
            return
        drive.lost_since_s = None
        self._keep_up_with_map(drive)
        step = self._policy.step(now_s, pose, velocity, odom_age_s=age_s)
        self._act_on(drive, step, now_s, pose, velocity)

    def _act_on(self, drive: Drive, step: DriveStep, now_s: float, pose: np.ndarray, velocity: Twist2) -> None:
        if step.over:
            state = "succeed" if step.status is DriveStatus.REACHED else "abort"
            self._end_drive(state, CODES[step.status], step.reason)
            return
        halted = step.status in HALTED
        text = f"{step.status.value}: {step.reason}" if step.reason else step.status.value
        self.diagnose(Level.WARN if halted else Level.OK, text, key="drive")
        if halted:
            self._stand()
        else:
            self._publish_command(step.command)
        self._give_feedback(drive, now_s, step, pose, velocity)

    def _wait_for_state(self, drive: Drive, now_s: float, error: BadInput) -> None:
        self._stand()
        self.diagnose(Level.WARN, f"halted: {error}", key="drive")
        drive.lost_since_s = now_s if drive.lost_since_s is None else drive.lost_since_s
        if now_s - drive.lost_since_s > self.config.patience_s:
            is_tf = isinstance(error, NoTransform)
            self._end_drive("abort", _Result.TF_ERROR if is_tf else CODES[DriveStatus.STALE_ODOMETRY], str(error))

    def _keep_up_with_map(self, drive: Drive) -> None:
        """Move a goal of the map in `global_frame` when localisation has corrected where the map lies there."""
        if drive.frame != self.config.map_frame:
            return
        try:
            global_T_map = pose_of_frame(self, self.config.global_frame, drive.frame)
        except NoTransform:
            return  # odometry alone is good for a while yet
        self._policy.move_goal(se2_compose(global_T_map, drive.frame_T_goal))

    def _give_feedback(self, drive: Drive, now_s: float, step: DriveStep, pose: np.ndarray, velocity: Twist2) -> None:
        if now_s - drive.feedback_s < FEEDBACK_S:
            return
        drive.feedback_s = now_s
        speed = max(velocity.vx_mps, 0.25 * self.config.max_speed_mps)
        drive.handle.publish_feedback(
            NavigateToPose.Feedback(
                current_pose=PoseStamped(header=header(now_s, self.config.global_frame), pose=pose_to_msg(pose)),
                navigation_time=duration_of(now_s - drive.began_s),
                estimated_time_remaining=duration_of(step.remaining_m / speed),
                distance_remaining=step.remaining_m,
            )
        )

    # Output

    def _publish_command(self, command: Twist2) -> None:
        self._standing = False
        self._send(command)

    def _stand(self) -> None:
        """One zero, then silence: without fresh inputs nothing is asked of the base."""
        if not self._standing:
            self._send(Twist2())
        self._standing = True

    def _send(self, command: Twist2) -> None:
        message = twist_to_msg(command)
        if self.config.stamped:
            message = TwistStamped(header=header(self.now_s(), self.config.base_frame), twist=message)
        self._command.publish(message)


main = node_main(PolicyNode)

if __name__ == "__main__":
    raise SystemExit(main())
