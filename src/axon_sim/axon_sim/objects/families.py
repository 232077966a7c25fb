# SPDX-License-Identifier: Apache-2.0
"""The families of household objects: each draws one member's shape, look, mass and collision shapes from a generator.

A member stands on z = 0 in its usual rest pose; library.py moves its origin to the middle of its bounding box.
Densities are those of the materials, hollow things being hollow; filled ones are lighter where they may be part empty.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from axon_sim.objects import looks
from axon_sim.objects.meshes import LABEL, LABEL_SHARE, Mesh, box, extrude, lathe, merge, tube

Rng = np.random.Generator
BOX, CYLINDER = mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_CYLINDER
SPHERE, CAPSULE = mujoco.mjtGeom.mjGEOM_SPHERE, mujoco.mjtGeom.mjGEOM_CAPSULE
WALL_SECTORS = 12


@dataclass(frozen=True)
class Solid:
    """A collision shape: MuJoCo's type and half sizes, its centre (3,) and its rotation (3, 3) in the object."""

    kind: "mujoco.mjtGeom"
    size: tuple[float, ...]
    center_m: np.ndarray
    rotation: np.ndarray


@dataclass(frozen=True)
class Member:
    """One member of a family; `grasp_width_m` is what two fingers span at its easiest place."""

    mesh: Mesh
    image: np.ndarray
    density_kgpm3: float
    solids: tuple[Solid, ...]
    grasp_width_m: float
    specular: float = 0.2
    shininess: float = 0.4
    rolling_friction: float = 0.002


def mug(rng: Rng) -> Member:
    """A mug with a handle."""
    radius, height, wall = rng.uniform(0.035, 0.043), rng.uniform(0.078, 0.11), rng.uniform(0.0035, 0.005)
    foot, belly = radius * rng.uniform(0.75, 1.0), radius * rng.uniform(0.97, 1.05)
    outer = [(foot, 0.0), (0.5 * (foot + belly) + 0.001, 0.12 * height), (belly, 0.5 * height), (radius, height)]
    mesh, solids = _vessel(outer, wall)
    reach, size, rod = rng.uniform(0.020, 0.030), rng.uniform(0.24, 0.33) * height, rng.uniform(0.004, 0.0055)
    turn = np.linspace(0.5 * np.pi, -0.5 * np.pi, 9)
    squareness = rng.uniform(0.55, 1.0)
    path = np.zeros((11, 3))
    path[1:-1, 0] = radius + reach * np.cos(turn) ** squareness
    path[1:-1, 2] = 0.52 * height + size * np.sin(turn)
    path[[0, -1]] = path[[1, -2]]
    path[[0, -1], 0] = min(radius, belly) - 0.6 * wall
    handle = tube(path, [rod] * len(path), 2, flat=rng.uniform(1.0, 1.5))
    body = looks.glaze(rng)
    inside = looks.glaze(rng) if rng.random() < 0.4 else body
    image = looks.atlas(looks.crockery(rng, body), [inside, body, body if rng.random() < 0.7 else inside])
    solids += _capsules(path[::2], [rod] * len(path[::2]))
    return Member(merge([mesh, handle]), image, rng.uniform(2100.0, 2500.0), solids, 2 * rod, 0.25, 0.5)


def cup(rng: Rng) -> Member:
    """A tumbler without a handle: paper, plastic or metal."""
    radius, height = rng.uniform(0.032, 0.042), rng.uniform(0.075, 0.125)
    outer = [(radius * rng.uniform(0.66, 0.88), 0.0), (radius, height)]
    wall = rng.uniform(0.0015, 0.0028)
    mesh, solids = _vessel(outer, wall)
    body = looks.color(rng)
    label = looks.packaging(rng, body) if rng.random() < 0.5 else looks.crockery(rng, body)
    inside = np.full(3, 240.0) if rng.random() < 0.5 else 0.8 * body
    return Member(mesh, looks.atlas(label, [inside, body]), rng.uniform(850.0, 1400.0), solids, 2 * radius)


