# SPDX-License-Identifier: Apache-2.0
"""Rewrite the paths of the build machine that the ROS wheels' CMake files carry to the ones of this Python.

Usage: python mend_cmake_paths.py PREFIX     (PREFIX holds the wheels' share/; prints how many files changed)
"""

from __future__ import annotations

import re
import sys
import sysconfig
from pathlib import Path

import numpy as np

PYTHON_INCLUDE = re.compile(r"/opt/python/cp\d+-cp\d+/include/python3\.\d+")
NUMPY_INCLUDE = re.compile(r"/opt/python/cp\d+-cp\d+/lib/python3\.\d+/site-packages/numpy/_?core/include")


def mend(text: str) -> str:
    """Return `text` with the build machine's include folders replaced by this interpreter's."""
    text = NUMPY_INCLUDE.sub(lambda _: np.get_include(), text)
    return PYTHON_INCLUDE.sub(lambda _: sysconfig.get_path("include"), text)


def mend_prefix(prefix: Path) -> int:
    """Mend every CMake file below `prefix`/share in place; return how many changed."""
    changed = 0
    for path in sorted((prefix / "share").rglob("*.cmake")):
        text = path.read_text(encoding="utf-8")
        mended = mend(text)
        if mended != text:
            path.write_text(mended, encoding="utf-8")
            changed += 1
    return changed


if __name__ == "__main__":
    print(f"{mend_prefix(Path(sys.argv[1]))} CMake files mended")
