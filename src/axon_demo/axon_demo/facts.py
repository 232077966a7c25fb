# SPDX-License-Identifier: Apache-2.0
"""Numbers about a run, computed from its recording: distances, speeds, clearance, what each node cost."""

from __future__ import annotations

import textwrap

import numpy as np
from numpy.typing import NDArray

from axon_core.footprints import Footprint
from axon_core.geometry import se2_apply
from axon_core.grids import OCCUPIED, Grid, distance_field_m
from axon_demo.runlog import Motion, NodeStatus, RunLog

FloatArray = NDArray[np.float64]
_OUTLINE_STEP_M = 0.02
_NONE = "–"
_LONGEST_MESSAGE = 240


def clearances_m(poses: FloatArray, footprint: Footprint, obstacles: Grid) -> FloatArray:
    """Distance (N,) from the footprint at each pose (N, 3) to the nearest obstacle; 0 where they touch.

    `obstacles` and the poses share a frame. Exact to about one cell; space outside the grid is free.
    """
    field_m = distance_field_m(obstacles.data == OCCUPIED, obstacles.resolution_m)
    outline = _outline(footprint)
    return np.array([_clearance_m(se2_apply(pose, outline), field_m, obstacles) for pose in poses])


def _outline(footprint: Footprint) -> FloatArray:
    """Points (M, 2) along the edges of the footprint, and its middle."""
    corners = footprint.vertices_m
    edges = np.roll(corners, -1, axis=0) - corners
    parts = [np.zeros((1, 2))]
    for corner, edge in zip(corners, edges, strict=True):
        count = int(np.ceil(np.linalg.norm(edge) / _OUTLINE_STEP_M))
        parts.append(corner + np.linspace(0.0, 1.0, count, endpoint=False)[:, None] * edge)
    return np.concatenate(parts)


def _clearance_m(points: FloatArray, field_m: NDArray[np.float32], obstacles: Grid) -> float:
    cells = obstacles.cells_of(points)
    inside = obstacles.contains(cells)
    if not inside.any():
        return float("nan")
    rows, columns = cells[inside].T
    # The field measures between centres of cells: the obstacle's edge is half a cell nearer.
    return max(0.0, float(field_m[rows, columns].min()) - 0.5 * obstacles.resolution_m)


def path_length_m(motion: Motion) -> float:
    return float(np.linalg.norm(np.diff(motion.poses[:, :2], axis=0), axis=1).sum()) if len(motion) > 1 else 0.0


def run_facts(log: RunLog, clearance_m: FloatArray | None) -> dict[str, float]:
    """Flat numbers for summary.json."""
    facts = {"path_length_m": round(path_length_m(log.truth), 3), "plans": float(len(log.plans))}
    if len(log.truth):
        speeds = np.hypot(log.truth.velocities[:, 0], log.truth.velocities[:, 1])
        moving = speeds > 0.02
        facts["max_speed_mps"] = round(float(speeds.max()), 3)
        facts["mean_speed_mps"] = round(float(speeds[moving].mean()), 3) if moving.any() else 0.0
    if clearance_m is not None and np.isfinite(clearance_m).any():
        facts["min_clearance_m"] = round(float(np.nanmin(clearance_m)), 3)
        facts["mean_clearance_m"] = round(float(np.nanmean(clearance_m)), 3)
    if len(log.truth) and len(log.odometry):
        facts["odometry_drift_m"] = round(_drift_m(log), 3)
    return facts


def _drift_m(log: RunLog) -> float:
    """How far the odometry's frame has moved from where it began, seen at the robot."""
    first_s, last_s = log.span_s
    believed = se2_apply(log.world_T_odom(first_s), log.odometry.pose_at(last_s)[None, :2])[0]
    return float(np.linalg.norm(believed - log.truth.pose_at(last_s)[:2]))


def node_rows(log: RunLog, since_s: float = 0.0) -> list[dict[str, str]]:
    """A row a node: what its diagnostics said of its CPU, rates, latency and drops, and the worst of its words.

    Only what was said from `since_s` on counts: while a system starts, nodes miss each other.
    """
    return [_node_row(name, statuses, since_s) for name, statuses in sorted(log.nodes.items())]


def node_facts(log: RunLog, since_s: float = 0.0) -> dict[str, float]:
    """Flat numbers of each node for summary.json: its load in percent of one core, and its latency."""
    facts = {}
    for row in node_rows(log, since_s):
        for key in ("cpu_percent", "latency_p50_ms", "latency_p95_ms"):
            if row[key] != _NONE:
                facts[f"{row['name'].replace('/', '_')}_{key}"] = float(row[key])
    return facts


def _node_row(name: str, all_statuses: list[NodeStatus], since_s: float) -> dict[str, str]:
    statuses = [status for status in all_statuses if status.time_s >= since_s] or all_statuses
    last = statuses[-1].values
    worst = max(statuses, key=lambda status: status.level)
    loads = [float(status.values["cpu_percent"]) for status in statuses if "cpu_percent" in status.values]
    latencies = {
        key: [float(s.values[key]) for s in statuses if key in s.values] for key in ("latency_p50_ms", "latency_p95_ms")
    }
    return {
        "name": name,
        "cpu_percent": f"{np.mean(loads):.0f}" if loads else _NONE,
        "cpu_s": last.get("cpu_s", _NONE),
        "rate_in_hz": _median(statuses, "rate_in_hz"),
        "rate_out_hz": _median(statuses, "rate_out_hz"),
        "latency_p50_ms": f"{np.median(latencies['latency_p50_ms']):.1f}" if latencies["latency_p50_ms"] else _NONE,
        "latency_p95_ms": f"{np.median(latencies['latency_p95_ms']):.1f}" if latencies["latency_p95_ms"] else _NONE,
        "drops": last.get("drops", _NONE),
        "level": ("OK", "WARN", "ERROR", "STALE")[min(worst.level, 3)],
        "message": textwrap.shorten(worst.message, _LONGEST_MESSAGE, placeholder=" …") if worst.level else "",
    }


def _median(statuses: list[NodeStatus], key: str) -> str:
    values = [float(status.values[key]) for status in statuses if key in status.values]
    return f"{np.median(values):.1f}" if values else _NONE
