# SPDX-License-Identifier: Apache-2.0
"""The network's shape, where PyTorch is there."""

import pytest

from axon_depth.canonical import CANONICAL_FOCAL_PX, INPUT_HEIGHT_PX, INPUT_WIDTH_PX

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def network():
    from axon_depth.model import DepthNet

    torch.manual_seed(0)
    return DepthNet().eval()


def floor_of(count, inverse=0.5, known=1.0):
    """The inputs of a wall at one distance instead of a floor, for shape's sake."""
    return torch.full((count, 1, INPUT_HEIGHT_PX, INPUT_WIDTH_PX), inverse), torch.full((count,), known)


def test_answers_at_half_the_resolution(network):
    image = torch.rand(2, 3, INPUT_HEIGHT_PX, INPUT_WIDTH_PX)
    with torch.no_grad():
        log_depth, log_scale = network(image, torch.tensor([47.5, 40.0]), *floor_of(2))
    assert log_depth.shape == log_scale.shape == (2, 1, INPUT_HEIGHT_PX // 2, INPUT_WIDTH_PX // 2)
    assert sum(p.numel() for p in network.parameters()) < 1.5e6


def test_every_pixel_is_judged_by_far_more_than_its_neighbours(network):
    """The lower half of the image bears on a pixel of the upper one: depth is a matter of the whole view."""
    image = torch.rand(1, 3, INPUT_HEIGHT_PX, INPUT_WIDTH_PX, requires_grad=True)
    log_depth, _ = network(image, torch.tensor([47.5]), *floor_of(1))
    log_depth[0, 0, 10, 32].backward()
    felt = image.grad[0].abs().sum(dim=0) > 0.0
    assert felt[60].any() and felt[20, 8] and felt[20, 120]


def test_row_map_is_the_slope_at_which_the_canonical_camera_looks():
    from axon_depth.model import row_map

    full, half = (row_map(torch.zeros(1, 3, h, 2), torch.tensor([0.5 * h])) for h in (96, 48))
    assert full[0, 0, :, 0].tolist() == pytest.approx([(v - 48.0) / CANONICAL_FOCAL_PX for v in range(96)])
    assert half[0, 0, :, 0].tolist() == pytest.approx(full[0, 0, ::2, 0].tolist())


def test_before_any_learning_the_answer_is_the_floor_up_to_a_cap_or_a_typical_depth():
    from axon_depth.model import CAP_M, TYPICAL_DEPTH_M, first_guess

    inverse = torch.tensor([2.0, 0.5, 0.1, -1.0]).repeat_interleave(2).reshape(1, 1, 8, 1).expand(1, 1, 8, 2)
    told = first_guess(inverse, torch.ones(1, 1, 8, 2)).exp()[0, 0, :, 0]
    assert told.tolist() == pytest.approx([0.5, 2.0, CAP_M, CAP_M])
    unknown = first_guess(inverse, torch.zeros(1, 1, 8, 2)).exp()
    assert unknown.flatten().tolist() == pytest.approx([TYPICAL_DEPTH_M] * 4)


def test_what_is_shipped_tells_the_mirrored_depth_of_a_mirrored_image(network):
    from axon_depth.model import Symmetric

    torch.manual_seed(1)
    shape = (INPUT_HEIGHT_PX, INPUT_WIDTH_PX)
    image, floor, known = torch.rand(1, 3, *shape), torch.rand(1, 1, *shape), torch.ones(1)
    with torch.no_grad():
        straight = Symmetric(network)(image, torch.tensor([47.5]), floor, known)
        mirrored = Symmetric(network)(image.flip(3), torch.tensor([47.5]), floor.flip(3), known)
    for one, other in zip(straight, mirrored, strict=True):
        torch.testing.assert_close(one, other.flip(3), atol=1e-5, rtol=0.0)
