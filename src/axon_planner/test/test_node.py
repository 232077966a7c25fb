# SPDX-License-Identifier: Apache-2.0
"""The node over real rclpy, with a made-up robot and time that runs faster than the wall's."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from geometry_msgs.msg import PoseStamped, TransformStamped, Twist
from nav2_msgs.action import ComputePathToPose, FollowPath, NavigateToPose
from nav_msgs.msg import OccupancyGrid, Odometry, Path
from playground import BASE_T_LASER, Playground, corridor
from rclpy.action import ActionClient
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import LaserScan
from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster
from visualization_msgs.msg import Marker

from axon_core.geometry import se2_compose, se2_inverse, se2_to_matrix, wrap_angle
from axon_core.grids import Grid
from axon_core.motion import Twist2
from axon_planner.config import PlannerConfig
from axon_planner.node import PlannerNode
from axon_ros import conversions
from axon_ros.errors import NoTransform
from axon_ros.qos import COMMAND, LATCHED, RESULT, SENSOR
from axon_ros.testing import ros

TICK_S = 0.02
SETTINGS = {"max_speed_mps": 1.0, "patience_s": 1.0, "no_path_timeout_s": 0.5}


class FakeRobot:
    """Publishes clock, scan, odom and tf of a playground, obeys cmd_vel_nav, stops 0.3 s after the last one."""

    def __init__(self, node, planner: PlannerNode, world: Playground):
        self.node, self.planner, self.executor, self.world = node, planner, node.executor, world
        self.scanning = self.measuring = True
        self.ticks = 0
        self.command, self.command_s, self.received = Twist2(), -1.0, []
        self.clock = node.create_publisher(Clock, "/clock", RESULT)
        self.scan = node.create_publisher(LaserScan, "scan", SENSOR)
        self.odom = node.create_publisher(Odometry, "odom", RESULT)
        self.tf = TransformBroadcaster(node)
        self.map_T_odom = None
        self.static_tf = StaticTransformBroadcaster(node)
        self.static_tf.sendTransform(
            [self.transform("base_link", "laser_link", BASE_T_LASER), self.transform("world", "odom", [1.0, 2.0, 1.57])]
        )
        node.create_subscription(Twist, "cmd_vel_nav", self.on_command, COMMAND)

    def on_command(self, msg: Twist) -> None:
        self.command, self.command_s = conversions.twist_from_msg(msg), self.world.time_s
        self.received.append(self.command)

    def transform(self, parent: str, child: str, pose) -> TransformStamped:
        moved = conversions.transform_to_msg(se2_to_matrix(np.asarray(pose)))
        return TransformStamped(header=conversions.header(self.stamp_s, parent), child_frame_id=child, transform=moved)

    @property
    def stamp_s(self) -> float:
        return 100.0 + self.world.time_s

    def tick(self) -> None:
        self.world.move(self.command if self.world.time_s - self.command_s < 0.3 else Twist2(), TICK_S)
        assert self.world.clearance() > 0.0, f"collision at {self.world.pose}"
        self.clock.publish(Clock(clock=conversions.header(self.stamp_s, "").stamp))
        if self.map_T_odom is not None:
            self.tf.sendTransform(self.transform("map", "odom", self.map_T_odom))
        if self.measuring:
            head = conversions.header(self.stamp_s, "odom")
            self.tf.sendTransform(self.transform("odom", "base_link", self.world.pose))
            self.odom.publish(conversions.odometry_to_msg(self.world.pose, self.world.velocity, head, "base_link"))
        if self.scanning and self.ticks % 3 == 0:
            self.scan.publish(
                conversions.scan_to_msg(self.world.scan(), conversions.header(self.stamp_s, "laser_link"))
            )
        self.ticks += 1

    def run(self, until, limit_s: float = 40.0):
        """Let time pass, no faster than the planner keeps up, until the predicate holds; returns its value."""
        end_s = self.world.time_s + limit_s
        while not (value := until()) and self.world.time_s < end_s:
            self.tick()
            deadline = time.monotonic() + 0.1
            while not self.caught_up() and time.monotonic() < deadline:
                self.executor.spin_once(timeout_sec=0.005)
            for _ in range(6):  # its timers, commands and actions
                self.executor.spin_once(timeout_sec=0.0)
        return value

    def caught_up(self) -> bool:
        newest = self.stamp_s - 0.5 * TICK_S
        if self.planner.now_s() < newest:
            return False
        stamp_s = self.planner._motion.stamp_s if self.planner.state == "active" and self.measuring else None
        return stamp_s is None or stamp_s >= newest

    def wait(self, seconds: float) -> None:
        end_s = self.world.time_s + seconds
        self.run(lambda: self.world.time_s >= end_s)


class Stage:
    """Planner and robot in one executor, with clients for all that the planner serves."""

    def __init__(self, node, planner, world: Playground):
        self.node, self.planner, self.world = node, planner, world
        self.robot = FakeRobot(node, planner, world)
        self.clients = {
            kind: ActionClient(node, kind, name)
            for kind, name in (
                (NavigateToPose, "navigate_to_pose"),
                (FollowPath, "follow_path"),
                (ComputePathToPose, "compute_path_to_pose"),
            )
        }
        self.feedback = []
        assert self.robot.run(lambda: all(client.server_is_ready() for client in self.clients.values()), 20.0)
        assert self.robot.run(lambda: planner._navigator.costmap.evidence.max() > 0, 20.0)

    def send(self, goal):
        kind = next(kind for kind in self.clients if isinstance(goal, kind.Goal))
        future = self.clients[kind].send_goal_async(goal, feedback_callback=lambda m: self.feedback.append(m.feedback))
        assert self.robot.run(future.done, 5.0)
        return future.result()

    def finish(self, handle, limit_s: float = 40.0):
        future = handle.get_result_async()
        assert self.robot.run(future.done, limit_s), f"no result after {limit_s} s, robot at {self.world.pose}"
        return future.result().status, future.result().result

    def standing(self) -> bool:
        return abs(self.world.velocity.vx_mps) < 1e-3 and abs(self.world.velocity.wz_radps) < 1e-3


@pytest.fixture
def stage():
    world = Playground(PlannerConfig(**SETTINGS), [[2.0, 0.3, 0.1]], corridor())
    with ros() as node:
        overrides = [Parameter(name, value=value) for name, value in {**SETTINGS, "use_sim_time": True}.items()]
        planner = PlannerNode(parameter_overrides=overrides)
        node.executor.add_node(planner)
        try:
            yield Stage(node, planner, world)
        finally:
            planner.destroy_node()


def pose(x: float, y: float, yaw: float = 0.0, frame: str = "odom") -> PoseStamped:
    return PoseStamped(header=conversions.header(0.0, frame), pose=conversions.pose_to_msg([x, y, yaw]))


def navigate(*args, **kwargs) -> NavigateToPose.Goal:
    return NavigateToPose.Goal(pose=pose(*args, **kwargs))


def test_navigate_reaches_the_goal_with_feedback_and_a_last_zero(stage):
    plans, costmaps, speeds = [], [], []
    stage.node.create_subscription(Path, "plan", plans.append, RESULT)
    stage.node.create_subscription(OccupancyGrid, "costmap", costmaps.append, LATCHED)
    stage.node.create_subscription(Marker, "plan_speeds", speeds.append, RESULT)
    status, result = stage.finish(stage.send(navigate(4.0, 0.0, 0.5)))
    assert status == GoalStatus.STATUS_SUCCEEDED and result.error_code == NavigateToPose.Result.NONE
    assert np.linalg.norm(stage.world.pose[:2] - [4.0, 0.0]) < 0.25 and abs(stage.world.pose[2] - 0.5) < 0.25
    stage.robot.wait(0.3)
    assert stage.robot.received[-1] == Twist2() and stage.standing()
    count = len(stage.robot.received)
    stage.robot.wait(0.5)
    assert len(stage.robot.received) == count, "silent after the drive, so that others may drive"
    distances = [feedback.distance_remaining for feedback in stage.feedback]
    assert distances[0] > 3.0 > 1.0 > distances[-1] and stage.feedback[-1].navigation_time.sec >= 3
    assert plans and plans[0].header.frame_id == "odom" and len(plans[0].poses) > 20
    assert costmaps and {-1, 0, 100} <= set(costmaps[0].data)
    assert speeds and len(speeds[0].points) == len(speeds[0].colors) > 20
    first, last = speeds[0].colors[10], speeds[0].colors[-1]
    assert first.g > last.g and first.r < last.r, "green on the way, red where it brakes at the end"


def test_compute_path_answers_with_a_path_or_a_code(stage):
    codes = ComputePathToPose.Result
    status, result = stage.finish(stage.send(ComputePathToPose.Goal(goal=pose(4.0, 0.0))))
    assert status == GoalStatus.STATUS_SUCCEEDED and result.error_code == codes.NONE
    ends = [result.path.poses[k].pose.position for k in (0, -1)]
    assert ends[0].x == pytest.approx(stage.world.pose[0], abs=0.02) and ends[1].x == pytest.approx(4.0)
    start = ComputePathToPose.Goal(goal=pose(4.0, 0.0), start=pose(1.0, 0.5), use_start=True)
    _, result = stage.finish(stage.send(start))
    assert result.path.poses[0].pose.position.y == pytest.approx(0.5)
    for planner_id in ("GridBased", "astar", "weighted", "theta", "footprint"):
        status, result = stage.finish(stage.send(ComputePathToPose.Goal(goal=pose(4.0, 0.0), planner_id=planner_id)))
        assert status == GoalStatus.STATUS_SUCCEEDED and result.path.poses[-1].pose.position.x == pytest.approx(4.0)
    refused = [
        (pose(2.0, 0.3), "", codes.GOAL_OCCUPIED, "(2.00, 0.30)"),
        (pose(400.0, 0.0), "", codes.GOAL_OUTSIDE_MAP, "(400.00, 0.00)"),
        (pose(4.0, 0.0, frame="nowhere"), "", codes.TF_ERROR, "nowhere"),
        (pose(4.0, 0.0, frame=""), "", codes.TF_ERROR, "frame_id"),
        (pose(4.0, 0.0), "Smac", codes.INVALID_PLANNER, "'theta', 'sequence', 'footprint', 'hybrid'"),
        (pose(4.0, 0.0), "hybrid", codes.INVALID_PLANNER, "min_turning_radius_m"),
    ]
    for goal, planner_id, code, text in refused:
        status, result = stage.finish(stage.send(ComputePathToPose.Goal(goal=goal, planner_id=planner_id)))
        assert (status, result.error_code) == (GoalStatus.STATUS_ABORTED, code) and text in result.error_msg
    start = ComputePathToPose.Goal(goal=pose(4.0, 0.0), start=pose(-400.0, 0.5), use_start=True)
    assert stage.finish(stage.send(start))[1].error_code == codes.START_OUTSIDE_MAP
    start.start = pose(2.0, 0.3 - 0.1)
    assert stage.finish(stage.send(start))[1].error_code == codes.START_OCCUPIED
    assert stage.standing()


def test_the_sequence_planner_gives_a_path_and_diagnostics_count_what_became_of_its_own(stage):
    assert "sequence_paths" not in stage.planner.status_values(), "nobody has asked it"
    for x in (4.0, 4.5):
        goal = ComputePathToPose.Goal(goal=pose(x, 0.0), planner_id="sequence")
        status, result = stage.finish(stage.send(goal))
        assert status == GoalStatus.STATUS_SUCCEEDED and result.error_code == ComputePathToPose.Result.NONE
        assert result.path.poses[-1].pose.position.x == pytest.approx(x)
    values = stage.planner.status_values()
    taken, _, total = values["sequence_paths"].partition(" of ")
    kept = sum(int(text.split()[-1]) for text in values["sequence_refused"].split(", ") if text != "none")
    assert int(total) == 2 and int(taken) + kept == 2


def test_follow_path_follows_and_refuses_what_is_none(stage):
    x = np.linspace(0.0, 3.0, 30)
    path = conversions.path_to_msg(
        np.column_stack([x, -0.3 * np.sin(x), np.zeros(30)]), conversions.header(0.0, "odom")
    )
    status, result = stage.finish(stage.send(FollowPath.Goal(path=path)))
    assert status == GoalStatus.STATUS_SUCCEEDED and result.error_code == FollowPath.Result.NONE
    assert np.linalg.norm(stage.world.pose[:2] - [3.0, -0.3 * math.sin(3.0)]) < 0.25
    assert stage.feedback[0].distance_to_goal > 2.0 and max(feedback.speed for feedback in stage.feedback) > 0.4
    back = Path(header=path.header, poses=path.poses[::-1])
    status, result = stage.finish(stage.send(FollowPath.Goal(path=back, controller_id="pursuit")))
    assert status == GoalStatus.STATUS_SUCCEEDED and np.linalg.norm(stage.world.pose[:2]) < 0.25
    status, result = stage.finish(stage.send(FollowPath.Goal(path=Path(header=path.header))))
    assert result.error_code == FollowPath.Result.INVALID_PATH and "empty" in result.error_msg
    status, result = stage.finish(stage.send(FollowPath.Goal(path=path, controller_id="DWB")))
    assert result.error_code == FollowPath.Result.INVALID_CONTROLLER and "DWB" in result.error_msg


def test_a_goal_in_another_frame_and_by_topic(stage):
    publisher = stage.node.create_publisher(PoseStamped, "goal_pose", RESULT)
    assert stage.robot.run(lambda: publisher.get_subscription_count() == 1)
    x, y = 1.0 + 0.5 * math.cos(1.57), 2.0 + 0.5 * math.sin(1.57)  # (0.5, 0) of odom, in the frame world
    publisher.publish(pose(x, y, 1.57, frame="world"))
    assert stage.robot.run(lambda: np.linalg.norm(stage.world.pose[:2] - [0.5, 0.0]) < 0.2, 15.0)
    assert stage.robot.run(lambda: stage.robot.received[-1] == Twist2() and stage.standing(), 5.0)


def in_map(stage, pose_in_odom):
    return se2_compose(stage.robot.map_T_odom, pose_in_odom)


def localised(stage, map_T_odom) -> None:
    """Let localisation say where odom lies in the map, and the planner hear it."""
    stage.robot.map_T_odom = np.array(map_T_odom)

    def heard() -> bool:
        try:
            known = stage.planner.lookup_se2("map", "odom")
        except NoTransform:
            return False
        return np.allclose(known, map_T_odom, atol=1e-6)

    assert stage.robot.run(heard, 5.0)


def test_a_goal_in_the_map_stays_there_while_localisation_corrects_it(stage):
    localised(stage, [10.0, -3.0, 1.2])
    goal_in_map = in_map(stage, [4.0, 0.3, 0.0])
    handle = stage.send(navigate(*goal_in_map, frame="map"))
    assert stage.robot.run(lambda: stage.world.velocity.vx_mps > 0.4)
    localised(stage, [10.1, -3.4, 1.22])
    assert stage.world.velocity.vx_mps > 0.2, "a correction is no reason to stop"
    moved = se2_compose(se2_inverse(stage.robot.map_T_odom), goal_in_map)
    assert np.linalg.norm(moved[:2] - [4.0, 0.3]) > 0.3
    status, _ = stage.finish(handle)
    assert status == GoalStatus.STATUS_SUCCEEDED
    assert np.linalg.norm(stage.world.pose[:2] - moved[:2]) < 0.25
    assert abs(wrap_angle(stage.world.pose[2] - moved[2])) < 0.25


def test_a_path_in_the_map_moves_with_it(stage):
    localised(stage, [10.0, -3.0, 1.2])
    along = np.column_stack([np.linspace(0.0, 3.0, 30), np.zeros(30), np.zeros(30)])
    head = conversions.header(0.0, "map")
    path_in_map = in_map(stage, along)
    handle = stage.send(FollowPath.Goal(path=conversions.path_to_msg(path_in_map, head)))
    assert stage.robot.run(lambda: stage.world.velocity.vx_mps > 0.4)
    localised(stage, [10.0, -3.35, 1.2])
    end = se2_compose(se2_inverse(stage.robot.map_T_odom), path_in_map[-1])
    assert np.linalg.norm(end[:2] - along[-1, :2]) == pytest.approx(0.35)
    status, _ = stage.finish(handle)
    assert status == GoalStatus.STATUS_SUCCEEDED and np.linalg.norm(stage.world.pose[:2] - end[:2]) < 0.25


def test_a_goal_ahead_of_the_base_is_not_chased(stage):
    status, _ = stage.finish(stage.send(navigate(1.0, 0.0, frame="base_link")), 15.0)
    assert status == GoalStatus.STATUS_SUCCEEDED and np.linalg.norm(stage.world.pose[:2] - [1.0, 0.0]) < 0.25


def test_cancel_stops_the_robot(stage):
    handle = stage.send(navigate(5.0, 0.0))
    assert stage.robot.run(lambda: stage.world.velocity.vx_mps > 0.4)
    cancelled = handle.cancel_goal_async()
    assert stage.robot.run(cancelled.done, 2.0)
    status, _ = stage.finish(handle, 2.0)
    assert status == GoalStatus.STATUS_CANCELED
    assert stage.robot.run(stage.standing, 1.0) and stage.robot.received[-1] == Twist2()


def test_a_new_goal_preempts_the_old_one_without_a_stop(stage):
    first = stage.send(navigate(5.0, 0.0))
    assert stage.robot.run(lambda: stage.world.velocity.vx_mps > 0.4)
    second = stage.send(navigate(4.0, 0.3))
    status, result = stage.finish(first, 2.0)
    assert status == GoalStatus.STATUS_ABORTED and "preempted" in result.error_msg
    assert stage.world.velocity.vx_mps > 0.2
    status, _ = stage.finish(second)
    assert status == GoalStatus.STATUS_SUCCEEDED and np.linalg.norm(stage.world.pose[:2] - [4.0, 0.3]) < 0.25


@pytest.mark.parametrize(
    ("goal", "code"),
    [
        ((2.0, 0.3), ComputePathToPose.Result.GOAL_OCCUPIED),
        ((400.0, 0.0), ComputePathToPose.Result.GOAL_OUTSIDE_MAP),
        ((9.0, 0.0), ComputePathToPose.Result.NO_VALID_PATH),
    ],
)
def test_navigate_to_where_nobody_gets_is_aborted_with_its_code(stage, goal, code):
    status, result = stage.finish(stage.send(navigate(*goal)))
    assert (status, result.error_code) == (GoalStatus.STATUS_ABORTED, code) and result.error_msg


def test_a_map_bounds_the_goals(stage):
    stage.planner.set_parameters([Parameter("goal_timeout_s", value=20.0)])
    publisher = stage.node.create_publisher(OccupancyGrid, "map", LATCHED)
    grid = Grid(np.zeros((80, 120), np.int8), 0.05, np.array([-2.0, -2.0]))
    publisher.publish(conversions.grid_to_msg(grid, conversions.header(0.0, "odom")))
    assert stage.robot.run(lambda: stage.planner._navigator.costmap.static is not None, 5.0)
    _, result = stage.finish(stage.send(navigate(5.0, 0.0)))
    assert result.error_code == ComputePathToPose.Result.GOAL_OUTSIDE_MAP


def test_time_for_a_goal_ends(stage):
    stage.planner.set_parameters([Parameter("goal_timeout_s", value=0.5)])
    status, result = stage.finish(stage.send(navigate(5.0, 0.0)))
    assert (status, result.error_code) == (GoalStatus.STATUS_ABORTED, FollowPath.Result.CONTROLLER_TIMED_OUT)


@pytest.mark.parametrize("sensor", ["scanning", "measuring"])
def test_without_scan_or_odometry_it_stops_drives_on_when_back_and_gives_up_else(stage, sensor):
    handle = stage.send(navigate(5.0, 0.0))
    assert stage.robot.run(lambda: stage.world.velocity.vx_mps > 0.4)
    setattr(stage.robot, sensor, False)
    stage.robot.wait(1.2)
    assert stage.standing()
    setattr(stage.robot, sensor, True)
    assert stage.robot.run(lambda: stage.world.velocity.vx_mps > 0.3, 5.0)
    setattr(stage.robot, sensor, False)
    status, result = stage.finish(handle, 5.0)
    assert status == GoalStatus.STATUS_ABORTED and result.error_code != 0 and " s old" in result.error_msg
    assert stage.robot.run(stage.standing, 1.0)


def test_a_senseless_scan_is_refused_and_the_next_one_read(stage):
    bad = conversions.scan_to_msg(stage.world.scan(), conversions.header(stage.robot.stamp_s, "laser_link"))
    bad.angle_increment = 0.0
    stage.robot.scan.publish(bad)
    bad.ranges = [math.nan] * 541
    stage.robot.scan.publish(bad)
    status, _ = stage.finish(stage.send(navigate(1.0, 0.0)))
    assert status == GoalStatus.STATUS_SUCCEEDED


def test_diagnostics_say_what_became_of_the_refined_paths(stage):
    assert stage.planner.model.name == "refiner" and len(stage.planner.model.sha256) == 64
    stage.finish(stage.send(navigate(4.0, 0.0)))
    values = stage.planner.status_values()
    refined, _, tried = values["refined_paths"].partition(" of ")
    kept = sum(int(text.split()[-1]) for text in values["classical_paths"].split(", ") if text != "none")
    assert int(tried) > 3 and int(refined) + kept == int(tried)
    assert stage.planner.set_parameters([Parameter("refine", value=False)])[0].successful
    assert stage.planner.status_values() == {"planner": "astar", "refined_paths": "off", "guided_searches": "off"}


def test_deactivation_mid_drive_stops_the_robot_and_aborts(stage):
    handle = stage.send(navigate(5.0, 0.0))
    assert stage.robot.run(lambda: stage.world.velocity.vx_mps > 0.4)
    answer = handle.get_result_async()
    stage.robot.wait(0.1)
    stage.planner.trigger_deactivate()
    assert stage.robot.run(answer.done, 2.0)
    assert answer.result().status == GoalStatus.STATUS_ABORTED
    assert "deactivated" in answer.result().result.error_msg
    assert stage.robot.run(stage.standing, 2.0)
    stage.planner.trigger_activate()
    assert stage.robot.run(lambda: stage.clients[NavigateToPose].server_is_ready(), 5.0)
    status, _ = stage.finish(stage.send(navigate(2.8, -0.3)))
    assert status == GoalStatus.STATUS_SUCCEEDED


def test_parameters_out_of_range_are_refused_with_the_reason(stage):
    result = stage.planner.set_parameters([Parameter("max_speed_mps", value=-1.0)])[0]
    assert not result.successful and "-1.0" in result.reason
    assert stage.planner.set_parameters([Parameter("max_speed_mps", value=0.3)])[0].successful
    stage.send(navigate(5.0, 0.0))
    stage.robot.wait(4.0)
    assert 0.2 < max(command.vx_mps for command in stage.robot.received) <= 0.3 + 1e-6
