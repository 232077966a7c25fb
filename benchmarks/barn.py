# SPDX-License-Identifier: Apache-2.0
"""BARN: drive the worlds of the navigation benchmark in closed loop, sensing only scan and odometry.

Protocol (Perille et al. 2020; The BARN Challenge): a Jackal-sized base (0.42 x 0.33 m, 2 m/s) starts at (-2.25, 3)
heading along y, the goal is 10 m ahead; success is to come within 1 m of it in 100 s, a collision ends the run; score
is success * OT / clip(AT, 2 OT, 8 OT). The clock starts with the first command (the challenge's starts 0.1 m later).

So that the scale is known, --peers drive every fifth of the same worlds (--peer-every), with the same noise, planner,
recoveries and shield: dwa, a dynamic window approach of our own (Fox, Burgard, Thrun 1997), and pursuit, our regulated
pure pursuit. Their numbers have their names in front; `mppi_on_dwa_worlds_score` is ours in just those worlds.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import BrokenBarrierError

import numpy as np
from barn_drive import Drive, Task, run_task, start_worker

from axon_sim.barn import generate_barn, list_barn, load_barn

PEERS = ("dwa", "pursuit")
OF_PEERS = ("success", "collision", "score", "timeout", "episodes", "time_mean_s", "held_back")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options beside --data (folder with barn_*.npz or world_*.world files), --json and --seed."""
    parser.add_argument("--generated", type=_positive, metavar="N", help="drive N generated worlds, no data needed")
    parser.add_argument("--worlds", default="20", metavar="W", help="a count, evenly spread; all; a list: 1,5,151")
    parser.add_argument("--runs", type=_positive, default=1, metavar="N", help="runs in each world, with other noise")
    parser.add_argument("--jobs", type=_positive, default=2, metavar="N", help="processes (default: 2)")
    parser.add_argument("--peers", type=_peers, default=("dwa",), metavar="P", help="dwa,pursuit; none (default: dwa)")
    parser.add_argument(
        "--peer-every", type=_positive, default=5, metavar="N", help="peers drive every Nth (default 5)"
    )
    parser.add_argument("--plot", type=Path, metavar="DIR", help="draw every run into this folder")


def main(args: argparse.Namespace) -> dict[str, float]:
    """Drive all worlds asked for; print a line for each, return the means. Raises ValueError for what is not there."""
    if args.generated:
        data, indices = None, [1000 * (args.seed + 1) + i for i in range(args.generated)]
    elif args.data:
        data, indices = str(args.data), choose_worlds(list_barn(args.data), args.worlds)
    else:
        raise ValueError("no worlds: give --data DIR (the BARN worlds) or --generated N")
    tasks = [Task(data, index, run, args.seed) for index in indices for run in range(args.runs)]
    peers = {peer: [replace(task, tracker=peer) for task in tasks[:: args.peer_every]] for peer in args.peers}
    drives, wall_s, peer_drives = drive_all(tasks, args.jobs, peers)
    print_drives(drives)
    for peer, runs in peer_drives.items():
        print(f"\n{peer}, 1 of {args.peer_every} worlds:")
        print_drives(runs)
    if args.plot:
        for drive in drives:
            plot(drive, data, args.plot)
    return metrics_of(drives, wall_s) | peer_metrics(drives, peer_drives, args.peer_every)


def choose_worlds(available: list[int], wanted: str) -> list[int]:
    """Indices by `--worlds`: a count (evenly spread), 'all', or a comma-separated list. Raises ValueError."""
    if wanted == "all":
        return available
    try:
        numbers = [int(word) for word in wanted.split(",") if word.strip()]
    except ValueError as error:
        raise ValueError(f"--worlds {wanted}: expected a count, 'all', or indices such as 1,5,151") from error
    if "," in wanted:
        missing = sorted(set(numbers) - set(available))
        if missing or not numbers:
            raise ValueError(f"--worlds {wanted}: world {missing} is not in the data")
        return numbers
    if not 1 <= numbers[0] <= len(available):
        raise ValueError(f"--worlds {wanted}: expected a count of 1 .. {len(available)}; one world is '{wanted},'")
    return [available[i] for i in np.linspace(0, len(available) - 1, numbers[0]).round().astype(int)]


