# SPDX-License-Identifier: Apache-2.0
"""Messages of pixels and cells to Rerun: images, cameras, boxes in images, grids."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import rerun as rr
from numpy.typing import NDArray

from axon_demo.view_entries import Entry, frame_of, image_frame, in_frame, name_color, stamp_s

_JPEG_QUALITY = 85
_IMAGE_PLANE_M = 0.4
_PIXELS = {
    "rgb8": ("u1", 3),
    "bgr8": ("u1", 3),
    "rgba8": ("u1", 4),
    "bgra8": ("u1", 4),
    "mono8": ("u1", 1),
    "8UC1": ("u1", 1),
    "mono16": ("u2", 1),
    "16UC1": ("u2", 1),
    "32FC1": ("f4", 1),
}
"""Type and channels of a pixel, by the encodings of sensor_msgs that are shown."""
_TO_BGR = {"rgb8": cv2.COLOR_RGB2BGR, "rgba8": cv2.COLOR_RGBA2BGR, "bgra8": cv2.COLOR_BGRA2BGR}
_MM_PER_UNIT = {"32FC1": 1000.0, "16UC1": 1.0}


def image(path: str, msg: Any) -> Iterator[Entry]:
    """A colour image, compressed; a depth image (32FC1 in m, 16UC1 in mm); labels (mono16)."""
    yield _seen(path, msg.header, _archetype(msg))


def compressed_image(path: str, msg: Any) -> Iterator[Entry]:
    """A JPEG or PNG as it is, where the image itself would be, so that the topic's name makes no difference."""
    kind = "image/png" if "png" in msg.format.lower() else "image/jpeg"
    shown = rr.EncodedImage(contents=msg.data.tobytes(), media_type=kind)
    yield _seen(path.removesuffix("/compressed"), msg.header, shown)


def camera_info(path: str, msg: Any) -> Iterator[Entry]:
    """The projection from a camera's optical frame (x right, y down, z ahead) into its image."""
    frame, matrix = frame_of(msg.header), np.asarray(msg.k).reshape(3, 3)
    if matrix[0, 0] <= 0.0 or matrix[1, 1] <= 0.0:
        raise ValueError("the camera is not calibrated: its focal length is not positive")
    pinhole = rr.Pinhole(
        image_from_camera=matrix,
        resolution=[msg.width, msg.height],
        parent_frame=frame,
        child_frame=image_frame(frame),
        image_plane_distance=_IMAGE_PLANE_M,
    )
    # Colour and aligned depth share a frame, and a frame has one place where it is told.
    yield Entry(f"cameras/{frame}", (pinhole,), stamp_s(msg.header))


def detections_2d(path: str, msg: Any) -> Iterator[Entry]:
    """Boxes with category and score, over the image."""
    boxes = [detection.bbox for detection in msg.detections]
    names, labels = names_and_labels(msg.detections)
    shown = rr.Boxes2D(
        centers=np.array([[box.center.position.x, box.center.position.y] for box in boxes]).reshape(-1, 2),
        sizes=np.array([[box.size_x, box.size_y] for box in boxes]).reshape(-1, 2),
        labels=labels,
        colors=[name_color(name) for name in names],
        show_labels=True,
    )
    yield _seen(path, msg.header, shown)


def names_and_labels(detections: Any) -> tuple[list[str], list[str]]:
    """The best category of each detection, and the same with its score."""
    best = [max(one.results, key=lambda result: result.hypothesis.score, default=None) for one in detections]
    names = [result.hypothesis.class_id if result else "?" for result in best]
    scores = [result.hypothesis.score if result else 0.0 for result in best]
    return names, [f"{name} {score:.2f}" for name, score in zip(names, scores, strict=True)]


