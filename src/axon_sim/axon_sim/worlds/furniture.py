# SPDX-License-Identifier: Apache-2.0
"""Furniture of simple shapes. Every function places one piece at (x, y, yaw), its front towards its own +x.

Tables, beds and chairs have a shelf, plinth or stretcher at the height of the lidar (0.225 m), so that what the robot's
body cannot pass is also seen by a robot that senses in one plane.
"""

import numpy as np

from axon_sim import textures
from axon_sim.worlds.builder import SceneBuilder

Rgb = tuple[float, float, float]
LIDAR_BAND_M = (0.19, 0.07)  # underside and height of a stretcher that the lidar meets also when the base pitches
FABRICS: tuple[Rgb, ...] = (
    (0.33, 0.45, 0.50),
    (0.62, 0.40, 0.32),
    (0.42, 0.47, 0.36),
    (0.52, 0.50, 0.56),
    (0.70, 0.62, 0.50),
)
WOODS: tuple[Rgb, ...] = ((0.62, 0.43, 0.27), (0.74, 0.58, 0.40), (0.42, 0.29, 0.20), (0.80, 0.70, 0.56))


def pick_wood(b: SceneBuilder) -> str:
    """Return a wood material chosen by the world's seed."""
    index = int(b.rng.integers(len(WOODS)))
    return b.textured(f"wood_{index}", textures.wood(b.rng, WOODS[index]), solid=True)


def pick_fabric(b: SceneBuilder) -> str:
    """Return a cloth material chosen by the world's seed."""
    index = int(b.rng.integers(len(FABRICS)))
    return b.textured(f"fabric_{index}", textures.fabric(b.rng, FABRICS[index]), solid=True)


def table(b: SceneBuilder, name: str, x: float, y: float, yaw: float, size: tuple[float, float, float]) -> None:
    """A table of length, width, height with a low shelf between its legs."""
    length, width, height = size
    wood, metal = pick_wood(b), b.material("table_metal", (0.22, 0.22, 0.24))
    part = b.fixed(name, x, y, yaw)
    part.box((length, width, 0.035), (0.0, 0.0, height - 0.035), wood)
    for sx in (-1, 1):
        for sy in (-1, 1):
            part.box(
                (0.05, 0.05, height - 0.035), (sx * (0.5 * length - 0.045), sy * (0.5 * width - 0.045), 0.0), metal
            )
    part.box((length - 0.05, width - 0.05, LIDAR_BAND_M[1]), (0.0, 0.0, LIDAR_BAND_M[0]), wood)


def chair(b: SceneBuilder, name: str, x: float, y: float, yaw: float) -> None:
    """A chair whose legs stand closer than the robot is wide."""
    wood, fabric = pick_wood(b), pick_fabric(b)
    part = b.fixed(name, x, y, yaw)
    for sx in (-1, 1):
        for sy in (-1, 1):
            part.box((0.035, 0.035, 0.43), (sx * 0.175, sy * 0.175, 0.0), wood)
    part.box((0.38, 0.38, 0.03), (0.0, 0.0, LIDAR_BAND_M[0] + 0.02), wood)
    part.box((0.40, 0.40, 0.045), (0.0, 0.0, 0.43), fabric)
    for sy in (-1, 1):
        part.box((0.03, 0.035, 0.45), (-0.18, sy * 0.165, 0.475), wood)
    part.box((0.025, 0.36, 0.20), (-0.18, 0.0, 0.70), fabric)


def sofa(b: SceneBuilder, name: str, x: float, y: float, yaw: float, length: float = 1.9) -> None:
    """A sofa with two seat cushions and pillows; its back is at -x."""
    fabric, wood = pick_fabric(b), pick_wood(b)
    part = b.fixed(name, x, y, yaw)
    part.box((0.85, length, 0.05), (0.0, 0.0, 0.05), wood)
    part.box((0.85, length, 0.20), (0.0, 0.0, 0.10), fabric)
    part.box((0.20, length, 0.55), (-0.325, 0.0, 0.30), fabric)
    for side in (-1, 1):
        part.box((0.85, 0.16, 0.34), (0.0, side * (0.5 * length - 0.08), 0.28), fabric)
        part.box((0.60, 0.5 * length - 0.18, 0.13), (0.10, side * (0.25 * length - 0.085), 0.305), fabric)
        cushion = b.material(f"cushion_{side}", b.rng.uniform(0.35, 0.95, 3).tolist())
        part.ellipsoid((0.07, 0.20, 0.17), (-0.16, side * (0.5 * length - 0.42), 0.43), cushion)


