# SPDX-License-Identifier: Apache-2.0
"""The sequence planner's network: a window of the costmap in, waypoints one after another out."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from axon_planner.sequence import CELL_M, CELLS, HALF_M, PLANES, REACH_M, WAYPOINTS

WIDTH = 32
DILATIONS = (1, 2, 4, 8, 4, 2, 1)
STATE = 96
LOOK, LOOK_M = 5, 0.15  # the decoder looks at LOOK x LOOK places, LOOK_M apart, about where it stands
MOVE_M = 0.25  # a step departs from the straight way to the goal by at most this, along x and along y


class SequenceNet(nn.Module):
    """Waypoints (B, WAYPOINTS + 1, 2) in metres for planes (B, PLANES, CELLS, CELLS) and spans (B, 1) of `see`.

    A convolutional encoder reads the window once. An LSTM then steps from the start: it looks at the window and at what
    the encoder made of it where it stands, x_t, and departs by d_t from an even step towards the goal g,

        x_(t+1) = x_t + (g - x_t) / (T - t) + MOVE_M tanh(d_t),   t = 0 .. T - 2;   x_T = g                         (1)

    so that the ends are exact, and an untrained network goes straight.
    """

    def __init__(self, width: int = WIDTH, state: int = STATE):
        super().__init__()
        self.first = nn.Conv2d(PLANES + 2, width, 5, stride=2, padding=2)
        self.second = nn.Conv2d(width, width, 3, stride=2, padding=1)
        self.blocks = nn.ModuleList(nn.Conv2d(width, width, 3, padding=d, dilation=d) for d in DILATIONS)
        self.begin = nn.Linear(2 * width + 1, 2 * state)
        self.eye = nn.Linear(LOOK * LOOK + width + 6, state)
        self.memory = nn.LSTMCell(state, state)
        self.last = nn.Linear(state, 2)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        along = (torch.arange(CELLS) + 0.5) * CELL_M - HALF_M
        self.register_buffer("places", torch.stack(torch.meshgrid(along, along, indexing="xy")), False)
        near = (torch.arange(LOOK) - LOOK // 2) * LOOK_M
        self.register_buffer(
            "around", torch.stack(torch.meshgrid(near, near, indexing="xy"), -1).view(1, 1, -1, 2), False
        )

    def forward(
        self, planes: torch.Tensor, span: torch.Tensor, taught: torch.Tensor | None = None, share: float = 0.0
    ) -> torch.Tensor:
        """(B, PLANES, CELLS, CELLS), (B, 1) -> (B, WAYPOINTS + 1, 2).

        While it learns, it goes on from the points `taught` (B, WAYPOINTS + 1, 2) instead of its own with the
        probability `share`, drawn for each path and step (scheduled sampling).
        """
        goal = torch.cat([0.5 * span, torch.zeros_like(span)], dim=1)
        seen = self.encode(planes, goal)
        pooled = torch.cat([seen.mean(dim=(2, 3)), seen.amax(dim=(2, 3)), span / REACH_M], dim=1)
        state = torch.tanh(self.begin(pooled)).chunk(2, dim=1)
        here, points = -goal, [-goal]
        for step in range(WAYPOINTS - 1):
            left = WAYPOINTS - step
            eye = self.look(planes, seen, here, goal, left)
            state = self.memory(eye, state)
            there = here + (goal - here) / left + MOVE_M * torch.tanh(self.last(state[0]))
            points.append(there)
            here = there
            if taught is not None:
                chosen = torch.rand(len(there), 1) < share
                here = torch.where(chosen, taught[:, step + 1], there)
        return torch.stack([*points, goal], dim=1)

    def encode(self, planes: torch.Tensor, goal: torch.Tensor) -> torch.Tensor:
        """The window (B, PLANES, CELLS, CELLS) with the way's ends, as features (B, W, CELLS / 4, CELLS / 4)."""
        ends = [(self.places - s * goal[:, :, None, None]).norm(dim=1, keepdim=True) / HALF_M for s in (-1.0, 1.0)]
        x = functional.relu(self.first(torch.cat([planes, *ends], dim=1)))
        x = functional.relu(self.second(x))
        for block in self.blocks:
            x = x + functional.relu(block(x))
        return x

    def look(
        self, planes: torch.Tensor, seen: torch.Tensor, here: torch.Tensor, goal: torch.Tensor, left: int
    ) -> torch.Tensor:
        """What the decoder knows at places (B, 2) with `left` steps to go, (B, state)."""
        at = here[:, None, None]
        room = _sample(planes[:, :1], at + self.around).flatten(1)
        sense = _sample(seen, at).flatten(1)
        time = torch.full_like(here[:, :1], left / WAYPOINTS)
        pace = (goal - here).norm(dim=1, keepdim=True) / left
        known = torch.cat([room, sense, here / HALF_M, (goal - here) / HALF_M, time, 4.0 * pace], dim=1)
        return functional.relu(self.eye(known))


def _sample(image: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Bilinear values (B, C, 1, K) of an image of the window at places (B, 1, K, 2) in metres."""
    return functional.grid_sample(image, places / HALF_M, padding_mode="border", align_corners=False)
