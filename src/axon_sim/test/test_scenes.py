# SPDX-License-Identifier: Apache-2.0
"""Labels are exact: boxes, masks, depth, poses and visibility agree with each other and with the scene."""

import mujoco
import numpy as np
import pytest

from axon_core.geometry import apply_transform, invert_transform
from axon_sim.objects import CATEGORIES, make_object
from axon_sim.scenes import Scene, SceneConfig, look_at, make_scene, render_labels, silhouette_px

CONFIG = SceneConfig(image_size_px=256, objects_min=5, shadow_share=0.0)


@pytest.fixture(scope="module")
def scenes():
    return [make_scene(seed, CONFIG) for seed in range(3)]


@pytest.fixture(scope="module")
def images(scenes):
    return [render_labels(scene, view) for scene in scenes for view in range(3)]


def test_a_seed_is_a_scene(scenes):
    first, again = (render_labels(make_scene(1, CONFIG), 2) for _ in range(2))
    assert np.array_equal(first.rgb, again.rgb) and np.array_equal(first.instance_ids, again.instance_ids)
    assert not np.array_equal(first.rgb, render_labels(scenes[0], 2).rgb)
    assert not np.array_equal(first.world_T_camera, render_labels(scenes[1], 3).world_T_camera)


def test_objects_have_settled(scenes):
    for scene in scenes:
        rolls = np.array([item.category == "ball" for item in scene.objects])
        speeds = np.array([np.abs(scene.data.joint(f"object_{i}_free").qvel[:3]).max() for i in range(len(rolls))])
        assert np.mean(speeds[~rolls] < 0.05) > 0.7
        assert np.all(scene.world_T_objects()[:, 2, 3] > 0.0), "nothing falls through the floor"


def test_boxes_are_the_extent_of_the_masks(images):
    for image in images:
        assert set(np.unique(image.instance_ids)) - {0} == set(image.ids.tolist())
        for index, box in zip(image.ids, image.boxes_xyxy, strict=True):
            rows, columns = np.nonzero(image.instance_ids == index)
            assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_depth_of_a_mask_lies_on_its_object(images):
    checked = 0
    for image in images:
        points = image.camera.back_project_image(image.depth_m)
        poses = zip(image.ids, image.sizes_m, image.world_T_objects, strict=True)
        for index, size_m, world_T_object in poses:
            world_points = apply_transform(image.world_T_camera, points[image.instance_ids == index])
            local = apply_transform(invert_transform(world_T_object), world_points)
            assert np.all(np.abs(local) < 0.5 * size_m + 0.004)
            checked += 1
    assert checked > 20


def test_camera_poses_agree_and_are_in_range(images):
    for image in images:
        np.testing.assert_allclose(image.world_T_camera @ image.camera_T_objects, image.world_T_objects, atol=1e-9)
        assert CONFIG.camera_height_min_m <= image.world_T_camera[2, 3] <= CONFIG.camera_height_max_m
        assert np.all(image.camera_T_objects[:, 2, 3] > 0.0)


def test_visibility_is_a_share(images):
    assert np.mean(np.concatenate([image.visibility for image in images]) > 0.9) > 0.3
    for image in images:
        assert np.all((image.visibility > 0.0) & (image.visibility <= 1.0))


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_lone_object_fills_its_silhouette(category):
    config = SceneConfig(
        categories=(category,), objects_min=1, objects_max=1, clutter_max=0, table_share=0.0, settle_s=0.2, noise=0.0
    )
    scene = make_scene(5, config)
    target = scene.world_T_objects()[0, :3, 3]
    pose = look_at(target + np.array([0.5, 0.2, 0.6]), target)
    whole = silhouette_px(scene.objects[0], invert_transform(pose) @ scene.world_T_objects()[0], scene.camera())
    images, shown = scene.draw(pose)
    assert np.count_nonzero(shown == 0) == pytest.approx(whole, rel=0.05)
    assert images.color.std() > 1.0


def test_occlusion_and_the_edge_of_the_image_reduce_visibility():
    config = SceneConfig(categories=("box",), objects_min=2, objects_max=2, clutter_max=0, table_share=0.0, noise=0.0)
    scene = make_scene(0, config)
    far = scene.data.joint("object_0_free").qpos
    near = scene.data.joint("object_1_free").qpos
    far[:], near[:] = [0.0, 0.0, 0.3, 1.0, 0.0, 0.0, 0.0], [0.0, 5.0, 0.3, 1.0, 0.0, 0.0, 0.0]
    pose = look_at(np.array([0.9, 0.0, 0.35]), np.array([0.0, 0.0, 0.3]))
    free = visible_share(scene, pose)
    near[:3] = [0.3, 0.0, 0.3 - 0.5 * scene.objects[1].size_m[2]]
    covered = visible_share(scene, pose)
    aside = visible_share(scene, look_at(pose[:3, 3], np.array([0.0, 0.47, 0.3])))
    assert free == pytest.approx(1.0, abs=0.05)
    assert 0.0 < covered < 0.85 * free and aside < 0.95


def visible_share(scene: Scene, world_T_camera: np.ndarray) -> float:
    """The visible share of a scene's first object, its bodies as `data.qpos` has them now."""
    mujoco.mj_forward(scene.model, scene.data)
    _, shown = scene.draw(world_T_camera)
    camera_T_object = invert_transform(world_T_camera) @ scene.world_T_objects()[0]
    return np.count_nonzero(shown == 0) / silhouette_px(scene.objects[0], camera_T_object, scene.camera())


def test_look_at_puts_the_target_on_the_axis():
    pose = look_at(np.array([1.0, 2.0, 1.1]), np.array([0.0, 0.5, 0.4]), 0.1)
    np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-12)
    assert np.linalg.det(pose[:3, :3]) == pytest.approx(1.0)
    local = invert_transform(pose) @ [0.0, 0.5, 0.4, 1.0]
    np.testing.assert_allclose(local[:2], 0.0, atol=1e-12)
    assert local[2] > 0.0 and pose[2, 1] < 0.0, "ahead is z, and y points down"


def test_a_part_behind_the_camera_has_no_silhouette():
    camera = make_scene(0, SceneConfig(objects_max=3, settle_s=0.0)).camera()
    behind = np.eye(4)
    assert silhouette_px(make_object("mug", 0), behind, camera) == float("inf")


def test_every_category_is_drawn():
    seen, many = set(), SceneConfig(objects_min=12, objects_max=14, clutter_max=0, settle_s=0.0)
    for seed in range(5):
        seen |= {item.category for item in make_scene(seed, many).objects}
    assert seen == set(CATEGORIES)


def test_wrong_configs_are_answered():
    with pytest.raises(ValueError, match=r"'mugg': did you mean 'mug'"):
        SceneConfig(categories=("mugg",))
    with pytest.raises(ValueError, match="objects_min = 12: expected at most objects_max = 9"):
        SceneConfig(objects_min=12)
