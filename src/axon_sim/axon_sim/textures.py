# SPDX-License-Identifier: Apache-2.0
"""Textures computed from a seed: images (H, W, 3) uint8, RGB. Nothing is read from disk."""

import cv2
import numpy as np

Rng = np.random.Generator
Rgb = tuple[float, float, float]


def planks(rng: Rng, rgb: Rgb = (0.72, 0.53, 0.35), size: int = 512, rows: int = 8) -> np.ndarray:
    """Wooden floor boards along the columns, joints staggered."""
    image = np.empty((size, size, 3))
    height = size // rows
    for row in range(rows):
        joint = int(rng.integers(size))
        for start, stop in ((0, joint), (joint, size)):
            tone = np.array(rgb) * rng.uniform(0.86, 1.08)
            image[row * height : (row + 1) * height, start:stop] = tone
        image[row * height : (row + 1) * height, max(joint - 1, 0) : joint + 1] *= 0.7
        image[row * height : row * height + 2] *= 0.72
    grain = cv2.GaussianBlur(rng.normal(0.0, 0.25, (size, size)), (0, 0), sigmaX=14, sigmaY=0.8)
    return _to_bytes(image * (1.0 + grain[..., None]))


def wood(rng: Rng, rgb: Rgb = (0.62, 0.43, 0.27), size: int = 256) -> np.ndarray:
    """One board: long grain."""
    grain = cv2.GaussianBlur(rng.normal(0.0, 0.5, (size, size)), (0, 0), sigmaX=20, sigmaY=1.2)
    return _to_bytes(np.array(rgb) * (1.0 + grain[..., None]))


def tiles(rng: Rng, rgb: Rgb = (0.82, 0.82, 0.80), size: int = 512, count: int = 8) -> np.ndarray:
    """Square tiles with joints."""
    cells = np.array(rgb) * rng.uniform(0.95, 1.03, (count, count, 1))
    image = cells.repeat(size // count, axis=0).repeat(size // count, axis=1)
    edge = size // count
    for line in range(0, size, edge):
        image[line : line + 2] *= 0.75
        image[:, line : line + 2] *= 0.75
    return _to_bytes(image * (1.0 + 0.4 * _blotches(rng, size, 3.0)))


def plaster(rng: Rng, rgb: Rgb, size: int = 256) -> np.ndarray:
    """Painted wall or concrete: faint blotches."""
    return _to_bytes(np.array(rgb) * (1.0 + 0.22 * _blotches(rng, size, 9.0) + 0.15 * _blotches(rng, size, 1.0)))


def concrete(rng: Rng, rgb: Rgb = (0.60, 0.60, 0.59), size: int = 512) -> np.ndarray:
    """Floor of a hall: blotches and expansion joints."""
    image = np.array(rgb) * (1.0 + 0.7 * _blotches(rng, size, 24.0) + 0.35 * _blotches(rng, size, 2.0))
    image[:2] *= 0.75
    image[:, :2] *= 0.75
    return _to_bytes(image)


def fabric(rng: Rng, rgb: Rgb, size: int = 256) -> np.ndarray:
    """Woven cloth."""
    yy, xx = np.mgrid[:size, :size]
    weave = 0.05 * np.sin(xx * np.pi / 2) * np.sin(yy * np.pi / 2)
    return _to_bytes(np.array(rgb) * (1.0 + weave[..., None] + 0.5 * _blotches(rng, size, 1.2)))


def rug(rng: Rng, rgb: Rgb, accent: Rgb, size: int = 256) -> np.ndarray:
    """A carpet with a border and nested diamonds."""
    yy, xx = np.mgrid[:size, :size] / (size - 1.0) * 2.0 - 1.0
    ring = np.maximum(np.abs(xx), np.abs(yy))
    diamond = np.abs(xx) + np.abs(yy)
    band = (np.abs(ring - 0.88) < 0.035) | ((diamond % 0.36 < 0.10) & (ring < 0.78))
    image = np.where(band[..., None], np.array(accent), np.array(rgb))
    return _to_bytes(image * (1.0 + 0.8 * _blotches(rng, size, 1.2)))


def painting(rng: Rng, size: int = 128) -> np.ndarray:
    """An abstract picture: soft horizon and a few discs."""
    sky, ground = rng.uniform(0.35, 0.95, 3), rng.uniform(0.1, 0.7, 3)
    ramp = np.linspace(0.0, 1.0, size)[:, None, None]
    image = np.where(ramp < rng.uniform(0.45, 0.7), sky * (0.8 + 0.4 * ramp), ground * (1.1 - 0.4 * ramp))
    image = np.ascontiguousarray(np.broadcast_to(image, (size, size, 3)))
    for _ in range(int(rng.integers(2, 5))):
        center = tuple(int(v) for v in rng.integers(size // 6, size - size // 6, 2))
        cv2.circle(image, center, int(rng.integers(size // 14, size // 5)), rng.uniform(0.1, 1.0, 3).tolist(), -1)
    image[:4] = image[-4:] = 0.95
    image[:, :4] = image[:, -4:] = 0.95
    return _to_bytes(image)


def books(rng: Rng, width: int = 256, height: int = 64) -> np.ndarray:
    """A row of book spines, upright."""
    image = np.full((height, width, 3), 0.13)
    x = 0
    while x < width:
        thick, tall = int(rng.integers(7, 17)), int(rng.integers(int(0.6 * height), int(0.95 * height)))
        color = (
            np.array(
                cv2.cvtColor(
                    np.uint8([[[rng.integers(180), rng.integers(60, 190), rng.integers(90, 230)]]]), cv2.COLOR_HSV2RGB
                )[0, 0]
            )
            / 255.0
        )
        image[height - tall :, x : x + thick - 1] = color
        image[height - tall + 8 : height - tall + 12, x + 1 : x + thick - 2] = np.clip(color * 1.5, 0.0, 1.0)
        x += thick
    return _to_bytes(image)


def cardboard(rng: Rng, rgb: Rgb = (0.72, 0.55, 0.37), size: int = 128) -> np.ndarray:
    """Side of a carton with tape and a label."""
    image = np.array(rgb) * (1.0 + 0.5 * _blotches(rng, size, 5.0))
    mid = size // 2
    image[:, mid - 5 : mid + 5] = np.array(rgb) * 1.18
    image[int(0.62 * size) : int(0.84 * size), int(0.62 * size) : int(0.92 * size)] = 0.93
    image[int(0.67 * size) : int(0.70 * size), int(0.66 * size) : int(0.88 * size)] = 0.2
    image[int(0.74 * size) : int(0.76 * size), int(0.66 * size) : int(0.82 * size)] = 0.2
    return _to_bytes(image)


def stripes(rgb: Rgb, accent: Rgb, size: int = 128, count: int = 4) -> np.ndarray:
    """Diagonal hazard stripes."""
    yy, xx = np.mgrid[:size, :size]
    band = ((xx + yy) * count // size) % 2 == 0
    return _to_bytes(np.where(band[..., None], np.array(rgb), np.array(accent)))


def _blotches(rng: Rng, size: int, sigma_px: float) -> np.ndarray:
    noise = cv2.GaussianBlur(rng.normal(0.0, 1.0, (size, size)), (0, 0), sigma_px, borderType=cv2.BORDER_REFLECT)
    return (0.06 * noise / noise.std())[..., None]


def _to_bytes(image: np.ndarray) -> np.ndarray:
    return np.clip(image * 255.0, 0.0, 255.0).astype(np.uint8)
