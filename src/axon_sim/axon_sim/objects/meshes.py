# SPDX-License-Identifier: Apache-2.0
"""Closed triangle meshes by turning, sweeping and extruding. Metres; faces run counter-clockwise seen from outside.

Texture coordinates (u, v) count from the image's upper left corner, u along the columns. The upper three quarters of an
image hold the LABEL, the rest four SWATCHES of one colour each (textures.py draws both).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import coo_matrix

LABEL = -1
LABEL_SHARE = 0.75
LABEL_RECT = (0.0, 0.005, 1.0, 0.745)  # u0, v0, u1, v1
SWATCHES = 4
CREASE_RAD = np.radians(50.0)
Rect = tuple[float, float, float, float]


@dataclass(frozen=True)
class Mesh:
    """Vertices (N, 3), faces (M, 3), texture coordinates uvs (K, 2) with their own faces uv_faces (M, 3).

    `chunks` are index arrays of vertices; the union of their convex hulls is the body with its hollows filled.
    """

    vertices: np.ndarray
    faces: np.ndarray
    uvs: np.ndarray
    uv_faces: np.ndarray
    chunks: tuple[np.ndarray, ...]

    def moved(self, translation_m: Sequence[float]) -> "Mesh":
        """Return the mesh moved."""
        return replace(self, vertices=self.vertices + np.asarray(translation_m, dtype=np.float64))

    def volume_m3(self) -> float:
        """Return the enclosed volume by the divergence theorem; positive where the faces turn outward."""
        return float(self._determinants().sum() / 6.0)

    def is_watertight(self) -> bool:
        """Say whether every edge lies between two faces that run along it in opposite directions."""
        edges = np.concatenate([self.faces[:, [i, (i + 1) % 3]] for i in range(3)])
        forward = {(a, b) for a, b in edges.tolist()}
        return len(forward) == len(edges) and all((b, a) in forward for a, b in forward)

    def bounds_m(self) -> np.ndarray:
        """Return the lower and the upper corner (2, 3) of the axis-aligned bounding box."""
        return np.stack([self.vertices.min(axis=0), self.vertices.max(axis=0)])

    def inertia(self, mass_kg: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the centre of mass (3,) and the inertia about it (3, 3), the mass spread evenly in the volume."""
        det, corners = self._determinants(), self.vertices[self.faces]
        center = (det[:, None] * corners.sum(axis=1)).sum(axis=0) / (4.0 * det.sum())
        # second moments of a tetrahedron with one corner at the centre: det/120 sum_ij (1 + delta_ij) p_i p_j^T
        moments = np.einsum("f,fia,ij,fjb->ab", *self._moment_terms(center)) / 120.0
        moments *= mass_kg / self.volume_m3()
        return center, np.trace(moments) * np.eye(3) - moments

    def normals(self) -> np.ndarray:
        """Return unit normals (3 M, 3) of the face corners: smooth, but for edges sharper than 50 degrees."""
        a, b, c = np.moveaxis(self.vertices[self.faces], 1, 0)
        weighted = np.cross(b - a, c - a).repeat(3, axis=0)
        unit = weighted / np.linalg.norm(weighted, axis=1, keepdims=True)
        corners = np.arange(self.faces.size)
        at = coo_matrix((np.ones(corners.size), (corners, self.faces.ravel())), (corners.size, len(self.vertices)))
        pairs = (at @ at.T).tocoo()
        smooth = np.einsum("ij,ij->i", unit[pairs.row], unit[pairs.col]) > np.cos(CREASE_RAD)
        total = np.zeros_like(unit)
        np.add.at(total, pairs.row[smooth], weighted[pairs.col[smooth]])
        return total / np.linalg.norm(total, axis=1, keepdims=True)

    def _determinants(self) -> np.ndarray:
        return np.linalg.det(self.vertices[self.faces])

    def _moment_terms(self, center: np.ndarray) -> tuple[np.ndarray, ...]:
        corners = self.vertices[self.faces] - center
        return np.linalg.det(corners), corners, np.eye(3) + 1.0, corners


def merge(meshes: Sequence[Mesh]) -> Mesh:
    """Return several closed meshes as one; they may overlap."""
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    uv_starts = np.cumsum([0, *(len(mesh.uvs) for mesh in meshes)])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.faces + start for mesh, start in zip(meshes, starts[:-1], strict=True)]),
        np.concatenate([mesh.uvs for mesh in meshes]),
        np.concatenate([mesh.uv_faces + start for mesh, start in zip(meshes, uv_starts[:-1], strict=True)]),
        tuple(chunk + start for mesh, start in zip(meshes, starts[:-1], strict=True) for chunk in mesh.chunks),
    )


def lathe(profile: Sequence[Sequence[float]], paint: Sequence[int], sides: int = 32) -> Mesh:
    """Turn a profile of (radius, z) about the z axis, from the axis below, outward and up, back to the axis.

    `paint` names for every step of the profile the LABEL or a swatch; the label spreads over its steps by their length.
    """
    points = np.asarray(profile, dtype=np.float64)
    angles = np.linspace(0.0, 2.0 * np.pi, sides, endpoint=False)
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    rings = np.concatenate(
        [points[:, None, :1] * ring, np.broadcast_to(points[:, None, 1:], (len(points), sides, 1))], axis=2
    )
    return _sweep(rings, paint)


