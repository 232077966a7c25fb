# SPDX-License-Identifier: Apache-2.0
"""Building a world around the robot: materials, floors, walls, fixed furniture and loose objects.

Coordinates are metres in the frame `world`, x and y on the floor, z up.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import mujoco
import numpy as np

from axon_core.geometry import se2_compose, se2_inverse
from axon_core.grids import FREE, OCCUPIED, Grid
from axon_sim.contact_bits import (
    COLLISION_ONLY_GROUP,
    DECOR_GROUP,
    FIXED_BITS,
    FLOOR_BITS,
    HIDDEN_BITS,
    LOOSE_BITS,
    PLANE_GRID_M,
    SOLID_GROUP,
)
from axon_sim.objects import SimObject, make_object
from axon_sim.robot import load_robot_spec

WALL_HEIGHT_M = 2.5
WALL_THICKNESS_M = 0.10
PLACING_GAP_M = 0.002


@dataclass(frozen=True)
class PlacedObject:
    """A household object of a world: the name of its body, and the furniture that it stands on."""

    name: str
    place: str
    item: SimObject

    @property
    def category(self) -> str:
        """What it is, one of axon_sim.objects.CATEGORIES."""
        return self.item.category


@dataclass(frozen=True)
class World:
    """A world with the robot in it.

    `spec` compiles to the model. `start` (3,) and the poses of `goals` are world_T_base = [x_m, y_m, yaw_rad].
    `bounds_m` is (x_min, y_min, x_max, y_max) of the ground that belongs to the world. `objects` are its loose things.
    """

    name: str
    seed: int
    spec: mujoco.MjSpec
    start: np.ndarray
    goals: dict[str, np.ndarray]
    bounds_m: tuple[float, float, float, float]
    objects: tuple[PlacedObject, ...] = ()

    def goals_from_start(self) -> dict[str, np.ndarray]:
        """Return the goals as odom_T_base, for an odometry frame that begins at the start pose."""
        return {name: se2_compose(se2_inverse(self.start), pose) for name, pose in self.goals.items()}

    def ground_truth_grid(self, resolution_m: float = 0.05, z_min_m: float = 0.05, z_max_m: float = 1.15) -> Grid:
        """Return what is solid and fixed between two heights, rasterised: FREE or OCCUPIED, in the frame `world`.

        The default heights are those that the robot's body passes through; (0.2, 0.25) is what its lidar meets.
        """
        model = self.spec.compile()
        data = mujoco.MjData(model)
        mujoco.mj_kinematics(model, data)
        x_min, y_min, x_max, y_max = self.bounds_m
        shape = (math.ceil((y_max - y_min) / resolution_m), math.ceil((x_max - x_min) / resolution_m))
        grid = Grid(np.full(shape, FREE, dtype=np.int8), resolution_m, np.array([x_min, y_min]))
        for geom in range(model.ngeom):
            if model.geom_contype[geom] == FIXED_BITS["contype"]:
                _draw_outline(grid, _corners(model, data, geom), z_min_m, z_max_m)
        return grid


def _corners(model: mujoco.MjModel, data: mujoco.MjData, geom: int) -> np.ndarray:
    """Return points (N, 3) whose convex hull is the geom, or encloses it closely."""
    size, kind = model.geom_size[geom], mujoco.mjtGeom(model.geom_type[geom])
    if kind == mujoco.mjtGeom.mjGEOM_BOX:
        local = np.array(np.meshgrid(*[(-s, s) for s in size])).reshape(3, -1).T
    elif kind in (mujoco.mjtGeom.mjGEOM_CYLINDER, mujoco.mjtGeom.mjGEOM_CAPSULE, mujoco.mjtGeom.mjGEOM_SPHERE):
        angles = np.linspace(0.0, 2.0 * np.pi, 24, endpoint=False)
        ring = size[0] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        half = size[0] if kind == mujoco.mjtGeom.mjGEOM_SPHERE else size[1]
        local = np.concatenate([np.column_stack([ring, np.full(24, z)]) for z in (-half, half)])
    else:
        raise ValueError(f"geom {model.geom(geom).name!r}: expected a box, cylinder, capsule or sphere")
    return data.geom_xpos[geom] + local @ data.geom_xmat[geom].reshape(3, 3).T


def _draw_outline(grid: Grid, corners: np.ndarray, z_min_m: float, z_max_m: float) -> None:
    if corners[:, 2].max() < z_min_m or corners[:, 2].min() > z_max_m:
        return
    pixels = (corners[:, :2] - grid.origin_m) / grid.resolution_m - 0.5
    hull = cv2.convexHull(pixels.astype(np.float32))
    fixed_point = np.round(hull * 16).astype(np.int32)
    cv2.fillConvexPoly(grid.data.view(np.uint8), fixed_point, OCCUPIED, cv2.LINE_8, 4)


def yaw_quat(yaw_rad: float) -> list[float]:
    """Return MuJoCo's quaternion [w, x, y, z] of a turn about z."""
    return [math.cos(yaw_rad / 2.0), 0.0, 0.0, math.sin(yaw_rad / 2.0)]


