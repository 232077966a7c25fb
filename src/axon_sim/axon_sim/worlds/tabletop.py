# SPDX-License-Identifier: Apache-2.0
"""A table with a few loose things on it, in a bright corner; the robot stands in front of it."""

import numpy as np

from axon_sim import textures
from axon_sim.objects import CATEGORIES
from axon_sim.worlds import furniture as fur
from axon_sim.worlds.builder import SceneBuilder, World

TABLE_SIZE_M = (0.70, 1.20)
NEAR_EDGE_X_M = 0.95
SPACING_M = 0.19


def make_tabletop(seed: int) -> World:
    """Return the scene of this seed: table height 0.45 to 0.75 m, three to six things within the arm's reach."""
    b = SceneBuilder("tabletop", seed)
    concrete = b.textured("floor_look", textures.planks(b.rng, (0.60, 0.57, 0.52)), repeat=(0.8, 0.8), uniform=True)
    b.floor(concrete, (-2.0, -2.0, 3.0, 2.0))
    paint = b.textured("wall_paint", textures.plaster(b.rng, tuple(b.rng.uniform(0.70, 0.92, 3))), solid=True)
    wall = b.fixed("wall")
    b.wall(wall, (3.0, -2.0), (3.0, 2.0), paint)
    b.wall(wall, (-2.0, 2.0), (3.0, 2.0), paint)
    fur.picture(b, 2.93, 0.5, np.pi, 0.9, 0.6)
    fur.plant(b, "plant", 2.5, 1.5, 1.1)
    height = float(b.rng.uniform(0.45, 0.75))
    center_x = NEAR_EDGE_X_M + 0.5 * TABLE_SIZE_M[0]
    fur.table(b, "table", center_x, 0.0, 0.0, (*TABLE_SIZE_M, height))
    _things(b, height)
    b.light((0.5, 0.0), 5.0)
    goals = {"table": (NEAR_EDGE_X_M - 0.50, 0.0, 0.0), "away": (-1.0, 0.0, np.pi)}
    return b.finish((0.0, 0.0, 0.0), goals, (-2.0, -2.0, 3.1, 2.1))


def _things(b: SceneBuilder, table_height: float) -> None:
    count = int(b.rng.integers(3, 7))
    categories = b.rng.choice(CATEGORIES, count, replace=False)
    for place, category in enumerate(categories):
        x = NEAR_EDGE_X_M + float(b.rng.uniform(0.10, 0.22))
        y = (place - 0.5 * (count - 1)) * SPACING_M + float(b.rng.uniform(-0.01, 0.01))
        b.object(str(category), x, y, table_height, "table")
