# SPDX-License-Identifier: Apache-2.0
"""The tree of frames without ROS: algebra, interpolation against SciPy, time, and refusals."""

import threading
import timeit

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation, Slerp
from tf2_py import (
    ConnectivityException,
    ExtrapolationException,
    InvalidArgumentException,
    LookupException,
    TransformException,
)
from tf2_py.rigid import IDENTITY, compose, interpolate, inverse
from tf2_py.tree import LATEST, TransformTree

SECOND = 1_000_000_000

coordinate = st.floats(-100, 100)
component = st.floats(-1, 1)


@st.composite
def rigids(draw):
    """Random (x, y, z, qx, qy, qz, qw)."""
    quat = np.array([draw(component) for _ in range(4)])
    if np.linalg.norm(quat) < 0.1:
        quat = np.array([0.0, 0.0, 0.0, 1.0])
    return (*(draw(coordinate) for _ in range(3)), *(quat / np.linalg.norm(quat)).tolist())


def matrix(rigid) -> np.ndarray:
    """Independent oracle: the 4x4 matrix by SciPy."""
    result = np.eye(4)
    result[:3, :3] = Rotation.from_quat(rigid[3:]).as_matrix()
    result[:3, 3] = rigid[:3]
    return result


def shifted(x: float, yaw: float = 0.0):
    return (x, 0.0, 0.0, 0.0, 0.0, float(np.sin(yaw / 2)), float(np.cos(yaw / 2)))


def make_tree(*edges, keep_s: float = 10.0) -> TransformTree:
    """Edges are (parent, child, stamp in s or None for static, rigid)."""
    tree = TransformTree(int(keep_s * SECOND))
    for parent, child, stamp_s, rigid in edges:
        tree.insert(parent, child, int((stamp_s or 0) * SECOND), rigid, static=stamp_s is None)
    return tree


@given(rigids(), rigids(), rigids())
def test_composition_is_that_of_matrices(a, b, c):
    np.testing.assert_allclose(matrix(compose(a, b)), matrix(a) @ matrix(b), atol=1e-9)
    np.testing.assert_allclose(matrix(inverse(a)), np.linalg.inv(matrix(a)), atol=1e-9)
    np.testing.assert_allclose(compose(compose(a, b), c), compose(a, compose(b, c)), atol=1e-9)


@given(rigids(), rigids(), st.floats(0, 1))
def test_interpolation_is_linear_and_slerp(a, b, fraction):
    result = interpolate(a, b, fraction)
    np.testing.assert_allclose(result[:3], (1 - fraction) * np.array(a[:3]) + fraction * np.array(b[:3]), atol=1e-9)
    slerp = Slerp([0, 1], Rotation.from_quat([a[3:], b[3:]]))
    angle = (Rotation.from_quat(result[3:]).inv() * slerp(fraction)).magnitude()
    half_turn = abs(np.dot(a[3:], b[3:])) < 1e-6  # both ways round are as short
    assert angle < 1e-6 or half_turn
    assert np.linalg.norm(result[3:]) == pytest.approx(1.0, abs=1e-12)


@given(rigids(), rigids(), st.floats(0, 1))
def test_interpolation_ignores_the_sign_of_quaternions(a, b, fraction):
    flipped = (*b[:3], *(-q for q in b[3:]))
    if abs(np.dot(a[3:], b[3:])) > 1e-6:
        one, other = interpolate(a, b, fraction), interpolate(a, flipped, fraction)
        assert abs(np.dot(one[3:], other[3:])) == pytest.approx(1.0, abs=1e-9)


@settings(max_examples=50)
@given(st.lists(rigids(), min_size=5, max_size=5), st.data())
def test_lookups_agree_with_chains_of_matrices(poses, data):
    # root -> a -> b, root -> c -> d -> e, some static
    shape = [("root", "a"), ("a", "b"), ("root", "c"), ("c", "d"), ("d", "e")]
    static = [data.draw(st.booleans()) for _ in shape]
    tree = make_tree(*((p, c, None if s else 3.0, x) for (p, c), s, x in zip(shape, static, poses, strict=True)))
    root_T = {"root": np.eye(4)}
    for (parent, child), rigid in zip(shape, poses, strict=True):
        root_T[child] = root_T[parent] @ matrix(rigid)
    for target in root_T:
        for source in root_T:
            _, rigid = tree.lookup(target, source, LATEST)
            np.testing.assert_allclose(matrix(rigid), np.linalg.inv(root_T[target]) @ root_T[source], atol=1e-8)
            _, back = tree.lookup(source, target, LATEST)
            np.testing.assert_allclose(matrix(compose(rigid, back)), np.eye(4), atol=1e-8)


