# SPDX-License-Identifier: Apache-2.0
"""Paths for a long base that turns on the spot: lines along headings and turns between them (pose_astar.py).

The search over cells takes the inscribed circle for the base, and finds ways that a long base cannot drive. This one
checks the oriented rectangle at every moment, also while it turns: a base of 1.0 x 0.4 m goes through a door of 0.6 m
straight, and is not sent round a corner where its diagonal has no room.
"""

from __future__ import annotations

import math

import numpy as np

from axon_planner.config import PlannerConfig
from axon_planner.costmap import Field
from axon_planner.pose_astar import Moves, search_poses
from axon_planner.pose_search import PoseResult

YAWS = 32  # headings are 11.25 degrees apart: the nearest one is never off by more than a long base in a door can be
BIN_M = 0.06
STEP_M = 0.10
GREED = 1.2  # in generated rooms paths cost 3 % more than with 1.0 and are found in a quarter of the time
MAX_EXPANDED = 500_000


def plan_turning(
    config: PlannerConfig,
    field: Field,
    start: np.ndarray,
    goal: np.ndarray,
    timeout_s: float = float("inf"),
    max_expanded: int = MAX_EXPANDED,
) -> PoseResult:
    """Path from pose `start` to pose `goal`, (3,) each, of lines and turns on the spot.

    Both ends are met exactly; the footprint keeps its margin all along. An ordinary "no" is a typed status with its
    reason; a base that cannot turn on the spot raises ValueError.
    """
    if config.min_turning_radius_m > 0.0:
        raise ValueError(
            f"min_turning_radius_m = {config.min_turning_radius_m}: expected 0, this base cannot turn on the spot"
        )
    forward_only = not (config.allow_reverse and config.max_reverse_mps > 0.0)
    turn = 2.0 * math.pi / YAWS
    steps = np.array([[0.0, STEP_M, 0.0], [0.0, 0.0, turn], [0.0, 0.0, -turn], [0.0, -STEP_M, 0.0]])
    moves = Moves(steps[:3] if forward_only else steps, 0.0, YAWS, BIN_M, forward_only, GREED)
    return search_poses(config, field, moves, start, goal, timeout_s, max_expanded)
