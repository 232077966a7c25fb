# SPDX-License-Identifier: Apache-2.0
"""grasp_node: depth, joints and detections in; grasps and markers out; the action `pick`, the service `release`."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from control_msgs.action import FollowJointTrajectory, GripperCommand
from geometry_msgs.msg import Vector3, WrenchStamped
from rclpy.action import ActionClient
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import ColorRGBA, String
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import Marker, MarkerArray

from axon_core.arrays import FloatArray
from axon_core.cameras import PinholeCamera
from axon_core.geometry import invert_transform
from axon_grasp.arm import Path
from axon_grasp.config import GraspConfig
from axon_grasp.grasps import GripperShape, PlanarGrasp
from axon_grasp.picking import Call, PickFailed, Request, Stage, Steps, View, pick
from axon_grasp.runtime import Grasper, NothingSeen
from axon_msgs.action import Pick
from axon_msgs.msg import Grasp, GraspArray
from axon_ros import BadInput, Level, SkillNode, node_main
from axon_ros.conversions import (
    DEPTH_ENCODINGS,
    camera_from_msg,
    depth_from_msg,
    header,
    image_from_msg,
    transform_from_pose,
    transform_to_pose,
)
from axon_ros.diagnostics import ModelInfo
from axon_ros.endings import Endings
from axon_ros.errors import NoTransform
from axon_ros.qos import LATCHED, RESULT, SENSOR
from axon_ros.stamps import duration_of, stamp_seconds
from axon_ros.unsent_goals import UnsentGoals

STEP_S = 0.04
ACTION_PATIENCE_S = 10.0  # beyond the time that a path should take
DETECTION_AGE_S = 3.0
SUCCEEDED = 4  # action_msgs/GoalStatus
_Result, _Grip = Pick.Result, GripperCommand.Goal


class GraspNode(SkillNode):
    """Converts, calls `Grasper` beside the executor, and carries a pick on by a timer. It is the pick's `Robot`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("grasp", GraspConfig, **kwargs)
        self._busy = threading.Lock()  # of the Grasper, for which a look and a pick must not meet

    def on_load(self, config: GraspConfig) -> None:
        self._grasper = Grasper(config)
        model = self._grasper.model
        self.model = ModelInfo(model.name, model.version, model.sha256, self._grasper.device)
        if config.robot_description:
            self._grasper.set_robot(config.robot_description)

    def on_start(self) -> None:
        self._camera: PinholeCamera | None = None
        self._depth: Image | None = None
        self._joints: dict[str, float] = {}
        self._touch: dict[str, float] = {}
        self._detections: Detection3DArray | None = None
        self._task: Task | None = None
        self._looked_s = -math.inf
        self._endings = Endings()
        self._grasps_output = self.output(GraspArray, "grasps", RESULT)
        self._markers_output = self.output(MarkerArray, "grasp_markers", RESULT)
        self.listen_to_tf()
        self._make_inputs()
        self._worker = self.work(lambda job: job())
        self._controllers = {
            "arm": ActionClient(self, FollowJointTrajectory, "arm_controller/follow_joint_trajectory"),
            "head": ActionClient(self, FollowJointTrajectory, "head_controller/follow_joint_trajectory"),
            "gripper": ActionClient(self, GripperCommand, "gripper_controller/gripper_cmd"),
        }
        self._running: list[Any] = []  # handles of the controllers' goals
        self._unsent = UnsentGoals()
        self.action(Pick, "pick", self._endings.execute, accepted=self._on_pick)
        self.serve(Trigger, "release", self._on_release)
        self.timer(STEP_S, self._advance, steady=True)

    def on_stop(self) -> None:
        self._end_task("abort", "UNKNOWN", "the node was deactivated")
        for client in self._controllers.values():
            client.destroy()

    def on_config_change(self, config: GraspConfig) -> None:
        self._grasper.reconfigure(config)

    def status_values(self) -> dict[str, str]:
        if self.state != "active":
            return {}
        task = self._task
        return {"pick": task.stage.name.lower() if task is not None else "idle"}

    # Inputs

    def _make_inputs(self) -> None:
        self.input(Image, "camera/depth/image_raw", self._on_depth, SENSOR)
        self.input(CameraInfo, "camera/depth/camera_info", self._on_camera, SENSOR)
        self.input(JointState, "joint_states", self._on_joints, SENSOR)
        described = bool(self.config.robot_description)
        self.input(String, "robot_description", self._on_description, LATCHED, timeout_s=None, required=not described)
        self.input(Detection3DArray, "detections_3d", self._on_detections, SENSOR, required=False)
        for side in ("left", "right"):
            topic = f"gripper/{side}_touch"
            self.input(WrenchStamped, topic, self._on_touch_of(side), SENSOR, required=False)

    def _on_camera(self, msg: CameraInfo) -> None:
        self._camera = camera_from_msg(msg)

    def _on_depth(self, msg: Image) -> None:
        image_from_msg(msg)
        fits = msg.encoding in DEPTH_ENCODINGS
        text = f"camera/depth/image_raw comes as {msg.encoding}: expected {' or '.join(DEPTH_ENCODINGS)}; remap it"
        self.diagnose(Level.OK if fits else Level.ERROR, "depth can be read" if fits else text, key="depth")
        if fits:
            self._depth = msg
            self._watch()

    def _on_joints(self, msg: JointState) -> None:
        if len(msg.name) != len(msg.position):
            raise BadInput(f"joint_states: {len(msg.name)} names and {len(msg.position)} positions")
        if not np.isfinite(msg.position).all():
            raise BadInput("joint_states: a position is not finite")
        self._joints.update(zip(msg.name, msg.position, strict=True))

    def _on_description(self, msg: String) -> None:
        if not msg.data:
            raise BadInput("robot_description is empty")
        try:
            with self._busy:
                self._grasper.set_robot(msg.data)
        except ValueError as error:
            self.diagnose(Level.ERROR, str(error), key="robot")
            raise BadInput(str(error)) from error
        self.diagnose(Level.OK, "the robot is known", key="robot")

    def _on_detections(self, msg: Detection3DArray) -> None:
        self._detections = msg

    def _on_touch_of(self, side: str) -> Callable[[WrenchStamped], None]:
        def on_touch(msg: WrenchStamped) -> None:
            force = msg.wrench.force
            self._touch[side] = math.sqrt(force.x**2 + force.y**2 + force.z**2)

        return on_touch

    # Looking while somebody watches

    def _watch(self) -> None:
        """Look for grasps ahead where somebody subscribes to them and no pick runs, not more often than asked."""
        watched = self._grasps_output.watched or self._markers_output.watched
        now_s = self.now_s()
        if not watched or self._task is not None or 0.0 <= now_s - self._looked_s < 1.0 / self.config.max_rate_hz:
            return
        self._looked_s = now_s
        depth, camera = self._depth, self._camera
        if camera is not None and depth is not None:
            self._worker.submit(lambda: self._look_ahead(depth, camera))

    def _look_ahead(self, depth: Image, camera: PinholeCamera) -> None:
        mount = self.await_transform(self.config.base_frame, depth.header.frame_id, depth.header.stamp)
        view = view_of(depth, camera, mount)
        target = np.array([self.config.watch_x_m, 0.0, self.config.watch_z_m])
        try:
            with self._busy:
                seen = self._grasper.perceive(view.depth_m, view.camera, view.base_T_camera, target)
        except NothingSeen:
            self._publish_grasps([], depth, view)
            return
        except ValueError as error:
            raise BadInput(str(error)) from error
        self._publish_grasps(seen.grasps, depth, view)

    # Picks

    def _on_pick(self, handle: Any) -> None:
        try:
            request = self._request_of(handle.request)
        except BadInput as error:
            code = "TF_ERROR" if isinstance(error, NoTransform) else "UNKNOWN"
            self._conclude(handle, "abort", _refusal(code, str(error)))
            return
        self._begin(Task(handle, pick(self, self._grasper, request)))

    def _begin(self, task: Task) -> None:
        self._end_task("abort", "UNKNOWN", "preempted by a newer goal")
        task.deadline_s = self.now_s() + self.config.timeout_s
        self._task = task

    def _on_release(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Open the gripper where it is; the answer says whether that was asked of its controller."""
        if self._task is not None:
            response.success, response.message = False, "a pick is going on: cancel it first"
            return response
        response.success = self._controllers["gripper"].server_is_ready()
        response.message = "the gripper opens" if response.success else no_server("gripper")
        if response.success:
            self.grip(self.config.gripper_max_opening_m, 0.0)
        return response

    def _request_of(self, goal: Pick.Goal) -> Request:
        """Check a goal and bring its target to the base's frame; BadInput, NoTransform."""
        if not (math.isfinite(goal.lift_height_m) and 0.0 <= goal.lift_height_m <= 0.5):
            raise BadInput(f"lift_height_m = {goal.lift_height_m}: expected 0 (the parameter's) .. 0.5 m")
        frame, point = goal.target.header.frame_id, goal.target.point
        if not frame:
            return Request(goal.class_id, None, goal.lift_height_m)
        xyz = np.array([point.x, point.y, point.z])
        if not np.isfinite(xyz).all():
            raise BadInput(f"target {xyz.tolist()}: expected finite numbers")
        base_T_frame = self.lookup_transform(self.config.base_frame, frame)
        return Request(goal.class_id, base_T_frame[:3, :3] @ xyz + base_T_frame[:3, 3], goal.lift_height_m)

    def _advance(self) -> None:
        """Carry the present task on by one look."""
        self._unsent.settle()
        task = self._task
        if task is None:
            return
        if task.handle.is_cancel_requested:
            self._end_task("canceled", "NONE", "cancelled by request; the arm holds")
        elif self.now_s() > task.deadline_s:
            self._end_task("abort", "TIMEOUT", f"not done after {self.config.timeout_s:g} s")
        else:
            self._step(task)

    def _step(self, task: Task) -> None:
        try:
            task.show(next(task.steps))
        except StopIteration as end:
            self._succeed(task, end.value)
        except PickFailed as error:
            self._end_task("abort", error.code, str(error))
        except BadInput as error:
            self._end_task("abort", "TF_ERROR" if isinstance(error, NoTransform) else "UNKNOWN", str(error))
        except Exception as error:
            self._end_task("abort", "UNKNOWN", f"unexpected {type(error).__name__}: {error}")
            raise

    def _succeed(self, task: Task, grasp: PlanarGrasp | None) -> None:
        result = _Result(error_code=_Result.NONE, header=header(self.now_s(), self.config.base_frame))
        if grasp is not None:
            result.grasp = grasp_to_msg(grasp, grasp.base_T_grasp)
        self._task = None
        self.diagnose(Level.OK, "last pick: done", key="pick")
        self._conclude(task.handle, "succeed", result)

    def _end_task(self, state: str, code: str, text: str) -> None:
        """End the present task, if there is one, and stop whatever moves for it."""
        task, self._task = self._task, None
        if task is None:
            return
        for handle in self._running:
            handle.cancel_goal_async()
        self._running.clear()
        self._unsent.clear()
        task.steps.close()
        failed = state == "abort"
        self.diagnose(Level.WARN if failed else Level.OK, f"last pick: {code}: {text}", key="pick")
        self._conclude(task.handle, state, _refusal(code, text))

    def _conclude(self, handle: Any, state: str, result: Any) -> None:
        self._endings.end(handle, state, result)

    # What a pick needs of its robot (picking.Robot); now_s is SkillNode's

    def view(self, after_s: float) -> View | None:
        """Return the newest view taken after a time, None where there is none yet."""
        depth, camera = self._depth, self._camera
        if depth is None or camera is None or stamp_seconds(depth.header.stamp) < after_s:
            return None
        try:
            mount = self.lookup_transform(self.config.base_frame, depth.header.frame_id, depth.header.stamp)
        except NoTransform:
            return None  # it may come; who waits has a time-out
        return view_of(depth, camera, mount)

    def arm_positions(self) -> FloatArray:
        """Return where the arm's joints are (N,)."""
        return self._positions(self.config.arm_joints)

    def opening_m(self) -> float:
        """Return the opening between the fingertips."""
        return float(self._positions(self.config.finger_joints).sum())

    def touch_n(self) -> tuple[float, float] | None:
        """Return the forces on both fingertips, None where they cannot feel."""
        return (self._touch["left"], self._touch["right"]) if len(self._touch) == 2 else None

    def detected(self, class_id: str, near_m: FloatArray | None) -> FloatArray | None:
        """Return where a thing of a class was just seen (3,) in the base, the nearest to a point or to the base."""
        msg = self._detections
        if msg is None or self.now_s() - stamp_seconds(msg.header.stamp) > DETECTION_AGE_S:
            return None
        try:
            base_T_frame = self.lookup_transform(self.config.base_frame, msg.header.frame_id)
        except NoTransform:
            return None
        named = [d for d in msg.detections if d.results and d.results[0].hypothesis.class_id == class_id]
        points = [(base_T_frame @ transform_from_pose(d.bbox.center))[:3, 3] for d in named]
        near = np.zeros(3) if near_m is None else near_m
        return min(points, key=lambda point: float(np.linalg.norm(point - near)), default=None)

    def move_arm(self, path: Path) -> Call:
        """Follow a path."""
        return self._follow("arm", self.config.arm_joints, path.positions[1:], path.times_s[1:])

    def move_head(self, position: float) -> Call:
        """Tilt the camera, as fast as its controller lets it."""
        here = self._joints.get(self.config.head_joint, 0.0)
        seconds = 0.3 + abs(position - here) / 0.8
        return self._follow("head", (self.config.head_joint,), np.array([[position]]), np.array([seconds]))

    def grip(self, opening_m: float, force_n: float) -> Call:
        """Move the fingers; on a thing they stall, which is well."""
        goal = _Grip()
        goal.command.position, goal.command.max_effort = float(opening_m), float(force_n)
        return self._ask(
            "gripper", goal, lambda status, result: status == SUCCEEDED or result.stalled, ACTION_PATIENCE_S
        )

    def compute(self, function: Callable[[], Any]) -> Call:
        """Run something beside the executor."""
        call = Call()

        def job() -> None:
            try:
                with self._busy:
                    call.end(function())
            except Exception as error:
                call.end(error=error)

        self._worker.submit(job)
        return call

    def _positions(self, names: tuple[str, ...]) -> FloatArray:
        missing = [name for name in names if name not in self._joints]
        if missing:
            raise PickFailed("ARM_FAILED", f"joint_states has no {', '.join(missing)}")
        return np.array([self._joints[name] for name in names])

    def _follow(self, name: str, joints: tuple[str, ...], positions: FloatArray, times_s: FloatArray) -> Call:
        points = [
            JointTrajectoryPoint(positions=row.tolist(), time_from_start=duration_of(float(time_s)))
            for row, time_s in zip(positions, times_s, strict=True)
        ]
        goal = FollowJointTrajectory.Goal(trajectory=JointTrajectory(joint_names=list(joints), points=points))
        return self._ask(name, goal, lambda status, _: status == SUCCEEDED, float(times_s[-1]) + ACTION_PATIENCE_S)

    def _ask(self, name: str, goal: Any, went_well: Callable[[int, Any], bool], patience_s: float) -> Call:
        """Send a goal to a controller; the call ends with its result, or as ARM_FAILED."""
        call, client, task = Call(), self._controllers[name], self._task

        def on_result(handle: Any, future: Any) -> None:
            if handle in self._running:
                self._running.remove(handle)
            answer = future.result()
            text = getattr(answer.result, "error_string", "") or f"its goal ended with status {answer.status}"
            failed = PickFailed("ARM_FAILED", f"the {name}'s controller: {text}")
            call.end(answer.result, None if went_well(answer.status, answer.result) else failed)

        def on_answer(future: Any) -> None:
            handle = future.result()
            if not handle.accepted:
                call.end(error=PickFailed("ARM_FAILED", f"the {name}'s controller refused the goal"))
                return
            if self._task is not task:
                handle.cancel_goal_async()  # accepted only after its pick had ended
                return
            self._running.append(handle)
            handle.get_result_async().add_done_callback(lambda done: on_result(handle, done))

        def send() -> None:
            client.send_goal_async(goal).add_done_callback(on_answer)

        self._unsent.add(client, send, lambda: call.end(error=PickFailed("ARM_FAILED", no_server(name))))
        return call

    # Outputs

    def _publish_grasps(self, grasps: list[PlanarGrasp], depth: Image, view: View) -> None:
        camera_T_base = invert_transform(view.base_T_camera)
        poses = [camera_T_base @ grasp.base_T_grasp for grasp in grasps]
        rows = [grasp_to_msg(grasp, pose) for grasp, pose in zip(grasps, poses, strict=True)]
        if self._grasps_output.watched:
            self._grasps_output.publish(GraspArray(header=depth.header, grasps=rows))
        if self._markers_output.watched:
            self._markers_output.publish(markers_of(rows, depth.header, self.config.gripper))


def view_of(depth: Image, camera: PinholeCamera, base_T_camera: FloatArray) -> View:
    """Convert an image taken at a pose; BadInput where its size is not the camera's."""
    depth_m = depth_from_msg(depth)
    if depth_m.shape != (camera.height, camera.width):
        raise BadInput(f"depth image {depth_m.shape[::-1]}, camera_info {camera.width, camera.height}: sizes differ")
    return View(stamp_seconds(depth.header.stamp), depth_m, camera, base_T_camera)


def no_server(name: str) -> str:
    """Return what to do about a controller that does not answer."""
    return f"no action server for the {name}: start its controller"


class Task:
    """A goal on its way: its handle, its steps, what it is doing, and when it has to be done."""

    def __init__(self, handle: Any, steps: Steps) -> None:
        self.handle, self.steps = handle, steps
        self.stage = Stage.SEARCHING
        self.deadline_s = math.inf
        self._told: Stage | None = None

    def show(self, stage: Stage) -> None:
        """Give feedback when the stage changes."""
        self.stage = stage
        if stage is not self._told:
            self._told = stage
            self.handle.publish_feedback(Pick.Feedback(stage=stage.value))


def grasp_to_msg(grasp: PlanarGrasp, frame_T_grasp: FloatArray) -> Grasp:
    """Return the message of a grasp whose pose is given in the message's frame."""
    return Grasp(pose=transform_to_pose(frame_T_grasp), width_m=float(grasp.opening_m), quality=float(grasp.quality))


def markers_of(grasps: list[Grasp], head: Any, gripper: GripperShape) -> MarkerArray:
    """Return the open grippers as boxes, two fingers each: the greener, the better."""
    markers = [Marker(header=head, ns="grasps", action=Marker.DELETEALL)]
    for index, grasp in enumerate(grasps):
        frame_T_grasp = transform_from_pose(grasp.pose)
        for side in (-1.0, 1.0):
            finger = np.eye(4)
            finger[:3, 3] = [
                0.5 * (gripper.tip_m - gripper.palm_m),
                0.5 * side * (grasp.width_m + gripper.finger_thick_m),
                0.0,
            ]
            marker = Marker(header=head, ns="grasps", id=2 * index + (side > 0.0), type=Marker.CUBE)
            marker.pose = transform_to_pose(frame_T_grasp @ finger)
            marker.scale = Vector3(x=gripper.tip_m + gripper.palm_m, y=gripper.finger_thick_m, z=gripper.finger_wide_m)
            marker.color = ColorRGBA(r=1.0 - grasp.quality, g=grasp.quality, b=0.1, a=0.7)
            markers.append(marker)
    return MarkerArray(markers=markers)


def _refusal(code: str, text: str) -> Pick.Result:
    return _Result(error_code=getattr(_Result, code), error_msg=text)


main = node_main(GraspNode)

if __name__ == "__main__":
    raise SystemExit(main())
