# SPDX-License-Identifier: Apache-2.0
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def network(tmp_path_factory):
    """The file of a network whose answer is written in the colours of its image; see `networks`."""
    from networks import write_network

    return write_network(tmp_path_factory.mktemp("networks") / "colours.onnx")
