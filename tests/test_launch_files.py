# SPDX-License-Identifier: Apache-2.0
"""Our launch files: everything that they can start is there, and what one names on the robot reaches every node."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest

from axon_launch.plan import Argument, ProcessPlan, load_actions, make_plan, read_argument
from axon_launch.schema import split_action

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(path.name.removesuffix(".launch.yaml") for path in (ROOT / "launch").glob("*.launch.yaml"))
SCRIPT = re.compile(r'"(\w+) = (axon_\w+)\.[\w.]+:main"')
ON_ROBOT = {"perception": "true", "manipulation": "true", "policy": "true", "mission": "true"}


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with the programs of every setup.py, and with the launch files and parameters of the checkout."""
    root = tmp_path_factory.mktemp("installed")
    index = root / "share/ament_index/resource_index/packages"
    index.mkdir(parents=True)
    for setup in ROOT.glob("src/*/setup.py"):
        (index / setup.parent.name).touch()
        (root / "lib" / setup.parent.name).mkdir(parents=True)
        for name, package in SCRIPT.findall(setup.read_text()):
            (root / "lib" / package / name).touch(0o755)
    (index / "axon_bringup").touch()
    share = root / "share/axon_bringup"
    share.mkdir()
    for folder in ("launch", "config"):
        (share / folder).symlink_to(ROOT / folder)
    return root


def plans_of(name: str, prefix: Path, **arguments: str) -> list[ProcessPlan]:
    return make_plan(ROOT / f"launch/{name}.launch.yaml", arguments, {"AMENT_PREFIX_PATH": str(prefix)})


def arguments_of(name: str) -> list[Argument]:
    actions = [split_action(item) for item in load_actions(ROOT / f"launch/{name}.launch.yaml")]
    return [read_argument(body) for action, body in actions if action == "arg"]


def remaps(plan: ProcessPlan) -> dict[str, str]:
    return dict(plan.node.remaps)


@pytest.mark.parametrize("name", FILES)
def test_every_argument_says_what_it_is_and_has_a_default(name: str) -> None:
    for argument in arguments_of(name):
        assert argument.default is not None, argument.name
        assert len(argument.description) > 10 and not argument.description.endswith("."), argument.name


@pytest.mark.parametrize("name", FILES)
def test_all_that_a_file_can_start_is_there(name: str, prefix: Path) -> None:
    """With all its switches on and with all off: programs, packages and files of parameters are looked up."""
    switches = [argument.name for argument in arguments_of(name) if argument.default in ("true", "false")]
    on, off = (len(plans_of(name, prefix, **dict.fromkeys(switches, value))) for value in ("true", "false"))
    assert on >= max(off, 1)


@pytest.mark.parametrize("name", FILES)
def test_what_is_remapped_is_a_name_that_the_node_uses(name: str, prefix: Path) -> None:
    """Else the remap, with a slip of the pen in it, would do nothing and say nothing."""
    for plan in plans_of(name, prefix, **(ON_ROBOT if name == "robot" else {})):
        for source in remaps(plan) if plan.node else ():
            assert uses(plan, source), f"{plan.label} does not use {source}"


def uses(plan: ProcessPlan, name: str) -> bool:
    """Whether a node's sources name a topic or an action; a short name must stand where topics do."""
    package = Path(plan.command[0]).parent.name
    sources = "".join(path.read_text() for path in sorted((ROOT / "src" / package / package).glob("*node.py")))
    if "/" in name:
        return f'"{name}"' in sources
    return re.search(rf'\b(?:input|output)\(\s*[^()]*?"{name}"', sources) is not None


@pytest.mark.parametrize(("slam", "detector", "depth"), list(product(("true", "false"), repeat=3)))
def test_each_part_of_perception_can_be_left_out(slam: str, detector: str, depth: str, prefix: Path) -> None:
    plans = plans_of("perception", prefix, slam=slam, detector=detector, depth=depth)
    wanted = {"slam": slam, "detector": detector, "depth": depth}
    assert [plan.label for plan in plans] == [name for name, value in wanted.items() if value == "true"]
    assert all(plan.respawn for plan in plans)


def test_a_robot_with_everything_runs_every_skill_in_its_namespace_by_real_time(prefix: Path) -> None:
    plans = plans_of("robot", prefix, namespace="rob", **ON_ROBOT)
    names = {"safety", "planner", "slam", "detector", "depth", "grasp", "policy", "mission"}
    assert {plan.label for plan in plans} == names and len(plans) == len(names)
    assert all(plan.respawn and plan.node.namespace == "/rob" for plan in plans)
    assert all({"use_sim_time": False} in plan.node.parameters for plan in plans)


def test_a_robot_without_camera_and_arm_only_drives(prefix: Path) -> None:
    assert [plan.label for plan in plans_of("robot", prefix)] == ["safety", "planner"]


DRIVERS = [argument for argument in arguments_of("robot") if argument.name.endswith(("_topic", "_action"))]


@pytest.mark.parametrize("argument", DRIVERS, ids=lambda argument: argument.name)
def test_the_name_of_a_driver_reaches_every_node_that_uses_it(argument: Argument, prefix: Path) -> None:
    plans = plans_of("robot", prefix, **ON_ROBOT, **{argument.name: "/my/own"})
    users = [plan for plan in plans if uses(plan, argument.default)]
    assert users, f"nobody uses {argument.default}"
    for plan in users:
        assert remaps(plan).get(argument.default) == "/my/own", plan.label
