# SPDX-License-Identifier: Apache-2.0
"""An apartment of five rooms, 9.0 x 8.4 m: living room, kitchen, hall, bedroom, study.

The seed moves doors and furniture, and draws colours, clutter, friction and light. Doors are 1.0 m wide.
"""

import numpy as np

from axon_sim import textures
from axon_sim.worlds import furniture as fur
from axon_sim.worlds.builder import SceneBuilder, World

WIDTH_M, DEPTH_M = 9.0, 8.4
HALL_Y_M = (4.0, 5.3)
DOOR_M = 1.0
DOOR_HEIGHT_M = 2.05
QUARTER = 0.5 * np.pi
# Each category once, along the edge that the robot can reach.
COFFEE_TABLE_OBJECTS = ("bottle", "box", "mug")
DINING_TABLE_OBJECTS = ("ball", "banana", "can", "cup")


def make_apartment(seed: int) -> World:
    """Return the apartment of this seed."""
    b = SceneBuilder("apartment", seed)
    center = (0.5 * WIDTH_M, 0.5 * DEPTH_M)
    _floors(b)
    doors = _walls(b)
    _living_room(b)
    _kitchen(b)
    _bedroom(b)
    _study(b)
    _hall(b)
    b.light(center, WIDTH_M)
    goals = {
        "living_room": (2.9, 3.0, 0.0),
        "kitchen": (6.2, 3.25, 0.0),
        "hall": (7.9, 4.65, 0.0),
        "bedroom": (doors["bedroom"], 6.0, QUARTER),
        "study": (doors["study"], 6.3, QUARTER),
        "coffee_table": (2.60, 1.75, np.pi),
        "dining_table": (6.75, 0.95, QUARTER),
    }
    return b.finish((0.6, 4.6, 0.0), goals, (-0.3, -0.3, WIDTH_M + 0.3, DEPTH_M + 0.3))


def _floors(b: SceneBuilder) -> None:
    tone = b.rng.uniform(0.85, 1.1)
    wood = tuple(float(v) for v in np.clip(np.array((0.72, 0.53, 0.35)) * tone, 0.0, 0.95))
    parquet = b.textured("parquet", textures.planks(b.rng, wood), repeat=(0.8, 0.8), uniform=True)
    tiled = b.textured("tiles", textures.tiles(b.rng), repeat=(0.42, 0.42), uniform=True, specular=0.3)
    carpet = b.textured("carpet", textures.fabric(b.rng, (0.60, 0.60, 0.62)), repeat=(1.0, 1.0), uniform=True)
    b.floor(parquet, (-0.05, -0.05, WIDTH_M + 0.05, DEPTH_M + 0.05))
    b.floor_patch((5.0, 0.0, WIDTH_M, HALL_Y_M[0]), tiled, 0.001)
    b.floor_patch((4.6, HALL_Y_M[1], WIDTH_M, DEPTH_M), carpet, 0.001)


def _walls(b: SceneBuilder) -> dict[str, float]:
    """Build the walls and return the place of each door along its wall."""
    hue = b.rng.uniform(-0.015, 0.015, 3)
    paint = b.textured("wall_paint", textures.plaster(b.rng, tuple(np.array((0.92, 0.91, 0.88)) + hue)), solid=True)
    accent = b.textured("wall_accent", textures.plaster(b.rng, tuple(b.rng.uniform(0.50, 0.78, 3))), solid=True)
    doors = {
        "living": float(b.rng.uniform(3.0, 3.6)),
        "kitchen": float(b.rng.uniform(6.9, 7.6)),
        "bedroom": float(b.rng.uniform(2.6, 3.3)),
        "study": float(b.rng.uniform(5.9, 6.4)),
    }
    part = b.fixed("wall")
    for start, stop in (((0, 0), (WIDTH_M, 0)), ((0, DEPTH_M), (WIDTH_M, DEPTH_M)), ((WIDTH_M, 0), (WIDTH_M, DEPTH_M))):
        b.wall(part, start, stop, paint)
    b.wall(part, (0, 0), (0, DEPTH_M), accent)
    _wall_with_doors(
        b, part, paint, along="x", at=HALL_Y_M[0], span=(0, WIDTH_M), doors=(doors["living"], doors["kitchen"])
    )
    _wall_with_doors(
        b, part, paint, along="x", at=HALL_Y_M[1], span=(0, WIDTH_M), doors=(doors["bedroom"], doors["study"])
    )
    _wall_with_doors(
        b,
        part,
        paint,
        along="y",
        at=5.0,
        span=(0.1, HALL_Y_M[0] - 0.1),
        doors=(float(b.rng.uniform(2.1, 2.5)),),
        width=1.4,
    )
    b.wall(part, (4.6, HALL_Y_M[1] + 0.1), (4.6, DEPTH_M - 0.1), paint)
    return doors


