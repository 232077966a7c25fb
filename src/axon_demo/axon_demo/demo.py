# SPDX-License-Identifier: Apache-2.0
"""`./axon demo`: runs the whole job through its launch file, then tells about it."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from axon_core.provenance import commit_of, processor_name
from axon_demo.config import DirectorConfig
from axon_demo.director_node import make_run
from axon_demo.facts import clearances_m, node_facts, run_facts
from axon_demo.report import Scene, write_report
from axon_demo.runlog import RunLog, read_run
from axon_demo.video import write_video
from axon_launch.guard import child_setup
from axon_launch.packages import package_share
from axon_sim.barn import BarnWorld, barn_score, generate_barn, load_barn, parse_world
from axon_sim.config import SimConfig
from axon_sim.robot import robot_footprint
from axon_sim.worlds import World, make_world
from axon_sim.worlds.barn_field import find_barn_dir

_USAGE_CODE, _INTERRUPTED_CODE = 2, 130
_MAP_RESOLUTION_M = 0.025
_FETCHING_WORLDS = ("apartment", "tabletop")
_SECOND_PLACE = {"tabletop": "away"}
_DIRECTOR_LINE = re.compile(r"^\[director-\d+\] \[(?:INFO|WARN|ERROR|FATAL)\] \[[\d.]+\] \[director\]: (.*)$")
_RUNNER_TROUBLE = re.compile(r"^\[launch\] (?:ERROR|.* ERROR|.* was ended by SIG(?:KILL|SEGV|ABRT)|starting .* again)")


@dataclass(frozen=True)
class Files:
    """What a run leaves in its folder."""

    folder: Path

    @property
    def recording(self) -> Path:
        return self.folder / "run.mcap"

    @property
    def summary(self) -> Path:
        return self.folder / "summary.json"

    @property
    def report(self) -> Path:
        return self.folder / "report.html"

    @property
    def video(self) -> Path:
        return self.folder / "video.webm"

    @property
    def log(self) -> Path:
        return self.folder / "launch.log"

    @property
    def mission(self) -> Path:
        return self.folder / "mission.yaml"


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0 where the mission succeeded, 1 where not, 2 for wrong arguments, 130 after Ctrl-C."""
    options = _parsed(argv)
    try:
        SimConfig(seed=options.seed, real_time_factor=options.pace)
        world = make_world(options.world, options.seed, options.data)
        make_run(world, _director_config(options))
        files = _clean_files(options.out)
    except (ValueError, OSError) as error:
        print(f"axon demo: {error}", file=sys.stderr)
        return _USAGE_CODE
    print(f"world {world.name}: {_task(options, world)}; everything goes to {files.folder}", flush=True)
    if options.mission == "fetch":
        _write_mission_config(world, files.mission)
    interrupted = _drive(options, files)
    if interrupted is not None:
        print(f"interrupted; what was recorded is in {files.recording}")
        return interrupted
    return _tell(options, world, files)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="axon demo",
        description="Let the simulated robot fetch an object, or drive to the goals of a world, headless, and report.",
        epilog="Exit code: 0 mission succeeded, 1 failed, 2 wrong arguments, 130 interrupted.",
    )
    parser.add_argument(
        "--world", default="apartment", help="apartment, warehouse, barn:N, barn-like:SEED, a .world file"
    )
    parser.add_argument(
        "--mission", choices=("fetch", "drive"), help="fetch an object, or drive to all goals (default: fetch at home)"
    )
    parser.add_argument("--object", default="mug", help="what to fetch (default mug)")
    parser.add_argument("--to", metavar="PLACE", help="goal of the world to bring it to (default kitchen)")
    parser.add_argument("--search", default="", metavar="PLACES", help="goals to look at, with commas between")
    parser.add_argument("--seed", type=int, default=0, help="seed of the world and of all noise (default 0)")
    parser.add_argument("--out", type=Path, help="folder for the results (default out/<time>)")
    parser.add_argument("--data", help="folder of the BARN worlds, for barn:N (default: $AXON_BARN_DIR)")
    parser.add_argument(
        "--timeout", type=float, default=300.0, metavar="S", help="longest time, simulated s (default 300)"
    )
    parser.add_argument("--pace", type=float, default=1.0, metavar="F", help="simulated seconds a second (default 1)")
    parser.add_argument(
        "--no-video", dest="video", action="store_false", help="leave out the film, which takes a while to draw"
    )
    return parser


