# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from axon_core.geometry import (
    apply_transform,
    check_quat,
    check_se2,
    check_transform,
    interpolate_transform,
    invert_transform,
    matrix_from_quat_xyzw,
    quat_xyzw_from_matrix,
    quat_xyzw_from_yaw,
    se2_apply,
    se2_compose,
    se2_from_matrix,
    se2_inverse,
    se2_to_matrix,
    slerp,
    transform_from,
    wrap_angle,
    yaw_from_quat_xyzw,
)

coordinates = st.floats(-100.0, 100.0)
angles = st.floats(-10.0, 10.0)
poses = st.tuples(coordinates, coordinates, angles).map(np.array)
points = st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=20).map(np.array)
quaternions = (
    st.tuples(*[st.floats(-1.0, 1.0)] * 4)
    .map(np.array)
    .filter(lambda q: np.linalg.norm(q) > 0.1)
    .map(lambda q: q / np.linalg.norm(q))
)
transforms = st.builds(transform_from, st.tuples(coordinates, coordinates, coordinates), quaternions)


def assert_same_pose(actual, expected):
    np.testing.assert_allclose(actual[:2], expected[:2], atol=1e-9)
    assert abs(wrap_angle(actual[2] - expected[2])) < 1e-9


@given(st.floats(-1e4, 1e4))
def test_a_wrapped_angle_is_the_same_direction_within_a_turn(rad):
    wrapped = wrap_angle(rad)
    assert -np.pi <= wrapped <= np.pi
    assert np.isclose(np.cos(wrapped), np.cos(rad), atol=1e-9) and np.isclose(np.sin(wrapped), np.sin(rad), atol=1e-9)


def test_wrapping_known_angles():
    np.testing.assert_allclose(
        wrap_angle([0.0, 3 * np.pi / 2, -3 * np.pi / 2, 2 * np.pi]), [0, -np.pi / 2, np.pi / 2, 0]
    )


def test_a_quarter_turn_takes_x_to_y():
    pose = np.array([1.0, 2.0, np.pi / 2])
    np.testing.assert_allclose(se2_apply(pose, [[3.0, 0.0]]), [[1.0, 5.0]], atol=1e-12)
    np.testing.assert_allclose(apply_transform(se2_to_matrix(pose), [[3.0, 0.0, 7.0]]), [[1.0, 5.0, 7.0]], atol=1e-12)
    np.testing.assert_allclose(se2_compose(pose, [3.0, 0.0, 0.0]), [1.0, 5.0, np.pi / 2], atol=1e-12)


@given(poses, poses, poses)
def test_se2_is_a_group(a, b, c):
    assert_same_pose(se2_compose(se2_compose(a, b), c), se2_compose(a, se2_compose(b, c)))
    assert_same_pose(se2_compose(a, np.zeros(3)), a)
    assert_same_pose(se2_compose(a, se2_inverse(a)), np.zeros(3))
    assert_same_pose(se2_inverse(se2_compose(a, b)), se2_compose(se2_inverse(b), se2_inverse(a)))


@given(poses, poses, points)
def test_composing_is_applying_one_after_the_other(a, b, xy):
    np.testing.assert_allclose(se2_apply(se2_compose(a, b), xy), se2_apply(a, se2_apply(b, xy)), atol=1e-9)


@given(poses, points)
def test_motions_keep_distances(pose, xy):
    moved = se2_apply(pose, xy)
    np.testing.assert_allclose(np.linalg.norm(moved - moved[0], axis=1), np.linalg.norm(xy - xy[0], axis=1), atol=1e-9)


@given(poses, poses)
def test_se2_and_its_matrices_agree(a, b):
    np.testing.assert_allclose(se2_to_matrix(se2_compose(a, b)), se2_to_matrix(a) @ se2_to_matrix(b), atol=1e-9)
    assert_same_pose(se2_from_matrix(se2_to_matrix(a)), a)


