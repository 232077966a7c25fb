# SPDX-License-Identifier: Apache-2.0
"""Outlines that are polygons: exact distances, clear refusals, and no collision whatever a random driver does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safety_scenes import BASE_T_LASER, PERIOD_S, exact_scan, settle

from axon_core.footprints import Footprint, footprint_from_list
from axon_core.geometry import se2_apply, se2_compose, se2_inverse
from axon_core.motion import Twist2
from axon_core.scans import Scan
from axon_safety.collision import ramp_all
from axon_safety.config import SafetyConfig
from axon_safety.outline import outline_distances, outline_of
from axon_safety.runtime import OBSTACLE, Shield
from axon_sim.planar import cast_rays

ELL = (0.4, -0.3, 0.4, 0.0, 0.1, 0.0, 0.1, 0.3, -0.3, 0.3, -0.3, -0.3)
LONG = (0.9, -0.16, 0.9, 0.16, -0.35, 0.16, -0.35, -0.16)
RECTANGLE = (0.21, -0.165, 0.21, 0.165, -0.21, 0.165, -0.21, -0.165)
TICK_S, LATENCY_TICKS = 0.01, 8
few = settings(max_examples=40, deadline=None, derandomize=True)


def shield_with(footprint, **changes) -> Shield:
    changes = {"rate_hz": 20.0, "unseen_radius_m": 0.0, **changes}
    return Shield(SafetyConfig(footprint=footprint, **changes), BASE_T_LASER)


@st.composite
def polygons(draw):
    """Stars about the origin with three to nine corners."""
    count = draw(st.integers(3, 9))
    radius = np.array(draw(st.lists(st.floats(0.15, 1.0), min_size=count, max_size=count)))
    angle = 2.0 * np.pi * np.arange(count) / count + draw(st.floats(0.0, 1.0))
    return Footprint(radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)]))


@few
@given(polygons(), st.integers(0, 1000))
def test_distances_are_those_of_the_footprint(footprint, seed):
    points = np.random.default_rng(seed).uniform(-1.5, 1.5, (50, 2))
    outline = outline_of(footprint)
    np.testing.assert_allclose(outline_distances(points, outline.corners), footprint.distance_to(points), atol=1e-12)


@few
@given(polygons())
def test_the_core_lies_within_and_follows_the_outline(footprint):
    outline = outline_of(footprint)
    depth_m = -footprint.distance_to(outline.core)
    assert (depth_m > 0.0).all()
    assert Footprint(outline.core).vertices_m.shape == footprint.vertices_m.shape


def test_a_polygon_of_the_rectangles_corners_is_the_rectangle():
    rng = np.random.default_rng(3)
    for _ in range(10):
        distance, bearing = rng.uniform(0.4, 1.5), rng.uniform(-2.0, 2.0)
        scan = exact_scan([[distance * np.cos(bearing), distance * np.sin(bearing), 0.1]])
        wanted = Twist2(rng.uniform(-0.5, 2.0), 0.0, rng.uniform(-2.0, 2.0))
        polygon, rectangle = (settle(shield_with(shape), wanted, scan, steps=15) for shape in (RECTANGLE, ()))
        for one, other in zip(polygon, rectangle, strict=True):
            assert one.command == pytest.approx(other.command, abs=1e-3)
            assert one.clearance_m == pytest.approx(other.clearance_m, abs=1e-9)


def test_what_stands_in_the_notch_of_an_ell_forbids_a_turn_but_not_to_leave():
    notch = exact_scan([[0.25, 0.15, 0.1]], angle_min=-np.pi, rays=721)  # 5 cm from both sides
    turn = settle(shield_with(ELL), Twist2(0.0, 0.0, 1.5), notch)
    assert OBSTACLE in {step.limited_by for step in turn} and turn[-1].command.wz_radps < 1.0
    assert turn[0].clearance_m == pytest.approx(0.05, abs=2e-3)
    back = settle(shield_with(ELL), Twist2(-0.2), notch)[-1]
    assert back.command.vx_mps == pytest.approx(-0.2)  # the short arm leaves it behind, the long one passes it


class Drive:
    """A base with latency among circles: its pose and whether it touches one, by the footprint's own distance."""

    def __init__(self, shape, seed: int, holonomic: bool) -> None:
        self.rng = np.random.default_rng([seed, 9])
        self.footprint, self.holonomic = footprint_from_list("shape", shape), holonomic
        self.shield = shield_with(shape, holonomic=holonomic)
        count, base_m = 14, self.footprint.circumscribed_radius_m
        angle, radius = self.rng.uniform(-np.pi, np.pi, count), self.rng.uniform(0.05, 0.3, count)
        away = base_m + radius + self.rng.uniform(0.1, 2.0, count)
        self.circles = np.column_stack([away * np.cos(angle), away * np.sin(angle), radius])
        self.state, self.queue = np.zeros(6), [(0.0, 0.0, 0.0)] * LATENCY_TICKS

    def step(self, t_s: float, wanted: Twist2, shielded: bool) -> bool:
        """Whether a period went by without a touch."""
        laser = se2_compose(self.state[:3], BASE_T_LASER)
        ranges = cast_rays(laser, -np.pi, 2.0 * np.pi / 540, 540, self.circles, np.zeros((0, 4)))
        scan = Scan(ranges, -np.pi, 2.0 * np.pi / 540, 0.02, 20.0)
        told = wanted
        if shielded:
            pose = self.state[:3].copy()
            told = self.shield.step(t_s, wanted, Twist2(*self.state[3:]), scan, 0.0, 0.0, pose).command
        return all(self._tick(told) for _ in range(round(PERIOD_S / TICK_S)))

    def _tick(self, told: Twist2) -> bool:
        self.queue.append(tuple(told))
        limits = np.array([2.5, 2.5, 6.0])
        self.state[3:] = ramp_all(tuple(self.state[3:]), self.queue.pop(0), limits, TICK_S)
        self.state[:3] = se2_compose(self.state[:3], TICK_S * self.state[3:])
        local = se2_apply(se2_inverse(self.state[:3]), self.circles[:, :2])
        return bool((self.footprint.distance_to(local) > self.circles[:, 2]).all())

    def random_command(self, step: int) -> Twist2:
        """Noise, or one command held for half a second."""
        if step % 10 == 0 or self.rng.random() < 0.2:
            sideways = self.rng.uniform(-2.0, 2.0) if self.holonomic else 0.0
            self.held = Twist2(self.rng.choice([-0.5, 1.0, 2.0]), sideways, self.rng.uniform(-2.5, 2.5))
        return self.held


