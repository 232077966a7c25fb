# SPDX-License-Identifier: Apache-2.0
"""The network: an encoder that halves the image five times, a decoder with skips that goes back to half of it.

Convolutions that halve have kernels of 4, so that an output pixel lies in the middle of the four that it stands for and
a mirrored image can have the mirrored depth.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as functional
from torch import nn

from axon_depth.canonical import CANONICAL_FOCAL_PX, INPUT_HEIGHT_PX

CHANNELS = (16, 32, 64, 96, 128)
BLOCKS = (0, 0, 1, 2, 1)
INPUTS = 6
TYPICAL_DEPTH_M, TYPICAL_SCALE, CAP_M, NEAREST_M = 1.5, 0.3, 2.5, 0.2
LOG_TYPICAL = math.log(TYPICAL_DEPTH_M)
LOG_SCALE_RANGE = (-5.0, 1.5)


class DepthNet(nn.Module):
    """Canonical depth and its uncertainty, a Laplace distribution of log-depth in every pixel.

    forward(image (N, 3, H, W) RGB 0 .. 1, principal_row_px (N,), inverse_floor (N, 1, H, W), floor_known (N,) 0 or 1)
    -> log_depth, log_scale (N, 1, H/2, W/2): the mean and the logarithm of the scale b of p(x) = exp(-|x - mean| / b)
    / 2b, x the logarithm of canonical depth in m. H and W are multiples of 16.

    The row in which the optical axis meets the image tells, with a pixel's own, how far below the axis it looks. Where
    the floor is known, what is learned is how much nearer (or beyond CAP_M farther) things are than the floor.
    """

    def __init__(self, channels: tuple[int, ...] = CHANNELS, blocks: tuple[int, ...] = BLOCKS) -> None:
        super().__init__()
        pairs = zip((INPUTS, *channels), channels, blocks, strict=False)
        self.down = nn.ModuleList(
            nn.Sequential(conv(before, after, 4, 2), *(Residual(after) for _ in range(count)))
            for before, after, count in pairs
        )
        finer = list(zip(channels[:0:-1], channels[-2::-1], strict=True))
        self.lateral = nn.ModuleList(conv(coarse, fine, 1) for coarse, fine in finer)
        self.fuse = nn.ModuleList(conv(fine, fine, 3) for _, fine in finer)
        self.head = nn.Conv2d(channels[0], 2, 3, padding=1)
        nn.init.normal_(self.head.weight, std=0.01)
        with torch.no_grad():
            self.head.bias.copy_(torch.log(torch.tensor([1.0, TYPICAL_SCALE])))

    def forward(
        self,
        image: torch.Tensor,
        principal_row_px: torch.Tensor,
        inverse_floor: torch.Tensor,
        floor_known: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        known = floor_known[:, None, None, None].expand_as(inverse_floor)
        rows = row_map(image, principal_row_px)
        features = [torch.cat([image - 0.5, rows, inverse_floor.clamp(-1.0, 2.0), known], dim=1)]
        for stage in self.down:
            features.append(stage(features[-1]))
        x = features.pop()
        for lateral, fuse, skip in zip(self.lateral, self.fuse, reversed(features[1:]), strict=True):
            x = functional.interpolate(lateral(x), size=skip.shape[2:], mode="bilinear", align_corners=False)
            x = fuse(x + skip)
        log_depth, log_scale = self.head(x).float().split(1, dim=1)
        return first_guess(inverse_floor, known) + log_depth, log_scale.clamp(*LOG_SCALE_RANGE)


class Symmetric(nn.Module):
    """A DepthNet's answers to an image and to its mirror image, averaged: what is shipped.

    A mirrored image then has exactly the mirrored depth, and the errors of the two partly cancel.
    """

    def __init__(self, network: DepthNet) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("log_scale_offset", torch.zeros(()))  # calibration on held-out views, after training

    def forward(
        self,
        image: torch.Tensor,
        principal_row_px: torch.Tensor,
        inverse_floor: torch.Tensor,
        floor_known: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        straight = self.network(image, principal_row_px, inverse_floor, floor_known)
        mirrored = self.network(image.flip(3), principal_row_px, inverse_floor.flip(3), floor_known)
        log_depth, log_scale = (0.5 * (a + b.flip(3)) for a, b in zip(straight, mirrored, strict=True))
        return log_depth, log_scale + self.log_scale_offset


class Residual(nn.Module):
    """Two convolutions beside the identity (He et al. 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = conv(channels, channels, 3)
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(x + self.second(self.first(x)))


def conv(before: int, after: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution, normalisation, rectifier; padded so that it divides the size by the stride."""
    padding = (kernel - stride + 1) // 2
    return nn.Sequential(
        nn.Conv2d(before, after, kernel, stride, padding, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)
    )


def row_map(image: torch.Tensor, principal_row_px: torch.Tensor) -> torch.Tensor:
    """Return (N, 1, H, W): the slope against the optical axis at which the canonical camera sees each row."""
    height = image.shape[2]  # of a smaller image than the runtime's the canonical focal length is smaller too
    rows = torch.arange(height, dtype=image.dtype, device=image.device)
    slopes = (rows[None] - principal_row_px.to(image.dtype)[:, None]) * (INPUT_HEIGHT_PX / height / CANONICAL_FOCAL_PX)
    return slopes[:, None, :, None].expand(-1, 1, -1, image.shape[3])


def first_guess(inverse_floor: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Return (N, 1, H/2, W/2): log-depth of the floor up to CAP_M, which stands for walls too, or a typical one."""
    inverse = functional.avg_pool2d(inverse_floor.float(), 2).clamp(1.0 / CAP_M, 1.0 / NEAREST_M)
    return functional.avg_pool2d(known, 2) * (-torch.log(inverse) - LOG_TYPICAL) + LOG_TYPICAL
