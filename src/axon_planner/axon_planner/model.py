# SPDX-License-Identifier: Apache-2.0
"""The refiner's network: a strip of the distance field along a path in, sideways moves of its points and speeds out."""

from __future__ import annotations

import torch
from torch import nn

from axon_planner.path_cost import LEAST_SPEED, MAX_OFFSET_M
from axon_planner.refiner import CHANNELS, STRIP

WIDTH = 32
DILATIONS = (1, 2, 4, 8, 4, 2)


class Block(nn.Module):
    """A residual block of one dilated convolution and one over channels."""

    def __init__(self, width: int, dilation: int):
        super().__init__()
        self.around = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.across = nn.Conv1d(width, width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, W, N) -> (B, W, N)."""
        return x + self.across(torch.relu(self.around(torch.relu(x))))


class RefinerNet(nn.Module):
    """Offsets (B, N) in metres, to the left, and speeds (B, N) as shares of the top speed.

    Taken from features (B, CHANNELS, N) as `refiner.features` makes them. The network sees the scene and its mirror
    image, and answers half the difference of the offsets and half the sum of the speeds, so that a mirrored scene gets
    the mirrored path at the same speeds, exactly. Both ends stay by construction: the ramp is 0 there.
    """

    def __init__(self, width: int = WIDTH):
        super().__init__()
        self.first = nn.Conv1d(CHANNELS, width, 1)
        self.blocks = nn.Sequential(*[Block(width, dilation) for dilation in DILATIONS])
        self.last = nn.Conv1d(width, 2, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, CHANNELS, N) -> (B, N), (B, N)."""
        strip, turn, rest = features[:, :STRIP], features[:, STRIP : STRIP + 1], features[:, STRIP + 1 :]
        mirrored = torch.cat([torch.flip(strip, dims=(1,)), -turn, rest], dim=1)
        seen, opposite = self._half(features), self._half(mirrored)
        offsets = MAX_OFFSET_M * rest[:, 0] * torch.tanh(seen[:, 0] - opposite[:, 0])
        share = torch.sigmoid(1.0 + seen[:, 1] + opposite[:, 1])
        return offsets, LEAST_SPEED + (1.0 - LEAST_SPEED) * share

    def _half(self, features: torch.Tensor) -> torch.Tensor:
        return self.last(torch.relu(self.blocks(self.first(features))))
