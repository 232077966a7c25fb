# SPDX-License-Identifier: Apache-2.0
"""One camera for the network, whatever camera took the image.

A network that learns metric depth from cameras of many focal lengths cannot tell "near" from "zoomed in". As in
Metric3D (Yin et al. 2023, section 3.2, CSTM_label) it therefore answers for one canonical camera: the image is left as
it is, and depth is scaled by the ratio of the focal lengths, both in pixels of the network's input,

    depth = canonical_depth * focal / CANONICAL_FOCAL_PX.                                                           (1)

Things keep their size in pixels under this scaling, and a floor keeps its place in the image whatever the focal length.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from axon_core.arrays import AnyArray, Float32Array
from axon_core.cameras import PinholeCamera
from axon_core.images import Letterbox, check_image, fit_letterbox

INPUT_HEIGHT_PX, INPUT_WIDTH_PX = 192, 256
CANONICAL_FOCAL_PX = 184.0
"""About the focal length of a 320 x 240 camera with a vertical view of 55 degrees, in the network's input."""


@dataclass(frozen=True)
class Placement:
    """Where an image lies in the network's input, and its camera there.

    `focal_px` is the geometric mean of both focal lengths, `principal_row_px` where the optical axis meets the input.
    """

    letterbox: Letterbox
    focal_px: float
    principal_row_px: float

    @property
    def depth_scale(self) -> float:
        """Metres of depth for one metre of canonical depth, (1)."""
        return self.focal_px / CANONICAL_FOCAL_PX


def place(camera: PinholeCamera) -> Placement:
    """Return how images of a camera are put before the network: as large as they fit, centred."""
    box = fit_letterbox(camera.height, camera.width, INPUT_HEIGHT_PX, INPUT_WIDTH_PX)
    focal_px = box.scale * float(np.sqrt(camera.fx * camera.fy))
    return Placement(box, focal_px, box.scale * (camera.cy + 0.5) - 0.5 + box.offset_y)


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
