# SPDX-License-Identifier: Apache-2.0
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def toy(tmp_path_factory):
    """Path of a network that sees red, green and blue squares; see toys.py."""
    pytest.importorskip("onnx")
    from toys import write_toy

    return write_toy(tmp_path_factory.mktemp("toy") / "toy.onnx")
