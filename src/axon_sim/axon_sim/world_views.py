# SPDX-License-Identifier: Apache-2.0
"""Labelled views of whole worlds from the robot's own camera, as it sees them on its way.

A world is settled once and then seen from any number of views: half of them look at one of its objects, the others
wherever the robot might stand and turn. Each view has its own lights and image noise, and a camera a little off.
"""

from dataclasses import dataclass

import cv2
import mujoco
import numpy as np

from axon_core.cameras import PinholeCamera
from axon_core.config import check_config, param
from axon_core.grids import OCCUPIED, Grid, distance_field_m
from axon_sim import robot
from axon_sim.scenes import GL_FROM_OPTICAL, LabelledImage, Truth, label, label_renderer, objects_of_geoms, photograph
from axon_sim.worlds import World, make_world

CAMERA = "camera_color"
SETTLE_S = 0.5
VIEW_TRIES = 50


@dataclass(frozen=True)
class ViewConfig:
    """From where a world is seen, and how."""

    image_width: int = param(320, "Width of the images", unit="px", minimum=32, maximum=1920)
    image_height: int = param(240, "Height of the images", unit="px", minimum=32, maximum=1080)
    object_share: float = param(0.5, "Share of views that look at an object", minimum=0.0, maximum=1.0)
    distance_min_m: float = param(0.45, "Nearest base to the object looked at", unit="m", minimum=0.1, maximum=5.0)
    distance_max_m: float = param(2.5, "Farthest base from the object looked at", unit="m", minimum=0.1, maximum=8.0)
    clearance_m: float = param(0.27, "From the base's centre to what it must not touch", unit="m", minimum=0.0)
    tilt_min_rad: float = param(0.0, "Least tilt of the camera; positive looks down", unit="rad")
    tilt_max_rad: float = param(0.8, "Greatest tilt of the camera", unit="rad")
    aim_noise_rad: float = param(0.18, "How far it looks past the object", unit="rad", minimum=0.0, maximum=1.0)
    pose_noise: float = param(1.0, "Scale of the camera's error of place (1 cm) and turn (0.01 rad)", minimum=0.0)
    noise: float = param(1.0, "Scale of blur, gain and noise in the colour images", minimum=0.0, maximum=5.0)
    light_noise: float = param(1.0, "Scale of the change of lights", minimum=0.0, maximum=3.0)
    min_pixels: int = param(16, "An object with fewer visible pixels is not labelled", minimum=1, maximum=10000)

    def __post_init__(self) -> None:
        check_config(self)


