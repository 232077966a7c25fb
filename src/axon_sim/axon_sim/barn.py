# SPDX-License-Identifier: Apache-2.0
"""Worlds of the BARN navigation benchmark: read the published ones, generate ones like them.

Source: Perille, Truong, Xiao, Stone, "Benchmarking Metric Ground Navigation", SSRR 2020. A world is a 4.5 m wide
lane of vertical cylinders (radius 0.075 m, one a 0.15 m grid cell): an empty run-up (y 0 .. 5 m), then a field of
30 x 30 cells (y 5 .. 9.6 m) that a cellular automaton filled; the lane is walled left, right and behind, open ahead.
Frame: Gazebo's world frame, x right, y ahead, metres.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

CELL_M = 0.15
RADIUS_M = 0.075
FIELD_CELLS = 30
"""The field is 30 x 30 cells: [column along x, row along y]; columns 0 and 29 are the side walls."""
RUN_UP_CELLS = 34
"""Rows of the empty run-up before the field; row 0 of them is the wall behind the robot."""
FIRST_CENTRE_M = np.array([-4.425, 0.075])
"""Centre of the lane's cell [0, 0]."""
START_POSE = np.array([-2.25, 3.0, 1.57])
GOAL_M = np.array([-2.25, 13.0])
REFERENCE_SPEED_MPS = 2.0
"""The speed that turns the optimal length into the benchmark's optimal time."""
FILL_FRACTIONS = (0.15, 0.20, 0.25, 0.30)
SMOOTHING_STEPS = (2, 3, 4)
MAX_FIELD_FILL = 0.25
"""Densest field among the published worlds; the automaton alone would now and then go beyond."""
ROBOT_RADIUS_CELLS = 2
"""The recipe's inflation: the robot takes 5 x 5 cells, so that a guaranteed way is 0.75 m wide."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class BarnWorld:
    """One world: obstacles, and the task in it.

    cylinders_m: (N, 2) centres, radius_m: of all of them, start: (3,) x, y, yaw, goal: (2,), path_m: (M, 2) way through
    the field that the benchmark calls optimal, or None, walls_m: (K, 4) segments x0, y0, x1, y1, name: for reports.
    """

    cylinders_m: NDArray[np.float64]
    radius_m: float = RADIUS_M
    start: NDArray[np.float64] = field(default_factory=START_POSE.copy)
    goal: NDArray[np.float64] = field(default_factory=GOAL_M.copy)
    path_m: NDArray[np.float64] | None = None
    walls_m: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 4)))
    name: str = "barn"

    def __post_init__(self) -> None:
        for name, shape in (("cylinders_m", (-1, 2)), ("start", (3,)), ("goal", (2,)), ("walls_m", (-1, 4))):
            object.__setattr__(self, name, _finite_array(name, getattr(self, name), shape))
        if self.path_m is not None:
            object.__setattr__(self, "path_m", _finite_array("path_m", self.path_m, (-1, 2)))
        if not 0.0 < self.radius_m < 10.0:
            raise ValueError(f"radius_m = {self.radius_m}: expected a cylinder radius in (0, 10) m")

    @property
    def optimal_length_m(self) -> float:
        """Length start -> path -> goal, as the benchmark's evaluator adds it up; ValueError where there is no path."""
        if self.path_m is None:
            raise ValueError(f"{self.name} has no reference path: take one from reference_path_m()")
        way = np.vstack([self.start[:2], self.path_m, self.goal])
        return float(np.linalg.norm(np.diff(way, axis=0), axis=1).sum())

    @property
    def optimal_time_s(self) -> float:
        """OT of the benchmark: the optimal length at 2 m/s."""
        return self.optimal_length_m / REFERENCE_SPEED_MPS


def barn_score(success: bool, actual_time_s: float, optimal_time_s: float) -> float:
    """Navigation metric of the BARN challenge: success * OT / clip(AT, 2 OT, 8 OT); 0.5 at best."""
    if not success:
        return 0.0
    return float(optimal_time_s / np.clip(actual_time_s, 2.0 * optimal_time_s, 8.0 * optimal_time_s))


