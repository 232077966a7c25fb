# SPDX-License-Identifier: Apache-2.0
"""One HTML file that tells about a run: it holds its data, pictures and film, and opens without a network."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import jinja2
import numpy as np
from numpy.typing import NDArray

from axon_core.footprints import Footprint
from axon_core.grids import FREE, OCCUPIED, Grid
from axon_demo.facts import node_rows
from axon_demo.runlog import Motion, RunLog, Stamped
from axon_demo.story import chapters, pictures

FloatArray = NDArray[np.float64]
_MOST_POINTS = 700
_MOST_PLANS = 60
_MOST_COMPLAINTS = 40
_LONG_MAP_RATIO = 1.6
_MAP_MARGIN_M = 0.5
_SETTLED_AFTER_S = 1.0
_ERROR = 40  # rcl_interfaces/msg/Log
_INK_BGR = (105, 92, 84)
_COST_BGR = (196, 92, 150)
_FREE_BGR, _MADE_BGR = (214, 226, 202), (133, 114, 11)
_LIKELY = 65  # of 100: an obstacle in an occupancy map


@dataclass(frozen=True)
class Scene:
    """What the map shows besides the run: obstacles in the world's frame and the robot's outline."""

    obstacles: Grid
    footprint: Footprint


def write_report(
    path: Path,
    log: RunLog,
    summary: Mapping[str, Any],
    scene: Scene,
    clearance_m: FloatArray,
    video: Path | None = None,
) -> None:
    """Writes the page. `clearance_m` (N,) belongs to the poses of `log.truth`; without a video its place stays out."""
    page = (
        _environment()
        .get_template("report.html")
        .render(
            summary=summary,
            tiles=_tiles(summary),
            goals=_goals(summary),
            facts=_facts(summary),
            nodes=node_rows(log, _started_s(summary, log) + _SETTLED_AFTER_S),
            chapters=_chapters(log),
            pictures=[(one.caption, _data_uri(one.jpeg, "image/jpeg")) for one in pictures(log)],
            complaints=_complaints(log, _started_s(summary, log)),
            video=_data_uri(video.read_bytes(), "video/webm") if video else None,
            data=_script_json({"map": _map(log, summary, scene), "charts": _charts(log, clearance_m)}),
        )
    )
    path.write_text(page, encoding="utf-8")


def _environment() -> jinja2.Environment:
    loader = jinja2.PackageLoader("axon_demo", "templates")
    return jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)


def _script_json(value: Any) -> str:
    """JSON that may stand inside a <script> element."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _data_uri(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


# --- words and numbers ----------------------------------------------------------------------------------------------


