# SPDX-License-Identifier: Apache-2.0
"""`./axon` and its setup, on a copy of the tools in a workspace whose pip and colcon are stubs: no network."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import mend_cmake_paths
import psutil
import pytest
from setup_workspace import Setup, SetupError, check_distribution
from workspace import WHEELS, State, Workspace, detect_ground

ROOT = Path(__file__).resolve().parents[1]
NOT_IN_ENVIRON = {"AMENT_PREFIX_PATH", "ROS_DISTRO", "AXON_SKIP_SETUP", "AXON_PYTHON", "VIRTUAL_ENV"}

# Stands in for .venv/bin/python. It notes its arguments in `calls`, and hangs with a child that ignores SIGINT, as a
# compiler may, in the step that the file `hang` names.
FAKE_PYTHON = """
    #!/bin/bash
    cd "{root}"
    echo "$*" >> calls
    hang() {{
        grep -q "$1" hang 2>/dev/null || return 0
        (trap '' INT; exec sleep 600) & echo $! > hanging
        wait
    }}
    case "$*" in
        *"-m pip"*) echo "Collecting numpy"; hang pip ;;
        *"-m colcon"*)
            mkdir -p install; : > install/local_setup.bash
            for name in one two; do
                case " $* " in *" $name "*) ;; *) continue ;; esac
                echo "Starting >>> $name"
                [ "$name" = two ] && hang colcon
                mkdir -p install/$name; echo "Finished <<< $name [1s]"
            done ;;
    esac
"""


def write_package(folder: Path, name: str) -> Path:
    package = folder / name
    (package / "msg").mkdir(parents=True)
    (package / "package.xml").write_text(f"<package><name>{name}</name></package>")
    (package / "CMakeLists.txt").write_text(f"project({name})")
    (package / "msg" / "Thing.msg").write_text("int32 x\n")
    return package


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with two packages, and with a virtual environment that is a stub."""
    root = tmp_path / "checkout"
    root.mkdir()
    shutil.copy(ROOT / "axon", root)
    for folder in ("tools", "requirements"):
        shutil.copytree(ROOT / folder, root / folder)
    write_package(root / "underlay", "one")
    write_package(root / "src", "two")
    python = root / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(textwrap.dedent(FAKE_PYTHON).lstrip().format(root=root))
    python.chmod(0o755)
    (root / ".axon").mkdir()
    (root / ".axon" / "venv_of").write_text(f"{root} {WHEELS}")
    return root


def outside() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k not in NOT_IN_ENVIRON} | {"AXON_PYTHON": sys.executable}


def axon(root: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [root / "axon", *arguments], env=outside() | environ, capture_output=True, text=True, timeout=60
    )


def wait_for(path: Path, process: subprocess.Popen[str]) -> str:
    deadline = time.monotonic() + 30
    while not (path.is_file() and path.read_text()):
        assert process.poll() is None and time.monotonic() < deadline, f"{path.name} never came"
        time.sleep(0.05)
    return path.read_text()