def armchair(b: SceneBuilder, name: str, x: float, y: float, yaw: float) -> None:
    """A sofa for one."""
    fabric = pick_fabric(b)
    part = b.fixed(name, x, y, yaw)
    part.box((0.75, 0.78, 0.28), (0.0, 0.0, 0.05), fabric)
    part.box((0.55, 0.50, 0.12), (0.08, 0.0, 0.33), fabric)
    part.box((0.18, 0.78, 0.50), (-0.285, 0.0, 0.33), fabric)
    for side in (-1, 1):
        part.box((0.72, 0.14, 0.26), (0.0, side * 0.32, 0.33), fabric)


def shelf(b: SceneBuilder, name: str, x: float, y: float, yaw: float, size: tuple[float, float, float]) -> None:
    """A bookshelf of depth, width, height, filled with books; its back is at -x."""
    depth, width, height = size
    wood, dark = pick_wood(b), b.material("shelf_back", (0.30, 0.27, 0.25))
    part = b.fixed(name, x, y, yaw)
    part.box((0.02, width, height), (-0.5 * depth + 0.01, 0.0, 0.0), dark)
    part.box((depth, width, 0.28), (0.0, 0.0, 0.0), wood)
    for side in (-1, 1):
        part.box((depth, 0.025, height), (0.0, side * (0.5 * width - 0.0125), 0.0), wood)
    levels = np.arange(0.28, height - 0.2, 0.36)
    for level in levels:
        part.box((depth, width - 0.05, 0.022), (0.0, 0.0, level), wood)
        books = b.textured(b.unique("books"), textures.books(b.rng))
        part.panel(width - 0.06, 0.25, (0.5 * depth - 0.06, 0.0, level + 0.022 + 0.125), books, 0.0)
        part.box((depth - 0.09, width - 0.06, 0.24), (-0.03, 0.0, level + 0.022), dark, solid=False)
    part.box((depth, width, 0.022), (0.0, 0.0, height - 0.022), wood)


def cabinet(
    b: SceneBuilder, name: str, x: float, y: float, yaw: float, size: tuple[float, float, float], doors: int = 2
) -> None:
    """A closed cabinet of depth, width, height with doors and handles at +x."""
    depth, width, height = size
    wood, metal = pick_wood(b), b.material("handle", (0.7, 0.7, 0.72), specular=0.6)
    part = b.fixed(name, x, y, yaw)
    part.box(size, (0.0, 0.0, 0.0), wood)
    for index in range(doors):
        center = (index + 0.5) * width / doors - 0.5 * width
        part.box((0.012, width / doors - 0.015, height - 0.08), (0.5 * depth + 0.006, center, 0.05), wood, solid=False)
        part.box(
            (0.02, 0.015, 0.12), (0.5 * depth + 0.02, center + 0.35 * width / doors, 0.55 * height), metal, solid=False
        )


def kitchen_counter(b: SceneBuilder, name: str, x: float, y: float, yaw: float, length: float) -> None:
    """A kitchen counter 0.9 m high with a sink, a hob and hanging cupboards; its back is at -x."""
    front, metal = b.material("kitchen_front", (0.90, 0.91, 0.90), specular=0.4), b.material("handle", (0.7, 0.7, 0.72))
    stone = b.textured("worktop", textures.plaster(b.rng, (0.27, 0.28, 0.30)), solid=True, specular=0.5)
    black = b.material("glass_black", (0.04, 0.04, 0.05), specular=0.9, shininess=0.9)
    part = b.fixed(name, x, y, yaw)
    part.box((0.60, length, 0.87), (0.0, 0.0, 0.0), front)
    part.box((0.63, length, 0.035), (0.005, 0.0, 0.87), stone)
    part.box((0.36, length, 0.60), (-0.12, 0.0, 1.45), front)
    part.box((0.45, 0.50, 0.006), (0.02, 0.25 * length, 0.905), black, solid=False)
    part.box((0.38, 0.45, 0.004), (0.02, -0.25 * length, 0.905), metal, solid=False)
    part.cylinder(0.012, 0.22, (-0.2, -0.25 * length, 0.905), metal, solid=False)
    count = max(round(length / 0.6), 1)
    for index in range(count):
        center = (index + 0.5) * length / count - 0.5 * length
        for z, depth in ((0.80, 0.305), (1.50, 0.065)):
            part.box((0.02, 0.22, 0.012), (depth, center, z), metal, solid=False)
        part.box((0.004, 0.008, 0.84), (0.30, center + 0.5 * length / count, 0.02), black, solid=False)


