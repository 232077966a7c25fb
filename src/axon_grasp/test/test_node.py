# SPDX-License-Identifier: Apache-2.0
"""The node over real rclpy: a camera that sees a box on a table, and controllers that do at once what they are told."""

from __future__ import annotations

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from control_msgs.action import FollowJointTrajectory, GripperCommand
from geometry_msgs.msg import PointStamped, TransformStamped, WrenchStamped
from rclpy.action import ActionClient, ActionServer, CancelResponse
from rclpy.parameter import Parameter
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import String
from std_srvs.srv import Trigger
from table_scenes import CAMERA, MAST, BoxScene, camera_at
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection3D, Detection3DArray, ObjectHypothesisWithPose
from visualization_msgs.msg import MarkerArray

from axon_grasp.config import ARM_JOINTS
from axon_grasp.node import GraspNode
from axon_msgs.action import Pick
from axon_msgs.msg import GraspArray
from axon_ros import unsent_goals
from axon_ros.conversions import camera_to_msg, header, image_to_msg, transform_from_pose, transform_to_msg
from axon_ros.endings import Endings
from axon_ros.qos import LATCHED, RESULT
from axon_ros.testing import ros, spin_until
from axon_sim import robot

FRAME = "camera_color_optical_frame"
SCENE = BoxScene(size_m=(0.10, 0.05, 0.08), place_m=(0.42, 0.0))
FINGERS = ("gripper_left_finger_joint", "gripper_right_finger_joint")
Code = Pick.Result


class FakeRobot:
    """Publishes camera, joints, touch and description; its controllers arrive at once, unless they are slow."""

    def __init__(self, node, scene=SCENE, box_m=0.05):
        self.node, self.box_m, self.slow, self.refusing = node, box_m, False, False
        self.joints = dict(zip((*ARM_JOINTS, *FINGERS), (*robot.ARM_FOLDED_RAD, 0.0, 0.0), strict=True))
        self.asked, self.cancelled, self.waiting = [], [], []
        self.mount = camera_at(MAST, scene.target_m)
        self.depth_m = scene.depth(self.mount)
        self.depth = node.create_publisher(Image, "camera/depth/image_raw", RESULT)
        self.info = node.create_publisher(CameraInfo, "camera/depth/camera_info", RESULT)
        self.state = node.create_publisher(JointState, "joint_states", RESULT)
        self.touch = [node.create_publisher(WrenchStamped, f"gripper/{s}_touch", RESULT) for s in ("left", "right")]
        self.description = node.create_publisher(String, "robot_description", LATCHED)
        self.description.publish(String(data=robot.load_urdf()))
        self.tf = node.create_publisher(TFMessage, "/tf_static", LATCHED)
        self.announce()
        self.serve(FollowJointTrajectory, "arm_controller/follow_joint_trajectory", self.on_arm)
        self.serve(
            FollowJointTrajectory, "head_controller/follow_joint_trajectory", lambda goal: self.asked.append("head")
        )
        self.serve(GripperCommand, "gripper_controller/gripper_cmd", self.on_gripper)
        node.create_timer(0.05, self.publish)

    def announce(self):
        base_T_camera = TransformStamped(header=header(0.0, "base_link"), child_frame_id=FRAME)
        base_T_camera.transform = transform_to_msg(self.mount)
        odom_T_base = TransformStamped(header=header(0.0, "odom"), child_frame_id="base_link")
        odom_T_base.transform.translation.x, odom_T_base.transform.rotation.w = 2.0, 1.0
        self.tf.publish(TFMessage(transforms=[base_T_camera, odom_T_base]))

    def publish(self):
        stamp = self.node.get_clock().now().to_msg()
        self.info.publish(camera_to_msg(CAMERA, header(stamp, FRAME)))
        self.depth.publish(image_to_msg(self.depth_m, "32FC1", header(stamp, FRAME)))
        self.state.publish(
            JointState(header=header(stamp, ""), name=list(self.joints), position=list(self.joints.values()))
        )
        width = sum(self.joints[name] for name in FINGERS)
        for publisher in self.touch:
            msg = WrenchStamped(header=header(stamp, "finger"))
            msg.wrench.force.y = 10.0 if self.closed and width > 0.001 else 0.0
            publisher.publish(msg)

    closed = False

    def serve(self, kind, name, act):
        endings = Endings()

        def accept(handle):
            act(handle.request)
            if self.slow:
                self.waiting.append((endings, handle, kind))
            else:
                endings.end(handle, "abort" if self.refusing else "succeed", self.result_of(kind))

        def cancel(handle):
            self.cancelled.append(name)
            return CancelResponse.ACCEPT

        ActionServer(self.node, kind, name, endings.execute, handle_accepted_callback=accept, cancel_callback=cancel)

    def result_of(self, kind):
        if kind is FollowJointTrajectory:
            return kind.Result(error_string="in the way" if self.refusing else "")
        return kind.Result(position=sum(self.joints[name] for name in FINGERS), stalled=self.closed)

    def on_arm(self, goal):
        self.asked.append("arm")
        self.joints.update(zip(goal.trajectory.joint_names, goal.trajectory.points[-1].positions, strict=True))

    def on_gripper(self, goal):
        self.closed = goal.command.position == 0.0
        self.asked.append("close" if self.closed else "open")
        width = max(goal.command.position, self.box_m) if self.closed else goal.command.position
        self.joints.update(dict.fromkeys(FINGERS, 0.5 * width))


