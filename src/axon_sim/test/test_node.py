# SPDX-License-Identifier: Apache-2.0
"""The node on the graph: the whole contract, its frames and stamps, commands and actions, bad input."""

import math
import sys
import threading
import time
from collections import Counter

import numpy as np
import pytest
from builtin_interfaces.msg import Duration, Time
from control_msgs.action import FollowJointTrajectory, GripperCommand
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import Twist
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from nav_msgs.msg import Odometry
from rclpy.action import ActionClient
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, Imu, JointState, LaserScan
from std_msgs.msg import String
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage
from trajectory_msgs.msg import JointTrajectoryPoint
from vision_msgs.msg import Detection3DArray

from axon_ros.conversions import camera_from_msg, image_from_msg, odometry_from_msg, scan_from_msg
from axon_ros.qos import COMMAND, LATCHED, SENSOR
from axon_ros.testing import isolated_domain, process, ros, spin_until
from axon_sim import robot
from axon_sim.node import CommandGate
from axon_sim.worlds import make_world

TOPICS = {
    "scan": LaserScan,
    "odom": Odometry,
    "imu": Imu,
    "joint_states": JointState,
    "/clock": Clock,
    "/tf": TFMessage,
    "sim/ground_truth": Odometry,
    "sim/objects": Detection3DArray,
    "camera/color/image_raw": Image,
    "camera/depth/image_raw": Image,
    "camera/color/camera_info": CameraInfo,
    "camera/depth/camera_info": CameraInfo,
}
LATCHED_TOPICS = {"robot_description": String, "/tf_static": TFMessage, "sim/collisions": DiagnosticStatus}


class Robot:
    """A client of the simulated robot."""

    def __init__(self, node):
        self.node, self.last, self.counts = node, {}, Counter()
        for topics, qos in ((TOPICS, SENSOR), (LATCHED_TOPICS, LATCHED)):
            for topic, kind in topics.items():
                node.create_subscription(kind, topic, self._taker(topic), qos)
        self.velocity = node.create_publisher(Twist, "cmd_vel", COMMAND)
        self.reset = node.create_client(Trigger, "sim/reset")
        self.arm = ActionClient(node, FollowJointTrajectory, "arm_controller/follow_joint_trajectory")
        self.gripper = ActionClient(node, GripperCommand, "gripper_controller/gripper_cmd")

    def _taker(self, topic):
        def take(msg):
            self.last[topic] = msg
            self.counts[topic] += 1

        return take

    def time_s(self):
        clock = self.last["/clock"].clock
        return clock.sec + 1e-9 * clock.nanosec

    def wait_for(self, predicate, timeout_s=30.0):
        assert spin_until(self.node, predicate, timeout_s)

    def let_pass(self, seconds):
        end = self.time_s() + seconds
        self.wait_for(lambda: self.time_s() >= end)

    def drive(self, vx, wz, seconds):
        twist = Twist()
        twist.linear.x, twist.angular.z = float(vx), float(wz)
        end = self.time_s() + seconds

        def step():
            self.velocity.publish(twist)
            return self.time_s() >= end

        self.wait_for(step)

    def send(self, client, goal):
        assert client.wait_for_server(timeout_sec=10.0)
        future = client.send_goal_async(goal)
        self.wait_for(future.done)
        return future.result()

    def result_of(self, handle):
        future = handle.get_result_async()
        self.wait_for(future.done)
        return future.result().status, future.result().result


@pytest.fixture(scope="module")
def client():
    with (
        ros() as node,
        process([sys.executable, "-m", "axon_sim.node", "--ros-args", "-p", "world:=tabletop:1"]) as sim,
    ):
        robot_client = Robot(node)
        robot_client.wait_for(lambda: set(robot_client.last) == {*TOPICS, *LATCHED_TOPICS}, 60.0)
        yield robot_client
        assert sim.stop() == 0
        assert "Traceback" not in sim.output


def arm_goal(positions, seconds, names=robot.ARM_JOINTS):
    goal = FollowJointTrajectory.Goal()
    goal.trajectory.joint_names = list(names)
    point = JointTrajectoryPoint(positions=[float(p) for p in positions])
    point.time_from_start = Duration(sec=int(seconds), nanosec=round(seconds % 1 * 1e9))
    goal.trajectory.points = [point]
    return goal