# --- published worlds ---------------------------------------------------------------------------------------------


def list_barn(data_dir: str | Path) -> list[int]:
    """Indices of the worlds that a folder holds, ascending; ValueError when it holds none."""
    folder = Path(data_dir)
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder; expected the BARN data (barn_*.npz or world_*.world)")
    found = {
        int(match[1]) for path in folder.glob("world_*.world") if (match := re.fullmatch(r"world_(\d+)", path.stem))
    }
    for archive in _archives(folder):
        with _opened(archive) as data:
            found |= {int(match[1]) for key in data.files if (match := re.fullmatch(r"cyl_(\d+)", key))}
    if not found:
        raise ValueError(f"{folder}: holds no BARN world; expected barn_*.npz or world_*.world")
    return sorted(found)


def load_barn(data_dir: str | Path, index: int) -> BarnWorld:
    """World `index` of a folder with barn_*.npz (cyl_i, path_i, radius) or world_i.world (and path_i.npy) files.

    Where no published path lies beside it, the world gets the one of `reference_path_m`. Raises ValueError.
    """
    folder = Path(data_dir)
    for archive in _archives(folder):
        with _opened(archive) as data:
            if f"cyl_{index}" in data.files:
                return _world_of_arrays(data, index)
    world_file = folder / f"world_{index}.world"
    if not world_file.is_file():
        raise ValueError(f"BARN world {index} is not in {folder}; it holds {_abbreviate(list_barn(folder))}")
    return _with_path(parse_world(world_file), _published_path(folder, index))


def path_cells_to_m(cells: NDArray[np.int_]) -> NDArray[np.float64]:
    """Published path cells (M, 2) -> (M, 2) metres, with the offsets of the benchmark's evaluator."""
    offset = np.array([-RADIUS_M - FIELD_CELLS * CELL_M, RADIUS_M + 5.0])
    return np.asarray(cells, dtype=float).reshape(-1, 2) * CELL_M + offset


def parse_world(source: str | Path) -> BarnWorld:
    """Read an original Gazebo world (SDF 1.x) from a path, or from its text: cylinders, and boxes as walls.

    Raises ValueError that says what is wrong: cut off, no such file, a geometry that BARN does not have, no cylinder.
    """
    text, name = _world_text(source)
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"{name}: cut off or not XML ({error}); expected a whole Gazebo .world file") from error
    world = root.find("world")
    if root.tag != "sdf" or world is None:
        raise ValueError(f"{name}: <{root.tag}> without a <world>; expected an SDF world file of BARN")
    if world.find("include") is not None:
        raise ValueError(f"{name}: includes other models; a BARN world holds all of its obstacles itself")
    return _world_of_models(world.findall("model"), name)


def format_world(world: BarnWorld) -> str:
    """The world as text of a Gazebo .world file (SDF 1.6) that Gazebo and `parse_world` read."""
    models = [_cylinder_sdf(i, xy, world.radius_m) for i, xy in enumerate(world.cylinders_m)]
    ground = (
        "<model name='ground_plane'><static>1</static><link name='link'><collision name='collision'><geometry>"
        "<plane><normal>0 0 1</normal><size>100 100</size></plane></geometry></collision></link></model>"
    )
    return "\n".join(["<sdf version='1.6'>", "<world name='default'>", ground, *models, "</world>", "</sdf>", ""])


def _cylinder_sdf(index: int, centre_m: NDArray[np.float64], radius_m: float) -> str:
    shape = f"<geometry><cylinder><radius>{radius_m:.6f}</radius><length>1</length></cylinder></geometry>"
    pose = f"<pose>{centre_m[0]:.6f} {centre_m[1]:.6f} 0 0 0 0</pose>"
    parts = f"<collision name='collision'>{shape}</collision><visual name='visual'>{shape}</visual>"
    return f"<model name='unit_cylinder_{index}'><static>1</static>{pose}<link name='link'>{parts}</link></model>"


