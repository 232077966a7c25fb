# SPDX-License-Identifier: Apache-2.0
"""The shield: the one door between whoever wants to drive and the base."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from axon_core.arrays import FloatArray
from axon_core.checks import check_array
from axon_core.motion import Twist2, check_twist
from axon_core.scans import Scan
from axon_safety.arbiter import Arbiter
from axon_safety.collision import Scene
from axon_safety.config import SafetyConfig
from axon_safety.nearest import nearest_admissible, next_command
from axon_safety.obstacles import LocalObstacles, moved
from axon_safety.outline import outline_distances, outline_of
from axon_safety.picture import ShieldPicture, picture_of

OBSTACLE = "obstacle"
STALE_SCAN = "stale scan"
STALE_ODOMETRY = "stale odometry"
NO_SOURCE = "no source"
BAD_COMMAND = "bad command"
SPEED = "speed limit"
ACCELERATION = "acceleration limit"
NOTHING = "nothing"

_MAX_STEP_S = 0.2


class ShieldStep(NamedTuple):
    """What the base is told, what limited it (one of the names above), who drives, and the room around the base."""

    command: Twist2
    limited_by: str
    source: str
    clearance_m: float


class Situation(NamedTuple):
    """What a step was decided upon: the scene, the wanted command within the speed limits, since when, and the step."""

    scene: Scene
    target: Twist2
    dt_s: float
    step: ShieldStep

    @property
    def possible(self) -> Twist2:
        """What the accelerations leave of the wanted command."""
        return Twist2(*next_command(self.scene, np.array(self.target, dtype=np.float64), self.dt_s))


class Shield:
    """Every step: choose who drives, keep the limits, and never take a command from which the base could not stop.

    Sideways speed is dropped unless `holonomic`. `base_T_laser` (3,): the scanner's pose.
    """

    def __init__(self, config: SafetyConfig, base_T_laser: FloatArray) -> None:
        self.config = config
        self.base_T_laser = check_array("base_T_laser", base_T_laser, shape=(3,))
        self.arbiter = Arbiter(self.config.sources, self.config.source_timeout_s)
        self.reset()

    def reset(self) -> None:
        """Forget what was seen and said, as after a jump in time or place."""
        config = self.config
        self.outline = outline_of(config.outline)
        self._obstacles = LocalObstacles(
            self._reach_m(), config.memory_radius_m, config.memory_s, config.unseen_radius_m
        )
        self._last: Twist2 | None = None
        self.situation: Situation | None = None
        self._last_s = math.nan
        self._scan: Scan | None = None
        self._scan_s = -math.inf

    def configure(self, config: SafetyConfig) -> None:
        """Take new parameters; what was seen and the speed of the moment stay."""
        self.config = config
        self.arbiter.timeout_s = config.source_timeout_s
        self.outline = outline_of(config.outline)
        self._obstacles.configure(self._reach_m(), config.memory_radius_m, config.memory_s)

    def submit(self, source: str, t_s: float, command: Twist2) -> None:
        """Take a source's command for the steps to come; ValueError where it is not finite or the source is unknown."""
        self.arbiter.submit(source, t_s, command)

    def step(
        self,
        t_s: float,
        command: Twist2 | None,
        velocity: Twist2,
        scan: Scan | None,
        scan_age_s: float,
        odom_age_s: float = 0.0,
        odom_T_base: FloatArray | None = None,
    ) -> ShieldStep:
        """Say what the base shall do now.

        command: of a single source, or None to let the arbiter choose among those submitted. velocity: measured, in the
        base frame. scan: the newest (the same object until there is a newer one) and its age now. odom_T_base: (3,)
        odometry's pose, of the same age as the velocity; without it what is out of view is tracked by velocity alone.
        """
        dt_s = self._elapsed(t_s, velocity)
        known = bool(np.isfinite(velocity).all()) and odom_age_s <= self.config.odom_timeout_s
        moving = velocity if known else self._last
        pose = moved(odom_T_base, moving, odom_age_s) if known and odom_T_base is not None else None
        self._obstacles.advance(t_s, moving, pose)
        self._look(t_s, scan, scan_age_s)
        source, wanted, fault = self._wanted(t_s, command)
        fault = fault or self._stale(t_s, known)
        points, distances = self._near_points()
        now = self._present(moving)
        target = Twist2() if fault else self._within_speeds(wanted)
        scene = self._scene(points, distances, now, dt_s, max(0.0, t_s - self._scan_s))
        chosen, obstructed = self._choose(scene, target, dt_s)
        limited_by = fault or (OBSTACLE if obstructed else self._limit_name(wanted, target, chosen))
        self._last, self._last_s = chosen, t_s
        clearance = float(distances.min()) if len(distances) else math.inf
        step = ShieldStep(chosen, limited_by, source, clearance)
        self.situation = Situation(scene, target, dt_s, step)
        return step

    def picture(self) -> ShieldPicture | None:
        """The last step, to be drawn; None before the first."""
        if self.situation is None:
            return None
        scene, _, _, step = self.situation
        return picture_of(scene, self.situation.possible, step.command, step.limited_by, step.clearance_m)

    def _reach_m(self) -> float:
        """How far the base could get from where it is, at full speed, before it stands; and a little."""
        config = self.config
        speed = max(config.max_speed_mps, config.max_reverse_mps)
        acting_s = config.latency_s + _MAX_STEP_S
        travel_m = config.obstacle_speed_mps * (config.scan_timeout_s + acting_s + speed / config.max_decel_mps2)
        return (
            speed * acting_s
            + speed**2 / (2.0 * config.max_decel_mps2)
            + 2.0 * config.outline.circumscribed_radius_m
            + 0.5
            + travel_m
        )

    def _elapsed(self, t_s: float, velocity: Twist2) -> float:
        if self._last is None or t_s < self._last_s:
            self.reset()
            finite = bool(np.isfinite(velocity).all())
            self._last = self._drivable(velocity) if finite else Twist2()
            return 1.0 / self.config.rate_hz
        return min(t_s - self._last_s, _MAX_STEP_S)

    def _look(self, t_s: float, scan: Scan | None, scan_age_s: float) -> None:
        if scan is None or not math.isfinite(scan_age_s):
            return
        if scan is self._scan:
            self._scan_s = t_s - scan_age_s
        elif np.isnan(scan.ranges_m).mean() <= self.config.max_unmeasured:
            self._scan, self._scan_s = scan, t_s - scan_age_s
            self._obstacles.see(scan, self._scan_s, self.base_T_laser)

    def _wanted(self, t_s: float, command: Twist2 | None) -> tuple[str, Twist2, str]:
        """Source, its command, and the fault that makes it none."""
        if command is None:
            source, wanted = self.arbiter.choose(t_s)
            return source, wanted, "" if source else NO_SOURCE
        try:
            return "direct", check_twist(command), ""
        except ValueError:
            self.arbiter.refused["direct"] += 1
            return "direct", Twist2(), BAD_COMMAND

    def _stale(self, t_s: float, odometry_known: bool) -> str:
        if self._scan is None or t_s - self._scan_s > self.config.scan_timeout_s:
            return STALE_SCAN
        return "" if odometry_known else STALE_ODOMETRY

    def _within_speeds(self, wanted: Twist2) -> Twist2:
        config = self.config
        turn = min(max(wanted.wz_radps, -config.max_turn_radps), config.max_turn_radps)
        forward, left, _ = self._drivable(wanted)
        forward = min(max(forward, -config.max_reverse_mps), config.max_speed_mps)
        fastest = math.hypot(forward, left)
        scale = min(1.0, config.max_speed_mps / fastest) if left and fastest else 1.0
        return Twist2(scale * forward, scale * left, turn)

    def _drivable(self, velocity: Twist2) -> Twist2:
        """What the base can do of a velocity: a differential one does not move sideways."""
        return velocity if self.config.holonomic else Twist2(velocity.vx_mps, 0.0, velocity.wz_radps)

    def _present(self, velocity: Twist2) -> Twist2:
        """Speeds to reckon with: on each axis the measured or commanded one, whichever is faster; measured turning."""
        drivable, last = self._drivable(velocity), self._last
        return Twist2(_faster(drivable.vx_mps, last.vx_mps), _faster(drivable.vy_mps, last.vy_mps), velocity.wz_radps)

    def _near_points(self) -> tuple[FloatArray, FloatArray]:
        """Points (N, 2) in the base frame that are not the robot itself, and their distances (N,) from its outline."""
        points = self._obstacles.points()
        distances = outline_distances(points, self.outline.corners)
        obstacle = distances > -self.config.self_hit_depth_m
        return np.ascontiguousarray(points[obstacle]), distances[obstacle]

    def _scene(self, points: FloatArray, distances: FloatArray, now: Twist2, dt_s: float, age_s: float) -> Scene:
        config = self.config
        return Scene(
            points,
            distances,
            self.outline,
            np.array(now, dtype=np.float64),
            np.array(self._last, dtype=np.float64),
            np.array([config.latency_s, max(dt_s, 1.0 / config.rate_hz)]),
            np.array([config.max_accel_mps2, config.max_decel_mps2, config.max_turn_accel_radps2]),
            np.array([config.margin_m, config.speed_margin_s]),
            np.array([config.obstacle_speed_mps, age_s if math.isfinite(age_s) else 0.0]),
        )

    def _spread(self) -> FloatArray:
        """Square of the change on each axis that counts as 1 (m/s)^2; none where the base has no such axis."""
        return np.array([1.0, 1.0 if self.config.holonomic else 0.0, self.config.turn_weight_m**-2])

    def _choose(self, scene: Scene, target: Twist2, dt_s: float) -> tuple[Twist2, bool]:
        """The command for the base, and whether an obstacle keeps it from the target."""
        chosen, obstructed = nearest_admissible(scene, np.array(target, dtype=np.float64), dt_s, self._spread())
        return Twist2(*chosen), obstructed

    def _limit_name(self, wanted: Twist2, target: Twist2, chosen: Twist2) -> str:
        if _differ(chosen, target):
            return ACCELERATION
        return SPEED if _differ(target, wanted) else NOTHING


def _faster(measured: float, commanded: float) -> float:
    return commanded if measured * commanded >= 0.0 and abs(commanded) > abs(measured) else measured


def _differ(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return any(abs(a - b) > 1e-6 for a, b in zip(one, other, strict=True))
