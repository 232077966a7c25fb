# SPDX-License-Identifier: Apache-2.0
"""Which actions and keys a launch file may hold: the part of launch_yaml and launch_ros that this runner performs.

Whatever passes here is meant to pass the real front end too: names, nesting and types are those that its actions read
with `get_attr`. It takes most scalars as text only, so `default: 7` is refused here as it is there.
"""

from __future__ import annotations

from dataclasses import dataclass

from axon_launch.errors import LaunchError, suggest
from axon_launch.loader import Located


@dataclass(frozen=True)
class Key:
    """How a key's value must look; `items` describes the mappings of a list."""

    types: tuple[type, ...] = (str,)
    required: bool = False
    items: dict[str, Key] | None = None


TEXT = Key()
NAME = Key(required=True)
NUMBER = Key(types=(float,))
COUNT = Key(types=(int,))
PAIRS = Key(types=(list,), items={"name": NAME, "value": NAME})
PARAMETERS = Key(
    types=(list,),
    items={"name": TEXT, "value": Key(types=(str, int, float, bool, list)), "type": TEXT, "from": TEXT},
)
REMAPS = Key(types=(list,), items={"from": NAME, "to": NAME})
CONDITION = {"if": TEXT, "unless": TEXT}
PROCESS = {
    **CONDITION,
    "name": TEXT,
    "cwd": TEXT,
    "env": PAIRS,
    "output": TEXT,
    "respawn": TEXT,
    "respawn_delay": NUMBER,
    "respawn_max_retries": COUNT,
    "on_exit": TEXT,
    "sigterm_timeout": NUMBER,
    "sigkill_timeout": NUMBER,
}
ACTIONS: dict[str, dict[str, Key]] = {
    "arg": {
        **CONDITION,
        "name": NAME,
        "default": TEXT,
        "description": TEXT,
        "choice": Key(types=(list,), items={"value": NAME}),
    },
    "let": {**CONDITION, "name": NAME, "value": NAME},
    "set_env": {**CONDITION, "name": NAME, "value": NAME},
    "unset_env": {**CONDITION, "name": NAME},
    "include": {**CONDITION, "file": NAME, "arg": PAIRS},
    "push_ros_namespace": {**CONDITION, "namespace": NAME},
    "push-ros-namespace": {**CONDITION, "namespace": NAME},
    "group": {**CONDITION, "scoped": Key(types=(bool,)), "children": Key(types=(list,), required=True)},
    "executable": {**PROCESS, "cmd": NAME},
    "node": {
        **PROCESS,
        "pkg": NAME,
        "exec": NAME,
        "namespace": TEXT,
        "param": PARAMETERS,
        "remap": REMAPS,
        "args": TEXT,
        "ros_args": TEXT,
    },
}
OUTPUTS = ("screen", "log", "both")


def split_action(item: Located) -> tuple[str, Located]:
    """The name and body of one entry of a `launch:`, `group:` or `children:` list, with its keys checked."""
    if not isinstance(item.value, dict) or len(item.value) != 1:
        raise item.error("expected one action, as in '- node: {pkg: ..., exec: ...}'")
    ((name, body),) = item.value.items()
    if name not in ACTIONS:
        raise body.error(f"unknown action {name!r}; {suggest(name, ACTIONS)}")
    if name == "group" and isinstance(body.value, list):
        body = Located({"children": body}, body.where)
    check_mapping(name, body, ACTIONS[name])
    return name, body


def check_mapping(name: str, body: Located, keys: dict[str, Key]) -> None:
    """Raises LaunchError at the first key that is unknown, missing or of the wrong type."""
    if not isinstance(body.value, dict):
        raise body.error(f"{name}: expected keys, got {body.value!r}")
    for key, item in body.value.items():
        if key not in keys:
            raise item.error(f"{name}: unknown key {key!r}; {suggest(key, keys)}")
        _check_value(f"{name}: {key}", item, keys[key])
    for key, spec in keys.items():
        if spec.required and key not in body.value:
            raise body.error(f"{name}: key {key!r} is missing")


def _check_value(name: str, item: Located, spec: Key) -> None:
    if type(item.value) not in spec.types:
        raise _type_error(name, item, spec)
    if spec.items is not None:
        if not item.value:
            raise item.error(f"{name}: expected a list with at least one entry")
        for entry in item.value:
            check_mapping(name, entry, spec.items)


def _type_error(name: str, item: Located, spec: Key) -> LaunchError:
    names = {str: "text", int: "a whole number", float: "a number with a point", bool: "true or false", list: "a list"}
    expected = " or ".join(names[kind] for kind in spec.types)
    got = item.value if not isinstance(item.value, (list, dict)) else f"a {type(item.value).__name__}"
    quoted = str(got).lower() if isinstance(got, bool) else got
    hint = f' (write "{quoted}" in quotes)' if spec.types == (str,) and isinstance(got, (bool, int, float)) else ""
    return item.error(f"{name}: expected {expected}, got {got}{hint}")