def _finite_array(name: str, values: object, shape: tuple[int, ...]) -> NDArray[np.float64]:
    array = np.array(values, dtype=np.float64)
    wrong = array.ndim != len(shape) or any(
        want not in (-1, got) for want, got in zip(shape, array.shape, strict=False)
    )
    if wrong or not np.isfinite(array).all():
        raise ValueError(f"{name} of shape {array.shape}: expected finite numbers of shape {shape} (-1 = any)")
    return array


def _archives(folder: Path) -> list[Path]:
    return sorted(folder.glob("barn_*.npz"))


def _opened(archive: Path) -> np.lib.npyio.NpzFile:
    try:
        return np.load(archive, allow_pickle=False)
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise ValueError(f"{archive}: cut off or not an archive of NumPy arrays ({error})") from error


def _abbreviate(indices: list[int]) -> str:
    shown = ", ".join(map(str, indices[:5]))
    return shown if len(indices) <= 5 else f"{shown}, ... ({len(indices)} worlds)"


def _world_of_arrays(data: np.lib.npyio.NpzFile, index: int) -> BarnWorld:
    radius_m = float(data["radius"]) if "radius" in data.files else RADIUS_M
    world = BarnWorld(data[f"cyl_{index}"], radius_m, name=f"barn:{index}")
    cells = data[f"path_{index}"] if f"path_{index}" in data.files else None
    return _with_path(world, None if cells is None else path_cells_to_m(cells))


def _published_path(folder: Path, index: int) -> NDArray[np.float64] | None:
    for candidate in (folder / f"path_{index}.npy", folder / "path_files" / f"path_{index}.npy"):
        if candidate.is_file():
            return path_cells_to_m(np.load(candidate, allow_pickle=False))
    return None


def _with_path(world: BarnWorld, path_m: NDArray[np.float64] | None) -> BarnWorld:
    path_m = reference_path_m(world.cylinders_m) if path_m is None else path_m
    return BarnWorld(world.cylinders_m, world.radius_m, world.start, world.goal, path_m, world.walls_m, world.name)


def _world_text(source: str | Path) -> tuple[str, str]:
    if isinstance(source, str) and source.lstrip().startswith("<"):
        return source, "world text"
    try:
        return Path(source).read_text(encoding="utf-8"), str(source)
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{source}: cannot be read as a Gazebo .world file ({error})") from error


def _world_of_models(models: list[ElementTree.Element], name: str) -> BarnWorld:
    cylinders: list[tuple[float, float]] = []
    radii: set[float] = set()
    walls: list[NDArray[np.float64]] = []
    for model in models:
        label = f"{name}: model '{model.get('name')}'"
        geometry = model.find("link/collision/geometry")
        if geometry is None or len(geometry) == 0:
            raise ValueError(f"{label} has no collision geometry; expected a cylinder, a box or the ground plane")
        shape, pose = geometry[0], _planar_pose(model, label)
        if shape.tag == "cylinder":
            cylinders.append((pose[0], pose[1]))
            radii.add(_numbers(shape.findtext("radius"), 1, f"{label} radius")[0])
        elif shape.tag == "box":
            walls.append(_box_walls(pose, _numbers(shape.findtext("size"), 3, f"{label} size")))
        elif shape.tag != "plane":
            raise ValueError(f"{label} is a {shape.tag}; BARN has only cylinders, walls and the ground plane")
    if not cylinders:
        raise ValueError(f"{name}: no cylinder in it; this is not a BARN world")
    if len(radii) != 1:
        raise ValueError(f"{name}: cylinder radii {sorted(radii)} m; BARN has one radius a world")
    return BarnWorld(np.array(cylinders), radii.pop(), walls_m=np.vstack([np.zeros((0, 4)), *walls]), name=name)


