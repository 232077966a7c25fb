# SPDX-License-Identifier: Apache-2.0
"""Worlds of the BARN benchmark as a scene: a paved field of posts between walls of posts."""

import os
from pathlib import Path

import numpy as np

from axon_sim import barn, textures
from axon_sim.worlds.builder import SceneBuilder, World

POST_HEIGHT_M = 1.0
MARGIN_M = 1.5
DATA_VARIABLE = "AXON_BARN_DIR"


def find_barn_dir(data_dir: str | None) -> Path:
    """Return the folder of the BARN worlds: as given, from the environment, or shared/data/barn beside the checkout."""
    if data_dir:
        return Path(data_dir)
    if os.environ.get(DATA_VARIABLE):
        return Path(os.environ[DATA_VARIABLE])
    for parent in Path(__file__).resolve().parents:
        if (folder := parent / "shared" / "data" / "barn").is_dir():
            return folder
    raise ValueError(
        f"barn worlds: no folder given; set the parameter data_dir or {DATA_VARIABLE}, or use barn-like:SEED"
    )


def make_barn_field(name: str, field: barn.BarnWorld, seed: int) -> World:
    """Return a BARN world in Gazebo's frame; the goal's heading is that from the start."""
    b = SceneBuilder("barn", seed)
    points = np.concatenate([field.cylinders_m, [field.start[:2], field.goal], field.walls_m.reshape(-1, 2)])
    low, high = points.min(axis=0) - MARGIN_M, points.max(axis=0) + MARGIN_M
    bounds = (*low, *high)
    paving = b.textured("paving", textures.tiles(b.rng, (0.66, 0.66, 0.64)), repeat=(0.25, 0.25), uniform=True)
    b.floor(paving, bounds)
    _posts(b, field)
    b.light(tuple(0.5 * (low + high)), float((high - low).max()))
    ahead = np.asarray(field.goal) - field.start[:2]
    goal = (*field.goal, float(np.arctan2(ahead[1], ahead[0])))
    world = b.finish(field.start, {"goal": goal}, bounds)
    return World(name, seed, world.spec, world.start, world.goals, world.bounds_m)


def _posts(b: SceneBuilder, field: barn.BarnWorld) -> None:
    look = b.material("post", (0.80, 0.42, 0.20), specular=0.2)
    plaster = b.material("plaster", (0.85, 0.84, 0.80))
    posts = b.fixed("post")
    for x, y in field.cylinders_m:
        posts.cylinder(field.radius_m, POST_HEIGHT_M, (x, y, 0.0), look)
    walls = b.fixed("wall")
    for x0, y0, x1, y1 in field.walls_m:
        b.wall(walls, (x0, y0), (x1, y1), plaster, height=POST_HEIGHT_M, thickness=0.02)
