# SPDX-License-Identifier: Apache-2.0
"""A short film of a run, drawn after it from the recorded motion: chase view, the robot's own camera in a corner."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import mujoco
import numpy as np
from numpy.typing import NDArray

from axon_demo.runlog import RunLog, Stamped
from axon_sim.rendering import OffscreenRenderer
from axon_sim.worlds import World

Image = NDArray[np.uint8]
View = tuple[float, float]
_WIDTH, _HEIGHT, _FPS = 704, 396, 15
_MAX_FRAMES = 200
_INSET_WIDTH = 176
_SPEEDUPS = (1, 2, 4, 8, 16, 32, 64)
_FROM_ABOVE_DEG = -70.0
_VIEWS = ((-42.0, 4.2), (-60.0, 5.0), (-82.0, 6.5))  # elevation in degrees, distance in metres: the flattest that sees
_SEEN_SHARE = 0.95
_VIEW_SMOOTHING_S = 1.2
_ROBOT_REACH_M = 1.2
_ANNOTATED_FOR_S = 1.5  # then what the camera saw without the detector's boxes is newer
_FONT = cv2.FONT_HERSHEY_DUPLEX


@dataclass(frozen=True)
class Shot:
    """One picture of the film: when, and where the camera looks from."""

    time_s: float
    look_at_m: NDArray[np.float64]
    azimuth_deg: float


def write_video(
    log: RunLog, world: World, path: Path, progress: Callable[[float], None] = lambda fraction: None
) -> int:
    """Writes a VP8 WebM, which browsers play, and returns its speed-up over simulated time.

    Raises ValueError where the recording has no motion, RuntimeError where nothing can be drawn or encoded here.
    """
    if len(log.truth) < 2:
        raise ValueError("the recording holds no ground truth: there is nothing to film")
    duration_s = log.span_s[1] - log.span_s[0]
    speedup = next((one for one in _SPEEDUPS if duration_s * _FPS / one <= _MAX_FRAMES), _SPEEDUPS[-1])
    shots = list(_shots(log, speedup))
    stage = _Stage(log, world)
    view = stage.choose_view(shots)
    with _silent_stderr():  # OpenCV calls the codec's tag unsupported in WebM, and then writes it rightly
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"VP80"), _FPS, (_WIDTH, _HEIGHT))
    try:
        if not writer.isOpened():
            raise RuntimeError("this OpenCV cannot write WebM (VP8)")
        for number, shot in enumerate(shots):
            writer.write(_compose(stage.draw(shot, view), log, shot.time_s, speedup))
            progress((number + 1) / len(shots))
    finally:
        writer.release()
        stage.close()
    return speedup


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Keeps what a C library writes to stderr from the terminal."""
    saved = os.dup(2)
    with open(os.devnull, "wb") as null:
        os.dup2(null.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def _shots(log: RunLog, speedup: int) -> Iterator[Shot]:
    """The camera follows behind the robot, smoothly."""
    first_s, last_s = log.span_s
    step_s = speedup / _FPS
    blend = 1.0 - np.exp(-step_s / (_VIEW_SMOOTHING_S * max(1.0, 0.5 * speedup)))
    heading = np.exp(1j * log.truth.pose_at(first_s)[2])
    for time_s in np.arange(first_s, last_s + step_s, step_s):
        pose = log.truth.pose_at(time_s)
        heading += blend * (np.exp(1j * pose[2]) - heading)
        yield Shot(float(time_s), np.array([pose[0], pose[1], 0.2]), float(np.degrees(np.angle(heading))))


class _Stage:
    """The world's model, put into recorded states."""

    def __init__(self, log: RunLog, world: World) -> None:
        self._log = log
        self._model = world.spec.compile()
        self._data = mujoco.MjData(self._model)
        self._joint_times_s = np.array([joints.time_s for joints in log.joints])
        self._object_times_s = np.array([objects.time_s for objects in log.objects])
        self._known = {self._model.joint(i).name for i in range(self._model.njnt)}
        self._renderer = OffscreenRenderer(self._model, _WIDTH, _HEIGHT, shadows=False, samples=4)

    def choose_view(self, shots: list[Shot]) -> View:
        """The flattest view from which walls hide the robot in few shots; from above where none is."""
        for view in _VIEWS:
            if np.mean([self._sees_robot(shot, view) for shot in shots]) >= _SEEN_SHARE:
                return view
        return _VIEWS[-1]

    def _sees_robot(self, shot: Shot, view: View) -> bool:
        self._set_state(shot.time_s)
        elevation, azimuth = np.radians(view[0]), np.radians(shot.azimuth_deg)
        away = -np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
        eye = shot.look_at_m + view[1] * away
        hit_m = mujoco.mj_ray(self._model, self._data, eye, -away, None, 1, -1, np.zeros(1, np.int32))
        return hit_m < 0.0 or hit_m > view[1] - _ROBOT_REACH_M

    def draw(self, shot: Shot, view: View) -> Image:
        """The scene at the time of a shot, BGR."""
        self._set_state(shot.time_s)
        camera = mujoco.MjvCamera()
        camera.type = mujoco.mjtCamera.mjCAMERA_FREE
        camera.lookat[:] = shot.look_at_m
        camera.elevation, camera.distance = view
        # A map that turns under the robot makes dizzy.
        camera.azimuth = 90.0 if camera.elevation < _FROM_ABOVE_DEG else shot.azimuth_deg
        return cv2.cvtColor(self._renderer.render(self._data, camera).color, cv2.COLOR_RGB2BGR)

    def _set_state(self, time_s: float) -> None:
        x, y, yaw = self._log.truth.pose_at(time_s)
        self._data.qpos[:2] = x, y
        self._data.qpos[3:7] = [np.cos(0.5 * yaw), 0.0, 0.0, np.sin(0.5 * yaw)]
        for name, position in self._joints_at(time_s).items():
            if name in self._known:
                self._data.joint(name).qpos = position
        for name, pose in self._objects_at(time_s).items():
            if f"{name}_free" in self._known:
                self._data.joint(f"{name}_free").qpos = [*pose[:3], pose[6], *pose[3:6]]
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)

    def _joints_at(self, time_s: float) -> dict[str, float]:
        if not len(self._joint_times_s):
            return {}
        return self._log.joints[int(np.abs(self._joint_times_s - time_s).argmin())].value

    def _objects_at(self, time_s: float) -> dict[str, NDArray[np.float64]]:
        if not len(self._object_times_s):
            return {}
        return self._log.objects[int(np.abs(self._object_times_s - time_s).argmin())].value

    def close(self) -> None:
        self._renderer.close()


