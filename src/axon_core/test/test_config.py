# SPDX-License-Identifier: Apache-2.0
import dataclasses
import re
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axon_core.config import check_config, config_from_mapping, param, param_specs


@dataclass(frozen=True)
class DriveConfig:
    max_speed_mps: float = param(1.0, "Top speed", unit="m/s", minimum=0.0, maximum=5.0)
    threads: int = param(2, "Threads", minimum=1)
    frame: str = param("odom", "Frame", choices=("odom", "map"), read_only=True)
    enabled: bool = param(True, "Whether it works at all")
    weights: tuple[float, ...] = param((1.0, 2.0), "Weights", minimum=0.0)
    labels: tuple[str, ...] = param((), "Labels")

    def __post_init__(self):
        check_config(self)


@pytest.mark.parametrize(
    ("given_values", "text"),
    [
        ({"max_speed_mps": -1.0}, "max_speed_mps = -1.0: expected 0.0 .. 5.0 m/s"),
        ({"max_speed_mps": float("nan")}, "max_speed_mps = nan: expected a finite number"),
        ({"max_speed_mps": "fast"}, "max_speed_mps = 'fast': expected a finite number"),
        ({"max_speed_mps": True}, "max_speed_mps = True: expected a finite number"),
        ({"threads": 0}, "threads = 0: expected >= 1"),
        ({"threads": 1.5}, "threads = 1.5: expected type int"),
        ({"frame": "world"}, "frame = 'world': expected one of odom, map"),
        ({"enabled": 1}, "enabled = 1: expected type bool"),
        ({"weights": [1.0, -2.0]}, "weights = (1.0, -2.0): expected >= 0.0"),
        ({"weights": 1.0}, "weights = 1.0: expected a list of float"),
        ({"labels": "abc"}, "labels = 'abc': expected a list of str"),
        ({"max_sped_mps": 1.0}, "unknown parameter 'max_sped_mps': did you mean 'max_speed_mps'?"),
        ({"zzz": 1.0}, "unknown parameter 'zzz': valid names are enabled, frame,"),
    ],
)
def test_what_does_not_fit_is_said(given_values, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        config_from_mapping(DriveConfig, given_values)


def test_numbers_and_lists_come_in_the_declared_type():
    config = config_from_mapping(DriveConfig, {"max_speed_mps": 2, "weights": [1, 2, 3], "labels": ["a"]})
    assert isinstance(config.max_speed_mps, float)
    assert config.weights == (1.0, 2.0, 3.0) and config.labels == ("a",)


def test_replace_is_checked_too():
    with pytest.raises(ValueError, match=r"max_speed_mps = 9\.0"):
        dataclasses.replace(DriveConfig(), max_speed_mps=9.0)


@given(st.floats(0.0, 5.0), st.integers(1, 100))
def test_all_of_the_range_is_taken_and_kept(speed, threads):
    config = DriveConfig(max_speed_mps=speed, threads=threads)
    assert config_from_mapping(DriveConfig, dataclasses.asdict(config)) == config


@given(st.floats(allow_nan=True).filter(lambda x: not 0.0 <= x <= 5.0))
def test_nothing_else_is(speed):
    with pytest.raises(ValueError, match="max_speed_mps"):
        DriveConfig(max_speed_mps=speed)


def test_specs_describe_every_field():
    specs = param_specs(DriveConfig)
    assert list(specs) == [field.name for field in dataclasses.fields(DriveConfig)]
    assert specs["max_speed_mps"].unit == "m/s" and specs["frame"].read_only
    assert specs["weights"].is_tuple and specs["weights"].kind is float


def test_a_field_without_description_is_a_mistake_of_the_programmer():
    @dataclass(frozen=True)
    class Bare:
        x: float = 1.0

    with pytest.raises(TypeError, match="declare it with"):
        param_specs(Bare)
