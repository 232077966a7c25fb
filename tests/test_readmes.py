# SPDX-License-Identifier: Apache-2.0
"""Every package says what it is, and lists its nodes' parameters as the code has them."""

import dataclasses
from importlib import import_module
from pathlib import Path

import pytest

from axon_core.checks import range_text
from axon_core.config import param_specs

SRC = Path(__file__).parents[1] / "src"
PACKAGES = sorted(path.parent.name for path in SRC.glob("*/package.xml"))
CONFIGURED = sorted(path.parent.name for path in SRC.glob("*/*/config.py") if path.parent.name != "axon_core")
HEADING = "| name | default | unit | range | meaning |\n|---|---|---|---|---|\n"


def config_classes(package):
    """The config dataclasses of a package, in the order in which they are written."""
    classes = vars(import_module(f"{package}.config")).values()
    return [c for c in classes if dataclasses.is_dataclass(c) and c.__module__ == f"{package}.config"]


def parameter_table(config_class):
    """The table of a README, a row for each parameter."""
    return HEADING + "".join(_row(spec) for spec in param_specs(config_class).values())


def _row(spec):
    values = spec.default if spec.is_tuple else (spec.default,)
    default = ", ".join(str(v).lower() if isinstance(v, bool) else str(v) for v in values) or "(empty)"
    bounded = spec.minimum is not None or spec.maximum is not None
    limits = range_text(spec.minimum, spec.maximum) if bounded else ", ".join(map(str, spec.choices or ()))
    meaning = spec.description + (" (read-only)" if spec.read_only else "")
    return f"| `{spec.name}` | {default} | {spec.unit} | {limits} | {meaning} |\n"


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_has_a_readme_under_its_name(package):
    text = (SRC / package / "README.md").read_text(encoding="utf-8")
    assert f"# {package}\n" in text and len(text) > 200


@pytest.mark.parametrize(
    "config_class",
    [pytest.param(c, id=f"{package}.{c.__name__}") for package in CONFIGURED for c in config_classes(package)],
)
def test_the_readme_lists_every_parameter_as_the_code_has_it(config_class):
    readme = SRC / config_class.__module__.partition(".")[0] / "README.md"
    expected = parameter_table(config_class)
    assert expected in readme.read_text(encoding="utf-8"), f"put this table into {readme}:\n{expected}"
