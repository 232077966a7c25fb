# SPDX-License-Identifier: Apache-2.0
"""CvBridge: sensor_msgs/Image and CompressedImage to NumPy arrays as OpenCV takes them, and back."""

from __future__ import annotations

import sys

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from cv_bridge.colors import convert
from cv_bridge.encodings import DEPTH_NAMES, DTYPE_NAMES, CvBridgeError, Encoding, find_encoding

_HOST_IS_BIG = sys.byteorder == "big"
_DEPTHS = {depth: getattr(cv2, f"CV_{depth}") for depth in DTYPE_NAMES}
# The bit where the channel count starts is 3 up to OpenCV 4 and 5 from OpenCV 5 on.
_CHANNEL_SHIFT = (cv2.CV_8UC2 - cv2.CV_8UC1).bit_length() - 1


class CvBridge:
    """Converts images between ROS messages and OpenCV; holds no state, so one may be shared by threads."""

    def __init__(self) -> None:
        self.numpy_type_to_cvtype = {**DEPTH_NAMES, **DTYPE_NAMES}
        self.cvtype_to_name = {
            cv2.CV_MAKETYPE(number, channels): f"{depth}C{channels}"
            for depth, number in _DEPTHS.items()
            for channels in (1, 2, 3, 4)
        }

    def imgmsg_to_cv2(self, img_msg: Image, desired_encoding: str = "passthrough") -> np.ndarray:
        """Turn an Image into an array (H, W) or (H, W, C).

        Where no pixel has to change (``passthrough``, or the message's own encoding, in this machine's byte order) the
        array is a view of ``img_msg.data``, row padding left out: no copy, and writing to it writes to the message.
        Planar YUV comes as OpenCV takes it: nv12 and nv21 (3/2 H, W), nv24 (3 H, W).

        Raises:
            CvBridgeError: unknown encoding, size that does not fit the data, impossible conversion.
        """
        image = _view(img_msg)
        if desired_encoding == "passthrough" or desired_encoding == img_msg.encoding:
            return image
        return convert(image, img_msg.encoding, desired_encoding)

    def cv2_to_imgmsg(self, cvim: np.ndarray, encoding: str = "passthrough", header: Header | None = None) -> Image:
        """Turn an array (H, W) or (H, W, C) into an Image that owns a copy of the pixels.

        ``encoding`` names the pixels and converts nothing; ``passthrough`` gives the plain type, such as ``8UC3``.

        Raises:
            CvBridgeError: not an image, or its element type and channels are not those of ``encoding``.
        """
        found = _encoding_of(cvim, encoding)
        rows, width = cvim.shape[:2]
        msg = Image()
        if header is not None:
            msg.header = header
        msg.height = rows * 2 // found.rows_per_2
        msg.width = width
        msg.encoding = found.name
        msg.is_bigendian = int(_is_big(cvim.dtype))
        msg.step = width * found.pixel_bytes
        # Filling the array in place is the one way that copies once, with and without rclpy's field checks.
        msg.data.frombytes((cvim if cvim.flags.c_contiguous else np.ascontiguousarray(cvim)).view(np.uint8))
        return msg

    def compressed_imgmsg_to_cv2(
        self, cmprs_img_msg: CompressedImage, desired_encoding: str = "passthrough"
    ) -> np.ndarray:
        """Decode a CompressedImage: BGR(A) or grey, 8 or 16 bits as stored, then converted to ``desired_encoding``.

        Raises:
            CvBridgeError: OpenCV cannot decode the bytes, or the conversion is impossible.
        """
        image = _decode(cmprs_img_msg)
        if desired_encoding == "passthrough":
            return image
        channels = 1 if image.ndim == 2 else image.shape[2]
        stored = {1: "mono", 3: "bgr", 4: "bgra"}[channels] + str(8 * image.dtype.itemsize)
        return convert(image, stored, desired_encoding)

    def cv2_to_compressed_imgmsg(self, cvim: np.ndarray, dst_format: str = "jpg") -> CompressedImage:
        """Encode an image (grey, BGR or BGRA) as ``dst_format``: jpg, png, webp, tiff or what else OpenCV writes.

        Raises:
            CvBridgeError: not an image, or OpenCV cannot write it in that format.
        """
        _check_image(cvim)
        try:
            written, encoded = cv2.imencode(f".{dst_format}", cvim)
        except cv2.error as error:
            raise CvBridgeError(f"cannot encode {cvim.shape} {cvim.dtype} as {dst_format!r}: {error.err}") from error
        if not written:
            raise CvBridgeError(f"OpenCV failed to encode {cvim.shape} {cvim.dtype} as {dst_format!r}")
        msg = CompressedImage()
        msg.format = dst_format
        msg.data.frombytes(encoded)
        return msg

    def encoding_to_cvtype2(self, encoding: str) -> int:
        """Number of the OpenCV type (as this OpenCV counts them) that holds ``encoding``."""
        found = find_encoding(encoding)
        return cv2.CV_MAKETYPE(_DEPTHS[DEPTH_NAMES[found.dtype.name]], found.channels)

    def encoding_to_dtype_with_channels(self, encoding: str) -> tuple[str, int]:
        """NumPy type name and number of channels of ``encoding``: ``rgb8`` gives ("uint8", 3)."""
        found = find_encoding(encoding)
        return found.dtype.name, found.channels

    def dtype_with_channels_to_cvtype2(self, dtype: np.dtype, n_channels: int) -> str:
        """Name of the OpenCV type that holds ``n_channels`` of ``dtype``: uint8 and 3 give "8UC3"."""
        return f"{_depth_name(np.dtype(dtype))}C{n_channels}"

    def cvtype2_to_dtype_with_channels(self, cvtype: int) -> tuple[str, int]:
        """NumPy type name and number of channels of an OpenCV type number."""
        number, channels = cvtype & ((1 << _CHANNEL_SHIFT) - 1), (cvtype >> _CHANNEL_SHIFT) + 1
        for depth, depth_number in _DEPTHS.items():
            if depth_number == number:
                return DTYPE_NAMES[depth], channels
        raise CvBridgeError(f"OpenCV type {cvtype} has no ROS encoding")


