# SPDX-License-Identifier: Apache-2.0
"""SLAM: `step` takes colour and depth, and says where the base is in a map that it makes.

slam = Slam(SlamConfig(), camera)
result = slam.step(stamp_s, rgb, depth_m)
result.state, result.map_T_base, result.reason
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np

from axon_core.arrays import AnyArray, FloatArray
from axon_core.cameras import PinholeCamera
from axon_core.checks import check_array, check_number
from axon_core.geometry import check_transform, se2_from_matrix
from axon_core.grids import Grid
from axon_core.scans import Scan
from axon_slam import storage
from axon_slam.config import SlamConfig
from axon_slam.features import make_extractor
from axon_slam.frames import Frame, make_frame, robot_pixels
from axon_slam.mapping import Keyframe, KeyframeMap, make_keyframe, moved_by, relative_sigmas
from axon_slam.motion import MotionModel, odometry_sigmas
from axon_slam.occupancy import EMPTY_SCAN, OccupancyMap, PlanarScan, scan_from_depth, scan_from_lidar
from axon_slam.pose_graph import Edge, optimize
from axon_slam.se3 import inverse
from axon_slam.tracking import Track, Tracker

OPTICAL = np.array([[0.0, 0.0, 1.0, 0.0], [-1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
"""base_T_camera of a camera at the base's origin that looks along its x (REP-103's optical frame)."""

_BLIND_FEATURES = 40  # an image with fewer shows nothing to hold on to
_EDGE_MATCHES = 30
_MIN_NOVELTY = 0.3  # of a keyframe's distance: no second one for the same place, however little it overlaps
# A loop that corrects more than this, and this much a metre of the way since, is none.
_DRIFT_FLOOR_M, _DRIFT_M_PER_M = 0.5, 0.1
_DRIFT_FLOOR_RAD, _DRIFT_RAD_PER_M = 0.35, 0.02


class SlamState(Enum):
    """What a pose is worth."""

    INITIALISING = "initialising"
    TRACKING = "tracking"
    LOST = "lost"


@dataclass(frozen=True)
class SlamResult:
    """What a step knows. `map_T_base` (4, 4) is measured, or predicted where `matches` is 0.

    `map_T_odom` (4, 4) is None without odometry. `covariance` (6, 6) and `velocity` (6,) a second are of rotation and
    translation in the base's frame, in rad and m.
    `keyframe`: the frame became one; `loop`: a place was recognised and the map corrected.
    """

    stamp_s: float
    state: SlamState
    map_T_base: FloatArray
    map_T_odom: FloatArray | None
    covariance: FloatArray
    velocity: FloatArray
    matches: int
    keyframe: bool
    loop: bool
    reason: str


@dataclass(frozen=True)
class _Look:
    """One call of `step`, checked."""

    frame: Frame
    odom_T_base: FloatArray | None
    depth_m: AnyArray
    scan: PlanarScan | None


class Slam:
    """The map, and the base in it. All poses are of the base; one thread at a time."""

    def __init__(
        self, config: SlamConfig, camera: PinholeCamera | None = None, base_T_camera: FloatArray | None = None
    ) -> None:
        self.config = config
        self._extractor = make_extractor(config.features, config.feature_count)
        self._tracker = Tracker(config, self._extractor.max_distance)
        self.set_camera(camera, base_T_camera)
        self.reset()

    def set_camera(self, camera: PinholeCamera | None, base_T_camera: FloatArray | None = None) -> None:
        """Say by which camera the next images are taken, and where it sits on the base (default: `OPTICAL`)."""
        self._camera = camera
        self._base_T_camera = OPTICAL if base_T_camera is None else check_transform(base_T_camera, "base_T_camera")

    def reconfigure(self, config: SlamConfig) -> None:
        """Take over other parameters for the next step."""
        self.config = self._tracker.config = config

    def reset(self) -> None:
        """Forget the map; the next frame begins another."""
        self.map = KeyframeMap()
        self.occupancy = OccupancyMap(self.config.resolution_m)
        self.state = SlamState.INITIALISING
        self.loops = 0
        self._motion = MotionModel()
        self._stamp_s = -np.inf
        self._seen_s: float | None = None  # when a pose was last believed
        self._way: list[tuple[float, int, FloatArray]] = []
        self._travelled_m: list[float] = []  # until each keyframe

    def interrupt(self) -> None:
        """Expect the base anywhere in the map, at any time: it was carried, or the recording starts again."""
        self._motion = MotionModel()
        self._stamp_s, self._seen_s = -np.inf, None
        self.state = SlamState.LOST if len(self.map) else SlamState.INITIALISING

    def warm_up(self) -> None:
        """Compile what is compiled at its first use, so that no frame waits for it. The map is empty afterwards."""
        camera, mount = self._camera, self._base_T_camera
        self.set_camera(PinholeCamera(160, 120, 120.0, 120.0, 79.5, 59.5))
        image = np.kron(np.random.default_rng(0).integers(0, 256, (15, 20)), np.ones((8, 8))).astype(np.uint8)
        for stamp_s in (0.0, 0.1):
            self.step(stamp_s, image, np.full((120, 160), 2.0))
        self.set_camera(camera, mount)
        self.reset()

    def step(
        self,
        stamp_s: float,
        image: AnyArray,
        depth_m: AnyArray,
        odom: FloatArray | None = None,
        scan: Scan | None = None,
        base_T_laser: FloatArray | None = None,
    ) -> SlamResult:
        """Take an image (H, W, 3) RGB or (H, W) grey uint8 and its depth (H, W) in m, 0 or NaN for none.

        `odom` is odom_T_base (4, 4) at that time, `scan` a lidar's turn for the occupancy map, `base_T_laser` (3,)
        its mount. Raises ValueError for what does not fit the camera, and for a stamp that is not later than the last.
        """
        look = self._check(stamp_s, image, depth_m, odom, scan, base_T_laser)
        if len(self.map) == 0:
            return self._begin(look)
        predicted = self._motion.predict(stamp_s, look.odom_T_base)
        track, reason = self._find(look, predicted)
        if track is None:
            return self._miss(look, predicted, reason)
        self._seen_s = stamp_s
        self.state = SlamState.TRACKING
        self._motion.update(stamp_s, track.map_T_base, look.odom_T_base, measured=True)
        is_keyframe = self._is_new(look.frame, track)
        loop = is_keyframe and self._extend(look, track)
        return self._result(look, track, is_keyframe, loop)

    def trajectory(self, every: int = 1) -> tuple[FloatArray, FloatArray]:
        """Return the stamps (N,) and poses map_T_base (N, 4, 4) of all frames, moved as their keyframes have been.

        Or of every second, third frame.
        """
        way = self._way[::every]
        stamps = np.array([stamp for stamp, _, _ in way])
        poses = [self.map.keyframes[number].map_T_base @ relative for _, number, relative in way]
        return stamps, np.array(poses).reshape(-1, 4, 4)

    @property
    def frames(self) -> int:
        """Number of frames since the map began."""
        return len(self._way)

    def grid(self) -> Grid | None:
        """Return the occupancy map, None while nothing is known."""
        return self.occupancy.to_grid()

    def points(self) -> FloatArray:
        """Return the points (N, 3) of all keyframes in the map."""
        if len(self.map) == 0:
            return np.zeros((0, 3))
        return self.map.gather(np.arange(len(self.map)))[0]

    def save(self, folder: Path | str) -> None:
        """Write the map into a folder, which is made. Raises OSError, and ValueError where there is no map yet."""
        storage.save(self.map, Path(folder), self.config)

    def load(self, folder: Path | str) -> None:
        """Read a map from a folder; the base is lost in it until it recognises a place. Raises ValueError, OSError."""
        loaded = storage.load(Path(folder), self.config)
        self.reset()
        self.map = loaded
        self._travelled_m = [0.0] * len(loaded)
        self.state = SlamState.LOST
        self._redraw()

    # Finding the pose

    def _check(
        self,
        stamp_s: float,
        image: AnyArray,
        depth_m: AnyArray,
        odom: FloatArray | None,
        scan: Scan | None,
        base_T_laser: FloatArray | None,
    ) -> _Look:
        if self._camera is None:
            raise ValueError("no camera: call set_camera before step")
        stamp = check_number("stamp_s", stamp_s)
        if stamp <= self._stamp_s:
            raise ValueError(f"stamp_s = {stamp}: expected a later one than the last, {self._stamp_s}")
        odom_T_base = None if odom is None else check_transform(odom, "odom")
        planar_scan = None
        if scan is not None:
            mount = np.zeros(3) if base_T_laser is None else check_array("base_T_laser", base_T_laser, (3,))
            planar_scan = scan_from_lidar(scan, mount, self.config.occupancy_range_m)
        size = (self._camera.height, self._camera.width)
        depth, robot = check_array("depth_m", depth_m, size, finite=False, dtype=np.float32), None
        if self.config.robot_box_m:
            robot = robot_pixels(depth, self._camera, self._base_T_camera, self.config.robot_box_m)
            depth = np.where(robot, np.nan, depth)
        frame = make_frame(stamp, image, depth, self._camera, self._base_T_camera, self._extractor, self.config, robot)
        self._stamp_s = stamp
        return _Look(frame, odom_T_base, depth, planar_scan)

    def _begin(self, look: _Look) -> SlamResult:
        """Make the first keyframe, where odometry says the base is, else at the map's origin."""
        pose = np.eye(4) if look.odom_T_base is None else look.odom_T_base
        count = int(look.frame.has_depth.sum())
        if count < 2 * self.config.min_inliers:
            reason = f"{count} features with depth, {2 * self.config.min_inliers} begin a map: show it more, or light"
            return self._answer(look, pose, np.eye(6), 0, False, False, reason)
        self._motion.update(look.frame.stamp_s, pose, look.odom_T_base, measured=True)
        self._seen_s = look.frame.stamp_s
        self.state = SlamState.TRACKING
        self._keep(look, pose, travelled_m=0.0)
        return self._answer(look, pose, np.zeros((6, 6)), count, True, False, "the map begins")

    def _find(self, look: _Look, predicted: FloatArray) -> tuple[Track | None, str]:
        """Return a pose that is believed, or None and why not."""
        frame = look.frame
        if len(frame.features) < _BLIND_FEATURES:
            return None, f"{len(frame.features)} features: is the camera covered, in the dark, or before a blank wall?"
        reason = "nothing known in view"
        if self._seen_s is not None:
            prior = self._motion.prior(frame.stamp_s, look.odom_T_base)
            track = self._tracker.track(frame, self.map, predicted, prior)
            reason = self._doubt(track, predicted, frame.stamp_s)
            if not reason:
                return track, ""
        if self.state is not SlamState.LOST:
            return None, reason
        everywhere = np.arange(len(self.map))
        similar = self.map.similar(
            frame.features.descriptors, everywhere, self.config.loop_candidates, self._extractor.max_distance
        )
        track = self._tracker.recognise(frame, self.map, similar, self.config.loop_inliers)
        if track is not None and not self._is_far(track, predicted, look):
            return track, ""
        return None, f"{reason}; no place recognised: drive to where the map was made"

    def _doubt(self, track: Track | None, predicted: FloatArray, stamp_s: float) -> str:
        """Return why a pose is not believed, empty where it is."""
        count = 0 if track is None else track.count
        if track is None or count < self.config.min_inliers:
            return f"{count} features known, {self.config.min_inliers} needed"
        jump_m, turn_rad = moved_by(predicted, track.map_T_base)
        allowed_m, allowed_rad = self._allowed(stamp_s)
        if jump_m > allowed_m:
            return f"a jump of {jump_m:.2f} m, {allowed_m:.2f} allowed"
        return f"a turn of {turn_rad:.2f} rad, {allowed_rad:.2f} allowed" if turn_rad > allowed_rad else ""

    def _is_far(self, track: Track, predicted: FloatArray, look: _Look) -> bool:
        """Whether odometry, where it was there all the time, rules out a recognised place."""
        if look.odom_T_base is None or self._seen_s is None:
            return False
        jump_m, turn_rad = moved_by(predicted, track.map_T_base)
        allowed_m, allowed_rad = self._allowed(look.frame.stamp_s)
        return jump_m > allowed_m or turn_rad > allowed_rad

    def _allowed(self, stamp_s: float) -> tuple[float, float]:
        """Return how far in m and rad from its prediction a pose may be: the farther, the longer none was seen."""
        growth = 1.0 + stamp_s - (self._seen_s or stamp_s)
        return self.config.max_jump_m * growth, self.config.max_jump_rad * growth

    def _miss(self, look: _Look, predicted: FloatArray, reason: str) -> SlamResult:
        """Go on by prediction; the track is lost when that lasts; map on from odometry when it stays so."""
        stamp_s = look.frame.stamp_s
        self._motion.update(stamp_s, predicted, look.odom_T_base, measured=False)
        silent_s = np.inf if self._seen_s is None else stamp_s - self._seen_s
        if silent_s > self.config.lost_after_s:
            self.state = SlamState.LOST
        known_by_odometry = look.odom_T_base is not None and np.isfinite(silent_s)
        can_begin = look.frame.has_depth.sum() >= 2 * self.config.min_inliers
        if known_by_odometry and can_begin and silent_s > self.config.restart_after_s:
            return self._restart(look, predicted)
        return self._answer(look, predicted, np.eye(6), 0, False, False, f"no pose for {silent_s:.1f} s: {reason}")

    def _restart(self, look: _Look, predicted: FloatArray) -> SlamResult:
        """Go on mapping from where odometry says the base is."""
        last = len(self.map) - 1
        last_T_base = inverse(self.map.keyframes[last].map_T_base) @ predicted
        self._keep(look, predicted, self._travelled_m[last] + float(np.linalg.norm(last_T_base[:3, 3])))
        self._seen_s = look.frame.stamp_s
        self.state = SlamState.TRACKING
        return self._answer(look, predicted, np.eye(6), 0, True, False, "mapping goes on from where odometry says")

    # The map

    def _is_new(self, frame: Frame, track: Track) -> bool:
        """Whether a frame shows what no keyframe does."""
        config = self.config
        if frame.has_depth.sum() < 2 * config.min_inliers:
            return False
        novelty = self.map.novelty(
            track.map_T_base, frame.base_T_camera, config.keyframe_distance_m, config.keyframe_angle_rad
        )
        overlap = track.count / max(len(frame.features), 1)
        return novelty > 1.0 or (overlap < config.keyframe_overlap and novelty > _MIN_NOVELTY)

    def _extend(self, look: _Look, track: Track) -> bool:
        """Add a keyframe and its edges; return whether it closed a loop."""
        stepped = moved_by(self.map.keyframes[-1].map_T_base, track.map_T_base)[0]
        number = self._keep(look, track.map_T_base, self._travelled_m[-1] + stepped)
        self._connect(look.frame, track, number)
        if not (self.config.loop_closure and self._close_loop(look.frame, track, number)):
            return False
        self.loops += 1
        self._optimize()
        self._motion.correct(self.map.keyframes[number].map_T_base)
        return True

    def _keep(self, look: _Look, pose: FloatArray, travelled_m: float) -> int:
        keyframe = make_keyframe(look.frame, pose, self._scan_of(look), look.odom_T_base)
        self._travelled_m.append(travelled_m)
        self.occupancy.enter(se2_from_matrix(pose), keyframe.scan)
        number = self.map.add(keyframe)
        self._connect_by_odometry(number)
        return number

    def _connect_by_odometry(self, number: int) -> None:
        """Add what odometry says of the way from the last keyframe."""
        if number == 0:
            return
        last, this = self.map.keyframes[number - 1].odom_T_base, self.map.keyframes[number].odom_T_base
        if last is not None and this is not None:
            motion = inverse(last) @ this
            self.map.edges.append(Edge(number - 1, number, motion, odometry_sigmas(motion), robust=True))

    def _scan_of(self, look: _Look) -> PlanarScan:
        config = self.config
        if config.occupancy_source == "scan":
            return look.scan or EMPTY_SCAN
        heights = (config.obstacle_min_z_m, config.obstacle_max_z_m)
        ranges = (config.depth_min_m, config.occupancy_range_m)
        return scan_from_depth(look.depth_m, look.frame.camera, look.frame.base_T_camera, heights, ranges)

    def _connect(self, frame: Frame, track: Track, number: int) -> None:
        """Measure the new keyframe's pose against each keyframe that it shares enough with."""
        owners, counts = np.unique(track.owners, return_counts=True)
        for owner in owners[counts >= _EDGE_MATCHES]:
            owner_T_base, count = self._tracker.relative(frame, self.map, track, int(owner))
            if count >= _EDGE_MATCHES:
                self._add_edge(int(owner), number, owner_T_base, count)
        if not any(edge.b == number for edge in self.map.edges[-len(owners) :]):
            owner = int(owners[np.argmax(counts)])
            owner_T_base = inverse(self.map.keyframes[owner].map_T_base) @ track.map_T_base
            self._add_edge(owner, number, owner_T_base, track.count)

    def _add_edge(self, a: int, b: int, a_T_b: FloatArray, count: int) -> None:
        robust = b - a > self.config.loop_gap
        self.map.edges.append(Edge(a, b, a_T_b, relative_sigmas(count), robust))

    def _close_loop(self, frame: Frame, track: Track, number: int) -> bool:
        """Look for places that look alike, prove them by geometry, and add what is proven to the graph."""
        old = np.setdiff1d(np.arange(number - self.config.loop_gap), track.owners)
        similar = self.map.similar(
            self.map.keyframes[number].place, old, self.config.loop_candidates, self._extractor.max_distance
        )
        closed = False
        for candidate in similar:
            found = self._tracker.verify(frame, self.map.keyframes[candidate], self.config.loop_inliers)
            if found is None:
                continue
            place_T_base = found[0].map_T_base
            if self._is_plausible(int(candidate), number, place_T_base):
                self._add_edge(int(candidate), number, place_T_base, found[0].count)
                closed = True
        return closed

    def _is_plausible(self, candidate: int, number: int, place_T_base: FloatArray) -> bool:
        """Whether a loop corrects no more than what may have drifted on the way."""
        claimed = self.map.keyframes[candidate].map_T_base @ place_T_base
        correction_m, correction_rad = moved_by(self.map.keyframes[number].map_T_base, claimed)
        way_m = self._travelled_m[number] - self._travelled_m[candidate]
        near = correction_m < _DRIFT_FLOOR_M + _DRIFT_M_PER_M * way_m
        return near and correction_rad < _DRIFT_FLOOR_RAD + _DRIFT_RAD_PER_M * way_m

    def _optimize(self) -> None:
        self.map.move_to(optimize(self.map.poses(), self.map.edges, self.config.planar))
        self._redraw()

    def _redraw(self) -> None:
        self.occupancy.clear()
        for keyframe in self.map.keyframes:
            self.occupancy.enter(se2_from_matrix(keyframe.map_T_base), keyframe.scan)

    # Answers

    def _result(self, look: _Look, track: Track, is_keyframe: bool, loop: bool) -> SlamResult:
        covariance = np.linalg.inv(track.information + 1e-6 * np.eye(6))
        reason = f"{track.count} features known"
        return self._answer(look, self._motion.pose, covariance, track.count, is_keyframe, loop, reason)

    def _answer(
        self,
        look: _Look,
        pose: FloatArray,
        covariance: FloatArray,
        matches: int,
        is_keyframe: bool,
        loop: bool,
        reason: str,
    ) -> SlamResult:
        if len(self.map):
            number = len(self.map) - 1
            keyframe: Keyframe = self.map.keyframes[number]
            self._way.append((look.frame.stamp_s, number, inverse(keyframe.map_T_base) @ pose))
        map_T_odom = None if look.odom_T_base is None else pose @ inverse(look.odom_T_base)
        return SlamResult(
            look.frame.stamp_s,
            self.state,
            pose,
            map_T_odom,
            covariance,
            self._motion.velocity,
            matches,
            is_keyframe,
            loop,
            reason,
        )