def _parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options; what depends on the world is filled in."""
    options = _parser().parse_args(argv)
    kind = options.world.partition(":")[0]
    options.mission = options.mission or ("fetch" if kind in _FETCHING_WORLDS else "drive")
    options.to = options.to or _SECOND_PLACE.get(kind, "kitchen")
    return options


def _director_config(options: argparse.Namespace) -> DirectorConfig:
    """The run's parameters; ValueError where they do not fit."""
    config = DirectorConfig(world=options.world, seed=options.seed, timeout_s=options.timeout)
    if options.mission == "drive":
        return config
    return replace(config, fetch=options.object, search_places=options.search, bring_to=options.to)


def _task(options: argparse.Namespace, world: World) -> str:
    if options.mission == "drive":
        return f"{len(world.goals)} goal(s) to drive to"
    return f"a {options.object} to find and to bring to {options.to}"


def _write_mission_config(world: World, path: Path) -> None:
    """The executive's parameters with this world's places, as seen from the start: all that it is told of the world."""
    shipped = package_share("axon_bringup") / "config" / "mission.yaml"
    config = yaml.safe_load(shipped.read_text(encoding="utf-8"))
    places = {**world.goals_from_start(), "start": np.zeros(3)}
    config["/**/mission"]["ros__parameters"]["places"] = [
        f"{name}={x:.3f},{y:.3f},{yaw:.4f}" for name, (x, y, yaw) in places.items()
    ]
    path.write_text(yaml.safe_dump(config), encoding="utf-8")


def _clean_files(out: Path | None) -> Files:
    """The files of this run, with nothing of an earlier one left; OSError where they cannot be written."""
    files = Files(out or _new_folder(Path("out")))
    files.folder.mkdir(parents=True, exist_ok=True)
    for leftover in (files.summary, files.recording, files.report, files.video, files.mission):
        leftover.unlink(missing_ok=True)
    files.log.write_text("", encoding="utf-8")
    return files


def _new_folder(parent: Path) -> Path:
    """Makes a folder named by the time, of this run alone: two runs can start in the same second."""
    first = parent / time.strftime("%Y%m%d-%H%M%S")
    folder, number = first, 1
    while True:
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            number += 1
            folder = first.with_name(f"{first.name}-{number}")


# --- the run --------------------------------------------------------------------------------------------------------


def _drive(options: argparse.Namespace, files: Files) -> int | None:
    """Runs the launch file to its end; returns the exit code where a signal ended it, else None."""
    # In a session of its own the runner gets Ctrl-C from here only, once.
    runner = subprocess.Popen(
        _launch_command(options, files),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        preexec_fn=child_setup(os.getpid()),
    )
    taken: list[int] = []

    def pass_on(number: int, _frame: object) -> None:
        taken.append(number)
        runner.send_signal(number)

    saved = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        _follow(runner, files.log)
        runner.wait()
    finally:
        for number, handler in saved.items():
            signal.signal(number, handler)
    return 128 + taken[0] if taken else None


def _launch_command(options: argparse.Namespace, files: Files) -> list[str]:
    values = {
        "world": options.world if "/" not in options.world else str(Path(options.world).resolve()),
        "seed": options.seed,
        "data_dir": str(Path(options.data).resolve()) if options.data else "",
        "out_dir": str(files.folder.resolve()),
        "timeout_s": options.timeout,
        "real_time_factor": options.pace,
        "planner_config": package_share("axon_bringup")
        / "config"
        / ("barn" if _is_barn(options.world) else "")
        / "planner.yaml",
    }
    if options.mission == "fetch":
        values |= {"fetch": "true", "object": options.object, "search_places": options.search, "bring_to": options.to}
        values["mission_config"] = files.mission.resolve()
    arguments = [f"{name}:={value}" for name, value in values.items()]
    return [sys.executable, "-m", "axon_launch", "demo", "--isolated", *arguments]


def _is_barn(world: str) -> bool:
    return world.partition(":")[0] in ("barn", "barn-like") or world.endswith(".world")


