# SPDX-License-Identifier: Apache-2.0
"""The node over real rclpy, around a planar simulator whose time runs faster than the wall's."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from geometry_msgs.msg import PoseStamped, TransformStamped, Twist
from nav2_msgs.action import FollowPath, NavigateToPose
from nav_msgs.msg import Odometry
from rclpy.action import ActionClient
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import LaserScan
from steering import CALM, hall
from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster

from axon_core.geometry import se2_to_matrix
from axon_core.motion import Twist2
from axon_policy.node import PolicyNode
from axon_ros import conversions
from axon_ros.qos import COMMAND, RESULT, SENSOR
from axon_ros.testing import ros
from axon_sim.planar import PlanarSimulator

TICK_S = 0.02
SETTINGS = {"patience_s": 1.0, "progress_timeout_s": 5.0}
CODES = FollowPath.Result


class FakeRobot:
    """Publishes clock, scan, odom and tf of a simulator, obeys cmd_vel_policy, stops 0.3 s after the last one."""

    def __init__(self, node, policy: PolicyNode) -> None:
        self.node, self.policy, self.executor = node, policy, node.executor
        self.simulator = PlanarSimulator(hall(), CALM)
        self.scanning = self.measuring = True
        self.command, self.command_s, self.received = Twist2(), -1.0, []
        self.clock = node.create_publisher(Clock, "/clock", RESULT)
        self.scan = node.create_publisher(LaserScan, "scan", SENSOR)
        self.odom = node.create_publisher(Odometry, "odom", RESULT)
        self.tf, self.static_tf = TransformBroadcaster(node), StaticTransformBroadcaster(node)
        self.place_map([1.0, 2.0, 1.57])
        node.create_subscription(Twist, "cmd_vel_policy", self.on_command, COMMAND)

    def place_map(self, map_T_odom) -> None:
        """Say where the scanner sits, and where odometry's frame lies in the map."""
        pairs = (("base_link", "laser_link", CALM.base_T_laser), ("map", "odom", map_T_odom))
        self.static_tf.sendTransform([self.transform(*pair) for pair in pairs])

    def on_command(self, msg: Twist) -> None:
        self.command, self.command_s = conversions.twist_from_msg(msg), self.simulator.time_s
        self.received.append(self.command)

    def transform(self, parent: str, child: str, pose) -> TransformStamped:
        moved = conversions.transform_to_msg(se2_to_matrix(np.asarray(pose)))
        return TransformStamped(header=conversions.header(self.stamp_s, parent), child_frame_id=child, transform=moved)

    @property
    def stamp_s(self) -> float:
        return 100.0 + self.simulator.time_s

    def tick(self) -> None:
        silent = self.simulator.time_s - self.command_s > 0.3
        self.simulator.step(Twist2() if silent else self.command, TICK_S)
        self.clock.publish(Clock(clock=conversions.header(self.stamp_s, "").stamp))
        odometry = self.simulator.odometry()
        if self.measuring:
            head = conversions.header(self.stamp_s, "odom")
            self.tf.sendTransform(self.transform("odom", "base_link", odometry.odom_T_base))
            self.odom.publish(conversions.odometry_to_msg(odometry.odom_T_base, odometry.velocity, head, "base_link"))
        scan = self.simulator.scan()
        if self.scanning and scan is not None:
            self.scan.publish(conversions.scan_to_msg(scan, conversions.header(self.stamp_s, "laser_link")))

    def run(self, until, limit_s: float = 40.0):
        """Let time pass, no faster than the node keeps up, until the predicate holds; returns its value."""
        end_s = self.simulator.time_s + limit_s
        while not (value := until()) and self.simulator.time_s < end_s:
            self.tick()
            deadline = time.monotonic() + 0.1
            while not self.caught_up() and time.monotonic() < deadline:
                self.executor.spin_once(timeout_sec=0.005)
            for _ in range(6):  # its timers, commands and actions
                self.executor.spin_once(timeout_sec=0.0)
        return value

    def caught_up(self) -> bool:
        newest = self.stamp_s - 0.5 * TICK_S
        if self.policy.now_s() < newest:
            return False
        stamp_s = self.policy._motion.stamp_s if self.policy.state == "active" and self.measuring else None
        return stamp_s is None or stamp_s >= newest

    def wait(self, seconds: float) -> None:
        end_s = self.simulator.time_s + seconds
        self.run(lambda: self.simulator.time_s >= end_s)

    @property
    def at(self) -> np.ndarray:
        return self.simulator.pose[:2]

    def standing(self) -> bool:
        velocity = self.simulator.velocity
        return abs(velocity.vx_mps) < 1e-3 and abs(velocity.wz_radps) < 1e-3

    def driving(self) -> bool:
        return self.simulator.velocity.vx_mps > 0.3


