# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from axon_core.footprints import Footprint, footprint_from_list, rectangle_footprint
from axon_core.geometry import se2_apply

angles = st.floats(-10.0, 10.0)
ROBOT = rectangle_footprint(0.42, 0.33)


@st.composite
def polygons(draw):
    """Polygons around the origin: points of an ellipse in order of angle, dented at every other one or not."""
    count = draw(st.integers(3, 8))
    phase, a, b = draw(angles), draw(st.floats(0.2, 2.0)), draw(st.floats(0.2, 2.0))
    turns = phase + 2 * np.pi * np.arange(count) / count
    radius = np.where(np.arange(count) % 2, draw(st.floats(0.3, 1.0)), 1.0)
    return Footprint(radius[:, None] * np.stack([a * np.cos(turns), b * np.sin(turns)], axis=-1))


def slow_distance(footprint, point):
    """Distance to the outline by dense sampling of every edge."""
    ends = np.roll(footprint.vertices_m, -1, axis=0)
    fractions = np.linspace(0.0, 1.0, 2001)[:, None]
    samples = [start + fractions * (end - start) for start, end in zip(footprint.vertices_m, ends, strict=True)]
    return np.linalg.norm(np.concatenate(samples) - point, axis=1).min()


def slow_contains(footprint, point):
    """Whether the angles under which the edges are seen add up to a full turn."""
    around = footprint.vertices_m - point
    bearing = np.arctan2(around[:, 1], around[:, 0])
    turns = np.mod(np.roll(bearing, -1) - bearing + np.pi, 2 * np.pi) - np.pi
    return abs(turns.sum()) > np.pi


@given(polygons(), st.floats(-3, 3), st.floats(-3, 3))
def test_distance_equals_a_slow_oracle(footprint, x, y):
    distance = footprint.distance_to([[x, y]])[0]
    assert abs(distance) == pytest.approx(slow_distance(footprint, [x, y]), abs=2e-3)
    if abs(distance) > 1e-6:
        assert (distance < 0.0) == slow_contains(footprint, np.array([x, y])) == footprint.contains([[x, y]])[0]


@given(polygons(), angles)
def test_turning_robot_and_point_changes_nothing(footprint, yaw):
    points = np.random.default_rng(0).uniform(-3, 3, (20, 2))
    turn = [0.0, 0.0, yaw]
    turned = Footprint(se2_apply(turn, footprint.vertices_m))
    np.testing.assert_allclose(turned.distance_to(se2_apply(turn, points)), footprint.distance_to(points), atol=1e-9)


def test_the_robots_rectangle():
    assert ROBOT.inscribed_radius_m == pytest.approx(0.165)
    assert ROBOT.circumscribed_radius_m == pytest.approx(np.hypot(0.21, 0.165))
    np.testing.assert_allclose(
        ROBOT.distance_to([[1.21, 0.0], [0.0, -0.265], [0.0, 0.0], [0.24, 0.205]]), [1.0, 0.1, -0.165, 0.05]
    )
    assert ROBOT.contains([[0.21, 0.165], [0.22, 0.0]]).tolist() == [True, False]


@pytest.mark.parametrize(
    ("vertices", "fault"),
    [
        ([[0, 0], [1, 0]], "2 corners"),
        ([[1, 1], [1, -1], [-1, -1], [-1, 1]], "clockwise"),
        ([[1, 1], [-1, -1], [-1, 1], [1, -1]], "cross"),
        ([[1, 1], [-1, 1], [-1, -1], [1, -1]] * 2, "cross or touch"),
        ([[1, 0], [1, 0], [0, 1], [-1, -1]], "same"),
        ([[2, 0], [0, 1], [1, 0.5], [-1, -1]], "cross or touch"),
    ],
    ids=["two", "clockwise", "bow tie", "twice around", "corner twice", "folded back"],
)
def test_other_outlines_are_refused(vertices, fault):
    with pytest.raises(ValueError, match=f"vertices.*{fault}"):
        Footprint(np.array(vertices, dtype=float))


ELL = [0.4, -0.3, 0.4, 0.0, 0.1, 0.0, 0.1, 0.3, -0.3, 0.3, -0.3, -0.3]


@given(polygons(), st.integers(0, 7), st.booleans())
def test_a_list_is_read_from_any_corner_in_either_direction(footprint, first, reverse):
    around = np.roll(footprint.vertices_m, first, axis=0)
    read = footprint_from_list("footprint", (around[::-1] if reverse else around).ravel().tolist())
    points = np.random.default_rng(1).uniform(-2, 2, (20, 2))
    np.testing.assert_allclose(read.distance_to(points), footprint.distance_to(points), atol=1e-12)


def test_the_notch_of_an_ell_is_outside():
    ell = footprint_from_list("footprint", ELL)
    np.testing.assert_allclose(ell.distance_to([[0.3, 0.2], [0.1, 0.1], [0.0, 0.2]]), [0.2, 0.0, -0.1], atol=1e-12)
    assert ell.contains([[0.3, 0.2], [0.1, 0.1], [0.0, 0.2]]).tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("xy", "fault"),
    [
        (ELL[:-1], "11 numbers"),
        (ELL[:4], "2 corners"),
        ([0.3, 0.3, -0.3, -0.3, -0.3, 0.3, 0.3, -0.3], "cross"),
        ([1.3, 0.3, 0.7, 0.3, 0.7, -0.3, 1.3, -0.3], "outside"),
        ([*ELL, *ELL[:2]], "same"),
        ([0.3, float("nan"), -0.3, 0.3, -0.3, -0.3], "footprint"),
    ],
    ids=["odd", "two", "bow tie", "beside the base", "closed twice", "nan"],
)
def test_a_malformed_list_is_refused_by_its_name_and_its_fault(xy, fault):
    with pytest.raises(ValueError, match=f"footprint.*{fault}" if fault != "footprint" else fault):
        footprint_from_list("footprint", xy)
