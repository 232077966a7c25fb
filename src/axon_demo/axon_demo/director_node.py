# SPDX-License-Identifier: Apache-2.0
"""Sends a world's goals to the planner one after another, and ends with the verdict as its exit code."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from action_msgs.msg import GoalStatus
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped
from nav2_msgs.action import NavigateToPose
from nav_msgs.msg import Odometry
from rclpy.action import ActionClient

from axon_core.geometry import quat_xyzw_from_yaw
from axon_demo.config import DirectorConfig
from axon_demo.mission import Goal, Mission, Step
from axon_ros import BadInput, SkillNode, node_main
from axon_ros.conversions import odometry_from_msg
from axon_ros.qos import LATCHED, SENSOR
from axon_sim.worlds import World, make_world

_TICK_S = 0.1
_SAY_EVERY_S = 3.0


class DirectorNode(SkillNode):
    """Drives the mission; the true pose and the collisions are looked at for the verdict only."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("director", DirectorConfig, **kwargs)

    def on_load(self, config: DirectorConfig) -> None:
        try:
            world = make_world(config.world, config.seed, config.data_dir or None)
            self._mission = Mission(mission_goals(world, config.goals), config)
        except ValueError:
            self.finish(1)  # without a mission there is nothing to wait for
            raise
        self._sent = 0
        self._collisions_before: int | None = None
        self._begun_wall_s = time.monotonic()
        self._said_wall_s = 0.0

    def on_start(self) -> None:
        self.input(Odometry, "sim/ground_truth", self._on_truth, SENSOR, required=False)
        self.input(DiagnosticStatus, "sim/collisions", self._on_collisions, LATCHED, timeout_s=None, required=False)
        self._client = ActionClient(self, NavigateToPose, "navigate_to_pose")
        self.timer(_TICK_S, self._tick, steady=True)

    def on_stop(self) -> None:
        self._client.destroy()

    def _on_truth(self, msg: Odometry) -> None:
        pose, _ = odometry_from_msg(msg)
        self._mission.on_position(pose[:2])

    def _on_collisions(self, msg: DiagnosticStatus) -> None:
        values = {pair.key: pair.value for pair in msg.values}
        if not values.get("collisions", "").isdecimal():
            raise BadInput(f"no number of collisions among its values {values}")
        count = int(values["collisions"])
        if self._collisions_before is None:
            self._collisions_before = count
        elif count > self._collisions_before:
            self._mission.on_collision(self.now_s(), values.get("contacts", ""))

    def _tick(self) -> None:
        step = self._mission.step(self.now_s(), time.monotonic(), self._client.server_is_ready())
        if step is Step.SEND:
            self._send()
        elif step is Step.FINISH:
            self._finish()

    def _send(self) -> None:
        goal = self._mission.current
        self.get_logger().info(f"goal {goal.name!r}: x {goal.start_T_goal[0]:.2f} m, y {goal.start_T_goal[1]:.2f} m")
        self._sent += 1
        number = self._sent
        future = self._client.send_goal_async(
            NavigateToPose.Goal(pose=self._pose(goal)), feedback_callback=lambda msg: self._on_feedback(number, msg)
        )
        future.add_done_callback(lambda done: self._on_response(number, done))

    def _pose(self, goal: Goal) -> PoseStamped:
        message = PoseStamped()
        message.header.frame_id = self.config.goal_frame
        message.pose.position.x, message.pose.position.y = map(float, goal.start_T_goal[:2])
        orientation = message.pose.orientation
        orientation.x, orientation.y, orientation.z, orientation.w = map(
            float, quat_xyzw_from_yaw(goal.start_T_goal[2])
        )
        return message

    def _on_response(self, number: int, future: Any) -> None:
        if number != self._sent:
            return
        handle = future.result()
        self._mission.on_feedback(self.now_s())
        if not handle.accepted:
            self._mission.on_given_up(self.now_s(), "refused by the planner")
            return
        handle.get_result_async().add_done_callback(lambda done: self._on_result(number, done))

    def _on_feedback(self, number: int, message: Any) -> None:
        if number != self._sent:
            return
        self._mission.on_feedback(self.now_s())
        if time.monotonic() - self._said_wall_s > _SAY_EVERY_S:
            self._said_wall_s = time.monotonic()
            left_m = message.feedback.distance_remaining
            self.get_logger().info(f"driving to {self._mission.current.name!r}, {left_m:.1f} m left")

    def _on_result(self, number: int, future: Any) -> None:
        if number != self._sent:
            return
        answer = future.result()
        if answer.status == GoalStatus.STATUS_SUCCEEDED:
            self.get_logger().info(f"goal {self._mission.current.name!r} reached")
            self._mission.on_reached(self.now_s())
        else:
            why = answer.result.error_msg or f"error code {answer.result.error_code}"
            self.get_logger().warning(f"goal {self._mission.current.name!r}: {why}")
            self._mission.on_given_up(self.now_s(), why)

    def _finish(self) -> None:
        mission = self._mission
        facts = {
            **mission.summary(),
            "world": self.config.world,
            "seed": self.config.seed,
            "wall_s": round(time.monotonic() - self._begun_wall_s, 3),
        }
        folder = Path(self.config.out_dir or ".")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "summary.json").write_text(json.dumps(facts, indent=1) + "\n")
        self.get_logger().info(f"mission {'succeeded' if mission.success else 'FAILED'}: {mission.reason}")
        self.finish(0 if mission.success else 1)


def mission_goals(world: World, names: Sequence[str] = ()) -> list[Goal]:
    """The named goals of a world, all of them by default. Raises ValueError at an unknown name."""
    from_start = world.goals_from_start()
    unknown = [name for name in names if name not in from_start]
    if unknown:
        raise ValueError(f"goals = {list(names)}: {unknown[0]!r} is none of {', '.join(from_start)}")
    return [Goal(name, np.asarray(world.goals[name]), np.asarray(from_start[name])) for name in names or from_start]


main = node_main(DirectorNode)
