# SPDX-License-Identifier: Apache-2.0
"""The benches of depth: their peers against known rooms, what they refuse, and the shipped network's own properties."""

from pathlib import Path

import depth_rgbd
import depth_sim
import numpy as np
import pytest
from harness import make_parser

from axon_core.cameras import PinholeCamera
from axon_core.models import find_model
from axon_depth.canonical import Floor
from axon_depth.config import DepthConfig
from axon_depth.evaluation import depth_metrics
from axon_depth.runtime import DepthEstimator

DATA = Path(__file__).parents[2] / "shared" / "data" / "redkitchen_dev"
CAMERA = PinholeCamera(320, 240, 230.5, 230.5, 159.5, 119.5)


def options(module, name, *words):
    return make_parser(name, module).parse_args(words)


def empty_hall(height_m=1.1, tilt_rad=0.4):
    """A sight of nothing but floor and what is too far."""
    s, c = np.sin(tilt_rad), np.cos(tilt_rad)
    v = np.arange(240)[:, None] + 0.0 * np.arange(320)
    slope = (v - CAMERA.cy) / CAMERA.fy
    with np.errstate(divide="ignore"):
        floor_m = height_m / (slope * c + s)
    true_m = np.where((floor_m > 0.0) & (floor_m <= depth_sim.FARTHEST_M), floor_m, np.nan)
    return depth_sim.Sight("hall", np.zeros((240, 320, 3), np.uint8), true_m, CAMERA, Floor(height_m, (0.0, -c, -s)))


@pytest.mark.parametrize("tilt_rad", [0.0, 0.4, 0.9])
def test_floor_is_all_there_is_in_an_empty_hall(tilt_rad):
    hall = empty_hall(tilt_rad=tilt_rad)
    told = depth_sim.floor_or(hall, 100.0)
    seen = np.isfinite(hall.true_m)
    np.testing.assert_allclose(told[seen], hall.true_m[seen], rtol=1e-6)
    peers = depth_sim.make_peers([hall])
    assert depth_metrics(peers["floor"](hall), hall.true_m)["delta1"] > 0.99
    assert depth_metrics(peers["constant"](hall), hall.true_m)["delta1"] < 0.9


def test_real_baseline_is_the_same_floor_in_heights_of_the_camera():
    tilt_rad = 0.3
    told = depth_rgbd.room(tilt_rad, wall=100.0)
    v = np.arange(depth_rgbd.COLOR_CAMERA.height)
    slope = (v - depth_rgbd.COLOR_CAMERA.cy) / depth_rgbd.COLOR_CAMERA.fy
    falling = slope * np.cos(tilt_rad) + np.sin(tilt_rad)
    below = falling > 0.02
    np.testing.assert_allclose(told[below, 320], 1.0 / falling[below], rtol=1e-6)


def test_seeds_of_training_and_no_data_are_refused(tmp_path):
    with pytest.raises(ValueError, match="--seed 1000"):
        depth_sim.main(options(depth_sim, "depth-sim", "--seed", "1000"))
    with pytest.raises(ValueError, match="--worlds 0"):
        depth_sim.main(options(depth_sim, "depth-sim", "--worlds", "0"))
    with pytest.raises(ValueError, match="--data"):
        depth_rgbd.main(options(depth_rgbd, "depth-rgbd"))
    with pytest.raises(ValueError, match=r"no frame-XXXXXX\.depth\.png"):
        depth_rgbd.main(options(depth_rgbd, "depth-rgbd", "--data", str(tmp_path)))


@pytest.fixture(scope="module")
def sights():
    """Views of a world of each kind that no bench uses and no training has seen, of what is near enough to measure."""
    seen = [sight for kind in depth_sim.KINDS for sight in depth_sim.look(kind, 450_000, 4)]
    return [sight for sight in seen if np.isfinite(sight.true_m).mean() > 0.3]


@pytest.fixture(scope="module")
def estimator():
    return DepthEstimator(find_model("depth").path, DepthConfig(max_depth_m=100.0))


def test_shipped_network_knows_rooms_it_has_not_seen_better_than_floor_and_constant(estimator, sights):
    peers = depth_sim.make_peers(sights)
    told = {"network": [estimator.step(sight.rgb, sight.camera, sight.floor).depth_m for sight in sights]}
    told |= {name: [peer(sight) for sight in sights] for name, peer in peers.items()}
    delta1 = {
        name: np.mean([depth_metrics(d, s.true_m)["delta1"] for d, s in zip(depths, sights, strict=True)])
        for name, depths in told.items()
    }
    assert delta1["network"] > max(0.6, delta1["floor"], delta1["constant"])


def test_shipped_network_tells_the_mirrored_depth_of_a_mirrored_image(estimator, sights):
    for sight in sights:
        straight = estimator.step(sight.rgb, sight.camera, sight.floor).depth_m
        x, y, z = sight.floor.up
        other = np.ascontiguousarray(sight.rgb[:, ::-1]), sight.camera, Floor(sight.floor.height_m, (-x, y, z))
        mirrored = estimator.step(*other).depth_m[:, ::-1]
        np.testing.assert_allclose(mirrored, straight, rtol=1e-2)


def test_shipped_network_scales_with_the_focal_length_exactly_where_no_floor_is_known(estimator, sights):
    sight = sights[0]
    c = sight.camera
    longer = PinholeCamera(c.width, c.height, 2.0 * c.fx, 2.0 * c.fy, c.cx, c.cy)
    one, two = estimator.step(sight.rgb, c), estimator.step(sight.rgb, longer)
    np.testing.assert_allclose(two.depth_m, 2.0 * one.depth_m, rtol=1e-5)
    np.testing.assert_allclose(two.sigma_m, 2.0 * one.sigma_m, rtol=1e-5)


def test_shipped_network_is_surer_where_it_is_right(estimator, sights):
    numbers = [depth_sim.of_network(estimator.step(sight.rgb, sight.camera, sight.floor), sight) for sight in sights]
    assert np.mean([row["ause"] for row in numbers]) < 0.8
    assert 0.4 < np.mean([row["within_sigma"] for row in numbers]) < 0.98


def test_some_photographs_are_measured_beside_their_baselines():
    if not DATA.is_dir():
        pytest.skip(f"no data at {DATA}")
    numbers = depth_rgbd.main(options(depth_rgbd, "depth-rgbd", "--data", str(DATA), "--every", "100"))
    assert numbers["frames"] == 5
    for name in ("delta1_scaled", "delta1_scaled_constant", "delta1_scaled_floor"):
        assert 0.0 < numbers[name] < 1.0
