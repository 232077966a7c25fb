# SPDX-License-Identifier: Apache-2.0
"""What a skill's node is written against: `from axon_ros import SkillNode, node_main`."""

from axon_ros.errors import BadInput, NoTransform
from axon_ros.problems import Level
from axon_ros.process import node_main
from axon_ros.skill_node import SkillNode

__all__ = ["BadInput", "Level", "NoTransform", "SkillNode", "node_main"]