def bowl(rng: Rng) -> Member:
    """A bowl, shallow to deep."""
    radius, height, foot = rng.uniform(0.055, 0.085), rng.uniform(0.04, 0.07), rng.uniform(0.40, 0.55)
    turn = np.linspace(0.12, 1.0, 7) * 0.5 * np.pi
    power = rng.uniform(0.75, 1.1)
    curve = [(max(foot * radius, radius * np.sin(t) ** power), height * (1.0 - np.cos(t) ** 1.1)) for t in turn[1:]]
    outer = [(foot * radius, 0.0), *curve]
    wall = rng.uniform(0.003, 0.0045)
    mesh, solids = _vessel(outer, wall)
    body = looks.glaze(rng)
    inside = looks.glaze(rng) if rng.random() < 0.5 else body
    density = float(rng.choice([750.0, 1050.0, 2350.0])) * rng.uniform(0.95, 1.05)
    return Member(mesh, looks.atlas(looks.crockery(rng, body), [inside, body]), density, solids, wall, 0.2, 0.5)


def plate(rng: Rng) -> Member:
    """A plate with a flat middle and a rising rim."""
    radius, height, wall = rng.uniform(0.085, 0.13), rng.uniform(0.016, 0.028), rng.uniform(0.004, 0.006)
    flat = radius * rng.uniform(0.55, 0.75)
    outer = [(flat, 0.0), (0.5 * (flat + radius), 0.35 * height), (radius, height)]
    body = looks.glaze(rng)
    rim = looks.contrast(rng, body) if rng.random() < 0.35 else body
    inner = _inner(outer, wall)
    brim = (0.93 * inner[0][0], wall)  # keeps the middle flat to the eye
    profile = [(0.0, 0.0), *outer, *inner[::-1], brim, (0.0, wall)]
    mesh = lathe(profile, [1, 1, 1, 2, *[LABEL] * (len(inner) - 1), 0, 0], sides=40)
    label = looks.crockery(rng, body) if rng.random() < 0.4 else looks.plain(rim)
    middle = looks.contrast(rng, body) if rng.random() < 0.15 else body
    image = looks.atlas(label, [middle, body, rim])
    solids = _vessel_solids(outer[:1] + outer[-1:], wall)
    return Member(mesh, image, rng.uniform(2200.0, 2450.0), solids, height, 0.12, 0.4)


def bottle(rng: Rng) -> Member:
    """A bottle with shoulder, neck, cap and a label round its body; part filled."""
    radius, height = rng.uniform(0.028, 0.040), rng.uniform(0.17, 0.27)
    neck, cap = radius * rng.uniform(0.33, 0.48), rng.uniform(0.012, 0.022)
    shoulder, mid = height * rng.uniform(0.52, 0.68), height * rng.uniform(0.76, 0.84)
    low, high = 0.12 * height, shoulder * rng.uniform(0.82, 0.97)
    waist = radius * rng.uniform(0.90, 1.0)
    bulge = np.linspace(0.0, 1.0, 6)[1:]
    slope = [(neck + (radius - neck) * (0.5 + 0.5 * np.cos(np.pi * s)), shoulder + s * (mid - shoulder)) for s in bulge]
    top = [(neck, height - cap), (neck + 0.003, height - cap + 0.0005), (neck + 0.0025, height), (0.0, height)]
    foot = [(0.0, 0.0), (0.86 * radius, 0.0), (radius, 0.02 * height), (radius, low)]
    label = [(waist, low + 0.004), (waist, high - 0.004)]
    mesh = lathe(
        [*foot, *label, (radius, high), (radius, shoulder), *slope, *top], [0] * 4 + [LABEL] + [0] * 8 + [1] * 3
    )
    glass, lid = looks.color(rng, (0.1, 0.9), (0.12, 0.85)), looks.color(rng)
    image = looks.atlas(looks.packaging(rng, looks.glaze(rng)), [glass, lid])
    middle = 0.5 * (shoulder + mid)
    solids = (
        _cylinder(radius, 0.0, shoulder),
        _cylinder(0.5 * (radius + neck), shoulder, middle),
        _cylinder(neck + 0.002, middle, height),
    )
    return Member(mesh, image, rng.uniform(300.0, 1000.0), solids, 2 * radius, rng.uniform(0.2, 0.45), 0.7)


