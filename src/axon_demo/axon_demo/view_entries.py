# SPDX-License-Identifier: Apache-2.0
"""What a message becomes in Rerun: entries, each for one entity, and what all converters need for making them."""

from __future__ import annotations

import colorsys
import zlib
from dataclasses import dataclass
from typing import Any

import rerun as rr

Color = tuple[int, int, int]

INK: Color = (160, 165, 175)
_COLORS: dict[str, Color] = {
    "scan": (255, 95, 80),
    "plan": (70, 160, 255),
    "plan_raw": (130, 140, 160),
    "slam/path": (120, 230, 140),
    "slam/odometry": (120, 230, 140),
    "odom": (240, 200, 90),
    "goal_pose": (255, 90, 200),
}
"""Of the topics that everybody looks at together; others get one by their name."""
_START = 18183
"""Where the hash of a name begins: here the hues of the simulator's ten categories come out well apart."""


@dataclass(frozen=True)
class Entry:
    """Archetypes for one entity; `stamp_s` is None where the message has no time of its own."""

    path: str
    parts: tuple[Any, ...]
    stamp_s: float | None = None
    static: bool = False
    news: str | None = None
    """Where it is given: an entry whose news are those of the last one of its entity need not be shown again."""


def topic_color(path: str) -> Color:
    """The colour of a topic's data."""
    return _COLORS.get(path) or name_color(path)


def name_color(name: str) -> Color:
    """A bright colour that a name, say a category, has wherever and whenever it is shown."""
    hue = zlib.crc32(name.encode(), _START) / 2**32
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.65, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)


def stamp_s(header: Any) -> float | None:
    """A header's stamp in seconds; a stamp of zero says nothing."""
    return header.stamp.sec + 1e-9 * header.stamp.nanosec or None


def frame_of(header: Any) -> str:
    """The frame that the data of a header lies in. Raises ValueError where it names none."""
    frame = str(header.frame_id).lstrip("/")
    if not frame:
        raise ValueError("its header names no frame: it cannot be placed")
    return frame


def in_frame(frame: str, path: str, header: Any, *parts: Any) -> Entry:
    """An entry of things that lie in a frame."""
    return Entry(path, (rr.CoordinateFrame(frame), *parts), stamp_s(header))


def image_frame(frame: str) -> str:
    """The two-dimensional frame of the image of a camera whose optical frame is `frame`: x right, y down, pixels."""
    return f"{frame}/image"
