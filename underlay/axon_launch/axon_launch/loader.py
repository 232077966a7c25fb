# SPDX-License-Identifier: Apache-2.0
"""YAML with line numbers: a launch file as a tree of values that know where they stand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from axon_launch.errors import LaunchError, Where


@dataclass(frozen=True)
class Located:
    """A YAML value and its place.

    `value` is a scalar (str, int, float, bool, None), a list of Located or a dict of str to Located; a mapping's
    values stand on the line of their key.
    """

    value: Any
    where: Where

    def error(self, text: str) -> LaunchError:
        return LaunchError(text, self.where)


def load_yaml(path: Path) -> Located:
    """Reads one YAML document.

    Raises LaunchError where the file cannot be read, is not YAML, is empty, or gives a key twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LaunchError(f"cannot read {path}: {error}") from error
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            raise LaunchError("the file is empty", Where(path, 1))
        return _located(node, loader, path, node.start_mark.line)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise LaunchError(f"not valid YAML: {error.problem}", Where(path, line)) from error
    except yaml.YAMLError as error:
        raise LaunchError(f"not valid YAML: {error}", Where(path, 1)) from error
    finally:
        loader.dispose()


def _located(node: yaml.Node, loader: yaml.SafeLoader, path: Path, line: int) -> Located:
    where = Where(path, line + 1)
    if isinstance(node, yaml.SequenceNode):
        return Located([_located(item, loader, path, item.start_mark.line) for item in node.value], where)
    if isinstance(node, yaml.MappingNode):
        return Located(_mapping(node, loader, path), where)
    return Located(loader.construct_object(node), where)


def _mapping(node: yaml.MappingNode, loader: yaml.SafeLoader, path: Path) -> dict[str, Located]:
    entries: dict[str, Located] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line
        key = str(key_node.value)
        if key in entries:
            raise LaunchError(f"key {key!r} is given twice", Where(path, line + 1))
        entries[key] = _located(value_node, loader, path, line)
    return entries
