# SPDX-License-Identifier: Apache-2.0
"""The launch runner against its promises, with programs that need no ROS."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from axon_launch.domains import claim_domain
from axon_launch.errors import LaunchError
from axon_launch.guard import MARKER
from axon_launch.plan import describe, make_plan
from axon_launch.schema import ACTIONS
from axon_launch.substitutions import parse_template

sys.path.insert(0, str(Path(__file__).parent))
from processes import children_of, new_tag, wait_until_gone

ROOT = Path(__file__).resolve().parents[1]
SPEAKER = """
    import os, sys, time
    print("domain", os.environ.get("ROS_DOMAIN_ID"), "args", *sys.argv[1:])
    time.sleep(60)
"""
STUBBORN = """
    import signal, subprocess, sys, time
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    # A grandchild in a session of its own: no signal to the group reaches it.
    subprocess.Popen([sys.executable, "-c", "import time; print('grandchild', flush=True); time.sleep(60)"],
                     start_new_session=True)
    print("ready")
    time.sleep(60)
"""
FAILING = """
    import sys
    print("failing")
    sys.exit(7)
"""


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """An installed workspace with the package `robot` and its programs speaker_node, stubborn_node, failing_node."""
    root = tmp_path / "install"
    for folder in ("share/ament_index/resource_index/packages", "share/robot", "lib/robot"):
        (root / folder).mkdir(parents=True)
    (root / "share/ament_index/resource_index/packages/robot").touch()
    for name, code in (("speaker", SPEAKER), ("stubborn", STUBBORN), ("failing", FAILING)):
        program = root / f"lib/robot/{name}_node"
        program.write_text(f"#!{sys.executable}\n{textwrap.dedent(code)}")
        program.chmod(0o755)
    return root


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def write_file(text: str, name: str = "test.launch.yaml") -> Path:
        path = tmp_path / name
        path.write_text(textwrap.dedent(text).lstrip("\n"))
        return path

    return write_file


class Runner:
    """`python -m axon_launch` in a child process whose output can be awaited and whose launch id is known."""

    def __init__(self, prefix: Path, words: list[str], **kwargs: object) -> None:
        self.tag = new_tag()
        self.output = ""
        environment = {
            **os.environ,
            "AMENT_PREFIX_PATH": str(prefix),
            "ROS_LOG_DIR": str(prefix / "log"),
            MARKER: self.tag,
        }
        options: dict = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, **kwargs}
        self.process = subprocess.Popen([sys.executable, "-m", "axon_launch", *words], env=environment, **options)

    def wait_for(self, text: str, timeout_s: float = 20.0) -> None:
        """Reads until the pattern has appeared in the output."""
        deadline = time.monotonic() + timeout_s
        while not re.search(text, self.output):
            left = deadline - time.monotonic()
            assert left > 0.0 and select.select([self.process.stdout], [], [], left)[0], f"no {text!r}:\n{self.output}"
            data = os.read(self.process.stdout.fileno(), 65536)
            assert data, f"ended without {text!r}:\n{self.output}"
            self.output += data.decode()

    def finish(self, timeout_s: float = 20.0) -> int:
        rest, _ = self.process.communicate(timeout=timeout_s)
        self.output += rest.decode() if rest else ""
        return self.process.returncode

    def children(self) -> list[int]:
        return children_of(self.tag)

    def wait_until_gone(self) -> None:
        wait_until_gone(self.tag)


@pytest.fixture
def launch(prefix: Path) -> Iterator[Callable[..., Runner]]:
    runners: list[Runner] = []

    def start(*words: object, **kwargs: object) -> Runner:
        runners.append(Runner(prefix, [str(word) for word in words], **kwargs))
        return runners[-1]

    yield start
    for runner in runners:
        if runner.process.poll() is None:
            runner.process.kill()
            runner.process.communicate()
        runner.wait_until_gone()


def plan_of(file: Path, prefix: Path, **arguments: str) -> list[str]:
    environment = {"AMENT_PREFIX_PATH": str(prefix), "HOME": "/home/axon"}
    return [describe(process) for process in make_plan(file, arguments, environment)]


# What a launch file means


def test_everything_that_our_files_use_reaches_the_command_line(prefix: Path, write: Callable) -> None:
    write(
        "launch:\n- arg: {name: speed, default: '1.5'}\n- executable: {cmd: 'echo $(var speed) $(var colour)'}\n",
        "in.yaml",
    )
    write("speaker:\n  ros__parameters: {rate: 5.0}\n", "params.yaml")
    file = write("""
        launch:
        - arg: {name: colour, default: red, choice: [{value: red}, {value: blue}]}
        - let: {name: deep, value: "very $(var colour)"}
        - set_env: {name: SHADE, value: dark}
        - include: {file: "$(dirname)/in.yaml", arg: [{name: speed, value: "2.5"}]}
        - group:
          - push_ros_namespace: {namespace: fleet}
          - set_env: {name: SHADE, value: light}
          - node:
              pkg: robot
              exec: speaker_node
              name: speaker
              namespace: one
              args: "--say '$(var deep) $(env SHADE)' $(env NOBODY fallback)"
              param:
              - {from: "$(dirname)/params.yaml"}
              - {name: level, value: 3}
              - {name: typed, value: "$(var speed)"}
              - {name: text, value: "$(var speed)", type: str}
              remap: [{from: cmd_vel, to: /base/cmd_vel}]
        - executable: {cmd: "echo $(env SHADE)", if: "true"}
        - executable: {cmd: "echo never", unless: "true"}
    """)
    commands = plan_of(file, prefix, colour="blue")
    assert commands == [
        "echo 2.5 blue",
        f"{prefix}/lib/robot/speaker_node --say 'very blue light' fallback --ros-args -r __node:=speaker "
        f"-r __ns:=/fleet/one -r cmd_vel:=/base/cmd_vel --params-file {file.parent}/params.yaml -p level:=3 "
        "-p typed:=2.5 -p 'text:='\"'\"'2.5'\"'\"''",
        "echo dark",
    ]


def test_a_substitution_is_one_word_even_with_blanks_in_it(prefix: Path, write: Callable) -> None:
    file = write("""
        launch:
        - let: {name: words, value: "two words"}
        - executable: {cmd: "echo $(var words) x$(var words)y 'a $(var words)'"}
    """)
    (process,) = make_plan(file, {}, {})
    assert process.command == ("echo", "two words", "xtwo wordsy", "a two words")


@pytest.mark.parametrize(
    ("text", "part"),
    [("$(var", "not closed"), ("a $(env 'X) b", "quote"), ("$( )", "name of a substitution")],
)
def test_a_broken_substitution_is_refused(text: str, part: str) -> None:
    with pytest.raises(ValueError, match=part):
        parse_template(text)


# What is wrong is said with file and line, before anything starts

MISTAKES = {
    "action": ("launch:\n- nod: {pkg: robot, exec: speaker_node}\n", 2, "unknown action 'nod'; nearest: node"),
    "key": ("launch:\n- node:\n    pkg: robot\n    exec: speaker_node\n    nam: x\n", 5, "'nam'; nearest: name"),
    "missing key": ("launch:\n- node: {pkg: robot}\n", 2, "'exec' is missing"),
    "package": ("launch:\n\n- node: {pkg: robit, exec: speaker_node}\n", 3, "'robit' is not installed; nearest: robot"),
    "program": ("launch:\n- node: {pkg: robot, exec: speaker}\n", 2, "no executable 'speaker'; nearest: speaker_node"),
    "number as text": ("launch:\n- arg: {name: seed, default: 7}\n", 2, 'write "7" in quotes'),
    "flag as text": ("launch:\n- executable: {cmd: ls, respawn: true}\n", 2, 'write "true" in quotes'),
    "whole delay": ("launch:\n- executable: {cmd: ls, respawn_delay: 2}\n", 2, "number with a point"),
    "negative delay": ("launch:\n- executable: {cmd: ls, respawn_delay: -2.0}\n", 2, "0.0 or more"),
    "condition": ("launch:\n- executable: {cmd: ls, if: perhaps}\n", 2, "expected true or false, got 'perhaps'"),
    "variable": ("launch:\n- let: {name: hue, value: x}\n- executable: {cmd: 'ls $(var hua)'}\n", 3, "nearest: hue"),
    "environment": ("launch:\n- executable: {cmd: 'echo $(env NOT_THERE)'}\n", 2, "NOT_THERE is not set"),
    "substitution": ("launch:\n- executable: {cmd: 'echo $(eval 1+1)'}\n", 2, "$(eval ...) is not supported"),
    "on_exit": ("launch:\n- executable: {cmd: ls, on_exit: restart}\n", 2, "expected shutdown"),
    "include": ("launch:\n- include: {file: other.launch.yaml}\n", 2, "does not exist"),
    "itself": ("launch:\n- include: {file: test.launch.yaml}\n", 2, "includes itself"),
    "twice": ("launch:\n- executable:\n    cmd: ls\n    cmd: pwd\n", 4, "given twice"),
    "syntax": ("launch:\n- executable: {cmd: ls\n", 3, "not valid YAML"),
    "no default": ("launch:\n- arg: {name: world}\n", 2, "give world:=VALUE"),
    "node name": ("launch:\n- node: {pkg: robot, exec: speaker_node, name: 9x}\n", 2, "no digit first"),
    "params": ("launch:\n- node:\n    pkg: robot\n    exec: speaker_node\n    param: [{from: x}]\n", 5, "not exist"),
    "top": ("lunch: []\n", 1, "the one key 'launch:'"),
    "empty": ("", 1, "empty"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda name: name.replace(" ", "-"))
def test_a_mistake_is_told_with_its_line_and_the_nearest_name(mistake: str, prefix: Path, write: Callable) -> None:
    text, line, part = MISTAKES[mistake]
    file = write(text)
    with pytest.raises(LaunchError) as caught:
        plan_of(file, prefix)
    assert str(caught.value).startswith(f"{file}:{line}: "), caught.value
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_params_section_for_no_node_is_refused_at_its_own_line(prefix: Path, write: Callable) -> None:
    params = write("speaker:\n  ros__parameters: {a: 1}\nspeakr:\n  ros__parameters: {a: 1}\n", "params.yaml")
    file = write(
        "launch:\n- node: {pkg: robot, exec: speaker_node, name: speaker, param: [{from: $(dirname)/params.yaml}]}\n"
    )
    with pytest.raises(LaunchError, match=rf"{re.escape(str(params))}:3: .*'speakr'.* nearest: speaker"):
        plan_of(file, prefix)
    write("other:\n  ros__parameters: {a: 1}\n", "params.yaml")
    with pytest.raises(LaunchError, match="'other' is for no node"):
        plan_of(file, prefix)


def test_an_argument_of_an_include_that_it_does_not_declare_is_refused(prefix: Path, write: Callable) -> None:
    write("launch:\n- arg: {name: speed, default: '1'}\n", "in.yaml")
    file = write("launch:\n- include:\n    file: in.yaml\n    arg:\n    - {name: sped, value: '2'}\n")
    with pytest.raises(LaunchError, match=r":4: in.yaml has no argument 'sped'; nearest: speed"):
        plan_of(file, prefix)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["wrld:=x"], "unknown launch argument 'wrld'; nearest: world"),
        (["world:=mars"], "expected one of earth, moon"),
    ],
)
def test_bad_arguments_exit_with_2_and_start_nothing(
    words: list[str], part: str, launch: Callable, write: Callable
) -> None:
    file = write("""
        launch:
        - arg: {name: world, default: earth, choice: [{value: earth}, {value: moon}]}
        - executable: {cmd: "echo started", output: screen}
    """)
    runner = launch(file, *words)
    assert runner.finish() == 2
    assert part in runner.output
    assert "started" not in runner.output
    assert len(runner.output.strip().splitlines()) == 1


def test_an_unknown_name_of_a_launch_file_names_the_nearest(launch: Callable) -> None:
    runner = launch("navigatoin")
    assert runner.finish() == 2
    assert "nearest: navigation" in runner.output


def test_show_args_and_print_start_nothing(launch: Callable, write: Callable) -> None:
    file = write(
        "launch:\n- arg: {name: world, default: earth, description: Where}\n- executable: {cmd: 'echo $(var world)'}\n"
    )
    shown = launch(file, "--show-args")
    assert shown.finish() == 0
    assert re.search(r"world +\(default: 'earth'\)\s+Where", shown.output)
    printed = launch(file, "--print", "world:=moon")
    assert printed.finish() == 0
    assert printed.output == "echo moon\n"


# What a run does


def test_lines_carry_the_name_and_the_first_failure_is_the_exit_code(launch: Callable, write: Callable) -> None:
    file = write("""
        launch:
        - executable: {cmd: "sh -c 'echo out; echo err >&2'", name: fine, output: screen}
        - node: {pkg: robot, exec: failing_node, name: bad, output: screen}
        - executable: {cmd: "sh -c 'sleep 0.7; exit 9'", name: later, output: screen}
    """)
    runner = launch(file)
    assert runner.finish() == 7
    assert {"[fine-1] out", "[fine-1] err", "[bad-2] failing"} <= set(runner.output.splitlines())
    assert "bad-2 ERROR: failed with exit code 7" in runner.output
    assert "\033" not in runner.output


def test_output_log_goes_to_a_file_but_errors_to_the_screen(launch: Callable, write: Callable, prefix: Path) -> None:
    file = write("launch:\n- executable: {cmd: \"sh -c 'echo quiet; echo loud >&2'\", name: it}\n")
    runner = launch(file)
    assert runner.finish() == 0
    assert "quiet" not in runner.output
    assert "[it-1] loud" in runner.output
    (log,) = (prefix / "log").glob("launch-*/it-1.log")
    assert set(log.read_text().split()) == {"quiet", "loud"}


@pytest.mark.parametrize("code", [0, 3])
def test_on_exit_shutdown_ends_all_with_that_code(code: int, launch: Callable, write: Callable) -> None:
    file = write(f"""
        launch:
        - node: {{pkg: robot, exec: speaker_node, name: other, respawn: "true"}}
        - executable: {{cmd: "sh -c 'sleep 0.5; exit {code}'", name: judge, on_exit: shutdown}}
    """)
    runner = launch(file)
    assert runner.finish() == code
    assert "other-1 was ended by SIGINT" in runner.output or "other-1 ERROR: failed with exit code 1" in runner.output
    assert runner.children() == []


def test_a_killed_node_is_started_again_with_its_delay(launch: Callable, write: Callable) -> None:
    file = write("""
        launch:
        - node: {pkg: robot, exec: speaker_node, name: speaker, output: screen, respawn: "true", respawn_delay: 0.5}
    """)
    runner = launch(file)
    runner.wait_for(r"\[speaker-1\] domain")
    first = int(re.search(r"process (\d+)", runner.output)[1])
    killed_at = time.monotonic()
    os.kill(first, signal.SIGKILL)
    runner.wait_for(r"(?s)SIGKILL.*started, process.*\[speaker-1\] domain")
    assert time.monotonic() - killed_at >= 0.5
    assert runner.children() != [first] and len(runner.children()) == 1
    runner.process.send_signal(signal.SIGINT)
    assert runner.finish() == 130


def test_respawn_stops_at_its_limit(launch: Callable, write: Callable) -> None:
    file = write("""
        launch:
        - node: {pkg: robot, exec: failing_node, output: screen, respawn: "true", respawn_max_retries: 2}
    """)
    runner = launch(file)
    assert runner.finish() == 7
    assert runner.output.count("] failing\n") == 3


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_everything_even_what_ignores_it(
    number: int, code: int, launch: Callable, write: Callable
) -> None:
    file = write("""
        launch:
        - node: {pkg: robot, exec: speaker_node, output: screen}
        - node: {pkg: robot, exec: stubborn_node, output: screen, sigterm_timeout: 0.3, sigkill_timeout: 0.3}
    """)
    runner = launch(file)
    runner.wait_for("domain")
    runner.wait_for("grandchild")
    assert len(runner.children()) == 3
    runner.process.send_signal(number)
    assert runner.finish() == code
    assert "stubborn_node-2 was ended by SIGKILL" in runner.output
    assert runner.children() == []


def test_a_job_of_a_background_shell_can_be_interrupted(launch: Callable, write: Callable) -> None:
    file = write('launch:\n- executable: {cmd: "sleep 60", name: sleeper}\n')
    runner = launch(file, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    runner.wait_for("started")
    runner.process.send_signal(signal.SIGINT)
    assert runner.finish() == 130
    assert "sleeper-1 was ended by SIGINT" in runner.output


def test_nothing_outlives_a_runner_that_was_killed(launch: Callable, write: Callable) -> None:
    file = write("""
        launch:
        - node: {pkg: robot, exec: speaker_node, output: screen}
        - node: {pkg: robot, exec: stubborn_node, output: screen}
    """)
    runner = launch(file)
    runner.wait_for("domain")
    runner.wait_for("grandchild")
    assert len(runner.children()) == 3
    runner.process.kill()
    runner.wait_until_gone()


def test_a_broken_output_pipe_ends_the_launch(launch: Callable, write: Callable) -> None:
    runner = launch(write('launch:\n- executable: {cmd: "sleep 60"}\n'))
    runner.wait_for("started")
    runner.process.stdout.close()
    assert runner.process.wait(timeout=20.0) == 128 + signal.SIGPIPE
    assert runner.children() == []


def test_two_isolated_runs_have_domains_of_their_own(launch: Callable, write: Callable) -> None:
    file = write("launch:\n- node: {pkg: robot, exec: speaker_node, output: screen}\n")
    domains = []
    for runner in [launch(file, "--isolated"), launch(file, "--isolated")]:
        runner.wait_for(r"domain (\d+) args")
        domains.append(re.search(r"domain (\d+) args", runner.output)[1])
    assert domains[0] != domains[1]


def test_a_domain_is_free_again_when_its_holder_lets_go(tmp_path: Path) -> None:
    first, held = claim_domain(tmp_path)
    second, _ = claim_domain(tmp_path)
    assert first != second
    os.close(held)
    again, _ = claim_domain(tmp_path)
    assert again == first


def test_a_domain_that_somebody_uses_without_a_lock_is_left_alone(tmp_path: Path) -> None:
    domain, held = claim_domain(tmp_path)
    os.close(held)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 7400 + 250 * domain + 10))
        other, _ = claim_domain(tmp_path)
    assert other != domain


# Our own launch files

# The keys that launch_yaml's and launch_ros' actions read (Humble to Rolling), written down from their sources.
REAL_KEYS = {
    "arg": {"name", "default", "description", "choice"},
    "let": {"name", "value"},
    "set_env": {"name", "value"},
    "unset_env": {"name"},
    "include": {"file", "arg"},
    "group": {"scoped", "forwarding", "keep", "children"},
    "push_ros_namespace": {"namespace"},
    "push-ros-namespace": {"namespace"},
    "executable": {
        "cmd", "cwd", "name", "launch-prefix", "output", "respawn", "respawn_delay", "respawn_max_retries", "on_exit",
        "sigterm_timeout", "sigkill_timeout", "emulate_tty", "shell", "env",
    },
}  # fmt: skip
REAL_KEYS["node"] = (REAL_KEYS["executable"] - {"cmd"}) | {
    "pkg", "exec", "exec_name", "namespace", "param", "remap", "args", "ros_args",
}  # fmt: skip


def test_the_runner_knows_no_key_that_the_real_front_end_does_not() -> None:
    for action, keys in ACTIONS.items():
        assert set(keys) - {"if", "unless"} <= REAL_KEYS[action], action
        for key in keys.values():
            assert key.items is None or set(key.items) <= {"name", "value", "type", "from", "to"}


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A workspace that seems to have all our nodes installed, with the checkout's launch and config folders."""
    root = tmp_path / "ours"
    nodes = {
        "axon_sim": ["sim"],
        "axon_safety": ["safety"],
        "axon_planner": ["planner"],
        "axon_slam": ["slam"],
        "axon_detector": ["detector"],
        "axon_depth": ["depth"],
        "axon_grasp": ["grasp"],
        "axon_mission": ["mission"],
        "axon_demo": ["recorder", "director"],
    }
    index = root / "share/ament_index/resource_index/packages"
    index.mkdir(parents=True)
    for package, names in {**nodes, "axon_bringup": []}.items():
        (index / package).touch()
        (root / "lib" / package).mkdir(parents=True)
        for name in names:
            (root / "lib" / package / f"{name}_node").touch(0o755)
    share = root / "share/axon_bringup"
    share.mkdir()
    for folder in ("launch", "config"):
        (share / folder).symlink_to(ROOT / folder)
    return root


