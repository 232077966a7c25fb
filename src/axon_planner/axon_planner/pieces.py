# SPDX-License-Identifier: Apache-2.0
"""Follow a path whose direction of driving changes: piece by piece.

A base that turns on the spot drives each piece by one of the followers. Backward that is the mirrored base driven
forward, whose front is the real one's back: its heading is turned by pi, its speed has the other sign, its rectangle's
centre lies on the other side (`_mirrored`), and the followers know nothing of reversing along a path. A base that has a
tightest circle drives a path of one piece by a follower and the pieces of a manoeuvre by `Steering`, because the next
piece can only be driven from where it begins.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from axon_core.geometry import se2_apply, wrap_angle
from axon_core.motion import Twist2
from axon_planner.config import PlannerConfig
from axon_planner.costmap import Field
from axon_planner.outline import Discs
from axon_planner.smoothing import path_length
from axon_planner.steering import Steering
from axon_planner.tracker import Follower, FollowStatus, FollowStep

END_TOLERANCE_M = 0.03
TURNED_RAD = 0.05
STANDS_MPS = 0.03
NEAR_END_M = 0.3
STUCK_S = 0.8
# Off the path by 0.1 m costs as much as a third of a metre of progress in a second: it was planned to the centimetre.
CROSS_TRACK_WEIGHT = 30
HEADING_WEIGHT = 3
BACKWARD_SHARE = 0.8
BEHIND_M = 0.10  # so far behind the tail, and as far as it takes to stop, the floor must have been seen
OFF_M, OFF_RAD = 0.08, 0.15  # from a piece that ends farther off the next one cannot be driven as it was planned


@dataclass(frozen=True)
class Piece:
    """Part of a path (N, 3) that is driven one way: 1 forward, -1 backward, 0 turned on the spot."""

    path: np.ndarray
    direction: int

    @property
    def length_m(self) -> float:
        """Metres along it."""
        return path_length(self.path)


def split(path: np.ndarray, directions: np.ndarray) -> list[Piece]:
    """Return the pieces of a path (N, 3) with `directions` (N - 1,); neighbours share a pose."""
    if len(directions) != len(path) - 1:
        raise ValueError(f"directions has {len(directions)} entries: expected {len(path) - 1}, one between two poses")
    if len(path) == 1:
        return [Piece(path, 1)]
    edges = np.flatnonzero(np.diff(directions)) + 1
    bounds = [0, *edges.tolist(), len(directions)]
    return [Piece(path[a : b + 1], int(directions[a])) for a, b in pairwise(bounds)]


def directions_of(path: np.ndarray) -> np.ndarray:
    """Return (N - 1,) int8 for a path (N, 3) that comes without: by where its poses look, run by run.

    A run ends at a cusp, where two steps point in opposite directions; it is driven backward where nearly all of its
    poses look back. A path whose headings say nothing is so driven forward.
    """
    steps = np.diff(path[:, :2], axis=0)
    lengths = np.linalg.norm(steps, axis=1)
    out = np.ones(len(steps), np.int8)
    moving = np.flatnonzero(lengths > 1e-6)
    out[lengths <= 1e-6] = 0
    if not len(moving):
        return out
    cusps = np.flatnonzero((steps[moving[1:]] * steps[moving[:-1]]).sum(axis=1) < 0.0) + 1
    for run in np.split(moving, cusps):
        looks = np.cos(path[run, 2]) * steps[run, 0] + np.sin(path[run, 2]) * steps[run, 1] < 0.0
        if looks.mean() > BACKWARD_SHARE:
            out[run] = -1
    return out


class PieceFollower:
    """Follows like the class `kind`, with the same interface, paths whose `directions` change."""

    def __init__(self, config: PlannerConfig, kind: type[Follower]) -> None:
        self.config = config
        self.discs = Discs(config)
        inner = _inner(config)
        self._followers = {1: kind(inner), -1: kind(_mirrored(inner, config.max_reverse_mps))}
        self._steering: Steering | None = None
        self.reset()

    def reset(self) -> None:
        """Forget the path and the plan of controls."""
        self.path: np.ndarray | None = None
        self._pieces: list[Piece] = []
        self._at = 0
        self._stuck_s = 0.0
        self._last = Twist2()
        for follower in self._followers.values():
            follower.reset()

    def set_path(
        self,
        path: np.ndarray,
        skip_m: float = 0.0,
        speeds_mps: np.ndarray | None = None,
        directions: np.ndarray | None = None,
    ) -> None:
        """Follow `path` (N, 3) from its first piece on; `directions` as in `PlanResult`, else told by the headings.

        `speeds_mps` (N,) hold where the path is a single piece that is driven forward.

        `skip_m` is there for the interface of `Follower`: a path of pieces can be driven from its first pose.
        """
        path = np.asarray(path, dtype=np.float64)
        if path.ndim != 2 or path.shape[1] != 3 or len(path) < 1 or not np.isfinite(path).all():
            raise ValueError(f"path has shape {path.shape}: expected (N, 3) finite poses, N at least 1")
        self.path = path
        self._pieces = split(path, directions_of(path) if directions is None else directions)
        self._speeds_mps = speeds_mps if len(self._pieces) == 1 and self._pieces[0].direction > 0 else None
        self._begin(0)

    def step(self, pose: np.ndarray, velocity: Twist2, field: Field, dt_s: float) -> FollowStep:
        """The command for the next `dt_s` at `pose` (3,), the base's measured `velocity` and obstacles in `field`."""
        if self.path is None:
            raise ValueError("no path to follow: call set_path first")
        piece, after = self._pieces[self._at], self._after()
        if piece.direction < 0 and self._backs_blindly(pose, velocity, field):
            command = self.stop(velocity, dt_s)
            return FollowStep(command, FollowStatus.BLOCKED, piece.length_m + after, self.discs.clearance(field, pose))
        if self._steering is not None:
            step, done = self._steering.step(pose, velocity, field, dt_s)
        elif piece.direction == 0:
            step, done = self._turn(piece, pose, velocity, field, dt_s)
        else:
            step, done = self._drive(piece, pose, velocity, field, dt_s)
        self._last = step.command
        if done and self._at + 1 == len(self._pieces):
            near, turned = self.config.goal_tolerance_m, self.config.goal_yaw_tolerance_rad
            arrived = _is_at(pose, self.path[-1], near, turned)
            step = replace(step, status=FollowStatus.REACHED if arrived else FollowStatus.ASTRAY)
        elif done and not _is_at(pose, piece.path[-1], OFF_M, OFF_RAD):
            step = replace(step, status=FollowStatus.ASTRAY)
        elif done:
            self._begin(self._at + 1)
        return replace(step, remaining_m=step.remaining_m + after)

    def keep_speeds(self, field: Field) -> None:
        """Drive the piece of now at most as fast as its cost asks for by what `field` shows."""
        follower = self._followers.get(self._pieces[self._at].direction)
        if self._steering is None and follower is not None:
            follower.keep_speeds(field)

    def stop(self, velocity: Twist2, dt_s: float) -> Twist2:
        """A command that brakes as hard as the limits allow."""
        self._last = self._followers[1].stop(velocity, dt_s)
        return self._last

    @property
    def piece(self) -> Piece | None:
        """The piece that is driven now; None without a path."""
        return self._pieces[self._at] if self._pieces else None

    def _backs_blindly(self, pose: np.ndarray, velocity: Twist2, field: Field) -> bool:
        """Whether the tail is about to come over what nobody has seen: scanners look ahead, and do not see it now."""
        config = self.config
        stop_m = BEHIND_M + velocity.vx_mps**2 / (2.0 * config.max_decel_mps2)
        tail = config.footprint_center_x_m - 0.5 * config.footprint_length_m
        away = np.linspace(0.5 * stop_m, stop_m, 4)
        sides = np.linspace(-0.5, 0.5, 5) * config.footprint_width_m
        back, side = (grid.ravel() for grid in np.meshgrid(tail - away, sides))
        cells = np.floor((se2_apply(pose, np.column_stack([back, side])) - field.origin_m) / field.resolution_m)
        cols, rows = cells.astype(int).T
        height, width = field.unknown.shape
        inside = (rows >= 0) & (rows < height) & (cols >= 0) & (cols < width)
        return not inside.all() or bool(field.unknown[rows, cols].any())

    def _begin(self, at: int) -> None:
        self._at, self._stuck_s = at, 0.0
        piece = self._pieces[at]
        self._steering = None
        if self.config.min_turning_radius_m > 0.0 and len(self._pieces) > 1:
            self._steering = Steering(self.config, piece.path, piece.direction)
        elif piece.direction != 0:
            follower = self._followers[piece.direction]
            follower.reset()
            follower.set_path(piece.path, speeds_mps=self._speeds_mps)

    def _after(self) -> float:
        return sum(piece.length_m for piece in self._pieces[self._at + 1 :])

    def _drive(
        self, piece: Piece, pose: np.ndarray, velocity: Twist2, field: Field, dt_s: float
    ) -> tuple[FollowStep, bool]:
        """One step on a piece that is driven; and whether it is done with."""
        follower = self._followers[piece.direction]
        if piece.direction > 0:
            step = follower.step(pose, velocity, field, dt_s)
        else:
            step = follower.step(_turned(pose), _reversed(velocity), field, dt_s)
            step = replace(step, command=_reversed(step.command))
        end = piece.path[-1]
        away = end[:2] - pose[:2]
        beyond = piece.direction * float(away @ [math.cos(end[2]), math.sin(end[2])]) < 0.0
        stands = abs(velocity.vx_mps) < STANDS_MPS
        near = float(np.hypot(*away)) < NEAR_END_M
        if near and beyond:
            step = replace(step, command=self.stop(velocity, dt_s), status=FollowStatus.RUNNING)
        self._stuck_s = self._stuck_s + dt_s if near and stands else 0.0
        reached = step.status is FollowStatus.REACHED or (near and beyond) or self._stuck_s > STUCK_S
        if step.status is FollowStatus.REACHED:
            step = replace(step, status=FollowStatus.RUNNING)
        return step, reached and stands

    def _turn(
        self, piece: Piece, pose: np.ndarray, velocity: Twist2, field: Field, dt_s: float
    ) -> tuple[FollowStep, bool]:
        error = float(wrap_angle(piece.path[-1, 2] - pose[2]))
        clearance = self.discs.clearance(field, pose)
        if abs(error) < TURNED_RAD and abs(velocity.wz_radps) < 0.1:
            return FollowStep(self.stop(velocity, dt_s), FollowStatus.RUNNING, 0.0, clearance), True
        command = self._followers[1].turn_towards(pose, velocity, field, dt_s, error)
        status = FollowStatus.BLOCKED if command is None else FollowStatus.RUNNING
        return FollowStep(command or self.stop(velocity, dt_s), status, 0.0, clearance), False