def can(rng: Rng) -> Member:
    """A tin or drink can, full."""
    radius, height, lip = rng.uniform(0.026, 0.042), rng.uniform(0.07, 0.135), rng.uniform(0.0015, 0.004)
    inset = radius - lip
    side = [(radius, 0.003 + lip), (radius, height - 0.003 - lip)]
    top = [(inset, height), (inset - 0.002, height), (inset - 0.003, height - 0.003), (0.0, height - 0.003)]
    mesh = lathe(
        [(0.0, 0.002), (inset - 0.004, 0.002), (inset - 0.002, 0.0), (inset, 0.0), *side, *top],
        [0, 0, 0, 0, LABEL, 0, 0, 0, 0],
    )
    metal = np.array([192.0, 194.0, 198.0]) if rng.random() < 0.8 else np.array([196.0, 166.0, 84.0])
    image = looks.atlas(looks.packaging(rng, looks.color(rng)), [metal])
    solids = (_cylinder(radius, 0.0, height),)
    return Member(mesh, image, rng.uniform(920.0, 1080.0), solids, 2 * radius, 0.35, 0.6)


def carton(rng: Rng) -> Member:
    """A cardboard package, upright, thin enough to be gripped across."""
    size = np.array([rng.uniform(0.035, 0.078), rng.uniform(0.05, 0.13), rng.uniform(0.06, 0.19)])
    body = looks.color(rng)
    image = looks.atlas(looks.packaging(rng, body), [0.95 * body, looks.contrast(rng, body)])
    front, side = (0.0, 0.0, 0.5, 0.74), (0.55, 0.0, 0.92, 0.74)
    lid = 1 if rng.random() < 0.3 else 0
    mesh = box(size, [front, front, side, side, 0, lid]).moved((0.0, 0.0, 0.5 * size[2]))
    return Member(mesh, image, rng.uniform(120.0, 480.0), (_box(size),), float(size[0]), 0.15, 0.2)


def book(rng: Rng) -> Member:
    """A closed book that lies on its back: two covers, a spine, pages set in."""
    width, length, thick = rng.uniform(0.10, 0.16), rng.uniform(0.15, 0.23), rng.uniform(0.014, 0.045)
    board, inset = rng.uniform(0.0012, 0.003), 0.004
    page, ground = np.array([238.0, 230.0, 208.0]) * rng.uniform(0.92, 1.02), looks.cover(rng)
    front, spine = (0.0, 0.0, 0.745, LABEL_SHARE), (0.76, 0.0, 0.99, LABEL_SHARE)
    back = (0.68, 0.70, 0.72, 0.73)
    lid = box((width, length, board), [1, 1, 1, 1, 0, front]).moved((0.0, 0.0, thick - 0.5 * board))
    base = box((width, length, board), [1, 1, 1, 1, back, 0]).moved((0.0, 0.0, 0.5 * board))
    hinge = box((board, length, thick - 2 * board), [spine, 1, 1, 1, 1, 1]).moved(
        (0.5 * (board - width), 0, 0.5 * thick)
    )
    pages = box((width - inset - board, length - 2 * inset, thick - 2 * board), [0] * 6)
    block = pages.moved((0.5 * (board - inset), 0.0, 0.5 * thick))
    image = looks.atlas(ground, [page, ground[180, 170]])
    solids = (_box((width, length, thick)),)
    return Member(merge([lid, base, hinge, block]), image, rng.uniform(650.0, 850.0), solids, float(thick), 0.2, 0.3)


