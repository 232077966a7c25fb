# SPDX-License-Identifier: Apache-2.0
"""The grasp bench: what it refuses, what its peers are worth, and one pick by the whole robot."""

import grasp_sim
import numpy as np
import pytest
from harness import make_parser

from axon_grasp.config import GraspConfig
from axon_grasp.runtime import Grasper


def options(*words):
    return make_parser("grasp-sim", grasp_sim).parse_args(words)


def test_seeds_of_the_training_and_models_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match="training"):
        grasp_sim.main(options("--seed", "500"))
    with pytest.raises(ValueError, match="no model 'grapse'"):
        grasp_sim.main(options("--model", "grapse"))


def test_single_objects_are_taken_more_often_than_not_and_always_alike():
    words = ("--scenes", "8", "--flat", "0", "--robot", "0", "--seed", "499")
    numbers, again = grasp_sim.main(options(*words)), grasp_sim.main(options(*words))
    assert numbers["scenes"] == 8 and numbers["success"] >= 0.5
    assert all(0.0 <= numbers[key] <= 1.0 for key in numbers if "success" in key)
    del numbers["grasp_ms"], again["grasp_ms"]
    assert numbers == again


def test_the_robot_picks_a_can_and_carries_it_over_its_base():
    grasper = Grasper(GraspConfig())
    grasper.set_robot(grasp_sim.load_urdf())
    simulator = grasp_sim.simulator_before(grasp_sim.make_object("can", 7), np.array([0.44, 0.05]), 0.55, 0.0, 1)
    body = simulator.data.body("object")
    assert grasp_sim.pick_once(grasper, simulator, np.array([0.44, 0.05, 0.60])) == ""
    assert np.linalg.norm(body.xpos[:2]) < 0.30
