# SPDX-License-Identifier: Apache-2.0
"""Household objects by category and seed, ready to be put into a MuJoCo specification."""

from dataclasses import dataclass, replace

import mujoco
import numpy as np
from numpy.typing import ArrayLike

from axon_core.config import closest_text
from axon_core.geometry import check_transform, quat_xyzw_from_matrix
from axon_sim.contact_bits import DECOR_GROUP, HIDDEN_BITS, LOOSE_BITS
from axon_sim.objects.families import FAMILIES, Member, Solid, clutter
from axon_sim.objects.meshes import Mesh

CATEGORIES = tuple(sorted(FAMILIES))
CLUTTER = "clutter"
SOLID_UNSEEN_GROUP = 4  # met by the lidar, not drawn


@dataclass(frozen=True)
class SimObject:
    """One object. Its frame has its origin in the middle of its bounding box; z is up in its usual rest pose.

    size_m (3,) is the bounding box; grasp_width_m what two fingers span at the easiest place.
    """

    category: str
    seed: int
    size_m: np.ndarray
    mass_kg: float
    grasp_width_m: float
    density_kgpm3: float
    mesh: Mesh
    image: np.ndarray
    solids: tuple[Solid, ...]
    specular: float
    shininess: float
    friction: tuple[float, float, float]

    def add_to(self, spec: mujoco.MjSpec, world_T_object: ArrayLike, name: str) -> "mujoco.MjsBody":
        """Add the object as a free body called `name` at a pose (4, 4); its joint is called `name`_free."""
        pose = check_transform(world_T_object, "world_T_object")
        body = spec.worldbody.add_body(name=name, pos=pose[:3, 3], quat=quat_wxyz(pose[:3, :3]))
        body.add_freejoint(name=f"{name}_free")
        self._add_inertia(body)
        self._add_look(spec, body, name)
        for solid in self.solids:
            self._add_solid(body, solid)
        return body

    def _add_inertia(self, body: "mujoco.MjsBody") -> None:
        center, inertia = self.mesh.inertia(self.mass_kg)
        body.explicitinertial = True
        body.mass, body.ipos = self.mass_kg, center
        body.fullinertia = [*np.diag(inertia), inertia[0, 1], inertia[0, 2], inertia[1, 2]]

    def _add_look(self, spec: mujoco.MjSpec, body: "mujoco.MjsBody", name: str) -> None:
        rows, columns = self.image.shape[:2]
        texture = spec.add_texture(
            name=name, type=mujoco.mjtTexture.mjTEXTURE_2D, nchannel=3, width=columns, height=rows
        )
        texture.data = self.image.tobytes()
        material = spec.add_material(name=name, specular=self.specular, shininess=self.shininess)
        material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name
        spec.add_mesh(
            name=name,
            # every face its own corners: MuJoCo 3.17 mixes normals up that have faces of their own
            uservert=self.mesh.vertices[self.mesh.faces].ravel(),
            userface=np.arange(self.mesh.faces.size),
            usernormal=self.mesh.normals().ravel(),
            usertexcoord=self.mesh.uvs[self.mesh.uv_faces].ravel(),
            inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL,
        )
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_MESH, meshname=name, material=name, group=DECOR_GROUP, mass=0.0, **HIDDEN_BITS
        )

    def _add_solid(self, body: "mujoco.MjsBody", solid: Solid) -> None:
        body.add_geom(
            type=solid.kind,
            size=list(solid.size),
            pos=solid.center_m,
            quat=quat_wxyz(solid.rotation),
            group=SOLID_UNSEEN_GROUP,
            condim=6,
            friction=list(self.friction),
            **LOOSE_BITS,
        )


def make_object(category: str, seed: int) -> SimObject:
    """Return the member of a category (see CATEGORIES) that a seed stands for; the same seed, the same object."""
    if category not in FAMILIES:
        raise ValueError(f"unknown category '{category}'{closest_text(category, FAMILIES)}")
    if seed < 0:
        raise ValueError(f"seed = {seed}: expected 0 or more")
    rng = np.random.default_rng([seed, *category.encode()])
    return _finished(category, seed, FAMILIES[category](rng), rng)


def make_clutter(seed: int) -> SimObject:
    """Return a thing of no category, to be told apart from the objects."""
    rng = np.random.default_rng([seed, *CLUTTER.encode()])
    return _finished(CLUTTER, seed, clutter(rng), rng)


def quat_wxyz(rotation: np.ndarray) -> np.ndarray:
    """Return MuJoCo's quaternion [w, x, y, z] of a rotation matrix (3, 3)."""
    return np.roll(quat_xyzw_from_matrix(rotation), 1)


def _finished(category: str, seed: int, member: Member, rng: np.random.Generator) -> SimObject:
    low, high = member.mesh.bounds_m()
    middle = 0.5 * (low + high)
    return SimObject(
        category=category,
        seed=seed,
        size_m=high - low,
        mass_kg=member.density_kgpm3 * member.mesh.volume_m3(),
        grasp_width_m=member.grasp_width_m,
        density_kgpm3=member.density_kgpm3,
        mesh=member.mesh.moved(-middle),
        image=member.image,
        solids=tuple(replace(solid, center_m=solid.center_m - middle) for solid in member.solids),
        specular=member.specular,
        shininess=member.shininess,
        friction=(float(rng.uniform(0.6, 1.0)), 0.01, member.rolling_friction),
    )