def ball(rng: Rng) -> Member:
    """A ball for play."""
    radius = rng.uniform(0.025, 0.042)
    turn = np.linspace(-0.5 * np.pi, 0.5 * np.pi, 19)
    profile = np.stack([radius * np.cos(turn), radius * (1.0 + np.sin(turn))], axis=1)
    mesh = lathe(profile, [LABEL] * 18, sides=36)
    solid = Solid(SPHERE, (radius, 0.0, 0.0), np.array([0.0, 0.0, radius]), np.eye(3))
    image = looks.atlas(looks.toy_ball(rng), [looks.color(rng)])
    return Member(mesh, image, rng.uniform(150.0, 420.0), (solid,), 2 * radius, 0.12, 0.3, rolling_friction=0.003)


def banana(rng: Rng) -> Member:
    """A banana that lies on its side."""
    length, radius, bend = rng.uniform(0.15, 0.20), rng.uniform(0.015, 0.020), rng.uniform(0.7, 1.3)
    along = np.linspace(-0.5, 0.5, 15)
    path = np.zeros((15, 3))
    path[:, 0], path[:, 1] = length / bend * np.sin(bend * along), length / bend * np.cos(bend * along)
    path[:, 2] = radius
    shape = np.clip(1.0 - (2.0 * np.abs(along)) ** 3.2, 0.0, 1.0) ** 0.6
    radii = radius * (0.30 + 0.70 * shape)
    radii[:2], radii[-1] = radius * np.array([0.26, 0.24]), 0.2 * radius
    mesh = tube(path, radii, LABEL, sides=16)
    image = looks.atlas(looks.peel(rng), [np.array([90.0, 70.0, 40.0])])
    solids = _capsules(path[1:-1:2], radii[1:-1:2])
    return Member(mesh, image, rng.uniform(900.0, 980.0), solids, 2 * radius, 0.2, 0.2)


def clutter(rng: Rng) -> Member:
    """Something of no category: a star, a cone, a ring's half, or a cross, painted at random."""
    kind, color = int(rng.integers(3)), looks.color(rng)
    if kind == 0:
        mesh = _star(rng)
    elif kind == 1:
        radius, height = rng.uniform(0.02, 0.05), rng.uniform(0.05, 0.14)
        mesh = lathe([(0.0, 0.0), (radius, 0.0), (0.1 * radius, height), (0.0, height)], [0, LABEL, 0], sides=24)
    else:
        turn, radius = np.linspace(0.0, rng.uniform(2.5, 5.0), 16), rng.uniform(0.03, 0.06)
        rod = rng.uniform(0.006, 0.012)
        path = np.stack([radius * np.cos(turn), radius * np.sin(turn), np.full(16, rod)], axis=1)
        mesh = tube(path, [rod] * 16, 0)
    low, high = mesh.bounds_m()
    image = looks.atlas(looks.crockery(rng, color), [color, looks.color(rng)])
    size = high - low
    solid = Solid(BOX, tuple(0.5 * size), 0.5 * (low + high), np.eye(3))
    return Member(mesh, image, rng.uniform(300.0, 900.0), (solid,), float(size.min()), 0.15, 0.3)


FAMILIES: dict[str, Callable[[Rng], Member]] = {
    "ball": ball,
    "banana": banana,
    "book": book,
    "bottle": bottle,
    "bowl": bowl,
    "box": carton,
    "can": can,
    "cup": cup,
    "mug": mug,
    "plate": plate,
}