class WorldViews:
    """A settled world; `view(n)` draws it with its labels, the same for the same world and n."""

    def __init__(self, world: World, config: ViewConfig | None = None) -> None:
        self.world, self.config = world, config or ViewConfig()
        self.model = world.spec.compile()
        self.data = mujoco.MjData(self.model)
        self._bodies = np.array([self.model.body(item.name).id for item in world.objects], dtype=int)
        self._camera = self.model.camera(CAMERA).id
        self._tilt = self.model.joint(robot.CAMERA_JOINTS[0]).qposadr[0]
        self._lights = self.model.light_diffuse.copy(), self.model.vis.headlight.ambient.copy()
        self._free = _standing_room(world, self.config.clearance_m)
        self._settle()

    @property
    def camera(self) -> PinholeCamera:
        """Intrinsics of every view."""
        width, height = self.config.image_width, self.config.image_height
        focal = 0.5 * height / np.tan(0.5 * np.radians(float(self.model.cam_fovy[self._camera])))
        return PinholeCamera(width, height, focal, focal, 0.5 * (width - 1), 0.5 * (height - 1))

    def view(self, number: int) -> LabelledImage:
        """Return view `number` with its labels."""
        rng = np.random.default_rng([self.world.seed, 3, number])
        self._relight(rng)
        self._look(*self._stand(rng))
        self._shake(rng)
        width, height = self.config.image_width, self.config.image_height
        renderer = label_renderer(self.model, width, height, shadows=False)
        images = renderer.render(self.data, CAMERA)
        shown = objects_of_geoms(self.model, self._bodies)[renderer.geom_ids()]
        rgb = photograph(images.color, rng, self.config.noise)
        return label(rgb, images.depth_m, shown, self._truth(), self.config.min_pixels)

    def _truth(self) -> Truth:
        world_T_objects = np.tile(np.eye(4), (len(self._bodies), 1, 1))
        world_T_objects[:, :3, :3] = self.data.xmat[self._bodies].reshape(-1, 3, 3)
        world_T_objects[:, :3, 3] = self.data.xpos[self._bodies]
        world_T_camera = np.eye(4)
        world_T_camera[:3, :3] = self.data.cam_xmat[self._camera].reshape(3, 3) @ GL_FROM_OPTICAL
        world_T_camera[:3, 3] = self.data.cam_xpos[self._camera]
        return Truth(tuple(placed.item for placed in self.world.objects), world_T_objects, world_T_camera, self.camera)

    def _stand(self, rng: np.random.Generator) -> tuple[np.ndarray, float]:
        """Return a pose (3,) of the base on free floor, and a tilt of the camera."""
        config = self.config
        if len(self._bodies) and rng.random() < config.object_share:
            target = self.data.xpos[int(rng.choice(self._bodies))].copy()
            return self._stand_before(target, rng)
        spot = self._free[int(rng.integers(len(self._free)))]
        return np.append(spot, rng.uniform(-np.pi, np.pi)), float(rng.uniform(config.tilt_min_rad, config.tilt_max_rad))

    def _stand_before(self, target: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, float]:
        """Return a pose from which the camera looks at a point (3,)."""
        config = self.config
        away = np.linalg.norm(self._free - target[:2], axis=1)
        # log-uniform: near and far views in equal number
        wanted = np.exp(rng.uniform(np.log(config.distance_min_m), np.log(config.distance_max_m)))
        nearest = np.argsort(np.abs(away - wanted))[:VIEW_TRIES]
        spot = self._free[int(rng.choice(nearest))]
        ahead = target[:2] - spot
        tilt = np.arctan2(robot_camera_height_m(self.model) - target[2], np.linalg.norm(ahead))
        turn, down = rng.normal(0.0, config.aim_noise_rad, 2)
        yaw = np.arctan2(ahead[1], ahead[0]) + turn
        return np.array([*spot, yaw]), float(np.clip(tilt + down, config.tilt_min_rad, config.tilt_max_rad))

    def _look(self, pose: np.ndarray, tilt_rad: float) -> None:
        self._put_base(pose)
        self.data.qpos[self._tilt] = tilt_rad
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_camlight(self.model, self.data)

    def _put_base(self, pose: np.ndarray) -> None:
        x, y, yaw = pose
        self.data.qpos[:7] = [x, y, 0.0, np.cos(0.5 * yaw), 0.0, 0.0, np.sin(0.5 * yaw)]

    def _shake(self, rng: np.random.Generator) -> None:
        turn, _ = cv2.Rodrigues(rng.normal(0.0, 0.01 * self.config.pose_noise, 3))
        rotation = self.data.cam_xmat[self._camera].reshape(3, 3) @ turn
        self.data.cam_xmat[self._camera] = rotation.ravel()
        self.data.cam_xpos[self._camera] += rng.normal(0.0, 0.01 * self.config.pose_noise, 3)

    def _relight(self, rng: np.random.Generator) -> None:
        diffuse, ambient = self._lights
        scale = self.config.light_noise
        tint = np.exp(scale * rng.normal(0.0, 0.08, 3))
        self.model.light_diffuse[:] = diffuse * np.exp(scale * rng.normal(0.0, 0.25, (len(diffuse), 1))) * tint
        self.model.vis.headlight.ambient[:] = np.clip(ambient * np.exp(scale * rng.normal(0.0, 0.2)) * tint, 0.0, 1.0)

    def _settle(self) -> None:
        self._put_base(self.world.start)
        for name, angle in zip(robot.ARM_JOINTS, robot.ARM_FOLDED_RAD, strict=True):
            self.data.joint(name).qpos = angle
            self.data.ctrl[self.model.actuator(robot.actuator_name(name)).id] = angle
        mujoco.mj_step(self.model, self.data, round(SETTLE_S / self.model.opt.timestep))


def make_world_views(name: str, seed: int, config: ViewConfig | None = None) -> WorldViews:
    """Build a world by its name and seed (see `make_world`), to be seen."""
    return WorldViews(make_world(name, seed), config)


def robot_camera_height_m(model: mujoco.MjModel) -> float:
    """Return the height of the robot's camera over the floor when it looks straight ahead."""
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    mujoco.mj_camlight(model, data)
    return float(data.camera(CAMERA).xpos[2])


def _standing_room(world: World, clearance_m: float) -> np.ndarray:
    """Return the points (N, 2) where the base may stand; ValueError where there are none."""
    grid: Grid = world.ground_truth_grid(0.05)
    free = distance_field_m(grid.data == OCCUPIED, grid.resolution_m) > clearance_m
    inside = np.argwhere(free)
    if not len(inside):
        raise ValueError(f"world {world.name!r} has no room for a robot with clearance_m = {clearance_m}")
    return grid.centers_of(inside)