class Stage:
    """Policy and robot in one executor, with a client."""

    def __init__(self, node, policy) -> None:
        self.node, self.policy, self.robot = node, policy, FakeRobot(node, policy)
        self.client = ActionClient(node, NavigateToPose, "policy/navigate_to_pose")
        self.feedback = []
        assert self.robot.run(self.client.server_is_ready, 20.0)
        assert self.robot.run(lambda: policy._policy._observer.has_seen, 20.0)

    def send(self, x: float, y: float, frame: str = "odom"):
        stamped = PoseStamped(header=conversions.header(0.0, frame), pose=conversions.pose_to_msg([x, y, 0.0]))
        goal = NavigateToPose.Goal(pose=stamped)
        future = self.client.send_goal_async(goal, feedback_callback=lambda m: self.feedback.append(m.feedback))
        assert self.robot.run(future.done, 5.0)
        return future.result()

    def finish(self, handle, limit_s: float = 40.0):
        future = handle.get_result_async()
        assert self.robot.run(future.done, limit_s), f"no result after {limit_s} s, robot at {self.robot.at}"
        return future.result().status, future.result().result


@pytest.fixture
def stage(network):
    with ros() as node:
        settings = {**SETTINGS, "model": str(network), "use_sim_time": True}
        policy = PolicyNode(parameter_overrides=[Parameter(name, value=value) for name, value in settings.items()])
        node.executor.add_node(policy)
        try:
            yield Stage(node, policy)
        finally:
            policy.destroy_node()


def test_it_reaches_the_goal_with_feedback_then_a_zero_then_silence(stage):
    robot = stage.robot
    robot.wait(0.5)
    assert robot.received == [], "without a goal it says nothing"
    status, result = stage.finish(stage.send(3.0, 0.5))
    assert status == GoalStatus.STATUS_SUCCEEDED and result.error_code == NavigateToPose.Result.NONE
    assert math.dist(robot.at, [3.0, 0.5]) < 0.5
    robot.wait(0.3)
    assert robot.received[-1] == Twist2() and robot.standing()
    count = len(robot.received)
    robot.wait(0.5)
    assert len(robot.received) == count, "silent after the drive, so that others may drive"
    distances = [feedback.distance_remaining for feedback in stage.feedback]
    assert distances[0] > 2.5 and distances[-1] < 1.0 and len(distances) > 5


def test_a_goal_in_the_map_stays_there_while_localisation_corrects_it(stage):
    handle = stage.send(1.0, 5.0, frame="map")  # (3, 0) in odom
    assert stage.robot.run(stage.robot.driving, 10.0)
    stage.robot.place_map([1.5, 2.0, 1.57])  # now it is (3, 0.5)
    status, _ = stage.finish(handle)
    assert status == GoalStatus.STATUS_SUCCEEDED and math.dist(stage.robot.at, [3.0, 0.5]) < 0.45