def _is_at(pose: np.ndarray, end: np.ndarray, near_m: float, turned_rad: float) -> bool:
    near = float(np.linalg.norm(end[:2] - pose[:2])) <= near_m
    return near and abs(float(wrap_angle(end[2] - pose[2]))) <= turned_rad


def _inner(config: PlannerConfig) -> PlannerConfig:
    """The config of what drives a piece: one way only, close to the path, to its end whatever the heading there.

    A follower that may reverse can weigh going on against going back, and stand.
    """
    return replace(
        config,
        max_reverse_mps=0.0,
        goal_tolerance_m=END_TOLERANCE_M,
        goal_yaw_tolerance_rad=3.15,
        cross_track_weight=max(config.cross_track_weight, CROSS_TRACK_WEIGHT),
        heading_weight=max(config.heading_weight, HEADING_WEIGHT),
    )


def _mirrored(config: PlannerConfig, reverse_mps: float) -> PlannerConfig:
    """The same base seen from behind."""
    back = max(reverse_mps, 0.05)  # the least top speed of a config; without reversing it is never driven
    return replace(
        config,
        footprint_center_x_m=-config.footprint_center_x_m,
        max_speed_mps=back,
    )


def _turned(pose: np.ndarray) -> np.ndarray:
    return np.array([pose[0], pose[1], wrap_angle(pose[2] + math.pi)])


def _reversed(twist: Twist2) -> Twist2:
    return Twist2(-twist.vx_mps, 0.0, twist.wz_radps)
