# SPDX-License-Identifier: Apache-2.0
"""The simulated robot on the ROS graph: sensors out, commands in, /clock."""

import array
import threading
import time
from collections.abc import Iterable
from typing import Any

import numpy as np
from axon_core.motion import Twist2
from axon_core.scans import Scan
from axon_ros.errors import BadInput
from axon_ros.process import node_main
from axon_ros.qos import COMMAND, LATCHED, RESULT
from axon_ros.skill_node import SkillNode
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from geometry_msgs.msg import TransformStamped, Twist, TwistStamped, WrenchStamped
from nav_msgs.msg import Odometry
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, Imu, JointState, LaserScan
from std_msgs.msg import Bool, Header, String
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage

from axon_sim import robot
from axon_sim.config import TICK_S, SimConfig
from axon_sim.contacts import ContactReport
from axon_sim.kinematics import LinkPose, LinkTree
from axon_sim.sensors import Images, ImuReading, JointReading, OdometryReading, TouchReading
from axon_sim.simulator import GroundTruth, Readings, Simulator

OPTICAL_FRAME = "camera_color_optical_frame"
MAX_LAG_S = 0.25
LINKS_EVERY = 2  # tf of the robot's links comes with every second state


class SimNode(SkillNode):
    """Steps the world in a thread of its own; the executor serves what is asked of it meanwhile."""

    def __init__(self, **kwargs: Any):
        super().__init__("sim", SimConfig, **kwargs)

    def on_load(self, config: SimConfig) -> None:
        """Build the world."""
        self.sim = Simulator.from_config(config)

    def on_unload(self) -> None:
        """Forget the world."""
        del self.sim

    def on_start(self) -> None:
        """Offer the robot and let time run."""
        self._robot = RobotOutputs(self)
        kind, callback = (TwistStamped, self._on_stamped) if self.config.stamped_commands else (Twist, self._on_twist)
        self.input(kind, "cmd_vel", callback, qos=COMMAND, timeout_s=None, required=False)
        self.serve(Trigger, "sim/reset", self._on_reset)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="physics", daemon=True)
        self._thread.start()

    def on_stop(self) -> None:
        """Let time stand still."""
        self._stopping.set()
        self._thread.join()

    def on_config_change(self, config: SimConfig) -> None:
        """Follow what may change while time runs."""
        self.sim.use(config)

    def _on_twist(self, msg: Twist) -> None:
        try:
            self.sim.command_velocity(Twist2(msg.linear.x, msg.linear.y, msg.angular.z))
        except ValueError as error:
            raise BadInput(str(error)) from error

    def _on_stamped(self, msg: TwistStamped) -> None:
        self._on_twist(msg.twist)

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.sim.reset()
        response.success, response.message = True, f"{self.sim.world.name}: robot and loose things are back at their start"
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
        while not self._stopping.is_set():
            readings = self.sim.step(render=self.config.always_render or self._robot.images_watched)
            self._robot.publish(readings)
            pace.wait(self.config.real_time_factor)


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
        self._color, self._depth = out(Image, "camera/color/image_raw"), out(Image, "camera/depth/image_raw")
        self._color_info = out(CameraInfo, "camera/color/camera_info")
        self._depth_info = out(CameraInfo, "camera/depth/camera_info")
        self._reported: ContactReport | None = None
        self._states = 0
        self.images_watched = False
        self._announce(out(String, "robot_description", LATCHED))

    def publish(self, readings: Readings) -> None:
        """Publish whatever was measured in this tick."""
        stamp = _stamp(readings.time_s)
        self._clock.publish(Clock(clock=stamp))
        if readings.odometry is not None:
            self._publish_state(readings, stamp)
        if readings.scan is not None:
            self._scan.publish(_scan_message(readings.scan, stamp, self._node.config.scan_rate_hz))
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

    def _publish_images(self, images: Images, stamp: Time) -> None:
        header = self._header(stamp, OPTICAL_FRAME)
        info = _camera_info(header, images.color.shape, self._sim.focal_px)
        self._color_info.publish(info)
        self._depth_info.publish(info)
        if self._color.watched or self._node.config.always_render:
            self._color.publish(_image_message(images.color, "rgb8", header))
        if self._depth.watched or self._node.config.always_render:
            self._depth.publish(_image_message(images.depth_m, "32FC1", header))

    @staticmethod
    def _header(stamp: Time, frame: str) -> Header:
        return Header(stamp=stamp, frame_id=frame)


