# SPDX-License-Identifier: Apache-2.0
"""./axon setup: make this checkout ready to run, from nothing or from wherever the last time got to.

On a bare machine: a virtual environment with ROS 2 from PyPI, and all packages of underlay/ and src/ built by colcon.
With a ROS distribution sourced: its ROS, the same virtual environment on top of it, and only src/ built.
Each step that succeeds is written down with a fingerprint of what it was made from, so that a second run does only what
changed, and an interrupted one goes on.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from jobs import Console, Interrupted, Job, JobFailed, interruptible, run_jobs
from workspace import Package, State, Workspace

TORCH_INDEX = os.environ.get("AXON_TORCH_INDEX", "https://download.pytorch.org/whl/cpu")
PATH_VARIABLES = ("AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH")
MIN_FREE_GB = 5


class SetupError(Exception):
    """Something that only the user can mend; the text says what, and how."""


class Setup:
    """The steps, over a workspace and its state."""

    def __init__(self, workspace: Workspace, console: Console):
        self.workspace = workspace
        self.console = console
        self.state = workspace.load_state()

    def run(self) -> None:
        """Do what is missing."""
        with self.console.heading("System packages"):
            self.install_system_packages()
        with self.console.heading("Python environment"):
            self.make_venv()
        with self.console.heading("ROS 2 and build tools" if self.workspace.ground.is_wheels else "Build tools"):
            self.install_base()
        with self.console.heading("Libraries and packages"):
            self.install_libraries_and_build()
        with self.console.heading("Environment"):
            self.write_paths()

    def install_system_packages(self) -> None:
        """Let apt install what is missing; SetupError with the command where it may not."""
        script = self.workspace.root / "tools" / "system_packages.sh"
        if subprocess.run(["bash", str(script), "install"]).returncode != 0:
            raise SetupError("the system packages above are missing; install them, then run ./axon setup again")

    def make_venv(self) -> None:
        """Make .venv, anew if it belongs to another ground or place, is half made, or its Python is gone."""
        workspace = self.workspace
        if self.state.root and _works(workspace.python):
            return
        check_free_space(workspace.root)
        made_for = workspace.state_dir / "venv_of"
        if not (made_for.is_file() and _read(made_for) == self._venv_id() and _works(workspace.python)):
            for folder in (workspace.venv, workspace.build, workspace.install):
                shutil.rmtree(folder, ignore_errors=True)
            command = [sys.executable, "-m", "venv", str(workspace.venv)]
            if not workspace.ground.is_wheels:
                command.append("--system-site-packages")
            self._run("virtual environment", [command])
            made_for.write_text(self._venv_id(), encoding="utf-8")
        self.state = State(str(workspace.root), workspace.ground.name)

    def _venv_id(self) -> str:
        return f"{self.workspace.root} {self.workspace.ground.name}"

    def install_base(self) -> None:
        """ROS wheels, NumPy and colcon: what a message package needs to be built."""
        if self._has_requirements("base"):
            return
        self._remove_half_installed()
        files = self.workspace.requirement_groups()["base"]
        self._run("pip", [self._pip(files[:1]), self._pip(files)])  # pip itself first
        if self.workspace.ground.is_wheels:
            mend = str(self.workspace.root / "tools" / "mend_cmake_paths.py")
            self._run("mend", [[str(self.workspace.python), mend, str(self.workspace.venv)]])
        self._note_requirements("base")

    def install_libraries_and_build(self) -> None:
        """pip and colcon side by side: one waits for the disk while the other compiles."""
        jobs = [job for job in (self._libraries_job(), self._build_job()) if job]
        run_jobs(jobs, self.console)
        for group in ("libraries", "torch"):
            self._note_requirements(group)

    def _libraries_job(self) -> Job | None:
        missing = [g for g in ("libraries", "torch") if not self._has_requirements(g)]
        if not missing:
            return None
        self._remove_half_installed()
        commands = []
        if "libraries" in missing:
            commands.append(self._pip(self.workspace.requirement_groups()["libraries"]))
        if "torch" in missing:
            commands.append([sys.executable, str(Path(__file__)), "--install-torch"])
        return Job("pip", commands, self._log("pip_libraries"), self._environ(), pip_progress)

    def _build_job(self) -> Job | None:
        wanted = self.workspace.wanted_packages()
        for gone in set(self.state.packages) - set(wanted):
            self._forget_package(gone)
        changed = [p for p in self.workspace.packages() if self.state.packages.get(p.name) != wanted[p.name]]
        if not changed:
            return None
        progress = BuildProgress(len(changed), lambda name: self._note_package(name, wanted[name]))
        # Messages first: they take longest, and beside the small ones at the end no core is left without work.
        parts = ([p for p in changed if p.has_interfaces], [p for p in changed if not p.has_interfaces])
        commands = [colcon_command(self.workspace, part) for part in parts if part]
        return Job("build", commands, self._log("build"), self._environ(), progress)

    def write_paths(self) -> None:
        """Write .axon/paths.sh: what the built packages and the virtual environment add to the environment."""
        text = paths_script(self.workspace, self._environ())
        temporary = self.workspace.paths_script.with_suffix(".tmp")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(self.workspace.paths_script)

    def _run(self, name: str, commands: list[list[str]]) -> None:
        run_jobs([Job(name, commands, self._log(name.replace(" ", "_")), self._environ(), pip_progress)], self.console)

    def _log(self, name: str) -> Path:
        return self.workspace.log_dir / f"setup_{name}.log"

    def _environ(self) -> dict[str, str]:
        return build_environ(self.workspace)

    def _pip(self, files: list[Path]) -> list[str]:
        numpy = f"numpy{self.workspace.numpy_major()}.txt"
        command = [*pip_install(self.workspace), "--constraint", str(self.workspace.root / "requirements" / numpy)]
        return command + [word for file in files for word in ("--requirement", str(file))]

    def _has_requirements(self, group: str) -> bool:
        return self.state.requirements.get(group) == self.workspace.wanted_requirements()[group]

    def _note_requirements(self, group: str) -> None:
        self.state.requirements[group] = self.workspace.wanted_requirements()[group]
        self.workspace.save_state(self.state)

    def _note_package(self, name: str, fingerprint: str) -> None:
        self.state.packages[name] = fingerprint
        self.workspace.save_state(self.state)

    def _forget_package(self, name: str) -> None:
        for folder in (self.workspace.build, self.workspace.install):
            shutil.rmtree(folder / name, ignore_errors=True)
        self.state.packages.pop(name, None)
        self.workspace.save_state(self.state)

    def _remove_half_installed(self) -> None:
        """Remove what an interrupted pip left: metadata without RECORD, which the next pip takes for installed."""
        for info in self.workspace.venv.glob("lib/python3*/site-packages/*.dist-info"):
            if not (info / "RECORD").is_file():
                shutil.rmtree(info)


class BuildProgress:
    """Reads colcon's output: counts packages, and reports each that is finished."""

    def __init__(self, count: int, on_finished):
        self.count = count
        self.on_finished = on_finished
        self.running: list[str] = []
        self.done = 0

    def __call__(self, line: str) -> str | None:
        event = re.match(r"(Starting >>>|Finished <<<|Failed\s+<<<|Aborted\s+<<<) (\S+)", line)
        if event is None:
            return None
        kind, name = event.groups()
        if kind.startswith("Starting"):
            self.running.append(name)
        elif name in self.running:
            self.running.remove(name)
        if kind.startswith("Finished"):
            self.done += 1
            self.on_finished(name)
        return f"{self.done}/{self.count} {' '.join(self.running)}"


