# SPDX-License-Identifier: Apache-2.0
"""A config dataclass as the parameters of a node: declared, described, bounded, and followed at run time."""

import dataclasses
import sys
from collections.abc import Callable
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from axon_core.config import ParamSpec, check_known_names, check_value, config_from_mapping, param_specs
from axon_ros.errors import ParameterError, error_line

AUTOSTART = ParamSpec("autostart", bool, False, True, "Configure and activate by itself at start", read_only=True)
_OF_ROS = ("use_sim_time", "start_type_description_service")
_INT64 = 2**63 - 1


class ConfigParameters:
    """Keeps `config` equal to the node's parameters.

    The node must have been made with `automatically_declare_parameters_from_overrides`, so that a name that nobody
    declares is seen. `apply` is called with a config that the dataclass has accepted, and raises ValueError to
    refuse it. Raises ParameterError where the node was given a name or value that does not fit.
    """

    def __init__(self, node: Node, config_class: type, apply: Callable[[Any], None]) -> None:
        self._specs = param_specs(config_class)
        self._apply = apply
        try:
            given = self._take_overrides(node)
            self.autostart: bool = check_value(AUTOSTART, given.pop(AUTOSTART.name, AUTOSTART.default))
            self.config = config_from_mapping(config_class, given)
        except ValueError as error:
            raise ParameterError(str(error)) from error
        _declare(node, AUTOSTART, self.autostart)
        for spec in self._specs.values():
            _declare(node, spec, getattr(self.config, spec.name))
        node.add_on_set_parameters_callback(self._on_set)

    def _take_overrides(self, node: Node) -> dict[str, Any]:
        """Return what files and command line have set, and undeclare it, to be declared with its description."""
        given = {name: p.value for name, p in node.get_parameters_by_prefix("").items()}
        if not isinstance(given["use_sim_time"], bool):
            raise ValueError(f"use_sim_time = {given['use_sim_time']!r}: expected type bool")
        values = {name: _plain(value) for name, value in given.items() if name not in _OF_ROS}
        check_known_names(values, [AUTOSTART.name, *self._specs])
        for name in values:
            node.undeclare_parameter(name)
        return values

    def _on_set(self, parameters: list[Parameter]) -> SetParametersResult:
        changes = {p.name: _plain(p.value) for p in parameters if p.name in self._specs}
        if not changes:
            return SetParametersResult(successful=True)
        try:
            config = dataclasses.replace(self.config, **changes)
            self._apply(config)
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        except Exception as error:  # a change that the node fails on is a change refused
            return SetParametersResult(successful=False, reason=error_line(error))
        self.config = config
        return SetParametersResult(successful=True)


def describe(spec: ParamSpec) -> ParameterDescriptor:
    """Return the descriptor of a parameter: description with unit, range, choices, read-only."""
    descriptor = ParameterDescriptor(
        name=spec.name,
        description=f"{spec.description} [{spec.unit}]" if spec.unit else spec.description,
        read_only=spec.read_only,
        # An empty list has no type in ROS; the config checks the elements in its place.
        dynamic_typing=spec.is_tuple,
    )
    if spec.choices is not None:
        descriptor.additional_constraints = "one of " + ", ".join(map(str, spec.choices))
    if spec.minimum is not None or spec.maximum is not None:
        _set_range(descriptor, spec)
    return descriptor


def _set_range(descriptor: ParameterDescriptor, spec: ParamSpec) -> None:
    if spec.kind is int:
        low, high = _or(spec.minimum, -_INT64), _or(spec.maximum, _INT64)
        descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high), step=0)]
    else:
        low, high = _or(spec.minimum, -sys.float_info.max), _or(spec.maximum, sys.float_info.max)
        descriptor.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=float(high), step=0.0)]


def _declare(node: Node, spec: ParamSpec, value: Any) -> None:
    plain = list(value) if isinstance(value, tuple) else value
    node.declare_parameter(spec.name, plain, describe(spec), ignore_override=True)


def _plain(value: Any) -> Any:
    return value if isinstance(value, (bool, int, float, str)) or value is None else list(value)


def _or(bound: float | None, fallback: float) -> float:
    return fallback if bound is None else bound
