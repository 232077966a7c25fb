# SPDX-License-Identifier: Apache-2.0
"""A warehouse hall, 14 x 10 m: rows of racks with pallets, aisles, a packing table, a dock.

The seed decides the width of the aisles, the load of the racks, and what stands about.
"""

import itertools

import numpy as np

from axon_sim import textures
from axon_sim.worlds import furniture as fur
from axon_sim.worlds.builder import SceneBuilder, World

LENGTH_M, DEPTH_M = 14.0, 10.0
RACK_DEPTH_M, BAY_M, LEVELS_M = 0.9, 2.0, (0.12, 1.35, 2.45)
RACK_X_M = 3.6
BAYS = 4
QUARTER = 0.5 * np.pi


def make_warehouse(seed: int) -> World:
    """Return the warehouse of this seed."""
    b = SceneBuilder("warehouse", seed)
    concrete = b.textured("concrete", textures.concrete(b.rng), repeat=(0.25, 0.25), uniform=True, specular=0.3)
    b.floor(concrete, (0.0, 0.0, LENGTH_M, DEPTH_M))
    _hall(b)
    aisle = float(b.rng.uniform(1.7, 2.1))
    rows = [1.0, 1.0 + RACK_DEPTH_M + aisle, 1.0 + 2.0 * (RACK_DEPTH_M + aisle)]
    for y in rows:
        _rack(b, y)
    aisles = [0.5 * (low + high) for low, high in itertools.pairwise(rows)]
    for y in aisles:
        _marking(b, y)
    _packing(b)
    b.light((0.5 * LENGTH_M, 0.5 * DEPTH_M), LENGTH_M)
    x_end = RACK_X_M + BAYS * BAY_M
    goals = {
        "aisle_1": (RACK_X_M + 0.5 * BAYS * BAY_M, aisles[0], 0.0),
        "far_end": (x_end + 1.1, 0.5 * (aisles[0] + aisles[1]), QUARTER),
        "aisle_2": (RACK_X_M + 0.5 * BAYS * BAY_M, aisles[1], np.pi),
        "packing": (1.55, 8.2, np.pi),
        "dock": (1.6, 1.4, np.pi),
    }
    return b.finish((1.6, 1.4, 0.0), goals, (-0.3, -0.3, LENGTH_M + 0.3, DEPTH_M + 0.3))


def _hall(b: SceneBuilder) -> None:
    paint = b.textured("hall_wall", textures.plaster(b.rng, (0.80, 0.82, 0.83)), solid=True)
    band = b.material("hall_band", (0.20, 0.36, 0.55))
    wall = b.fixed("wall")
    for start, stop in (
        ((0, 0), (LENGTH_M, 0)),
        ((0, DEPTH_M), (LENGTH_M, DEPTH_M)),
        ((0, 0), (0, DEPTH_M)),
        ((LENGTH_M, 0), (LENGTH_M, DEPTH_M)),
    ):
        b.wall(wall, start, stop, paint, height=2.8)
        b.wall(wall, start, stop, band, height=0.5, z=0.0, thickness=0.11)
    gate = b.material("gate", (0.72, 0.74, 0.76), specular=0.3)
    part = b.fixed("gate", 0.06, 1.6)
    for row in range(7):
        part.box((0.03, 2.0, 0.32), (0.0, 0.0, 0.34 * row), gate, solid=False)


def _rack(b: SceneBuilder, y: float) -> None:
    """A row of bays along x, its middle at y; bottom level always filled, so that nobody drives beneath."""
    blue, orange = b.material("rack_blue", (0.12, 0.27, 0.55)), b.material("rack_orange", (0.92, 0.42, 0.08))
    part = b.fixed("rack")
    top = LEVELS_M[-1] + 0.25
    for bay in range(BAYS + 1):
        for side in (-1, 1):
            part.box((0.08, 0.08, top), (RACK_X_M + bay * BAY_M, y + side * 0.5 * (RACK_DEPTH_M - 0.08), 0.0), blue)
    for bay in range(BAYS):
        center = RACK_X_M + (bay + 0.5) * BAY_M
        for level, z in enumerate(LEVELS_M):
            if level > 0:
                for side in (-1, 1):
                    part.box((BAY_M, 0.05, 0.11), (center, y + side * 0.5 * (RACK_DEPTH_M - 0.05), z - 0.11), orange)
            if level == 0 or b.rng.random() < 0.75:
                _pallet(b, center - 0.48, y, z if level else 0.0)
                _pallet(b, center + 0.48, y, z if level else 0.0)


def _pallet(b: SceneBuilder, x: float, y: float, z: float) -> None:
    wood = b.textured("pallet_wood", textures.wood(b.rng, (0.72, 0.58, 0.40)), solid=True)
    part = b.fixed("pallet", x, y, float(b.rng.uniform(-0.03, 0.03)), z)
    part.box((0.86, 0.80, 0.14), (0.0, 0.0, 0.0), wood)
    _load(b, part)


def _load(b: SceneBuilder, part) -> None:
    cartons = b.textured("cardboard", textures.cardboard(b.rng), solid=True)
    wrap = b.material(f"drum_{int(b.rng.integers(3))}", b.rng.uniform(0.15, 0.75, 3).tolist(), specular=0.5)
    kind = b.rng.random()
    if kind < 0.45:
        part.box((0.80, 0.74, float(b.rng.uniform(0.45, 0.85))), (0.0, 0.0, 0.14), cartons)
    elif kind < 0.75:
        for dx in (-0.2, 0.2):
            part.box((0.38, 0.70, float(b.rng.uniform(0.35, 0.85))), (dx, 0.0, 0.14), cartons)
    else:
        for dx in (-0.21, 0.21):
            for dy in (-0.19, 0.19):
                part.cylinder(0.18, 0.62, (dx, dy, 0.14), wrap)


def _marking(b: SceneBuilder, y: float) -> None:
    yellow = b.material("marking", (0.95, 0.78, 0.10))
    for side in (-0.55, 0.55):
        b.floor_patch((RACK_X_M, y + side - 0.03, RACK_X_M + BAYS * BAY_M, y + side + 0.03), yellow, 0.003)


def _packing(b: SceneBuilder) -> None:
    fur.table(b, "packing_table", 0.75, 8.2, QUARTER, (1.8, 0.75, 0.72))
    b.object("box", 0.95, 8.4, 0.72, "packing_table")
    b.object("can", 0.98, 8.05, 0.72, "packing_table")
    for _ in range(int(b.rng.integers(2, 5))):
        edge = float(b.rng.uniform(0.30, 0.5))
        fur.carton(
            b,
            "carton",
            float(b.rng.uniform(0.5, 1.6)),
            float(b.rng.uniform(5.3, 6.3)),
            float(b.rng.uniform(-0.7, 0.7)),
            (edge, 0.8 * edge, float(b.rng.uniform(0.3, 0.5))),
        )
    hazard = b.textured("hazard", textures.stripes((0.95, 0.78, 0.10), (0.08, 0.08, 0.08)), solid=True)
    for y in (0.35, 2.85):
        b.fixed("bollard", 0.5, y).box((0.16, 0.16, 0.9), (0.0, 0.0, 0.0), hazard)
