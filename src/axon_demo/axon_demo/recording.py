# SPDX-License-Identifier: Apache-2.0
"""Writes MCAP files that ROS 2 tools read: profile ros2, CDR messages, whole .msg definitions inside."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mcap.writer import CompressionType, Writer

_SEPARATOR = "=" * 80
_FIELD = re.compile(r"^\s*([A-Za-z]\w*(?:/[A-Za-z]\w*)?)\s*(?:<=\d+)?(?:\[[^\]]*\])?\s+[A-Za-z]\w*")
_PRIMITIVES = {
    "bool", "byte", "char", "float32", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64",
    "uint64", "string", "wstring",
}  # fmt: skip
_CHUNK_BYTES = 1 << 18


def message_definition(type_name: str, prefixes: list[Path]) -> str:
    """The definition of `pkg/msg/Type` followed by those of all types in it, as MCAP's encoding ros2msg wants it.

    Read from `share/<pkg>/msg/<Type>.msg` of the first prefix that has it. Raises ValueError where none has.
    """
    texts: dict[str, str] = {}
    _collect(type_name, prefixes, texts)
    first, *rest = texts.items()
    parts = [first[1], *(f"{_SEPARATOR}\nMSG: {_short(name)}\n{text}" for name, text in rest)]
    return "\n".join(parts)


def _collect(type_name: str, prefixes: list[Path], texts: dict[str, str]) -> None:
    if type_name in texts:
        return
    texts[type_name] = _definition_text(type_name, prefixes)
    package = type_name.split("/", 1)[0]
    for line in texts[type_name].splitlines():
        match = _FIELD.match(line)
        if match and match[1] not in _PRIMITIVES:
            _collect(_full(match[1], package), prefixes, texts)


def _definition_text(type_name: str, prefixes: list[Path]) -> str:
    package, _, name = type_name.split("/")
    for prefix in prefixes:
        path = prefix / "share" / package / "msg" / f"{name}.msg"
        if path.is_file():
            return path.read_text(encoding="utf-8")
    raise ValueError(f"no definition of {type_name}: no share/{package}/msg/{name}.msg in AMENT_PREFIX_PATH")


def _full(name: str, package: str) -> str:
    owner, _, short = name.rpartition("/")
    return f"{owner or package}/msg/{short}"


def _short(type_name: str) -> str:
    package, _, name = type_name.split("/")
    return f"{package}/{name}"


@dataclass(frozen=True)
class Channel:
    """A topic in the file."""

    topic: str
    type_name: str
    qos_yaml: str


class Recording:
    """An MCAP file being written, also as a context manager; `close` adds the index, else tools must search."""

    def __init__(self, path: Path, prefixes: list[Path], chunk_bytes: int = _CHUNK_BYTES) -> None:
        """What is not yet a chunk is lost when the process is killed; `prefixes` is searched for definitions."""
        self._stream: BinaryIO = path.open("wb")
        self._writer = Writer(self._stream, chunk_size=chunk_bytes, compression=CompressionType.ZSTD)
        self._writer.start(profile="ros2", library="axon_demo")
        self._prefixes = prefixes
        self._schemas: dict[str, int] = {}
        self._channels: dict[Channel, int] = {}
        self._sequence: dict[int, int] = {}
        self._newest_ns = 0

    def write(self, channel: Channel, cdr: bytes, stamp_ns: int) -> None:
        """Appends one message; a stamp of 0 or less is taken as that of the message before."""
        stamp_ns = self._newest_ns = stamp_ns if stamp_ns > 0 else self._newest_ns
        number = self._channel(channel)
        self._sequence[number] += 1
        self._writer.add_message(number, stamp_ns, cdr, stamp_ns, self._sequence[number])

    def close(self) -> None:
        """Completes the file; a second call does nothing."""
        if not self._stream.closed:
            self._writer.finish()
            self._stream.close()

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _channel(self, channel: Channel) -> int:
        if channel not in self._channels:
            number = self._writer.register_channel(
                channel.topic, "cdr", self._schema(channel.type_name), {"offered_qos_profiles": channel.qos_yaml}
            )
            self._channels[channel] = number
            self._sequence[number] = 0
        return self._channels[channel]

    def _schema(self, type_name: str) -> int:
        if type_name not in self._schemas:
            text = message_definition(type_name, self._prefixes)
            self._schemas[type_name] = self._writer.register_schema(type_name, "ros2msg", text.encode())
        return self._schemas[type_name]