@settings(max_examples=50)
@given(st.permutations(range(8)), st.floats(0, 7))
def test_order_of_arrival_does_not_matter(order, time_s):
    samples = [("odom", "base", 1.0 + i, shifted(i * i, 0.3 * i)) for i in range(8)]
    in_order, shuffled = make_tree(*samples), make_tree(*(samples[i] for i in order))
    stamp = int((1.0 + time_s) * SECOND)
    assert in_order.lookup("odom", "base", stamp) == shuffled.lookup("odom", "base", stamp)


def test_interpolates_between_stamps_and_refuses_beyond_them():
    tree = make_tree(("odom", "base", 1.0, shifted(0.0)), ("odom", "base", 2.0, shifted(10.0, 1.0)))
    _, rigid = tree.lookup("odom", "base", int(1.25 * SECOND))
    np.testing.assert_allclose(rigid, shifted(2.5, 0.25), atol=1e-12)
    with pytest.raises(ExtrapolationException, match=r"into the future.*2\.500000 but the latest data is at time 2\.0"):
        tree.lookup("odom", "base", int(2.5 * SECOND))
    with pytest.raises(
        ExtrapolationException, match=r"into the past.*0\.500000 but the earliest data .* 1\.0.*\[base\]"
    ):
        tree.lookup("odom", "base", SECOND // 2)


def test_latest_is_the_newest_time_known_to_the_whole_chain():
    tree = make_tree(
        ("map", "odom", 1.0, shifted(0.0)),
        ("map", "odom", 2.0, shifted(1.0)),
        ("odom", "base", 1.5, shifted(0.0)),
        ("odom", "base", 3.0, shifted(3.0)),
        ("base", "laser", None, shifted(0.1)),
    )
    stamp, rigid = tree.lookup("map", "laser", LATEST)
    assert stamp == 2 * SECOND
    assert rigid[0] == pytest.approx(1.0 + 1.0 + 0.1)
    assert tree.latest_common_stamp("laser", "map") == 2 * SECOND
    assert tree.lookup("base", "laser", LATEST)[0] == 0
    assert tree.lookup("laser", "base", 99 * SECOND)[1][0] == pytest.approx(-0.1)
    assert tree.lookup("base", "base", LATEST) == (3 * SECOND, IDENTITY)


def test_parts_above_the_common_ancestor_do_not_matter():
    tree = make_tree(
        ("map", "odom", 1.0, shifted(0)), ("odom", "base", 5.0, shifted(2)), ("base", "arm", 5.0, shifted(1))
    )
    assert tree.lookup("base", "arm", 5 * SECOND)[1][0] == 1.0
    assert tree.lookup("odom", "arm", 5 * SECOND)[1][0] == 3.0
    with pytest.raises(ExtrapolationException):
        tree.lookup("map", "arm", 5 * SECOND)


def test_lookup_through_a_fixed_frame_gives_the_motion_in_between():
    tree = make_tree(("odom", "base", 1.0, shifted(0.0)), ("odom", "base", 2.0, shifted(10.0)))
    stamp, base2_T_base1 = tree.lookup_full("base", 2 * SECOND, "base", SECOND, "odom")
    assert stamp == 2 * SECOND
    np.testing.assert_allclose(base2_T_base1[:3], [-10, 0, 0])


def test_old_samples_are_forgotten_and_older_ones_not_taken():
    tree = make_tree(*(("odom", "base", t, shifted(t)) for t in range(1, 20)), keep_s=5.0)
    with pytest.raises(ExtrapolationException, match=r"earliest data is at time 14\.0"):
        tree.lookup("odom", "base", 13 * SECOND)
    assert "older than the newest" in tree.insert("odom", "base", 2 * SECOND, shifted(0), static=False)
    assert "repeats the stamp" in tree.insert("odom", "base", 19 * SECOND, shifted(99), static=False)
    assert tree.lookup("odom", "base", 19 * SECOND)[1][0] == 19.0


def test_a_frame_may_move_to_another_parent():
    tree = make_tree(
        ("world", "table", None, shifted(5.0)),
        ("world", "hand", None, shifted(1.0)),
        ("table", "cup", 1.0, shifted(0.5)),
        ("hand", "cup", 2.0, shifted(0.1)),
        ("hand", "cup", 3.0, shifted(0.1)),
    )
    assert tree.lookup("world", "cup", SECOND)[1][0] == pytest.approx(5.5)
    assert tree.lookup("world", "cup", int(1.9 * SECOND))[1][0] == pytest.approx(5.5)
    assert tree.lookup("world", "cup", 2 * SECOND)[1][0] == pytest.approx(1.1)
    assert tree.lookup("world", "cup", LATEST)[1][0] == pytest.approx(1.1)


def test_a_static_transform_is_replaced_and_survives_clearing():
    tree = make_tree(("base", "laser", None, shifted(1.0)), ("odom", "base", 1.0, shifted(0.0)))
    tree.insert("base", "laser", 0, shifted(2.0), static=True)
    tree.clear()
    assert tree.lookup("base", "laser", LATEST)[1][0] == 2.0
    with pytest.raises(LookupException, match="odom"):
        tree.lookup("odom", "base", LATEST)


@pytest.mark.parametrize(
    ("parent", "child", "rigid", "words"),
    [
        ("a", "b", (0, 0, 0, 0, 0, 0, 0), "has norm 0, expected 1; no rotation is"),
        ("a", "b", (0, 0, 0, 0, 0, 0, 2), "has norm 2"),
        ("a", "b", (float("nan"), 0, 0, 0, 0, 0, 1), "nan.*not finite"),
        ("a", "b", (0, 0, 0, 0, float("nan"), 0, 1), "not finite"),
        ("a", "b", (float("inf"), -float("inf"), 0, 0, 0, 0, 1), "not finite"),
        ("a", "a", IDENTITY, "'a' to itself"),
        ("", "b", IDENTITY, "has no name"),
        ("a", "/", IDENTITY, "has no name"),
    ],
)
def test_transforms_that_cannot_be_are_refused(parent, child, rigid, words):
    tree = make_tree()
    with pytest.raises(InvalidArgumentException, match=words):
        tree.insert(parent, child, SECOND, rigid, static=False)
    assert tree.frames() == []


@pytest.mark.parametrize(
    ("target", "source", "error", "words"),
    [
        ("a", "nowhere", LookupException, '"nowhere" .* does not exist .known frames: a, b, x, y'),
        ("a", "y", ConnectivityException, "'a' and 'y'.*two or more unconnected trees"),
        ("", "b", InvalidArgumentException, "be empty"),
        ("a", "/b", InvalidArgumentException, "start with a '/'"),
    ],
)
def test_failed_lookups_say_why(target, source, error, words):
    tree = make_tree(("a", "b", None, IDENTITY), ("x", "y", None, IDENTITY))
    with pytest.raises(error, match=words) as caught:
        tree.lookup(target, source, LATEST)
    assert isinstance(caught.value, TransformException)


def test_a_loop_is_an_error_and_not_a_hang():
    tree = make_tree(("a", "b", None, IDENTITY), ("b", "a", None, IDENTITY), ("r", "x", None, IDENTITY))
    for pair in (("x", "a"), ("a", "x")):
        with pytest.raises(LookupException, match="loop"):
            tree.lookup(*pair, LATEST)


def test_a_leading_slash_is_dropped_when_storing():
    assert make_tree(("/map", "/odom", None, shifted(1.0))).lookup("map", "odom", LATEST)[1][0] == 1.0


def test_a_cache_of_no_length_is_refused():
    with pytest.raises(InvalidArgumentException, match="cache time is 0"):
        TransformTree(0)


def test_writers_and_readers_in_many_threads_see_only_whole_samples():
    tree = make_tree(("odom", "base", 1.0, shifted(1.0)), ("base", "laser", None, shifted(0.5)))
    wrong, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            stamp, rigid = tree.lookup("odom", "laser", LATEST)
            if abs(rigid[0] - (stamp / SECOND + 0.5)) > 1e-9:
                wrong.append((stamp, rigid))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for i in range(3000):
        stamp_s = 1.0 + (i + 1) / 256
        tree.insert("odom", "base", int(stamp_s * SECOND), shifted(stamp_s), static=False)
    stop.set()
    for reader in readers:
        reader.join()
    assert wrong == []


def test_a_lookup_over_three_hops_takes_microseconds():
    tree = make_tree(("base", "laser", None, shifted(0.2)))
    for i in range(500):
        tree.insert("map", "odom", SECOND + i * 20_000_000, shifted(0.0, 0.001 * i), static=False)
        tree.insert("odom", "base", SECOND + i * 20_000_000, shifted(0.01 * i, 0.01 * i), static=False)
    stamp = SECOND + 4_990_000_000
    seconds = min(timeit.repeat(lambda: tree.lookup("map", "laser", stamp), number=200, repeat=10)) / 200
    assert seconds < 200e-6  # 20 us on a free machine
