# SPDX-License-Identifier: Apache-2.0
"""A box seen from inside becomes a box."""

import numpy as np
import pytest
from rooms import CAMERA, MOUNT, make_room

from axon_core.geometry import se2_compose, se2_to_matrix
from axon_core.grids import FREE, OCCUPIED, UNKNOWN
from axon_core.scans import Scan
from axon_slam.occupancy import OccupancyMap, PlanarScan, scan_from_depth, scan_from_lidar

RANGES, HEIGHTS = (0.2, 5.0), (0.06, 1.2)


def drawn_room():
    room, drawn = make_room(0), OccupancyMap(0.05)
    for yaw in np.linspace(-np.pi, np.pi, 24, endpoint=False):
        pose = np.array([0.5, -0.3, yaw])
        _, depth = room.look(se2_to_matrix(pose) @ MOUNT)
        for _ in range(2):
            drawn.enter(pose, scan_from_depth(depth, CAMERA, MOUNT, HEIGHTS, RANGES))
    return drawn.to_grid()


def test_a_room_seen_all_around_is_free_inside_and_occupied_at_its_walls():
    grid = drawn_room()
    occupied = grid.centers_of(np.argwhere(grid.data == OCCUPIED))
    assert (np.abs(np.abs(occupied).max(axis=1) - 3.0) < 0.08).all()
    assert len(occupied) > 0.6 * 4 * 6.0 / 0.05
    free = grid.centers_of(np.argwhere(grid.data == FREE))
    assert (np.abs(free) < 3.0).all() and len(free) * 0.05**2 > 0.7 * 36.0
    outside = np.abs(grid.centers_of(np.argwhere(grid.data >= 0))).max()
    assert outside < 3.1 and (grid.data == UNKNOWN).any()


def test_moving_the_world_moves_the_map():
    scan = PlanarScan(np.zeros(2), np.array([[1.02, 0.51], [0.52, -1.01]]), np.array([True, False]))
    first, second = OccupancyMap(0.05), OccupancyMap(0.05)
    for _ in range(4):
        first.enter(np.zeros(3), scan)
        second.enter(np.array([10.0, -20.0, 0.0]), scan)
    one, other = first.to_grid(), second.to_grid()
    np.testing.assert_array_equal(one.data, other.data)
    np.testing.assert_allclose(other.origin_m - one.origin_m, [10.0, -20.0])


def test_growing_keeps_what_was_known():
    scan = PlanarScan(np.zeros(2), np.array([[1.0, 0.0]]), np.array([True]))
    drawn = OccupancyMap(0.1)
    for x in (0.0, 0.0, 30.0, 30.0, -30.0, -30.0):
        drawn.enter(np.array([x, 0.0, 0.0]), scan)
    grid = drawn.to_grid()
    cells = grid.cells_of(np.array([[x + 1.0, 0.05] for x in (0.02, 30.02, -29.98)]))
    assert (grid.data[tuple(cells.T)] == OCCUPIED).all()


def test_a_lidar_marks_its_hits_and_frees_what_lies_before_them():
    ranges = np.array([2.0, np.inf, np.nan, 3.0, -np.inf], dtype=np.float32)
    scan = scan_from_lidar(Scan(ranges, 0.0, 0.5 * np.pi, 0.1, 20.0), np.array([0.1, 0.0, 0.0]), 5.0)
    np.testing.assert_allclose(scan.ends, [[2.1, 0.0], [0.1, 5.0], [0.1, -3.0]], atol=1e-6)
    np.testing.assert_array_equal(scan.hits, [True, False, True])


@pytest.mark.parametrize("yaw", [0.0, 0.7])
def test_a_depth_scan_meets_the_wall_where_it_is(yaw):
    _, depth = make_room(3).look(se2_to_matrix([0.0, 0.0, yaw]) @ MOUNT)
    scan = scan_from_depth(depth, CAMERA, MOUNT, HEIGHTS, RANGES)
    ends = np.array([se2_compose([0.0, 0.0, yaw], [x, y, 0.0])[:2] for x, y in scan.ends[scan.hits]])
    assert len(ends) > 50
    np.testing.assert_allclose(np.abs(ends).max(axis=1), 3.0, atol=0.03)


def test_nothing_seen_draws_nothing():
    drawn = OccupancyMap(0.05)
    drawn.enter(np.zeros(3), scan_from_depth(np.zeros((240, 320)), CAMERA, MOUNT, HEIGHTS, RANGES))
    assert drawn.to_grid() is None
