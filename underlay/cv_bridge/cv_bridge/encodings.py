# SPDX-License-Identifier: Apache-2.0
"""What the encoding strings of sensor_msgs/Image mean: element type, channels, colour space, planes.

The names are those of sensor_msgs/image_encodings.hpp. OpenCV names a Bayer pattern by the second and third pixel of
the second row, ROS by the first two of the first, hence the crossed pairs (ROS ``rggb`` is OpenCV ``BayerBG``).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

import numpy as np


class CvBridgeError(TypeError):
    """An image that cannot be converted; the text says what was found and what was expected."""


class Encoding(NamedTuple):
    """Memory layout and meaning of one encoding string.

    ``color`` is the colour space as OpenCV spells it in its conversion codes, or "" where the numbers have no colour.
    ``rows_per_2`` is how many rows of ``step`` bytes hold two image rows: 2, or 3 and 6 for the planar YUV formats.
    """

    name: str
    dtype: np.dtype
    channels: int
    color: str
    pixel_bytes: int
    rows_per_2: int = 2

    @property
    def bits(self) -> int:
        """Bits of one channel."""
        return 8 * self.dtype.itemsize

    @property
    def cvtype_name(self) -> str:
        """OpenCV's name of the element type, such as ``8UC3``."""
        return f"{DEPTH_NAMES[self.dtype.name]}C{self.channels}"


DEPTH_NAMES = {
    "uint8": "8U",
    "int8": "8S",
    "uint16": "16U",
    "int16": "16S",
    "int32": "32S",
    "float32": "32F",
    "float64": "64F",
}
DTYPE_NAMES = {depth: dtype for dtype, depth in DEPTH_NAMES.items()}
MAX_CHANNELS = 512  # OpenCV's CV_CN_MAX up to version 4; version 5 holds 128

_COLORS = {"mono": ("GRAY", 1), "rgb": ("RGB", 3), "bgr": ("BGR", 3), "rgba": ("RGBA", 4), "bgra": ("BGRA", 4)}
_BAYER = {"rggb": "BayerBG", "bggr": "BayerRG", "gbrg": "BayerGR", "grbg": "BayerGB"}
_PACKED_YUV = {"yuv422": "UYVY", "uyvy": "UYVY", "yuv422_yuy2": "YUY2", "yuyv": "YUY2"}
_PLANAR_YUV = {"nv12": ("NV12", 3), "nv21": ("NV21", 3), "nv24": ("NV24", 6)}
_GENERIC = re.compile(r"(8U|8S|16U|16S|32S|32F|64F)(?:C([0-9]+))?")


def _named_encodings() -> dict[str, Encoding]:
    table = {}
    for bits in (8, 16):
        dtype, size = np.dtype(f"uint{bits}"), bits // 8
        for prefix, (color, channels) in _COLORS.items():
            table[f"{prefix}{bits}"] = Encoding(f"{prefix}{bits}", dtype, channels, color, channels * size)
        for pattern, color in _BAYER.items():
            table[f"bayer_{pattern}{bits}"] = Encoding(f"bayer_{pattern}{bits}", dtype, 1, color, size)
    byte = np.dtype(np.uint8)
    table.update({name: Encoding(name, byte, 2, color, 2) for name, color in _PACKED_YUV.items()})
    table.update({name: Encoding(name, byte, 1, color, 1, rows) for name, (color, rows) in _PLANAR_YUV.items()})
    return table


NAMED_ENCODINGS = _named_encodings()


@lru_cache(maxsize=256)
def find_encoding(name: str) -> Encoding:
    """Look an encoding string up.

    Raises:
        CvBridgeError: the string is none of ROS's names and no OpenCV type such as ``8UC3``.
    """
    if name in NAMED_ENCODINGS:
        return NAMED_ENCODINGS[name]
    match = _GENERIC.fullmatch(name)
    channels = int(match[2] or 1) if match else 0
    if not match or not 1 <= channels <= MAX_CHANNELS:
        known = ", ".join(sorted(NAMED_ENCODINGS))
        raise CvBridgeError(f"unknown image encoding {name!r}: expected one of {known}, or an OpenCV type such as 8UC3")
    dtype = np.dtype(DTYPE_NAMES[match[1]])
    return Encoding(name, dtype, channels, "", channels * dtype.itemsize)