@given(st.lists(poses, min_size=1, max_size=5), poses)
def test_composition_broadcasts(many, one):
    stacked = se2_compose(np.stack(many), one)
    for got, pose in zip(stacked, many, strict=True):
        assert_same_pose(got, se2_compose(pose, one))


@given(quaternions)
def test_quaternions_and_matrices_agree_with_scipy(q):
    np.testing.assert_allclose(matrix_from_quat_xyzw(q), Rotation.from_quat(q).as_matrix(), atol=1e-12)
    back = quat_xyzw_from_matrix(matrix_from_quat_xyzw(q))
    assert back[3] >= 0.0 and np.isclose(abs(back @ q), 1.0)


@given(quaternions)
def test_q_and_minus_q_are_one_rotation(q):
    np.testing.assert_allclose(matrix_from_quat_xyzw(q), matrix_from_quat_xyzw(-q), atol=1e-15)
    np.testing.assert_allclose(slerp(q, -q, 0.5), q, atol=1e-9)
    assume(abs(matrix_from_quat_xyzw(q)[2, 0]) < 0.999)  # at the poles yaw means nothing
    assert yaw_from_quat_xyzw(q) == pytest.approx(yaw_from_quat_xyzw(-q))


@pytest.mark.parametrize("axis", range(3))
def test_half_turns_have_a_quaternion(axis):
    q = np.eye(4)[axis]
    assert abs(quat_xyzw_from_matrix(matrix_from_quat_xyzw(q)) @ q) == pytest.approx(1.0)


@given(angles)
def test_yaw_round_trip(yaw):
    assert abs(wrap_angle(yaw_from_quat_xyzw(quat_xyzw_from_yaw(yaw)) - yaw)) < 1e-9


@given(transforms, transforms)
def test_se3_is_a_group(a, b):
    np.testing.assert_allclose(a @ invert_transform(a), np.eye(4), atol=1e-9)
    np.testing.assert_allclose(invert_transform(a @ b), invert_transform(b) @ invert_transform(a), atol=1e-9)


@given(transforms, transforms)
def test_interpolation_has_its_ends_and_its_mirror(a, b):
    np.testing.assert_allclose(interpolate_transform(a, b, 0.0), a, atol=1e-7)
    np.testing.assert_allclose(interpolate_transform(a, b, 1.0), b, atol=1e-7)
    relative = Rotation.from_matrix(a[:3, :3].T @ b[:3, :3]).magnitude()
    assume(relative < 3.1)  # at half a turn there are two shortest ways
    np.testing.assert_allclose(interpolate_transform(a, b, 0.3), interpolate_transform(b, a, 0.7), atol=1e-7)
    part = Rotation.from_matrix(a[:3, :3].T @ interpolate_transform(a, b, 0.25)[:3, :3]).magnitude()
    assert part == pytest.approx(0.25 * relative, abs=1e-6)


def test_half_way_of_a_quarter_turn_is_an_eighth():
    quarter = transform_from([2.0, 0.0, 0.0], quat_xyzw_from_yaw(np.pi / 2))
    half = interpolate_transform(np.eye(4), quarter, 0.5)
    np.testing.assert_allclose(half, transform_from([1.0, 0.0, 0.0], quat_xyzw_from_yaw(np.pi / 4)), atol=1e-12)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: check_quat([0.0, 0.0, 0.0, 0.0]), "expected a unit quaternion, its length is 0"),
        (lambda: check_transform(2.0 * np.eye(4)), "no rotation"),
        (lambda: check_transform(np.diag([1.0, 1.0, -1.0, 1.0])), "no rotation"),
        (lambda: check_transform(np.eye(4) + np.eye(4)[[3, 0, 1, 2]] * [[0], [0], [0], [1]]), "last row"),
        (lambda: check_se2([0.0, np.inf, 0.0]), "finite"),
        (lambda: interpolate_transform(np.eye(4), np.eye(4), 1.5), "fraction = 1.5"),
    ],
)
def test_what_is_no_motion_is_refused(call, text):
    with pytest.raises(ValueError, match=text):
        call()
