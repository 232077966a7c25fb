# SPDX-License-Identifier: Apache-2.0
"""The simulated robot on the ROS graph: sensors out, commands in, /clock."""

import contextlib
import math
import os
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from control_msgs.action import FollowJointTrajectory, GripperCommand
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from geometry_msgs.msg import TransformStamped, Twist, TwistStamped, WrenchStamped
from nav_msgs.msg import Odometry
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, Imu, JointState, LaserScan
from std_msgs.msg import Bool, Header, String
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage
from trajectory_msgs.msg import JointTrajectoryPoint
from vision_msgs.msg import Detection3D, Detection3DArray, ObjectHypothesis, ObjectHypothesisWithPose

from axon_ros.conversions import (
    camera_to_msg,
    image_to_msg,
    odometry_to_msg,
    packed,
    scan_to_msg,
    transform_to_pose,
    twist_from_msg,
)
from axon_ros.endings import Endings
from axon_ros.errors import BadInput
from axon_ros.process import node_main
from axon_ros.qos import COMMAND, LATCHED, RESULT
from axon_ros.skill_node import SkillNode
from axon_ros.stamps import stamp_of, stamp_seconds
from axon_sim import robot
from axon_sim.config import TICK_S, SimConfig
from axon_sim.contacts import ContactReport
from axon_sim.controllers import JointGroup, Trajectory
from axon_sim.kinematics import LinkPose, LinkTree
from axon_sim.sensors import Images, ImuReading, JointReading, OdometryReading, TouchReading
from axon_sim.simulator import GroundTruth, Readings, Simulator
from axon_sim.worlds import PlacedObject

OPTICAL_FRAME = "camera_color_optical_frame"
MAX_LAG_S = 0.05
LINKS_EVERY = 2  # tf of the robot's links comes with every second state
OBJECTS_EVERY = 10  # states


class SimNode(SkillNode):
    """Steps the world in a thread of its own; the executor serves what is asked of it meanwhile."""

    def __init__(self, **kwargs: Any):
        super().__init__("sim", SimConfig, **kwargs)

    def on_load(self, config: SimConfig) -> None:
        """Build the world."""
        if config.viewer and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise ValueError("viewer = true: there is no display here; leave it false and use RViz or a recording")
        self.sim = Simulator.from_config(config)

    def on_unload(self) -> None:
        """Forget the world."""
        del self.sim

    def on_start(self) -> None:
        """Offer the robot and let time run."""
        self._robot = RobotOutputs(self)
        kind, callback = (TwistStamped, self._on_stamped) if self.config.stamped_commands else (Twist, self._on_twist)
        self._gate = CommandGate()
        self.input(kind, "cmd_vel", callback, qos=COMMAND, timeout_s=None, required=False)
        self.serve(Trigger, "sim/reset", self._on_reset)
        self._goal_servers = [
            TrajectoryServer(self, "arm_controller/follow_joint_trajectory", "arm"),
            TrajectoryServer(self, "head_controller/follow_joint_trajectory", "camera"),
            GripperServer(self),
        ]
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="physics", daemon=True)
        self._thread.start()

    def on_stop(self) -> None:
        """Let time stand still, and end what was asked of the joints."""
        self._stopping.set()
        self._thread.join()
        for server in self._goal_servers:
            server.abort("the simulator was deactivated")

    def on_config_change(self, config: SimConfig) -> None:
        """Follow what may change while time runs."""
        self.sim.use(config)

    def _on_twist(self, msg: Twist) -> None:
        try:
            self.sim.command_velocity(twist_from_msg(msg))
        except ValueError as error:
            raise BadInput(str(error)) from error
        self._gate.arrived(self.sim.time_s)

    def _on_stamped(self, msg: TwistStamped) -> None:
        self._on_twist(msg.twist)

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.sim.reset()
        response.success = True
        response.message = f"{self.sim.world.name}: robot and loose things are back at their start"
        return response

    def _run(self) -> None:
        try:
            self._run_until_stopped()
        except Exception as error:  # the thread's end is the node's end of use: it is said, not lost
            self.report_exception(error)
            self.diagnose(2, f"the simulation stopped: {error}; restart the node")
        finally:
            self.sim.close()

    def _run_until_stopped(self) -> None:
        pace = Pace()
        with _window(self.sim) if self.config.viewer else contextlib.nullcontext() as window:
            while not self._stopping.is_set():
                readings = self.sim.step(render=self.config.always_render or self._robot.images_watched)
                self._robot.publish(readings)
                if window is not None and readings.contacts is not None:
                    window.sync()
                pace.wait(self.config.real_time_factor)
                self._gate.wait(self.sim.time_s, self.config.patience_s)


