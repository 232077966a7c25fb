# SPDX-License-Identifier: Apache-2.0
"""What is shown: takes serialized messages, from the graph or from a file, and logs them to a Rerun recording."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rerun as rr
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from axon_demo.recording import message_definition
from axon_demo.view_converters import CONVERTERS, HEAVY, is_shown
from axon_demo.view_entries import Entry
from axon_demo.view_layout import layout, root_frame

_EPOCH_S = 1e8
"""A clock beyond it, three years, counts from 1970; one before it from the start of a simulation."""
_CLOCKS_DIFFER_S = 3600.0
"""A stamp so far from when it came is of another clock: what nodes say before a simulator tells them the time."""


class Decoder:
    """Reads CDR bytes into rosbags' messages; what rosbags does not know is read from the installed definitions."""

    def __init__(self) -> None:
        self._types = get_typestore(Stores.ROS2_KILTED)
        self._prefixes = [Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]

    def learn(self, type_name: str) -> None:
        """Makes a type known. Raises ValueError where it is not installed."""
        if type_name not in self._types.types:
            found = get_types_from_msg(message_definition(type_name, self._prefixes), type_name)
            self._types.register({name: fields for name, fields in found.items() if name not in self._types.types})

    def read(self, type_name: str, cdr: bytes) -> Any:
        """The message. Raises ValueError where its type is not installed."""
        self.learn(type_name)
        return self._types.deserialize_cdr(cdr, type_name)


class Scene:
    """Everything that has been seen, with the layout that fits it.

    Two timelines: `stamp`, that of the messages' headers, and `received`. A message without a stamp has been when it
    was received.
    """

    def __init__(
        self,
        stream: rr.RecordingStream,
        namespace: str = "",
        max_rate_hz: float | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        """`max_rate_hz` limits images, clouds and grids; `say` is told, once, why a topic is not shown."""
        self._stream, self._say = stream, say
        stream.set_log_time_enabled(False)
        stream.set_log_tick_enabled(False)
        self._prefix = f"/{namespace.strip('/')}/" if namespace.strip("/") else "/"
        self._period_s = 1.0 / max_rate_hz if max_rate_hz else 0.0
        self._decoder = Decoder()
        self._due_s: dict[str, float] = {}
        self._news: dict[str, str] = {}
        self._said: set[str] = set()
        self._parents: dict[str, str] = {}
        self._wanted: Any = None
        self._laid_out: Any = None
        self._kind_of_time = ""
        self.shown: dict[str, str] = {}
        """Topics, relative to the namespace, of which something was shown, and their types."""
        self.counts: dict[str, int] = {}

    def relative(self, topic: str) -> str | None:
        """A topic without the namespace; those of the whole graph, as /tf, stay; None for those of other robots."""
        if topic.startswith(self._prefix):
            return topic[len(self._prefix) :]
        return topic.lstrip("/") if topic in ("/tf", "/tf_static", "/diagnostics", "/rosout") else None

    def wants(self, topic: str, type_name: str) -> bool:
        """Whether a topic has something to show."""
        path = self.relative(topic)
        return path is not None and is_shown(path, type_name)

    def take(self, topic: str, type_name: str, received_s: float, cdr: bytes) -> None:
        """Shows a message. One that makes no sense is said, once a topic, and left out."""
        path = self.relative(topic)
        if path is None or not is_shown(path, type_name) or not self._is_due(path, type_name, received_s):
            return
        try:
            message = self._decoder.read(type_name, cdr)
            for entry in CONVERTERS[type_name](path, message):
                self._log(entry, received_s)
        except Exception as error:  # whatever is in a message of somebody's: the others are shown
            self._say_once(topic, f"{topic} ({type_name}) is not shown: {error}")
            return
        self.shown.setdefault(path, type_name)
        self.counts[path] = self.counts.get(path, 0) + 1
        if type_name == "tf2_msgs/msg/TFMessage":
            self._parents |= {one.child_frame_id: one.header.frame_id for one in message.transforms}

    def lay_out(self, at_once: bool = True) -> None:
        """Arranges the views for what there is, where that has changed; not at once: when it changes no more."""
        wanted, before = (dict(self.shown), root_frame(self._parents)), self._wanted
        self._wanted = wanted
        if wanted != self._laid_out and self.shown and (at_once or wanted == before):
            self._stream.send_blueprint(layout(*wanted))
            self._laid_out = wanted

    def close(self) -> None:
        """Sends or writes what is still on its way."""
        self._stream.flush()
        self._stream.disconnect()

    def _is_due(self, path: str, type_name: str, now_s: float) -> bool:
        """Whether a message of a limited rate is to be shown now; also right after the clock was set back."""
        if not self._period_s or type_name not in HEAVY:
            return True
        due_s = self._due_s.get(path, now_s)
        if due_s - 2.0 * self._period_s < now_s < due_s:
            return False
        self._due_s[path] = max(due_s + self._period_s, now_s)
        return True

    def _log(self, entry: Entry, received_s: float) -> None:
        if entry.news is not None and self._news.get(entry.path) == entry.news:
            return
        if entry.news is not None:
            self._news[entry.path] = entry.news
        stamp_s = received_s if entry.stamp_s is None else entry.stamp_s
        is_of_this_clock = abs(stamp_s - received_s) < _CLOCKS_DIFFER_S
        self._set_times(stamp_s if is_of_this_clock else received_s, received_s)
        self._stream.log(entry.path.split("/"), *entry.parts, static=entry.static, strict=True)

    def _set_times(self, stamp_s: float, received_s: float) -> None:
        kind = "timestamp" if received_s > _EPOCH_S else "duration"
        if kind != (self._kind_of_time or kind):
            raise ValueError("the clock has changed between simulated and real time: begin a new view")
        self._kind_of_time = kind
        unit = np.datetime64 if kind == "timestamp" else np.timedelta64
        for timeline, time_s in (("stamp", stamp_s), ("received", received_s)):
            self._stream.set_time(timeline, **{kind: unit(round(1e9 * time_s), "ns")})

    def _say_once(self, key: str, text: str) -> None:
        if key not in self._said:
            self._said.add(key)
            self._say(text)
