# SPDX-License-Identifier: Apache-2.0
"""The grasp network: how well a grasp holds at every cell and closing direction of a height map, and what it closes on.

One small fully convolutional network sees the map turned so that the closing direction lies along x; it is run for each
bin of angles (Zeng et al., Learning Synergies between Pushing and Grasping, IROS 2018). So what is learned of one
direction holds for all, and one label teaches all bins. Its field of view, 30 cells, is what the open gripper covers.
"""

import torch
from torch import nn
from torch.nn.functional import grid_sample, pixel_unshuffle

from axon_grasp.grasps import ANGLES, bin_angles
from axon_grasp.heightmap import CELLS

CHANNELS = (32, 32, 48, 48, 64, 64, 64)
BLOCK = 2  # cells a side of one output
PATCH = BLOCK * (2 * len(CHANNELS) + 1)
OUTPUTS = 32  # a side; what is farther than 0.128 m from the middle of the map is not judged
TURNED = BLOCK * OUTPUTS + PATCH - BLOCK
THICKNESS_SCALE_M = 0.1


class GraspNet(nn.Module):
    """`judge` looks at single grasps, `forward` at a whole map; the same weights, the same answers."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in zip((2 * BLOCK**2, *CHANNELS[:-1]), CHANNELS, strict=True):
            layers += [nn.Conv2d(inputs, outputs, 3, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
        self.trunk = nn.Sequential(*layers, nn.Conv2d(CHANNELS[-1], 2, 1))
        angles = torch.from_numpy(bin_angles()).float()
        self.register_buffer("turn", _grid(angles, TURNED, CELLS), persistent=False)
        self.register_buffer("turn_back", _grid(-angles, CELLS, BLOCK * OUTPUTS), persistent=False)

    def judge(self, patches: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Take patches (K, 2, PATCH, PATCH) that close along x; return logits of the quality, thickness in m (K,)."""
        answer = self.trunk(pixel_unshuffle(patches, BLOCK))
        return answer[:, 0, 0, 0], THICKNESS_SCALE_M * answer[:, 1, 0, 0]

    def forward(self, maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Take one map (1, 2, CELLS, CELLS); return quality 0 .. 1 and thickness in m (1, ANGLES, CELLS, CELLS)."""
        turned = grid_sample(maps.expand(ANGLES, -1, -1, -1), self.turn, align_corners=False)
        answer = self.trunk(pixel_unshuffle(turned, BLOCK))
        answer = torch.cat([torch.sigmoid(answer[:, :1]), THICKNESS_SCALE_M * answer[:, 1:]], dim=1)
        back = grid_sample(answer, self.turn_back, align_corners=False)
        return back[None, :, 0], back[None, :, 1]


def patches_at(maps: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor, angles: torch.Tensor) -> torch.Tensor:
    """Return patches (K, 2, PATCH, PATCH) of maps (K, 2, CELLS, CELLS) about cells (K,), turned by angles (K,)."""
    along = torch.arange(PATCH) - 0.5 * (PATCH - 1)
    y, x = torch.meshgrid(along, along, indexing="ij")
    cos, sin = torch.cos(angles)[:, None, None], torch.sin(angles)[:, None, None]
    column = columns[:, None, None] + cos * x - sin * y
    row = rows[:, None, None] + sin * x + cos * y
    places = (2.0 * torch.stack([column, row], dim=-1) + 1.0) / CELLS - 1.0
    return grid_sample(maps, places, align_corners=False)


def _grid(angles: torch.Tensor, cells: int, of_cells: int) -> torch.Tensor:
    """Return where (N, cells, cells, 2) to sample an image of `of_cells` a side to have it turned by -angles."""
    steps = (2.0 * torch.arange(cells) + 1.0 - cells) / of_cells
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    cos, sin = torch.cos(angles)[:, None, None], torch.sin(angles)[:, None, None]
    return torch.stack([cos * x - sin * y, sin * x + cos * y], dim=-1)