def pip_progress(line: str) -> str | None:
    """The words of pip's output that tell where it is."""
    match = re.match(r"(Collecting|Downloading|Installing|Building|Using cached) ([^\s=<>(,]+)", line)
    return f"{match.group(1).lower()} {match.group(2)}" if match else None


def pip_install(workspace: Workspace) -> list[str]:
    """The pip command that every step shares. Byte code is compiled when first imported: most of it never is."""
    return [str(workspace.python), "-m", "pip", "install", "--no-compile", "--progress-bar", "off",
            "--disable-pip-version-check", "--no-input"]  # fmt: skip


def colcon_command(workspace: Workspace, packages: list[Package]) -> list[str]:
    """The colcon command that builds `packages`."""
    workers = str(os.cpu_count() or 1)
    return [
        str(workspace.python), "-m", "colcon", "--log-base", str(workspace.log_dir / "colcon"), "build",
        "--symlink-install", "--base-paths", str(workspace.root / "underlay"), str(workspace.root / "src"),
        "--build-base", str(workspace.build), "--install-base", str(workspace.install),
        "--packages-select", *(p.name for p in packages), "--continue-on-error",
        "--executor", "parallel", "--parallel-workers", workers,
        "--cmake-args", "-DBUILD_TESTING=OFF", f"-DPython3_EXECUTABLE={workspace.python}", "--no-warn-unused-cli",
    ]  # fmt: skip