def _window(simulator: Simulator) -> Any:
    from mujoco import viewer  # here: it loads GLFW, which headless machines lack

    return viewer.launch_passive(simulator.model, simulator.data, show_left_ui=False, show_right_ui=False)


class Pace:
    """Keeps simulated time beside the wall clock; a lag beyond MAX_LAG_S is forgotten, not made up."""

    def __init__(self) -> None:
        self._due_s = time.monotonic()

    def wait(self, real_time_factor: float) -> None:
        """Wait until the next tick is due; at 0 only let other threads run."""
        now = time.monotonic()
        if real_time_factor == 0.0:
            self._due_s = now
            time.sleep(0.0)
            return
        self._due_s = max(self._due_s + TICK_S / real_time_factor, now - MAX_LAG_S)
        if self._due_s > now:
            time.sleep(self._due_s - now)


class CommandGate:
    """Holds simulated time while a stream of velocity commands is late: a busy machine slows the clock, not the driver.

    A stream is live from its first command until it lets time wait in vain; then the base's own time-out brakes.
    """

    LATE_S = 0.07

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._newest_s = -math.inf
        self._live = False

    def arrived(self, time_s: float) -> None:
        """Note a command at a simulated time."""
        with self._change:
            self._newest_s, self._live = time_s, True
            self._change.notify_all()

    def wait(self, time_s: float, patience_s: float) -> None:
        """Wait up to `patience_s` of the wall clock for the next command of a live stream that is late."""
        with self._change:
            if not self._live or time_s - self._newest_s < self.LATE_S:
                return
            self._live = self._change.wait_for(lambda: time_s - self._newest_s < self.LATE_S, patience_s)


class GoalRefused(Exception):
    """A trajectory goal cannot be followed; `code` is the error code of its result."""

    def __init__(self, code: int, text: str):
        super().__init__(text)
        self.code = code


@dataclass(frozen=True)
class TrajectoryTask:
    """What a goal asks: where to arrive (N,), how exactly along the way and there, and by when (simulated time)."""

    goal: np.ndarray
    path_tolerance: np.ndarray
    goal_tolerance: np.ndarray
    end_s: float
    deadline_s: float


class GoalServer:
    """Serves one goal at a time: a new one preempts the running one, which aborts.

    A subclass begins a goal in `begin(request)`, which raises to refuse it, and says in `look()` whether it has ended.
    """

    PERIOD_S = 0.05

    def __init__(self, node: SimNode, action_type: type, name: str):
        self._endings, self._running = Endings(), None
        node.action(action_type, name, self._endings.execute, accepted=self._accept)
        node.timer(self.PERIOD_S, self._on_timer, steady=True)

    def begin(self, request: Any) -> None:
        """Start moving; raises GoalRefused."""
        raise NotImplementedError

    def look(self, handle: Any) -> tuple[str, Any] | None:
        """Return how the running goal has ended, state and result, else give feedback."""
        raise NotImplementedError

    def refusal(self, code: int, text: str) -> Any:
        """Return the result of a goal that was refused or preempted."""
        raise NotImplementedError

    def _accept(self, handle: Any) -> None:
        try:
            self.begin(handle.request)
        except GoalRefused as refused:
            self._endings.end(handle, "abort", self.refusal(refused.code, str(refused)))
            return
        self.abort("preempted by a newer goal")
        self._running = handle

    def abort(self, reason: str) -> None:
        """End the running goal, if there is one."""
        handle, self._running = self._running, None
        if handle is not None:
            self._endings.end(handle, "abort", self.refusal(FollowJointTrajectory.Result.INVALID_GOAL, reason))

    def _on_timer(self) -> None:
        ended = self.look(self._running) if self._running is not None else None
        if ended is not None:
            handle, self._running = self._running, None
            self._endings.end(handle, *ended)