def _compose(frame: Image, log: RunLog, time_s: float, speedup: int) -> Image:
    """The frame with the robot's camera and a line of facts on it."""
    _draw_inset(frame, _latest(log.annotated, time_s, _ANNOTATED_FOR_S) or _latest(log.images, time_s))
    _draw_task(frame, _latest(log.tasks, time_s))
    speed_mps = float(np.linalg.norm(log.truth.velocities[int(np.abs(log.truth.times_s - time_s).argmin()), :2]))
    _draw_text(frame, f"{time_s - log.span_s[0]:5.1f} s   {speed_mps:.2f} m/s   x{speedup}", (16, _HEIGHT - 16))
    return frame


def _draw_task(frame: Image, stamped: Stamped | None) -> None:
    """What the executive does, at the top."""
    if stamped is not None and stamped.value.name:
        _draw_text(frame, stamped.value.name, (16, 28), 0.6)


def _draw_inset(frame: Image, stamped: Stamped | None) -> None:
    if stamped is None:
        return
    picture = cv2.imdecode(np.frombuffer(stamped.value, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        return
    height = round(_INSET_WIDTH * picture.shape[0] / picture.shape[1])
    top, left = _HEIGHT - height - 16, _WIDTH - _INSET_WIDTH - 16
    frame[top - 2 : top + height + 2, left - 2 : left + _INSET_WIDTH + 2] = 245
    frame[top : top + height, left : left + _INSET_WIDTH] = cv2.resize(
        picture, (_INSET_WIDTH, height), interpolation=cv2.INTER_AREA
    )
    _draw_text(frame, "robot's camera", (left + 7, top + height - 9), 0.4)


def _draw_text(frame: Image, text: str, at: tuple[int, int], scale: float = 0.5) -> None:
    cv2.putText(frame, text, at, _FONT, scale, (20, 20, 20), 3, cv2.LINE_AA)
    cv2.putText(frame, text, at, _FONT, scale, (250, 250, 250), 1, cv2.LINE_AA)


def _latest(values: list[Stamped], time_s: float, longest_s: float = np.inf) -> Stamped | None:
    """The newest that had come by then, None where it is older than `longest_s`."""
    known = [value for value in values if time_s - longest_s <= value.time_s <= time_s]
    return known[-1] if known else None
