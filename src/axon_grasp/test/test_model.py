# SPDX-License-Identifier: Apache-2.0
"""What the network promises by its construction, whatever its weights are."""

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is for training; the robot runs ONNX")

from axon_grasp.grasps import ANGLES, bin_angles  # noqa: E402
from axon_grasp.heightmap import CELLS  # noqa: E402
from axon_grasp.model import PATCH, GraspNet, patches_at  # noqa: E402


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    made = GraspNet()
    made.train()
    for _ in range(20):  # so that the normalisation fits what it sees
        made.judge(patches_at(a_map().expand(8, -1, -1, -1), 96 * torch.rand(8), 96 * torch.rand(8), 3 * torch.rand(8)))
    return made.eval()


def a_map():
    y, x = torch.meshgrid(torch.arange(float(CELLS)), torch.arange(float(CELLS)), indexing="ij")
    height = torch.exp(-(((x - 52) / 14) ** 2) - ((y - 40) / 6) ** 2)
    return torch.stack([height, (x + y < 150).float()])[None]


def test_a_whole_map_is_judged_as_its_single_grasps_are(network):
    cells = [(48.5, 48.5), (40.5, 52.5), (56.5, 38.5)]  # centres of blocks at which nothing is interpolated for angle 0
    with torch.no_grad():
        quality, thickness = network(a_map())
        for row, column in cells:
            for index in (0, 5, 13):
                angle = torch.tensor([float(bin_angles()[index])])
                patch = patches_at(a_map(), torch.tensor([row]), torch.tensor([column]), angle)
                logit, thick = network.judge(patch)
                r, c = int(row), int(column)
                around = quality[0, index, r - 1 : r + 3, c - 1 : c + 3]
                assert around.min() - 0.02 < torch.sigmoid(logit)[0] < around.max() + 0.02
                around = thickness[0, index, r - 1 : r + 3, c - 1 : c + 3]
                assert around.min() - 0.003 < thick[0] < around.max() + 0.003


def test_turning_the_map_by_a_quarter_turns_the_answers(network):
    with torch.no_grad():
        quality, _ = network(a_map())
        turned, _ = network(torch.rot90(a_map(), -1, (2, 3)))
    expected = torch.rot90(torch.roll(quality, ANGLES // 2, dims=1), -1, (2, 3))
    middle = slice(24, 72)
    assert quality[..., middle, middle].std() > 1e-3
    # a grasp from the bins 0 .. 8 comes out in 9 .. 17 as it was; the others come out half a turn about
    same = (turned - expected)[:, ANGLES // 2 :, middle, middle].abs()
    assert same.max() < 1e-3


def test_shapes_and_ranges(network):
    with torch.no_grad():
        quality, thickness = network(a_map())
        logit, _ = network.judge(torch.zeros(3, 2, PATCH, PATCH))
    assert quality.shape == thickness.shape == (1, ANGLES, CELLS, CELLS) and logit.shape == (3,)
    assert quality.min() >= 0.0 and quality.max() <= 1.0
