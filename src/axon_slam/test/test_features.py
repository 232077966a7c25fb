# SPDX-License-Identifier: Apache-2.0
"""Extraction, and matching against slow oracles."""

import cv2
import numpy as np
import pytest
from rooms import MOUNT, make_room

from axon_slam.features import Features, descriptor_distances, make_extractor, match_mutual, match_near, vote
from axon_slam.frames import depth_at


def random_features(count, seed, kind=np.uint8):
    rng = np.random.default_rng(seed)
    descriptors = rng.integers(0, 256, (count, 32)).astype(kind)
    return Features(rng.uniform(0, 300, (count, 2)), np.ones(count), descriptors)


@pytest.mark.parametrize("kind", ["orb", "sift"])
def test_features_lie_in_the_image_and_spread_over_it(kind):
    image, _ = make_room(1).look(MOUNT)
    features = make_extractor(kind, 300).extract(image)
    assert 200 < len(features) <= 300
    assert (features.pixels >= 0).all() and (features.pixels < (320, 240)).all()
    assert len(np.unique(features.pixels // (80, 80), axis=0)) >= 9
    assert len(make_extractor(kind, 300).extract(np.zeros((240, 320), dtype=np.uint8))) == 0


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="superglue"):
        make_extractor("superglue", 10)


def test_the_same_image_matches_itself_and_a_shifted_one_by_its_shift():
    image, _ = make_room(2).look(MOUNT)
    shifted = cv2.warpAffine(image, np.array([[1.0, 0, 7], [0, 1, 4]]), (320, 240), borderMode=cv2.BORDER_REFLECT)
    extractor = make_extractor("orb", 400)
    first, second = extractor.extract(image), extractor.extract(shifted)
    own = match_mutual(first.descriptors, first.descriptors, extractor.max_distance)
    assert (own[:, 0] == own[:, 1]).all() and len(own) > 300
    pairs = match_mutual(first.descriptors, second.descriptors, extractor.max_distance)
    shifts = second.pixels[pairs[:, 1]] - first.pixels[pairs[:, 0]]
    assert (np.abs(np.median(shifts, axis=0) - (7, 4)) < 0.6).all()


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_distances_are_those_of_the_definition(kind):
    first, second = random_features(20, 0, kind).descriptors, random_features(30, 1, kind).descriptors
    rows, cols = np.array([0, 3, 19]), np.array([29, 0, 5])
    if kind is np.uint8:
        wanted = [np.unpackbits(first[i] ^ second[j]).sum() for i, j in zip(rows, cols, strict=True)]
    else:
        wanted = [np.sqrt(((first[i] - second[j]) ** 2).sum()) for i, j in zip(rows, cols, strict=True)]
    np.testing.assert_allclose(descriptor_distances(first, second, rows, cols), wanted, rtol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_near_matches_are_those_of_a_search_over_all_pairs(seed):
    query, train = random_features(60, seed), random_features(200, seed + 100)
    query.descriptors[::2] = train.descriptors[:30]
    got = {tuple(pair) for pair in match_near(query.pixels, query.descriptors, train, 60.0, 120.0, 0.95)}
    wanted = set()
    for i in range(60):
        near = [j for j in range(200) if np.linalg.norm(query.pixels[i] - train.pixels[j]) <= 60.0]
        apart = sorted((int(np.unpackbits(query.descriptors[i] ^ train.descriptors[j]).sum()), j) for j in near)
        if apart and apart[0][0] <= 120 and (len(apart) == 1 or apart[0][0] < 0.95 * apart[1][0]):
            wanted.add((i, apart[0][1]))
    assert got == wanted and wanted


def test_votes_go_to_the_place_that_is_seen():
    places = [random_features(50, seed).descriptors for seed in range(6)]
    votes = vote(places[4][:40], places, 64.0)
    assert votes.argmax() == 4 and votes[4] == 40 and votes.sum() == 40
    assert len(vote(places[0], [], 64.0)) == 0


def test_depth_is_read_inside_surfaces_and_not_at_their_edges():
    depth = np.full((20, 20), 2.0, dtype=np.float32)
    depth[:, 10:] = 3.0
    depth[:4, :4] = 0.0
    depth[15, 15] = np.nan
    pixels = np.array([[5.0, 10.0], [9.6, 10.0], [15.0, 8.0], [1.0, 1.0], [15.0, 15.0], [14.0, 15.0]])
    got = depth_at(depth, pixels, 0.2, 6.0)
    np.testing.assert_allclose(got, [2.0, np.nan, 3.0, np.nan, np.nan, 3.0])