class Part:
    """One fixed or loose thing: a body whose shapes are given in its own frame, `at` = centre of their underside."""

    def __init__(self, builder: "SceneBuilder", body: "mujoco.MjsBody", bits: dict[str, int], mass_kg: float = 0.0):
        self._builder = builder
        self._body = body
        self._bits = bits
        self._mass_kg = mass_kg

    def box(self, size: Sequence[float], at: Sequence[float], material: str, *, solid: bool = True, yaw: float = 0.0):
        """Add a box of full edge lengths `size`."""
        half = [0.5 * s for s in size]
        position = [at[0], at[1], at[2] + half[2]]
        self._add(mujoco.mjtGeom.mjGEOM_BOX, half, position, material, solid, yaw_quat(yaw))

    def cylinder(self, radius: float, height: float, at: Sequence[float], material: str, *, solid: bool = True):
        """Add an upright cylinder."""
        position = [at[0], at[1], at[2] + 0.5 * height]
        self._add(mujoco.mjtGeom.mjGEOM_CYLINDER, [radius, 0.5 * height, 0.0], position, material, solid)

    def sphere(self, radius: float, at: Sequence[float], material: str, *, solid: bool = True):
        """Add a sphere that stands on `at`."""
        position = [at[0], at[1], at[2] + radius]
        self._add(mujoco.mjtGeom.mjGEOM_SPHERE, [radius, 0.0, 0.0], position, material, solid)

    def ellipsoid(self, radii: Sequence[float], at: Sequence[float], material: str):
        """Add an ellipsoid that is only seen (leaves, cushions)."""
        position = [at[0], at[1], at[2] + radii[2]]
        self._add(mujoco.mjtGeom.mjGEOM_ELLIPSOID, list(radii), position, material, False)

    def panel(self, width: float, height: float, at: Sequence[float], material: str, facing_yaw: float):
        """Add an upright picture that is only seen: `at` its centre, its face turned to `facing_yaw`."""
        rotation = np.column_stack(
            [
                [-math.sin(facing_yaw), math.cos(facing_yaw), 0.0],
                [0.0, 0.0, 1.0],
                [math.cos(facing_yaw), math.sin(facing_yaw), 0.0],
            ]
        )
        quat = np.empty(4)
        mujoco.mju_mat2Quat(quat, rotation.ravel())
        self._add(
            mujoco.mjtGeom.mjGEOM_PLANE, [0.5 * width, 0.5 * height, PLANE_GRID_M], list(at), material, False, quat
        )

    def _add(self, kind, size, position, material, solid, quat=(1.0, 0.0, 0.0, 0.0)) -> None:
        geom = self._body.add_geom(type=kind, size=size, pos=position, quat=list(quat), material=material)
        bits = self._bits if solid else HIDDEN_BITS
        geom.contype, geom.conaffinity = bits["contype"], bits["conaffinity"]
        geom.group = SOLID_GROUP if solid else DECOR_GROUP
        geom.friction = [self._builder.friction, 0.01, 0.0005]
        if self._mass_kg > 0.0:
            geom.mass = self._mass_kg if solid else 0.0
            geom.condim = 4


