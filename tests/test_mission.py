# SPDX-License-Identifier: Apache-2.0
"""The whole robot fetches: shipped networks, every node, one table. And the bench asks what it says it asks."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from axon_core.models import shipped_models
from axon_demo.runlog import read_run
from axon_demo.story import chapters, pictures
from axon_sim.worlds import make_world

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import mission

NEEDED = {"detector", "grasp"}


@pytest.mark.timeout(420)
@pytest.mark.skipif(
    not set(shipped_models().names) >= NEEDED, reason="the detector or the grasp network is not shipped"
)
def test_a_can_is_found_on_a_table_picked_and_brought(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    words = ["--world", "tabletop:1001", "--object", "can", "--no-video", "--out", str(folder)]
    done = subprocess.run([sys.executable, "-m", "axon_demo", *words], capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["success"] is True and summary["collisions"] == 0 and summary["lift_m"] > 0.05
    log = read_run(folder / "run.mcap")
    told = [one.name for one in chapters(log) if one.done]
    order = ["go to table", "find can at table", "approach can", "pick can", "step back with can", "bring can to away"]
    assert [name for name in told if name in order] == order
    assert pictures(log)[0].caption.split(",")[0] == "Detected: find can at table"
    for node in ("sim", "safety", "planner", "slam", "detector", "grasp", "mission"):
        assert f"{node}_cpu_percent" in summary
    page = (folder / "report.html").read_text()
    assert "Skills, one after another" in page and "map that the robot made" in page


def test_the_bench_asks_for_objects_that_are_there_and_brings_them_elsewhere() -> None:
    asked = set()
    for seed in range(1000, 1006):
        world = make_world(f"apartment:{seed}")
        thing, place = mission.task_of(world, seed)
        placed = next(one for one in world.objects if one.category == thing)
        assert place in world.goals and place != placed.place
        assert (thing, place) == mission.task_of(world, seed)
        asked.add(thing)
    assert len(asked) > 2


def test_the_benchs_numbers_are_shares_and_means() -> None:
    good = {"success": True, "found": True, "picked": True, "collisions": 0, "duration_s": 80.0, "rtf": 0.9}
    bad = {"success": False, "found": True, "picked": False, "collisions": 2, "duration_s": 30.0, "rtf": 0.7}
    loads = {"sim_cpu_percent": 20.0, "slam_cpu_percent": 10.0, "sim_latency_p95_ms": 3.0}
    numbers = mission.metrics_of([good | loads, bad | loads | {"sim_cpu_percent": 40.0}])
    assert (numbers["success"], numbers["collision"], numbers["found"], numbers["picked"]) == (0.5, 0.5, 1.0, 0.5)
    assert numbers["time_s"] == 80.0 and numbers["rtf"] == pytest.approx(0.8) and numbers["rtf_min"] == 0.7
    assert numbers["sim_cpu_percent"] == 30.0 and numbers["all_cpu_percent"] == 40.0
    assert math.isnan(mission.metrics_of([bad])["time_s"])
