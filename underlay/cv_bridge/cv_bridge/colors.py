# SPDX-License-Identifier: Apache-2.0
"""Conversion of pixels from one encoding to another, by the rules of the C++ cv_bridge.

Colour to colour goes through OpenCV's conversion codes and then to the wanted depth; between 8 and 16 bits values are
scaled by 65535/255, any other change of depth keeps them (rounded and saturated). A target without a colour space
(``32FC3``) only changes the depth. Numbers without a colour space never become a colour.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from cv_bridge.encodings import CvBridgeError, Encoding, find_encoding

_YUV = ("UYVY", "YUY2", "NV12", "NV21")


@lru_cache(maxsize=256)
def color_code(source: str, target: str) -> int | None:
    """OpenCV's conversion code between two colour spaces, or None where it has none."""
    if source in _YUV:
        name = f"COLOR_YUV2{target}_{source}"
    elif target in _YUV:
        name = f"COLOR_{source}2YUV_{target}"
    else:
        name = f"COLOR_{source}2{target}"
    return getattr(cv2, name, None)


def convert(image: np.ndarray, source_name: str, target_name: str) -> np.ndarray:
    """Convert ``image`` (H, W[, C]) of encoding ``source_name`` to ``target_name``.

    Raises:
        CvBridgeError: an unknown encoding, or a conversion that makes no sense (numbers to colours, other channels).
    """
    source, target = find_encoding(source_name), find_encoding(target_name)
    if target.color and not source.color:
        raise CvBridgeError(f"[{source_name}] is not a color format but [{target_name}] is: name the colours first")
    if target.color and source.color != target.color:
        image = _convert_color(image, source, target)
    elif source.channels != target.channels or source.rows_per_2 != target.rows_per_2:
        raise CvBridgeError(
            f"[{source_name}] has {source.channels} channels but [{target_name}] has {target.channels}: they must agree"
        )
    return scale_depth(image, source, target)


def _convert_color(image: np.ndarray, source: Encoding, target: Encoding) -> np.ndarray:
    if source.color == "NV24":
        return _from_nv24(image, target)
    code = color_code(source.color, target.color)
    if code is None:
        raise CvBridgeError(f"unsupported conversion from [{source.name}] to [{target.name}]")
    try:
        return cv2.cvtColor(image, code)
    except cv2.error as error:
        raise CvBridgeError(
            f"OpenCV cannot convert {image.shape} {image.dtype} from [{source.name}] to [{target.name}]: {error.err}"
        ) from error


def _from_nv24(image: np.ndarray, target: Encoding) -> np.ndarray:
    """OpenCV has no NV24 (chroma at full resolution): it is the NV21 of an image of twice the size."""
    height, width = image.shape[0] // 3, image.shape[1]
    if target.color == "GRAY":
        return image[:height].copy()
    luma = np.repeat(np.repeat(image[:height], 2, axis=0), 2, axis=1)
    chroma = image[height:].reshape(height, 2 * width)
    nv21 = find_encoding("nv21")
    return np.ascontiguousarray(_convert_color(np.vstack((luma, chroma)), nv21, target)[::2, ::2])


def scale_depth(image: np.ndarray, source: Encoding, target: Encoding) -> np.ndarray:
    """Change the element type: 8 to 16 bits and back scale by 257, everything else keeps the values."""
    if image.dtype == target.dtype:
        return image
    if image.dtype == np.uint16 and target.dtype == np.uint8:
        return cv2.convertScaleAbs(image, alpha=255.0 / 65535.0)
    if image.dtype == np.uint8 and target.dtype == np.uint16:
        return image.astype(np.uint16) * np.uint16(257)
    scale = {(8, 16): 65535.0 / 255.0, (16, 8): 255.0 / 65535.0}.get((source.bits, target.bits), 1.0)
    return _saturate_cast(image * scale if scale != 1.0 else image, target.dtype)


def _saturate_cast(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Round half to even and clip, as cv::saturate_cast does; NaN becomes 0."""
    if dtype.kind == "f":
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(np.nan_to_num(values, nan=0.0)), limits.min, limits.max).astype(dtype)
