# SPDX-License-Identifier: Apache-2.0
"""The robot's links as a tree of transforms."""

from dataclasses import dataclass

import mujoco
import numpy as np


@dataclass(frozen=True)
class LinkPose:
    """parent_T_child: position (3,) and quaternion [x, y, z, w]."""

    parent: str
    child: str
    position_m: np.ndarray
    quat_xyzw: np.ndarray


class LinkTree:
    """Reads parent_T_child of every link below base_link; a link without a joint is fixed."""

    def __init__(self, model: mujoco.MjModel):
        base = model.body("base_link").id
        bodies = np.flatnonzero(model.body_rootid == base)
        bodies = bodies[bodies != base]
        jointed = model.body_jntnum[bodies] > 0
        self._model, self._fixed, self._moving = model, bodies[~jointed], bodies[jointed]

    def fixed(self) -> list[LinkPose]:
        """Return the links that never move against their parents."""
        model = self._model
        return [self._pose(body, model.body_pos[body], model.body_quat[body]) for body in self._fixed]

    def moving(self, data: mujoco.MjData) -> list[LinkPose]:
        """Return the links that hang on joints, as they are now."""
        return [self._relative(data, body) for body in self._moving]

    def _relative(self, data: mujoco.MjData, body: int) -> LinkPose:
        parent = self._model.body_parentid[body]
        inverse, quat, offset = np.empty(4), np.empty(4), np.empty(3)
        mujoco.mju_negQuat(inverse, data.xquat[parent])
        mujoco.mju_mulQuat(quat, inverse, data.xquat[body])
        mujoco.mju_rotVecQuat(offset, data.xpos[body] - data.xpos[parent], inverse)
        return self._pose(body, offset, quat)

    def _pose(self, body: int, position: np.ndarray, quat_wxyz: np.ndarray) -> LinkPose:
        parent = self._model.body_parentid[body]
        return LinkPose(
            self._model.body(parent).name, self._model.body(body).name, np.array(position), np.roll(quat_wxyz, -1)
        )