def _view(msg: Image) -> np.ndarray:
    """The message's pixels without a copy; values in this machine's byte order (that alone may cost a copy)."""
    _, dtype, channels, _, pixel_bytes, rows_per_2 = find_encoding(msg.encoding)
    rows, width, step, data = msg.height, msg.width, msg.step, msg.data
    if rows_per_2 != 2:
        rows = rows * rows_per_2 // 2
    row_bytes = width * pixel_bytes
    if len(data) != rows * step or step < row_bytes:
        _check_size(msg, rows, row_bytes)
    swap = dtype.itemsize > 1 and bool(msg.is_bigendian) != _HOST_IS_BIG
    stored = dtype.newbyteorder() if swap else dtype
    if channels == 1:
        image = np.ndarray((rows, width), stored, data, 0, (step, pixel_bytes))
    else:
        image = np.ndarray((rows, width, channels), stored, data, 0, (step, pixel_bytes, dtype.itemsize))
    return image.astype(dtype) if swap else image


def _check_size(msg: Image, rows: int, row_bytes: int) -> None:
    """Raise unless ``data`` holds ``rows`` rows of ``step`` bytes; the last row may come without its padding."""
    what = f"{msg.width}x{msg.height} {msg.encoding} image"
    if msg.step < row_bytes:
        raise CvBridgeError(f"{what}: step is {msg.step} bytes, expected at least {row_bytes}")
    least, most = max(0, (rows - 1) * msg.step + row_bytes), rows * msg.step
    if not least <= len(msg.data) <= most:
        raise CvBridgeError(f"{what}: data holds {len(msg.data)} bytes, expected {most} = {rows} rows of {msg.step}")


def _encoding_of(cvim: np.ndarray, encoding: str) -> Encoding:
    """The encoding that the message will carry, checked against the array."""
    _check_image(cvim)
    channels = 1 if cvim.ndim == 2 else cvim.shape[2]
    if encoding == "passthrough":
        return find_encoding(f"{_depth_name(cvim.dtype)}C{channels}")
    found = find_encoding(encoding)
    # The type's string without its byte order, "u2" for ">u2" and "<u2" alike; its name would cost microseconds.
    if cvim.dtype.str[1:] != found.dtype.str[1:] or channels != found.channels:
        raise CvBridgeError(
            f"encoding {encoding!r} holds {found.cvtype_name}, the image is {cvim.dtype.name} of {channels} channels"
        )
    if cvim.shape[0] * 2 % found.rows_per_2:
        raise CvBridgeError(f"{cvim.shape[0]} rows cannot be an {encoding!r} image: expected a multiple of 3")
    return found


def _check_image(cvim: np.ndarray) -> None:
    if not isinstance(cvim, np.ndarray):
        raise CvBridgeError(f"expected a NumPy array, got {type(cvim).__name__}")
    if cvim.ndim not in (2, 3):
        raise CvBridgeError(f"expected an image (H, W) or (H, W, C), got an array of shape {cvim.shape}")


def _depth_name(dtype: np.dtype) -> str:
    try:
        return DEPTH_NAMES[dtype.name]
    except KeyError:
        raise CvBridgeError(f"no ROS encoding holds {dtype.name}: expected one of {', '.join(DEPTH_NAMES)}") from None


def _is_big(dtype: np.dtype) -> bool:
    """Whether elements lie most significant byte first; single bytes count as the machine's own order."""
    return dtype.byteorder == ">" or (dtype.byteorder == "=" and _HOST_IS_BIG)


def _decode(msg: CompressedImage) -> np.ndarray:
    data = np.frombuffer(msg.data, np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    if image is None:
        raise CvBridgeError(f"cannot decode {data.size} bytes of format {msg.format!r}: cut off, or not an image")
    return image