def fridge(b: SceneBuilder, name: str, x: float, y: float, yaw: float) -> None:
    """A tall fridge."""
    steel, dark = b.material("steel", (0.72, 0.74, 0.76), specular=0.7), b.material("handle", (0.7, 0.7, 0.72))
    part = b.fixed(name, x, y, yaw)
    part.box((0.62, 0.62, 1.75), (0.0, 0.0, 0.0), steel)
    part.box((0.004, 0.60, 0.012), (0.311, 0.0, 0.62), dark, solid=False)
    part.box((0.03, 0.02, 0.45), (0.33, 0.25, 0.85), dark, solid=False)


def bed(b: SceneBuilder, name: str, x: float, y: float, yaw: float) -> None:
    """A double bed, its head at -x."""
    wood, cover = pick_wood(b), pick_fabric(b)
    linen = b.material("linen", (0.94, 0.93, 0.90))
    part = b.fixed(name, x, y, yaw)
    part.box((2.05, 1.50, 0.28), (0.0, 0.0, 0.02), wood)
    part.box((0.06, 1.54, 0.90), (-1.02, 0.0, 0.0), wood)
    part.box((1.95, 1.42, 0.20), (0.02, 0.0, 0.30), linen)
    part.box((1.30, 1.47, 0.05), (0.36, 0.0, 0.465), cover, solid=False)
    for side in (-1, 1):
        part.ellipsoid((0.22, 0.32, 0.09), (-0.70, side * 0.36, 0.48), linen)


def desk(b: SceneBuilder, name: str, x: float, y: float, yaw: float) -> None:
    """A desk with closed sides, a screen and a keyboard; the wall side is at -x."""
    wood, dark = pick_wood(b), b.material("screen_black", (0.05, 0.05, 0.07), specular=0.6)
    part = b.fixed(name, x, y, yaw)
    part.box((0.65, 1.30, 0.03), (0.0, 0.0, 0.71), wood)
    part.box((0.62, 0.03, 0.71), (0.0, -0.62, 0.0), wood)
    part.box((0.60, 0.40, 0.71), (0.0, 0.43, 0.0), wood)
    part.box((0.02, 1.24, 0.50), (-0.29, 0.0, 0.20), wood)
    part.box((0.16, 0.20, 0.012), (-0.18, 0.0, 0.74), dark)
    part.box((0.025, 0.58, 0.34), (-0.20, 0.0, 0.84), dark)
    part.box((0.13, 0.42, 0.018), (0.08, 0.0, 0.74), dark, solid=False)


def plant(b: SceneBuilder, name: str, x: float, y: float, height: float = 0.9) -> None:
    """A potted plant."""
    pot = b.material("terracotta", (0.72, 0.39, 0.26))
    stem = b.material("stem", (0.30, 0.24, 0.14))
    part = b.fixed(name, x, y, float(b.rng.uniform(0.0, 6.28)))
    part.cylinder(0.16, 0.32, (0.0, 0.0, 0.0), pot)
    part.cylinder(0.02, height - 0.32, (0.0, 0.0, 0.32), stem)
    for index in range(7):
        angle, radius = 2.4 * index, 0.06 + 0.02 * index
        leaf = b.material(f"leaf_{index % 3}", (0.16 + 0.05 * (index % 3), 0.45 + 0.06 * (index % 3), 0.20))
        at = (radius * np.cos(angle), radius * np.sin(angle), 0.36 + (height - 0.40) * index / 7.0)
        part.ellipsoid((0.13, 0.13, 0.11), at, leaf)


def floor_lamp(b: SceneBuilder, name: str, x: float, y: float) -> None:
    """A lamp on a pole with a heavy foot that the lidar meets."""
    metal, shade = (
        b.material("lamp_metal", (0.25, 0.24, 0.23)),
        b.material("lamp_shade", (0.98, 0.92, 0.76), emission=0.5),
    )
    part = b.fixed(name, x, y)
    part.cylinder(0.15, 0.03, (0.0, 0.0, 0.0), metal)
    part.cylinder(0.03, 1.35, (0.0, 0.0, 0.03), metal)
    part.cylinder(0.18, 0.28, (0.0, 0.0, 1.35), shade)


def carton(
    b: SceneBuilder, name: str, x: float, y: float, yaw: float, size: tuple[float, float, float], z: float = 0.0
) -> None:
    """A cardboard box."""
    look = b.textured("cardboard", textures.cardboard(b.rng), solid=True)
    b.fixed(name, x, y, yaw, z).box(size, (0.0, 0.0, 0.0), look)


def picture(b: SceneBuilder, x: float, y: float, facing_yaw: float, width: float = 0.7, height: float = 0.5) -> None:
    """A framed picture on a wall, its centre 1.5 m up."""
    part = b.fixed("picture", x, y)
    part.panel(width, height, (0.0, 0.0, 1.5), b.textured(b.unique("painting"), textures.painting(b.rng)), facing_yaw)
