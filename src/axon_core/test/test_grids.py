# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from axon_core.grids import Grid, distance_field_m

GRID = Grid(np.zeros((4, 6), dtype=np.int8), 0.5, np.array([-1.0, 2.0]))


def test_corner_cell_and_its_centre():
    assert GRID.cells_of([[-1.0, 2.0], [-0.4, 2.1], [1.9, 3.9]]).tolist() == [[0, 0], [0, 1], [3, 5]]
    np.testing.assert_allclose(GRID.centers_of([[0, 0], [3, 5]]), [[-0.75, 2.25], [1.75, 3.75]])


@given(st.integers(-50, 50), st.integers(-50, 50))
def test_a_cells_centre_lies_in_it(row, col):
    assert GRID.cells_of(GRID.centers_of([[row, col]])).tolist() == [[row, col]]
    assert GRID.contains([[row, col]])[0] == (0 <= row < 4 and 0 <= col < 6)


@given(st.floats(-50, 50), st.floats(-50, 50))
def test_a_point_is_within_half_a_cell_of_its_centre(x, y):
    center = GRID.centers_of(GRID.cells_of([[x, y]]))[0]
    assert np.abs(center - [x, y]).max() <= 0.25 + 1e-9


@given(st.integers(0, 2**32 - 1), st.floats(0.02, 2.0))
def test_distance_field_equals_brute_force(seed, resolution_m):
    rng = np.random.default_rng(seed)
    occupied = rng.random((rng.integers(1, 12), rng.integers(1, 12))) < 0.15
    field = distance_field_m(occupied, resolution_m)
    cells, walls = np.argwhere(np.ones_like(occupied)), np.argwhere(occupied)
    if len(walls) == 0:
        assert np.isinf(field).all()
        return
    brute = np.linalg.norm(cells[:, None] - walls[None], axis=2).min(axis=1) * resolution_m
    np.testing.assert_allclose(field.ravel(), brute, rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Grid(np.zeros(3), 0.1, np.zeros(2)), "data: expected shape"),
        (lambda: Grid(np.zeros((2, 2)), 0.0, np.zeros(2)), "resolution_m = 0.0"),
        (lambda: Grid(np.zeros((2, 2)), 0.1, np.array([np.nan, 0.0])), "origin_m"),
        (lambda: GRID.cells_of([[np.nan, 0.0]]), "points"),
    ],
)
def test_a_grid_without_sense_is_refused(make, text):
    with pytest.raises(ValueError, match=text):
        make()
