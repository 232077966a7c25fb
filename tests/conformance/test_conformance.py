# SPDX-License-Identifier: Apache-2.0
"""Every node of the workspace keeps the promises of DESIGN.md, and the test notices one that does not."""

import os
import re
from pathlib import Path

import pytest

from axon_ros.conformance import examine

ROOT = Path(__file__).parents[2]


def node_executables():
    """Return (package, executable) of every console script that is named like a node, in every package's setup.py."""
    found = [
        (setup.parent.name, name)
        for setup in sorted(ROOT.glob("src/*/setup.py"))
        for name in re.findall(r"[\"'](\w+_node)\s*=", setup.read_text())
    ]
    assert found, f"no node in {ROOT / 'src'}"
    return found


def installed(package, executable):
    """Return the path of an installed executable."""
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    paths = [Path(prefix) / "lib" / package / executable for prefix in prefixes]
    return next((str(path) for path in paths if path.is_file()), None)


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("package", "executable"), node_executables())
def test_node_keeps_its_promises(package, executable):
    path = installed(package, executable)
    assert path, f"{executable} of {package} is not installed: run ./axon setup"
    assert examine([path]) == {}