def tube(path: np.ndarray, radii: Sequence[float], paint: int, sides: int = 12, flat: float = 1.0) -> Mesh:
    """Sweep a circle along a path (P, 3) that lies in a plane z = const or y = const; both ends are closed flat.

    `flat` squeezes the circle across the path's plane.
    """
    path = np.asarray(path, dtype=np.float64)
    tangents = np.gradient(path, axis=0)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    across = np.array([0.0, 0.0, 1.0]) if np.ptp(path[:, 2]) < 1e-9 else np.array([0.0, 1.0, 0.0])
    inward = np.cross(across, tangents)
    angles = np.linspace(0.0, 2.0 * np.pi, sides, endpoint=False)[:, None]
    spokes = np.cos(angles) * inward[:, None] + flat * np.sin(angles) * np.cross(tangents, inward)[:, None]
    rings = path[:, None] + np.asarray(radii)[:, None, None] * spokes
    ends = np.broadcast_to(path[[0, -1], None], (2, sides, 3))
    return _sweep(np.concatenate([ends[:1], rings, ends[1:]]), [paint] * (len(path) + 1))


def box(size: Sequence[float], faces: Sequence[Rect | int]) -> Mesh:
    """Return a box about the origin, `faces` = the image's rectangle or a swatch for -x, +x, -y, +y, -z, +z."""
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float64)
    # corners of each face as its image's upper left, lower left, lower right, upper right seen from outside
    quads = np.array([[3, 2, 0, 1], [5, 4, 6, 7], [1, 0, 4, 5], [7, 6, 2, 3], [0, 2, 6, 4], [3, 1, 5, 7]])
    uvs = np.concatenate([_rect_corners(face) for face in faces])
    uv_quads = np.arange(24).reshape(6, 4)
    chunk = (np.arange(8),)
    return Mesh(0.5 * signs * np.asarray(size), _split(quads), uvs, _split(uv_quads), chunk)


def extrude(outline: np.ndarray, height: float, side: int, caps: int) -> Mesh:
    """Raise an outline (P, 2), counter-clockwise and star-shaped about the origin, from z = 0 to `height`."""
    count = len(outline)
    ring = np.column_stack([outline, np.zeros(count)])
    top = np.array([0.0, 0.0, height])
    axis = np.zeros((count, 3))
    mesh = _sweep(np.stack([axis, ring, ring + top, axis + top]), [caps, side, caps])
    index = np.arange(count)
    following = (index + 1) % count
    wedges = np.stack(
        [np.zeros(count, int), index + 1, following + 1, index + 1 + count, following + 1 + count], axis=1
    )
    return replace(mesh, chunks=tuple(np.append(wedge, 2 * count + 1) for wedge in wedges))


def swatch_uv(index: int) -> tuple[float, float]:
    """Return the middle of a swatch."""
    return (index + 0.5) / SWATCHES, 0.5 * (1.0 + LABEL_SHARE)


def _sweep(rings: np.ndarray, paint: Sequence[int]) -> Mesh:
    """Join rings (P, S, 3), the first and the last of which are single points, by triangles."""
    count, sides = rings.shape[:2]
    grid = 1 + (np.arange(count)[:, None] - 1) * sides + np.arange(sides)
    grid[0], grid[-1] = 0, 1 + (count - 2) * sides
    vertices = np.concatenate([rings[0, :1], rings[1:-1].reshape(-1, 3), rings[-1, :1]])
    near, far = grid[:-1], grid[1:]
    quads = np.stack([near, np.roll(near, -1, 1), np.roll(far, -1, 1), far], axis=-1).reshape(-1, 4)
    uvs, uv_quads = _sweep_uvs(rings, paint)
    faces, uv_faces = _split(quads), _split(uv_quads)
    real = (faces != np.roll(faces, 1, axis=1)).all(axis=1)
    chunks = tuple(np.unique(grid[i : i + 2]) for i in range(1, count - 2))
    return Mesh(vertices, faces[real], uvs, uv_faces[real], chunks)


def _sweep_uvs(rings: np.ndarray, paint: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    steps, sides = len(rings) - 1, rings.shape[1]
    if len(paint) != steps:
        raise ValueError(f"paint: expected one entry for each of {steps} steps, got {len(paint)}")
    labelled = np.asarray(paint) == LABEL
    lengths = np.linalg.norm(np.diff(rings[:, 0], axis=0), axis=1) * labelled
    along = np.concatenate([[0.0], np.cumsum(lengths)]) / max(lengths.sum(), 1e-12)
    u0, v0, u1, v1 = LABEL_RECT
    uvs = np.empty((steps, 2, sides + 1, 2))
    uvs[..., 0] = u0 + (u1 - u0) * np.linspace(0.0, 1.0, sides + 1)
    uvs[..., 1] = (v1 + (v0 - v1) * np.stack([along[:-1], along[1:]], axis=1))[:, :, None]
    for step in np.flatnonzero(~labelled):
        uvs[step] = swatch_uv(paint[step])
    index = np.arange(uvs[..., 0].size).reshape(steps, 2, sides + 1)
    quads = np.stack([index[:, 0, :-1], index[:, 0, 1:], index[:, 1, 1:], index[:, 1, :-1]], axis=-1)
    return uvs.reshape(-1, 2), quads.reshape(-1, 4)


def _split(quads: np.ndarray) -> np.ndarray:
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def _rect_corners(face: Rect | int) -> np.ndarray:
    u0, v0, u1, v1 = (*swatch_uv(face), *swatch_uv(face)) if isinstance(face, int) else face
    return np.array([[u0, v0], [u0, v1], [u1, v1], [u1, v0]])
