# SPDX-License-Identifier: Apache-2.0
"""Grasping without ROS: `perceive` finds grasps in a depth image, `plan` finds the arm's way to one of them.

grasper = Grasper(GraspConfig())
grasper.set_robot(urdf_text)
seen = grasper.perceive(depth_m, camera, base_T_camera, target_m)
plan = grasper.plan(seen, joint_positions)
plan.approach, plan.descend, plan.lift, plan.carry, plan.grasp
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from axon_core.arrays import AnyArray, FloatArray
from axon_core.cameras import PinholeCamera
from axon_core.checks import check_array
from axon_core.geometry import check_transform
from axon_core.inference import OnnxModel
from axon_core.models import Model, find_model
from axon_grasp.arm import Arm, NoReach, Obstacles, Path
from axon_grasp.config import GraspConfig
from axon_grasp.grasps import PlanarGrasp, select_grasps
from axon_grasp.heightmap import (
    HeightMap,
    NothingSeen,
    apply_nan,
    centers_of,
    make_height_map,
    network_input,
    object_mask,
)

OBSTACLE_CELL_M = 0.02
OBSTACLE_BOUNDS_M = (-0.6, -1.0, 1.6, 1.0)  # x and y from and to, in the base's frame
_SIDE_RAD = 1.4  # of the arm's first joint
_SHORTER_APPROACHES = (1.0, 0.8, 0.65, 0.55)

__all__ = ["Grasper", "NoGrasp", "NoReach", "NothingSeen", "PickPlan", "Seen"]


class NoGrasp(ValueError):
    """Something is there, and no grasp of it is good enough."""


@dataclass(frozen=True)
class Seen:
    """What one look shows: the map, grasps (best first), what the arm must keep clear of with or without the object."""

    heights: HeightMap
    grasps: list[PlanarGrasp]
    obstacles: Obstacles
    without_object: Obstacles


@dataclass(frozen=True)
class PickPlan:
    """The arm's paths to a grasp and back: over it, straight down, straight up, and folded with the object."""

    grasp: PlanarGrasp
    approach: Path
    descend: Path
    lift: Path
    carry: Path


