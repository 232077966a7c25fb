# SPDX-License-Identifier: Apache-2.0
"""The driving network: a small convolutional trunk over the local map, and the vector beside it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from axon_core.drive_observation import CHANNELS, MAP_PIXELS, VECTOR_SIZE, mirror_tables

HIDDEN, FEATURES = 256, 128


class Trunk(nn.Module):
    """map (N, 4, 48, 48) uint8 or float 0 .. 255 and vector (N, 81) -> features (N, 128)."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(len(CHANNELS), 16, 5, stride=2, padding=2), nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(32, 32, 3, stride=2, padding=1), nn.ReLU(),
            nn.Flatten(),
        )  # fmt: skip
        flat = 32 * (MAP_PIXELS // 8) ** 2
        self.fusion = nn.Sequential(
            nn.Linear(flat + VECTOR_SIZE, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, FEATURES), nn.ReLU()
        )

    def forward(self, image: Tensor, vector: Tensor) -> Tensor:
        pixels = (image.float() / 255.0).contiguous(memory_format=torch.channels_last)
        return self.fusion(torch.cat([self.convolutions(pixels), vector], dim=1))


class DriveNetwork(nn.Module):
    """Observation -> action (N, 2), and mirrored observation -> mirrored action, exactly, whatever the weights.

    The trunk sees the scene and its mirror image; the forward speed is the mean of the two answers, the turn half of
    their difference.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trunk = Trunk()
        self.head = nn.Linear(FEATURES, 2)
        index, sign = mirror_tables()
        self.register_buffer("index", torch.from_numpy(index.copy()), persistent=False)
        self.register_buffer("sign", torch.from_numpy(sign), persistent=False)

    def one_sided(self, image: Tensor, vector: Tensor) -> Tensor:
        """What the trunk answers to the scene alone (N, 2)."""
        return self.head(self.trunk(image, vector))

    def forward(self, image: Tensor, vector: Tensor) -> Tensor:
        images = torch.cat([image, image.flip(-1)])
        vectors = torch.cat([vector, vector[:, self.index] * self.sign])
        seen, mirrored = self.one_sided(images, vectors).chunk(2)
        forward = 0.5 * (seen[:, :1] + mirrored[:, :1])
        turn = 0.5 * (seen[:, 1:] - mirrored[:, 1:])
        return torch.cat([forward, turn], dim=1)


class Exported(nn.Module):
    """The network as it ships: its actions end at -1 and 1."""

    def __init__(self, network: DriveNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, vector: Tensor) -> Tensor:
        return self.network(image, vector).clamp(-1.0, 1.0)
