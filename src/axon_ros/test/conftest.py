# SPDX-License-Identifier: Apache-2.0
import re
from pathlib import Path

import pytest

from axon_ros.testing import domain, processes, ros_node

__all__ = ["domain", "processes", "ros_node"]


@pytest.fixture(scope="session")
def example(tmp_path_factory):
    """The example of the README, as a file."""
    text = (Path(__file__).parents[1] / "README.md").read_text()
    path = tmp_path_factory.mktemp("example") / "nearest_node.py"
    path.write_text(re.search(r"```python\n(.*?)```", text, re.DOTALL).group(1))
    return path
