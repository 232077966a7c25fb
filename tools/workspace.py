# SPDX-License-Identifier: Apache-2.0
"""Where things are in this workspace, which ground it stands on, and what has been built from what.

Everything here is cheap (tens of milliseconds): every verb asks `Workspace.is_ready()` before it runs.
Standard library only, since it runs before anything is installed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

WHEELS = "wheels"

# What a package is rebuilt for: these by content, all other files but tests and Python sources by name, since
# colcon --symlink-install makes an edited file live at once.
BUILD_FILES = {"package.xml", "CMakeLists.txt", "setup.py", "setup.cfg"}
BUILD_SUFFIXES = {".msg", ".srv", ".action", ".cmake"}
LIVE_SUFFIXES = {".py", ".pyc", ".md"}
NOT_BUILT = {"test", "__pycache__", "build", "install", "log"}
# Folders of the repository that a package installs from outside its own.
INSTALLED_BY = {"axon_bringup": ("launch", "config", "models", "rviz")}


@dataclass(frozen=True)
class Ground:
    """Where ROS 2 comes from: the wheels on PyPI, or a distribution that is sourced in this shell."""

    name: str  # "wheels", or the distribution's name
    prefixes: tuple[Path, ...] = ()  # of the distribution, empty for the wheels

    @property
    def is_wheels(self) -> bool:
        """Whether ROS 2 is installed from PyPI."""
        return self.name == WHEELS

    def provides(self, package: str) -> bool:
        """Whether the distribution has `package`."""
        return any((prefix / "share" / package / "package.xml").is_file() for prefix in self.prefixes)


def detect_ground(root: Path, environ: Mapping[str, str]) -> Ground:
    """Return the sourced ROS distribution (one that has rclpy, outside `root`), or the wheels."""
    paths = (Path(p) for p in environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p)
    prefixes = tuple(p for p in paths if not p.is_relative_to(root))
    ground = Ground(environ.get("ROS_DISTRO", ""), prefixes)
    return ground if ground.name and ground.provides("rclpy") else Ground(WHEELS)


@dataclass(frozen=True)
class Package:
    """A source package of the workspace."""

    name: str
    path: Path
    has_interfaces: bool  # messages, services or actions

    def fingerprint(self) -> str:
        """Hash of all that decides what an installed copy looks like (see `BUILD_FILES`)."""
        digest = hashlib.sha256()
        for path in sorted(self._files()):
            digest.update(os.path.relpath(path, self.path).encode())
            if path.name in BUILD_FILES or path.suffix in BUILD_SUFFIXES:
                digest.update(path.read_bytes())
        return digest.hexdigest()

    def _files(self) -> Iterable[Path]:
        outside = (self.path.parent.parent / name for name in INSTALLED_BY.get(self.name, ()))
        for top in (self.path, *outside):
            for folder, folders, names in os.walk(top):
                folders[:] = [f for f in folders if f not in NOT_BUILT and not f.endswith(".egg-info")]
                paths = (Path(folder, name) for name in names)
                yield from (p for p in paths if p.name in BUILD_FILES or p.suffix not in LIVE_SUFFIXES)


def read_package(path: Path) -> Package:
    """Read the name and the kind of the package in folder `path`; ValueError if its package.xml has no name."""
    text = (path / "package.xml").read_text(encoding="utf-8")
    name = re.search(r"<name>\s*([A-Za-z0-9_]+)\s*</name>", text)
    if name is None:
        raise ValueError(f"{path / 'package.xml'} has no <name>")
    return Package(name.group(1), path, any((path / kind).is_dir() for kind in ("msg", "srv", "action")))


@dataclass
class State:
    """What has been done, as written to .axon/setup.json after each step that succeeded."""

    root: str = ""
    ground: str = ""
    requirements: dict[str, str] = field(default_factory=dict)  # group -> fingerprint
    packages: dict[str, str] = field(default_factory=dict)  # package -> fingerprint


class Workspace:
    """The checkout at `root`, in the environment `environ`."""

    def __init__(self, root: Path, environ: Mapping[str, str] = os.environ):
        self.root = root
        self.environ = environ
        self.ground = detect_ground(root, environ)
        self.venv = root / ".venv"
        self.state_dir = root / ".axon"
        self.log_dir = self.state_dir / "log"
        self.install = root / "install"
        self.build = root / "build"
        self.paths_script = self.state_dir / "paths.sh"

    @property
    def python(self) -> Path:
        """The virtual environment's interpreter."""
        return self.venv / "bin" / "python"

    def packages(self) -> list[Package]:
        """Packages to build here: all of src, and of the underlay what the ground lacks."""
        folders = sorted(p.parent for top in ("underlay", "src") for p in self.root.glob(f"{top}/*/package.xml"))
        found = [read_package(f) for f in folders if not (f / "COLCON_IGNORE").exists()]
        return [p for p in found if not self.ground.provides(p.name)]

    def requirement_groups(self) -> dict[str, list[Path]]:
        """Requirement files that pip installs together, in the order of installation."""
        folder = self.root / "requirements"
        base = [folder / "pip.txt", folder / "build.txt", folder / f"numpy{self.numpy_major()}.txt"]
        if self.ground.is_wheels:
            base.append(folder / "ros.txt")
        libraries = [folder / "runtime.txt", folder / "dev.txt"]
        return {"base": base, "libraries": libraries, "torch": [folder / "torch.txt"]}

    def numpy_major(self) -> int:
        """NumPy's major version that the ground's message packages were built against."""
        headers = [p for prefix in self.ground.prefixes for p in prefix.glob("lib/python3*")]
        return 1 if headers and self.ground.name in {"humble", "iron", "jazzy", "kilted"} else 2

    def wanted_requirements(self) -> dict[str, str]:
        """Fingerprint of each requirement group as it is now."""
        return {name: fingerprint_files(files) for name, files in self.requirement_groups().items()}

    def wanted_packages(self) -> dict[str, str]:
        """Fingerprint of each package as it is now."""
        return {p.name: p.fingerprint() for p in self.packages()}

    def load_state(self) -> State:
        """What has been done here; empty if nothing was, or if it was done elsewhere or on another ground."""
        try:
            state = State(**json.loads((self.state_dir / "setup.json").read_text(encoding="utf-8")))
        except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):
            return State()  # never set up, or by another version of this file
        same = state.root == str(self.root) and state.ground == self.ground.name and self.python.exists()
        return state if same else State()

    def save_state(self, state: State) -> None:
        """Write `state` so that a reader sees the old one or the new one, never half of it."""
        path = self.state_dir / "setup.json"
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps(asdict(state), indent=1), encoding="utf-8")
        temporary.replace(path)

    def is_ready(self) -> bool:
        """Whether everything that is wanted has been built, from the files as they are now."""
        state = self.load_state()
        return (
            state.requirements == self.wanted_requirements()
            and state.packages == self.wanted_packages()
            and self.paths_script.is_file()
            and all((self.install / name).is_dir() for name in state.packages)
        )


def fingerprint_files(files: Iterable[Path]) -> str:
    """Hash of the contents of `files`, comments left out."""
    digest = hashlib.sha256()
    for path in files:
        lines = path.read_text(encoding="utf-8").splitlines()
        digest.update("\n".join(line for line in lines if not line.startswith("#")).encode())
    return digest.hexdigest()