def _wall_with_doors(b, part, material, *, along, at, span, doors, width=DOOR_M) -> None:
    edges = [span[0], *(edge for door in doors for edge in (door - 0.5 * width, door + 0.5 * width)), span[1]]
    point = (lambda v: (v, at)) if along == "x" else (lambda v: (at, v))
    inset = 0.05  # b.wall rounds its ends up by half the thickness: keep the openings as wide as promised
    frame = b.material("door_frame", (0.96, 0.95, 0.93))
    for index in range(0, len(edges), 2):
        start = edges[index] + (inset if index > 0 else 0.0)
        stop = edges[index + 1] - (inset if index + 2 < len(edges) else 0.0)
        b.wall(part, point(start), point(stop), material)
    for door in doors:
        start, stop = door - 0.5 * width + inset, door + 0.5 * width - inset
        b.wall(part, point(start), point(stop), material, z=DOOR_HEIGHT_M, height=2.5 - DOOR_HEIGHT_M)
        for edge in (start - 0.02, stop + 0.02):
            size = (0.06, 0.13, DOOR_HEIGHT_M) if along == "x" else (0.13, 0.06, DOOR_HEIGHT_M)
            part.box(size, (*point(edge), 0.0), frame, solid=False)


def _jitter(b: SceneBuilder, scale_m: float = 0.06) -> float:
    return float(b.rng.uniform(-scale_m, scale_m))


def _living_room(b: SceneBuilder) -> None:
    colors = b.rng.uniform(0.25, 0.75, 3), b.rng.uniform(0.75, 0.95, 3)
    look = b.textured("rug_living", textures.rug(b.rng, tuple(colors[0]), tuple(colors[1])))
    b.floor_patch((0.75, 0.9, 2.75, 2.6), look, 0.004)
    y = 1.75 + _jitter(b, 0.1)
    fur.sofa(b, "sofa", 0.52, y, 0.0, length=1.9)
    fur.table(b, "coffee_table", 1.75 + _jitter(b), y, QUARTER, (0.95, 0.55, 0.45))
    fur.cabinet(b, "tv_board", 3.75 + _jitter(b, 0.2), 0.27, QUARTER, (0.42, 1.7, 0.45), doors=3)
    black = b.material("screen_black", (0.05, 0.05, 0.07), specular=0.6)
    b.fixed("tv", 3.75, 0.18).box((1.15, 0.04, 0.66), (0.0, 0.0, 0.52), black)
    fur.armchair(b, "armchair", 1.55 + _jitter(b), 0.58, QUARTER + _jitter(b, 0.3))
    fur.plant(b, "plant", 0.42, 3.5)
    fur.floor_lamp(b, "lamp", 0.4, 0.4)
    fur.shelf(b, "bookshelf", 4.78, 0.85 + _jitter(b, 0.1), np.pi, (0.30, 0.9, 1.9))
    fur.picture(b, 0.07, y, 0.0, 1.1, 0.7)
    for category, offset in zip(b.rng.permutation(COFFEE_TABLE_OBJECTS), (-0.28, 0.0, 0.28), strict=True):
        b.object(str(category), 1.89 + _jitter(b, 0.03), y + offset + _jitter(b, 0.02), 0.45, "coffee_table")


