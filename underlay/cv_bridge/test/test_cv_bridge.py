# SPDX-License-Identifier: Apache-2.0
"""Layouts, colours, byte order and refusals of the bridge, against values computed by hand or by plain NumPy."""

import array
import timeit

import cv2
import numpy as np
import pytest
from cv_bridge import CvBridge, CvBridgeError
from cv_bridge.encodings import NAMED_ENCODINGS, find_encoding
from hypothesis import given, settings
from hypothesis import strategies as st
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

BRIDGE = CvBridge()
GENERIC = [f"{depth}C{n}" for depth in ("8U", "8S", "16U", "16S", "32S", "32F", "64F") for n in (1, 2, 3, 4, 5)]


def random_image(encoding: str, height: int, width: int, seed: int = 0) -> np.ndarray:
    """Pixels of any encoding; planar formats with their chroma rows."""
    spec = find_encoding(encoding)
    rows = height * spec.rows_per_2 // 2
    shape = (rows, width) if spec.channels == 1 else (rows, width, spec.channels)
    data = np.random.default_rng(seed).bytes(int(np.prod(shape)) * spec.dtype.itemsize)
    if spec.dtype.kind == "f":
        return np.frombuffer(data, np.uint8)[: int(np.prod(shape))].astype(spec.dtype).reshape(shape) / 7
    return np.frombuffer(data, spec.dtype).reshape(shape).copy()


def make_message(encoding: str, height: int, width: int, step: int, data: bytes, big: int = 0) -> Image:
    msg = Image(encoding=encoding, height=height, width=width, step=step, is_bigendian=big)
    msg.data = array.array("B", data)
    return msg


@pytest.mark.parametrize("encoding", [*NAMED_ENCODINGS, *GENERIC])
def test_round_trip_keeps_every_pixel(encoding):
    image = random_image(encoding, 4, 6)
    msg = BRIDGE.cv2_to_imgmsg(image, encoding)
    assert (msg.height, msg.width, msg.encoding) == (4, 6, encoding)
    assert len(msg.data) == msg.step * image.shape[0]
    back = BRIDGE.imgmsg_to_cv2(msg)
    assert back.dtype == image.dtype
    np.testing.assert_array_equal(back, image)


@settings(deadline=None, max_examples=60)
@given(
    encoding=st.sampled_from(["mono8", "rgb8", "bgra16", "16UC1", "32FC1", "64FC3"]),
    height=st.integers(1, 7),
    width=st.integers(1, 7),
    padding=st.integers(0, 5),
    last_row_padded=st.booleans(),
    big=st.booleans(),
)
def test_any_layout_reads_back_the_same_values(encoding, height, width, padding, last_row_padded, big):
    image = random_image(encoding, height, width)
    stored = image.astype(image.dtype.newbyteorder(">" if big else "<"))
    rows = [row.tobytes() for row in stored]
    data = b"".join(row + b"\xff" * padding for row in rows)
    if not last_row_padded:
        data = data[: len(data) - padding]
    msg = make_message(encoding, height, width, len(rows[0]) + padding, data, int(big))
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(msg), image)


def test_message_bytes_are_the_ones_the_encoding_names():
    image = np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8)
    assert bytes(BRIDGE.cv2_to_imgmsg(image, "rgb8").data) == bytes([1, 2, 3, 4, 5, 6])
    depth = np.array([[0x0102]], "<u2")
    assert bytes(BRIDGE.cv2_to_imgmsg(depth, "16UC1").data) == b"\x02\x01"
    flipped = BRIDGE.cv2_to_imgmsg(depth.astype(">u2"), "16UC1")
    assert (bytes(flipped.data), flipped.is_bigendian) == (b"\x01\x02", 1)


