# SPDX-License-Identifier: Apache-2.0
"""Wall time of `./axon setup` from nothing in a copy of this checkout, and of a second run.

The copy holds what git would commit; .venv, build and install are made anew. With a warm package cache (the second time
that this runs on a machine) the time is that of unpacking and building.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOT_COPIED = shutil.ignore_patterns(".git", ".venv", ".axon", "build", "install", "out", "__pycache__", "*.egg-info")
SET_BY_AXON = {"VIRTUAL_ENV", "AXON_ROOT", "_ROS_WHEELS_BOOTSTRAP_COMPLETE"}
SEARCH_PATHS = {"PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH", "NUMBA_CACHE_DIR",
                "FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this benchmark."""
    parser.add_argument("--keep", type=Path, metavar="DIR", help="make the copy there, and leave it")


def main(args: argparse.Namespace) -> dict[str, float]:
    """Seconds of the first and of the second run; ValueError if a run fails or --keep exists."""
    if args.keep is not None:
        return measure(args.keep)
    with tempfile.TemporaryDirectory(prefix="axon_setup_") as folder:
        return measure(Path(folder) / "axon")


def measure(copy: Path) -> dict[str, float]:
    """Copy the checkout to `copy`, set it up twice, and see that the result runs."""
    if copy.exists():
        raise ValueError(f"--keep {copy}: exists; name a folder that does not")
    shutil.copytree(ROOT, copy, symlinks=True, ignore=NOT_COPIED)
    numbers = {"setup_s": timed(copy, "setup"), "second_run_s": timed(copy, "setup")}
    timed(copy, "run", "python", "-c", "import rclpy, axon_msgs.msg, nav2_msgs.action")
    return numbers


def timed(copy: Path, *verb: str) -> float:
    """Seconds that `./axon VERB` takes in `copy`, in an environment that knows nothing of this workspace."""
    start_s = time.monotonic()
    code = subprocess.run([copy / "axon", *verb], env=outside_environ()).returncode
    if code != 0:
        raise ValueError(f"./axon {verb[0]} ended with exit code {code} in {copy}")
    return time.monotonic() - start_s


def outside_environ() -> dict[str, str]:
    """The environment without what ./axon added to it."""
    ours = str(ROOT)
    environ = {k: v for k, v in os.environ.items() if k not in SET_BY_AXON}
    for name in SEARCH_PATHS:
        entries = [e for e in environ.pop(name, "").split(os.pathsep) if e and not e.startswith(ours)]
        if entries:
            environ[name] = os.pathsep.join(entries)
    return environ