class Grasper:
    """The network and the arm. One thread at a time."""

    def __init__(self, config: GraspConfig, model: Model | None = None) -> None:
        """Load the network that the config names (or a model already found); raises ModelError."""
        self.config = config
        self.model = model or find_model(config.model)
        self._network = OnnxModel(self.model.path, threads=config.threads)
        self.arm: Arm | None = None

    @property
    def device(self) -> str:
        """What runs the network."""
        return self._network.device

    def reconfigure(self, config: GraspConfig) -> None:
        """Take over other parameters."""
        self.config = config

    def set_robot(self, urdf: str) -> None:
        """Say which robot it is; ValueError where its description lacks the joints or frames of the config."""
        self.arm = Arm(urdf, self.config.arm_joints, self.config.tip_frame)

    def perceive(
        self, depth_m: AnyArray, camera: PinholeCamera, base_T_camera: FloatArray, target_m: FloatArray
    ) -> Seen:
        """Find grasps of the thing at a target (3,) in the base's frame.

        depth_m (H, W) in m, 0 or NaN for none. Raises NothingSeen where nothing stands there, and ValueError.
        `grasps` may be empty: something is there, and no grasp of it is good enough.
        """
        heights = make_height_map(depth_m, camera, base_T_camera, target_m)
        mask = object_mask(heights, self.config.object_radius_m)
        quality, thickness_m = self.judge(heights)
        config = self.config
        grasps = select_grasps(
            heights, quality, thickness_m, mask, config.gripper, config.limits, config.grasp_count, config.min_quality
        )
        obstacles = make_obstacles(depth_m, camera, base_T_camera)
        return Seen(heights, grasps, obstacles, _without(obstacles, heights, mask))

    def judge(self, heights: HeightMap) -> tuple[AnyArray, AnyArray]:
        """Return the network's quality 0 .. 1 and thickness in m, both (ANGLES, CELLS, CELLS)."""
        answer = self._network.run({"maps": network_input(heights)[None]})
        return answer["quality"][0], answer["thickness_m"][0]

    def plan(self, seen: Seen, positions: AnyArray, lift_m: float = 0.0) -> PickPlan:
        """Return paths for the best grasp that the arm reaches from joint positions (N,); raises NoGrasp, NoReach."""
        if not seen.grasps:
            raise NoGrasp(f"no grasp of at least {self.config.min_quality:.2f} predicted quality")
        start = self._checked(positions)
        reasons = []
        for grasp in seen.grasps:
            try:
                return self._plan_one(grasp, start, seen, lift_m or self.config.lift_m)
            except NoReach as error:
                reasons.append(str(error))
        raise NoReach(f"none of {len(reasons)} grasps can be reached; of the best: {reasons[0]}")

    # ---------------------------------------------------------------- private

    @property
    def _arm(self) -> Arm:
        if self.arm is None:
            raise NoReach("the robot's description is not known: is robot_description published?")
        return self.arm

    def _checked(self, positions: AnyArray) -> FloatArray:
        return np.asarray(check_array("positions", positions, (len(self._arm.joints),)))

    def _plan_one(self, grasp: PlanarGrasp, start: FloatArray, seen: Seen, lift_m: float) -> PickPlan:
        """Plan with the closing direction this way round and the other, and take the shorter."""
        plans, reasons = [], []
        for turned in (np.eye(4), np.diag([1.0, -1.0, -1.0, 1.0])):
            try:
                plans.append(self._plan_pose(grasp, grasp.base_T_grasp @ turned, start, seen, lift_m))
            except NoReach as error:
                reasons.append(error)
        if not plans:
            raise reasons[0]
        return min(plans, key=lambda plan: plan.approach.duration_s + plan.carry.duration_s)

    def _plan_pose(
        self, grasp: PlanarGrasp, pose: FloatArray, start: FloatArray, seen: Seen, lift_m: float
    ) -> PickPlan:
        arm, speed = self._arm, self.config.speed_scale
        low, line = self._down_to(pose, start)
        arm.check_path(line, seen.obstacles, hand=False)
        approach = self._route(start, line[0], seen.obstacles)
        up = self._up_from(low, lift_m)
        return PickPlan(
            grasp,
            arm.timed(approach, speed),
            arm.timed(line, 0.5 * speed),
            arm.timed(up, 0.4 * speed),
            arm.timed(self._fold_from(up[-1], seen.without_object, grasp.hanging_m), 0.7 * speed),
        )

    def _fold_from(self, start: FloatArray, obstacles: Obstacles, load_m: float) -> FloatArray:
        """Return a way (K, N) to the lowest pose over the base at which what hangs from the hand has room."""
        config = self.config
        poses = [config.carry_high_rad, config.ready_rad]
        if load_m <= config.carry_long_m:
            poses.insert(0, config.carry_rad)
        for folded in poses:
            try:
                return self._route(start, np.array(folded), obstacles, load_m)
            except NoReach as error:
                last = error
        raise last

    def _down_to(self, pose: FloatArray, start: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the joint positions (N,) of a pose, and a straight way (K, N) down to it from as high as can be."""
        low = self._arm.inverse(pose, self._seeds(pose, start))
        for share in _SHORTER_APPROACHES:
            try:
                above = pose[:3, 3] + [0.0, 0.0, share * self.config.approach_m]
                return low, self._arm.line(low, above)[::-1]
            except NoReach as error:
                last = error
        raise last

    def _up_from(self, low: FloatArray, lift_m: float) -> FloatArray:
        tip = self._arm.forward(low)[:3, 3]
        for share in _SHORTER_APPROACHES:
            try:
                return self._arm.line(low, tip + share * np.array([0.0, 0.0, lift_m]))
            except NoReach as error:
                last = error
        raise last

    def _seeds(self, pose: FloatArray, start: FloatArray) -> list[FloatArray]:
        """Return where to begin the inverse kinematics: raised and turned toward the pose, and where the arm is."""
        ready = np.array(self.config.ready_rad)
        ready[0] = np.arctan2(pose[1, 3], pose[0, 3])
        return [ready, start]

    def _route(self, start: FloatArray, goal: FloatArray, obstacles: Obstacles, load_m: float = 0.0) -> FloatArray:
        """Return a way (K, N) that touches nothing: straight in joint space, or by one of the ways around."""
        error: NoReach | None = None
        for between in self._ways_around(start, goal):
            way = np.array([start, *between, goal])
            try:
                self._arm.check_path(way, obstacles, load_m=load_m)
                return way
            except NoReach as failed:
                error = failed
        raise error or NoReach("no way")

    def _ways_around(self, start: FloatArray, goal: FloatArray) -> list[list[FloatArray]]:
        """Return poses to pass between two others: raised over the base, or unfolding at its side."""
        ready = np.array(self.config.ready_rad)
        over_start = np.array([start[0], *ready[1:-1], start[-1]])
        over_goal = np.array([goal[0], *ready[1:-1], goal[-1]])
        ways: list[list[FloatArray]] = [[], [over_goal], [over_start], [over_start, over_goal]]
        for side in (_SIDE_RAD, -_SIDE_RAD):
            start_aside, goal_aside = (np.array([side, *pose[1:]]) for pose in (start, goal))
            raised_start, raised_goal = (np.array([side, *pose[1:]]) for pose in (over_start, over_goal))
            ways.append([start_aside, raised_start, over_goal])
            ways.append([over_start, raised_goal, goal_aside])
        return ways


def make_obstacles(depth_m: AnyArray, camera: PinholeCamera, base_T_camera: FloatArray) -> Obstacles:
    """Return what the camera sees as heights of cells in the base's frame, the robot itself left out.

    What the camera sees above the base itself is the arm. A cell that is not seen, but whose neighbour is, is as
    high as that: a table goes on where something hides it.
    """
    mount = check_transform(base_T_camera, "base_T_camera")
    depth = check_array("depth_m", depth_m, (camera.height, camera.width), finite=False, dtype=np.float32)
    points = apply_nan(mount, camera.back_project_image(depth)).reshape(-1, 3)
    points = points[np.isfinite(points).all(axis=1)]
    x0, y0, x1, y1 = OBSTACLE_BOUNDS_M
    shape = (round((y1 - y0) / OBSTACLE_CELL_M), round((x1 - x0) / OBSTACLE_CELL_M))
    columns, rows = np.floor((points[:, :2] - (x0, y0)) / OBSTACLE_CELL_M).astype(np.intp).T
    inside = (rows >= 0) & (columns >= 0) & (rows < shape[0]) & (columns < shape[1]) & (points[:, 0] > 0.25)
    flat = np.full(shape[0] * shape[1], -np.inf)
    np.maximum.at(flat, rows[inside] * shape[1] + columns[inside], points[inside, 2])
    heights = np.where(np.isfinite(flat), flat, np.nan).reshape(shape)
    for _ in range(2):
        heights = _spread(heights)
    return Obstacles(heights, OBSTACLE_CELL_M, np.array([x0, y0]))


def _spread(heights: AnyArray) -> AnyArray:
    padded = np.pad(heights, 1, constant_values=np.nan)
    neighbours = np.stack([padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]])
    lowest = np.fmin.reduce(neighbours)
    return np.where(np.isnan(heights), lowest, heights)


def _without(obstacles: Obstacles, heights: HeightMap, mask: AnyArray) -> Obstacles:
    """Return the obstacles without the thing that a mask (CELLS, CELLS) shows, and a little around it."""
    grown = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9), np.uint8))
    points = centers_of(np.argwhere(grown))
    base_T_map = heights.base_T_map
    in_base = points @ base_T_map[:2, :2].T + base_T_map[:2, 3]
    return obstacles.lowered(in_base, float(base_T_map[2, 3]))