@pytest.mark.parametrize("encoding", ["rgb8", "mono16", "32FC1"])
def test_reading_shares_memory_with_the_message(encoding):
    msg = BRIDGE.cv2_to_imgmsg(random_image(encoding, 4, 6), encoding)
    for image in (BRIDGE.imgmsg_to_cv2(msg), BRIDGE.imgmsg_to_cv2(msg, encoding)):
        assert np.shares_memory(image, np.frombuffer(msg.data, np.uint8))
        image[:] = 7
        assert (BRIDGE.imgmsg_to_cv2(msg) == 7).all()


def test_writing_owns_its_pixels_and_keeps_the_header():
    image = random_image("rgb8", 4, 6)
    header = Header(frame_id="camera_color_optical_frame")
    msg = BRIDGE.cv2_to_imgmsg(image, "rgb8", header=header)
    before = bytes(msg.data)
    image[:] = 0
    assert bytes(msg.data) == before
    assert msg.header.frame_id == "camera_color_optical_frame"


@pytest.mark.parametrize("view", [np.s_[:, ::-1], np.s_[::2, 1:4], np.s_[..., ::-1]])
def test_views_with_strides_are_written_row_by_row(view):
    image = random_image("bgr8", 6, 8)[view]
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(BRIDGE.cv2_to_imgmsg(image, "bgr8")), image)


@pytest.mark.parametrize("bits", [8, 16])
def test_channel_swaps_equal_numpy_indexing(bits):
    rgba = random_image(f"rgba{bits}", 5, 7)
    msg = BRIDGE.cv2_to_imgmsg(rgba, f"rgba{bits}")
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(msg, f"bgra{bits}"), rgba[..., [2, 1, 0, 3]])
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(msg, f"bgr{bits}"), rgba[..., [2, 1, 0]])
    mono = BRIDGE.cv2_to_imgmsg(rgba[..., 0].copy(), f"mono{bits}")
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(mono, f"rgb{bits}"), np.repeat(rgba[..., :1], 3, axis=2))


def test_grey_is_the_luma_of_bt601():
    rgb = random_image("rgb8", 16, 16)
    grey = BRIDGE.imgmsg_to_cv2(BRIDGE.cv2_to_imgmsg(rgb, "rgb8"), "mono8")
    np.testing.assert_allclose(grey, rgb @ [0.299, 0.587, 0.114], atol=0.51)


def test_depth_changes_scale_between_8_and_16_bits_only():
    mono8 = BRIDGE.cv2_to_imgmsg(np.array([[0, 1, 128, 255]], np.uint8), "mono8")
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(mono8, "mono16"), [[0, 257, 128 * 257, 65535]])
    mono16 = BRIDGE.cv2_to_imgmsg(np.array([[0, 128, 129, 65535]], np.uint16), "mono16")
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(mono16, "mono8"), [[0, 0, 1, 255]])
    as_float = BRIDGE.imgmsg_to_cv2(mono16, "32FC1")
    assert as_float.dtype == np.float32
    np.testing.assert_array_equal(as_float, [[0, 128, 129, 65535]])
    metres = BRIDGE.cv2_to_imgmsg(np.array([[-1.0, 2.5, 3.5, 70000.0, np.nan]], np.float32), "32FC1")
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(metres, "16UC1"), [[0, 2, 4, 65535, 0]])
    rgb8 = random_image("rgb8", 3, 5)
    bgr16 = BRIDGE.imgmsg_to_cv2(BRIDGE.cv2_to_imgmsg(rgb8, "rgb8"), "bgr16")
    np.testing.assert_array_equal(bgr16, rgb8[..., ::-1].astype(np.uint16) * 257)


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize("bits", [8, 16])
def test_bayer_mosaic_of_one_colour_gives_that_colour(pattern, bits):
    colour = {"r": 200, "g": 100, "b": 50}
    tile = np.array([colour[c] for c in pattern], f"uint{bits}").reshape(2, 2)
    msg = BRIDGE.cv2_to_imgmsg(np.tile(tile, (4, 4)), f"bayer_{pattern}{bits}")
    assert (BRIDGE.imgmsg_to_cv2(msg, f"rgb{bits}") == [200, 100, 50]).all()
    assert (BRIDGE.imgmsg_to_cv2(msg, f"bgr{bits}") == [50, 100, 200]).all()


