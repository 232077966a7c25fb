# SPDX-License-Identifier: Apache-2.0
"""From a launch file and arguments to the list of processes to start. Everything is checked here, nothing started."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from axon_launch.errors import LaunchError, Where, suggest
from axon_launch.loader import Located, load_yaml
from axon_launch.packages import executable_path
from axon_launch.schema import OUTPUTS, split_action
from axon_launch.substitutions import Scope, expand, expand_words, has_substitution

_ROS_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TRUE, _FALSE = ("true", "1"), ("false", "0")
_CASTS = {"str": str, "int": int, "float": float}


@dataclass(frozen=True)
class ParamsFile:
    """A params file and the line that names it."""

    path: Path
    where: Where


@dataclass(frozen=True)
class NodeArguments:
    """What a node is told through `--ros-args`; `parameters` keeps the order of the launch file: later wins."""

    name: str | None
    namespace: str | None
    parameters: tuple[ParamsFile | dict[str, Any], ...] = ()
    remaps: tuple[tuple[str, str], ...] = ()
    extra: tuple[str, ...] = ()

    @property
    def full_name(self) -> str | None:
        """`/namespace/name`, or None where the name is left to the program."""
        return None if self.name is None else f"{(self.namespace or '').rstrip('/')}/{self.name}"


@dataclass(frozen=True)
class ProcessPlan:
    """One process, ready to be started."""

    label: str
    command: tuple[str, ...]
    where: Where
    environment: dict[str, str] = field(repr=False)
    node: NodeArguments | None = None
    cwd: Path | None = None
    output: str = "log"
    respawn: bool = False
    respawn_delay_s: float = 0.0
    respawn_max_retries: int = -1
    shutdown_on_exit: bool = False
    sigterm_timeout_s: float = 5.0
    sigkill_timeout_s: float = 5.0


@dataclass(frozen=True)
class Argument:
    """A declared launch argument; `default` is None where a value must be given, and unexpanded text otherwise."""

    name: str
    default: str | None
    description: str
    choices: tuple[str, ...]
    where: Where


def make_plan(
    file: Path, arguments: Mapping[str, str], environment: Mapping[str, str] = os.environ
) -> list[ProcessPlan]:
    """The processes of a launch file in its order.

    Raises LaunchError, which names file and line, at the first thing that cannot be run: a wrong key, an argument that
    nobody declares, a package, program or params file that is not there.
    """
    planner = _Planner(dict(arguments), dict(environment))
    planner.run_file(file, None)
    for name in arguments:
        if name not in planner.declared:
            raise LaunchError(f"{file}: unknown launch argument {name!r}; {suggest(name, planner.declared)}")
    _check_params_files(planner.processes)
    return planner.processes


class _Planner:
    """Walks the actions in order, as ros2 launch does: variables of a file are seen by the files that it includes."""

    def __init__(self, variables: dict[str, str], environment: dict[str, str]) -> None:
        self.variables = variables
        self.environment = environment
        self.namespace: str | None = None
        self.declared: set[str] = set()
        self.processes: list[ProcessPlan] = []
        self._files: list[Path] = []

    def run_file(self, file: Path, caller: Located | None) -> None:
        if file in self._files:
            raise LaunchError(f"{file} includes itself", caller.where if caller else None)
        self._files.append(file)
        for item in load_actions(file, caller):
            self._run_action(item)
        self._files.pop()

    def _scope(self) -> Scope:
        return Scope(self.variables, self.environment, self._files[-1].parent)

    def _text(self, body: Located, key: str, default: str = "") -> str:
        item = body.value.get(key)
        return default if item is None else expand(item, self._scope())

    def _flag(self, body: Located, key: str, default: bool) -> bool:
        return _as_bool(body.value[key], self._text(body, key)) if key in body.value else default

    def _run_action(self, item: Located) -> None:
        name, body = split_action(item)
        if self._flag(body, "if", True) and not self._flag(body, "unless", False):
            getattr(self, f"_do_{name.replace('-', '_')}")(body)

    def _do_arg(self, body: Located) -> None:
        argument = read_argument(body)
        self.declared.add(argument.name)
        if argument.name not in self.variables:
            if argument.default is None:
                raise body.error(f"launch argument {argument.name!r} has no default: give {argument.name}:=VALUE")
            self.variables[argument.name] = self._text(body, "default")
        value = self.variables[argument.name]
        if argument.choices and value not in argument.choices:
            raise body.error(f"{argument.name}:={value}: expected one of {', '.join(argument.choices)}")

    def _do_let(self, body: Located) -> None:
        self.variables[self._text(body, "name")] = self._text(body, "value")

    def _do_set_env(self, body: Located) -> None:
        self.environment[self._text(body, "name")] = self._text(body, "value")

    def _do_unset_env(self, body: Located) -> None:
        self.environment.pop(self._text(body, "name"), None)

    def _do_push_ros_namespace(self, body: Located) -> None:
        self.namespace = self._joined_namespace(body.value["namespace"])

    def _do_include(self, body: Located) -> None:
        file = Path(self._text(body, "file"))
        file = file if file.is_absolute() else self._files[-1].parent / file
        given = body.value.get("arg")
        pairs = self._pairs(given)
        before, self.declared = self.declared, set()
        self.variables.update(pairs)
        self.run_file(file, body.value["file"])
        for name in pairs:
            if name not in self.declared:
                raise given.error(f"{file.name} has no argument {name!r}; {suggest(name, self.declared)}")
        self.declared |= before

    def _do_group(self, body: Located) -> None:
        saved = dict(self.variables), dict(self.environment), self.namespace
        for item in body.value["children"].value:
            self._run_action(item)
        if "scoped" not in body.value or body.value["scoped"].value:
            self.variables, self.environment, self.namespace = saved

    def _do_executable(self, body: Located) -> None:
        words = expand_words(body.value["cmd"], self._scope())
        if not words:
            raise body.value["cmd"].error("executable: cmd is empty")
        label = self._text(body, "name", Path(words[0]).name)
        self.processes.append(self._process(body, label, tuple(words), None))

    def _do_node(self, body: Located) -> None:
        package, executable = self._text(body, "pkg"), self._text(body, "exec")
        try:
            program = executable_path(package, executable, self.environment)
        except LaunchError as error:
            raise body.error(str(error)) from error
        arguments = NodeArguments(
            name=self._node_name(body),
            namespace=self._joined_namespace(body.value.get("namespace")),
            parameters=tuple(self._parameter(item) for item in _entries(body, "param")),
            remaps=tuple((self._text(item, "from"), self._text(item, "to")) for item in _entries(body, "remap")),
            extra=tuple(expand_words(body.value["ros_args"], self._scope())) if "ros_args" in body.value else (),
        )
        words = expand_words(body.value["args"], self._scope()) if "args" in body.value else []
        label = arguments.name or executable
        self.processes.append(self._process(body, label, (str(program), *words), arguments))

    def _process(self, body: Located, label: str, command: tuple[str, ...], node: NodeArguments | None) -> ProcessPlan:
        return ProcessPlan(
            label=label,
            command=command,
            where=body.where,
            environment={**self.environment, **self._pairs(body.value.get("env"))},
            node=node,
            cwd=self._folder(body),
            output=self._choice(body, "output", OUTPUTS, "log"),
            respawn=self._flag(body, "respawn", False),
            respawn_delay_s=_positive(body, "respawn_delay", 0.0),
            respawn_max_retries=_number(body, "respawn_max_retries", -1),
            shutdown_on_exit=self._choice(body, "on_exit", ("shutdown",), "") == "shutdown",
            sigterm_timeout_s=_positive(body, "sigterm_timeout", 5.0),
            sigkill_timeout_s=_positive(body, "sigkill_timeout", 5.0),
        )

    def _pairs(self, item: Located | None) -> dict[str, str]:
        return {self._text(pair, "name"): self._text(pair, "value") for pair in item.value} if item else {}

    def _choice(self, body: Located, key: str, choices: tuple[str, ...], default: str) -> str:
        value = self._text(body, key, default)
        if key in body.value and value not in choices:
            raise body.value[key].error(f"{key}: expected {' or '.join(choices)}, got {value!r}")
        return value

    def _folder(self, body: Located) -> Path | None:
        if "cwd" not in body.value:
            return None
        folder = Path(self._text(body, "cwd"))
        if not folder.is_dir():
            raise body.value["cwd"].error(f"cwd: there is no folder {folder}")
        return folder

    def _node_name(self, body: Located) -> str | None:
        if "name" not in body.value:
            return None
        name = self._text(body, "name")
        if not _ROS_NAME.fullmatch(name):
            raise body.value["name"].error(
                f"node name {name!r}: only letters, digits and _ are allowed, no digit first"
            )
        return name

    def _joined_namespace(self, item: Located | None) -> str | None:
        own = expand(item, self._scope()) if item else ""
        if own.startswith("/"):
            full = own
        elif own or self.namespace:
            full = "/".join([(self.namespace or "").rstrip("/"), own]).rstrip("/")
        else:
            return None
        full = full if full.startswith("/") else f"/{full}"
        if item and not all(_ROS_NAME.fullmatch(token) for token in full.strip("/").split("/") if full != "/"):
            raise item.error(f"namespace {full!r}: only letters, digits, _ and / are allowed, no digit first")
        return full

    def _parameter(self, item: Located) -> ParamsFile | dict[str, Any]:
        keys = set(item.value)
        if keys == {"from"}:
            path = Path(self._text(item, "from"))
            if not path.is_file():
                raise item.value["from"].error(f"params file {path} does not exist; {_files_beside(path)}")
            return ParamsFile(path, item.value["from"].where)
        if not {"name", "value"} <= keys or "from" in keys:
            raise item.error("param: expected name and value, or from")
        return {self._text(item, "name"): self._parameter_value(item)}

    def _parameter_value(self, item: Located) -> Any:
        value, kind = item.value["value"], self._text(item, "type")
        if kind and kind not in (*_CASTS, "bool"):
            raise item.value["type"].error(f"param type {kind!r} is not supported; {suggest(kind, [*_CASTS, 'bool'])}")
        if isinstance(value.value, list):
            return [entry.value for entry in value.value]
        if not isinstance(value.value, str):
            return value.value
        text = expand(value, self._scope())
        if kind:
            return _cast(value, text, kind)
        return yaml.safe_load(text) if has_substitution(value.value) else text


def load_actions(file: Path, caller: Located | None = None) -> list[Located]:
    """The entries under `launch:`."""
    where = caller.where if caller else None
    if not file.is_file():
        raise LaunchError(f"launch file {file} does not exist; {_files_beside(file)}", where)
    root = load_yaml(file)
    if not isinstance(root.value, dict) or list(root.value) != ["launch"]:
        raise root.error("expected the one key 'launch:' at the top")
    actions = root.value["launch"]
    if not isinstance(actions.value, list):
        raise actions.error("launch: expected a list of actions")
    return actions.value


def read_argument(body: Located) -> Argument:
    values = body.value
    return Argument(
        name=values["name"].value,
        default=values["default"].value if "default" in values else None,
        description=values["description"].value if "description" in values else "",
        choices=tuple(choice.value["value"].value for choice in _entries(body, "choice")),
        where=body.where,
    )


def ros_arguments(node: NodeArguments, params_files: list[str]) -> list[str]:
    """The `--ros-args` of a node; `params_files` stand for its parameters, in order."""
    words = list(node.extra)
    words += ["-r", f"__node:={node.name}"] if node.name else []
    words += ["-r", f"__ns:={node.namespace}"] if node.namespace else []
    for path in params_files:
        words += ["--params-file", path]
    for source, target in node.remaps:
        words += ["-r", f"{source}:={target}"]
    return ["--ros-args", *words]


def describe(plan: ProcessPlan) -> str:
    """The process as a line that a shell would run, inline parameters written as `-p`."""
    words = list(plan.command)
    if plan.node:
        words += ros_arguments(plan.node, [])
        for entry in plan.node.parameters:
            if isinstance(entry, ParamsFile):
                words += ["--params-file", str(entry.path)]
            else:
                words += [word for key, value in entry.items() for word in ("-p", f"{key}:={_yaml_scalar(value)}")]
    return shlex.join(words)


def _yaml_scalar(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("\n...\n").strip()


def _entries(body: Located, key: str) -> list[Located]:
    return body.value[key].value if key in body.value else []


def _number(body: Located, key: str, default: Any) -> Any:
    return body.value[key].value if key in body.value else default


def _positive(body: Located, key: str, default: float) -> float:
    value = _number(body, key, default)
    if value < 0.0:
        raise body.value[key].error(f"{key}: expected 0.0 or more seconds, got {value}")
    return value


def _as_bool(item: Located, text: str) -> bool:
    word = text.strip().lower()
    if word not in _TRUE + _FALSE:
        raise item.error(f"expected true or false, got {text!r}")
    return word in _TRUE


def _cast(item: Located, text: str, kind: str) -> Any:
    if kind == "bool":
        return _as_bool(item, text)
    try:
        return _CASTS[kind](text)
    except ValueError as error:
        raise item.error(f"expected a value of type {kind}, got {text!r}") from error


def _files_beside(path: Path) -> str:
    if not path.parent.is_dir():
        return f"there is no folder {path.parent}"
    return suggest(path.name, [entry.name for entry in path.parent.iterdir() if entry.suffix == path.suffix])


def _check_params_files(processes: list[ProcessPlan]) -> None:
    """Every section of a params file must be for a node of this launch; a misspelt one would be ignored silently."""
    nodes = [process.node for process in processes if process.node]
    names = {node.name for node in nodes if node.name}
    for node in nodes:
        for entry in node.parameters:
            if isinstance(entry, ParamsFile):
                _check_params_file(entry, node, names)


def _check_params_file(file: ParamsFile, node: NodeArguments, names: set[str]) -> None:
    try:
        root = load_yaml(file.path)
    except LaunchError as error:
        raise LaunchError(f"params file: {error}", file.where) from error
    if not isinstance(root.value, dict):
        raise LaunchError(f"params file {file.path}: expected node names at the top", file.where)
    sections = {key.rsplit("/", 1)[-1]: item for key, item in root.value.items()}
    for name, item in sections.items():
        if name not in names | {"*", "**"}:
            raise item.error(f"params section {name!r} is for no node of this launch; {suggest(name, names)}")
        if not isinstance(item.value, dict) or list(item.value) != ["ros__parameters"]:
            raise item.error(f"params section {name!r}: expected the one key 'ros__parameters:'")
    if node.name and not {node.name, "*", "**"} & set(sections):
        raise LaunchError(f"params file {file.path} has no section for node {node.name!r}", file.where)
