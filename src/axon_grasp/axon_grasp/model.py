# SPDX-License-Identifier: Apache-2.0
"""The grasp network: a small U-Net over the height map that says, for every cell and closing direction, how well a
grasp there holds and what it closes on.

After GG-CNN (Morrison et al., RSS 2018), with bins of angles in place of one regressed angle, and skip connections
(Ronneberger et al., 2015). Blocks of 2 x 2 cells are taken and given back as channels (Shi et al., 2016): that halves
the time on a CPU.
"""

import torch
from torch import nn
from torch.nn.functional import interpolate, max_pool2d, pixel_shuffle, pixel_unshuffle

from axon_grasp.grasps import ANGLES

CHANNELS = (32, 56, 80)
BLOCK = 2
THICKNESS_SCALE_M = 0.1


class GraspNet(nn.Module):
    """Fully convolutional; height and width must divide by 8."""

    def __init__(self, channels: tuple[int, ...] = CHANNELS) -> None:
        super().__init__()
        inputs = (2 * BLOCK**2, *channels[:-1])
        self.down = nn.ModuleList(_block(a, b) for a, b in zip(inputs, channels, strict=True))
        self.up = nn.ModuleList(_block(b + a, a) for a, b in zip(channels[-2::-1], channels[:0:-1], strict=True))
        self.head = nn.Conv2d(channels[0], 2 * ANGLES * BLOCK**2, 1)
        nn.init.constant_(self.head.bias, 0.0)

    def forward(self, maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Take maps (B, 2, H, W); return logits of the quality, and the thickness in m, both (B, ANGLES, H, W)."""
        features, skips = pixel_unshuffle(maps, BLOCK), []
        for level, block in enumerate(self.down):
            features = block(features if level == 0 else max_pool2d(features, 2))
            skips.append(features)
        for block, skip in zip(self.up, skips[-2::-1], strict=True):
            features = block(torch.cat([interpolate(features, scale_factor=2.0, mode="nearest"), skip], dim=1))
        logits, thickness = pixel_shuffle(self.head(features), BLOCK).split(ANGLES, dim=1)
        return logits, THICKNESS_SCALE_M * thickness


class Answer(nn.Module):
    """What is exported: quality as a probability 0 .. 1, and thickness in m."""

    def __init__(self, network: GraspNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return quality and thickness (B, ANGLES, H, W)."""
        logits, thickness = self.network(maps)
        return torch.sigmoid(logits), thickness


def _block(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for count in (inputs, outputs):
        layers += [nn.Conv2d(count, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)