def yuv_image(encoding: str, y: int, u: int, v: int) -> np.ndarray:
    """A 4x4 image of one colour in any of the YUV layouts."""
    if encoding in ("uyvy", "yuv422"):
        return np.tile(np.array([[u, y], [v, y]], np.uint8), (4, 2, 1))
    if encoding in ("yuyv", "yuv422_yuy2"):
        return np.tile(np.array([[y, u], [y, v]], np.uint8), (4, 2, 1))
    chroma = {"nv12": [u, v], "nv21": [v, u], "nv24": [v, u]}[encoding]
    rows = 8 if encoding == "nv24" else 2
    return np.vstack((np.full((4, 4), y, np.uint8), np.tile(np.array(chroma, np.uint8), (rows, 2))))


@pytest.mark.parametrize("encoding", ["uyvy", "yuv422", "yuyv", "yuv422_yuy2", "nv12", "nv21", "nv24"])
def test_yuv_red_is_red(encoding):
    msg = BRIDGE.cv2_to_imgmsg(yuv_image(encoding, y=81, u=90, v=240), encoding)
    rgb = BRIDGE.imgmsg_to_cv2(msg, "rgb8")
    assert rgb.shape == (4, 4, 3)
    np.testing.assert_allclose(rgb, np.broadcast_to([254, 0, 0], (4, 4, 3)), atol=2)
    assert (BRIDGE.imgmsg_to_cv2(msg, "mono8") == 81).all()


def test_nv24_keeps_chroma_at_full_resolution():
    image = yuv_image("nv24", 128, 128, 128)
    image[4:].reshape(4, 4, 2)[1, 2] = (240, 90)
    rgb = BRIDGE.imgmsg_to_cv2(BRIDGE.cv2_to_imgmsg(image, "nv24"), "rgb8").astype(int)
    reddish = rgb[..., 0] - rgb[..., 2] > 50
    assert reddish.sum() == 1 and reddish[1, 2]


@pytest.mark.parametrize("encoding", ["mono8", "mono16", "bgr8", "bgra8", "bgr16"])
def test_png_is_lossless(encoding):
    image = random_image(encoding, 9, 11)
    msg = BRIDGE.cv2_to_compressed_imgmsg(image, "png")
    assert msg.format == "png"
    np.testing.assert_array_equal(BRIDGE.compressed_imgmsg_to_cv2(msg), image)
    np.testing.assert_array_equal(BRIDGE.compressed_imgmsg_to_cv2(msg, encoding), image)


def test_jpeg_colours_follow_the_wanted_encoding():
    bgr = np.full((32, 32, 3), (10, 120, 230), np.uint8)
    msg = BRIDGE.cv2_to_compressed_imgmsg(bgr)
    assert msg.format == "jpg" and len(msg.data) < bgr.nbytes
    np.testing.assert_allclose(BRIDGE.compressed_imgmsg_to_cv2(msg, "bgr8"), bgr, atol=3)
    np.testing.assert_allclose(BRIDGE.compressed_imgmsg_to_cv2(msg, "rgb8"), bgr[..., ::-1], atol=3)