def _planar_pose(model: ElementTree.Element, label: str) -> tuple[float, float, float]:
    x, y, _, roll, pitch, yaw = _numbers(model.findtext("pose") or "0 0 0 0 0 0", 6, f"{label} pose")
    if abs(roll) > 1e-3 or abs(pitch) > 1e-3:
        raise ValueError(f"{label} is tilted (roll {roll}, pitch {pitch} rad); BARN obstacles stand upright")
    return x, y, yaw


def _numbers(text: str | None, count: int, label: str) -> list[float]:
    try:
        values = [float(word) for word in (text or "").split()]
    except ValueError as error:
        raise ValueError(f"{label} = {text!r}: expected {count} numbers") from error
    if len(values) != count or not np.isfinite(values).all():
        raise ValueError(f"{label} = {text!r}: expected {count} finite numbers")
    return values


def _box_walls(pose: tuple[float, float, float], size_m: list[float]) -> NDArray[np.float64]:
    """The four sides (4, 4) of a box that stands at pose."""
    x, y, yaw = pose
    half = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * np.array(size_m[:2]) / 2.0
    turn = np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]])
    corners = half @ turn.T + [x, y]
    return np.hstack([corners, np.roll(corners, -1, axis=0)])


# --- worlds like them ---------------------------------------------------------------------------------------------


def generate_barn(seed: int) -> BarnWorld:
    """A world by the published recipe, the same for the same seed, always passable for the Jackal.

    The cellular automaton is drawn again until a way through the field remains after inflation by the robot.
    """
    rng = np.random.default_rng(seed)
    fill, steps = float(rng.choice(FILL_FRACTIONS)), int(rng.choice(SMOOTHING_STEPS))
    while True:
        occupied = _automaton(rng, fill, steps)
        path = _random_field_path(occupied, rng) if occupied[1:-1].mean() <= MAX_FIELD_FILL else None
        if path is not None:
            return BarnWorld(_cylinders_of(occupied), path_m=_field_centres_m(path), name=f"barn-like:{seed}")


