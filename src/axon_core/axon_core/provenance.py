# SPDX-License-Identifier: Apache-2.0
"""Where a number, a network or a report comes from: the commit and the processor."""

import platform
import subprocess
from pathlib import Path


def commit_of(folder: Path) -> str:
    """Return the commit that is checked out there, with + where the tree differs from it; "unknown" outside of git."""
    command = ["git", "-C", str(folder), "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def processor_name() -> str:
    """Return the processor's model, or its architecture where the system does not say more."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text("utf-8").splitlines() if cpuinfo.is_file() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