@pytest.mark.parametrize(
    ("step", "size", "words"),
    [
        (1920, 100, "data holds 100 bytes, expected 921600 = 480 rows of 1920"),
        (1920, 921601, "data holds 921601 bytes, expected 921600"),
        (640, 640 * 480, "step is 640 bytes, expected at least 1920"),
        (0, 0, "step is 0 bytes, expected at least 1920"),
    ],
)
def test_sizes_that_do_not_fit_are_refused_with_what_was_expected(step, size, words):
    msg = make_message("rgb8", 480, 640, step, bytes(size))
    with pytest.raises(CvBridgeError, match=words):
        BRIDGE.imgmsg_to_cv2(msg)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: BRIDGE.imgmsg_to_cv2(make_message("rgb9", 1, 1, 3, b"abc")), "unknown image encoding 'rgb9'"),
        (lambda: BRIDGE.imgmsg_to_cv2(make_message("", 1, 1, 3, b"abc")), "unknown image encoding ''"),
        (lambda: BRIDGE.imgmsg_to_cv2(make_message("8UC0", 1, 1, 3, b"abc")), "unknown image encoding '8UC0'"),
        (lambda: BRIDGE.imgmsg_to_cv2(make_message("8UC3", 1, 1, 3, b"abc"), "rgb8"), "not a color format"),
        (lambda: BRIDGE.imgmsg_to_cv2(make_message("rgb8", 1, 1, 3, b"abc"), "8UC1"), "3 channels but .* 1"),
        (lambda: BRIDGE.imgmsg_to_cv2(make_message("rgb8", 1, 1, 3, b"abc"), "bayer_rggb8"), "unsupported conversion"),
        (lambda: BRIDGE.imgmsg_to_cv2(make_message("rgb8", 0, 0, 0, b""), "bgr8"), "OpenCV cannot convert"),
        (lambda: BRIDGE.cv2_to_imgmsg([[1]], "mono8"), "got list"),
        (lambda: BRIDGE.cv2_to_imgmsg(np.zeros(3, np.uint8)), "shape \\(3,\\)"),
        (lambda: BRIDGE.cv2_to_imgmsg(np.zeros((2, 2), bool)), "no ROS encoding holds bool"),
        (lambda: BRIDGE.cv2_to_imgmsg(np.zeros((2, 2), np.uint8), "rgb8"), "holds 8UC3, the image is uint8 of 1"),
        (lambda: BRIDGE.cv2_to_imgmsg(np.zeros((2, 2), np.float32), "16UC1"), "holds 16UC1, the image is float32"),
        (lambda: BRIDGE.cv2_to_imgmsg(np.zeros((4, 4), np.uint8), "nv21"), "4 rows cannot be"),
        (lambda: BRIDGE.compressed_imgmsg_to_cv2(CompressedImage(format="jpg")), "cannot decode 0 bytes"),
        (lambda: BRIDGE.compressed_imgmsg_to_cv2(CompressedImage(format="png", data=b"abc")), "cannot decode 3 bytes"),
        (lambda: BRIDGE.cv2_to_compressed_imgmsg(np.zeros((2, 2), np.uint8), "xyz"), "'xyz'"),
        (lambda: BRIDGE.cvtype2_to_dtype_with_channels(7), "no ROS encoding"),
    ],
)
def test_bad_input_is_refused_with_its_value(call, words):
    with pytest.raises(CvBridgeError, match=words):
        call()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("depth", ["8U", "8S", "16U", "16S", "32S", "32F", "64F"])
def test_cvtype_numbers_are_those_of_the_installed_opencv(depth, channels):
    number = getattr(cv2, f"CV_{depth}C{channels}")
    assert BRIDGE.encoding_to_cvtype2(f"{depth}C{channels}") == number
    assert BRIDGE.cvtype_to_name[number] == f"{depth}C{channels}"
    dtype, count = BRIDGE.cvtype2_to_dtype_with_channels(number)
    assert (dtype, count) == BRIDGE.encoding_to_dtype_with_channels(f"{depth}C{channels}")
    assert BRIDGE.dtype_with_channels_to_cvtype2(np.dtype(dtype), count) == f"{depth}C{channels}"


def test_no_direction_takes_a_slow_path():
    """Filling Image.data the wrong way costs 20 to 80 ms for one VGA image; a copy of it far below 5."""
    image = random_image("rgb8", 480, 640)
    msg = BRIDGE.cv2_to_imgmsg(image, "rgb8")
    assert min(timeit.repeat(lambda: BRIDGE.cv2_to_imgmsg(image, "rgb8"), number=1, repeat=10)) < 5e-3
    assert min(timeit.repeat(lambda: BRIDGE.imgmsg_to_cv2(msg), number=1, repeat=10)) < 1e-3
