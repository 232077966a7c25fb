# SPDX-License-Identifier: Apache-2.0
"""visualization_msgs markers to Rerun: all kinds but meshes from files; lifetimes are not kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import rerun as rr
from numpy.typing import NDArray

from axon_core.geometry import apply_transform, quat_xyzw_from_matrix
from axon_demo.view_entries import Entry, frame_of, stamp_s
from axon_demo.view_space import pose_transform

FloatArray = NDArray[np.float64]
_ARROW, _CUBE, _SPHERE, _CYLINDER, _LINE_STRIP, _LINE_LIST, _CUBES, _SPHERES, _POINTS, _TEXT, _MESH, _TRIANGLES = range(
    12
)
_DELETE, _DELETE_ALL = 2, 3
_SHAFT, _HEAD_RADIUS = 0.3, 0.5


def markers(path: str, msg: Any) -> Iterator[Entry]:
    """The markers of an array, each at the entity NAMESPACE/ID below the topic."""
    # One time for all of them: else what removes the last ones, without a stamp, would remove the new ones too.
    newest_s = max((stamp_s(one.header) or 0.0 for one in msg.markers), default=0.0) or None
    for one in msg.markers:
        yield from _marker(path, one, newest_s)


def marker(path: str, msg: Any) -> Iterator[Entry]:
    """A marker that comes alone."""
    yield from _marker(path, msg, stamp_s(msg.header))


def _marker(path: str, msg: Any, time_s: float | None) -> Iterator[Entry]:
    below = f"{path}/{msg.ns}" if msg.ns else path
    if msg.action == _DELETE_ALL:
        yield Entry(below, (rr.Clear(recursive=True),), time_s)
    elif msg.action == _DELETE:
        yield Entry(f"{below}/{msg.id}", (rr.Clear(recursive=True),), time_s)
    elif msg.type in _SHAPES:
        shape = _SHAPES[msg.type](msg)
        yield Entry(f"{below}/{msg.id}", (rr.CoordinateFrame(frame_of(msg.header)), shape), time_s)
    else:
        raise ValueError(f"markers of type {msg.type} are not shown")


def _arrow(msg: Any) -> Any:
    """From the first point to the second, or along x of the pose by the scale's length."""
    start, end = _points(msg)[:2] if len(msg.points) == 2 else _along_x(msg)
    width = msg.scale.x if len(msg.points) == 2 else msg.scale.y
    return rr.Arrows3D(origins=[start], vectors=[end - start], radii=0.5 * width, colors=_colors(msg))


def _along_x(msg: Any) -> FloatArray:
    return apply_transform(pose_transform(msg.pose), [[0.0, 0.0, 0.0], [msg.scale.x, 0.0, 0.0]])


def _cubes(msg: Any) -> Any:
    centers = _centers(msg)
    return rr.Boxes3D(
        sizes=[_scale(msg)] * len(centers), fill_mode="solid", colors=_colors(msg), **_place(msg, centers)
    )


def _spheres(msg: Any) -> Any:
    centers = _centers(msg)
    halves = [0.5 * _scale(msg)] * len(centers)
    return rr.Ellipsoids3D(half_sizes=halves, fill_mode="solid", colors=_colors(msg), **_place(msg, centers))


def _cylinder(msg: Any) -> Any:
    """Round: the scale's x is taken for both diameters."""
    radii, lengths = [0.5 * msg.scale.x], [msg.scale.z]
    place = _place(msg, _centers(msg))
    return rr.Cylinders3D(lengths=lengths, radii=radii, fill_mode="solid", colors=_colors(msg), **place)


def _line_strip(msg: Any) -> Any:
    """One line; where each point has a colour, its pieces have those of their first points."""
    points, colors = _points(msg), _colors(msg)
    if len(colors) < len(points) or len(points) < 2:
        return rr.LineStrips3D([points], radii=0.5 * msg.scale.x, colors=colors[:1])
    pieces = np.stack([points[:-1], points[1:]], axis=1)
    return rr.LineStrips3D(pieces, radii=0.5 * msg.scale.x, colors=colors[: len(pieces)])


def _line_list(msg: Any) -> Any:
    pairs = _points(msg)[: len(msg.points) // 2 * 2].reshape(-1, 2, 3)
    return rr.LineStrips3D(
        pairs, radii=0.5 * msg.scale.x, colors=_colors(msg)[::2] if len(msg.colors) else _colors(msg)
    )


def _dots(msg: Any) -> Any:
    return rr.Points3D(_points(msg), radii=0.5 * msg.scale.x, colors=_colors(msg))


def _text(msg: Any) -> Any:
    place = pose_transform(msg.pose)[:3, 3]
    return rr.Points3D([place], labels=[msg.text], show_labels=True, radii=0.0, colors=_colors(msg))


def _triangles(msg: Any) -> Any:
    vertices = _points(msg)[: len(msg.points) // 3 * 3]
    colors = _colors(msg) if len(msg.colors) == len(vertices) else np.repeat(_colors(msg)[:1], len(vertices), axis=0)
    return rr.Mesh3D(vertex_positions=vertices, vertex_colors=colors)


def _points(msg: Any) -> FloatArray:
    """The marker's points (N, 3) in its frame."""
    points = np.array([[point.x, point.y, point.z] for point in msg.points]).reshape(-1, 3)
    return apply_transform(pose_transform(msg.pose), points)


def _centers(msg: Any) -> FloatArray:
    """Where the shapes stand: at each point of a list, else at the pose."""
    return _points(msg) if msg.type in (_CUBES, _SPHERES) else pose_transform(msg.pose)[:3, 3][None]


def _place(msg: Any, centers: FloatArray) -> dict[str, Any]:
    turn = quat_xyzw_from_matrix(pose_transform(msg.pose))
    return {"centers": centers, "quaternions": np.tile(turn, (len(centers), 1))}


def _scale(msg: Any) -> FloatArray:
    return np.array([msg.scale.x, msg.scale.y, msg.scale.z])


def _colors(msg: Any) -> NDArray[np.uint8]:
    """RGBA (N, 4): one for all, or one a point."""
    colors = msg.colors if len(msg.colors) else [msg.color]
    values = np.array([[one.r, one.g, one.b, one.a] for one in colors])
    return np.clip(255.0 * values, 0.0, 255.0).astype(np.uint8)


_SHAPES: dict[int, Callable[[Any], Any]] = {
    _ARROW: _arrow,
    _CUBE: _cubes,
    _SPHERE: _spheres,
    _CYLINDER: _cylinder,
    _LINE_STRIP: _line_strip,
    _LINE_LIST: _line_list,
    _CUBES: _cubes,
    _SPHERES: _spheres,
    _POINTS: _dots,
    _TEXT: _text,
    _TRIANGLES: _triangles,
}
