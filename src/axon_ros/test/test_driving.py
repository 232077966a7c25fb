# SPDX-License-Identifier: Apache-2.0
"""Scans wait for their transforms, and the base is where its newest transform and its velocity say."""

from types import SimpleNamespace

import numpy as np
import pytest

from axon_core.motion import Twist2
from axon_core.scans import Scan
from axon_ros.conversions import header, odometry_to_msg, scan_to_msg
from axon_ros.driving import BaseMotion, PlacedScans, pose_of_frame
from axon_ros.errors import BadInput, NoTransform
from axon_ros.stamps import stamp_seconds


class FakeNode:
    """A node whose transforms are those of `known`: (target, source, stamp or None for the newest) -> pose (3,)."""

    def __init__(self):
        self.known = {}
        self.newest_s = 0.0
        self.tf = SimpleNamespace(lookup_transform=lambda *_: SimpleNamespace(header=header(self.newest_s, "odom")))

    def lookup_se2(self, target, source, stamp=None):
        key = target, source, None if stamp is None else round(stamp_seconds(stamp), 3)
        if key not in self.known:
            raise NoTransform(f"no transform {key}")
        return np.array(self.known[key])


def scan_msg(stamp_s, range_m=1.0):
    return scan_to_msg(Scan(np.full(5, range_m, np.float32), -1.0, 0.5, 0.1, 10.0), header(stamp_s, "laser_link"))


@pytest.fixture
def node():
    return FakeNode()


def test_a_scan_waits_for_its_transform(node):
    used = []
    scans = PlacedScans(node, "odom", lambda *arguments: used.append(arguments))
    scans.take(scan_msg(1.0))
    scans.settle()
    assert used == []
    node.known["odom", "laser_link", 1.0] = (2.0, 3.0, 0.5)
    scans.settle()
    scans.settle()
    (stamp_s, scan, pose), *others = used
    assert stamp_s == 1.0 and scan.ranges_m[0] == 1.0 and pose.tolist() == [2.0, 3.0, 0.5]
    assert others == [], "each scan is used once"


def test_only_the_newest_scan_waits_and_an_older_one_still_comes_first(node):
    used = []
    scans = PlacedScans(node, "odom", lambda stamp_s, *_: used.append(stamp_s))
    scans.take(scan_msg(1.0))
    node.known["odom", "laser_link", 1.0] = node.known["odom", "laser_link", 3.0] = (0.0, 0.0, 0.0)
    scans.take(scan_msg(2.0))  # the first finds its transform now, this one never will
    scans.take(scan_msg(3.0))
    assert used == [1.0, 3.0]


def test_a_scan_that_is_none_is_refused(node):
    with pytest.raises(BadInput):
        PlacedScans(node, "odom", lambda *_: None).take(scan_to_msg_with_no_rays())


def scan_to_msg_with_no_rays():
    msg = scan_msg(1.0)
    msg.ranges = []
    return msg


def test_the_base_is_carried_on_at_its_velocity(node):
    motion = BaseMotion(node, "odom", "base_link")
    node.known["odom", "base_link", None] = (1.0, 0.0, np.pi / 2)
    node.newest_s = 5.0
    motion.take(odometry_to_msg(np.zeros(3), Twist2(2.0, 0.0, 0.0), header(5.02, "odom"), "base_link"))
    pose, velocity, age_s = motion.now(5.1, oldest_tf_s=0.3)
    np.testing.assert_allclose(pose, [1.0, 0.2, np.pi / 2], atol=1e-9)
    assert velocity == Twist2(2.0, 0.0, 0.0) and age_s == pytest.approx(0.08)


def test_what_is_missing_or_stale_is_said(node):
    motion = BaseMotion(node, "odom", "base_link")
    with pytest.raises(BadInput, match="not there yet"):
        motion.now(1.0, 0.3)
    motion.take(odometry_to_msg(np.zeros(3), Twist2(), header(1.0, "odom"), "base_link"))
    with pytest.raises(NoTransform):
        motion.now(1.0, 0.3)
    node.known["odom", "base_link", None] = (0.0, 0.0, 0.0)
    node.newest_s = 0.5
    with pytest.raises(NoTransform, match=r"odom <- base_link is 0\.50 s old"):
        motion.now(1.0, 0.3)


def test_frames_of_goals(node):
    node.known["odom", "map", None] = (1.0, 2.0, 0.0)
    assert pose_of_frame(node, "odom", "odom").tolist() == [0.0, 0.0, 0.0]
    assert pose_of_frame(node, "odom", "map").tolist() == [1.0, 2.0, 0.0]
    with pytest.raises(NoTransform, match="frame_id"):
        pose_of_frame(node, "odom", "")
