# SPDX-License-Identifier: Apache-2.0
"""Where one frame was, over time, in its parent."""

from __future__ import annotations

from bisect import bisect_left

from tf2_py.exceptions import ExtrapolationException
from tf2_py.rigid import Rigid, interpolate


class History:
    """Samples (stamp in ns, parent, parent_T_frame) of one frame, in order of time.

    A static frame has one sample that holds for all time. A frame may change its parent: between two samples with
    different parents the earlier one holds.
    """

    __slots__ = ("authority", "mixed", "parents", "stamps", "static", "transforms")

    def __init__(self, static: bool) -> None:
        self.static = static
        self.mixed = False
        self.stamps: list[int] = []
        self.parents: list[str] = []
        self.transforms: list[Rigid] = []
        self.authority = ""

    def insert(self, stamp: int, parent: str, transform: Rigid, keep_ns: int) -> str:
        """Add a sample and forget those older than ``keep_ns`` before the newest; returns why not, or ""."""
        stamps = self.stamps
        if self.static:
            self.stamps, self.parents, self.transforms = [stamp], [parent], [transform]
            return ""
        at = len(stamps)
        if at and stamp <= stamps[-1]:
            if stamp < stamps[-1] - keep_ns:
                behind = (stamps[-1] - stamp) / 1e9
                return f"is {behind:.3f} s older than the newest one, the buffer keeps {keep_ns / 1e9:.3f} s"
            at = bisect_left(stamps, stamp)
            if stamps[at] == stamp:
                return f"repeats the stamp {stamp / 1e9:.6f}"
        self.mixed = self.mixed or (bool(stamps) and parent != self.parents[-1])
        stamps.insert(at, stamp)
        self.parents.insert(at, parent)
        self.transforms.insert(at, transform)
        self._forget_before(stamps[-1] - keep_ns)
        return ""

    def _forget_before(self, stamp: int) -> None:
        if self.stamps[0] < stamp:
            old = bisect_left(self.stamps, stamp)
            del self.stamps[:old], self.parents[:old], self.transforms[:old]

    def parent_at(self, stamp: int) -> str:
        """The parent at ``stamp`` (0: the latest); beyond the ends, the one of the nearest sample."""
        if not self.mixed or stamp == 0:
            return self.parents[-1]
        after = bisect_left(self.stamps, stamp)
        if after < len(self.stamps) and self.stamps[after] == stamp:
            return self.parents[after]
        return self.parents[max(0, after - 1)]

    def at(self, stamp: int) -> Rigid:
        """parent_T_frame at ``stamp``.

        Raises:
            ExtrapolationException: ``stamp`` is earlier than the oldest or later than the newest sample.
        """
        if self.static:
            return self.transforms[0]
        stamps = self.stamps
        after = bisect_left(stamps, stamp)
        if after < len(stamps) and stamps[after] == stamp:
            return self.transforms[after]
        if after == len(stamps) or after == 0:
            raise ExtrapolationException(_out_of_range(stamp, stamps))
        before = after - 1
        if self.parents[before] != self.parents[after]:
            return self.transforms[before]
        fraction = (stamp - stamps[before]) / (stamps[after] - stamps[before])
        return interpolate(self.transforms[before], self.transforms[after], fraction)


def _out_of_range(stamp: int, stamps: list[int]) -> str:
    side, edge, nearest = ("future", "latest", stamps[-1]) if stamp > stamps[-1] else ("past", "earliest", stamps[0])
    if len(stamps) == 1:
        edge = "only"
    return (
        f"Lookup would require extrapolation into the {side}.  "
        f"Requested time {stamp / 1e9:.6f} but the {edge} data is at time {nearest / 1e9:.6f}"
    )
