# SPDX-License-Identifier: Apache-2.0
"""Objects are closed bodies with true masses that stand still; a seed is an object."""

import mujoco
import numpy as np
import pytest

from axon_sim.objects import CATEGORIES, make_clutter, make_object
from axon_sim.objects.meshes import LABEL, box, lathe, merge
from axon_sim.robot import GRIPPER_MAX_WIDTH_M

SEEDS = range(6)
MASS_RANGES_KG = {
    "ball": (0.005, 0.2),
    "banana": (0.05, 0.25),
    "book": (0.1, 1.5),
    "bottle": (0.1, 1.4),
    "bowl": (0.03, 0.8),
    "box": (0.01, 1.0),
    "can": (0.1, 0.9),
    "cup": (0.01, 0.2),
    "mug": (0.1, 0.6),
    "plate": (0.1, 1.0),
}


def dropped(category, seed, seconds=1.0, height_m=0.02):
    """Drop an object upright on a floor; its model, data after `seconds`, and itself."""
    item, spec, pose = make_object(category, seed), mujoco.MjSpec(), np.eye(4)
    spec.option.timestep = 0.002
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=[1, 1, 0.1], pos=[0, 0, -0.1])
    pose[2, 3] = 0.5 * item.size_m[2] + height_m
    item.add_to(spec, pose, "thing")
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_step(model, data, round(seconds / 0.002))
    return item, model, data


def test_solids_of_known_volume_and_inertia():
    cube = box((0.2, 0.3, 0.4), [0] * 6)
    center, inertia = cube.moved((1.0, 2.0, 3.0)).inertia(12.0)
    assert cube.volume_m3() == pytest.approx(0.024)
    np.testing.assert_allclose(center, [1.0, 2.0, 3.0])
    np.testing.assert_allclose(inertia, np.diag([0.25, 0.20, 0.13]), atol=1e-12)
    turned = lathe([(0.0, 0.0), (0.1, 0.0), (0.1, 0.5), (0.0, 0.5)], [0, LABEL, 0], sides=200)
    assert turned.volume_m3() == pytest.approx(np.pi * 0.01 * 0.5, rel=1e-3)
    assert merge([cube, turned]).volume_m3() == pytest.approx(cube.volume_m3() + turned.volume_m3())


def test_normals_are_unit_and_point_outward():
    turn = np.linspace(-0.5 * np.pi, 0.5 * np.pi, 25)
    sphere = lathe(np.stack([np.cos(turn), np.sin(turn)], axis=1), [LABEL] * 24, sides=48)
    normals = sphere.normals()
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1.0)
    assert np.einsum("ij,ij->i", normals, sphere.vertices[sphere.faces.ravel()]).min() > 0.99
    edges = box((1.0, 1.0, 1.0), [0] * 6).normals()
    assert np.allclose(np.abs(edges).max(axis=1), 1.0), "the faces of a box stay flat"


def test_a_wrong_paint_is_refused():
    with pytest.raises(ValueError, match="2 steps, got 1"):
        lathe([(0.0, 0.0), (0.1, 0.0), (0.0, 0.1)], [0])


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_member_is_a_closed_body_of_plausible_mass(category):
    low, high = MASS_RANGES_KG[category]
    for item in (make_object(category, seed) for seed in SEEDS):
        assert item.mesh.is_watertight() and item.mesh.volume_m3() > 0.0
        assert item.mass_kg == pytest.approx(item.density_kgpm3 * item.mesh.volume_m3())
        assert low < item.mass_kg < high, item.mass_kg
        np.testing.assert_allclose(item.mesh.bounds_m(), [-0.5 * item.size_m, 0.5 * item.size_m], atol=1e-12)
        assert item.mesh.uvs.min() >= 0.0 and item.mesh.uvs.max() <= 1.0
        assert item.grasp_width_m < GRIPPER_MAX_WIDTH_M


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_seed_is_an_object(category):
    first, again, other = (make_object(category, seed) for seed in (3, 3, 4))
    assert np.array_equal(first.mesh.vertices, again.mesh.vertices) and np.array_equal(first.image, again.image)
    assert first.friction == again.friction
    assert not np.array_equal(first.size_m, other.size_m) and not np.array_equal(first.image, other.image)


@pytest.mark.parametrize("category", CATEGORIES)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_dropped_object_stands_still(category, seed):
    item, model, data = dropped(category, seed)
    assert np.linalg.norm(data.qpos[:2]) < 0.03
    assert abs(data.qpos[2] - 0.5 * item.size_m[2]) < 0.004, "it stands on its foot"
    tilt = np.degrees(np.arccos(np.clip(data.body("thing").xmat[8], -1.0, 1.0)))
    assert category == "ball" or tilt < 12.0
    before = data.qpos.copy()
    mujoco.mj_step(model, data, 100)
    assert np.abs(data.qvel[:3]).max() < 0.02 and np.linalg.norm(data.qpos[:3] - before[:3]) < 0.002


@pytest.mark.parametrize("category", CATEGORIES)
def test_collision_shapes_fit_what_is_seen(category):
    _, model, data = dropped(category, 2, seconds=0.0)
    mujoco.mj_forward(model, data)
    item = make_object(category, 2)
    assert model.body_mass[1] == pytest.approx(item.mass_kg)
    for geom in range(model.ngeom):
        if model.geom_bodyid[geom] == 1 and model.geom_contype[geom]:
            turned, half = data.geom_xmat[geom].reshape(3, 3), model.geom_aabb[geom, 3:]
            low, high = (data.geom_xpos[geom] + sign * np.abs(turned) @ half - data.qpos[:3] for sign in (-1, 1))
            assert np.all(low > -0.5 * item.size_m - 0.008) and np.all(high < 0.5 * item.size_m + 0.008)


@pytest.mark.parametrize("category", CATEGORIES)
def test_the_compiled_mesh_is_lit_from_outside(category):
    _, model, _ = dropped(category, 0, seconds=0.0)
    a, b, c = np.moveaxis(model.mesh_vert[model.mesh_face], 1, 0)
    facing = np.cross(b - a, c - a)
    facing /= np.linalg.norm(facing, axis=1, keepdims=True)
    assert np.einsum("fi,fki->fk", facing, model.mesh_normal[model.mesh_facenormal]).min() > 0.6


@pytest.mark.parametrize("category", ["mug", "bowl", "cup"])
def test_a_vessel_is_hollow_to_a_finger(category):
    item, model, data = dropped(category, 0, seconds=0.0)
    mujoco.mj_forward(model, data)
    groups, hit = np.array([0, 0, 0, 0, 1, 0], dtype=np.uint8), np.zeros(1, dtype=np.int32)
    above = np.array([0.0, 0.0, data.qpos[2] + 0.5 * item.size_m[2] + 0.1])
    distance = mujoco.mj_ray(model, data, above, np.array([0.0, 0.0, -1.0]), groups, 1, -1, hit)
    assert distance == pytest.approx(0.1 + item.size_m[2], abs=0.008), "a finger from above reaches its floor"


def test_clutter_is_of_no_category():
    assert make_clutter(0).category not in CATEGORIES
    assert all(make_clutter(seed).mesh.is_watertight() for seed in SEEDS)


def test_categories_are_many():
    assert len(CATEGORIES) >= 8 and {"mug", "bottle", "can", "bowl", "box", "ball", "book", "plate"} <= set(CATEGORIES)


def test_a_wrong_category_or_seed_is_answered():
    with pytest.raises(ValueError, match=r"unknown category 'botle': did you mean 'bottle'"):
        make_object("botle", 0)
    with pytest.raises(ValueError, match="seed = -1"):
        make_object("mug", -1)