def build_environ(workspace: Workspace) -> dict[str, str]:
    """Environment in which pip and colcon run: the virtual environment first, its wheels as an ament prefix."""
    environ = {k: v for k, v in workspace.environ.items() if k not in {"PYTHONPATH", "PYTHONHOME"}}
    environ["PATH"] = f"{workspace.venv / 'bin'}{os.pathsep}{environ.get('PATH', os.defpath)}"
    environ["VIRTUAL_ENV"] = str(workspace.venv)
    if not workspace.ground.is_wheels:
        environ["PYTHONPATH"] = workspace.environ.get("PYTHONPATH", "")
        return environ
    environ["AMENT_PREFIX_PATH"] = environ["CMAKE_PREFIX_PATH"] = str(workspace.venv)
    # The wheels' own bootstrapper sets these too, and re-executes Python for it, in another order each time.
    environ["LD_LIBRARY_PATH"] = os.pathsep.join(map(str, wheel_libraries(workspace.venv)))
    environ["_ROS_WHEELS_BOOTSTRAP_COMPLETE"] = "1"
    return environ


def wheel_libraries(venv: Path) -> list[Path]:
    """Folders of the ROS wheels' shared libraries."""
    return [venv / "lib", *sorted(venv.glob("lib/python3*/site-packages/ros_*.libs"))]


def paths_script(workspace: Workspace, environ: Mapping[str, str]) -> str:
    """Shell text that adds to the path variables what the virtual environment and the built packages need."""
    script = shlex.quote(str(workspace.install / "local_setup.bash"))
    command = f". {script} && " + " && ".join(f'printf "%s\\0" "${{{v}:-}}"' for v in PATH_VARIABLES)
    result = subprocess.run(["bash", "-c", command], env=dict(environ), capture_output=True, text=True, check=True)
    lines = ["# Written by ./axon setup.", f"export VIRTUAL_ENV={shlex.quote(str(workspace.venv))}"]
    for variable, after in zip(PATH_VARIABLES, result.stdout.split("\0"), strict=False):
        before = workspace.environ.get(variable, "").split(os.pathsep)
        ours = [e for e in after.split(os.pathsep) if e and (e not in before or Path(e).is_relative_to(workspace.root))]
        lines += [f"axon_prepend {variable} {shlex.quote(e)}" for e in reversed(ours)]
    if workspace.ground.is_wheels:
        lines.append("export _ROS_WHEELS_BOOTSTRAP_COMPLETE=1")
    return "\n".join(lines) + "\n"


def install_torch(workspace: Workspace) -> None:
    """Install PyTorch and what needs it: the CUDA build where an NVIDIA GPU is seen, else the CPU build from wherever
    it can be had."""
    requirements = workspace.root / "requirements" / "torch.txt"
    pinned = requirements.read_text(encoding="utf-8")
    version = re.search(r"^torch==([\d.]+)", pinned, re.MULTILINE)
    if version is None:
        raise SetupError("requirements/torch.txt has no line torch==VERSION")
    torch = f"torch=={version.group(1)}"
    pip = pip_install(workspace)
    impatient = ["--retries", "0", "--timeout", "10"]
    attempts = [
        [*pip, f"{torch}+cpu"],
        [*pip, *impatient, f"{torch}+cpu", "--extra-index-url", TORCH_INDEX],
    ]
    if has_nvidia_gpu():
        attempts = []
    found = any(subprocess.run(command).returncode == 0 for command in attempts)
    if attempts and not found:
        print(f"no CPU build of {torch} at {TORCH_INDEX} (AXON_TORCH_INDEX); installing the CUDA build, several GB")
    subprocess.run([*pip, "--requirement", str(requirements)], check=True)


