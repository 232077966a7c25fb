# SPDX-License-Identifier: Apache-2.0
"""Command line of the launch runner."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import time
from pathlib import Path

from axon_launch.domains import claim_domain
from axon_launch.errors import LaunchError, suggest
from axon_launch.packages import package_share
from axon_launch.plan import Argument, describe, load_actions, make_plan, read_argument
from axon_launch.schema import split_action
from axon_launch.supervisor import Supervisor

_SUFFIX = ".launch.yaml"
_USAGE_CODE = 2


def main(argv: list[str] | None = None) -> int:
    """Runs the command line; returns the exit code (2 for whatever is wrong before anything has been started)."""
    options = _parser().parse_intermixed_args(argv)
    try:
        names, arguments = _split(options.words)
        file = find_launch_file(names)
        if options.show_args:
            return _show_arguments(file)
        return _run(file, arguments, options)
    except LaunchError as error:
        print(f"axon launch: {error}", file=sys.stderr)
        return _USAGE_CODE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="axon launch", description="Runs a YAML launch file, as ros2 launch does.")
    parser.add_argument(
        "words",
        nargs="+",
        metavar="FILE [arg:=value]",
        help="a path, the name of one of our launch files ('sim'), or a package and a file; then launch arguments",
    )
    parser.add_argument("--show-args", "-s", action="store_true", help="list the launch arguments and stop")
    parser.add_argument("--print", "-p", action="store_true", help="print the commands instead of running them")
    parser.add_argument("--isolated", action="store_true", help="use a ROS domain that no other isolated run uses")
    return parser


def _split(words: list[str]) -> tuple[list[str], dict[str, str]]:
    names = [word for word in words if ":=" not in word]
    pairs = [word.split(":=", 1) for word in words if ":=" in word]
    if not 1 <= len(names) <= 2:
        raise LaunchError(f"expected FILE or PACKAGE FILE before the arguments (name:=value), got {' '.join(names)!r}")
    return names, dict(pairs)


def _run(file: Path, arguments: dict[str, str], options: argparse.Namespace) -> int:
    environment, keep_fds = dict(os.environ), ()
    if options.isolated and not options.print:
        domain, descriptor = claim_domain()
        environment["ROS_DOMAIN_ID"], keep_fds = str(domain), (descriptor,)
        print(f"[launch] ROS domain {domain}", flush=True)
    plans = make_plan(file, arguments, environment)
    if options.print:
        print("\n".join(describe(plan) for plan in plans))
        return 0
    return Supervisor(plans, _run_folder(environment), keep_fds).run()


def _run_folder(environment: dict[str, str]) -> Path:
    """A new folder for this run's log and params files, where ROS 2 keeps its logs."""
    home = Path(environment.get("ROS_HOME") or Path(environment.get("HOME", tempfile.gettempdir())) / ".ros")
    logs = Path(environment.get("ROS_LOG_DIR") or home / "log")
    logs.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=time.strftime("launch-%Y%m%d-%H%M%S-"), dir=logs))


def find_launch_file(names: list[str]) -> Path:
    """The launch file for a path, a name of ours, or a package and a file. Raises LaunchError with the nearest."""
    if len(names) == 2:
        return _in_folder(package_share(names[0]) / "launch", names[1])
    path = Path(names[0])
    if path.is_file():
        return path.resolve()
    if path.parent != Path("."):
        raise LaunchError(f"launch file {path} does not exist")
    folders = _own_folders()
    for folder in folders:
        if (found := folder / _with_suffix(path.name)).is_file():
            return found.resolve()
    known = [entry.name.removesuffix(_SUFFIX) for folder in folders for entry in folder.glob(f"*{_SUFFIX}")]
    raise LaunchError(f"there is no launch file {names[0]!r}; {suggest(names[0], known)}")


def _in_folder(folder: Path, name: str) -> Path:
    path = folder / _with_suffix(name)
    if not path.is_file():
        known = [entry.name for entry in folder.glob(f"*{_SUFFIX}")]
        raise LaunchError(f"there is no launch file {path}; {suggest(path.name, known)}")
    return path.resolve()


def _with_suffix(name: str) -> str:
    return name if name.endswith((".yaml", ".yml")) else name + _SUFFIX


def _own_folders() -> list[Path]:
    """Where our launch files lie: in the installed axon_bringup, or in the checkout that this file is part of."""
    folders = [parent / "launch" for parent in Path(__file__).resolve().parents]
    with contextlib.suppress(LaunchError):  # not installed: only the checkout is left to look in
        folders.insert(0, package_share("axon_bringup") / "launch")
    return [folder for folder in folders if folder.is_dir()]


def _show_arguments(file: Path) -> int:
    arguments = _declared(file)
    print(f"Arguments of {file.name} (give them as name:=value):" if arguments else f"{file.name} takes no arguments.")
    for argument in arguments:
        default = "required" if argument.default is None else f"default: {argument.default!r}"
        choices = f", one of {', '.join(argument.choices)}" if argument.choices else ""
        print(f"  {argument.name}  ({default}{choices})\n      {argument.description or 'no description'}")
    return 0


def _declared(file: Path) -> list[Argument]:
    actions = [split_action(item) for item in load_actions(file)]
    return [read_argument(body) for name, body in actions if name == "arg"]
