# SPDX-License-Identifier: Apache-2.0
"""One camera for the network, whatever camera took the image.

A network that learns metric depth from cameras of many focal lengths cannot tell "near" from "zoomed in". As in
Metric3D (Yin et al. 2023, section 3.2, CSTM_label) it therefore answers for one canonical camera: the image is left as
it is, and depth is scaled by the ratio of the focal lengths, both in pixels of the network's input,

    depth = canonical_depth * focal / CANONICAL_FOCAL_PX.                                                           (1)

Things keep their size in pixels under this scaling, and a level camera's floor keeps its place in the image whatever
the focal length.

Where height and attitude of the camera over the floor are known, the floor's depth in every pixel is too: the plane
up . p = -height seen along the ray p = depth * ray has

    1 / depth = -(up . ray) / height,                                                                               (2)

which is zero at the horizon and negative above it. Nothing below the horizon that stands on the floor is farther.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from axon_core.arrays import AnyArray, Float32Array, FloatArray
from axon_core.cameras import PinholeCamera
from axon_core.checks import check_array, check_number
from axon_core.geometry import check_transform
from axon_core.images import Letterbox, check_image, fit_letterbox

INPUT_HEIGHT_PX, INPUT_WIDTH_PX = 96, 128
CANONICAL_FOCAL_PX = 92.0
"""About the focal length of a 320 x 240 camera with a vertical view of 55 degrees, in the network's input."""


@dataclass(frozen=True)
class Floor:
    """A camera over a level floor: its height in m, and the direction up (3,), of length 1, in its optical frame."""

    height_m: float
    up: tuple[float, float, float]

    def __post_init__(self) -> None:
        if not check_number("height_m", self.height_m) > 0.0:
            raise ValueError(f"height_m = {self.height_m}: expected a camera above the floor")
        up = check_array("up", self.up, shape=(3,))
        if not abs(np.linalg.norm(up) - 1.0) < 1e-3:
            raise ValueError(f"up = {self.up}: expected a direction of length 1")


def floor_below(floor_T_camera: FloatArray) -> Floor:
    """Return the floor z = 0 of a frame in which the camera's optical frame has the pose `floor_T_camera` (4, 4)."""
    pose = check_transform(floor_T_camera, "floor_T_camera")
    x, y, z = pose[2, :3].tolist()
    return Floor(float(pose[2, 3]), (x, y, z))


@dataclass(frozen=True)
class Placement:
    """Where an image lies in the network's input, and its camera there.

    `focal_px` is the geometric mean of both focal lengths; in (`principal_column_px`, `principal_row_px`) the optical
    axis meets the input.
    """

    letterbox: Letterbox
    focal_px: float
    principal_column_px: float
    principal_row_px: float

    @property
    def depth_scale(self) -> float:
        """Metres of depth for one metre of canonical depth, (1)."""
        return self.focal_px / CANONICAL_FOCAL_PX


def place(camera: PinholeCamera) -> Placement:
    """Return how images of a camera are put before the network: as large as they fit, centred."""
    box = fit_letterbox(camera.height, camera.width, INPUT_HEIGHT_PX, INPUT_WIDTH_PX)
    focal_px = box.scale * float(np.sqrt(camera.fx * camera.fy))
    column, row = box.scale * (camera.cx + 0.5) - 0.5, box.scale * (camera.cy + 0.5) - 0.5
    return Placement(box, focal_px, column + box.offset_x, row + box.offset_y)


def inverse_floor(
    floor: Floor, shape: tuple[int, int], focal_px: float, axis_px: tuple[float, float], depth_scale: float
) -> Float32Array:
    """Return 1 / canonical depth of the floor (H, W) in 1/m, by (2) and (1), for a camera whose axis is at (u, v)."""
    x = (np.arange(shape[1]) - axis_px[0]) / focal_px
    y = (np.arange(shape[0]) - axis_px[1]) / focal_px
    along_up = floor.up[0] * x[None, :] + floor.up[1] * y[:, None] + floor.up[2]
    return np.asarray(-along_up * (depth_scale / floor.height_m), dtype=np.float32)


def network_floor(floor: Floor | None, placement: Placement) -> dict[str, Float32Array]:
    """Return the network's inputs of what is known of the floor."""
    shape = (INPUT_HEIGHT_PX, INPUT_WIDTH_PX)
    if floor is None:
        return {"inverse_floor": np.zeros((1, 1, *shape), np.float32), "floor_known": np.zeros(1, np.float32)}
    axis_px = placement.principal_column_px, placement.principal_row_px
    inverse = inverse_floor(floor, shape, placement.focal_px, axis_px, placement.depth_scale)
    return {"inverse_floor": inverse[None, None], "floor_known": np.ones(1, np.float32)}


def network_image(image: AnyArray, placement: Placement) -> Float32Array:
    """Return an image (H, W, 3) RGB uint8 as the network's input (1, 3, INPUT_HEIGHT_PX, INPUT_WIDTH_PX), 0 .. 1.

    What the image does not fill repeats its border, where a grey bar would be an edge that no training has shown.
    """
    check_image(image)
    box = placement.letterbox
    height, width = max(1, round(box.scale * box.height)), max(1, round(box.scale * box.width))
    fitted = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if box.scale < 1.0 else cv2.INTER_LINEAR)
    below, right = INPUT_HEIGHT_PX - box.offset_y - height, INPUT_WIDTH_PX - box.offset_x - width
    filled = cv2.copyMakeBorder(fitted, box.offset_y, below, box.offset_x, right, cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(filled.transpose(2, 0, 1)[None], dtype=np.float32) / np.float32(255.0)


def image_from_network(answer: AnyArray, placement: Placement) -> Float32Array:
    """Return a map (h, w) over the network's input, of whatever resolution, as one over the image (H, W)."""
    box = placement.letterbox
    rows, columns = answer.shape[0] / INPUT_HEIGHT_PX, answer.shape[1] / INPUT_WIDTH_PX
    # the image's pixel u has its centre at ((u + 0.5) scale + offset) of the input, and at that times `columns` - 0.5
    u = ((np.arange(box.width, dtype=np.float32) + 0.5) * box.scale + box.offset_x) * columns - 0.5
    v = ((np.arange(box.height, dtype=np.float32) + 0.5) * box.scale + box.offset_y) * rows - 0.5
    grid_u, grid_v = np.meshgrid(u.astype(np.float32), v.astype(np.float32))
    source = np.ascontiguousarray(answer, dtype=np.float32)
    return cv2.remap(source, grid_u, grid_v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
