# SPDX-License-Identifier: Apache-2.0
"""The node over real middleware: other nodes' actions are served by the test, time runs as fast as it is ticked."""

from __future__ import annotations

import time

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from control_msgs.action import FollowJointTrajectory
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import TransformStamped, Twist
from nav2_msgs.action import NavigateToPose
from rclpy.action import ActionClient, ActionServer, CancelResponse
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from tf2_ros import TransformBroadcaster
from vision_msgs.msg import Detection3D, Detection3DArray, ObjectHypothesis, ObjectHypothesisWithPose

from axon_core.geometry import se2_apply, se2_compose, se2_inverse, se2_to_matrix
from axon_core.grids import Grid
from axon_core.motion import Twist2
from axon_mission.config import MissionConfig
from axon_mission.node import MissionNode
from axon_mission.skills import Code
from axon_msgs.action import Fetch, Pick
from axon_ros import conversions, unsent_goals
from axon_ros.endings import Endings
from axon_ros.qos import COMMAND, LATCHED, RESULT
from axon_ros.testing import ros, spin_until

TICK_S = 0.05
MAP_T_ODOM = np.array([0.5, -0.25, 0.3])
PLACES = ["sofa=0.5,1.5,1.57", "table=2.0,0.0,0.0", "home=0.0,0.0,0.0"]
MUG = np.array([3.0, 0.0, 0.5])
ACTIONS = {
    "navigate_to_pose": NavigateToPose,
    "pick": Pick,
    "arm_controller/follow_joint_trajectory": FollowJointTrajectory,
    "head_controller/follow_joint_trajectory": FollowJointTrajectory,
}


class FakeSkills:
    """Serves the four actions at once, publishes clock, tf, joints, costmap and a mug. `hangs`, `fails`: by action."""

    def __init__(self, node, mission: MissionNode, absent=()):
        self.node, self.mission, self.executor = node, mission, node.executor
        self.time_s, self.pose, self.width_m = 100.0, np.zeros(3), 0.08
        self.hangs, self.fails, self.goals = set(), {}, []
        self.held, self.command, self.sees = [], Twist2(), True
        self.endings = {name: Endings() for name in ACTIONS}
        self.servers = [self.serve(name) for name in ACTIONS if name not in absent]
        self.clock = node.create_publisher(Clock, "/clock", RESULT)
        self.joints = node.create_publisher(JointState, "joint_states", RESULT)
        self.detections = node.create_publisher(Detection3DArray, "detections_3d", RESULT)
        self.tf = TransformBroadcaster(node)
        node.create_publisher(conversions.OccupancyGrid, "costmap", LATCHED).publish(
            conversions.grid_to_msg(
                Grid(np.zeros((200, 200), np.int8), 0.05, np.array([-5.0, -5.0])), conversions.header(0.0, "odom")
            )
        )
        node.create_subscription(Twist, "cmd_vel_nav", self.on_command, COMMAND)
        self.statuses, self.feedback = [], []
        node.create_subscription(DiagnosticStatus, "mission/status", self.statuses.append, LATCHED)
        self.client = ActionClient(node, Fetch, "fetch")

    def close(self):
        self.mission.destroy_node()
        for one in [*self.servers, self.client]:
            one.destroy()

    def serve(self, name):
        def begin(handle):
            self.goals.append(name)
            if name in self.hangs:
                self.held.append(handle)
            elif name in self.fails:
                self.end(name, handle, "abort", error_msg=self.fails[name])
            else:
                self.done(name, handle)

        return ActionServer(
            self.node,
            ACTIONS[name],
            name,
            self.endings[name].execute,
            handle_accepted_callback=begin,
            cancel_callback=lambda handle: CancelResponse.ACCEPT,
        )

    def done(self, name, handle):
        if name == "navigate_to_pose":
            assert handle.request.pose.header.frame_id == "map"
            self.pose = conversions.pose_from_msg(handle.request.pose.pose)
        if name == "pick":
            target = handle.request.target
            assert target.header.frame_id == "map" and handle.request.class_id == "mug"
            assert [target.point.x, target.point.y, target.point.z] == pytest.approx(MUG.tolist(), abs=0.02)
            self.width_m = 0.05
        self.end(name, handle, "succeed")

    def end(self, name, handle, state, **values):
        self.endings[name].end(handle, state, ACTIONS[name].Result(**values))

    def on_command(self, msg):
        self.command = conversions.twist_from_msg(msg)

    def tick(self):
        seen = self.view()  # a detector takes a while
        self.time_s += TICK_S
        self.pose = se2_compose(self.pose, [self.command.vx_mps * TICK_S, 0.0, self.command.wz_radps * TICK_S])
        stamp = conversions.header(self.time_s, "").stamp
        odom_T_base = se2_compose(se2_inverse(MAP_T_ODOM), self.pose)
        pairs = (("map", "odom", MAP_T_ODOM), ("odom", "base_link", odom_T_base))
        self.tf.sendTransform([self.transform(*pair) for pair in pairs])
        fingers = MissionConfig().finger_joints
        self.joints.publish(JointState(name=list(fingers), position=[0.5 * self.width_m] * 2))
        self.clock.publish(Clock(clock=stamp))
        if self.sees and round(self.time_s / TICK_S) % 4 == 0:
            self.detections.publish(seen)
        for handle in [one for one in self.held if one.is_cancel_requested]:
            self.held.remove(handle)
            self.end("navigate_to_pose", handle, "canceled")

    def transform(self, parent, child, pose):
        moved = conversions.transform_to_msg(se2_to_matrix(pose))
        return TransformStamped(header=conversions.header(self.time_s, parent), child_frame_id=child, transform=moved)

    def view(self):
        """The mug in the base's frame, where it is near."""
        head = conversions.header(self.time_s, "base_link")
        x, y = se2_apply(se2_inverse(self.pose), MUG[None, :2])[0]
        if np.hypot(x, y) > 2.0:
            return Detection3DArray(header=head)
        seen = Detection3D(header=head, results=[ObjectHypothesisWithPose()])
        seen.results[0].hypothesis = ObjectHypothesis(class_id="mug", score=0.9)
        point = seen.bbox.center.position
        point.x, point.y, point.z = float(x), float(y), float(MUG[2])
        return Detection3DArray(header=head, detections=[seen])

    def run(self, until, limit_s=120.0):
        """Let time pass, no faster than the node keeps up, until the predicate holds; returns its value."""
        end_s = self.time_s + limit_s
        while not (value := until()) and self.time_s < end_s:
            self.tick()
            deadline = time.monotonic() + 0.2
            while self.mission.now_s() < self.time_s - 0.5 * TICK_S and time.monotonic() < deadline:
                self.executor.spin_once(timeout_sec=0.005)
            for _ in range(12):  # its timer, its actions and ours
                self.executor.spin_once(timeout_sec=0.0)
        return value

    def send(self, class_id="mug", places=(), bring_to="home"):
        assert self.run(self.client.server_is_ready)
        goal = Fetch.Goal(class_id=class_id, search_places=list(places), bring_to=bring_to)
        future = self.client.send_goal_async(goal, feedback_callback=lambda msg: self.feedback.append(msg.feedback))
        assert self.run(future.done)
        return future.result()

    def result(self, handle, limit_s=200.0):
        future = handle.get_result_async()
        assert self.run(future.done, limit_s), (self.statuses[-1], self.goals)
        return future.result().status, future.result().result


