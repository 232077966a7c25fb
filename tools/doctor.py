# SPDX-License-Identifier: Apache-2.0
"""./axon doctor: look at this machine and this checkout; say what is missing and the command that mends it.

Exit code 0 if everything that is needed is there (a warning is not needed), 1 if not.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from setup_workspace import MIN_FREE_GB, has_nvidia_gpu
from workspace import Workspace

OK, NOTE, WARN, FAIL = "ok", "note", "warn", "FAIL"
MIN_SHM_MB = 128  # the profile's shared-memory segments of a handful of participants
MIN_UDP_BUFFER = 2 * 1024 * 1024
MIN_MEMORY_GB = 4
RENDER = """
import mujoco
model = mujoco.MjModel.from_xml_string('<mujoco><worldbody><light pos="0 0 3"/><geom size="1"/></worldbody></mujoco>')
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
with mujoco.Renderer(model, 32, 32) as renderer:
    renderer.update_scene(data)
    assert renderer.render().any(), "the image is black"
"""


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `remedy` is a command, or what to do."""

    level: str
    text: str
    remedy: str = ""


Check = Callable[[Workspace], Iterator[Finding]]


def check_machine(workspace: Workspace) -> Iterator[Finding]:
    """Processor, Python, memory, disk."""
    if platform.machine() == "x86_64" or not workspace.ground.is_wheels:
        yield Finding(OK, f"processor {platform.machine()}, {os.cpu_count()} cores")
    else:
        remedy = "install a ROS 2 distribution (Humble or newer), source it and run ./axon setup"
        yield Finding(FAIL, f"ROS 2 on PyPI has no wheels for {platform.machine()}", remedy)
    yield Finding(OK, f"Python {platform.python_version()} ({sys.executable})")
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    remedy = "use a machine with more memory, or close programs"
    yield Finding(OK if memory_gb >= MIN_MEMORY_GB else WARN, f"{memory_gb:.1f} GB of memory", remedy)
    free_gb = shutil.disk_usage(workspace.root).free / 1e9
    enough = workspace.is_ready() or free_gb >= MIN_FREE_GB
    yield Finding(OK if enough else FAIL, f"{free_gb:.0f} GB of disk free", f"make {MIN_FREE_GB} GB of room")


def check_system_packages(workspace: Workspace) -> Iterator[Finding]:
    """What apt provides."""
    script = workspace.root / "tools" / "system_packages.sh"
    result = subprocess.run(["bash", str(script), "missing"], capture_output=True, text=True, check=True)
    missing = result.stdout.split()
    if not missing:
        yield Finding(OK, "system packages")
    else:
        remedy = f"sudo apt-get install -y --no-install-recommends {' '.join(missing)}"
        yield Finding(FAIL, f"system packages are missing: {' '.join(missing)}", remedy)
    if shutil.which("git") is None:
        yield Finding(NOTE, "no git: benchmarks and recordings cannot tell their commit", "sudo apt-get install -y git")


def check_ground(workspace: Workspace) -> Iterator[Finding]:
    """Where ROS 2 comes from."""
    if workspace.ground.is_wheels:
        yield Finding(OK, "no ROS distribution sourced: ROS 2 Kilted from PyPI")
    else:
        yield Finding(OK, f"ROS 2 {workspace.ground.name} is sourced and used")
    if has_nvidia_gpu():
        yield Finding(OK, "NVIDIA GPU")
    else:
        yield Finding(NOTE, "no NVIDIA GPU: networks run and train on the CPU")