def test_frames_and_sizes(client):
    frames = {topic: client.last[topic].header.frame_id for topic in TOPICS if hasattr(client.last[topic], "header")}
    assert frames["scan"] == "laser_link" and frames["imu"] == "imu_link" and frames["odom"] == "odom"
    assert {frames[topic] for topic in TOPICS if topic.startswith("camera")} == {"camera_color_optical_frame"}
    assert client.last["odom"].child_frame_id == "base_link"
    assert len(scan_from_msg(client.last["scan"]).ranges_m) == 541
    assert image_from_msg(client.last["camera/color/image_raw"]).shape == (240, 320, 3)
    depth = image_from_msg(client.last["camera/depth/image_raw"])
    assert depth.dtype == np.float32 and 0.5 < np.nanmedian(depth) < 8.0
    camera = camera_from_msg(client.last["camera/color/camera_info"])
    assert (camera.width, camera.height) == (320, 240)
    assert sorted(client.last["joint_states"].name) == sorted(robot.JOINT_ORDER)


def test_tree_of_frames_is_whole(client):
    seen = {}

    def collect():
        for topic in ("/tf", "/tf_static"):
            for transform in client.last[topic].transforms:
                seen[transform.child_frame_id] = transform.header.frame_id
        return len(seen) >= 19

    spin_until(client.node, collect, 5.0)
    for frame in ("laser_link", "imu_link", "camera_color_optical_frame", "gripper_tcp", "wheel_left_link"):
        while frame != "odom":
            frame = seen[frame]
    assert client.last["robot_description"].data == robot.load_urdf()


def test_objects_stand_where_the_world_has_put_them(client):
    msg, world = client.last["sim/objects"], make_world("tabletop:1")
    assert msg.header.frame_id == "world"
    assert [(one.id, one.results[0].hypothesis.class_id) for one in msg.detections] == [
        (placed.name, placed.category) for placed in world.objects
    ]
    for one, placed in zip(msg.detections, world.objects, strict=True):
        position, size = one.bbox.center.position, one.bbox.size
        assert np.allclose([size.x, size.y, size.z], placed.item.size_m)
        assert np.allclose([position.x, position.y], world.spec.body(placed.name).pos[:2], atol=0.02)


def test_rates_in_simulated_time(client):
    client.counts.clear()
    begin = client.time_s()
    client.let_pass(2.0)
    seconds = client.time_s() - begin
    expected = {"odom": 50, "imu": 50, "joint_states": 50, "scan": 10, "camera/color/image_raw": 10, "/clock": 100}
    for topic, rate in expected.items():
        assert client.counts[topic] / seconds == pytest.approx(rate, rel=0.25), topic


def test_stamps_are_those_of_the_clock(client):
    client.let_pass(0.2)
    stamp = client.last["scan"].header.stamp
    assert 0.0 <= client.time_s() - (stamp.sec + 1e-9 * stamp.nanosec) < 0.5


def odometry_yaw(client):
    return odometry_from_msg(client.last["odom"])[0][2]


def test_bad_command_is_refused_and_the_next_one_obeyed(client):
    client.drive(math.nan, 0.0, 0.3)
    before = odometry_yaw(client)
    client.drive(0.0, 0.5, 1.0)
    client.drive(0.0, 0.0, 0.3)
    assert 0.2 < odometry_yaw(client) - before < 0.9
    assert math.isfinite(client.last["odom"].pose.pose.position.x)


def test_reset_brings_the_robot_back(client):
    client.drive(0.0, -0.6, 0.8)
    future = client.reset.call_async(Trigger.Request())
    client.wait_for(future.done)
    assert future.result().success
    client.let_pass(0.2)
    odometry = client.last["odom"].pose.pose
    assert math.hypot(odometry.position.x, odometry.position.y) < 0.01 and abs(odometry.orientation.z) < 0.01


def test_arm_moves_as_ros2_control_serves_it(client):
    status, result = client.result_of(client.send(client.arm, arm_goal(robot.ARM_READY_RAD, 1.5)))
    assert status == 4 and result.error_code == result.SUCCESSFUL
    names, positions = client.last["joint_states"].name, client.last["joint_states"].position
    actual = [positions[names.index(name)] for name in robot.ARM_JOINTS]
    np.testing.assert_allclose(actual, robot.ARM_READY_RAD, atol=0.03)


@pytest.mark.parametrize(
    "goal, code",
    [
        (arm_goal([0.0] * 6, 1.0, ("elbow", *robot.ARM_JOINTS[1:])), FollowJointTrajectory.Result.INVALID_JOINTS),
        (arm_goal([0.0] * 5, 1.0), FollowJointTrajectory.Result.INVALID_GOAL),
        (arm_goal([9.0, 0, 0, 0, 0, 0], 1.0), FollowJointTrajectory.Result.INVALID_GOAL),
        (arm_goal([math.nan, 0, 0, 0, 0, 0], 1.0), FollowJointTrajectory.Result.INVALID_GOAL),
        (arm_goal([1.5, -1.2, 1.9, 0, 0.87, 0], 0.05), FollowJointTrajectory.Result.GOAL_TOLERANCE_VIOLATED),
    ],
)
def test_arm_goals_that_cannot_be_end_with_their_code(client, goal, code):
    goal.goal_time_tolerance = Duration(nanosec=100_000_000)
    status, result = client.result_of(client.send(client.arm, goal))
    assert status == 6 and result.error_code == code and result.error_string


