# SPDX-License-Identifier: Apache-2.0
"""The story of a fetch: its tasks with their times and endings, and the pictures that belong to them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from axon_demo.recorder_node import depth_colors
from axon_demo.runlog import Grasp, Motion, RunLog, Stamped, Task
from axon_demo.story import chapters, draw_grasp, pictures

RED = (0, 0, 255)
NOT_FOUND = "find mug at sofa: nothing there"


def jpeg(level: int) -> bytes:
    return cv2.imencode(".jpg", np.full((240, 320, 3), level, np.uint8))[1].tobytes()


def log_of(*tasks: tuple[float, Task]) -> RunLog:
    motion = Motion(np.array([10.0, 100.0]), np.zeros((2, 3)), np.zeros((2, 3)))
    log = RunLog(motion, motion, motion, tasks=[Stamped(*row) for row in tasks], focal_px=230.0)
    for time_s in range(10, 100):
        log.images.append(Stamped(float(time_s), jpeg(time_s)))
        log.annotated.append(Stamped(float(time_s), jpeg(time_s)))
    return log


def task(name: str, why: str = "", done: int = 0, over: bool = False) -> Task:
    return Task(name, why, done, over, "NOT_FOUND" if over else "NONE")


@pytest.fixture
def log() -> RunLog:
    return log_of(
        (10.0, task("idle", "waiting for a goal")),
        (12.0, task("go to sofa")),
        (20.0, task("find mug at sofa", done=1)),
        (30.0, task("find mug at table", NOT_FOUND, 1)),
        (35.0, task("find mug at table", "mug at x 1.00", 1)),
        (36.0, task("pick mug", done=2)),
        (50.0, task("pick mug", "find mug at sofa: nothing there; pick mug: no grasp; at all", 2, over=True)),
    )


def test_each_task_has_its_time_and_its_ending(log: RunLog) -> None:
    told = chapters(log)
    assert [(one.name, one.began_s, one.ended_s, one.done) for one in told] == [
        ("go to sofa", 2.0, 10.0, True),
        ("find mug at sofa", 10.0, 20.0, False),
        ("find mug at table", 20.0, 26.0, True),
        ("pick mug", 26.0, 40.0, False),
    ]


def test_a_failed_task_says_why_and_no_other_takes_its_words(log: RunLog) -> None:
    assert [one.words for one in chapters(log)] == ["", "nothing there", "mug at x 1.00", "no grasp"]


def test_without_an_executive_there_is_no_story() -> None:
    assert chapters(log_of()) == [] and pictures(log_of()) == []


def test_the_surest_grasps_of_the_pick_are_shown(log: RunLog) -> None:
    def grasps(quality: float) -> list[Grasp]:
        return [Grasp(np.array([0.0, 0.0, 1.0]), np.array([1.0, 0.0, 0.0]), 0.08, quality)]

    log.grasps = [Stamped(t, grasps(q)) for t, q in ((20.0, 0.9), (40.0, 0.5), (42.0, 0.7), (60.0, 0.8))]
    captions = [one.caption for one in pictures(log)]
    assert captions[0] == "Detected: find mug at table, 26.0 s"
    assert "quality 0.70" in captions[1] and captions[1].endswith("32.0 s")


def test_a_grasp_is_drawn_where_the_camera_sees_it() -> None:
    pixels = np.zeros((241, 321, 3), np.uint8)
    draw_grasp(pixels, Grasp(np.array([0.1, -0.05, 1.0]), np.array([1.0, 0.0, 0.0]), 0.08, 1.0), 200.0, RED)
    rows, columns = np.nonzero(pixels[:, :, 2] > 128)
    assert np.mean(rows) == pytest.approx(120 - 10, abs=1.0) and np.mean(columns) == pytest.approx(160 + 20, abs=1.0)
    assert np.ptp(columns) == pytest.approx(0.08 * 200.0, abs=3.0)


def test_near_depth_is_red_far_is_blue_and_unknown_black() -> None:
    colors = depth_colors(np.array([[0.3, 4.9, np.nan, 0.0]], np.float32), 5.0)
    blue, _, red = colors[0, :2].astype(int).T
    assert red[0] > blue[0] and blue[1] > red[1]
    assert not colors[0, 2:].any()
