# SPDX-License-Identifier: Apache-2.0
"""Labelled images: settled scenes of objects on tables and floors, seen from where the robot's camera may be.

A scene is drawn from one seed: objects, distractors, textures, lights. It is settled by physics once and then seen from
any number of views, each with its own camera pose, lights and image noise. Poses are 4 x 4, metres; cameras look along
+z with x right and y down (REP-103 optical frames).
"""

import threading
from dataclasses import dataclass

import cv2
import mujoco
import numpy as np

from axon_core.cameras import PinholeCamera
from axon_core.config import check_config, check_known_names, param
from axon_core.geometry import invert_transform
from axon_sim import textures
from axon_sim.contact_bits import DECOR_GROUP, FIXED_BITS, FLOOR_BITS, HIDDEN_BITS, PLANE_GRID_M
from axon_sim.objects import CATEGORIES, SimObject, make_clutter, make_object, quat_wxyz
from axon_sim.rendering import OffscreenRenderer
from axon_sim.sensors import Images

Rng = np.random.Generator
CAMERA = "camera"
ROOM_M = 6.0
TIME_STEP_S = 0.0025
SETTLE_STEPS = 20
AT_REST = 0.02  # m/s and rad/s
GL_FROM_OPTICAL = np.diag([1.0, -1.0, -1.0])
SILHOUETTE_PX = 144
PLACING_TRIES = 40
_of_thread = threading.local()


@dataclass(frozen=True)
class SceneConfig:
    """What a scene holds and how it is seen."""

    image_size_px: int = param(416, "Width and height of the images", unit="px", minimum=32, maximum=1920)
    fovy_deg: float = param(55.0, "Vertical field of view; the robot's is 55", unit="deg", minimum=10.0, maximum=120.0)
    categories: tuple[str, ...] = param(CATEGORIES, "Categories to draw objects from")
    objects_min: int = param(3, "Fewest objects", minimum=1, maximum=30)
    objects_max: int = param(9, "Most objects", minimum=1, maximum=30)
    clutter_max: int = param(3, "Most things that have no category", minimum=0, maximum=20)
    table_share: float = param(0.7, "Share of scenes on a table; the others are on the floor", minimum=0.0, maximum=1.0)
    tipped_share: float = param(0.2, "Share of objects that are dropped lying", minimum=0.0, maximum=1.0)
    settle_s: float = param(
        1.5, "Longest time for the objects to fall and come to rest", unit="s", minimum=0.0, maximum=10.0
    )
    camera_height_min_m: float = param(0.85, "Lowest camera above the floor", unit="m", minimum=0.1, maximum=3.0)
    camera_height_max_m: float = param(1.25, "Highest camera above the floor", unit="m", minimum=0.1, maximum=3.0)
    camera_distance_min_m: float = param(0.35, "Nearest camera, along the floor", unit="m", minimum=0.1, maximum=5.0)
    camera_distance_max_m: float = param(1.5, "Farthest camera, along the floor", unit="m", minimum=0.1, maximum=5.0)
    shadow_share: float = param(0.25, "Share of scenes drawn with shadows", minimum=0.0, maximum=1.0)
    noise: float = param(1.0, "Scale of blur, gain and noise in the colour images", minimum=0.0, maximum=5.0)
    min_pixels: int = param(24, "An object with fewer visible pixels is not labelled", minimum=1, maximum=10000)

    def __post_init__(self) -> None:
        check_config(self)
        check_known_names(self.categories, CATEGORIES)
        for low, high in (
            ("objects_min", "objects_max"),
            ("camera_height_min_m", "camera_height_max_m"),
            ("camera_distance_min_m", "camera_distance_max_m"),
        ):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"{low} = {getattr(self, low)}: expected at most {high} = {getattr(self, high)}")


