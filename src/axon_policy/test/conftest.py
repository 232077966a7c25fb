# SPDX-License-Identifier: Apache-2.0
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def network(tmp_path_factory):
    """Path of a network that steers to the goal whatever is in the way."""
    from steering import steering_network

    return steering_network(tmp_path_factory.mktemp("models") / "steering.onnx")
