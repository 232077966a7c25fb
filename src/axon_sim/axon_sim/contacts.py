# SPDX-License-Identifier: Apache-2.0
"""Which parts of the robot touch what."""

from dataclasses import dataclass

import mujoco
import numpy as np

GRIPPING_GEOMS = ("gripper_left_finger", "gripper_right_finger", "gripper_palm")


@dataclass(frozen=True)
class ContactReport:
    """`bumper`: the base touches something now. `collisions`: how often the robot has begun to touch anything but the
    floor, or a loose thing with its gripper, since the reset; `names` says what, as part/thing, once each."""

    bumper: bool
    collisions: int
    names: tuple[str, ...]


class ContactMonitor:
    """Counts collisions: a pair of robot part and thing that was apart for half a second and touches is a new one."""

    APART_TICKS = 50

    def __init__(self, model: mujoco.MjModel):
        roots = model.body_rootid[model.geom_bodyid]
        self._is_robot = roots == model.body("base_link").id
        self._is_floor = np.array([model.geom(i).name == "floor" for i in range(model.ngeom)])
        self._is_loose = ~self._is_robot & (model.geom_contype == 8)
        self._is_gripping = np.array([model.geom(i).name in GRIPPING_GEOMS for i in range(model.ngeom)])
        self._base = model.geom("base_body").id
        self._model = model
        self._tick = 0
        self._last_touch: dict[str, int] = {}
        self._collisions = 0
        self._bumper = False

    def update(self, data: mujoco.MjData) -> None:
        """Look at the present contacts; call once a tick."""
        self._tick += 1
        self._bumper = False
        pairs = data.contact.geom
        touching = self._is_robot[pairs].any(axis=1) & ~self._is_floor[pairs].any(axis=1)
        for first, second in pairs[touching]:
            part, thing = (first, second) if self._is_robot[first] else (second, first)
            self._bumper |= part == self._base
            if not (self._is_gripping[part] and self._is_loose[thing]):
                self._count(f"{self._label(part)}/{self._label(thing)}")

    def report(self) -> ContactReport:
        """Return the present state and the count since the start."""
        return ContactReport(bool(self._bumper), self._collisions, tuple(self._last_touch))

    def _count(self, name: str) -> None:
        if self._tick - self._last_touch.get(name, -self.APART_TICKS) >= self.APART_TICKS:
            self._collisions += 1
        self._last_touch[name] = self._tick

    def _label(self, geom: int) -> str:
        body = self._model.body(self._model.geom_bodyid[geom]).name
        return body if body != "world" else self._model.geom(geom).name