def _star(rng: Rng) -> Mesh:
    points = 2 * int(rng.integers(3, 7))
    radii = np.where(np.arange(points) % 2 == 0, 1.0, rng.uniform(0.4, 0.65)) * rng.uniform(0.03, 0.06)
    turn = np.linspace(0.0, 2.0 * np.pi, points, endpoint=False)
    outline = radii[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    return extrude(outline, rng.uniform(0.02, 0.07), 1, 0)


def _vessel(outer: Sequence[tuple[float, float]], wall: float) -> tuple[Mesh, tuple[Solid, ...]]:
    """Return a hollow turned body, open above: outside painted with the label, rim and inside with swatch 0."""
    inner = _inner(outer, wall)
    profile = [(0.0, 0.0), *outer, *inner[::-1], (0.0, wall)]
    paint = [1, *[LABEL] * (len(outer) - 1), *[0] * (len(inner) + 1)]
    return lathe(profile, paint), _vessel_solids(outer, wall)


def _inner(outer: Sequence[tuple[float, float]], wall: float) -> list[tuple[float, float]]:
    """Return the inside of a wall: its foot at the floor's height, its top at the rim."""
    points = np.asarray(outer, dtype=np.float64)
    inside = [(float(np.interp(wall, points[:, 1], points[:, 0])) - wall, wall)]
    inside += [(r - wall, z) for r, z in outer[1:-1] if z > 2.0 * wall]
    return [*inside, (outer[-1][0] - wall, outer[-1][1])]


def _vessel_solids(outer: Sequence[tuple[float, float]], wall: float) -> tuple[Solid, ...]:
    """Return a disc and rings of thin boxes: a convex decomposition that a finger can reach into."""
    points = np.asarray(outer, dtype=np.float64)
    heights = np.linspace(0.0, points[-1, 1], 2 if len(points) < 5 else 3)
    radii = np.interp(heights, points[:, 1], points[:, 0])
    solids = [_cylinder(float(points[0, 0]), 0.0, wall)]
    for step in range(len(heights) - 1):
        solids += _ring(radii[step : step + 2], heights[step : step + 2], wall)
    return tuple(solids)


def _ring(radii: np.ndarray, heights: np.ndarray, wall: float) -> list[Solid]:
    radius, height = radii.mean(), heights.mean()
    rise = np.array([radii[1] - radii[0], heights[1] - heights[0]])
    length = np.linalg.norm(rise)
    out, up = np.array([rise[1], -rise[0]]) / length, rise / length
    half = (0.5 * wall, radii.max() * np.tan(np.pi / WALL_SECTORS), 0.5 * length)
    center = np.array([radius, height]) - 0.5 * wall * out
    solids = []
    for angle in 2.0 * np.pi * np.arange(WALL_SECTORS) / WALL_SECTORS:
        c, s = np.cos(angle), np.sin(angle)
        rotation = np.array([[out[0] * c, -s, up[0] * c], [out[0] * s, c, up[0] * s], [out[1], 0.0, up[1]]])
        solids.append(Solid(BOX, half, np.array([center[0] * c, center[0] * s, center[1]]), rotation))
    return solids


def _cylinder(radius: float, bottom: float, top: float) -> Solid:
    return Solid(CYLINDER, (radius, 0.5 * (top - bottom), 0.0), np.array([0.0, 0.0, 0.5 * (bottom + top)]), np.eye(3))


def _box(size: Sequence[float]) -> Solid:
    return Solid(BOX, tuple(0.5 * s for s in size), np.array([0.0, 0.0, 0.5 * size[2]]), np.eye(3))


def _capsules(path: np.ndarray, radii: Sequence[float]) -> tuple[Solid, ...]:
    """Return capsules along a polyline (P, 3)."""
    solids = []
    for start, stop, r0, r1 in zip(path[:-1], path[1:], radii[:-1], radii[1:], strict=True):
        axis = (stop - start) / np.linalg.norm(stop - start)
        side = np.cross(axis, [0.0, 1.0, 0.0] if abs(axis[1]) < 0.9 else [1.0, 0.0, 0.0])
        side /= np.linalg.norm(side)
        rotation = np.column_stack([side, np.cross(axis, side), axis])
        half = 0.5 * float(np.linalg.norm(stop - start))
        solids.append(Solid(CAPSULE, (float(0.5 * (r0 + r1)), half, 0.0), 0.5 * (start + stop), rotation))
    return tuple(solids)
