# SPDX-License-Identifier: Apache-2.0
"""The report: whole, offline, honest about the verdict, and safe against what nodes write into it."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from axon_core.footprints import rectangle_footprint
from axon_core.grids import OCCUPIED, Grid
from axon_demo.facts import clearances_m, run_facts
from axon_demo.report import Scene, write_report
from axon_demo.runlog import RunLog, read_run

sys.path.insert(0, str(Path(__file__).parent))
import synthetic

SUMMARY = {
    "success": False, "reason": "collided with <b>wall</b>", "world": "test", "seed": 3, "goals": 1, "goals_reached": 0,
    "collisions": 1, "duration_s": 10.0, "goal_0_name": "the end", "goal_0_x_m": 1.0, "goal_0_y_m": 1.0,
    "goal_0_reached": False, "goal_0_attempts": 1,
}  # fmt: skip


def page(tmp_path: Path, summary: dict[str, Any], log: RunLog, video: Path | None = None) -> str:
    grid = Grid(np.zeros((60, 40), np.int8), 0.1, np.array([0.0, -1.0]))
    grid.data[0] = OCCUPIED
    footprint = rectangle_footprint(0.4, 0.3)
    clearance_m = clearances_m(log.truth.poses, footprint, grid)
    write_report(
        tmp_path / "report.html", log, summary | run_facts(log, clearance_m), Scene(grid, footprint), clearance_m, video
    )
    return (tmp_path / "report.html").read_text()


@pytest.fixture
def log(tmp_path: Path) -> RunLog:
    synthetic.write_run(tmp_path / "run.mcap")
    return read_run(tmp_path / "run.mcap")


def data_of(text: str) -> dict[str, Any]:
    return json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.S)[1])


def test_it_asks_nothing_of_the_network(tmp_path: Path, log: RunLog) -> None:
    text = page(tmp_path, SUMMARY, log)
    links = re.findall(r'(?:src|href|url\()\s*[=(]?\s*"?((?:https?:)?//[^"\s)]+)', text)
    assert links == []
    assert set(re.findall(r"https?://[^\s\"']+", text)) <= {"http://www.w3.org/2000/svg"}


def test_the_verdict_is_on_top_and_escaped(tmp_path: Path, log: RunLog) -> None:
    text = page(tmp_path, SUMMARY, log)
    assert text.index("Mission failed</h1>") < text.index("collided with &lt;b&gt;wall")
    assert "<b>wall</b>" not in text and "&lt;slow&gt;" in text
    assert "Mission accomplished</h1>" in page(tmp_path, SUMMARY | {"success": True, "reason": "goal reached"}, log)


def test_the_map_holds_the_driven_and_the_planned_path(tmp_path: Path, log: RunLog) -> None:
    data = data_of(page(tmp_path, SUMMARY, log))["map"]
    track = np.array(data["truth"])
    assert track[0, 1:3] == pytest.approx(synthetic.START[:2])
    centre = synthetic.START[:2] - np.array([1.0, 0.0])
    assert np.linalg.norm(track[:, 1:3] - centre, axis=1) == pytest.approx(np.ones(len(track)), abs=2e-3)
    assert data["plans"][0]["points"][-1] == pytest.approx([2.0, 3.0])
    assert data["costmap"]["frame"] == pytest.approx([2.0, 1.0, 90.0])


def test_charts_hold_speed_and_clearance(tmp_path: Path, log: RunLog) -> None:
    speed, _, clearance = data_of(page(tmp_path, SUMMARY, log))["charts"]
    assert np.array(speed["series"][1]["points"])[:, 1] == pytest.approx(synthetic.SPEED_MPS)
    assert np.array(clearance["series"][0]["points"])[:, 1].min() >= 0.0


def test_an_empty_recording_still_gives_a_page(tmp_path: Path) -> None:
    from axon_demo.recording import Recording

    Recording(tmp_path / "empty.mcap", []).close()
    text = page(
        tmp_path,
        {"success": False, "reason": "nothing came", "world": "test", "seed": 0},
        read_run(tmp_path / "empty.mcap"),
    )
    assert "nothing came" in text


def test_the_film_is_inside(tmp_path: Path, log: RunLog) -> None:
    film = tmp_path / "video.webm"
    film.write_bytes(b"film")
    assert "data:video/webm;base64,ZmlsbQ==" in page(tmp_path, SUMMARY, log, film)
    assert "<video" not in page(tmp_path, SUMMARY, log)