class Bench:
    """Node and robot in one executor, and a client of the node."""

    def __init__(self, node, grasp: GraspNode, fake: FakeRobot):
        self.node, self.grasp, self.robot = node, grasp, fake
        self.client, self.stages = ActionClient(node, Pick, "pick"), []
        assert self.until(lambda: grasp.state == "active" and self.client.server_is_ready(), 60.0)
        assert self.until(lambda: grasp._grasper.arm is not None and grasp._depth is not None and grasp._joints, 60.0)
        assert self.until(lambda: all(client.server_is_ready() for client in grasp._controllers.values()), 60.0)
        assert self.until(lambda: grasp.tf.can_transform("odom", FRAME, Time()), 60.0)

    def until(self, predicate, timeout_s=60.0):
        return spin_until(self.node, predicate, timeout_s)

    def send(self, **goal):
        future = self.client.send_goal_async(
            Pick.Goal(**goal), feedback_callback=lambda msg: self.stages.append(msg.feedback.stage)
        )
        assert self.until(future.done)
        return future.result()

    def finish(self, handle):
        future = handle.get_result_async()
        assert self.until(future.done, 90.0)
        return future.result().status, future.result().result


@pytest.fixture
def make():
    """A function that makes a bench, with changes of parameters or of the robot."""
    made = []
    with ros() as node:

        def build(parameters=None, **changes) -> Bench:
            settings = {"settle_s": 0.05, "attempts": 1, **(parameters or {})}
            grasp = GraspNode(parameter_overrides=[Parameter(name, value=value) for name, value in settings.items()])
            made.append(grasp)
            node.executor.add_node(grasp)
            return Bench(node, grasp, FakeRobot(node, **changes))

        try:
            yield build
        finally:
            for grasp in made:
                grasp.destroy_node()


def at(x, y, z, frame="base_link"):
    target = PointStamped(header=header(0.0, frame))
    target.point.x, target.point.y, target.point.z = float(x), float(y), float(z)
    return target


def test_a_box_is_picked_by_the_controllers(make):
    bench = make()
    x, y, z = SCENE.target_m
    status, result = bench.finish(bench.send(target=at(x + 2.0, y, z, "odom")))
    assert (status, result.error_code) == (GoalStatus.STATUS_SUCCEEDED, Code.NONE), result.error_msg
    assert bench.robot.asked == ["head", "open", "arm", "arm", "close", "arm", "arm"]
    order = Pick.Feedback
    assert bench.stages == [order.SEARCHING, order.APPROACHING, order.CLOSING, order.LIFTING, order.VERIFYING]
    assert result.header.frame_id == "base_link" and 0.0 < result.grasp.width_m < 0.0901
    grasp = transform_from_pose(result.grasp.pose)
    np.testing.assert_allclose(grasp[:3, 0], [0.0, 0.0, -1.0], atol=1e-6)
    assert np.linalg.norm(grasp[:2, 3] - SCENE.target_m[:2]) < 0.06


def test_empty_fingers_are_not_held(make):
    bench = make(box_m=0.0)
    status, result = bench.finish(bench.send(target=at(*SCENE.target_m)))
    assert (status, result.error_code) == (GoalStatus.STATUS_ABORTED, Code.NOT_HELD)
    assert bench.robot.asked[-2:] == ["open", "arm"] and not bench.robot.closed


@pytest.mark.parametrize(
    ("goal", "code", "says"),
    [
        ({"target": at(0.4, 0.0, 0.6, "nowhere")}, Code.TF_ERROR, "nowhere"),
        ({"target": at(np.nan, 0.0, 0.6)}, Code.UNKNOWN, "finite"),
        ({"target": at(0.4, 0.0, 0.6), "lift_height_m": -1.0}, Code.UNKNOWN, "lift_height_m"),
        ({"target": at(0.42, 0.5, 0.6)}, Code.NO_OBJECT, "target"),
        ({"class_id": "mug"}, Code.NO_OBJECT, "mug"),
    ],
)
def test_what_cannot_be_picked_is_refused_with_the_reason(make, goal, code, says):
    bench = make()
    status, result = bench.finish(bench.send(**goal))
    assert (status, result.error_code) == (GoalStatus.STATUS_ABORTED, code) and says in result.error_msg
    assert "arm" not in bench.robot.asked


def test_a_controller_that_is_found_late_is_waited_for(make, monkeypatch):
    bench = make()
    client, looks = bench.grasp._controllers["gripper"], []

    def ready():
        looks.append(True)
        return len(looks) > 5

    monkeypatch.setattr(client, "server_is_ready", ready)
    status, result = bench.finish(bench.send(target=at(*SCENE.target_m)))
    assert status == GoalStatus.STATUS_SUCCEEDED, result.error_msg
    assert len(looks) > 5