def _tiles(summary: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Value, unit and label of the big numbers."""
    wanted = [
        ("object", lambda v: str(v), "", "to fetch"),
        ("goals_reached", lambda v: f"{v} / {summary.get('goals', v)}", "", "goals reached"),
        ("duration_s", lambda v: f"{v:.1f}", "s", "time, simulated"),
        ("path_length_m", lambda v: f"{v:.1f}", "m", "driven"),
        ("mean_speed_mps", lambda v: f"{v:.2f}", "m/s", "mean speed in motion"),
        ("max_speed_mps", lambda v: f"{v:.2f}", "m/s", "top speed"),
        ("min_clearance_m", lambda v: f"{100.0 * v:.0f}", "cm", "least clearance"),
        ("collisions", lambda v: f"{v}", "", "collisions"),
    ]
    return [(text(summary[key]), unit, label) for key, text, unit, label in wanted if key in summary]


def _goals(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A mapping a goal, with the keys that summary.json has under goal_<number>_."""
    goals = []
    for number in range(int(summary.get("goals", 0))):
        prefix = f"goal_{number}_"
        goals.append({key.removeprefix(prefix): value for key, value in summary.items() if key.startswith(prefix)})
    return goals


def _facts(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    names = {
        "world": "World",
        "seed": "Seed",
        "date": "Date",
        "commit": "Commit",
        "machine": "Machine",
        "python": "Python",
        "wall_s": "Wall time, s",
        "rtf": "Real-time factor",
        "object": "Object",
        "bring_to": "Brought to",
        "place_error_m": "Off the place by, m",
        "lift_m": "Lifted by, m",
        "object_touches": "Object touched the robot",
        "odometry_drift_m": "Odometry drift, m",
        "resends": "Goals sent again",
        "plans": "Plans made",
        "barn_score": "BARN score (at most 0.5)",
        "video_speedup": "Film speed-up",
    }
    return [
        (label, f"{summary[key]:g}" if isinstance(summary[key], float) else str(summary[key]))
        for key, label in names.items()
        if key in summary
    ]


def _chapters(log: RunLog) -> list[dict[str, Any]]:
    """The tasks with their place on a bar, in percent of the whole."""
    told = chapters(log)
    if not told:
        return []
    first_s, last_s = told[0].began_s, max(told[-1].ended_s, told[0].began_s + 1e-3)
    scale = 100.0 / (last_s - first_s)
    return [
        {
            "name": one.name,
            "began": f"{one.began_s:.1f}",
            "took": f"{one.ended_s - one.began_s:.1f}",
            "done": one.done,
            "words": one.words,
            "left": f"{scale * (one.began_s - first_s):.2f}",
            "width": f"{max(scale * (one.ended_s - one.began_s), 0.4):.2f}",
        }
        for one in told
    ]


def _started_s(summary: Mapping[str, Any], log: RunLog) -> float:
    return float(summary.get("started_s", log.span_s[0]))


def _complaints(log: RunLog, since_s: float) -> list[dict[str, str]]:
    """Warnings of the mission, errors of the start-up too."""
    rows = []
    for stamped in log.complaints:
        name, level, text = stamped.value
        if level >= _ERROR or stamped.time_s >= since_s:
            time = f"{stamped.time_s - log.span_s[0]:.1f}"
            rows.append({"time": time, "node": name, "level": "ERROR" if level >= _ERROR else "WARN", "text": text})
    return rows[:_MOST_COMPLAINTS]


# --- the map --------------------------------------------------------------------------------------------------------


def _map(log: RunLog, summary: Mapping[str, Any], scene: Scene) -> dict[str, Any]:
    grid = scene.obstacles
    height, width = np.asarray(grid.data.shape) * grid.resolution_m
    view = _view(log, grid, _goals(summary))
    goals = _place(summary) + [
        {"name": goal["name"], "x": goal["x_m"], "y": goal["y_m"], "reached": goal["reached"]}
        for goal in _goals(summary)
    ]
    return {
        "extent": [*_rounded(grid.origin_m), round(float(width), 3), round(float(height), 3)],
        "view": _rounded(view),
        "upright": bool(view[3] < _LONG_MAP_RATIO * view[2]),
        "obstacles": _png(_obstacle_pixels(grid)),
        "costmap": _costmap(log),
        "made": _made_map(log),
        "things": _things(log, summary),
        "truth": _track(log.truth, log.span_s[0]),
        "believed": _believed(log),
        "plans": [
            {"t": round(plan.time_s - log.span_s[0], 2), "points": _rounded(log.plan_in_world(plan))}
            for plan in _plans(log)
        ],
        "goals": goals,
        "footprint": _rounded(scene.footprint.vertices_m),
    }


def _view(log: RunLog, grid: Grid, goals: Sequence[Mapping[str, Any]]) -> list[float]:
    """x, y, width, height of the part of the world where something is."""
    parts = [grid.centers_of(np.argwhere(grid.data == OCCUPIED)), log.truth.poses[:, :2]]
    parts += [np.array([[goal["x_m"], goal["y_m"]]]) for goal in goals]
    points = np.concatenate([part.reshape(-1, 2) for part in parts])
    if not len(points):
        points = np.asarray(grid.origin_m)[None]
    low, high = points.min(axis=0) - _MAP_MARGIN_M, points.max(axis=0) + _MAP_MARGIN_M
    return [*low, *(high - low)]


def _obstacle_pixels(grid: Grid) -> NDArray[np.uint8]:
    pixels = np.zeros((*grid.data.shape, 4), np.uint8)
    pixels[grid.data == OCCUPIED] = (*_INK_BGR, 255)
    return pixels


def _costmap(log: RunLog) -> dict[str, Any] | None:
    """The last costmap as a picture with its place: origin, size, and the motion of its frame in the world."""
    if not log.costmaps or not len(log.odometry):
        return None
    last: Stamped = log.costmaps[-1]
    grid: Grid = last.value
    pixels = np.zeros((*grid.data.shape, 4), np.uint8)
    pixels[:, :, :3] = _COST_BGR
    pixels[:, :, 3] = np.clip(grid.data.astype(np.int16), 0, 100) * 2
    height, width = np.asarray(grid.data.shape) * grid.resolution_m
    x, y, yaw_rad = log.world_T_odom(last.time_s)
    return {
        "image": _png(pixels),
        "extent": [*_rounded(grid.origin_m), round(float(width), 3), round(float(height), 3)],
        "frame": [round(float(x), 4), round(float(y), 4), round(float(np.degrees(yaw_rad)), 3)],
    }


def _made_map(log: RunLog) -> dict[str, Any] | None:
    """The last map that the robot made, its frame laid where the robot began."""
    if not log.maps or not len(log.odometry):
        return None
    grid: Grid = log.maps[-1].value
    pixels = np.zeros((*grid.data.shape, 4), np.uint8)
    pixels[grid.data == FREE] = (*_FREE_BGR, 110)
    pixels[grid.data >= _LIKELY] = (*_MADE_BGR, 230)
    height, width = np.asarray(grid.data.shape) * grid.resolution_m
    x, y, yaw_rad = log.world_T_odom(log.span_s[0])
    return {
        "image": _png(pixels),
        "extent": [*_rounded(grid.origin_m), round(float(width), 3), round(float(height), 3)],
        "frame": [round(float(x), 4), round(float(y), 4), round(float(np.degrees(yaw_rad)), 3)],
    }


def _place(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Where a fetch ends."""
    if "bring_to" not in summary:
        return []
    place = {"name": summary["bring_to"], "x": summary["place_x_m"], "y": summary["place_y_m"]}
    return [place | {"reached": summary["success"]}]


def _things(log: RunLog, summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Where the objects truly were first (x, y) and at the end; `wanted` are those to fetch."""
    if not log.objects:
        return []
    first, last = log.objects[0].value, log.objects[-1].value
    wanted = str(summary.get("object", ""))
    return [
        {
            "name": name,
            "from": _rounded(pose[:2]),
            "to": _rounded(last[name][:2]),
            "wanted": name.split("_")[0] == wanted,
        }
        for name, pose in first.items()
        if name in last
    ]


def _png(pixels: NDArray[np.uint8]) -> str:
    """Row 0 stays first: the map's drawing has y upwards and puts it at the bottom."""
    return _data_uri(cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes(), "image/png")


def _track(motion: Motion, first_s: float) -> list[list[float]]:
    """[t, x, y, yaw, speed] of a thinned-out motion."""
    speeds = np.hypot(motion.velocities[:, 0], motion.velocities[:, 1])
    rows = np.column_stack([motion.times_s - first_s, motion.poses, speeds])
    return _rounded(_thin(rows))


def _believed(log: RunLog) -> list[list[float]]:
    """Where the odometry alone says that the robot drove (M, 2), from the true start."""
    if not len(log.odometry) or not len(log.truth):
        return []
    from_start = log.world_T_odom(log.span_s[0])
    cos, sin = np.cos(from_start[2]), np.sin(from_start[2])
    points = _thin(log.odometry.poses[:, :2]) @ np.array([[cos, sin], [-sin, cos]]) + from_start[:2]
    return _rounded(points)


def _plans(log: RunLog) -> list[Stamped]:
    if not len(log.odometry) or not len(log.truth):
        return []
    return list(_thin(log.plans, _MOST_PLANS))


# --- the charts -----------------------------------------------------------------------------------------------------


def _charts(log: RunLog, clearance_m: FloatArray) -> list[dict[str, Any]]:
    first_s = log.span_s[0]
    truth, commands = log.truth, log.commands
    speed = {
        "title": "Speed",
        "unit": "m/s",
        "series": [
            _series("commanded", commands.times_s - first_s, commands.velocities[:, 0], "muted"),
            _series("true", truth.times_s - first_s, truth.velocities[:, 0], "main"),
        ],
    }
    turn = {
        "title": "Turn rate",
        "unit": "rad/s",
        "series": [
            _series("commanded", commands.times_s - first_s, commands.velocities[:, 2], "muted"),
            _series("true", truth.times_s - first_s, truth.velocities[:, 2], "main"),
        ],
    }
    clearance = {
        "title": "Clearance to the nearest obstacle",
        "unit": "m",
        "series": [_series("from the robot's outline", truth.times_s - first_s, clearance_m, "main")],
    }
    return [speed, turn, clearance]


def _series(label: str, times_s: FloatArray, values: FloatArray, style: str) -> dict[str, Any]:
    rows = np.column_stack([times_s, values])
    rows = _thin(rows[np.isfinite(rows).all(axis=1) & (times_s >= 0.0)])
    return {"label": label, "style": style, "points": _rounded(rows)}


def _thin(rows: Any, most: int = _MOST_POINTS) -> Any:
    """At most about `most` of the rows, evenly taken, the last one always."""
    step = max(1, int(np.ceil(len(rows) / most)))
    thinned = rows[::step]
    if len(rows) and (len(rows) - 1) % step:
        last = rows[-1:]
        thinned = np.concatenate([thinned, last]) if isinstance(rows, np.ndarray) else [*thinned, *last]
    return thinned


def _rounded(values: FloatArray | Sequence[float], digits: int = 3) -> Any:
    return np.round(np.asarray(values, dtype=float), digits).tolist()