def _kitchen(b: SceneBuilder) -> None:
    fur.kitchen_counter(b, "kitchen_counter", 8.63, 1.75, np.pi, 2.6)
    fur.fridge(b, "fridge", 8.6, 3.55, np.pi)
    x, y = 6.75 + _jitter(b, 0.05), 1.85 + _jitter(b, 0.05)
    fur.table(b, "dining_table", x, y, 0.0, (1.3, 0.8, 0.74))
    for dx in (-0.36, 0.36):
        fur.chair(b, "chair", x + dx + _jitter(b), y + 0.62, -QUARTER + _jitter(b, 0.2))
    fur.chair(b, "chair", x - 0.82 + _jitter(b, 0.02), y + 0.05, _jitter(b, 0.1))
    fur.cabinet(b, "sideboard", 6.8 + _jitter(b, 0.2), 0.27, QUARTER, (0.40, 1.4, 0.85), doors=3)
    fur.plant(b, "plant", 5.4, 0.4, 0.8)
    fur.picture(b, 6.8, 0.07, QUARTER, 0.9, 0.6)
    for category, offset in zip(b.rng.permutation(DINING_TABLE_OBJECTS), (-0.42, -0.14, 0.14, 0.42), strict=True):
        b.object(str(category), x + offset + _jitter(b, 0.02), y - 0.26 + _jitter(b, 0.03), 0.74, "dining_table")


def _bedroom(b: SceneBuilder) -> None:
    colors = b.rng.uniform(0.4, 0.8, 3), b.rng.uniform(0.8, 0.95, 3)
    look = b.textured("rug_bedroom", textures.rug(b.rng, tuple(colors[0]), tuple(colors[1])))
    b.floor_patch((1.0, 5.9, 3.2, 7.6), look, 0.004)
    y = 7.0 + _jitter(b, 0.08)
    fur.bed(b, "bed", 1.12, y, 0.0)
    fur.cabinet(b, "nightstand", 0.28, y - 1.05, 0.0, (0.40, 0.42, 0.50), doors=1)
    fur.cabinet(b, "wardrobe", 3.4 + _jitter(b, 0.15), 8.02, -QUARTER, (0.58, 1.6, 2.0), doors=3)
    fur.plant(b, "plant", 4.2, 5.75, 1.0)
    fur.picture(b, 0.07, y, 0.0, 0.9, 0.6)


def _study(b: SceneBuilder) -> None:
    x = 7.6 + _jitter(b, 0.2)
    fur.desk(b, "desk", x, 7.98, -QUARTER)
    fur.chair(b, "office_chair", x + 0.1, 7.45 + _jitter(b), QUARTER + _jitter(b, 0.4))
    fur.shelf(b, "bookshelf", 4.82, 6.6 + _jitter(b, 0.2), 0.0, (0.30, 1.1, 2.0))
    fur.shelf(b, "bookshelf", 5.6 + _jitter(b), 8.18, -QUARTER, (0.30, 0.9, 1.5))
    fur.armchair(b, "armchair", 8.45, 6.2 + _jitter(b), np.pi + _jitter(b, 0.3))
    for _ in range(int(b.rng.integers(1, 4))):
        edge = float(b.rng.uniform(0.25, 0.4))
        fur.carton(
            b,
            "carton",
            float(b.rng.uniform(7.3, 8.1)),
            float(b.rng.uniform(5.65, 5.8)),
            _jitter(b, 0.6),
            (edge, 0.8 * edge, float(b.rng.uniform(0.28, 0.4))),
        )
    fur.picture(b, 8.93, 7.2, np.pi, 0.8, 0.6)


def _hall(b: SceneBuilder) -> None:
    fur.cabinet(b, "shoe_cabinet", 1.6 + _jitter(b, 0.2), 5.13, -QUARTER, (0.24, 0.9, 0.85), doors=2)
    fur.plant(b, "plant", 8.65, 5.0, 1.1)
    fur.picture(b, 4.9, 4.07, QUARTER, 0.7, 0.5)
    fur.picture(b, 1.5, 5.23, -QUARTER, 0.7, 0.5)