@pytest.fixture
def make():
    """A function that starts the node with parameters and everything around it but the `absent` actions."""
    with ros() as node:
        made = []

        def start(absent=(), **parameters):
            made.append(_start(node, absent, parameters))
            return made[-1]

        yield start
        for fake in made:
            fake.close()
        node.destroy_node()


def _start(node, absent, parameters):
    settings = {"places": PLACES, "look_s": 1.0, "startup_timeout_s": 3.0, "use_sim_time": True, **parameters}
    overrides = [Parameter(name, value=value) for name, value in settings.items()]
    mission = MissionNode(parameter_overrides=overrides)
    node.executor.add_node(mission)
    fake = FakeSkills(node, mission, absent)
    assert fake.run(lambda: mission.state == "active")
    served = [caller for caller in mission._skills.callers if caller.name not in absent]
    # discovery takes wall time, of which simulated seconds are far less
    assert spin_until(node, lambda: fake.client.server_is_ready() and not any(one.missing for one in served), 60.0)
    return fake


def test_a_mug_is_fetched_by_the_actions_of_other_nodes(make):
    fake = make()
    handle = fake.send()
    assert fake.result(handle) == (GoalStatus.STATUS_SUCCEEDED, Fetch.Result())
    assert "pick" in fake.goals and np.allclose(fake.pose, 0.0, atol=1e-6)
    tasks = list(dict.fromkeys(one.task for one in fake.feedback))
    order = ["find mug at sofa", "find mug at table", "approach mug", "pick mug", "step back with mug"]
    assert [task for task in tasks if task in order] == order
    assert fake.feedback[-1].done[-1] == "bring mug to home"
    assert fake.command == Twist2()  # it has let go of the base
    said = [status.name for status in fake.statuses]
    assert said[0] == "idle" and "approach mug" in said
    assert len(fake.statuses) == len({(s.name, s.message, tuple(v.value for v in s.values)) for s in fake.statuses})


