# SPDX-License-Identifier: Apache-2.0
"""Gives the robot its task, watches what truly happens, and ends with the verdict as its exit code.

The task is a drive to a world's goals, sent to the planner one after another, or a fetch, sent to the executive.
"""

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
from vision_msgs.msg import Detection3D, Detection3DArray

from axon_core.geometry import quat_xyzw_from_yaw
from axon_demo.config import DirectorConfig
from axon_demo.fetching import FetchRun, TrueObject
from axon_demo.mission import Goal, Mission, Run, Step
from axon_msgs.action import Fetch
from axon_ros import BadInput, SkillNode, node_main
from axon_ros.conversions import odometry_from_msg
from axon_ros.qos import LATCHED, SENSOR
from axon_sim.worlds import World, make_world

_TICK_S = 0.1
_SAY_EVERY_S = 3.0
_FETCH_CODES = {
    value: name
    for name in dir(Fetch.Result)
    if name.isupper() and isinstance(value := getattr(Fetch.Result, name), int)
}


class Drives:
    """Sends the goals of a drive to `navigate_to_pose`."""

    def __init__(self, node: SkillNode, run: Mission) -> None:
        self._node, self._run = node, run
        self.client = ActionClient(node, NavigateToPose, "navigate_to_pose")
        self._said_wall_s = 0.0

    def goal(self) -> Any:
        goal = self._run.current
        self._node.get_logger().info(
            f"goal {goal.name!r}: x {goal.start_T_goal[0]:.2f} m, y {goal.start_T_goal[1]:.2f} m"
        )
        return NavigateToPose.Goal(pose=_pose(goal, self._node.config.goal_frame))

    def on_response(self, accepted: bool) -> None:
        self._run.on_feedback(self._node.now_s())
        if not accepted:
            self._run.on_given_up(self._node.now_s(), "refused by the planner")

    def on_feedback(self, feedback: Any) -> None:
        self._run.on_feedback(self._node.now_s())
        if time.monotonic() - self._said_wall_s > _SAY_EVERY_S:
            self._said_wall_s = time.monotonic()
            self._node.get_logger().info(
                f"driving to {self._run.current.name!r}, {feedback.distance_remaining:.1f} m left"
            )

    def on_result(self, succeeded: bool, result: Any) -> None:
        name, log = self._run.current.name, self._node.get_logger()
        if succeeded:
            log.info(f"goal {name!r} reached")
            self._run.on_reached(self._node.now_s())
            return
        why = result.error_msg or f"error code {result.error_code}"
        log.warning(f"goal {name!r}: {why}")
        self._run.on_given_up(self._node.now_s(), why)


class Fetches:
    """Sends the one goal of a fetch to `fetch`."""

    def __init__(self, node: SkillNode, run: FetchRun) -> None:
        self._node, self._run = node, run
        self.client = ActionClient(node, Fetch, "fetch")
        node.input(Detection3DArray, "sim/objects", self._on_objects, SENSOR, required=False)

    def goal(self) -> Any:
        config: DirectorConfig = self._node.config
        self._node.get_logger().info(f"fetch a {config.fetch} and bring it to {config.bring_to!r}")
        return Fetch.Goal(class_id=config.fetch, search_places=list(self._run.search_places), bring_to=config.bring_to)

    def on_response(self, accepted: bool) -> None:
        if not accepted:
            self._run.on_result(self._node.now_s(), "UNKNOWN", "refused by the executive")

    def on_feedback(self, feedback: Any) -> None:
        before = len(self._run.tasks)
        self._run.on_task(self._node.now_s(), feedback.task, list(feedback.done))
        if len(self._run.tasks) > before:
            self._node.get_logger().info(feedback.task)

    def on_result(self, succeeded: bool, result: Any) -> None:
        code = "" if succeeded else _FETCH_CODES.get(result.error_code, str(result.error_code))
        self._run.on_result(self._node.now_s(), code, result.error_msg)

    def _on_objects(self, msg: Detection3DArray) -> None:
        self._run.on_objects([_true_object(one) for one in msg.detections])