@dataclass(frozen=True)
class LabelledImage:
    """One image and the truth about it, for the N objects of which enough is visible.

    rgb (H, W, 3) uint8; depth_m (H, W) along the optical axis, without noise. instance_ids (H, W) int32 holds one of
    the `ids` (N,) or 0. boxes_xyxy (N, 4) enclose the visible pixels: x0, y0 the first column and row, x1, y1 one past
    the last. sizes_m (N, 3) are the bounding boxes about the origins. visibility (N,) is the visible share of the
    whole silhouette, what lies outside the image included.
    """

    rgb: np.ndarray
    depth_m: np.ndarray
    instance_ids: np.ndarray
    ids: np.ndarray
    boxes_xyxy: np.ndarray
    categories: tuple[str, ...]
    sizes_m: np.ndarray
    world_T_objects: np.ndarray
    camera_T_objects: np.ndarray
    world_T_camera: np.ndarray
    visibility: np.ndarray
    camera: PinholeCamera


class LabelRenderer(OffscreenRenderer):
    """Draws colour, depth and, from the same scene list, which geom every pixel shows; one model after the other."""

    def show(self, model: mujoco.MjModel, *, shadows: bool) -> None:
        """Go on with another model: ten times as fast as a new renderer, whose OpenGL compiles its shaders anew."""
        if model is not self._model:
            self._gl.make_current()
            self._context.free()
            self._load(model, shadows, 0)

    def geom_ids(self) -> np.ndarray:
        """Return for every pixel (H, W) of the last view the geom that it shows, -1 for none."""
        flags = (mujoco.mjtRndFlag.mjRND_SEGMENT, mujoco.mjtRndFlag.mjRND_IDCOLOR)
        self._set_flags(flags, True)
        mujoco.mjr_render(self._rect, self._scene, self._context)
        self._set_flags(flags, False)
        color = np.empty((self.height, self.width, 3), dtype=np.uint8)
        mujoco.mjr_readPixels(color, None, self._rect, self._context)
        drawn = color[::-1].astype(np.int32) @ np.array([1, 256, 65536], dtype=np.int32)
        geoms = self._scene.geoms[: self._scene.ngeom]
        table = np.full(self._scene.ngeom + 1, -1, dtype=np.int32)
        for geom in geoms:
            table[geom.segid + 1] = geom.objid if geom.objtype == mujoco.mjtObj.mjOBJ_GEOM else -1
        return table[drawn]

    def _set_flags(self, flags: tuple, on: bool) -> None:
        for flag in flags:
            self._scene.flags[flag] = on