def _stamp(time_s: float) -> Time:
    nanoseconds = round(time_s * 1e9)
    return Time(sec=nanoseconds // 1_000_000_000, nanosec=nanoseconds % 1_000_000_000)


def _packed(code: str, values: np.ndarray, dtype: type) -> array.array:
    """Return the values as the array that a message takes without looking at each of them."""
    packed = array.array(code)
    packed.frombytes(np.ascontiguousarray(values, dtype=dtype).data.cast("B"))
    return packed


def _set_quat(target: Any, quat_xyzw: Iterable[float]) -> None:
    target.x, target.y, target.z, target.w = (float(value) for value in quat_xyzw)


def _set_vector(target: Any, vector: Iterable[float]) -> None:
    target.x, target.y, target.z = (float(value) for value in vector)


def _transform(link: LinkPose, stamp: Time) -> TransformStamped:
    message = TransformStamped(header=Header(stamp=stamp, frame_id=link.parent), child_frame_id=link.child)
    _set_vector(message.transform.translation, link.position_m)
    _set_quat(message.transform.rotation, link.quat_xyzw)
    return message


def _scan_message(scan: Scan, stamp: Time, rate_hz: float) -> LaserScan:
    last = scan.angle_min_rad + scan.angle_increment_rad * (len(scan.ranges_m) - 1)
    message = LaserScan(header=Header(stamp=stamp, frame_id="laser_link"))
    message.angle_min, message.angle_max, message.angle_increment = scan.angle_min_rad, last, scan.angle_increment_rad
    message.range_min, message.range_max, message.scan_time = scan.range_min_m, scan.range_max_m, 1.0 / rate_hz
    message.ranges = _packed("f", scan.ranges_m, np.float32)
    return message


def _odometry_message(reading: OdometryReading, header: Header) -> Odometry:
    message = Odometry(header=header, child_frame_id="base_link")
    x, y, yaw = reading.pose
    _set_vector(message.pose.pose.position, (x, y, 0.0))
    _set_quat(message.pose.pose.orientation, (0.0, 0.0, np.sin(0.5 * yaw), np.cos(0.5 * yaw)))
    message.twist.twist.linear.x, message.twist.twist.angular.z = reading.velocity.vx_mps, reading.velocity.wz_radps
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
    for name, sigma in (("orientation", 0.01), ("angular_velocity", reading.rate_sigma_radps),
                        ("linear_acceleration", reading.acceleration_sigma_mps2)):
        covariance = np.zeros(9)
        covariance[::4] = sigma**2
        setattr(message, f"{name}_covariance", covariance)
    return message


def _joint_message(reading: JointReading, header: Header) -> JointState:
    return JointState(
        header=header, name=list(robot.JOINT_ORDER), position=_packed("d", reading.positions, np.float64),
        velocity=_packed("d", reading.velocities, np.float64), effort=_packed("d", reading.efforts, np.float64))


def _collision_message(report: ContactReport) -> DiagnosticStatus:
    values = [KeyValue(key="collisions", value=str(report.collisions)), KeyValue(key="contacts", value=", ".join(report.names))]
    level = DiagnosticStatus.WARN if report.collisions else DiagnosticStatus.OK
    text = f"{report.collisions} collisions: {', '.join(report.names)}" if report.collisions else "no collision"
    return DiagnosticStatus(level=level, name="sim: collisions", message=text, hardware_id="axon_robot", values=values)


def _image_message(image: np.ndarray, encoding: str, header: Header) -> Image:
    height, width = image.shape[:2]
    message = Image(header=header, height=height, width=width, encoding=encoding, is_bigendian=0)
    message.step = image.strides[0] if image.flags.c_contiguous else width * image.itemsize * (image.size // (height * width))
    message.data = _packed("B", np.ascontiguousarray(image).view(np.uint8).ravel(), np.uint8)
    return message


def _camera_info(header: Header, shape: tuple[int, ...], focal_px: float) -> CameraInfo:
    height, width = shape[:2]
    cx, cy = 0.5 * (width - 1), 0.5 * (height - 1)
    message = CameraInfo(header=header, height=height, width=width, distortion_model="plumb_bob", d=[0.0] * 5)
    message.k = np.array([focal_px, 0.0, cx, 0.0, focal_px, cy, 0.0, 0.0, 1.0])
    message.r = np.eye(3).ravel()
    message.p = np.array([focal_px, 0.0, cx, 0.0, 0.0, focal_px, cy, 0.0, 0.0, 0.0, 1.0, 0.0])
    return message


def _diagonal(*values: float) -> np.ndarray:
    return np.diag(np.asarray(values, dtype=np.float64)).ravel()


main = node_main(SimNode)

if __name__ == "__main__":
    raise SystemExit(main())
