# SPDX-License-Identifier: Apache-2.0
"""`$(var x)` and its kin: parsing and expansion of the substitutions that our launch files use."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from axon_launch.errors import LaunchError, suggest
from axon_launch.loader import Located
from axon_launch.packages import package_prefix, package_share

_PLACEHOLDER = "\ue000"  # a private-use character stands for a substitution while shlex splits the text around it


@dataclass(frozen=True)
class Substitution:
    """`$(name argument ...)`; each argument is again a template."""

    name: str
    arguments: tuple[Template, ...]


Template = tuple["str | Substitution", ...]


@dataclass(frozen=True)
class Scope:
    """What substitutions can see."""

    variables: Mapping[str, str]
    environment: Mapping[str, str]
    directory: Path


def parse_template(text: str) -> Template:
    """Splits text into literal parts and substitutions. Raises ValueError on an unclosed `$(`."""
    parts, position = _parse(text, 0, inside=False)
    if position != len(text):
        raise ValueError(f"cannot read {text!r} after character {position}")
    return parts


def has_substitution(text: str) -> bool:
    return any(isinstance(part, Substitution) for part in parse_template(text))


def _parse(text: str, position: int, *, inside: bool) -> tuple[Template, int]:
    """One template from `position`; inside a substitution it ends at a blank or a closing bracket."""
    parts: list[str | Substitution] = []
    literal = ""
    while position < len(text):
        char = text[position]
        if char == "\\" and position + 1 < len(text):
            literal += text[position + 1]
            position += 2
        elif text.startswith("$(", position):
            parts += [literal] if literal else []
            literal = ""
            substitution, position = _parse_substitution(text, position + 2)
            parts.append(substitution)
        elif inside and char in " )":
            break
        else:
            literal += char
            position += 1
    parts += [literal] if literal else []
    return tuple(parts), position


def _parse_substitution(text: str, position: int) -> tuple[Substitution, int]:
    words: list[Template] = []
    while position < len(text) and text[position] != ")":
        if text[position] == " ":
            position += 1
        elif text[position] in "'\"":
            word, position = _parse_quoted(text, position)
            words.append(word)
        else:
            word, position = _parse(text, position, inside=True)
            words.append(word)
    if position >= len(text):
        raise ValueError(f"{text!r}: a '$(' is not closed")
    if not words or len(words[0]) != 1 or not isinstance(words[0][0], str):
        raise ValueError(f"{text!r}: '$(' must be followed by the name of a substitution")
    return Substitution(words[0][0], tuple(words[1:])), position + 1


def _parse_quoted(text: str, position: int) -> tuple[Template, int]:
    end = text.find(text[position], position + 1)
    if end < 0:
        raise ValueError(f"{text!r}: a quote is not closed")
    return parse_template(text[position + 1 : end]), end + 1


def expand(item: Located, scope: Scope) -> str:
    """The text of a located string with every substitution performed. Raises LaunchError with the line."""
    try:
        return _expand_template(parse_template(item.value), scope)
    except (ValueError, LaunchError) as error:
        raise item.error(str(error)) from error


def expand_words(item: Located, scope: Scope) -> list[str]:
    """A command line split as a shell would, where a substitution's result is never split itself."""
    try:
        return _expand_words(parse_template(item.value), scope)
    except (ValueError, LaunchError) as error:
        raise item.error(str(error)) from error


def _expand_words(template: Template, scope: Scope) -> list[str]:
    values = iter([_perform(part, scope) for part in template if isinstance(part, Substitution)])
    text = "".join(part if isinstance(part, str) else _PLACEHOLDER for part in template)
    words = shlex.split(text)
    return ["".join(next(values) if char == _PLACEHOLDER else char for char in word) for word in words]


def _expand_template(template: Template, scope: Scope) -> str:
    return "".join(part if isinstance(part, str) else _perform(part, scope) for part in template)


def _perform(substitution: Substitution, scope: Scope) -> str:
    name = substitution.name
    if name not in _PERFORM:
        raise LaunchError(f"substitution $({name} ...) is not supported here; {suggest(name, _PERFORM)}")
    fewest, most, function = _PERFORM[name]
    arguments = [_expand_template(argument, scope) for argument in substitution.arguments]
    if not fewest <= len(arguments) <= most:
        raise LaunchError(f"$({name}) takes {fewest} to {most} arguments, got {len(arguments)}")
    return function(scope, *arguments)


def _var(scope: Scope, name: str, default: str | None = None) -> str:
    value = scope.variables.get(name, default)
    if value is None:
        raise LaunchError(f"$(var {name}): no such variable; {suggest(name, scope.variables)}")
    return value


def _env(scope: Scope, name: str, default: str | None = None) -> str:
    value = scope.environment.get(name, default)
    if value is None:
        raise LaunchError(f"$(env {name}): {name} is not set and no default is given")
    return value


_PERFORM = {
    "var": (1, 2, _var),
    "env": (1, 2, _env),
    "find-pkg-share": (1, 1, lambda scope, name: str(package_share(name, scope.environment))),
    "find-pkg-prefix": (1, 1, lambda scope, name: str(package_prefix(name, scope.environment))),
    "dirname": (0, 0, lambda scope: str(scope.directory)),
}
