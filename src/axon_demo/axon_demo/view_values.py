# SPDX-License-Identifier: Apache-2.0
"""Messages of numbers and words to Rerun: speeds, joints, diagnostics, the mission's tasks, logs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import rerun as rr

from axon_demo.view_entries import Entry, frame_of, in_frame, stamp_s, topic_color

_LEVELS = {0: "OK", 1: "WARN", 2: "ERROR", 3: "STALE"}
_LOG_LEVELS = {10: "DEBUG", 20: "INFO", 30: "WARN", 40: "ERROR", 50: "CRITICAL"}
_PLOTTED = ("cpu_percent", "latency_p50_ms", "latency_p95_ms", "rate_out_hz")
_SPEEDS = ("forward m/s", "turn rad/s")


def twist(path: str, msg: Any) -> Iterator[Entry]:
    """A velocity command, Twist or TwistStamped, as forward and turning speed."""
    header, inner = getattr(msg, "header", None), getattr(msg, "twist", msg)
    yield from _speeds(path, inner, stamp_s(header) if header else None)


def odometry(path: str, msg: Any) -> Iterator[Entry]:
    """The position, a point of the way that the robot has come; the speeds below `velocity`."""
    yield from _speeds(f"{path}/velocity", msg.twist.twist, stamp_s(msg.header))
    at = msg.pose.pose.position
    shown = rr.Points3D([[at.x, at.y, at.z]], colors=topic_color(path), radii=0.012)
    yield in_frame(frame_of(msg.header), path, msg.header, shown)


def joints(path: str, msg: Any) -> Iterator[Entry]:
    """The position of each joint."""
    for name, position in zip(msg.name, msg.position, strict=True):
        yield Entry(f"{path}/{name}", (rr.Scalars(float(position)),), stamp_s(msg.header))


def diagnostics(path: str, msg: Any) -> Iterator[Entry]:
    """Of each node its level, what it costs, and in words what is not right."""
    for one in msg.status:
        node = one.name.strip("/")
        yield from _state_and_words(
            f"{path}/level/{node}", f"{path}/message/{node}", _level(one), one, stamp_s(msg.header)
        )
        values = {pair.key: pair.value for pair in one.values}
        for key in _PLOTTED:
            if (value := _float(values.get(key))) is not None:
                yield Entry(f"{path}/{key}/{node}", (rr.Scalars(value),), stamp_s(msg.header))


def status(path: str, msg: Any) -> Iterator[Entry]:
    """What is being done, as a lane of states, and why, in words."""
    yield from _state_and_words(path, f"{path}/message", msg.name, msg, None)


def log(path: str, msg: Any) -> Iterator[Entry]:
    """A line that a node has said."""
    level = _LOG_LEVELS.get(_number(msg.level), "INFO")
    time_s = msg.stamp.sec + 1e-9 * msg.stamp.nanosec or None
    yield Entry(f"{path}/{msg.name}", (rr.TextLog(f"[{msg.name}] {msg.msg}", level=level),), time_s)


def _state_and_words(state_path: str, words_path: str, state: str, msg: Any, time_s: float | None) -> Iterator[Entry]:
    """A status as a lane of states and as a line of text, each only when it changes."""
    level, words = _level(msg), f"{msg.name}: {msg.message}"
    shown_level = "INFO" if level == "OK" else level
    yield Entry(state_path, (rr.StateChange(state=state),), time_s, news=state)
    yield Entry(words_path, (rr.TextLog(words, level=shown_level),), time_s, news=f"{level} {words}")


def _level(msg: Any) -> str:
    return _LEVELS.get(_number(msg.level), "ERROR")


def _speeds(path: str, msg: Any, time_s: float | None) -> Iterator[Entry]:
    yield Entry(path, (rr.SeriesLines(names=[f"{path} {name}" for name in _SPEEDS]),), static=True, news="names")
    yield Entry(path, (rr.Scalars([msg.linear.x, msg.angular.z]),), time_s)


def _number(level: Any) -> int:
    """A field of type byte: rclpy gives bytes, rosbags an int."""
    return level[0] if isinstance(level, bytes) else int(level)


def _float(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:  # "-": there is none
        return None