def grid(path: str, msg: Any) -> Iterator[Entry]:
    """An occupancy grid or a costmap, lying in its frame; maps a little below, so that both are seen."""
    info, costs = msg.info, "cost" in path  # costmap, guide_cost
    if len(msg.data) != info.width * info.height or not len(msg.data):
        raise ValueError(f"the grid of {info.width} x {info.height} cells comes with {len(msg.data)} values")
    position, turn = info.origin.position, info.origin.orientation
    # Row 0 of the message lies at the smallest y, row 0 of the picture at the largest.
    cells = msg.data.reshape(info.height, info.width)[::-1].view(np.uint8)
    shown = rr.GridMap(
        data=(_COST_COLORS if costs else _MAP_COLORS)[cells].tobytes(),
        format=rr.components.ImageFormat(info.width, info.height, color_model="RGBA", channel_datatype="U8"),
        cell_size=info.resolution,
        translation=[position.x, position.y, position.z - (0.01 if costs else 0.03)],
        quaternion=[turn.x, turn.y, turn.z, turn.w],
        opacity=0.99 if costs else 1.0,  # below 1 it is blended, over whatever is not
    )
    yield in_frame(frame_of(msg.header), path, msg.header, shown)


def _map_colors() -> NDArray[np.uint8]:
    """RGBA (256, 4) of a map's cells: unknown is nearly the dark of the view, free is dim, walls are bright."""
    share = np.linspace(0.0, 1.0, 101)[:, None]
    table = np.full((256, 4), (26, 29, 36, 255), np.uint8)
    table[:101] = (1.0 - share) * [74, 80, 96, 255] + share * [235, 238, 245, 255]
    return table


def _cost_colors() -> NDArray[np.uint8]:
    """RGBA (256, 4) of a costmap's cells, seen through: free and unknown are nothing, then ever warmer, 100 is hit."""
    turbo = cv2.applyColorMap(np.linspace(40, 235, 101).astype(np.uint8), cv2.COLORMAP_TURBO).reshape(-1, 3)[:, ::-1]
    table = np.zeros((256, 4), np.uint8)
    table[1:101, :3], table[1:101, 3] = turbo[1:], np.linspace(20, 100, 100)
    return table


_MAP_COLORS, _COST_COLORS = _map_colors(), _cost_colors()


def _seen(path: str, header: Any, shown: Any) -> Entry:
    """An entry in the image of the header's camera."""
    return in_frame(image_frame(str(header.frame_id).lstrip("/")), path, header, shown)


def _archetype(msg: Any) -> Any:
    pixels = _pixels(msg)
    if msg.encoding in _MM_PER_UNIT:
        return _depth_archetype(pixels, _MM_PER_UNIT[msg.encoding])
    if msg.encoding == "mono16":
        return rr.SegmentationImage(pixels)
    bgr = cv2.cvtColor(pixels, _TO_BGR[msg.encoding]) if msg.encoding in _TO_BGR else pixels
    jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1]
    return rr.EncodedImage(contents=jpeg.tobytes(), media_type="image/jpeg")


def _depth_archetype(depth: NDArray[Any], mm_per_unit: float) -> Any:
    """Depth in whole millimetres as a PNG, a tenth of the bytes; holes are 0, as Rerun has them."""
    depth_mm = np.nan_to_num(depth.astype(np.float32) * mm_per_unit, nan=0.0, posinf=0.0, neginf=0.0)
    pixels = np.clip(np.rint(depth_mm), 0.0, 65535.0).astype(np.uint16)
    png = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1]
    return rr.EncodedDepthImage(blob=png.tobytes(), media_type="image/png", meter=1000.0, colormap="turbo")


def _pixels(msg: Any) -> NDArray[Any]:
    """The pixels (H, W) or (H, W, C); rows may be padded."""
    if msg.encoding not in _PIXELS:
        raise ValueError(f"encoding {msg.encoding!r}: expected one of {', '.join(_PIXELS)}")
    code, channels = _PIXELS[msg.encoding]
    dtype = np.dtype(code).newbyteorder(">" if msg.is_bigendian else "<")
    row_bytes = msg.width * channels * dtype.itemsize
    if not row_bytes or msg.step < row_bytes or len(msg.data) != msg.step * msg.height:
        size = f"{msg.width} x {msg.height} {msg.encoding}, step {msg.step}, {len(msg.data)} bytes"
        raise ValueError(f"its size does not fit its data: {size}")
    rows = np.ascontiguousarray(msg.data.reshape(msg.height, msg.step)[:, :row_bytes]).view(dtype)
    shape = (msg.height, msg.width, channels) if channels > 1 else (msg.height, msg.width)
    return rows.reshape(shape).astype(dtype.newbyteorder("="), copy=False)