def drive_all(
    tasks: list[Task], jobs: int, peers: dict[str, list[Task]]
) -> tuple[list[Drive], float, dict[str, list[Drive]]]:
    """Drive all tasks in `jobs` processes, then the peers'; also the wall time of the tasks, without compiling."""
    os.environ.update(OMP_NUM_THREADS="1", NUMBA_NUM_THREADS="1")
    context = multiprocessing.get_context("spawn")
    jobs = min(jobs, len(tasks))
    ready = context.Barrier(jobs + 1)
    with ProcessPoolExecutor(jobs, context, start_worker, (ready, ("mppi", *peers))) as pool:
        drives = [pool.submit(run_task, task) for task in tasks]
        with suppress(BrokenBarrierError):  # a worker that failed: its drives say why
            ready.wait(timeout=600.0)
        began = time.perf_counter()
        results = [drive.result() for drive in drives]
        wall_s = time.perf_counter() - began
        return results, wall_s, {peer: list(pool.map(run_task, runs)) for peer, runs in peers.items()}


def peer_metrics(drives: list[Drive], peer_drives: dict[str, list[Drive]], every: int) -> dict[str, float]:
    """The peers' means under their names, and our own score in the worlds that they drove."""
    numbers = {}
    for peer, runs in peer_drives.items():
        means = metrics_of(runs, 1.0)
        numbers |= {f"{peer}_{key}": means[key] for key in OF_PEERS}
        numbers[f"mppi_on_{peer}_worlds_score"] = statistics.fmean(drive.score for drive in drives[::every])
    return numbers


def metrics_of(drives: list[Drive], wall_s: float) -> dict[str, float]:
    def share(outcome: str) -> float:
        return sum(drive.outcome == outcome for drive in drives) / len(drives)

    arrived = [drive.time_s for drive in drives if drive.outcome == "success"]
    return {
        "success": share("success"),
        "score": statistics.fmean(drive.score for drive in drives),
        "collision": share("collision"),
        "timeout": share("timeout"),
        "speedup": sum(drive.time_s for drive in drives) / wall_s,
        "episodes": len(drives),
        "time_mean_s": statistics.fmean(arrived) if arrived else float("nan"),
        "min_clearance_m": min(drive.min_clearance_m for drive in drives),
        "held_back": statistics.fmean(drive.held_back for drive in drives),
    }


def print_drives(drives: list[Drive]) -> None:
    print(
        f"{'world':>6} {'run':>3} {'outcome':<9} {'AT s':>6} {'OT s':>5} {'score':>6} {'room m':>6} {'held':>5}  reason"
    )
    for drive in drives:
        reason = "" if drive.outcome == "success" else drive.reason
        print(
            f"{drive.index:>6} {drive.run:>3} {drive.outcome:<9} {drive.time_s:6.2f} {drive.optimal_time_s:5.2f} "
            f"{drive.score:6.3f} {drive.min_clearance_m:6.3f} {drive.held_back:5.2f}  {reason}"
        )


def plot(drive: Drive, data_dir: str | None, folder: Path) -> None:
    """Draw world, reference path and the robot's track, coloured by speed."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.collections import EllipseCollection

    world = generate_barn(drive.index) if data_dir is None else load_barn(data_dir, drive.index)
    figure, axes = pyplot.subplots(figsize=(5, 10))
    size = np.full(len(world.cylinders_m), 2.0 * world.radius_m)
    axes.add_collection(
        EllipseCollection(size, size, size * 0, units="x", offsets=world.cylinders_m, transOffset=axes.transData)
    )
    speed = np.linalg.norm(np.diff(drive.path_m[:, :2], axis=0), axis=1) / 0.05
    axes.plot(*world.path_m.T, "g:", lw=1)
    axes.scatter(*drive.path_m[1:, :2].T, c=speed, s=4, cmap="plasma", vmin=0, vmax=2)
    axes.set(xlim=(-5, 0.5), ylim=(2, 13.5), aspect="equal")
    axes.set_title(f"{drive.index} {drive.outcome} {drive.time_s:.1f} s {drive.reason}")
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / f"barn_{drive.index}_{drive.run}.png", dpi=80)
    pyplot.close(figure)


def _peers(text: str) -> tuple[str, ...]:
    names = () if text == "none" else tuple(word for word in text.split(",") if word)
    if set(names) - set(PEERS) or len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"{text}: expected a list of {', '.join(PEERS)}, or none")
    return names


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value}: expected at least 1")
    return value
