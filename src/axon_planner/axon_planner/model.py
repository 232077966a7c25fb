# SPDX-License-Identifier: Apache-2.0
"""The refiner's network: a strip of the distance field along a path in, sideways moves of its points out."""

from __future__ import annotations

import torch
from torch import nn

from axon_planner.path_cost import MAX_OFFSET_M
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
    """Offsets (B, N) in metres, to the left, for features (B, CHANNELS, N) as `refiner.features` makes them.

    The network sees the scene and its mirror image and answers half the difference, so that a mirrored scene gets the
    mirrored path, exactly. Both ends stay by construction: the last channel, the ramp, is 0 there.
    """

    def __init__(self, width: int = WIDTH):
        super().__init__()
        self.first = nn.Conv1d(CHANNELS, width, 1)
        self.blocks = nn.Sequential(*[Block(width, dilation) for dilation in DILATIONS])
        self.last = nn.Conv1d(width, 1, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, CHANNELS, N) -> (B, N)."""
        strip, turn, ramp = features[:, :STRIP], features[:, STRIP : STRIP + 1], features[:, STRIP + 1 :]
        mirrored = torch.cat([torch.flip(strip, dims=(1,)), -turn, ramp], dim=1)
        moved = self._half(features) - self._half(mirrored)
        return MAX_OFFSET_M * ramp[:, 0] * torch.tanh(moved)

    def _half(self, features: torch.Tensor) -> torch.Tensor:
        return self.last(torch.relu(self.blocks(self.first(features))))[:, 0]