@pytest.mark.parametrize("frame", ["nowhere", ""])
def test_a_goal_in_no_frame_is_aborted_with_its_code(stage, frame):
    status, result = stage.finish(stage.send(3.0, 0.0, frame=frame))
    assert status == GoalStatus.STATUS_ABORTED and result.error_code == NavigateToPose.Result.TF_ERROR
    assert (frame or "frame_id") in result.error_msg and stage.robot.received == []


def test_cancel_stops_the_robot(stage):
    handle = stage.send(6.0, 0.0)
    assert stage.robot.run(stage.robot.driving, 10.0)
    cancelled = handle.cancel_goal_async()
    assert stage.robot.run(cancelled.done, 2.0)
    status, _ = stage.finish(handle, 2.0)
    assert status == GoalStatus.STATUS_CANCELED
    assert stage.robot.run(stage.robot.standing, 2.0) and stage.robot.received[-1] == Twist2()


def test_a_new_goal_preempts_the_old_one_without_a_stop(stage):
    first = stage.send(6.0, 0.0)
    assert stage.robot.run(stage.robot.driving, 10.0)
    second = stage.send(3.0, 0.5)
    status, result = stage.finish(first, 2.0)
    assert status == GoalStatus.STATUS_ABORTED and "preempted" in result.error_msg
    assert stage.robot.simulator.velocity.vx_mps > 0.2
    status, _ = stage.finish(second)
    assert status == GoalStatus.STATUS_SUCCEEDED


@pytest.mark.parametrize("sensor", ["scanning", "measuring"])
def test_without_fresh_inputs_one_zero_then_silence_and_it_gives_up_in_the_end(stage, sensor):
    robot, handle = stage.robot, stage.send(6.0, 0.0)
    assert robot.run(robot.driving, 10.0)
    setattr(robot, sensor, False)
    robot.wait(0.8)
    count = len(robot.received)
    assert robot.received[-1] == Twist2()
    robot.wait(0.3)
    assert len(robot.received) == count and robot.standing()
    setattr(robot, sensor, True)
    assert robot.run(robot.driving, 5.0)
    setattr(robot, sensor, False)
    status, result = stage.finish(handle, 5.0)
    assert status == GoalStatus.STATUS_ABORTED and result.error_code != 0 and " s old" in result.error_msg


def test_no_progress_and_time_have_their_codes(stage):
    stage.policy.set_parameters([Parameter("goal_timeout_s", value=1.0)])
    status, result = stage.finish(stage.send(6.0, 0.0))
    assert (status, result.error_code) == (GoalStatus.STATUS_ABORTED, CODES.CONTROLLER_TIMED_OUT)
    stage.policy.set_parameters([Parameter("goal_timeout_s", value=0.0)])
    status, result = stage.finish(stage.send(9.0, 0.0))  # behind the wall
    assert (status, result.error_code) == (GoalStatus.STATUS_ABORTED, CODES.FAILED_TO_MAKE_PROGRESS)


def test_deactivation_mid_drive_stops_the_robot_and_aborts(stage):
    handle = stage.send(6.0, 0.0)
    assert stage.robot.run(stage.robot.driving, 10.0)
    answer = handle.get_result_async()
    stage.robot.wait(0.1)
    stage.policy.trigger_deactivate()
    assert stage.robot.run(answer.done, 2.0)
    assert answer.result().status == GoalStatus.STATUS_ABORTED
    assert "deactivated" in answer.result().result.error_msg
    assert stage.robot.run(stage.robot.standing, 2.0) and stage.robot.received[-1] == Twist2()


def test_a_limit_holds_from_the_next_command_on(stage):
    assert stage.policy.set_parameters([Parameter("max_speed_mps", value=0.2)])[0].successful
    stage.send(6.0, 0.0)
    stage.robot.wait(3.0)
    assert 0.1 < max(command.vx_mps for command in stage.robot.received) <= 0.2 + 1e-6
    refused = stage.policy.set_parameters([Parameter("max_speed_mps", value=9.0)])[0]
    assert not refused.successful and "9.0" in refused.reason
