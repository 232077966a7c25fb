# SPDX-License-Identifier: Apache-2.0
"""`./axon demo` from end to end: the real nodes drive the simulated robot, and the results are there and right."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from mcap.reader import make_reader
from rosbags.highlevel import AnyReader

from axon_demo.demo import _new_folder
from axon_demo.runlog import read_run
from axon_launch.guard import MARKER
from axon_sim.barn import format_world, generate_barn

sys.path.insert(0, str(Path(__file__).parent))
from processes import children_of, new_tag, wait_until_gone

pytestmark = pytest.mark.timeout(420)


@dataclass
class Demo:
    """A running or finished demo."""

    folder: Path
    tag: str
    process: subprocess.Popen[str]
    code: int = -1
    output: str = ""

    def finish(self, timeout_s: float = 300.0) -> None:
        self.output, _ = self.process.communicate(timeout=timeout_s)
        self.code = self.process.returncode

    def wait_for(self, pattern: str, timeout_s: float = 120.0) -> re.Match[str]:
        """Waits for a line of the nodes' output."""
        log, deadline = self.folder / "launch.log", time.monotonic() + timeout_s
        while True:
            text = log.read_text() if log.exists() else ""
            if match := re.search(pattern, text):
                return match
            assert time.monotonic() < deadline and self.process.poll() is None, f"no {pattern!r} in:\n{text}"
            time.sleep(0.1)

    @property
    def summary(self) -> dict:
        return json.loads((self.folder / "summary.json").read_text())


def start(folder: Path, *words: str) -> Demo:
    tag = new_tag()
    command = [sys.executable, "-m", "axon_demo", "--out", str(folder), "--no-video", *words]
    process = subprocess.Popen(
        command, env={**os.environ, MARKER: tag}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    return Demo(folder, tag, process)


def end(demo: Demo) -> None:
    if demo.process.poll() is None:
        demo.process.kill()
        demo.process.communicate()
    wait_until_gone(demo.tag)


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Demo, Demo]]:
    """Two demos at once: one in a Gazebo file of a BARN world; in the other the planner is killed while it drives.

    At half the pace, since two cores have ten nodes to run.
    """
    folder = tmp_path_factory.mktemp("demos")
    world_file = folder / "some.world"
    world_file.write_text(format_world(generate_barn(7)))
    calm, hit = (
        start(folder / "calm", "--pace", "0.5", "--world", str(world_file)),
        start(folder / "hit", "--pace", "0.5", "--world", "barn-like:7"),
    )
    try:
        hit.wait_for(r"driving to 'goal', [2-8]\.\d m left")
        os.kill(int(hit.wait_for(r"\[planner-\d+\] started, process (\d+)")[1]), signal.SIGKILL)
        calm.finish()
        hit.finish()
        yield calm, hit
    finally:
        end(calm)
        end(hit)


def test_both_runs_succeed_in_domains_of_their_own(two_runs: tuple[Demo, Demo]) -> None:
    domains = [re.search(r"ROS domain (\d+)", (demo.folder / "launch.log").read_text())[1] for demo in two_runs]
    assert domains[0] != domains[1]
    for demo in two_runs:
        assert demo.code == 0, demo.output
        assert demo.summary["success"] is True and demo.summary["goals_reached"] == 1
        assert demo.summary["collisions"] == 0 and demo.summary["min_clearance_m"] > 0.0
        assert "SUCCESS: goal reached" in demo.output


def test_nothing_is_left_running(two_runs: tuple[Demo, Demo]) -> None:
    assert [children_of(demo.tag) for demo in two_runs] == [[], []]


