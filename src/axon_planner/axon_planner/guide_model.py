# SPDX-License-Identifier: Apache-2.0
"""The guide's network: a map in, the costs of a coarse lattice over it and of the ways onto that lattice out."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from axon_planner.guide_lattice import BLOCK, CHANNELS, channel_scales

WIDTH = 32
DILATIONS = (1, 2)
SHORTEST, LONGEST = -1.5, 4.0  # of the logarithm of a cost over its length


class GuideNet(nn.Module):
    """Costs and factors of a lattice (B, H / 4, W / 4, 58), as `guide_lattice` orders them, all above 0, in cells.

    It sees free cells and a plane that is 1 where every step costs 1 and corners may be cut, else 0. A cost is its
    length on the empty plane times the exponential of what the last layer says, which begins at 0: an untrained network
    answers with the distances of an empty map.
    """

    def __init__(self, width: int = WIDTH, dilations: tuple[int, ...] = DILATIONS):
        super().__init__()
        self.first = nn.Conv2d(BLOCK * BLOCK + 1, width, 3, padding=1)
        self.blocks = nn.ModuleList(nn.Conv2d(width, width, 3, padding=d, dilation=d) for d in dilations)
        self.last = nn.Conv2d(width, CHANNELS, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        for moore in (False, True):
            self.register_buffer(f"scales_{int(moore)}", torch.tensor(channel_scales(moore)).view(1, -1, 1, 1), False)

    def forward(self, cells: torch.Tensor) -> torch.Tensor:
        """(B, 2, H, W) -> (B, H / 4, W / 4, 58); H and W multiples of 4."""
        free = functional.pixel_unshuffle(cells[:, :1], BLOCK)
        moore = cells[:, 1:, ::BLOCK, ::BLOCK]
        x = functional.relu(self.first(torch.cat([free, moore], dim=1)))
        for block in self.blocks:
            x = x + functional.relu(block(x))
        says = self.last(x).float().clamp(SHORTEST, LONGEST)
        costs = torch.exp(says) * (self.scales_0 + (self.scales_1 - self.scales_0) * moore)
        return costs.permute(0, 2, 3, 1)