class Scene:
    """A settled scene; `model` and `data` are MuJoCo's."""

    def __init__(self, seed: int, config: SceneConfig, spec: mujoco.MjSpec, objects: tuple[SimObject, ...], on: float):
        self.seed, self.config, self.objects = seed, config, objects
        self.support_height_m = on
        self.model = spec.compile()
        self.data = mujoco.MjData(self.model)
        self._bodies = np.array([self.model.body(name_of(index)).id for index in range(len(objects))])
        self._camera = self.model.camera(CAMERA).id
        self._shadows = bool(np.random.default_rng([seed, 1]).random() < config.shadow_share)
        self._settle()

    def world_T_objects(self) -> np.ndarray:
        """Return the poses (N, 4, 4) of all objects."""
        poses = np.tile(np.eye(4), (len(self.objects), 1, 1))
        poses[:, :3, :3] = self.data.xmat[self._bodies].reshape(-1, 3, 3)
        poses[:, :3, 3] = self.data.xpos[self._bodies]
        return poses

    def camera(self) -> PinholeCamera:
        """Return the intrinsics of every view."""
        size = self.config.image_size_px
        focal = 0.5 * size / np.tan(0.5 * np.radians(self.config.fovy_deg))
        return PinholeCamera(size, size, focal, focal, 0.5 * (size - 1), 0.5 * (size - 1))

    def draw(self, world_T_camera: np.ndarray) -> tuple[Images, np.ndarray]:
        """Return the images from a pose (4, 4) and the object (H, W) that each pixel shows, -1 for none."""
        size = self.config.image_size_px
        renderer = label_renderer(self.model, size, size, self._shadows)
        self.data.cam_xpos[self._camera] = world_T_camera[:3, 3]
        self.data.cam_xmat[self._camera] = (world_T_camera[:3, :3] @ GL_FROM_OPTICAL).ravel()
        images = renderer.render(self.data, CAMERA)
        return images, objects_of_geoms(self.model, self._bodies)[renderer.geom_ids()]

    def relight(self, rng: Rng) -> None:
        """Change direction, strength and colour of all lights."""
        lights = self.model.nlight
        lean = np.column_stack([rng.uniform(-0.8, 0.8, (lights, 2)), np.full(lights, -1.0)])
        self.data.light_xdir[:] = lean / np.linalg.norm(lean, axis=1, keepdims=True)
        self.data.light_xpos[:] = self._target() - 3.0 * self.data.light_xdir
        strength = rng.uniform(0.15, 0.55, (lights, 1)) * rng.uniform(0.88, 1.12, (lights, 3))
        self.model.light_diffuse[:] = strength
        self.model.vis.headlight.ambient[:] = rng.uniform(0.3, 0.55) * rng.uniform(0.94, 1.06, 3)

    def choose_camera(self, rng: Rng) -> np.ndarray:
        """Return a pose world_T_camera (4, 4) in the robot's range that looks at the objects."""
        config, target = self.config, self._target()
        turn = rng.uniform(-np.pi, np.pi)
        distance = rng.uniform(config.camera_distance_min_m, config.camera_distance_max_m)
        height = rng.uniform(config.camera_height_min_m, config.camera_height_max_m)
        eye = np.array([target[0] + distance * np.cos(turn), target[1] + distance * np.sin(turn), height])
        return look_at(eye, target + rng.normal(0.0, [0.10, 0.10, 0.05]), rng.normal(0.0, 0.03))

    def _target(self) -> np.ndarray:
        return np.median(self.data.xpos[self._bodies], axis=0)

    def _settle(self) -> None:
        for _ in range(round(self.config.settle_s / (TIME_STEP_S * SETTLE_STEPS))):
            mujoco.mj_step(self.model, self.data, SETTLE_STEPS)
            if np.abs(self.data.qvel).max() < AT_REST:
                break
        mujoco.mj_forward(self.model, self.data)


def make_scene(seed: int, config: SceneConfig | None = None) -> Scene:
    """Build and settle the scene that a seed stands for."""
    config = config or SceneConfig()
    rng = np.random.default_rng([seed, 0])
    spec = _empty_spec(config)
    _room(spec, rng)
    on_table = bool(rng.random() < config.table_share)
    size = rng.uniform([0.6, 0.45], [1.2, 0.8])
    height = _table(spec, rng, size) if on_table else 0.0
    count = int(rng.integers(config.objects_min, config.objects_max + 1))
    objects = tuple(make_object(str(rng.choice(config.categories)), int(rng.integers(2**31))) for _ in range(count))
    others = [make_clutter(int(rng.integers(2**31))) for _ in range(int(rng.integers(config.clutter_max + 1)))]
    names = [name_of(index) for index in range(count)] + [f"clutter_{index}" for index in range(len(others))]
    things = [*objects, *others]
    for name, thing, pose in zip(names, things, _place(things, rng, size, height, config), strict=True):
        thing.add_to(spec, pose, name)
    return Scene(seed, config, spec, objects, height)


def render_labels(scene: Scene, view: int = 0) -> LabelledImage:
    """Return view number `view` of a scene with its labels."""
    rng = np.random.default_rng([scene.seed, 2, view])
    scene.relight(rng)
    world_T_camera = scene.choose_camera(rng)
    images, shown = scene.draw(world_T_camera)
    rgb = photograph(images.color, rng, scene.config.noise)
    truth = Truth(scene.objects, scene.world_T_objects(), world_T_camera, scene.camera())
    return label(rgb, images.depth_m, shown, truth, scene.config.min_pixels)


@dataclass(frozen=True)
class Truth:
    """What is known of a view: the N objects and their poses (N, 4, 4), the camera's pose (4, 4) and intrinsics."""

    objects: tuple[SimObject, ...]
    world_T_objects: np.ndarray
    world_T_camera: np.ndarray
    camera: PinholeCamera