def touches(shape, seed: int, holonomic: bool, shielded: bool = True) -> bool:
    drive = Drive(shape, seed, holonomic)
    return not all(drive.step(PERIOD_S * step, drive.random_command(step), shielded) for step in range(50))


@pytest.mark.parametrize("holonomic", [False, True], ids=["differential", "omnidirectional"])
@pytest.mark.parametrize("shape", [ELL, LONG], ids=["ell", "long"])
def test_no_random_driver_of_a_polygon_ever_touches_anything(shape, holonomic):
    assert [seed for seed in range(20) if touches(shape, seed, holonomic)] == []


def test_without_the_shield_the_same_drivers_touch_things():
    assert sum(touches(ELL, seed, True, shielded=False) for seed in range(20)) >= 10


@pytest.mark.parametrize(
    ("footprint", "fault"),
    [
        (ELL[:-1], "no partner"),
        (ELL[:4], "2 corners"),
        ((0.3, 0.3, -0.3, -0.3, -0.3, 0.3, 0.3, -0.3), "cross"),
        ((1.3, 0.3, 0.7, 0.3, 0.7, -0.3, 1.3, -0.3), "outside"),
        ((0.3, 0.3, 99.0, 0.3, -0.3, -0.3), "expected -10.0 .. 10.0"),
    ],
    ids=["odd", "two corners", "bow tie", "beside the base", "kilometres"],
)
def test_a_malformed_footprint_is_refused_with_what_is_wrong(footprint, fault):
    with pytest.raises(ValueError, match=f"footprint.*{fault}"):
        SafetyConfig(footprint=footprint)


def test_a_rim_within_the_footprint_is_refused_instead_of_being_taken_for_the_robot():
    with pytest.raises(ValueError, match=r"unseen_radius_m = 0\.4: expected 0, or more than the 0\.91 m"):
        SafetyConfig(footprint=LONG)
    assert SafetyConfig(footprint=LONG, unseen_radius_m=1.0).outline.circumscribed_radius_m < 1.0