class TrajectoryServer(GoalServer):
    """FollowJointTrajectory of one group of joints, as ros2_control's joint trajectory controller serves it.

    A goal that cannot be followed ends as INVALID_JOINTS or INVALID_GOAL with the reason, and disturbs nothing.
    """

    GOAL_TOLERANCE = 0.02  # rad
    GOAL_TIME_TOLERANCE_S = 1.0
    LONGEST_DELAY_S = 60.0
    Result = FollowJointTrajectory.Result

    def __init__(self, node: SimNode, name: str, group: str):
        self._sim, self._group = node.sim, group
        self._joints: tuple[str, ...] = self._controller.names
        super().__init__(node, FollowJointTrajectory, name)

    @property
    def _controller(self) -> JointGroup:
        return self._sim.groups[self._group]

    def begin(self, goal: FollowJointTrajectory.Goal) -> None:
        """Start the joints moving; raises GoalRefused."""
        try:
            order = robot.joint_names_to_indices(self._joints, list(goal.trajectory.joint_names))
        except ValueError as error:
            raise GoalRefused(self.Result.INVALID_JOINTS, str(error)) from error
        try:
            trajectory = _trajectory(goal.trajectory.points, order, self._delay_s(goal.trajectory.header.stamp))
            path_tolerance = self._tolerances(goal.path_tolerance, np.inf)
            goal_tolerance = self._tolerances(goal.goal_tolerance, self.GOAL_TOLERANCE)
            self._sim.follow_trajectory(self._group, trajectory)
        except ValueError as error:
            raise GoalRefused(self.Result.INVALID_GOAL, str(error)) from error
        end_s = self._sim.time_s + float(trajectory.times_s[-1])
        deadline_s = end_s + (stamp_seconds(goal.goal_time_tolerance) or self.GOAL_TIME_TOLERANCE_S)
        self._task = TrajectoryTask(trajectory.positions[-1], path_tolerance, goal_tolerance, end_s, deadline_s)

    def refusal(self, code: int, text: str) -> FollowJointTrajectory.Result:
        """Return a result with its code and reason."""
        return self.Result(error_code=code, error_string=text)

    def look(self, handle: Any) -> tuple[str, FollowJointTrajectory.Result] | None:
        """Return how the goal has ended, else give feedback."""
        task = self._task
        if handle.is_cancel_requested:
            self._sim.hold(self._group)
            return "canceled", self.refusal(self.Result.SUCCESSFUL, "cancelled; the joints hold")
        actual, now_s = self._sim.joint_positions(self._joints), self._sim.time_s
        desired = self._controller.desired(now_s)
        handle.publish_feedback(self._feedback(desired, actual, now_s))
        if (np.abs(desired - actual) > task.path_tolerance).any():
            self._sim.hold(self._group)
            text = self._worst(desired, actual, task.path_tolerance)
            return "abort", self.refusal(self.Result.PATH_TOLERANCE_VIOLATED, text)
        if now_s >= task.end_s and (np.abs(task.goal - actual) <= task.goal_tolerance).all():
            return "succeed", self.Result(error_code=self.Result.SUCCESSFUL)
        if now_s > task.deadline_s:
            text = self._worst(task.goal, actual, task.goal_tolerance)
            return "abort", self.refusal(self.Result.GOAL_TOLERANCE_VIOLATED, text)
        return None

    def _delay_s(self, stamp: Time) -> float:
        start_s = stamp_seconds(stamp)
        delay_s = start_s - self._sim.time_s if start_s > 0.0 else 0.0
        if delay_s > self.LONGEST_DELAY_S:
            raise ValueError(f"the trajectory begins {delay_s:.0f} s ahead of /clock: does the client use_sim_time?")
        return delay_s

    def _tolerances(self, asked: Iterable[Any], default: float) -> np.ndarray:
        """Return one tolerance a joint; in a goal 0 means the default and a negative number none (control_msgs)."""
        tolerances = np.full(len(self._joints), default)
        for one in asked:
            if one.name not in self._joints:
                raise ValueError(f"tolerance of joint '{one.name}': expected one of {list(self._joints)}")
            if one.position != 0.0:
                tolerances[self._joints.index(one.name)] = one.position if one.position > 0.0 else np.inf
        return tolerances

    def _worst(self, wanted: np.ndarray, actual: np.ndarray, tolerance: np.ndarray) -> str:
        joint = int(np.argmax(np.abs(wanted - actual) - tolerance))
        return f"{self._joints[joint]} is {abs(wanted[joint] - actual[joint]):.4f} off; allowed {tolerance[joint]:.4f}"

    def _feedback(self, desired: np.ndarray, actual: np.ndarray, now_s: float) -> FollowJointTrajectory.Feedback:
        feedback = FollowJointTrajectory.Feedback(joint_names=list(self._joints))
        feedback.header.stamp = stamp_of(now_s)
        feedback.desired, feedback.actual, feedback.error = (
            JointTrajectoryPoint(positions=values.tolist()) for values in (desired, actual, desired - actual)
        )
        return feedback


