# SPDX-License-Identifier: Apache-2.0
"""Where installed packages and their executables lie, found as ros2 does: through AMENT_PREFIX_PATH."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from axon_launch.errors import LaunchError, suggest

_INDEX = Path("share/ament_index/resource_index/packages")


def prefixes(environment: Mapping[str, str] = os.environ) -> list[Path]:
    """The install prefixes, most specific first; empty where no workspace is sourced."""
    return [Path(entry) for entry in environment.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if entry]


def package_names(environment: Mapping[str, str] = os.environ) -> set[str]:
    folders = [prefix / _INDEX for prefix in prefixes(environment)]
    return {entry.name for folder in folders if folder.is_dir() for entry in folder.iterdir()}


def package_prefix(package: str, environment: Mapping[str, str] = os.environ) -> Path:
    """The prefix that a package is installed in. Raises LaunchError with the nearest names."""
    for prefix in prefixes(environment):
        if package and (prefix / _INDEX / package).exists():
            return prefix
    names = package_names(environment)
    remedy = suggest(package, names) if names else "AMENT_PREFIX_PATH is empty: source the workspace, or use ./axon run"
    raise LaunchError(f"package {package!r} is not installed; {remedy}")


def package_share(package: str, environment: Mapping[str, str] = os.environ) -> Path:
    return package_prefix(package, environment) / "share" / package


def executable_path(package: str, executable: str, environment: Mapping[str, str] = os.environ) -> Path:
    """`<prefix>/lib/<package>/<executable>`. Raises LaunchError with the nearest names."""
    folder = package_prefix(package, environment) / "lib" / package
    path = folder / executable
    if path.is_file() and os.access(path, os.X_OK):
        return path
    names = [entry.name for entry in folder.iterdir() if os.access(entry, os.X_OK)] if folder.is_dir() else []
    raise LaunchError(f"package {package!r} has no executable {executable!r}; {suggest(executable, names)}")