def reference_path_m(cylinders_m: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shortest way (M, 2) through the field for the inflated robot, on the recipe's grid; ValueError where none is.

    The published paths keep the same clearance but enter and leave at a random column, so they are a little longer.
    """
    cells = np.round((np.asarray(cylinders_m) - FIRST_CENTRE_M) / CELL_M).astype(int) - [0, RUN_UP_CELLS]
    inside = ((cells >= 0) & (cells < FIELD_CELLS)).all(axis=1)
    occupied = np.zeros((FIELD_CELLS, FIELD_CELLS), dtype=bool)
    occupied[tuple(cells[inside].T)] = True
    path = _field_path(_inflated_free(occupied))
    if path is None:
        raise ValueError(f"no way through the field of {len(cylinders_m)} cylinders for a robot of 5 x 5 cells")
    return _field_centres_m(path)


def _automaton(rng: np.random.Generator, fill: float, steps: int) -> Mask:
    """Random fill, then smoothing: a cell with 5 or more of 8 neighbours fills, one with at most 1 clears."""
    occupied = rng.random((FIELD_CELLS, FIELD_CELLS)) < fill
    occupied[[0, -1]] = True
    for _ in range(steps):
        neighbours = _neighbour_count(occupied)
        occupied = np.where(neighbours >= 5, True, np.where(neighbours <= 1, False, occupied))
    occupied[[0, -1]] = True
    return occupied


def _neighbour_count(occupied: Mask) -> NDArray[np.uint8]:
    """Filled ones of the 8 neighbours; what lies beyond a side wall is filled, beyond the ends it is free."""
    lane = np.ones((FIELD_CELLS + 2, FIELD_CELLS), dtype=np.uint8)
    lane[1:-1] = occupied
    in_rows = lane[:-2] + lane[1:-1] + lane[2:]
    count = in_rows - occupied
    count[:, 1:] += in_rows[:, :-1]
    count[:, :-1] += in_rows[:, 1:]
    return count


def _inflated_free(occupied: Mask) -> Mask:
    return ~binary_dilation(occupied, np.ones((2 * ROBOT_RADIUS_CELLS + 1,) * 2, dtype=bool))


def _random_field_path(occupied: Mask, rng: np.random.Generator) -> NDArray[np.int_] | None:
    """Shortest way between a random free column of the first row and one of the last, as the recipe draws it."""
    free = _inflated_free(occupied)
    entries, exits = np.flatnonzero(free[:, 0]), np.flatnonzero(free[:, -1])
    if len(entries) == 0 or len(exits) == 0:
        return None
    entry, leave = rng.choice(entries), rng.choice(exits)
    free[:, 0], free[:, -1] = np.arange(FIELD_CELLS) == entry, np.arange(FIELD_CELLS) == leave
    return _field_path(free)


def _field_path(free: Mask) -> NDArray[np.int_] | None:
    """Cells (M, 2) of the shortest way start -> first row -> last row -> goal over the free cells, or None."""
    node = np.arange(free.size).reshape(free.shape)
    start, goal = free.size, free.size + 1
    edges = [_moves(free, node, step) for step in ((1, 0), (0, 1), (1, 1), (1, -1))]
    edges += [_links(free, node, 0, start, START_POSE[:2]), _links(free, node, -1, goal, GOAL_M)]
    tail, head, length = (np.concatenate(parts) for parts in zip(*edges, strict=True))
    graph = coo_array((length, (tail, head)), shape=(free.size + 2,) * 2).tocsr()
    distance, before = dijkstra(graph, directed=False, indices=start, return_predecessors=True)
    if not np.isfinite(distance[goal]):
        return None
    way = [int(before[goal])]
    while before[way[-1]] != start:
        way.append(int(before[way[-1]]))
    return np.stack(np.unravel_index(way[::-1], free.shape), axis=1)


def _moves(free: Mask, node: NDArray[np.int_], step: tuple[int, int]) -> tuple[NDArray, NDArray, NDArray]:
    """Edges between free cells one step apart; a diagonal needs both of its corners free."""
    rows = slice(0, FIELD_CELLS - step[0]), slice(step[0], FIELD_CELLS)
    cols = (
        slice(max(0, -step[1]), FIELD_CELLS - max(0, step[1])),
        slice(max(0, step[1]), FIELD_CELLS + min(0, step[1])),
    )
    allowed = free[rows[0], cols[0]] & free[rows[1], cols[1]]
    if step[0] and step[1]:
        allowed &= free[rows[0], cols[1]] & free[rows[1], cols[0]]
    tail, head = node[rows[0], cols[0]][allowed], node[rows[1], cols[1]][allowed]
    return tail, head, np.full(len(tail), CELL_M * np.hypot(*step))


def _links(free: Mask, node: NDArray[np.int_], row: int, terminal: int, point_m: NDArray[np.float64]) -> tuple:
    """Straight edges between a terminal (start, goal) and the free cells of the field's first or last row."""
    columns = np.flatnonzero(free[:, row])
    centres = _field_centres_m(np.stack([columns, np.full(len(columns), row % FIELD_CELLS)], axis=1))
    return node[columns, row], np.full(len(columns), terminal), np.linalg.norm(centres - point_m, axis=1)


def _field_centres_m(cells: NDArray[np.int_]) -> NDArray[np.float64]:
    return FIRST_CENTRE_M + CELL_M * (cells + np.array([0, RUN_UP_CELLS]))


def _cylinders_of(occupied: Mask) -> NDArray[np.float64]:
    """Field cells and the run-up's walls -> (N, 2) centres."""
    lane = np.zeros((FIELD_CELLS, RUN_UP_CELLS + FIELD_CELLS), dtype=bool)
    lane[:, RUN_UP_CELLS:] = occupied
    lane[[0, -1]] = True
    lane[:, 0] = True
    return FIRST_CENTRE_M + CELL_M * np.argwhere(lane)