def old_goal():
    goal = arm_goal(robot.ARM_READY_RAD, 0.1)
    goal.trajectory.header.stamp = Time(nanosec=1)
    return goal


def goal_by_the_wall_clock():
    goal = arm_goal(robot.ARM_READY_RAD, 0.1)
    goal.trajectory.header.stamp = Time(sec=1_700_000_000)
    return goal


@pytest.mark.parametrize(
    ("goal", "code", "says"),
    [
        (old_goal(), FollowJointTrajectory.Result.OLD_HEADER_TIMESTAMP, "ago"),
        (goal_by_the_wall_clock(), FollowJointTrajectory.Result.INVALID_GOAL, "use_sim_time"),
    ],
)
def test_arm_goals_of_another_time_are_refused(client, goal, code, says):
    status, result = client.result_of(client.send(client.arm, goal))
    assert status == 6 and result.error_code == code and says in result.error_string


def test_arm_goal_is_cancelled_and_preempted(client):
    handle = client.send(client.arm, arm_goal(robot.ARM_FOLDED_RAD, 4.0))
    client.let_pass(0.3)
    handle.cancel_goal_async()
    assert client.result_of(handle)[0] == 5
    first = client.send(client.arm, arm_goal(robot.ARM_FOLDED_RAD, 4.0))
    bad = client.send(client.arm, arm_goal([9.0] * 6, 1.0))
    assert client.result_of(bad)[0] == 6  # and the first goes on
    second = client.send(client.arm, arm_goal(robot.ARM_FOLDED_RAD, 1.5))
    status, result = client.result_of(first)
    assert status == 6 and "preempted" in result.error_string
    assert client.result_of(second)[0] == 4


def test_deactivation_ends_a_goal_and_its_client_knows(client):
    handle = client.send(client.arm, arm_goal(robot.ARM_READY_RAD, 30.0))
    answer = handle.get_result_async()
    client.let_pass(0.2)
    change = client.node.create_client(ChangeState, "sim/change_state")
    for transition in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP):
        done = change.call_async(ChangeState.Request(transition=Transition(id=transition)))
        client.wait_for(done.done)
        assert done.result().success
    client.wait_for(answer.done)
    assert answer.result().status == 6 and "deactivated" in answer.result().result.error_string
    for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
        done = change.call_async(ChangeState.Request(transition=Transition(id=transition)))
        client.wait_for(done.done, 60.0)
        assert done.result().success


def test_gripper_opens_and_refuses_what_it_cannot(client):
    goal = GripperCommand.Goal()
    goal.command.position = 0.07
    status, result = client.result_of(client.send(client.gripper, goal))
    assert status == 4 and result.reached_goal and result.position == pytest.approx(0.07, abs=0.003)
    goal.command.position = 3.0
    assert client.result_of(client.send(client.gripper, goal))[0] == 6


@pytest.mark.parametrize(
    ("parameter", "says"),
    [("world:=wearhouse", "did you mean 'warehouse'"), ("viewer:=true", "there is no display here")],
)
def test_what_cannot_be_simulated_fails_to_configure_and_is_said(parameter, says):
    command = [sys.executable, "-m", "axon_sim.node", "--ros-args", "-p", parameter]
    with isolated_domain(), process(command, {"DISPLAY": "", "WAYLAND_DISPLAY": ""}) as sim:
        deadline = time.monotonic() + 20.0
        while says not in sim.output and time.monotonic() < deadline:
            time.sleep(0.1)
        assert says in sim.output
        assert sim.alive and sim.stop() == 0
        assert "Traceback" not in sim.output


def test_time_waits_for_the_late_command_of_a_live_stream():
    gate = CommandGate()
    gate.arrived(1.0)
    held = threading.Thread(target=gate.wait, args=(1.2, 60.0))
    held.start()
    held.join(0.1)
    assert held.is_alive()
    gate.arrived(1.2)
    held.join(10.0)
    assert not held.is_alive()


def test_time_goes_on_without_a_stream_and_after_one_has_ended():
    gate = CommandGate()
    gate.wait(5.0, 60.0)  # no command ever came: would last a minute
    gate.arrived(5.0)
    gate.wait(6.0, 0.01)
    gate.wait(7.0, 60.0)  # waited for once in vain, so no longer live
