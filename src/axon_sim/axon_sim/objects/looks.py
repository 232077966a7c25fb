# SPDX-License-Identifier: Apache-2.0
"""Images for objects: labels with words, bands, dots, and plain swatches, from a generator of random numbers."""

from collections.abc import Sequence

import cv2
import numpy as np

from axon_sim.objects.meshes import LABEL_SHARE, SWATCHES

Rng = np.random.Generator
Color = np.ndarray
SIZE_PX = 256
LABEL_ROWS = int(LABEL_SHARE * SIZE_PX)
SYLLABLES = ("ka", "lo", "mi", "ta", "ro", "ne", "zu", "vi", "sol", "bar", "fen", "pi", "do", "gra", "lu", "xo")
FONTS = (cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_SCRIPT_COMPLEX, cv2.FONT_HERSHEY_SIMPLEX)


def color(rng: Rng, saturation: Sequence[float] = (0.25, 0.95), value: Sequence[float] = (0.35, 0.98)) -> Color:
    """Return a colour (3,) of 0 .. 255, any hue."""
    hsv = np.array([[[rng.uniform(0.0, 360.0), rng.uniform(*saturation), rng.uniform(*value)]]], dtype=np.float32)
    return 255.0 * cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0].astype(np.float64)


def glaze(rng: Rng) -> Color:
    """Return the colour of crockery: white, cream, black, or any."""
    common = np.array([[245, 245, 242], [232, 222, 200], [48, 50, 56], [205, 210, 212]], dtype=np.float64)
    return common[rng.integers(4)] * rng.uniform(0.9, 1.04) if rng.random() < 0.4 else color(rng, (0.2, 0.8))


def contrast(rng: Rng, ground: Color) -> Color:
    """Return a colour that stands out from another."""
    if rng.random() < 0.5:
        return np.full(3, 245.0 if ground.mean() < 140.0 else 30.0)
    candidates = np.stack([color(rng) for _ in range(5)])
    return candidates[np.abs(candidates - ground).sum(axis=1).argmax()]


def atlas(label: np.ndarray, swatches: Sequence[Color]) -> np.ndarray:
    """Return the image (256, 256, 3) uint8 of a label (192, 256, 3) and up to four swatches."""
    image = np.empty((SIZE_PX, SIZE_PX, 3))
    image[:LABEL_ROWS] = label
    width = SIZE_PX // SWATCHES
    for index in range(SWATCHES):
        image[LABEL_ROWS:, index * width : (index + 1) * width] = swatches[min(index, len(swatches) - 1)]
    return np.clip(image, 0.0, 255.0).astype(np.uint8)


def plain(rgb: Color) -> np.ndarray:
    """Return a label of one colour."""
    return np.ascontiguousarray(np.broadcast_to(rgb, (LABEL_ROWS, SIZE_PX, 3)), dtype=np.float64)


def crockery(rng: Rng, ground: Color) -> np.ndarray:
    """Return a glazed wall: plain, banded, dotted, dipped, or with a word."""
    image, accent = plain(ground), contrast(rng, ground)
    kind = int(rng.integers(6))
    if kind == 1:
        _bands(rng, image, accent)
    elif kind == 2:
        _dots(rng, image, accent)
    elif kind == 3:
        image[: int(rng.uniform(0.3, 0.7) * LABEL_ROWS)] = accent
    elif kind == 4:
        _word(rng, image, (20, 45, 128, 120), accent)
    elif kind == 5:
        _stripes(rng, image, accent)
    return image


