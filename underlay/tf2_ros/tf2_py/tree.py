# SPDX-License-Identifier: Apache-2.0
"""The tree of frames: what is where, in what, at any recent time. Knows nothing of ROS messages.

Stamps are integer nanoseconds; 0 asks for the latest time at which all parts of the chain are known. Transforms are
named ``target_T_source``: they take coordinates in ``source`` to coordinates in ``target``.
"""

from __future__ import annotations

from threading import RLock

from tf2_py.exceptions import (
    ConnectivityException,
    ExtrapolationException,
    InvalidArgumentException,
    LookupException,
)
from tf2_py.history import History
from tf2_py.rigid import IDENTITY, Rigid, compose, inverse, normalized

LATEST = 0


class TransformTree:
    """Thread-safe store of the transforms of the last ``keep_ns`` nanoseconds, and of the static ones for ever."""

    def __init__(self, keep_ns: int) -> None:
        if keep_ns <= 0:
            raise InvalidArgumentException(f"cache time is {keep_ns / 1e9} s: expected more than 0")
        self.keep_ns = keep_ns
        self._histories: dict[str, History] = {}
        self._names: set[str] = set()
        self._lock = RLock()

    def insert(self, parent: str, child: str, stamp: int, transform: Rigid, static: bool, authority: str = "") -> str:
        """Store parent_T_child; returns why a sample that is right in itself was not needed (too old, repeated), or "".

        Raises:
            InvalidArgumentException: empty or equal names, numbers that are not finite, no unit quaternion.
        """
        parent, child = parent.removeprefix("/"), child.removeprefix("/")
        if not parent or not child:
            raise InvalidArgumentException(f"transform from {parent!r} to {child!r}: a frame has no name")
        if parent == child:
            raise InvalidArgumentException(f"transform from {parent!r} to itself")
        try:
            transform = normalized(transform)
        except ValueError as error:
            raise InvalidArgumentException(f"transform from {parent!r} to {child!r}: {error}") from None
        with self._lock:
            history = self._histories.get(child)
            if history is None or history.static != static:
                history = self._histories[child] = History(static)
            history.authority = authority
            self._names.update((parent, child))
            return history.insert(stamp, parent, transform, self.keep_ns)

    def clear(self) -> None:
        """Forget everything but the static transforms, which are sent only once."""
        with self._lock:
            self._histories = {child: history for child, history in self._histories.items() if history.static}
            self._names = {name for child, history in self._histories.items() for name in (child, history.parents[0])}

    def lookup(self, target: str, source: str, stamp: int) -> tuple[int, Rigid]:
        """target_T_source at ``stamp``, and that stamp (for LATEST the time found; 0 where all is static).

        Raises:
            InvalidArgumentException, LookupException, ConnectivityException, ExtrapolationException.
        """
        with self._lock:
            self._check_frame(target, "target_frame")
            self._check_frame(source, "source_frame")
            below, above = self._path(target, source, stamp)
            if stamp == LATEST:
                stamp = self._common_stamp(below, above, source if source == target else None)
            try:
                return stamp, compose(inverse(_chain(above, stamp)), _chain(below, stamp))
            except ExtrapolationException as error:
                text = f"{error}, when looking up transform from frame [{source}] to frame [{target}]"
                raise ExtrapolationException(text) from None

    def lookup_full(
        self, target: str, target_stamp: int, source: str, source_stamp: int, fixed: str
    ) -> tuple[int, Rigid]:
        """Where ``source`` at its stamp is seen from ``target`` at its own, ``fixed`` not moving in between."""
        with self._lock:
            self._check_frame(fixed, "fixed_frame")
            _, fixed_T_source = self.lookup(fixed, source, source_stamp)
            stamp, target_T_fixed = self.lookup(target, fixed, target_stamp)
            return stamp, compose(target_T_fixed, fixed_T_source)

    def latest_common_stamp(self, target: str, source: str) -> int:
        """The latest stamp at which the whole chain is known; 0 where all of it is static."""
        with self._lock:
            self._check_frame(target, "target_frame")
            self._check_frame(source, "source_frame")
            return self._common_stamp(*self._path(target, source, LATEST), source if source == target else None)

    def frames(self) -> list[str]:
        """Names of all frames, parents included, sorted."""
        with self._lock:
            return sorted(self._names)

    def describe(self) -> dict[str, dict]:
        """For each frame that has a parent: parent, broadcaster, rate (Hz), newest and oldest stamp, length (s)."""
        with self._lock:
            return {child: _describe(history) for child, history in sorted(self._histories.items())}

    def _check_frame(self, frame: str, argument: str) -> None:
        if frame in self._names:
            return
        if not frame or frame.startswith("/"):
            rule = "start with a '/'" if frame else "be empty"
            raise InvalidArgumentException(f"Invalid argument {frame!r} for {argument}: tf2 frame ids cannot {rule}")
        known = ", ".join(self.frames()) or "none yet"
        raise LookupException(f'"{frame}" passed as {argument} does not exist (known frames: {known})')

    def _path(self, target: str, source: str, stamp: int) -> tuple[list[History], list[History]]:
        """The histories from ``source`` up to the common ancestor, and from ``target`` up to it."""
        below, height = self._ancestors(source, stamp, target)
        if target in height:
            return below[: height[target]], []
        above: list[History] = []
        frame = target
        while (history := self._histories.get(frame)) is not None:
            above.append(history)
            frame = history.parent_at(stamp)
            if frame in height:
                return below[: height[frame]], above
            if len(above) > len(self._histories):
                raise LookupException(f"The tf tree is invalid because it contains a loop above {target!r}")
        other = max(height, key=height.__getitem__)
        raise ConnectivityException(
            f"Could not find a connection between '{target}' and '{source}' because they are not part of the same "
            f"tree. Tf has two or more unconnected trees (here below '{frame}' and '{other}')."
        )

    def _ancestors(self, frame: str, stamp: int, stop: str) -> tuple[list[History], dict[str, int]]:
        """Histories from ``frame`` upward until ``stop`` or the root, and how many steps up each frame is."""
        histories, height = [], {frame: 0}
        while frame != stop and (history := self._histories.get(frame)) is not None:
            histories.append(history)
            frame = history.parent_at(stamp)
            if frame in height:
                raise LookupException(f"The tf tree is invalid because it contains a loop through {frame!r}")
            height[frame] = len(histories)
        return histories, height

    def _common_stamp(self, below: list[History], above: list[History], only: str | None) -> int:
        """The earliest of the newest stamps of the moving parts; ``only``: the one frame of an empty chain."""
        moving = [history.stamps[-1] for history in (*below, *above) if not history.static]
        if only is not None and (history := self._histories.get(only)) is not None and not history.static:
            moving.append(history.stamps[-1])
        return min(moving, default=0)


def _chain(histories: list[History], stamp: int) -> Rigid:
    """top_T_bottom of a chain listed from the bottom up."""
    if not histories:
        return IDENTITY
    transform = histories[0].at(stamp)
    for history in histories[1:]:
        transform = compose(history.at(stamp), transform)
    return transform


def _describe(history: History) -> dict:
    newest, oldest = history.stamps[-1] / 1e9, history.stamps[0] / 1e9
    length = newest - oldest
    return {
        "parent": history.parents[-1],
        "broadcaster": history.authority,
        "rate": 10000.0 if history.static else (len(history.stamps) - 1) / length if length > 0 else 0.0,
        "most_recent_transform": newest,
        "oldest_transform": oldest,
        "buffer_length": length,
    }
