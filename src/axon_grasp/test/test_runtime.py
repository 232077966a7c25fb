# SPDX-License-Identifier: Apache-2.0
"""The shipped network and the arm on a box on a table."""

import numpy as np
import pytest
from table_scenes import CAMERA, MAST, BoxScene, camera_at, turn

from axon_core.models import ModelError
from axon_grasp.config import GraspConfig
from axon_grasp.heightmap import NothingSeen
from axon_grasp.runtime import Grasper, NoGrasp, NoReach
from axon_sim import robot

FOLDED = np.array(robot.ARM_FOLDED_RAD)


@pytest.fixture(scope="module")
def grasper() -> Grasper:
    made = Grasper(GraspConfig())
    made.set_robot(robot.load_urdf())
    return made


def look(grasper, scene, eye=MAST):
    mount = camera_at(eye, scene.target_m)
    return grasper.perceive(scene.depth(mount), CAMERA, mount, scene.target_m)


def test_grasps_of_a_box_are_on_the_box_and_close_across_it(grasper):
    scene = BoxScene(size_m=(0.16, 0.05, 0.08), yaw_rad=0.5)
    grasps = look(grasper, scene).grasps
    assert grasps and grasps[0].quality >= grasps[-1].quality >= grasper.config.min_quality
    best = turn(-scene.yaw_rad)[:3, :3] @ (grasps[0].base_T_grasp[:3, 3] - scene.target_m)
    assert abs(best[0]) < 0.09 and abs(best[1]) < 0.03
    closing = turn(-scene.yaw_rad)[:3, :3] @ grasps[0].base_T_grasp[:3, 1]
    assert abs(closing[1]) > np.cos(np.radians(30.0))
    assert all(grasp.opening_m <= grasper.config.gripper_max_opening_m for grasp in grasps)
    assert all(grasp.base_T_grasp[2, 3] - grasper.config.finger_tip_m > scene.table_m - 0.001 for grasp in grasps)


@pytest.mark.parametrize("angle", [0.6, -1.8])
def test_turning_scene_and_camera_together_turns_the_grasps(grasper, angle):
    scene = BoxScene(size_m=(0.14, 0.05, 0.08), yaw_rad=0.3)
    mount = camera_at(MAST, scene.target_m)
    one = grasper.perceive(scene.depth(mount), CAMERA, mount, scene.target_m).grasps[0]
    turned, moved = scene.turned(angle), turn(angle) @ mount
    other = grasper.perceive(turned.depth(moved), CAMERA, moved, turned.target_m).grasps
    expected = turn(angle) @ one.base_T_grasp
    # rays through the borders of cells may fall to either side, so that two equally good grasps may change places
    apart = [np.linalg.norm(grasp.base_T_grasp[:3, 3] - expected[:3, 3]) for grasp in other]
    twin = other[int(np.argmin(apart))]
    assert min(apart) < 0.006 and abs(twin.base_T_grasp[:3, 1] @ expected[:3, 1]) > np.cos(np.radians(11.0))
    assert twin.quality == pytest.approx(one.quality, abs=0.1)


def test_a_plan_comes_from_above_and_ends_folded(grasper):
    scene = BoxScene(size_m=(0.10, 0.05, 0.08), place_m=(0.42, 0.05))
    seen = look(grasper, scene)
    plan = grasper.plan(seen, FOLDED)
    arm = grasper.arm
    np.testing.assert_allclose(plan.approach.positions[0], FOLDED)
    for one, other in (("approach", "descend"), ("descend", "lift"), ("lift", "carry")):
        np.testing.assert_allclose(getattr(plan, one).positions[-1], getattr(plan, other).positions[0], atol=1e-9)
    reached = arm.forward(plan.descend.positions[-1])
    np.testing.assert_allclose(reached[:3, 3], plan.grasp.base_T_grasp[:3, 3], atol=0.003)
    assert reached[:3, 0] @ [0.0, 0.0, -1.0] > 0.999
    assert abs(reached[:3, 1] @ plan.grasp.base_T_grasp[:3, 1]) > 0.999
    arm.check_path(plan.approach.positions, seen.obstacles)
    end = arm.forward(plan.carry.positions[-1])[:3, 3]
    assert end[0] < 0.30 and abs(end[1]) < 0.1


def test_nothing_there_no_grasp_and_no_reach_are_told_apart(grasper):
    bare = BoxScene(size_m=(0.05, 0.05, 0.001))
    with pytest.raises(NothingSeen):
        look(grasper, bare)
    wide = BoxScene(size_m=(0.19, 0.19, 0.05), place_m=(0.5, 0.0))
    with pytest.raises(NoGrasp):
        grasper.plan(look(grasper, wide), FOLDED)
    far = BoxScene(size_m=(0.05, 0.05, 0.10), place_m=(1.0, 0.0))
    with pytest.raises(NoReach):
        grasper.plan(look(grasper, far, (0.4, 0.0, 1.1)), FOLDED)


def test_a_model_that_is_not_there_is_said():
    with pytest.raises(ModelError, match="no model 'grapse'"):
        Grasper(GraspConfig(model="grapse"))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"ready_rad": (0.0, 1.0)}, "ready_rad has 2"),
        ({"min_quality": 1.5}, "min_quality"),
        ({"attempts": 0}, "attempts"),
    ],
)
def test_bad_configs_are_refused(changes, says):
    with pytest.raises(ValueError, match=says):
        GraspConfig(**changes)
