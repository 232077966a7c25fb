# SPDX-License-Identifier: Apache-2.0
"""A textured box of a room, drawn exactly by casting a ray for each pixel, and a way around in it."""

from dataclasses import dataclass

import cv2
import numpy as np

from axon_core.cameras import PinholeCamera
from axon_core.geometry import se2_to_matrix
from axon_slam.runtime import OPTICAL

CAMERA = PinholeCamera(320, 240, 240.0, 240.0, 159.5, 119.5)
MOUNT = OPTICAL.copy()
MOUNT[2, 3] = 0.5


@dataclass(frozen=True)
class Room:
    """Walls, floor and ceiling at x, y = +-half_m, z = 0 and height_m, each with a texture of its own."""

    textures: tuple[np.ndarray, ...]
    half_m: float = 3.0
    height_m: float = 2.5
    texels_per_m: float = 60.0

    def look(self, room_T_camera: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the grey image (H, W) uint8 and the depth (H, W) float32 in m."""
        v, u = np.mgrid[: CAMERA.height, : CAMERA.width]
        pixels = np.stack([u.ravel(), v.ravel()], axis=1).astype(np.float64)
        rays = CAMERA.rays(pixels) @ room_T_camera[:3, :3].T
        origin = room_T_camera[:3, 3]
        depth, image = np.full(len(rays), np.inf), np.zeros(len(rays), dtype=np.uint8)
        for number, (axis, place) in enumerate(self._planes()):
            with np.errstate(divide="ignore", invalid="ignore"):
                at = (place - origin[axis]) / rays[:, axis]
            nearer = (at > 1e-6) & (at < depth)
            depth[nearer] = at[nearer]
            where = np.delete(origin + rays[nearer] * at[nearer, None], axis, axis=1)
            image[nearer] = self._texels(number, where)
        shape = (CAMERA.height, CAMERA.width)
        return image.reshape(shape), depth.reshape(shape).astype(np.float32)

    def _planes(self) -> list[tuple[int, float]]:
        half = self.half_m
        return [(0, half), (0, -half), (1, half), (1, -half), (2, 0.0), (2, self.height_m)]

    def _texels(self, number: int, where: np.ndarray) -> np.ndarray:
        texture = self.textures[number]
        at = np.floor((where + self.half_m) * self.texels_per_m).astype(np.intp)
        at = np.clip(at, 0, np.array(texture.shape) - 1)
        return texture[at[:, 0], at[:, 1]]


def make_room(seed: int) -> Room:
    """A room whose surfaces are covered with smooth blotches and sharp rectangles."""
    rng = np.random.default_rng(seed)
    return Room(tuple(_texture(rng) for _ in range(6)))


def _texture(rng: np.random.Generator) -> np.ndarray:
    size = 400
    texture = cv2.resize(rng.uniform(60, 200, (40, 40)), (size, size), interpolation=cv2.INTER_CUBIC)
    for _ in range(400):
        row, col = rng.integers(0, size - 30, 2)
        height, width = rng.integers(4, 28, 2)
        texture[row : row + height, col : col + width] = rng.uniform(0, 255)
    return np.clip(cv2.GaussianBlur(texture, (0, 0), 0.8), 0, 255).astype(np.uint8)


def around(count: int, radius_m: float = 1.0, turns: float = 1.0) -> np.ndarray:
    """Base poses (N, 4, 4) on a circle, heading along it."""
    angles = np.linspace(0.0, 2.0 * np.pi * turns, count)
    return np.array([se2_to_matrix([radius_m * np.cos(a), radius_m * np.sin(a), a + 0.5 * np.pi]) for a in angles])