class SceneBuilder:
    """Collects a world; `rng` is its only source of chance, so that a seed always builds the same world."""

    def __init__(self, name: str, seed: int):
        self.name = name
        self.seed = seed
        self.rng = np.random.default_rng([seed, *name.encode()])
        self.friction = float(self.rng.uniform(0.7, 1.0))
        self.spec = load_robot_spec()
        self.spec.modelname = name
        self._names: dict[str, int] = {}
        self._materials: set[str] = set()
        self._objects: list[PlacedObject] = []

    def unique(self, name: str) -> str:
        """Return `name`, or `name_2` and so on where it is taken."""
        count = self._names[name] = self._names.get(name, 0) + 1
        return name if count == 1 else f"{name}_{count}"

    def material(
        self, name: str, rgb: Sequence[float], *, specular: float = 0.15, shininess: float = 0.2, emission: float = 0.0
    ) -> str:
        """Define a plain material once and return its name."""
        if name not in self._materials:
            self._materials.add(name)
            self.spec.add_material(
                name=name, rgba=[*rgb, 1.0], specular=specular, shininess=shininess, emission=emission
            )
        return name

    def textured(
        self,
        name: str,
        image: np.ndarray,
        *,
        repeat: Sequence[float] = (1.0, 1.0),
        solid: bool = False,
        uniform: bool = False,
        specular: float = 0.1,
        rgb: Sequence[float] = (1.0, 1.0, 1.0),
    ) -> str:
        """Define a material from an image (H, W, 3); `solid` wraps it around boxes, otherwise it suits planes.

        `repeat` counts the image's repetitions over the plane, or per metre where `uniform`.
        """
        if name not in self._materials:
            self._materials.add(name)
            self._add_texture(name, image, solid)
            material = self.spec.add_material(
                name=name,
                rgba=[*rgb, 1.0],
                texrepeat=list(repeat),
                texuniform=uniform,
                specular=specular,
                shininess=0.2,
            )
            material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name
        return name

    def _add_texture(self, name: str, image: np.ndarray, solid: bool) -> None:
        kind = mujoco.mjtTexture.mjTEXTURE_CUBE if solid else mujoco.mjtTexture.mjTEXTURE_2D
        pixels = np.ascontiguousarray(np.concatenate([image] * 6) if solid else image)
        texture = self.spec.add_texture(name=name, type=kind, nchannel=3, width=pixels.shape[1], height=pixels.shape[0])
        texture.data = pixels.tobytes()

    def floor(self, material: str, bounds_m: Sequence[float]) -> None:
        """Lay the ground: one endless contact plane, seen within `bounds_m` = x_min, y_min, x_max, y_max."""
        self.spec.worldbody.add_geom(
            name="floor",
            type=mujoco.mjtGeom.mjGEOM_PLANE,
            size=[0, 0, 1],
            group=COLLISION_ONLY_GROUP,
            friction=[self.friction, 0.005, 0.0001],
            **FLOOR_BITS,
        )
        self.floor_patch(bounds_m, material, 0.0)

    def floor_patch(self, bounds_m: Sequence[float], material: str, z: float = 0.002, yaw: float = 0.0) -> None:
        """Lay a covering that is only seen (a room's floor, a rug, a marking)."""
        x_min, y_min, x_max, y_max = bounds_m
        self.spec.worldbody.add_geom(
            type=mujoco.mjtGeom.mjGEOM_PLANE,
            size=[0.5 * (x_max - x_min), 0.5 * (y_max - y_min), PLANE_GRID_M],
            pos=[0.5 * (x_min + x_max), 0.5 * (y_min + y_max), z],
            quat=yaw_quat(yaw),
            material=material,
            group=DECOR_GROUP,
            **HIDDEN_BITS,
        )

    def fixed(self, name: str, x: float = 0.0, y: float = 0.0, yaw: float = 0.0, z: float = 0.0) -> Part:
        """Begin a fixed thing at a pose."""
        body = self.spec.worldbody.add_body(name=self.unique(name), pos=[x, y, z], quat=yaw_quat(yaw))
        return Part(self, body, FIXED_BITS)

    def loose(self, name: str, x: float, y: float, z: float, mass_kg: float, yaw: float = 0.0) -> Part:
        """Begin a thing that can be pushed and lifted; its underside starts at z."""
        body = self.spec.worldbody.add_body(name=self.unique(name), pos=[x, y, z], quat=yaw_quat(yaw))
        body.add_freejoint(name=f"{body.name}_free")
        return Part(self, body, LOOSE_BITS, mass_kg)

    def object(self, category: str, x: float, y: float, z: float, place: str) -> None:
        """Stand a member of a category (see axon_sim.objects) on a surface at height z, turned by chance."""
        item = make_object(category, int(self.rng.integers(2**31)))
        pose = np.eye(4)
        cosine, sine = np.cos(turn := self.rng.uniform(-np.pi, np.pi)), np.sin(turn)
        pose[:2, :2] = [[cosine, -sine], [sine, cosine]]
        pose[:3, 3] = x, y, z + 0.5 * item.size_m[2] + PLACING_GAP_M
        name = self.unique(category)
        item.add_to(self.spec, pose, name)
        self._objects.append(PlacedObject(name, place, item))

    def wall(
        self,
        part: Part,
        start: Sequence[float],
        stop: Sequence[float],
        material: str,
        *,
        height: float = WALL_HEIGHT_M,
        z: float = 0.0,
        thickness: float = WALL_THICKNESS_M,
    ) -> None:
        """Add a straight wall between two points (x, y), rounded up by half its thickness at both ends."""
        (x0, y0), (x1, y1) = start, stop
        length = math.hypot(x1 - x0, y1 - y0) + thickness
        part.box(
            (length, thickness, height),
            (0.5 * (x0 + x1), 0.5 * (y0 + y1), z),
            material,
            yaw=math.atan2(y1 - y0, x1 - x0),
        )

    def light(self, center: Sequence[float], span_m: float, *, shadows: bool = True) -> None:
        """Light a world of a given extent: a sun with shadows, a weak fill from the other side, and the sky."""
        brightness, warmth = float(self.rng.uniform(0.38, 0.47)), float(self.rng.uniform(-0.04, 0.06))
        color = [brightness * (1.0 + warmth), brightness, brightness * (1.0 - warmth)]
        lean = np.array([self.rng.uniform(0.25, 0.45), self.rng.uniform(-0.45, -0.25), 1.0])
        # A far spot light: MuJoCo's directional lights shade their own surfaces in stripes at this size.
        self.spec.worldbody.add_light(
            name="sun",
            type=mujoco.mjtLightType.mjLIGHT_SPOT,
            castshadow=shadows,
            cutoff=45.0,
            exponent=0.0,
            pos=[*center[:2], 0.0] + 1.6 * span_m * lean,
            dir=-lean,
            diffuse=color,
            specular=[0.2] * 3,
            ambient=[0.0] * 3,
        )
        self.spec.worldbody.add_light(
            name="fill",
            type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
            castshadow=False,
            pos=[*center[:2], 6.0],
            dir=[lean[0], -lean[1], -0.6],
            diffuse=[0.15, 0.16, 0.18],
            specular=[0.0] * 3,
            ambient=[0.0] * 3,
        )
        self.spec.visual.headlight.ambient = [0.48] * 3
        self.spec.visual.headlight.diffuse = [0.14] * 3
        self.spec.visual.headlight.specular = [0.0] * 3
        self.spec.add_texture(
            name="sky",
            type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
            builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
            rgb1=[0.78, 0.86, 0.95],
            rgb2=[0.93, 0.93, 0.91],
            width=64,
            height=384,
        )

    def finish(self, start: Sequence[float], goals: dict[str, Sequence[float]], bounds_m: Sequence[float]) -> World:
        """Return the finished world."""
        x_min, y_min, x_max, y_max = (float(v) for v in bounds_m)
        span = max(x_max - x_min, y_max - y_min)
        self.spec.stat.center = [0.5 * (x_min + x_max), 0.5 * (y_min + y_max), 0.5]
        self.spec.stat.extent = span
        self.spec.visual.map.znear = 0.04 / span
        self.spec.visual.map.zfar = 60.0 / span
        self.spec.visual.map.shadowclip = 0.75
        self.spec.visual.quality.shadowsize = 4096
        self.spec.visual.quality.numslices = 20
        self.spec.visual.quality.numstacks = 10
        poses = {name: np.asarray(pose, dtype=np.float64) for name, pose in goals.items()}
        begin, bounds = np.asarray(start, dtype=np.float64), (x_min, y_min, x_max, y_max)
        return World(self.name, self.seed, self.spec, begin, poses, bounds, tuple(self._objects))