def label(rgb: np.ndarray, depth_m: np.ndarray, shown: np.ndarray, truth: Truth, min_pixels: int) -> LabelledImage:
    """Return the labels of a view whose pixels show the objects `shown` (H, W), -1 for none."""
    counts = np.bincount(shown.ravel() + 1, minlength=len(truth.objects) + 1)[1:]
    kept = np.flatnonzero(counts >= min_pixels)
    world_T_objects, camera = truth.world_T_objects[kept], truth.camera
    camera_T_objects = invert_transform(truth.world_T_camera) @ world_T_objects
    objects = [truth.objects[index] for index in kept]
    whole = [silhouette_px(item, pose, camera) for item, pose in zip(objects, camera_T_objects, strict=True)]
    return LabelledImage(
        rgb=rgb,
        depth_m=np.ascontiguousarray(depth_m),
        instance_ids=np.where(np.isin(shown, kept), shown + 1, 0).astype(np.int32),
        ids=(kept + 1).astype(np.int32),
        boxes_xyxy=_boxes(shown, kept),
        categories=tuple(item.category for item in objects),
        sizes_m=np.array([item.size_m for item in objects]).reshape(-1, 3),
        world_T_objects=world_T_objects,
        camera_T_objects=camera_T_objects,
        world_T_camera=truth.world_T_camera,
        visibility=np.clip(counts[kept] / np.array(whole), 0.0, 1.0),
        camera=camera,
    )


def label_renderer(model: mujoco.MjModel, width: int, height: int, shadows: bool) -> LabelRenderer:
    """Return this thread's renderer of a size, showing a model."""
    renderers = _of_thread.__dict__.setdefault("renderers", {})
    size = width, height
    if size not in renderers:
        renderers[size] = LabelRenderer(model, *size, shadows=shadows)
    renderers[size].show(model, shadows=shadows)
    return renderers[size]


def objects_of_geoms(model: mujoco.MjModel, bodies: np.ndarray) -> np.ndarray:
    """Return for every geom, and last for none, the index of the body in `bodies` (N,) that it belongs to, or -1."""
    of_body = np.full(model.nbody, -1, dtype=np.int32)
    of_body[bodies] = np.arange(len(bodies))
    return np.append(of_body[model.geom_bodyid], np.int32(-1))


def name_of(index: int) -> str:
    """Return the name of a scene's object in its model."""
    return f"object_{index}"


def look_at(eye: np.ndarray, target: np.ndarray, roll_rad: float = 0.0) -> np.ndarray:
    """Return world_T_camera (4, 4) of an optical frame at `eye` that looks at `target`, level but for the roll."""
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    if np.linalg.norm(right) < 1e-6:
        right = np.array([1.0, 0.0, 0.0])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    c, s = np.cos(roll_rad), np.sin(roll_rad)
    pose = np.eye(4)
    pose[:3, :3] = np.column_stack([c * right + s * down, c * down - s * right, forward])
    pose[:3, 3] = eye
    return pose


def silhouette_px(item: SimObject, camera_T_object: np.ndarray, camera: PinholeCamera) -> float:
    """Return the area of an object's whole outline, as if nothing hid it and the image had no edge.

    Drawn from the convex chunks of its mesh, enlarged; infinite where a part lies behind the camera.
    """
    points = item.mesh.vertices @ camera_T_object[:3, :3].T + camera_T_object[:3, 3]
    if points[:, 2].min() <= 0.0:
        return float("inf")
    pixels = camera.project(points)
    low = pixels.min(axis=0)
    scale = (SILHOUETTE_PX - 4) / max(np.ptp(pixels, axis=0).max(), 1e-6)
    scaled = np.round((pixels - low) * scale * 16.0 + 32.0).astype(np.int32)
    mask = np.zeros((SILHOUETTE_PX, SILHOUETTE_PX), dtype=np.uint8)
    for chunk in item.mesh.chunks:
        cv2.fillConvexPoly(mask, cv2.convexHull(scaled[chunk]), 1, cv2.LINE_8, 4)
    # fillConvexPoly also paints the pixels that its outline touches: half a pixel too much all around
    edge = mask - cv2.erode(mask, np.ones((3, 3), np.uint8))
    return (int(mask.sum()) - 0.5 * int(edge.sum())) / scale**2