class DirectorNode(SkillNode):
    """Drives the mission; the true poses and the collisions are looked at for the verdict only."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("director", DirectorConfig, **kwargs)

    def on_load(self, config: DirectorConfig) -> None:
        try:
            world = make_world(config.world, config.seed, config.data_dir or None)
            self._run = make_run(world, config)
        except ValueError:
            self.finish(1)  # without a mission there is nothing to wait for
            raise
        self._sent = 0
        self._collisions_before: int | None = None
        self._begun_wall_s = time.monotonic()

    def on_start(self) -> None:
        self.input(Odometry, "sim/ground_truth", self._on_truth, SENSOR, required=False)
        self.input(DiagnosticStatus, "sim/collisions", self._on_collisions, LATCHED, timeout_s=None, required=False)
        self._errand = Fetches(self, self._run) if isinstance(self._run, FetchRun) else Drives(self, self._run)
        self.timer(_TICK_S, self._tick, steady=True)

    def on_stop(self) -> None:
        self._errand.client.destroy()

    def _on_truth(self, msg: Odometry) -> None:
        pose, _ = odometry_from_msg(msg)
        self._run.on_position(pose[:2])

    def _on_collisions(self, msg: DiagnosticStatus) -> None:
        values = {pair.key: pair.value for pair in msg.values}
        if not values.get("collisions", "").isdecimal():
            raise BadInput(f"no number of collisions among its values {values}")
        count = int(values["collisions"])
        if self._collisions_before is None:
            self._collisions_before = count
        elif count > self._collisions_before:
            self._run.on_collision(self.now_s(), values.get("contacts", ""))

    def _tick(self) -> None:
        step = self._run.step(self.now_s(), time.monotonic(), self._errand.client.server_is_ready())
        if step is Step.SEND:
            self._send()
        elif step is Step.FINISH:
            self._finish()

    def _send(self) -> None:
        self._sent += 1
        number = self._sent
        future = self._errand.client.send_goal_async(
            self._errand.goal(), feedback_callback=lambda msg: self._on_feedback(number, msg.feedback)
        )
        future.add_done_callback(lambda done: self._on_response(number, done.result()))

    def _on_response(self, number: int, handle: Any) -> None:
        if number != self._sent:
            return
        self._errand.on_response(handle.accepted)
        if handle.accepted:
            handle.get_result_async().add_done_callback(lambda done: self._on_result(number, done.result()))

    def _on_feedback(self, number: int, feedback: Any) -> None:
        if number == self._sent:
            self._errand.on_feedback(feedback)

    def _on_result(self, number: int, answer: Any) -> None:
        if number == self._sent:
            self._errand.on_result(answer.status == GoalStatus.STATUS_SUCCEEDED, answer.result)

    def _finish(self) -> None:
        run, wall_s = self._run, time.monotonic()
        facts = {
            **run.summary(),
            **self._pace(wall_s),
            "world": self.config.world,
            "seed": self.config.seed,
            "wall_s": round(wall_s - self._begun_wall_s, 3),
        }
        folder = Path(self.config.out_dir or ".")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "summary.json").write_text(json.dumps(facts, indent=1) + "\n")
        self.get_logger().info(f"mission {'succeeded' if run.success else 'FAILED'}: {run.reason}")
        self.finish(0 if run.success else 1)

    def _pace(self, wall_s: float) -> dict[str, float]:
        """Simulated seconds a second while the task went on."""
        run = self._run
        if run.started_s is None or run.ended_s is None or wall_s <= run.started_wall_s:
            return {}
        return {"rtf": round((run.ended_s - run.started_s) / (wall_s - run.started_wall_s), 3)}


def make_run(world: World, config: DirectorConfig) -> Run:
    """The run that a config asks for. Raises ValueError where the world has no such goal or object."""
    if not config.fetch:
        return Mission(mission_goals(world, config.goals), config)
    known = sorted({placed.category for placed in world.objects})
    if config.fetch not in known:
        raise ValueError(
            f"fetch = {config.fetch!r}: there is none in {world.name}, but {', '.join(known) or 'nothing'}"
        )
    with_objects = {placed.place for placed in world.objects}
    named = [name for name in config.search_places.split(",") if name]
    search = named or [name for name in world.goals if name in with_objects]
    mission_goals(world, search)
    return FetchRun(mission_goals(world, [config.bring_to])[0], search, config)


def mission_goals(world: World, names: Sequence[str] = ()) -> list[Goal]:
    """The named goals of a world, all of them by default. Raises ValueError at an unknown name."""
    from_start = world.goals_from_start()
    unknown = [name for name in names if name not in from_start]
    if unknown:
        raise ValueError(f"goals = {list(names)}: {unknown[0]!r} is none of {', '.join(from_start)}")
    return [Goal(name, np.asarray(world.goals[name]), np.asarray(from_start[name])) for name in names or from_start]


def _pose(goal: Goal, frame: str) -> PoseStamped:
    message = PoseStamped()
    message.header.frame_id = frame
    message.pose.position.x, message.pose.position.y = map(float, goal.start_T_goal[:2])
    orientation = message.pose.orientation
    orientation.x, orientation.y, orientation.z, orientation.w = map(float, quat_xyzw_from_yaw(goal.start_T_goal[2]))
    return message


def _true_object(one: Detection3D) -> TrueObject:
    if not one.results:
        raise BadInput(f"object {one.id!r} without a class")
    center = one.bbox.center.position
    return TrueObject(one.id, one.results[0].hypothesis.class_id, np.array([center.x, center.y, center.z]))


main = node_main(DirectorNode)
