# SPDX-License-Identifier: Apache-2.0
"""The 7-Scenes bench: what it refuses, and a short run where the data are there."""

from pathlib import Path

import numpy as np
import pytest
import slam_7scenes
from harness import make_parser

DATA = Path(__file__).parents[2] / "shared" / "data" / "redkitchen_dev"


def options(*words):
    return make_parser("slam-7scenes", slam_7scenes).parse_args(words)


def test_a_folder_without_frames_or_with_half_of_one_is_refused(tmp_path):
    with pytest.raises(ValueError, match="--data"):
        slam_7scenes.main(options())
    with pytest.raises(ValueError, match=r"no frame-XXXXXX\.depth\.png"):
        slam_7scenes.main(options("--data", str(tmp_path)))
    (tmp_path / "frame-000000.depth.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"frame-000000\.color\.jpg: missing"):
        slam_7scenes.main(options("--data", str(tmp_path)))


def test_forty_real_frames_are_tracked_to_two_centimetres():
    if not DATA.is_dir():
        pytest.skip(f"no data at {DATA}")
    numbers = slam_7scenes.main(options("--data", str(DATA), "--frames", "40", "--no-baselines"))
    assert numbers["frames"] == 40 and numbers["frames_without_pose"] == 0
    assert numbers["ate_rmse_m"] < 0.02 and numbers["keyframes"] >= 2
    assert all(np.isfinite(list(numbers.values())))