def check_setup(workspace: Workspace) -> Iterator[Finding]:
    """Virtual environment and built packages."""
    state = workspace.load_state()
    if not state.root:
        yield Finding(FAIL, "not set up here", "./axon setup")
        return
    wanted = workspace.wanted_packages()
    stale = sorted(name for name, fingerprint in wanted.items() if state.packages.get(name) != fingerprint)
    groups = [g for g, f in workspace.wanted_requirements().items() if state.requirements.get(g) != f]
    if groups:
        yield Finding(FAIL, f"Python packages are not as required: {', '.join(groups)}", "./axon setup")
    if stale:
        yield Finding(FAIL, f"not built, or changed since: {', '.join(stale)}", "./axon setup")
    if not groups and not stale:
        yield Finding(OK, f"virtual environment and {len(wanted)} packages are up to date")
    if os.access(workspace.root, os.W_OK) and os.access(workspace.state_dir, os.W_OK):
        return
    yield Finding(FAIL, f"cannot write in {workspace.root}", f'sudo chown -R "$USER" {workspace.root}')


def check_transport(workspace: Workspace) -> Iterator[Finding]:
    """What images travel through: the Fast DDS profile, shared memory, UDP buffers."""
    names = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")  # the second up to Jazzy
    profile = Path(next((os.environ[name] for name in names if name in os.environ), ""))
    if profile.is_file():
        yield Finding(OK, f"Fast DDS profile {profile}")
    else:
        remedy = f"unset {' '.join(names)}; git checkout config/fastdds.xml"
        yield Finding(FAIL, f"the Fast DDS profile {profile} is not there: camera images will be lost", remedy)
    shm = Path("/dev/shm")
    if not (shm.is_dir() and os.access(shm, os.W_OK)):
        remedy = "mount -t tmpfs tmpfs /dev/shm; in Docker: --shm-size=512m"
        yield Finding(FAIL, "no writable /dev/shm: images go through UDP and get lost", remedy)
    else:
        free_mb = shutil.disk_usage(shm).free / 1e6
        remedy = "mount -o remount,size=512M /dev/shm; in Docker: --shm-size=512m"
        yield Finding(OK if free_mb >= MIN_SHM_MB else FAIL, f"{free_mb:.0f} MB of shared memory free", remedy)
    size = int(Path("/proc/sys/net/core/rmem_max").read_text("ascii"))
    if size < MIN_UDP_BUFFER:
        text = f"UDP buffers of {size // 1024} kB: enough on one machine, too little for images to another one"
        yield Finding(NOTE, text, f"sudo sysctl -w net.core.rmem_max={MIN_UDP_BUFFER}")
    if os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE") == "LOCALHOST":
        remedy = "export ROS_AUTOMATIC_DISCOVERY_RANGE=SUBNET"
        yield Finding(NOTE, "nodes find each other on this machine only; to reach a robot on the network:", remedy)


def check_rendering(workspace: Workspace) -> Iterator[Finding]:
    """That MuJoCo draws an image."""
    if not workspace.load_state().requirements.get("libraries"):
        return
    backend = os.environ.get("MUJOCO_GL", "the screen")
    result = subprocess.run([workspace.python, "-c", RENDER], capture_output=True, text=True, timeout=120)
    if result.returncode == 0:
        yield Finding(OK, f"MuJoCo draws (through {backend})")
    else:
        reason = (result.stderr.strip().splitlines() or ["no reason given"])[-1]
        remedy = "sudo apt-get install -y libegl1 libgles2 libgl1-mesa-dri; then: export MUJOCO_GL=egl"
        yield Finding(FAIL, f"MuJoCo cannot draw through {backend}: {reason}", remedy)


CHECKS: tuple[Check, ...] = (
    check_machine,
    check_system_packages,
    check_ground,
    check_setup,
    check_transport,
    check_rendering,
)


def main(argv: list[str]) -> int:
    """Print all findings, those that need something done with the remedy below."""
    parser = argparse.ArgumentParser(
        prog="./axon doctor", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args(argv)
    workspace = Workspace(Path(__file__).resolve().parent.parent)
    findings = [finding for check in CHECKS for finding in check(workspace)]
    for finding in findings:
        print(f"  {finding.level:<5} {finding.text}")
        if finding.remedy and finding.level != OK:
            print(f"        -> {finding.remedy}")
    failed = sum(finding.level == FAIL for finding in findings)
    print(f"\n{failed} to mend" if failed else "\nall that is needed is here")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
