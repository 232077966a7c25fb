# SPDX-License-Identifier: Apache-2.0
"""MovingAI's grid maps and scenarios (Sturtevant, "Benchmarks for Grid-Based Pathfinding", 2012)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

FREE = ".GS"
_LEAST_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Problem:
    """Start and goal as row, column, and the published length: 8-connected, sqrt 2, no corner cutting."""

    start: tuple[int, int]
    goal: tuple[int, int]
    length: float
    tolerance: float
    """1e-3, or what the published digits leave open where they are fewer."""


def find_maps(folder: Path | None) -> list[Path]:
    """Return the .map files at any depth that have a scenario beside them; ValueError where there are none."""
    if folder is None:
        raise ValueError("--data DIR: expected the folder with MovingAI's .map and .map.scen files")
    found = sorted(file.with_suffix("") for file in Path(folder).rglob("*.map.scen"))
    if not found:
        where = "download maps and scenarios from movingai.com/benchmarks"
        raise ValueError(f"--data {folder}: no .map.scen in it; {where}")
    return found


def read_map(file: Path) -> np.ndarray:
    """Return what is blocked (H, W) bool; '.', 'G' and 'S' are free. ValueError where it is no map."""
    lines = file.read_text(encoding="ascii").splitlines()
    if len(lines) < 5 or lines[3].strip() != "map":
        raise ValueError(f"{file}: expected the four lines type, height, width, map, and then the cells")
    return np.array([[cell not in FREE for cell in line] for line in lines[4:] if line])


def read_problems(file: Path) -> list[Problem]:
    """Return the problems of a map's scenario, in its order: from short to long."""
    lines = file.with_suffix(".map.scen").read_text(encoding="ascii").splitlines()[1:]
    return [_problem(line.split()) for line in lines if line.strip()]


def _problem(row: list[str]) -> Problem:
    start_col, start_row, goal_col, goal_row = map(int, row[-5:-1])
    decimals = len(row[-1].partition(".")[2])
    tolerance = max(_LEAST_TOLERANCE, 0.51 * 10.0**-decimals)
    return Problem((start_row, start_col), (goal_row, goal_col), float(row[-1]), tolerance)