def test_a_killed_planner_comes_back_and_the_stopped_robot_finishes(two_runs: tuple[Demo, Demo]) -> None:
    hit = two_runs[1]
    log = (hit.folder / "launch.log").read_text()
    assert re.search(r"planner-\d+ was ended by SIGKILL", log)
    assert len(re.findall(r"\[planner-\d+\] started", log)) == 2
    truth = read_run(hit.folder / "run.mcap").truth
    goal = np.array([hit.summary["goal_0_x_m"], hit.summary["goal_0_y_m"]])
    on_the_way = np.linalg.norm(truth.poses[:, :2] - goal, axis=1) > 1.0
    moved = np.linalg.norm(truth.poses[:, :2] - truth.poses[0, :2], axis=1) > 0.3
    assert np.abs(truth.velocities[on_the_way & moved, 0]).min() < 0.05


def test_the_recording_is_read_by_mcap_and_by_rosbags(two_runs: tuple[Demo, Demo]) -> None:
    path = two_runs[0].folder / "run.mcap"
    with path.open("rb") as stream:
        reader = make_reader(stream)
        assert reader.get_header().profile == "ros2"
        assert reader.get_summary().statistics.message_count > 500
    with AnyReader([path]) as bag:
        topics = {connection.topic for connection in bag.connections}
        assert {"/scan", "/odom", "/tf", "/tf_static", "/cmd_vel", "/plan", "/costmap", "/diagnostics"} <= topics
        scans = [
            bag.deserialize(data, one.msgtype)
            for one, _, data in bag.messages([c for c in bag.connections if c.topic == "/scan"])
        ]
    stamps_s = [scan.header.stamp.sec + 1e-9 * scan.header.stamp.nanosec for scan in scans]
    assert np.all(np.diff(stamps_s) > 0.0)
    assert np.median(np.diff(stamps_s)) == pytest.approx(0.1, abs=0.02)


def test_the_report_tells_of_every_node(two_runs: tuple[Demo, Demo]) -> None:
    page = (two_runs[0].folder / "report.html").read_text()
    assert "Mission accomplished" in page
    for node in ("sim", "safety", "planner", "recorder"):
        assert f"<td>{node}</td>" in page


def test_ctrl_c_leaves_no_process_and_a_readable_recording(tmp_path: Path) -> None:
    demo = start(tmp_path / "out", "--pace", "0.5", "--world", "barn-like:7")
    try:
        demo.wait_for(r"driving to 'goal'")
        time.sleep(5.0)  # on the way still; who missed the first announcement of a topic waits 3 s for the next
        demo.process.send_signal(signal.SIGINT)
        demo.finish(60.0)
        assert demo.code == 130, demo.output
        assert children_of(demo.tag) == []
        assert len(read_run(demo.folder / "run.mcap").truth) > 10
    finally:
        end(demo)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--world", "apartmant"], "did you mean 'apartment'"),
        (["--world", "barn:151", "--data", "/nowhere"], "/nowhere"),
        (["--timeout", "0"], "timeout_s"),
        (["--seed", "-1"], "seed = -1"),
        (["--pace", "-1"], "real_time_factor"),
        (["--speed", "9"], "unrecognized arguments"),
    ],
)
def test_wrong_arguments_start_nothing(words: list[str], part: str, tmp_path: Path) -> None:
    demo = start(tmp_path / "out", *words)
    demo.finish(60.0)
    assert demo.code == 2
    assert part in demo.output
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    demo = start(tmp_path / "file" / "out", "--world", "barn-like:7")
    demo.finish(60.0)
    assert demo.code == 2
    assert "file" in demo.output
    assert "Traceback" not in demo.output


def test_runs_of_one_second_get_folders_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "strftime", lambda _: "20260101-000000")
    folders = [_new_folder(tmp_path / "out") for _ in range(3)]
    assert [folder.name for folder in folders] == ["20260101-000000", "20260101-000000-2", "20260101-000000-3"]


def test_a_world_file_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    text = format_world(generate_barn(7))
    (tmp_path / "half.world").write_text(text[: len(text) // 2])
    demo = start(tmp_path / "out", "--world", str(tmp_path / "half.world"))
    demo.finish(60.0)
    assert demo.code == 2
    assert "half.world" in demo.output
    assert "Traceback" not in demo.output