class GripperServer(GoalServer):
    """GripperCommand: `position` is the opening between the fingertips in metres.

    Closing on a thing ends as stalled, which is a success: the thing is held.
    """

    def __init__(self, node: SimNode):
        self._node, self._sim = node, node.sim
        super().__init__(node, GripperCommand, "gripper_controller/gripper_cmd")

    def begin(self, goal: GripperCommand.Goal) -> None:
        """Start the fingers moving; raises GoalRefused."""
        try:
            self._sim.command_gripper(goal.command.position, goal.command.max_effort)
        except ValueError as error:
            raise GoalRefused(0, str(error)) from error

    def refusal(self, code: int, text: str) -> GripperCommand.Result:
        """Return where the fingers are; the message has no room for the reason, the log has."""
        self._node.get_logger().warning(f"gripper goal ended: {text}")
        return self._state(GripperCommand.Result)

    def look(self, handle: Any) -> tuple[str, GripperCommand.Result] | None:
        """Return how the goal has ended, else give feedback."""
        state = self._state(GripperCommand.Result)
        if handle.is_cancel_requested:
            self._sim.command_gripper(self._sim.gripper_width_m())
            return "canceled", state
        handle.publish_feedback(self._state(GripperCommand.Feedback))
        return ("succeed", state) if state.reached_goal or state.stalled else None

    def _state(self, kind: type) -> Any:
        width, gripper, touch = self._sim.gripper_width_m(), self._sim.gripper, self._sim.touch()
        reached = gripper.reached(width)
        return kind(
            position=width,
            effort=0.5 * (touch.left_n + touch.right_n),
            reached_goal=reached,
            stalled=gripper.stalled and not reached,
        )


