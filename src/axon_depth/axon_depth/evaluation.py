# SPDX-License-Identifier: Apache-2.0
"""How good a depth image is: the measures of Eigen et al. (2014), and those of its uncertainty.

Each takes depth (H, W) or (N,) in m, told and true; only pixels count where both are finite and positive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from axon_core.arrays import AnyArray, BoolArray

DELTA = 1.25
WITHIN_SIGMA_OF_LAPLACE = float(1.0 - np.exp(-np.sqrt(2.0)))
"""Share of a Laplace distribution within one standard deviation of its middle, 0.757."""
_AUSE_STEPS = 20


def valid(told_m: AnyArray, true_m: AnyArray) -> BoolArray:
    """Return where both depths say something."""
    with np.errstate(invalid="ignore"):
        return np.isfinite(told_m) & np.isfinite(true_m) & (told_m > 0.0) & (true_m > 0.0)


def depth_metrics(told_m: AnyArray, true_m: AnyArray) -> dict[str, float]:
    """Return delta1 (share within a factor of 1.25), abs_rel, rmse_m. Raises ValueError where nothing can be compared.

    A pixel with a true depth for which none is told counts as wrong in delta1, and in no other.
    """
    known = np.isfinite(true_m) & (true_m > 0.0)
    both = valid(told_m, true_m)
    if not both.any():
        raise ValueError(f"no depth to compare: {int(known.sum())} pixels are true, none of them told")
    told, true = told_m[both].astype(np.float64), true_m[both].astype(np.float64)
    close = np.maximum(told / true, true / told) < DELTA
    return {
        "delta1": float(close.sum() / known.sum()),
        "abs_rel": float(np.mean(np.abs(told - true) / true)),
        "rmse_m": float(np.sqrt(np.mean((told - true) ** 2))),
    }


def median_scaled(told_m: AnyArray, true_m: AnyArray) -> AnyArray:
    """Return the told depth times the one factor that gives it the true median (Zhou et al. 2017)."""
    both = valid(told_m, true_m)
    return told_m * (np.median(true_m[both]) / np.median(told_m[both]))


def within_sigma(told_m: AnyArray, sigma_m: AnyArray, true_m: AnyArray) -> float:
    """Return the share of pixels whose error is at most their sigma."""
    both = valid(told_m, true_m)
    return float(np.mean(np.abs(told_m - true_m)[both] <= sigma_m[both]))


def ause(told_m: AnyArray, sigma_m: AnyArray, true_m: AnyArray) -> float:
    """Return the area under the sparsification error of abs_rel, 0 for the best order of sigma, 1 for a random one.

    Pixels are left out from the most uncertain on, and as the oracle does, from the worst on (Ilg et al. 2018); the
    area between the curves is divided by that between no order and the oracle's.
    """
    both = valid(told_m, true_m)
    error = (np.abs(told_m - true_m) / true_m)[both].astype(np.float64)
    by_sigma = _sparsification(error, (sigma_m / told_m)[both])
    by_error = _sparsification(error, error)
    most = float(np.mean(error.mean() - by_error))
    return float(np.mean(by_sigma - by_error)) / most if most > 0.0 else 0.0


def _sparsification(error: AnyArray, order: AnyArray) -> AnyArray:
    """Return the mean error of what remains without the first 0, 1/20, ... 19/20 of the pixels in descending order."""
    ascending = error[np.argsort(order, kind="stable")]
    sums, count = np.cumsum(ascending), len(ascending)
    kept = [max(count - step * count // _AUSE_STEPS, 1) for step in range(_AUSE_STEPS)]
    return np.array([sums[number - 1] / number for number in kept])


def mean_of(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each measure over images."""
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