@contextlib.contextmanager
def started_setup(root: Path, hang_in: str) -> Iterator[subprocess.Popen[str]]:
    """`./axon setup` that hangs in pip or colcon; whatever the test does, nothing of it is left."""
    (root / "hang").write_text(hang_in)
    process = subprocess.Popen(
        [root / "axon", "setup"], env=outside(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield process
    finally:
        for child in psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []:
            child.kill()
        process.kill()
        process.wait()


def calls(root: Path) -> list[str]:
    return (root / "calls").read_text().splitlines()


def test_setup_from_nothing_then_nothing_to_do(checkout: Path):
    first = axon(checkout, "setup")
    assert first.returncode == 0, first.stdout + first.stderr
    assert [step in first.stdout for step in ("[1/5]", "[5/5]", "ready in")] == [True] * 3
    before = calls(checkout)
    second = axon(checkout, "setup")
    assert second.returncode == 0 and second.stdout.startswith("ready")
    assert calls(checkout) == before


def test_only_what_changed_is_built_again(checkout: Path):
    axon(checkout, "setup")
    (checkout / "src" / "two" / "msg" / "Thing.msg").write_text("int64 x\n")
    (checkout / "calls").unlink()
    assert axon(checkout, "setup").returncode == 0
    (build,) = (call for call in calls(checkout) if "colcon" in call)
    assert " two " in build and " one " not in build
    assert not any("pip install" in call for call in calls(checkout))


@pytest.mark.parametrize("step", ["pip", "colcon"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_setup_leaves_no_process_and_goes_on(checkout: Path, step: str, number: signal.Signals):
    with started_setup(checkout, step) as process:
        hanging = int(wait_for(checkout / "hanging", process))
        family = psutil.Process(process.pid).children(recursive=True)
        assert psutil.pid_exists(hanging)
        process.send_signal(number)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert "Traceback" not in output and "run it again" in output
    assert not psutil.wait_procs(family, timeout=5)[1]
    assert not psutil.pid_exists(hanging)

    (checkout / "hang").unlink()
    (checkout / "calls").unlink()
    again = axon(checkout, "setup")
    assert again.returncode == 0, again.stdout + again.stderr
    if step == "colcon":  # package one was finished, it is not built again
        assert [" one " in call for call in calls(checkout) if "colcon" in call] == [False]


def test_second_setup_waits_for_the_first(checkout: Path):
    with started_setup(checkout, "pip") as first:
        wait_for(checkout / "hanging", first)
        second = subprocess.Popen([checkout / "axon", "setup"], env=outside(), stdout=subprocess.PIPE, text=True)
        assert second.stdout is not None
        assert "waiting" in second.stdout.readline()
        (checkout / "hang").unlink()
        os.kill(int((checkout / "hanging").read_text()), signal.SIGKILL)
        assert first.wait(timeout=30) == 0
        assert second.wait(timeout=30) == 0
    assert sum("--requirement" in call and "ros.txt" in call for call in calls(checkout)) == 1


def test_failure_shows_the_end_of_the_log(checkout: Path):
    python = checkout / ".venv" / "bin" / "python"
    python.write_text(python.read_text().replace("hang colcon", "{ echo 'no such header'; exit 3; }"))
    result = axon(checkout, "setup")
    assert result.returncode == 1
    assert "no such header" in result.stderr and "setup_build.log" in result.stderr
    assert "Traceback" not in result.stderr


def test_unwritable_checkout(checkout: Path):
    shutil.rmtree(checkout / ".axon")
    (checkout / ".axon").write_text("in the way")  # permissions would not stop root
    result = axon(checkout, "setup")
    assert result.returncode == 1
    assert f"cannot write in {checkout}" in result.stderr and "Traceback" not in result.stderr


@pytest.mark.parametrize("name", ["a checkout", "a:checkout"])
def test_path_that_colcon_cannot_stand(checkout: Path, name: str):
    result = axon(checkout.rename(checkout.parent / name), "setup")
    assert result.returncode == 1
    assert name in result.stderr and "move the checkout" in result.stderr


def bare_path(tmp_path: Path, **scripts: str) -> str:
    """A search path with a few system tools, and with `scripts`; no Python among them."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in ("bash", "dirname", "readlink", "cat", "grep", "sed", "env"):
        (folder / tool).symlink_to(shutil.which(tool) or tool)
    for name, text in scripts.items():
        (folder / name.replace("_", "-")).write_text(f"#!/bin/bash\n{text}\n")
        (folder / name.replace("_", "-")).chmod(0o755)
    return str(folder)


def test_missing_python_without_root_names_the_command(checkout: Path, tmp_path: Path):
    path = bare_path(tmp_path, apt_get="exit 9", id="echo 1000")
    result = axon(checkout, "setup", PATH=path, AXON_PYTHON="")
    assert result.returncode == 1
    (command,) = (line for line in result.stderr.splitlines() if "apt-get install" in line)
    assert {"python3", "python3-venv", "cmake", "g++"} <= set(command.split())


def test_missing_python_is_installed_as_root(checkout: Path, tmp_path: Path):
    path = bare_path(tmp_path, apt_get='echo "$*" >> "$APT_CALLS"', id="echo 0")
    result = axon(checkout, "setup", PATH=path, AXON_PYTHON="", APT_CALLS=str(tmp_path / "apt"))
    assert result.returncode == 1 and "no Python 3.10 to 3.12" in result.stderr  # the stub installed nothing
    update, install = (tmp_path / "apt").read_text().splitlines()
    assert "update" in update and "python3-venv" in install.split()


@pytest.mark.parametrize("verb", ["setup", "run", "doctor", "test", "bench"])
def test_every_verb_has_help(verb: str):
    result = axon(ROOT, verb, "--help", AXON_SKIP_SETUP="1")
    assert result.returncode == 0, result.stderr
    assert f"./axon {verb}" in result.stdout


def test_unknown_verb():
    result = axon(ROOT, "frobnicate")
    assert result.returncode == 2 and "frobnicate" in result.stderr and "usage" in result.stderr


def test_run_passes_on_exit_code_and_arguments():
    script = "import sys; print(sys.argv[1:]); sys.exit(7)"
    result = axon(ROOT, "run", "python", "-c", script, "a b", "$HOME", AXON_SKIP_SETUP="1")
    assert result.returncode == 7 and result.stdout.strip() == str(["a b", "$HOME"])


def test_environment_is_complete_without_home():
    environ = {k: v for k, v in outside().items() if k not in {"HOME", "DISPLAY", "MUJOCO_GL"}}
    names = ["HOME", "MUJOCO_GL", "ROS_AUTOMATIC_DISCOVERY_RANGE", "FASTDDS_DEFAULT_PROFILES_FILE", "AMENT_PREFIX_PATH"]
    script = f"import json, os, rclpy; rclpy.init(); print(json.dumps([os.environ.get(n) for n in {names}]))"
    command = [ROOT / "axon", "run", "python", "-c", script]
    result = subprocess.run(command, env=environ | {"AXON_SKIP_SETUP": "1"}, capture_output=True, text=True, timeout=60)
    home, backend, discovery, profile, prefixes = json.loads(result.stdout)
    assert home and backend == "egl" and discovery == "LOCALHOST" and Path(profile).is_file() and prefixes


def test_fingerprint_follows_what_is_installed(tmp_path: Path):
    package = write_package(tmp_path / "src", "one")
    (package / "one").mkdir()
    (package / "one" / "node.py").write_text("a = 1")

    def fingerprint() -> str:
        return Workspace(tmp_path, {}).wanted_packages()["one"]

    before = fingerprint()
    (package / "one" / "node.py").write_text("a = 2")  # installed as a link: live at once
    (package / "one" / "other.py").write_text("b = 2")
    assert fingerprint() == before
    (package / "table.csv").write_text("1,2")  # a new data file is not
    assert fingerprint() != before
    before = fingerprint()
    (package / "msg" / "Thing.msg").write_text("int64 x\n")
    assert fingerprint() != before


def distribution(folder: Path, *packages: str) -> dict[str, str]:
    """An environment in which a ROS distribution with `packages` is sourced."""
    for name in packages:
        (folder / "share" / name).mkdir(parents=True)
        (folder / "share" / name / "package.xml").write_text(f"<package><name>{name}</name></package>")
    return {"ROS_DISTRO": "jazzy", "AMENT_PREFIX_PATH": str(folder)}


def test_sourced_distribution_replaces_wheels_and_underlay(tmp_path: Path):
    write_package(tmp_path / "ours" / "underlay", "one")
    write_package(tmp_path / "ours" / "src", "two")
    workspace = Workspace(tmp_path / "ours", distribution(tmp_path / "opt", "rclpy", "one"))
    assert workspace.ground.name == "jazzy"
    assert [p.name for p in workspace.packages()] == ["two"]
    names = {file.name for files in workspace.requirement_groups().values() for file in files}
    assert "ros.txt" not in names and "runtime.txt" in names


def test_own_prefixes_are_no_distribution(tmp_path: Path):
    environ = distribution(tmp_path / "install", "rclpy")
    assert detect_ground(tmp_path, environ).name == WHEELS
    assert detect_ground(tmp_path / "elsewhere", {"ROS_DISTRO": "jazzy"}).name == WHEELS


def test_distribution_that_lacks_packages_names_rosdep(tmp_path: Path):
    write_package(tmp_path / "ours" / "underlay", "nav2_msgs")
    workspace = Workspace(tmp_path / "ours", distribution(tmp_path / "opt", "rclpy"))
    with pytest.raises(SetupError, match=r"lacks nav2_msgs(.|\n)*rosdep install"):
        check_distribution(workspace)


def test_state_of_another_place_does_not_count(checkout: Path):
    workspace = Workspace(checkout, {})
    workspace.save_state(State(str(checkout), WHEELS, {"base": "x"}))
    assert workspace.load_state().requirements == {"base": "x"}
    moved = checkout.rename(checkout.parent / "moved")
    assert Workspace(moved, {}).load_state() == State()
    (moved / ".axon" / "setup.json").write_text("{ cut off")
    assert Workspace(moved, {}).load_state() == State()


def test_half_installed_packages_are_removed(checkout: Path):
    site = checkout / ".venv" / "lib" / "python3.11" / "site-packages"
    for name, files in {"whole": ["METADATA", "RECORD"], "half": ["METADATA"]}.items():
        (site / f"{name}-1.0.dist-info").mkdir(parents=True)
        for file in files:
            (site / f"{name}-1.0.dist-info" / file).touch()
    Setup(Workspace(checkout, {}), None)._remove_half_installed()
    assert [p.name for p in site.iterdir()] == ["whole-1.0.dist-info"]


@pytest.mark.parametrize("tag", ["310", "311", "312"])
def test_build_machine_paths_are_mended(tag: str, tmp_path: Path):
    minor = tag[1:]
    numpy = f"/opt/python/cp{tag}-cp{tag}/lib/python3.{minor}/site-packages/numpy/_core/include"
    (tmp_path / "share" / "a").mkdir(parents=True)
    file = tmp_path / "share" / "a" / "aExport.cmake"
    file.write_text(f'"/opt/python/cp{tag}-cp{tag}/include/python3.{minor};{numpy};/usr/include"')
    assert mend_cmake_paths.mend_prefix(tmp_path) == 1
    folders = file.read_text().strip('"').split(";")
    assert (Path(folders[0]) / "Python.h").is_file()
    assert (Path(folders[1]) / "numpy" / "arrayobject.h").is_file()
    assert mend_cmake_paths.mend_prefix(tmp_path) == 0