def test_why_it_failed_comes_from_the_node_that_failed(make):
    fake = make(pick_attempts=2)
    fake.fails["pick"] = "no grasp is good enough: best 0.31"
    status, result = fake.result(fake.send(places=["table"]))
    assert (status, result.error_code) == (GoalStatus.STATUS_ABORTED, Fetch.Result.NOT_PICKED)
    assert result.error_msg == "pick mug: no grasp is good enough: best 0.31"


def test_cancelling_ends_the_drive_that_goes_on(make):
    fake = make()
    fake.hangs.add("navigate_to_pose")
    handle = fake.send()
    assert fake.run(lambda: fake.held)
    cancelled = handle.cancel_goal_async()
    assert fake.run(cancelled.done)
    assert fake.result(handle)[0] == GoalStatus.STATUS_CANCELED
    assert fake.run(lambda: not fake.held)


def test_a_new_goal_ends_the_one_before(make):
    fake = make()
    fake.hangs.add("navigate_to_pose")
    first = fake.send()
    assert fake.run(lambda: fake.held)
    fake.hangs.clear()
    second = fake.send(places=["table"])
    status, result = fake.result(first)
    assert status == GoalStatus.STATUS_ABORTED and "preempted" in result.error_msg
    assert fake.result(second)[0] == GoalStatus.STATUS_SUCCEEDED


@pytest.mark.parametrize("absent", ["pick", "navigate_to_pose"])
def test_a_missing_server_is_named_with_who_serves_it(make, absent):
    fake = make(absent=(absent,))
    status, result = fake.result(fake.send())
    assert (status, result.error_code) == (GoalStatus.STATUS_ABORTED, Fetch.Result.MISSING_SKILL)
    assert f"no action server '{absent}': start axon_" in result.error_msg
    assert fake.goals == []


@pytest.mark.parametrize(("blind_looks", "ends_well"), [(5, True), (10**9, False)])
def test_a_server_that_is_lost_sight_of_is_waited_for_and_not_for_ever(make, monkeypatch, blind_looks, ends_well):
    monkeypatch.setattr(unsent_goals, "SERVER_PATIENCE_S", 30.0 if ends_well else 0.2)
    fake = make()
    handle = fake.send(places=["table"])
    assert fake.run(lambda: fake.goals)
    client, looks = fake.mission._skills._pick._client, []

    def ready():
        looks.append(True)
        return len(looks) > blind_looks

    monkeypatch.setattr(client, "server_is_ready", ready)
    status, result = fake.result(handle)
    assert len(looks) > 5
    if ends_well:
        assert status == GoalStatus.STATUS_SUCCEEDED, result.error_msg
    else:
        assert "no action server 'pick': start axon_grasp" in result.error_msg


def test_a_planner_that_falls_silent_is_given_up(make):
    fake = make(drive_attempts=1, silence_timeout_s=1.0)
    fake.hangs.add("navigate_to_pose")
    status, result = fake.result(fake.send(places=["table"]))
    assert (status, result.error_code) == (GoalStatus.STATUS_ABORTED, Fetch.Result.NO_WAY)
    assert "silent" in result.error_msg


def test_goals_that_cannot_be_meant_are_aborted_with_the_reason(make):
    fake = make()
    for words, says in (({"class_id": ""}, "class_id is empty"), ({"bring_to": "moon"}, "unknown place 'moon'")):
        status, result = fake.result(fake.send(**words))
        assert (status, result.error_code) == (GoalStatus.STATUS_ABORTED, Fetch.Result.BAD_GOAL)
        assert says in result.error_msg
    assert fake.goals == []


def test_detections_that_make_no_sense_are_refused_and_the_mission_goes_on(make):
    fake = make()
    fake.sees = False
    handle = fake.send(places=["table"])
    assert fake.run(lambda: fake.feedback and fake.feedback[-1].task == "find mug at table")
    bad = fake.view()
    bad.detections[0].bbox.center.position.x = float("nan")
    before = fake.mission.problems.summary()
    fake.detections.publish(bad)
    fake.detections.publish(
        Detection3DArray(header=conversions.header(fake.time_s, "nowhere"), detections=bad.detections)
    )
    fake.sees = True
    assert fake.result(handle)[0] == GoalStatus.STATUS_SUCCEEDED
    assert fake.mission.unexpected_errors == 0, before


def test_codes_are_those_of_the_message():
    named = {name: value for name, value in vars(type(Fetch.Result)).items() if name.isupper()}
    codes = {code.name: getattr(Fetch.Result, code.name) for code in Code}
    assert codes == {code.name: code.value for code in Code}, named