class RobotOutputs:
    """The topics of the robot and how readings become their messages."""

    def __init__(self, node: SimNode):
        self._node, self._sim = node, node.sim
        self._links = LinkTree(node.sim.model)
        self._odom_frame = node.config.odom_frame
        out = node.output
        self._clock = out(Clock, "/clock", RESULT)
        self._tf = out(TFMessage, "/tf", RESULT) if node.config.publish_tf else None
        self._odom, self._truth = out(Odometry, "odom"), out(Odometry, "sim/ground_truth")
        self._imu, self._joints, self._scan = out(Imu, "imu"), out(JointState, "joint_states"), out(LaserScan, "scan")
        self._touch = {side: out(WrenchStamped, f"gripper/{side}_touch") for side in ("left", "right")}
        self._bumper = out(Bool, "bumper")
        self._collisions = out(DiagnosticStatus, "sim/collisions", LATCHED)
        self._objects = out(Detection3DArray, "sim/objects")
        self._color, self._depth = out(Image, "camera/color/image_raw"), out(Image, "camera/depth/image_raw")
        self._color_info = out(CameraInfo, "camera/color/camera_info")
        self._depth_info = out(CameraInfo, "camera/depth/camera_info")
        self._camera = node.sim.camera
        self._reported: ContactReport | None = None
        self._states = 0
        self.images_watched = False
        self._announce(out(String, "robot_description", LATCHED))

    def publish(self, readings: Readings) -> None:
        """Publish whatever was measured in this tick."""
        stamp = stamp_of(readings.time_s)
        self._clock.publish(Clock(clock=stamp))
        if readings.odometry is not None:
            self._publish_state(readings, stamp)
        if readings.scan is not None:
            header = self._header(stamp, "laser_link")
            self._scan.publish(scan_to_msg(readings.scan, header, 1.0 / self._node.config.scan_rate_hz))
        if readings.images is not None:
            self._publish_images(readings.images, stamp)

    def _announce(self, description: Any) -> None:
        description.publish(String(data=robot.load_urdf()))
        if self._tf is not None:
            fixed = [_transform(link, Time()) for link in self._links.fixed()]
            self._node.output(TFMessage, "/tf_static", LATCHED).publish(TFMessage(transforms=fixed))

    def _publish_state(self, readings: Readings, stamp: Time) -> None:
        self._states += 1
        odometry = _odometry_message(readings.odometry, self._header(stamp, self._odom_frame))
        self._odom.publish(odometry)
        if self._tf is not None:
            self._publish_tf(odometry, stamp)
        self._imu.publish(_imu_message(readings.imu, self._header(stamp, "imu_link")))
        self._joints.publish(_joint_message(readings.joints, self._header(stamp, "")))
        self._truth.publish(_truth_message(readings.truth, self._header(stamp, "world")))
        self._publish_touch(readings.touch, stamp)
        self._publish_contacts(readings.contacts)
        if self._states % OBJECTS_EVERY == 1 and self._objects.watched:
            self._publish_objects(stamp)
        if self._states % 5 == 1:
            self.images_watched = self._color.watched or self._depth.watched

    def _publish_tf(self, odometry: Odometry, stamp: Time) -> None:
        base = TransformStamped(header=odometry.header, child_frame_id="base_link")
        base.transform.translation.x = odometry.pose.pose.position.x
        base.transform.translation.y = odometry.pose.pose.position.y
        base.transform.rotation = odometry.pose.pose.orientation
        transforms = [base]
        if self._states % LINKS_EVERY == 0:
            transforms += [_transform(link, stamp) for link in self._links.moving(self._sim.data)]
        self._tf.publish(TFMessage(transforms=transforms))

    def _publish_touch(self, touch: TouchReading, stamp: Time) -> None:
        for side, force in (("left", touch.left_n), ("right", touch.right_n)):
            message = WrenchStamped(header=self._header(stamp, f"gripper_{side}_finger_link"))
            message.wrench.force.y = force if side == "left" else -force
            self._touch[side].publish(message)

    def _publish_contacts(self, report: ContactReport) -> None:
        if self._reported is None or report.bumper != self._reported.bumper or self._states % 5 == 0:
            self._bumper.publish(Bool(data=report.bumper))
        if self._reported is None or report.collisions != self._reported.collisions:
            self._collisions.publish(_collision_message(report))
        self._reported = report

    def _publish_objects(self, stamp: Time) -> None:
        header, poses = self._header(stamp, "world"), self._sim.object_poses()
        found = [_object_message(placed, poses[placed.name], header) for placed in self._sim.world.objects]
        self._objects.publish(Detection3DArray(header=header, detections=found))

    def _publish_images(self, images: Images, stamp: Time) -> None:
        header = self._header(stamp, OPTICAL_FRAME)
        info = camera_to_msg(self._camera, header)
        self._color_info.publish(info)
        self._depth_info.publish(info)
        if self._color.watched or self._node.config.always_render:
            self._color.publish(image_to_msg(images.color, "rgb8", header))
        if self._depth.watched or self._node.config.always_render:
            self._depth.publish(image_to_msg(images.depth_m, "32FC1", header))

    @staticmethod
    def _header(stamp: Time, frame: str) -> Header:
        return Header(stamp=stamp, frame_id=frame)


def _trajectory(points: Iterable[JointTrajectoryPoint], order: np.ndarray, delay_s: float) -> Trajectory:
    """Return the trajectory with its joints in our order; ValueError where points lack positions or differ in form."""
    rows = list(points)
    if not rows:
        raise ValueError("the trajectory has no points")
    for kind in ("positions", "velocities"):
        counts = {len(getattr(point, kind)) for point in rows}
        if counts - ({len(order)} if kind == "positions" else {0, len(order)}) or len(counts) > 1:
            raise ValueError(f"{kind} of the points: {sorted(counts)} values, expected {len(order)} in each")
    times = np.array([stamp_seconds(point.time_from_start) for point in rows]) + delay_s
    positions = np.array([point.positions for point in rows])[:, order]
    velocities = np.array([point.velocities for point in rows])[:, order] if len(rows[0].velocities) else None
    if times[-1] < 0.0:
        raise GoalRefused(FollowJointTrajectory.Result.OLD_HEADER_TIMESTAMP, f"it ended {-times[-1]:.3f} s ago")
    if times[0] < 0.0:
        ahead = times >= 0.0
        times, positions, velocities = times[ahead], positions[ahead], None if velocities is None else velocities[ahead]
    return Trajectory(times, positions, velocities)


