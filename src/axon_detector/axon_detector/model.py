# SPDX-License-Identifier: Apache-2.0
"""The network: anchor-free and small, one score a class and four edges a cell, on grids of 4, 8 and 16 px.

A backbone of cross-stage-partial stages down to 1/32, a top-down feature pyramid (Lin et al., CVPR 2017) up to 1/4 and
decoupled heads (Ge et al., YOLOX, 2021). The finest grid is there for objects of 8 to 20 px, which is what a mug is in
the image of a robot that stands two metres away. ReLU, because ONNX Runtime folds it into the convolution.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

STRIDES = (4, 8, 16)
SIZE_MULTIPLE = 32
_PRIOR = 0.01  # score of every cell before training, so that background does not swamp the first steps (RetinaNet)
_MEAN, _SCALE = 114.0, 1.0 / 64.0
_MAX_LOG_EDGE = 5.0


def conv(channels_in: int, channels_out: int, size: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(channels_out, eps=1e-3, momentum=0.03),
        nn.ReLU(inplace=True),
    )


class Residual(nn.Module):
    """Two convolutions beside the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(channels, channels), conv(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same."""
        return x + self.body(x)


class Stage(nn.Module):
    """Half of the channels goes through residual blocks, all are joined after them (CSPNet, Wang et al., 2020)."""

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        half = channels // 2
        self.split = conv(channels, channels, 1)
        self.blocks = nn.Sequential(*(Residual(half) for _ in range(blocks)))
        self.join = conv(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same."""
        kept, worked = self.split(x).chunk(2, dim=1)
        return self.join(torch.cat([kept, self.blocks(worked)], dim=1))


class Backbone(nn.Module):
    """Features at 1/4, 1/8, 1/16 and 1/32."""

    def __init__(self, widths: tuple[int, int, int, int]) -> None:
        super().__init__()
        stem = widths[0] // 2
        self.stem = conv(3, stem, 3, 2)
        steps = zip((stem, *widths[:-1]), widths, (1, 2, 2, 1), strict=True)
        self.stages = nn.ModuleList(nn.Sequential(conv(a, b, 3, 2), Stage(b, blocks)) for a, b, blocks in steps)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) -> four maps (B, C, H / s, W / s)."""
        x, maps = self.stem(x), []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


class Pyramid(nn.Module):
    """Brings what the coarse maps know to the fine ones."""

    def __init__(self, widths_in: tuple[int, int, int, int], widths: tuple[int, int, int]) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(conv(a, b, 1) for a, b in zip(widths_in, widths, strict=False))
        self.downward = nn.ModuleList(conv(a, b, 1) for a, b in zip((*widths[1:], widths_in[-1]), widths, strict=True))
        self.mixers = nn.ModuleList(Stage(width, 1) for width in widths)
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Four maps -> three, the finest first."""
        above, out = maps[-1], []
        for level in reversed(range(len(self.mixers))):
            above = self.mixers[level](self.laterals[level](maps[level]) + self.upsample(self.downward[level](above)))
            out.insert(0, above)
        return out


class Head(nn.Module):
    """Scores and edges of one grid."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.scores = nn.Sequential(conv(channels, channels), nn.Conv2d(channels, classes, 1))
        self.edges = nn.Sequential(conv(channels, channels), nn.Conv2d(channels, 4, 1))
        nn.init.constant_(self.scores[-1].bias, -math.log((1.0 - _PRIOR) / _PRIOR))
        nn.init.constant_(self.edges[-1].bias, math.log(2.0))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) -> logits (B, H W, classes) and logarithms of edges in cells (B, H W, 4)."""
        return self.scores(x).flatten(2).transpose(1, 2), self.edges(x).flatten(2).transpose(1, 2)


class DetectorNet(nn.Module):
    """BGR images (B, 3, H, W), 0 .. 255, H and W multiples of 32 -> boxes and scores of N cells."""

    def __init__(
        self,
        classes: int,
        widths: tuple[int, int, int, int] = (32, 64, 128, 160),
        pyramid: tuple[int, int, int] = (32, 48, 64),
    ) -> None:
        super().__init__()
        self.backbone = Backbone(widths)
        self.pyramid = Pyramid(widths, pyramid)
        self.heads = nn.ModuleList(Head(channels, classes) for channels in pyramid)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return boxes_xyxy (B, N, 4) in px of the input and scores (B, N, classes) in 0 .. 1."""
        boxes, logits, _, _ = self.predict(images)
        return boxes, logits.sigmoid()

    def predict(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return boxes (B, N, 4), logits (B, N, classes), centres of the cells (N, 2) and their strides (N, 1), px."""
        maps = self.pyramid(self.backbone((images - _MEAN) * _SCALE))
        cells = [cell_centres(x, stride) for x, stride in zip(maps, STRIDES, strict=True)]
        centres, strides = torch.cat([c for c, _ in cells]), torch.cat([s for _, s in cells])
        found = [head(x) for head, x in zip(self.heads, maps, strict=True)]
        logits = torch.cat([scores for scores, _ in found], dim=1).float()
        edges = torch.cat([edges for _, edges in found], dim=1).float()
        reach = edges.clamp(max=_MAX_LOG_EDGE).exp() * strides
        return torch.cat([centres - reach[..., :2], centres + reach[..., 2:]], dim=-1), logits, centres, strides


def cell_centres(features: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    """Return the centres x, y (H W, 2) of a map's cells and the stride (H W, 1), in px of the image."""
    rows = torch.arange(features.shape[2], device=features.device, dtype=torch.float32)
    columns = torch.arange(features.shape[3], device=features.device, dtype=torch.float32)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    centres = (torch.stack([x, y], dim=-1).reshape(-1, 2) + 0.5) * stride
    return centres, torch.full_like(centres[:, :1], float(stride))