def test_a_controller_that_is_never_found_is_named(make, monkeypatch):
    monkeypatch.setattr(unsent_goals, "SERVER_PATIENCE_S", 0.5)
    bench = make()
    monkeypatch.setattr(bench.grasp._controllers["gripper"], "server_is_ready", lambda: False)
    status, result = bench.finish(bench.send(target=at(*SCENE.target_m)))
    assert (status, result.error_code) == (GoalStatus.STATUS_ABORTED, Code.ARM_FAILED)
    assert "gripper" in result.error_msg and "start its controller" in result.error_msg


def test_a_controller_that_aborts_ends_the_pick_with_its_words(make):
    bench = make({"head_joint": ""})
    bench.robot.refusing = True
    status, result = bench.finish(bench.send(target=at(*SCENE.target_m)))
    assert (status, result.error_code) == (GoalStatus.STATUS_ABORTED, Code.ARM_FAILED)


def test_cancelling_stops_the_arm(make):
    bench = make({"head_joint": ""})
    bench.robot.slow = True
    handle = bench.send(target=at(*SCENE.target_m))
    assert bench.until(lambda: bench.robot.waiting)
    cancelled = handle.cancel_goal_async()
    assert bench.until(cancelled.done)
    status, _ = bench.finish(handle)
    assert status == GoalStatus.STATUS_CANCELED
    assert bench.until(lambda: bench.robot.cancelled)


def test_a_newer_goal_preempts_and_a_slow_one_times_out(make):
    bench = make({"head_joint": "", "timeout_s": 3.0})
    bench.robot.slow = True
    first, second = bench.send(target=at(*SCENE.target_m)), bench.send(target=at(*SCENE.target_m))
    status, result = bench.finish(first)
    assert status == GoalStatus.STATUS_ABORTED and "preempted" in result.error_msg
    status, result = bench.finish(second)
    assert (status, result.error_code) == (GoalStatus.STATUS_ABORTED, Code.TIMEOUT)


def test_deactivating_ends_the_pick(make):
    bench = make({"head_joint": ""})
    bench.robot.slow = True
    handle = bench.send(target=at(*SCENE.target_m))
    future = handle.get_result_async()
    assert bench.until(lambda: bench.robot.waiting)
    bench.grasp.trigger_deactivate()
    assert bench.until(future.done) and "deactivated" in future.result().result.error_msg


def test_a_detection_says_where_the_class_is(make):
    bench = make()
    detection = Detection3D(results=[ObjectHypothesisWithPose()])
    detection.results[0].hypothesis.class_id = "box"
    detection.bbox.center.position.x, detection.bbox.center.position.z = SCENE.target_m[0] + 0.01, SCENE.target_m[2]
    detection.bbox.center.orientation.w = 1.0
    publisher = bench.node.create_publisher(Detection3DArray, "detections_3d", RESULT)

    def publish():
        now = bench.node.get_clock().now().to_msg()
        publisher.publish(Detection3DArray(header=header(now, "base_link"), detections=[detection]))

    bench.node.create_timer(0.1, publish)
    assert bench.until(lambda: bench.grasp._detections is not None)
    status, result = bench.finish(bench.send(class_id="box"))
    assert status == GoalStatus.STATUS_SUCCEEDED, result.error_msg


def test_grasps_and_markers_come_while_somebody_watches(make):
    x, _, z = (float(value) for value in SCENE.target_m)
    bench = make({"watch_x_m": x, "watch_z_m": z, "max_rate_hz": 10.0})
    grasps, markers = [], []
    assert not bench.until(lambda: bench.grasp._worker.latency.summary().count, 0.5)  # nobody watches
    bench.node.create_subscription(GraspArray, "grasps", grasps.append, RESULT)
    bench.node.create_subscription(MarkerArray, "grasp_markers", markers.append, RESULT)
    assert bench.until(lambda: grasps and markers)
    assert grasps[0].header.frame_id == FRAME and grasps[0].grasps
    qualities = [grasp.quality for grasp in grasps[0].grasps]
    assert qualities == sorted(qualities, reverse=True)
    base_T_grasp = bench.robot.mount @ transform_from_pose(grasps[0].grasps[0].pose)
    np.testing.assert_allclose(base_T_grasp[:3, 0], [0.0, 0.0, -1.0], atol=1e-5)
    assert len(markers[0].markers) == 1 + 2 * len(grasps[0].grasps)


def test_release_opens_the_gripper(make):
    bench = make()
    client = bench.node.create_client(Trigger, "release")
    assert bench.until(client.service_is_ready)
    future = client.call_async(Trigger.Request())
    assert bench.until(future.done) and future.result().success
    assert bench.until(lambda: bench.robot.asked == ["open"])


def test_a_description_of_another_robot_is_refused(make):
    bench = make()
    bench.robot.description.publish(String(data="<robot name='other'><link name='base_link'/></robot>"))
    assert bench.until(lambda: "lacks" in str(bench.grasp.problems.summary()))
    assert bench.grasp._grasper.arm is not None  # the one before stays
