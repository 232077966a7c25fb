# SPDX-License-Identifier: Apache-2.0
"""When single detections make a thing."""

import numpy as np
import pytest

from axon_mission.config import MissionConfig
from axon_mission.sightings import Sighting, Sightings

CONFIG = MissionConfig(sightings=3, sighting_radius_m=0.1, sighting_memory_s=5.0, min_score=0.4)
PLACE = np.array([1.0, 2.0, 0.5])


def at(x_m):
    """The place, moved along x."""
    return PLACE + np.array([x_m, 0.0, 0.0])


def seen(*rows):
    """Sightings of rows (time_s, class_id, score, offset in x)."""
    sightings = Sightings(CONFIG)
    for time_s, class_id, score, dx in rows:
        sightings.add(Sighting(time_s, class_id, score, at(dx)))
    return sightings


def test_three_at_one_spot_are_a_thing_at_their_weighted_mean():
    spot = seen((0.0, "mug", 0.5, 0.0), (0.1, "mug", 0.5, 0.03), (0.2, "mug", 1.0, 0.03)).best("mug", 0.3)
    assert spot.count == 3 and spot.weight == pytest.approx(2.0)
    assert spot.place_m == pytest.approx(at(0.0225))


@pytest.mark.parametrize(
    "rows",
    [
        [(0.0, "mug", 0.9, 0.0), (0.1, "mug", 0.9, 0.0)],  # too few
        [(0.0, "mug", 0.9, 0.0), (0.1, "mug", 0.9, 0.3), (0.2, "mug", 0.9, 0.6)],  # at three places
        [(0.0, "mug", 0.3, 0.0), (0.1, "mug", 0.3, 0.0), (0.2, "mug", 0.3, 0.0)],  # unsure
        [(0.0, "can", 0.9, 0.0), (0.1, "can", 0.9, 0.0), (0.2, "can", 0.9, 0.0)],  # something else
    ],
)
def test_what_is_no_thing(rows):
    assert seen(*rows).best("mug", 0.3) is None


def test_what_most_call_a_can_is_no_mug():
    rows = [(0.1 * i, "can", 0.9, 0.0) for i in range(5)] + [(0.1 * i, "mug", 0.6, 0.0) for i in range(3)]
    assert seen(*rows).best("mug", 0.5) is None
    assert seen(*rows).best("can", 0.5).count == 5


def test_old_sightings_are_forgotten():
    sightings = seen(*[(0.1 * i, "mug", 0.9, 0.0) for i in range(3)])
    assert sightings.best("mug", 4.9) is not None
    assert sightings.best("mug", 5.3) is None
    assert sightings.best("mug", 1.0, since_s=0.15) is None


def test_the_surer_of_two_wins_and_the_near_one_where_asked():
    rows = [(0.1 * i, "mug", 0.9, 0.0) for i in range(3)] + [(0.1 * i, "mug", 0.5, 1.0) for i in range(4)]
    sightings = seen(*rows)
    assert sightings.best("mug", 0.5).place_m == pytest.approx(PLACE)
    assert sightings.best("mug", 0.5, near_m=at(1.1)).place_m == pytest.approx(at(1.0))


def test_the_order_of_sightings_does_not_matter():
    rows = [
        (0.1 * i, name, score, dx)
        for i, (name, score, dx) in enumerate(
            [("mug", 0.9, 0.0), ("mug", 0.7, 0.05), ("can", 0.5, 0.02), ("mug", 0.8, 0.01)]
        )
    ]
    spots = [seen(*order).best("mug", 0.5) for order in (rows, rows[::-1])]
    assert spots[0].place_m == pytest.approx(spots[1].place_m) and spots[0].weight == pytest.approx(spots[1].weight)
