# SPDX-License-Identifier: Apache-2.0
"""The simulated robot before a table, without ROS: what `axon_grasp.picking.pick` needs of a robot, by `Simulator`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from axon_core.geometry import invert_transform
from axon_grasp.arm import Path
from axon_grasp.picking import Call, View
from axon_sim import robot
from axon_sim.config import SimConfig
from axon_sim.controllers import Trajectory
from axon_sim.objects import SimObject
from axon_sim.simulator import Simulator
from axon_sim.worlds import SceneBuilder

OBJECT = "object"
SETTLED_S = 1.0
LATE_S = 1.5
ARRIVED_RAD = 0.02


def simulator_before(item: SimObject, place_m: np.ndarray, height_m: float, yaw_rad: float, seed: int) -> Simulator:
    """Return the robot at the origin, an object standing at (x, y) on a table of that height."""
    builder = SceneBuilder("grasp", seed)
    grey = builder.material("grey", (0.6, 0.6, 0.6))
    builder.floor(grey, (-3.0, -3.0, 3.0, 3.0))
    near_edge_m = 0.26
    builder.fixed("table", near_edge_m + 0.35, 0.0).box((0.7, 1.2, 0.04), (0, 0, height_m - 0.04), grey)
    pose = np.eye(4)
    cos, sin = np.cos(yaw_rad), np.sin(yaw_rad)
    pose[:2, :2] = [[cos, -sin], [sin, cos]]
    pose[:3, 3] = [*place_m, height_m + 0.5 * item.size_m[2] + 0.002]
    item.add_to(builder.spec, pose, OBJECT)
    builder.light((0.0, 0.0), 4.0)
    world = builder.finish((0.0, 0.0, 0.0), {}, (-3.0, -3.0, 3.0, 3.0))
    return Simulator(world, SimConfig(seed=seed))


class SimRobot:
    """A `picking.Robot`; `step` lets 10 ms pass."""

    def __init__(self, simulator: Simulator) -> None:
        self.sim = simulator
        self._view: View | None = None
        self._looking = False  # drawing is most of the time that a step takes
        self._calls: list[tuple[Call, Callable[[], bool], float]] = []

    def step(self) -> None:
        """Let time pass; keep what the camera took; end what has ended."""
        readings = self.sim.step(render=self._looking)
        if readings.images is not None:
            self._looking = False
            mount = self._base_T("camera_color_optical_frame")
            self._view = View(self.sim.time_s, readings.images.depth_m, self.sim.camera, mount)
        for call, arrived, deadline_s in list(self._calls):
            if arrived() or self.sim.time_s > deadline_s:
                late = None if arrived() else RuntimeError("the controller did not arrive")
                call.end(error=late)
                self._calls = [row for row in self._calls if row[0] is not call]

    def object_place_m(self) -> np.ndarray:
        """Return where the object's middle is (3,) in the world: for the verdict alone."""
        return self.sim.data.body(OBJECT).xpos.copy()

    def hand_place_m(self) -> np.ndarray:
        """Return where the fingertips are (3,) in the world: for the verdict alone."""
        return self.sim.data.body("gripper_tcp").xpos.copy()

    def now_s(self) -> float:
        """Return simulated time."""
        return self.sim.time_s

    def view(self, after_s: float) -> View | None:
        """Return the newest view, None where it was taken before."""
        fresh = self._view is not None and self._view.stamp_s >= after_s
        self._looking = not fresh and self.sim.time_s >= after_s
        return self._view if fresh else None

    def arm_positions(self) -> np.ndarray:
        """Return where the arm's joints are."""
        return self.sim.joint_positions(robot.ARM_JOINTS)

    def opening_m(self) -> float:
        """Return the opening between the fingertips."""
        return self.sim.gripper_width_m()

    def touch_n(self) -> tuple[float, float] | None:
        """Return the forces on both fingertips."""
        touch = self.sim.touch()
        return touch.left_n, touch.right_n

    def detected(self, class_id: str, near_m: np.ndarray | None) -> np.ndarray | None:
        """Nothing: there is no detector here."""
        return None

    def move_arm(self, path: Path) -> Call:
        """Follow a path by the arm's controller."""
        return self._follow("arm", robot.ARM_JOINTS, path.positions[1:], path.times_s[1:])

    def move_head(self, position: float) -> Call:
        """Tilt the camera."""
        return self._follow("camera", robot.CAMERA_JOINTS, np.array([[position]]), np.array([1.2]))

    def grip(self, opening_m: float, force_n: float) -> Call:
        """Move the fingers until they arrive or stall."""
        self.sim.command_gripper(opening_m, force_n)
        gripper = self.sim.gripper
        return self._call(lambda: gripper.reached(self.opening_m()) or gripper.stalled, 4.0)

    def compute(self, function: Callable[[], Any]) -> Call:
        """Run it at once: simulated time waits."""
        call = Call()
        try:
            call.end(function())
        except ValueError as error:
            call.end(error=error)
        return call

    def _follow(self, group: str, names: tuple[str, ...], positions: np.ndarray, times_s: np.ndarray) -> Call:
        self.sim.follow_trajectory(group, Trajectory(times_s, positions))
        end_s, goal = self.sim.time_s + float(times_s[-1]), positions[-1]

        def arrived() -> bool:
            there = np.abs(self.sim.joint_positions(names) - goal).max() < ARRIVED_RAD
            return self.sim.time_s >= end_s and bool(there)

        return self._call(arrived, float(times_s[-1]) + LATE_S)

    def _call(self, arrived: Callable[[], bool], longest_s: float) -> Call:
        call = Call()
        self._calls.append((call, arrived, self.sim.time_s + longest_s))
        return call

    def _base_T(self, body: str) -> np.ndarray:
        return invert_transform(self._world_T("base_link")) @ self._world_T(body)

    def _world_T(self, body: str) -> np.ndarray:
        pose, found = np.eye(4), self.sim.data.body(body)
        pose[:3, :3], pose[:3, 3] = found.xmat.reshape(3, 3), found.xpos
        return pose