def packaging(rng: Rng, ground: Color) -> np.ndarray:
    """Return a printed wrapper, twice around: bands, a badge, a word and small print."""
    image, accent = plain(ground), contrast(rng, ground)
    style = int(rng.integers(4))
    (_bands, _stripes, _dots, _wave)[style](rng, image, accent if style != 2 else 0.5 * (accent + ground))
    third = color(rng)
    for left in (0, SIZE_PX // 2):
        _badge(rng, image, left, third)
    _word(rng, image, (6, 50, 122, 110), contrast(rng, third))
    image[:, SIZE_PX // 2 :] = image[:, : SIZE_PX // 2]
    _small_print(rng, image)
    return image


def cover(rng: Rng) -> np.ndarray:
    """Return a book's cover in the left three quarters of the label and its spine in the right quarter."""
    ground = color(rng, (0.2, 0.85), (0.2, 0.95))
    image, accent = plain(ground), contrast(rng, ground)
    for _ in range(int(rng.integers(1, 5))):
        center = (int(rng.integers(20, 170)), int(rng.integers(80, 180)))
        shape = int(rng.integers(8, 45))
        if rng.random() < 0.5:
            cv2.circle(image, center, shape, color(rng).tolist(), -1, cv2.LINE_AA)
        else:
            cv2.rectangle(image, center, (center[0] + shape, center[1] + shape), color(rng).tolist(), -1)
    _word(rng, image, (10, 12, 170, 50), accent)
    _word(rng, image, (30, 62, 120, 22), accent)
    image[:, 192:] = ground * 0.85
    cv2.rectangle(image, (192, 30), (255, 42), accent.tolist(), -1)
    cv2.rectangle(image, (192, 120), (255, 126), accent.tolist(), -1)
    return image


def toy_ball(rng: Rng) -> np.ndarray:
    """Return a ball's skin: felt with a seam, gores, spots or a band."""
    ground = color(rng, (0.4, 0.95), (0.5, 1.0))
    image, accent, kind = plain(ground), contrast(rng, ground), int(rng.integers(4))
    if kind == 0:
        turn = np.linspace(0.0, 2.0 * np.pi, SIZE_PX)
        seam = np.stack([np.arange(SIZE_PX), LABEL_ROWS * (0.5 + 0.26 * np.sin(2.0 * turn))], axis=1)
        cv2.polylines(image, [seam.astype(np.int32)], False, (245.0, 245.0, 240.0), 6, cv2.LINE_AA)
        image *= rng.uniform(0.88, 1.06, image.shape[:2])[..., None]
    elif kind == 1:
        gores = 2 * int(rng.integers(2, 5))
        image[:, np.arange(SIZE_PX) * gores // SIZE_PX % 2 == 1] = accent
    elif kind == 2:
        _dots(rng, image, accent)
    else:
        image[int(0.4 * LABEL_ROWS) : int(0.6 * LABEL_ROWS)] = accent
    return image


def peel(rng: Rng) -> np.ndarray:
    """Return a banana's skin, from greenish to ripe, with spots."""
    ripe = rng.uniform(0.0, 1.0)
    image = plain((1.0 - ripe) * np.array([196.0, 206.0, 62.0]) + ripe * np.array([245.0, 208.0, 58.0]))
    for _ in range(int(rng.integers(0, 40) * ripe)):
        at = (int(rng.integers(SIZE_PX)), int(rng.integers(LABEL_ROWS)))
        cv2.ellipse(image, at, (int(rng.integers(1, 6)), int(rng.integers(1, 4))), 0, 0, 360, (120.0, 82.0, 32.0), -1)
    image[:14] = image[-12:] = (88.0, 66.0, 36.0)
    return cv2.GaussianBlur(image, (0, 0), 1.2)


def _bands(rng: Rng, image: np.ndarray, rgb: Color) -> None:
    for _ in range(int(rng.integers(1, 4))):
        top = int(rng.integers(LABEL_ROWS - 20))
        image[top : top + int(rng.integers(5, 40))] = rgb


def _stripes(rng: Rng, image: np.ndarray, rgb: Color) -> None:
    count = 2 * int(rng.integers(2, 9))
    image[:, np.arange(SIZE_PX) * 2 * count // SIZE_PX % 2 == 1] = rgb


def _dots(rng: Rng, image: np.ndarray, rgb: Color) -> None:
    step, radius = int(rng.choice([16, 32, 64])), rng.uniform(0.15, 0.34)
    yy, xx = np.mgrid[: image.shape[0], : image.shape[1]]
    inside = np.hypot(xx % step - 0.5 * step, yy % step - 0.5 * step) < radius * step
    image[inside] = rgb


def _wave(rng: Rng, image: np.ndarray, rgb: Color) -> None:
    turn = np.linspace(0.0, 4.0 * np.pi, SIZE_PX)
    edge = LABEL_ROWS * (rng.uniform(0.35, 0.75) + rng.uniform(0.05, 0.15) * np.sin(turn))
    image[np.arange(LABEL_ROWS)[:, None] > edge] = rgb


def _badge(rng: Rng, image: np.ndarray, left: int, rgb: Color) -> None:
    if left == 0 and rng.random() < 0.5:
        cv2.ellipse(image, (64, 80), (58, 38), 0, 0, 360, rgb.tolist(), -1, cv2.LINE_AA)
    else:
        image[48:112, left + 4 : left + 124] = rgb


def _word(rng: Rng, image: np.ndarray, area: tuple[int, int, int, int], rgb: Color) -> None:
    """Write an invented word as large as fits into an area x, y, width, height."""
    text = "".join(rng.choice(SYLLABLES, int(rng.integers(2, 4)))).capitalize()
    text = text.upper() if rng.random() < 0.4 else text
    font, (x, y, width, height) = int(rng.choice(FONTS)), area
    (w, h), _ = cv2.getTextSize(text, font, 1.0, 2)
    scale = min(width / w, 0.8 * height / h)
    at = (int(x + 0.5 * (width - scale * w)), int(y + 0.5 * (height + scale * h)))
    cv2.putText(image, text, at, font, scale, rgb.tolist(), 1 + int(1.5 * scale), cv2.LINE_AA)


def _small_print(rng: Rng, image: np.ndarray) -> None:
    ink = contrast(rng, image[150, 200])
    for row in range(int(rng.integers(120, 140)), 182, 7):
        image[row : row + 2, 150 : 150 + int(rng.integers(40, 90))] = ink
    for x in range(150, 150 + 50, 4):
        image[20:42, x : x + int(rng.integers(1, 4))] = 20.0