def photograph(color: np.ndarray, rng: Rng, noise: float) -> np.ndarray:
    """Return a drawn image (H, W, 3) as a cheap camera takes it: blur, white balance, gain, contrast and grain."""
    if noise == 0.0:
        return np.ascontiguousarray(color)
    image = cv2.GaussianBlur(np.ascontiguousarray(color), (0, 0), 0.35 + noise * rng.uniform(0.0, 0.5))
    gain = np.exp(noise * (rng.normal(0.0, 0.10) + rng.normal(0.0, 0.04, 3)))
    offset = noise * rng.normal(0.0, 6.0)
    levels = np.clip(np.arange(256.0)[:, None] * gain + offset, 0.0, 255.0).astype(np.uint8)
    image = cv2.LUT(image, np.ascontiguousarray(levels.reshape(256, 1, 3)))
    grain = np.empty(image.shape, dtype=np.int16)
    cv2.setRNGSeed(int(rng.integers(2**31)))
    cv2.randn(grain, 0, noise * rng.uniform(0.5, 6.0))
    return cv2.add(image, grain, dtype=cv2.CV_8U)


def _boxes(shown: np.ndarray, kept: np.ndarray) -> np.ndarray:
    boxes = np.empty((len(kept), 4))
    for row, index in enumerate(kept):
        mask = shown == index
        columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
        boxes[row] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    return boxes


def _empty_spec(config: SceneConfig) -> mujoco.MjSpec:
    spec = mujoco.MjSpec()
    spec.option.timestep = TIME_STEP_S
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.iterations, spec.option.ls_iterations = 20, 12
    spec.stat.extent, spec.stat.center = ROOM_M, [0.0, 0.0, 0.5]
    spec.visual.map.znear, spec.visual.map.zfar = 0.03 / ROOM_M, 15.0 / ROOM_M
    spec.visual.quality.shadowsize = 1024
    spec.visual.headlight.diffuse, spec.visual.headlight.specular = [0.12] * 3, [0.05] * 3
    spec.worldbody.add_camera(name=CAMERA, fovy=config.fovy_deg)
    for index in range(2):
        spec.worldbody.add_light(
            type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
            castshadow=index == 0,
            pos=[0.0, 0.0, 3.0],
            dir=[0.0, 0.0, -1.0],
            specular=[0.3] * 3,
        )
    return spec


def _surface(rng: Rng) -> np.ndarray:
    """Return the image of any floor, wall or table top."""
    rgb = tuple(rng.uniform(0.15, 0.95) * rng.uniform(0.75, 1.0, 3))
    other = tuple(rng.uniform(0.1, 0.95, 3))
    kind = int(rng.integers(8))
    if kind == 6:
        return textures.rug(rng, rgb, other)
    if kind == 7:
        return textures.painting(rng)
    make = (textures.wood, textures.planks, textures.tiles, textures.plaster, textures.fabric, textures.concrete)[kind]
    return make(rng, rgb, size=256)


def _material(spec: mujoco.MjSpec, name: str, image: np.ndarray, repeat: float, *, cube: bool = False) -> str:
    pixels = np.ascontiguousarray(np.concatenate([image] * 6) if cube else image)
    kind = mujoco.mjtTexture.mjTEXTURE_CUBE if cube else mujoco.mjtTexture.mjTEXTURE_2D
    texture = spec.add_texture(name=name, type=kind, nchannel=3, width=pixels.shape[1], height=pixels.shape[0])
    texture.data = pixels.tobytes()
    material = spec.add_material(name=name, texrepeat=[repeat, repeat], specular=0.1, shininess=0.2)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name
    return name


