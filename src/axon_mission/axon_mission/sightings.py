# SPDX-License-Identifier: Apache-2.0
"""What was seen where: single detections in, a thing that was seen several times at one spot out."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from axon_mission.config import MissionConfig

FloatArray = NDArray[np.float64]
_MOST = 500


@dataclass(frozen=True)
class Sighting:
    """One detection: when, what, how sure, where its middle is in the map (3,) in m, and how high it is."""

    time_s: float
    class_id: str
    score: float
    place_m: FloatArray
    height_m: float = 0.0


@dataclass(frozen=True)
class Spot:
    """A thing: the mean place (3,) of its sightings' middles, its top, how many there are, the sum of their scores."""

    place_m: FloatArray
    top_m: float
    count: int
    weight: float


class Sightings:
    """The sightings of the last while."""

    def __init__(self, config: MissionConfig) -> None:
        self.config = config
        self._seen: deque[Sighting] = deque(maxlen=_MOST)

    def add(self, sighting: Sighting) -> None:
        """Note a detection; one that is not sure enough is not."""
        if sighting.score >= self.config.min_score:
            self._seen.append(sighting)

    def forget(self) -> None:
        """Drop all."""
        self._seen.clear()

    def best(
        self, class_id: str, now_s: float, near_m: FloatArray | None = None, since_s: float = -np.inf
    ) -> Spot | None:
        """Return the surest thing of a class, None where none was seen often enough.

        Every detection within `sighting_radius_m` of a spot votes for its class, whatever that is: a mug that is taken
        for a cup now and then stays a mug. `near_m` (3,) takes only things within 0.25 m of it.
        """
        recent = [one for one in self._recent(now_s) if one.time_s >= since_s]
        spots = [spot for one in recent if one.class_id == class_id and (spot := self._spot(one, recent))]
        if near_m is not None:
            spots = [spot for spot in spots if np.linalg.norm(spot.place_m - near_m) < 0.25]
        return max(spots, key=lambda spot: spot.weight, default=None)

    def words(self, now_s: float, class_id: str) -> str:
        """What was seen, for a reason: `mug 1 x, others: can 12 x, box 3 x`."""
        counts = Counter(one.class_id for one in self._recent(now_s))
        own = f"{class_id} {counts.pop(class_id, 0)} x"
        others = ", ".join(f"{name} {count} x" for name, count in counts.most_common(5))
        return f"{own}, others: {others or 'nothing'}"

    def _recent(self, now_s: float) -> list[Sighting]:
        return [one for one in self._seen if now_s - one.time_s <= self.config.sighting_memory_s]

    def _spot(self, center: Sighting, recent: Iterable[Sighting]) -> Spot | None:
        near = [one for one in recent if np.linalg.norm(one.place_m - center.place_m) <= self.config.sighting_radius_m]
        own = [one for one in near if one.class_id == center.class_id]
        weight = sum(one.score for one in own)
        if len(own) < self.config.sightings or weight < self.config.vote_share * sum(one.score for one in near):
            return None
        scores = [one.score for one in own]
        place = np.average([one.place_m for one in own], axis=0, weights=scores)
        height_m = float(np.average([one.height_m for one in own], weights=scores))
        return Spot(place, float(place[2]) + 0.5 * height_m, len(own), weight)
