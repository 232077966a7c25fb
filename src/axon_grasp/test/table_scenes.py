# SPDX-License-Identifier: Apache-2.0
"""A box on an endless table, and the depth that a camera measures of it, by rays: a world with a known answer."""

from dataclasses import dataclass

import numpy as np

from axon_core.cameras import PinholeCamera

CAMERA = PinholeCamera(320, 240, 230.5, 230.5, 159.5, 119.5)


@dataclass(frozen=True)
class BoxScene:
    """A box of full edge lengths at (x, y), turned by yaw, on a table of a height, in the base's frame."""

    size_m: tuple[float, float, float] = (0.06, 0.10, 0.08)
    place_m: tuple[float, float] = (0.45, 0.0)
    yaw_rad: float = 0.0
    table_m: float = 0.55

    @property
    def target_m(self) -> np.ndarray:
        """The middle of the box."""
        return np.array([*self.place_m, self.table_m + 0.5 * self.size_m[2]])

    def turned(self, angle_rad: float) -> "BoxScene":
        """The scene turned about the base's z."""
        x, y = turn(angle_rad)[:2, :2] @ self.place_m
        return BoxScene(self.size_m, (x, y), self.yaw_rad + angle_rad, self.table_m)

    def depth(self, base_T_camera: np.ndarray, camera: PinholeCamera = CAMERA) -> np.ndarray:
        """Cast a ray through every pixel; float32, NaN where it meets nothing."""
        v, u = np.indices((camera.height, camera.width))
        rays = camera.rays(np.stack([u.ravel(), v.ravel()], axis=-1)) @ base_T_camera[:3, :3].T
        eye = base_T_camera[:3, 3]
        with np.errstate(divide="ignore", invalid="ignore"):
            table = (self.table_m - eye[2]) / rays[:, 2]
            box = self._box_depth(eye, rays)
        depth = np.fmin(np.where(table > 0.0, table, np.nan), box)
        return depth.reshape(camera.height, camera.width).astype(np.float32)

    def _box_depth(self, eye: np.ndarray, rays: np.ndarray) -> np.ndarray:
        box_R_base = turn(self.yaw_rad)[:3, :3].T
        start, along = box_R_base @ (eye - self.target_m), rays @ box_R_base.T
        half = 0.5 * np.array(self.size_m)
        near, far = (-np.sign(along) * half - start) / along, (np.sign(along) * half - start) / along
        enter, leave = near.max(axis=1), far.min(axis=1)
        return np.where((enter <= leave) & (enter > 0.0), enter, np.nan)


def turn(angle_rad: float) -> np.ndarray:
    """Return the (4, 4) rotation about z."""
    pose, (c, s) = np.eye(4), (np.cos(angle_rad), np.sin(angle_rad))
    pose[:2, :2] = [[c, -s], [s, c]]
    return pose


def camera_at(eye: tuple[float, float, float], target: np.ndarray) -> np.ndarray:
    """Return base_T_camera (4, 4) of an optical frame that looks at a point, level."""
    forward = (target - np.array(eye)) / np.linalg.norm(target - np.array(eye))
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.column_stack([right, np.cross(forward, right), forward])
    pose[:3, 3] = eye
    return pose


MAST = (-0.145, 0.0, 1.116)
