# SPDX-License-Identifier: Apache-2.0
"""Checks at the boundary: each returns the canonical form, or raises ValueError quoting what it got."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from axon_core.arrays import AnyArray


def check_array(
    name: str,
    value: ArrayLike,
    shape: Sequence[int | None] | None = None,
    finite: bool = True,
    dtype: DTypeLike = np.float64,
) -> AnyArray:
    """Return `value` as an array of `dtype`.

    `shape` has one entry for each axis, None where any length fits. With `finite`, NaN and infinity are refused.
    """
    try:
        array = np.asarray(value, dtype=dtype)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: expected an array of {np.dtype(dtype)}, got {value!r}") from error
    if shape is not None and not _fits(array.shape, shape):
        raise ValueError(f"{name}: expected shape {_shape_text(shape)}, got {array.shape}")
    if finite and array.dtype.kind in "fc" and not np.isfinite(array).all():
        index = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name}: expected finite numbers, got {array[index]} at index {index}")
    return array


def check_number(name: str, value: Any, minimum: float | None = None, maximum: float | None = None) -> float:
    """Return `value` as a finite float within `minimum` .. `maximum` (both inclusive)."""
    number = float(check_array(name, value, shape=()))
    below = minimum is not None and number < minimum
    above = maximum is not None and number > maximum
    if below or above:
        raise ValueError(f"{name} = {number}: expected {range_text(minimum, maximum)}")
    return number


def range_text(minimum: float | None, maximum: float | None, unit: str = "") -> str:
    """Say a range for a human: `0.0 .. 5.0 m/s`, `>= 0.0 m`, `<= 1.0`."""
    suffix = f" {unit}" if unit else ""
    if minimum is not None and maximum is not None:
        return f"{minimum} .. {maximum}{suffix}"
    if minimum is not None:
        return f">= {minimum}{suffix}"
    return f"<= {maximum}{suffix}" if maximum is not None else f"any number{suffix}"


def _fits(got: tuple[int, ...], wanted: Sequence[int | None]) -> bool:
    return len(got) == len(wanted) and all(w is None or w == g for g, w in zip(got, wanted, strict=True))


def _shape_text(shape: Sequence[int | None]) -> str:
    sizes = ["N" if size is None else str(size) for size in shape]
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"