def _room(spec: mujoco.MjSpec, rng: Rng) -> None:
    """Add a floor and four walls."""
    plane, half = mujoco.mjtGeom.mjGEOM_PLANE, 0.5 * ROOM_M
    floor = _material(spec, "floor", _surface(rng), float(rng.uniform(3.0, 10.0)))
    spec.worldbody.add_geom(type=plane, size=[half, half, PLANE_GRID_M], material=floor, **FLOOR_BITS)
    for index in range(4):
        wall = _material(spec, f"wall_{index}", _surface(rng), float(rng.integers(1, 4)))
        turn = 0.5 * np.pi * index
        c, s = np.cos(turn), np.sin(turn)
        quat = quat_wxyz(np.array([[s, 0.0, -c], [-c, 0.0, -s], [0.0, 1.0, 0.0]]))  # its face inward, its image upright
        place = [half * rng.uniform(0.7, 1.0) * c, half * rng.uniform(0.7, 1.0) * s, 1.25]
        spec.worldbody.add_geom(
            type=plane,
            size=[half, 1.25, PLANE_GRID_M],
            pos=place,
            quat=quat,
            material=wall,
            group=DECOR_GROUP,
            **HIDDEN_BITS,
        )


def _table(spec: mujoco.MjSpec, rng: Rng, size: np.ndarray) -> float:
    """Add a table about the origin and return its height."""
    height, thick = float(rng.uniform(0.40, 0.75)), float(rng.uniform(0.02, 0.05))
    top = _material(spec, "table", _surface(rng), 1.0, cube=True)
    leg_rgba = [*rng.uniform(0.1, 0.9, 3), 1.0]
    kind = mujoco.mjtGeom.mjGEOM_BOX
    half = [0.5 * size[0], 0.5 * size[1], 0.5 * thick]
    spec.worldbody.add_geom(type=kind, size=half, pos=[0, 0, height - 0.5 * thick], material=top, **FIXED_BITS)
    for sx in (-1, 1):
        for sy in (-1, 1):
            at = [sx * (half[0] - 0.05), sy * (half[1] - 0.05), 0.5 * (height - thick)]
            spec.worldbody.add_geom(type=kind, size=[0.025, 0.025, at[2]], pos=at, rgba=leg_rgba, **FIXED_BITS)
    return height


def _place(things: list[SimObject], rng: Rng, size: np.ndarray, height: float, config: SceneConfig) -> list[np.ndarray]:
    """Return poses just above the support, apart from each other; what finds no room is dropped onto the others."""
    poses, taken = [], np.empty((0, 3))
    for thing in things:
        radius = 0.5 * float(np.linalg.norm(thing.size_m[:2]))
        spot, free = _free_spot(rng, np.maximum(0.5 * size - 0.7 * radius - 0.02, 0.02), radius, taken)
        taken = np.vstack([taken, [*spot, radius]])
        yaw = _turn(2, rng.uniform(-np.pi, np.pi))
        tipped = rng.random() < config.tipped_share
        rotation = yaw @ _turn(0, 0.5 * np.pi * rng.choice([-1.0, 1.0])) if tipped else yaw
        half_height = 0.5 * float(thing.size_m[1 if tipped else 2])
        pose = np.eye(4)
        pose[:3, :3] = rotation
        pose[:3, 3] = [*spot, height + half_height + (0.003 if free else 0.15)]
        poses.append(pose)
    return poses


def _free_spot(rng: Rng, reach: np.ndarray, radius: float, taken: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return a place (2,) within `reach` of the origin, and whether it is clear of the discs `taken` (K, 3)."""
    spots = rng.uniform(-reach, reach, (PLACING_TRIES, 2))
    gaps = np.linalg.norm(spots[:, None] - taken[:, :2], axis=2) - 0.9 * (taken[:, 2] + radius)
    clear = np.flatnonzero((gaps > 0.0).all(axis=1))
    return (spots[clear[0]], True) if len(clear) else (spots[0], False)


def _turn(axis: int, angle_rad: float) -> np.ndarray:
    c, s = np.cos(angle_rad), np.sin(angle_rad)
    rotation, (i, j) = np.eye(3), [(1, 2), (2, 0), (0, 1)][axis]
    rotation[i, i] = rotation[j, j] = c
    rotation[i, j], rotation[j, i] = -s, s
    return rotation