def has_nvidia_gpu() -> bool:
    """Whether the NVIDIA driver is loaded."""
    return Path("/proc/driver/nvidia/version").exists()


def check_free_space(root: Path) -> None:
    """SetupError where a fresh installation would not fit."""
    free_gb = shutil.disk_usage(root).free / 1e9
    if free_gb < MIN_FREE_GB:
        raise SetupError(f"{free_gb:.1f} GB free at {root}: the installation needs {MIN_FREE_GB} GB; make room")


def check_root(workspace: Workspace) -> None:
    """SetupError where the checkout cannot be used as it lies."""
    if re.search(rf"[\s{os.pathsep}]", str(workspace.root)):
        reason = f"colcon's environment scripts break where a path has a space or '{os.pathsep}' in it"
        raise SetupError(f"{workspace.root}: {reason}; move the checkout")
    try:
        workspace.log_dir.mkdir(parents=True, exist_ok=True)
        (workspace.state_dir / "lock").touch()
    except OSError as error:
        reason = f"cannot write in {workspace.root} ({error.strerror})"
        raise SetupError(f"{reason}; make it yours or move the checkout") from error


def check_distribution(workspace: Workspace) -> None:
    """SetupError that names rosdep where the sourced distribution lacks message packages that src/ needs."""
    if workspace.ground.is_wheels:
        return
    underlay = sorted(p.name for p in (workspace.root / "underlay").iterdir() if (p / "package.xml").is_file())
    lacking = [n for n in underlay if n != "axon_launch" and not workspace.ground.provides(n)]
    if lacking:
        raise SetupError(
            f"ROS 2 {workspace.ground.name} lacks {', '.join(lacking)}; install what the packages depend on:\n"
            f"    rosdep install --from-paths src --ignore-src --rosdistro {workspace.ground.name} -y"
        )


@contextlib.contextmanager
def only_one(workspace: Workspace, console: Console) -> Iterator[None]:
    """Hold the workspace's lock; wait for another setup that holds it."""
    with (workspace.state_dir / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.say("another ./axon is setting up this checkout; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _works(python: Path) -> bool:
    return python.exists() and subprocess.run([python, "-c", "import pip"], capture_output=True).returncode == 0


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def set_up(workspace: Workspace) -> None:
    """Bring the workspace up to date, one process at a time."""
    start_s = time.monotonic()
    console = Console(steps=5)
    check_root(workspace)
    with only_one(workspace, console):
        if workspace.is_ready():
            return
        check_distribution(workspace)
        Setup(workspace, console).run()
    console.say(f"ready in {time.monotonic() - start_s:.1f} s")


def main(argv: list[str]) -> int:
    """Exit code: 0 ready, 1 failed, 128 + n ended by signal n."""
    parser = argparse.ArgumentParser(
        prog="./axon setup",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--quiet", action="store_true", help="say nothing when there is nothing to do")
    parser.add_argument("--check", action="store_true", help="do nothing; exit code 0 if ready, 1 if not")
    parser.add_argument("--install-torch", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    workspace = Workspace(Path(__file__).resolve().parent.parent)
    if args.install_torch:
        install_torch(workspace)
        return 0
    start_s = time.monotonic()
    ready = workspace.is_ready()
    if args.check or ready:
        if ready and not args.quiet:
            print(f"ready ({workspace.ground.name}); looked in {time.monotonic() - start_s:.2f} s")
        return 0 if ready else 1
    try:
        with interruptible():
            set_up(workspace)
    except Interrupted as interrupted:
        print(f"\naxon setup: ended by {interrupted}; run it again to go on from here", file=sys.stderr)
        return interrupted.code
    except (SetupError, JobFailed, ValueError) as error:
        print(f"\naxon setup: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
