# SPDX-License-Identifier: Apache-2.0
"""What the detector learns from: which cells answer for which object, and how wrong they are."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

_CELLS_PER_OBJECT = 10
_SCORE_POWER, _IOU_POWER = 0.5, 4.0
_BOX_WEIGHT = 2.5
_EPS = 1e-7


class Truth(NamedTuple):
    """The objects of one image: boxes_xyxy (M, 4) px, labels (M,), ignored (M,): too hidden or cut to be asked for."""

    boxes: Tensor
    labels: Tensor
    ignored: Tensor


def detection_loss(predicted: tuple[Tensor, Tensor, Tensor, Tensor], truths: list[Truth]) -> tuple[Tensor, Tensor]:
    """Return the losses of scores and boxes of what `DetectorNet.predict` answers, per wanted score."""
    boxes, logits, centres, strides = predicted
    score_loss = box_loss = wanted_sum = boxes.new_zeros(())
    for box, logit, truth in zip(boxes, logits, truths, strict=True):
        wanted, owner, counted = assign(box.detach(), logit.detach().sigmoid(), centres, strides, truth)
        score_loss = score_loss + _score_loss(logit, wanted, counted)
        cells = owner >= 0
        weight = wanted.sum(dim=1)[cells]
        box_loss = box_loss + ((1.0 - giou(box[cells], truth.boxes[owner[cells]])) * weight).sum()
        wanted_sum = wanted_sum + weight.sum()
    scale = wanted_sum.clamp(min=1.0)
    return score_loss / scale, _BOX_WEIGHT * box_loss / scale


def _score_loss(logits: Tensor, wanted: Tensor, counted: Tensor) -> Tensor:
    loss = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    return (loss * counted[:, None]).sum()


def assign(
    boxes: Tensor, scores: Tensor, centres: Tensor, strides: Tensor, truth: Truth
) -> tuple[Tensor, Tensor, Tensor]:
    """Task-aligned assignment (Feng et al., TOOD, ICCV 2021): those cells answer for an object that do it best already.

    Return the wanted scores (N, C), the object (N,) of each cell, -1 for none, and whether a cell's score counts (N,).
    """
    wanted, owner = torch.zeros_like(scores), torch.full_like(scores[:, 0], -1, dtype=torch.long)
    inside = cells_in(truth.boxes, centres, strides)
    asked = ~truth.ignored
    counted = ~inside[truth.ignored].any(dim=0)
    if asked.any():
        index = asked.nonzero()[:, 0]
        overlap = pairwise_iou(truth.boxes[index], boxes)
        fit = scores[:, truth.labels[index]].T ** _SCORE_POWER * overlap**_IOU_POWER
        chosen = _best_cells(fit, inside[index])
        fit, overlap = fit * chosen, overlap * chosen
        share = fit / (fit.amax(dim=1, keepdim=True) + _EPS) * overlap.amax(dim=1, keepdim=True)
        best = overlap.argmax(dim=0)
        cells = chosen.any(dim=0).nonzero()[:, 0]
        owner[cells] = index[best[cells]]
        wanted[cells, truth.labels[owner[cells]]] = share[best[cells], cells]
        counted = counted | (owner >= 0)
    return wanted, owner, counted


def cells_in(boxes: Tensor, centres: Tensor, strides: Tensor) -> Tensor:
    """Return which cells (N) may answer for which boxes (M): (M, N). The smallest box still has the cell it lies in."""
    middle, half = 0.5 * (boxes[:, :2] + boxes[:, 2:]), 0.5 * (boxes[:, 2:] - boxes[:, :2])
    reach = torch.maximum(half[:, None], 0.5 * strides[None])
    return ((centres[None] - middle[:, None]).abs() <= reach).all(dim=-1)


def _best_cells(fit: Tensor, inside: Tensor) -> Tensor:
    """Return for each object (M, N) the cells that fit best of those inside."""
    ranked = torch.where(inside, fit + _EPS, torch.zeros_like(fit))
    top = ranked.topk(min(_CELLS_PER_OBJECT, ranked.shape[1]), dim=1)
    return torch.zeros_like(inside).scatter_(1, top.indices, top.values > 0.0)


def pairwise_iou(first: Tensor, second: Tensor) -> Tensor:
    """Return the IoU (M, N) of boxes (M, 4) and (N, 4)."""
    low = torch.maximum(first[:, None, :2], second[None, :, :2])
    high = torch.minimum(first[:, None, 2:], second[None, :, 2:])
    common = (high - low).clamp(min=0.0).prod(dim=-1)
    areas = [(b[:, 2:] - b[:, :2]).prod(dim=-1) for b in (first, second)]
    return common / (areas[0][:, None] + areas[1][None] - common + _EPS)


def giou(first: Tensor, second: Tensor) -> Tensor:
    """Return the generalised IoU (N,) in -1 .. 1 of boxes (N, 4) in pairs (Rezatofighi et al., CVPR 2019, eq. 1)."""
    low, high = torch.maximum(first[:, :2], second[:, :2]), torch.minimum(first[:, 2:], second[:, 2:])
    common = (high - low).clamp(min=0.0).prod(dim=-1)
    union = sum((b[:, 2:] - b[:, :2]).prod(dim=-1) for b in (first, second)) - common + _EPS
    hull_low, hull_high = torch.minimum(first[:, :2], second[:, :2]), torch.maximum(first[:, 2:], second[:, 2:])
    hull = (hull_high - hull_low).prod(dim=-1) + _EPS
    return common / union - (hull - union) / hull
