# SPDX-License-Identifier: Apache-2.0
"""The story of a fetch, from its recording: which task when and how it ended, and pictures of what the skills saw."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

import cv2
import numpy as np
from numpy.typing import NDArray

from axon_demo.runlog import Grasp, RunLog, Stamped

_NOT_TASKS = ("idle", "wait for skills", "done")
_FINGER_PX = 7
_BEST_BGR, _OTHER_BGR = (60, 200, 60), (200, 200, 200)
_MOST_GRASPS = 5
_LOOKED_BEFORE_S = 5.0  # while the robot creeps to the object its camera looks at it already


@dataclass(frozen=True)
class Chapter:
    """One task: from when to when (s since the recording began), whether it ended well, and what was said of it."""

    name: str
    began_s: float
    ended_s: float
    done: bool
    words: str


@dataclass(frozen=True)
class Picture:
    """A JPEG with what it shows."""

    caption: str
    jpeg: bytes


def chapters(log: RunLog) -> list[Chapter]:
    """All tasks in order; empty where no executive was recorded."""
    groups = [list(rows) for _, rows in groupby(log.tasks, key=lambda row: row.value.name)]
    told = []
    for rows, following in zip(groups, [*groups, []][1:], strict=True):
        if rows[0].value.name not in _NOT_TASKS:
            told.append(_chapter(log.span_s[0], rows, following[0] if following else rows[-1]))
    return told


def _chapter(first_s: float, rows: list[Stamped], after: Stamped) -> Chapter:
    name, done = rows[0].value.name, after.value.done > rows[0].value.done
    words = _words(rows) if done else after.value.why.rpartition(f"{name}: ")[2].split("; ")[0]
    return Chapter(name, rows[0].time_s - first_s, after.time_s - first_s, done, words)


def _words(rows: list[Stamped]) -> str:
    """What was learnt in a task: the last word, if it is not that of the task before."""
    return rows[-1].value.why if rows[-1].value.why != rows[0].value.why else ""


def pictures(log: RunLog) -> list[Picture]:
    """What the skills saw: the object as it was found, depth at that time, the grasps before the pick."""
    told = chapters(log)
    found = next((one for one in told if one.done and one.name.startswith("find ")), None)
    picked = next((one for one in reversed(told) if one.name.startswith("pick ")), None)
    shown = []
    if found is not None:
        at_s = log.span_s[0] + found.ended_s
        shown.append(_picture(f"Detected: {found.name}", log, log.annotated, at_s))
        shown.append(_picture("Depth seen in that colour image alone", log, log.depths, at_s))
    if picked is not None:
        began_s, ended_s = (log.span_s[0] + time_s for time_s in (picked.began_s, picked.ended_s))
        shown.append(_grasp_picture(log, began_s - _LOOKED_BEFORE_S, ended_s))
    return [one for one in shown if one is not None]


def _picture(caption: str, log: RunLog, images: list[Stamped], time_s: float) -> Picture | None:
    image = _nearest(images, time_s)
    return None if image is None else Picture(f"{caption}, {image.time_s - log.span_s[0]:.1f} s", image.value)


def _grasp_picture(log: RunLog, began_s: float, ended_s: float) -> Picture | None:
    """The surest grasps within a while, drawn into the colour image of then."""
    seen = [one for one in log.grasps if began_s <= one.time_s <= ended_s]
    grasps = max(seen, key=lambda one: one.value[0].quality, default=None)
    image = None if grasps is None else _nearest(log.images, grasps.time_s)
    if grasps is None or image is None or log.focal_px is None:
        return None
    pixels = cv2.imdecode(np.frombuffer(image.value, np.uint8), cv2.IMREAD_COLOR)
    for rank in reversed(range(min(_MOST_GRASPS, len(grasps.value)))):
        draw_grasp(pixels, grasps.value[rank], log.focal_px, _OTHER_BGR if rank else _BEST_BGR)
    caption = (
        f"Grasps, the best one (quality {grasps.value[0].quality:.2f}) in green, {image.time_s - log.span_s[0]:.1f} s"
    )
    return Picture(caption, cv2.imencode(".jpg", pixels)[1].tobytes())


def draw_grasp(pixels: NDArray[np.uint8], grasp: Grasp, focal_px: float, color: tuple[int, int, int]) -> None:
    """Draw the two fingers and the line between them; the camera's centre is that of the image."""
    half = 0.5 * grasp.width_m * grasp.closing
    ends = [_project(grasp.position_m + sign * half, focal_px, pixels.shape) for sign in (-1.0, 1.0)]
    cv2.line(pixels, *(tuple(np.round(end).astype(int).tolist()) for end in ends), color, 1, cv2.LINE_AA)
    along = ends[1] - ends[0]
    across = np.array([-along[1], along[0]]) / max(float(np.linalg.norm(along)), 1e-6)
    for end in ends:
        tips = (tuple(np.round(end + side * _FINGER_PX * across).astype(int).tolist()) for side in (-1.0, 1.0))
        cv2.line(pixels, *tips, color, 2, cv2.LINE_AA)


def _project(point_m: NDArray[np.float64], focal_px: float, shape: tuple[int, ...]) -> NDArray[np.float64]:
    center = 0.5 * (np.array([shape[1], shape[0]]) - 1.0)
    return center + focal_px * point_m[:2] / max(float(point_m[2]), 1e-3)


def _nearest(images: list[Stamped], time_s: float) -> Stamped | None:
    return min(images, key=lambda image: abs(image.time_s - time_s), default=None)
