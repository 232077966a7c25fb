# SPDX-License-Identifier: Apache-2.0
"""The whole mission: `./axon demo` in apartments that nothing was trained or tuned on, an object each.

World, noise and object follow from the seed: `--seeds N` runs the seeds S .. S+N-1 from `--seed S`. Evaluation has the
seeds 0 .. 999; recipes and tuning use others, from 1000. The robot is told the object's name, where the tables are and
where to bring it. `success`: it truly is in the hand at the place, nothing was touched, within `--timeout` simulated
seconds. `collision`: share of runs that touched something; `object_touches`: how often the object touched the robot
(carrying it). `found`, `picked`: share that got so far. `rtf`: simulated seconds a second while the task went on (mean;
`rtf_min` the slowest run). `NODE_cpu_percent` of one core, `NODE_latency_p95_ms`: of each node, mean over the runs.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from axon_sim.worlds import World, make_world

OTHER_PLACE = {"coffee_table": "kitchen", "dining_table": "living_room"}
NODE_KEYS = ("_cpu_percent", "_latency_p50_ms", "_latency_p95_ms")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options beside --json and --seed, the first one."""
    parser.add_argument("--seeds", type=int, default=10, metavar="N", help="number of apartments (default: 10)")
    parser.add_argument(
        "--timeout", type=float, default=300.0, metavar="S", help="simulated s a mission (default: 300)"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="keep each run's report and recording there")


def main(args: argparse.Namespace) -> dict[str, float]:
    """Run the missions, print a line of each, and return the shares and means."""
    if args.seeds < 1:
        raise ValueError(f"--seeds {args.seeds}: expected 1 or more")
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.out or Path(scratch)
        runs = [
            run_one(seed, folder / f"seed-{seed}", args.timeout) for seed in range(args.seed, args.seed + args.seeds)
        ]
    return metrics_of(runs)


def task_of(world: World, seed: int) -> tuple[str, str]:
    """What to fetch and where to bring it, by chance."""
    placed = world.objects[int(np.random.default_rng([seed, 7]).integers(len(world.objects)))]
    return placed.category, OTHER_PLACE[placed.place]


def run_one(seed: int, folder: Path, timeout_s: float) -> dict[str, Any]:
    """One mission; its summary."""
    name = f"apartment:{seed}"
    thing, place = task_of(make_world(name), seed)
    words = ["--world", name, "--seed", str(seed), "--object", thing, "--to", place, "--timeout", str(timeout_s)]
    command = [sys.executable, "-m", "axon_demo", "--no-video", "--out", str(folder), *words]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    summary_file = folder / "summary.json"
    if not summary_file.exists():
        raise ValueError(f"the demo of {name} has left no summary:\n{result.stdout[-1500:]}{result.stderr[-1500:]}")
    summary = json.loads(summary_file.read_text(encoding="utf-8"))
    verdict = "success" if summary["success"] else "failed "
    pace = f"{summary.get('duration_s', 0.0):5.0f} s, rtf {summary.get('rtf', math.nan):.2f}"
    print(f"  {name:<15} {thing:<7} {verdict}  {pace}  {summary['reason']}", flush=True)
    return summary


def metrics_of(runs: list[dict[str, Any]]) -> dict[str, float]:
    """Shares and means over the summaries."""
    paces = [run["rtf"] for run in runs if "rtf" in run]
    times = [run["duration_s"] for run in runs if run["success"]]
    return {
        "runs": len(runs),
        "success": share(runs, "success"),
        "collision": fmean(run.get("collisions", 0) > 0 for run in runs),
        "found": share(runs, "found"),
        "picked": share(runs, "picked"),
        "object_touches": sum(run.get("object_touches", 0) for run in runs),
        "time_s": fmean(times) if times else math.nan,
        "rtf": fmean(paces) if paces else math.nan,
        "rtf_min": min(paces, default=math.nan),
        **node_means(runs),
    }


def share(runs: list[dict[str, Any]], key: str) -> float:
    """Share of the runs of which something is true."""
    return fmean(bool(run.get(key, False)) for run in runs)


def node_means(runs: list[dict[str, Any]]) -> dict[str, float]:
    """Load and latency of each node, mean over the runs that say it; and the load of all nodes together."""
    values = defaultdict(list)
    for run in runs:
        for key in run:
            if key.endswith(NODE_KEYS):
                values[key].append(run[key])
    means = {key: fmean(of_runs) for key, of_runs in sorted(values.items())}
    return means | {"all_cpu_percent": sum(mean for key, mean in means.items() if key.endswith("_cpu_percent"))}