OUR_FILES = sorted(path.name for path in (ROOT / "launch").glob("*.launch.yaml"))


@pytest.mark.parametrize("name", OUR_FILES)
def test_our_files_can_be_run_with_their_defaults(name: str, installed: Path) -> None:
    assert plan_of(ROOT / "launch" / name, installed)


def test_a_fetch_has_all_skills_and_the_executive_too(installed: Path) -> None:
    arguments = {"fetch": "true", "object": "mug", "bring_to": "hall"}
    plans = make_plan(ROOT / "launch/demo.launch.yaml", arguments, {"AMENT_PREFIX_PATH": str(installed)})
    skills = ["slam", "detector", "depth", "grasp", "mission"]
    assert [plan.label for plan in plans] == ["sim", "safety", "planner", *skills, "recorder", "director"]
    assert all(plan.respawn for plan in plans if plan.label in skills)
    director = next(describe(plan) for plan in plans if plan.label == "director")
    assert "fetch:=mug" in director and "bring_to:=hall" in director


def test_the_demo_is_sim_and_navigation_with_a_director_that_ends_it(installed: Path) -> None:
    plans = make_plan(ROOT / "launch/demo.launch.yaml", {"world": "barn:3"}, {"AMENT_PREFIX_PATH": str(installed)})
    assert [plan.label for plan in plans] == ["sim", "safety", "planner", "recorder", "director"]
    assert [plan.label for plan in plans if plan.respawn] == ["safety", "planner"]
    assert [plan.label for plan in plans if plan.shutdown_on_exit] == ["director"]
    assert all("world:=barn:3" in describe(plan) for plan in plans if plan.label in ("sim", "director"))
    assert all("use_sim_time:=true" in describe(plan) for plan in plans if plan.label != "sim")


def test_a_robot_of_ones_own_is_named_by_its_topics(installed: Path) -> None:
    commands = plan_of(ROOT / "launch/robot.launch.yaml", installed, scan_topic="/front/scan", namespace="rob")
    assert all("-r scan:=/front/scan" in command and "-r __ns:=/rob" in command for command in commands)
    assert all("use_sim_time:=false" in command for command in commands)
