# SPDX-License-Identifier: Apache-2.0
"""Configuration as frozen dataclasses that describe, bound and check themselves.

    @dataclass(frozen=True)
    class FooConfig:
        max_speed_mps: float = param(1.0, "Top speed", unit="m/s", minimum=0.0, maximum=5.0)

        def __post_init__(self) -> None:
            check_config(self)

A value is bool, int, float, str, or a tuple of int, float or str. `dataclasses.replace` is the way to change one.
"""

import dataclasses
import difflib
import math
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from axon_core.checks import range_text

Config = TypeVar("Config")

_METADATA_KEY = "axon_core.param"
_SCALARS: tuple[type, ...] = (bool, int, float, str)


@dataclass(frozen=True)
class ParamSpec:
    """What is known of one field: its name, element type (`kind`), whether it is a tuple, and the bounds on it."""

    name: str
    kind: type
    is_tuple: bool
    default: Any
    description: str
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[Any, ...] | None = None
    read_only: bool = False


def param(
    default: Any,
    description: str,
    *,
    unit: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    choices: Iterable[Any] | None = None,
    read_only: bool = False,
) -> Any:
    """Declare a field of a config dataclass; `minimum` and `maximum` are inclusive and hold for each element."""
    metadata = {
        "description": description,
        "unit": unit,
        "minimum": minimum,
        "maximum": maximum,
        "choices": tuple(choices) if choices is not None else None,
        "read_only": read_only,
    }
    return dataclasses.field(default=default, metadata={_METADATA_KEY: metadata})


def param_specs(config_class: type) -> dict[str, ParamSpec]:
    """Return the specification of every field of `config_class`, by name and in order.

    Raises TypeError for a field that was not declared by `param` or whose type is not one of the supported.
    """
    hints = typing.get_type_hints(config_class)
    return {field.name: _spec_of(field, hints[field.name]) for field in dataclasses.fields(config_class)}


def check_config(config: Any) -> None:
    """Check every field of a config against its declaration; numbers and lists are brought to their declared type.

    Raises ValueError such as `max_speed_mps = -1.0: expected 0.0 .. 5.0 m/s`.
    """
    for spec in param_specs(type(config)).values():
        object.__setattr__(config, spec.name, check_value(spec, getattr(config, spec.name)))


def check_value(spec: ParamSpec, value: Any) -> Any:
    """Return `value` in the declared type of `spec`, or raise ValueError naming the field, the value and what fits."""
    if not spec.is_tuple:
        return _check_element(spec, value, value)
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ValueError(f"{spec.name} = {value!r}: expected a list of {spec.kind.__name__}")
    elements = tuple(value)
    return tuple(_check_element(spec, element, elements) for element in elements)


def config_from_mapping(config_class: type[Config], mapping: Mapping[str, Any]) -> Config:
    """Build a config from names and values; ValueError for an unknown name, with the closest valid one."""
    check_known_names(mapping, param_specs(config_class))
    return config_class(**mapping)


def check_known_names(names: Iterable[str], valid: Iterable[str]) -> None:
    """Raise ValueError for the first of `names` that is not in `valid`, naming the closest that is."""
    known = list(valid)
    for name in names:
        if name not in known:
            raise ValueError(f"unknown parameter '{name}'{closest_text(name, known)}")


def closest_text(name: str, valid: Iterable[str]) -> str:
    """Return `: did you mean 'x'?`, or the list of all valid names where none is close."""
    known = sorted(valid)
    close = difflib.get_close_matches(name, known, n=1)
    return f": did you mean '{close[0]}'?" if close else f": valid names are {', '.join(known)}"


def _spec_of(field: "dataclasses.Field[Any]", hint: Any) -> ParamSpec:
    metadata = field.metadata.get(_METADATA_KEY)
    if metadata is None:
        raise TypeError(f"{field.name}: declare it with axon_core.config.param")
    is_tuple = typing.get_origin(hint) is tuple
    kind = typing.get_args(hint)[0] if is_tuple else hint
    if kind not in _SCALARS or (is_tuple and typing.get_args(hint) != (kind, ...)):
        raise TypeError(f"{field.name}: type {hint} is not bool, int, float, str or a tuple[..., ...] of these")
    return ParamSpec(field.name, kind, is_tuple, field.default, **metadata)


def _check_element(spec: ParamSpec, element: Any, whole: Any) -> Any:
    typed = _to_kind(spec.kind, element)
    if typed is None:
        raise ValueError(f"{spec.name} = {whole!r}: expected {_kind_text(spec)}")
    if spec.choices is not None and typed not in spec.choices:
        raise ValueError(f"{spec.name} = {whole!r}: expected one of {', '.join(map(str, spec.choices))}")
    below = spec.minimum is not None and typed < spec.minimum
    above = spec.maximum is not None and typed > spec.maximum
    if below or above:
        raise ValueError(f"{spec.name} = {whole!r}: expected {range_text(spec.minimum, spec.maximum, spec.unit)}")
    return typed


def _to_kind(kind: type, value: Any) -> Any:
    """Return `value` as `kind`, None where it is not one. An int is a float; a bool is a number to nobody."""
    if kind in (bool, str):
        return value if isinstance(value, kind) else None
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        return None
    if kind is int:
        return int(value) if hasattr(value, "__index__") else None
    return float(value) if math.isfinite(value) else None


def _kind_text(spec: ParamSpec) -> str:
    text = "a finite number" if spec.kind is float else f"type {spec.kind.__name__}"
    return f"a list, each {text}" if spec.is_tuple else text