def _set_quat(target: Any, quat_xyzw: Iterable[float]) -> None:
    target.x, target.y, target.z, target.w = (float(value) for value in quat_xyzw)


def _set_vector(target: Any, vector: Iterable[float]) -> None:
    target.x, target.y, target.z = (float(value) for value in vector)


def _transform(link: LinkPose, stamp: Time) -> TransformStamped:
    message = TransformStamped(header=Header(stamp=stamp, frame_id=link.parent), child_frame_id=link.child)
    _set_vector(message.transform.translation, link.position_m)
    _set_quat(message.transform.rotation, link.quat_xyzw)
    return message


def _odometry_message(reading: OdometryReading, header: Header) -> Odometry:
    message = odometry_to_msg(reading.pose, reading.velocity, header, "base_link")
    var_v, var_w = (float(v) for v in reading.velocity_variance)
    message.pose.covariance = _diagonal(*reading.pose_variance[:2], 1e-6, 1e-6, 1e-6, reading.pose_variance[2])
    message.twist.covariance = _diagonal(var_v, 1e-6, 1e-6, 1e-6, 1e-6, var_w)
    return message


def _truth_message(truth: GroundTruth, header: Header) -> Odometry:
    message = Odometry(header=header, child_frame_id="base_link")
    _set_vector(message.pose.pose.position, truth.position_m)
    _set_quat(message.pose.pose.orientation, truth.quat_xyzw)
    _set_vector(message.twist.twist.linear, (truth.velocity.vx_mps, truth.velocity.vy_mps, 0.0))
    message.twist.twist.angular.z = truth.velocity.wz_radps
    return message


def _imu_message(reading: ImuReading, header: Header) -> Imu:
    message = Imu(header=header)
    _set_quat(message.orientation, np.roll(reading.quat_wxyz, -1))
    _set_vector(message.angular_velocity, reading.rate_radps)
    _set_vector(message.linear_acceleration, reading.acceleration_mps2)
    for name, sigma in (
        ("orientation", 0.01),
        ("angular_velocity", reading.rate_sigma_radps),
        ("linear_acceleration", reading.acceleration_sigma_mps2),
    ):
        covariance = np.zeros(9)
        covariance[::4] = sigma**2
        setattr(message, f"{name}_covariance", covariance)
    return message


def _joint_message(reading: JointReading, header: Header) -> JointState:
    return JointState(
        header=header,
        name=list(robot.JOINT_ORDER),
        position=packed("d", reading.positions, np.float64),
        velocity=packed("d", reading.velocities, np.float64),
        effort=packed("d", reading.efforts, np.float64),
    )


def _collision_message(report: ContactReport) -> DiagnosticStatus:
    values = [
        KeyValue(key="collisions", value=str(report.collisions)),
        KeyValue(key="contacts", value=", ".join(report.names)),
    ]
    level = DiagnosticStatus.WARN if report.collisions else DiagnosticStatus.OK
    text = f"{report.collisions} collisions: {', '.join(report.names)}" if report.collisions else "no collision"
    return DiagnosticStatus(level=level, name="sim: collisions", message=text, hardware_id="axon_robot", values=values)


def _object_message(placed: PlacedObject, world_T_object: np.ndarray, header: Header) -> Detection3D:
    hypothesis = ObjectHypothesisWithPose(hypothesis=ObjectHypothesis(class_id=placed.category, score=1.0))
    hypothesis.pose.pose = transform_to_pose(world_T_object)
    message = Detection3D(header=header, results=[hypothesis], id=placed.name)
    message.bbox.center = hypothesis.pose.pose
    _set_vector(message.bbox.size, placed.item.size_m)
    return message


def _diagonal(*values: float) -> np.ndarray:
    return np.diag(np.asarray(values, dtype=np.float64)).ravel()


main = node_main(SimNode)

if __name__ == "__main__":
    raise SystemExit(main())