def _follow(runner: subprocess.Popen[str], log: Path) -> None:
    """Keeps all output in a file and shows what the director says."""
    assert runner.stdout is not None
    with log.open("w", encoding="utf-8") as stream:
        for line in runner.stdout:
            stream.write(line)
            stream.flush()
            said = _DIRECTOR_LINE.match(line)
            if said or _RUNNER_TROUBLE.match(line):
                print(f"  {said[1] if said else line.strip()}", flush=True)


# --- what is told ---------------------------------------------------------------------------------------------------


def _tell(options: argparse.Namespace, world: World, files: Files) -> int:
    summary = _verdict(options, files)
    try:
        log = read_run(files.recording)
    except (OSError, ValueError) as error:
        return _conclude(summary | {"success": False, "reason": f"nothing was recorded: {error}"}, files)
    obstacles = world.ground_truth_grid(_MAP_RESOLUTION_M)
    clearance_m = clearances_m(log.truth.poses, robot_footprint(), obstacles)
    summary |= _machine() | run_facts(log, clearance_m) | _time_facts(options, summary, log)
    summary |= node_facts(log, summary.get("started_s", log.span_s[0]))
    summary |= _film(options, world, log, files)
    video = files.video if files.video.exists() else None
    write_report(files.report, log, summary, Scene(obstacles, robot_footprint()), clearance_m, video)
    return _conclude(summary, files)


def _verdict(options: argparse.Namespace, files: Files) -> dict[str, Any]:
    """What the director wrote, or that it wrote nothing."""
    if files.summary.exists():
        return json.loads(files.summary.read_text())
    return {
        "success": False,
        "reason": f"the run ended without a verdict, see {files.log}",
        "world": options.world,
        "seed": options.seed,
    }


def _film(options: argparse.Namespace, world: World, log: RunLog, files: Files) -> dict[str, Any]:
    if not options.video:
        return {}
    try:
        return {"video_speedup": write_video(log, world, files.video, _Progress("drawing the film"))}
    except (RuntimeError, ValueError) as error:
        files.video.unlink(missing_ok=True)
        return {"video_missing": str(error)}
    except KeyboardInterrupt:
        files.video.unlink(missing_ok=True)
        raise


class _Progress:
    """A percentage that is rewritten on a terminal, and one line elsewhere."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._live = sys.stdout.isatty()
        if not self._live:
            print(f"  {what}", flush=True)

    def __call__(self, fraction: float) -> None:
        if self._live:
            print(f"\r  {self._what} {100.0 * fraction:3.0f} %", end="\n" if fraction >= 1.0 else "", flush=True)


def _time_facts(options: argparse.Namespace, summary: dict[str, Any], log: RunLog) -> dict[str, float]:
    """How fast simulated time ran, and BARN's score where the world has an optimal time."""
    facts: dict[str, float] = {}
    field = _barn_world(options)
    if field is not None and field.path_m is not None and "duration_s" in summary:
        score = barn_score(summary["success"], summary["duration_s"], field.optimal_time_s)
        facts |= {"barn_score": round(score, 4), "optimal_time_s": round(field.optimal_time_s, 3)}
    return facts


def _barn_world(options: argparse.Namespace) -> BarnWorld | None:
    """The benchmark's description of a BARN world, None for other worlds."""
    kind, _, number = options.world.partition(":")
    if options.world.endswith(".world"):
        return parse_world(Path(options.world))
    if kind == "barn":
        return load_barn(find_barn_dir(options.data), int(number or options.seed))
    return generate_barn(int(number or options.seed)) if kind == "barn-like" else None


def _machine() -> dict[str, Any]:
    return {
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "commit": commit_of(Path(__file__).resolve().parent),
        "machine": f"{processor_name()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _conclude(summary: dict[str, Any], files: Files) -> int:
    files.summary.write_text(json.dumps(_plain(summary), indent=1) + "\n")
    print(f"{'SUCCESS' if summary['success'] else 'FAILED'}: {summary['reason']}")
    for path in (files.report, files.summary, files.recording, files.video, files.log):
        if path.exists():
            print(f"  {path}")
    return 0 if summary["success"] else 1


def _plain(summary: dict[str, Any]) -> dict[str, Any]:
    return {key: value.item() if isinstance(value, np.generic) else value for key, value in summary.items()}
