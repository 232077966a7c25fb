# SPDX-License-Identifier: Apache-2.0
"""A map in a folder: `map.json` and `keyframes.npz`; arrays only, never a pickle."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from axon_core.arrays import AnyArray
from axon_core.checks import check_array
from axon_slam.config import SlamConfig
from axon_slam.mapping import Keyframe, KeyframeMap
from axon_slam.occupancy import PlanarScan
from axon_slam.pose_graph import Edge
from axon_slam.se3 import orthonormal

FORMAT = 1
_META, _ARRAYS = "map.json", "keyframes.npz"


def save(keyframes: KeyframeMap, folder: Path, config: SlamConfig) -> None:
    """Write a map. Raises ValueError where it is empty, OSError where the folder cannot be written."""
    if len(keyframes) == 0:
        raise ValueError("there is no map to save: nothing was seen yet")
    folder.mkdir(parents=True, exist_ok=True)
    every, edges = keyframes.keyframes, keyframes.edges
    np.savez_compressed(
        folder / _ARRAYS,
        stamps_s=np.array([k.stamp_s for k in every]),
        map_T_base=keyframes.poses(),
        base_T_camera=np.array([k.base_T_camera for k in every]),
        point_counts=np.array([len(k.points) for k in every]),
        points=np.concatenate([k.points for k in every]).astype(np.float32),
        descriptors=np.concatenate([k.descriptors for k in every]),
        scan_origins=np.array([k.scan.origin for k in every]),
        scan_counts=np.array([len(k.scan.ends) for k in every]),
        scan_ends=np.concatenate([k.scan.ends for k in every]).astype(np.float32),
        scan_hits=np.concatenate([k.scan.hits for k in every]),
        edge_ends=np.array([(e.a, e.b) for e in edges], dtype=np.int64).reshape(-1, 2),
        edge_a_T_b=np.array([e.a_T_b for e in edges]).reshape(-1, 4, 4),
        edge_sigmas=np.array([e.sigmas for e in edges]).reshape(-1, 6),
        edge_robust=np.array([e.robust for e in edges], dtype=bool),
    )
    meta = {"format": FORMAT, "features": config.features, "keyframes": len(every), "edges": len(edges)}
    (folder / _META).write_text(json.dumps(meta, indent=2) + "\n", encoding="utf-8")


def load(folder: Path, config: SlamConfig) -> KeyframeMap:
    """Read a map. Raises OSError where it is not there, ValueError where it is none or made of other features."""
    meta = _read_meta(folder)
    if meta.get("format") != FORMAT:
        raise ValueError(f"{folder}: a map of format {meta.get('format')!r}, expected {FORMAT}")
    if meta.get("features") != config.features:
        raise ValueError(
            f"{folder}: a map of {meta.get('features')!r} features, this one uses {config.features!r}: set `features`"
        )
    try:
        with np.load(folder / _ARRAYS, allow_pickle=False) as arrays:
            return _assemble({name: arrays[name] for name in arrays.files})
    except (KeyError, ValueError, IndexError, EOFError) as error:
        raise ValueError(f"{folder / _ARRAYS}: no map, or a damaged one: {error}") from error


def _read_meta(folder: Path) -> dict[str, object]:
    text = (folder / _META).read_text(encoding="utf-8")
    try:
        meta = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{folder / _META}: no JSON: {error}") from error
    if not isinstance(meta, dict):
        raise ValueError(f"{folder / _META}: expected an object, got {type(meta).__name__}")
    return meta


def _assemble(arrays: dict[str, AnyArray]) -> KeyframeMap:
    count = len(arrays["stamps_s"])
    poses = check_array("map_T_base", arrays["map_T_base"], (count, 4, 4))
    mounts = check_array("base_T_camera", arrays["base_T_camera"], (count, 4, 4))
    points = _parts(check_array("points", arrays["points"], (None, 3)), arrays["point_counts"])
    descriptors = _parts(arrays["descriptors"], arrays["point_counts"])
    ends = _parts(check_array("scan_ends", arrays["scan_ends"], (None, 2)), arrays["scan_counts"])
    hits = _parts(arrays["scan_hits"], arrays["scan_counts"])
    origins = check_array("scan_origins", arrays["scan_origins"], (count, 2))
    keyframes = [
        Keyframe(
            float(arrays["stamps_s"][i]),
            orthonormal(poses[i]),
            orthonormal(mounts[i]),
            points[i],
            descriptors[i],
            PlanarScan(origins[i], ends[i], hits[i]),
        )
        for i in range(count)
    ]
    edges = [
        Edge(int(a), int(b), a_T_b, sigmas, bool(robust))
        for (a, b), a_T_b, sigmas, robust in zip(
            arrays["edge_ends"], arrays["edge_a_T_b"], arrays["edge_sigmas"], arrays["edge_robust"], strict=True
        )
    ]
    return KeyframeMap(keyframes, edges)


def _parts(rows: AnyArray, counts: AnyArray) -> list[AnyArray]:
    if int(np.sum(counts)) != len(rows):
        raise ValueError(f"{len(rows)} rows, expected {int(np.sum(counts))}")
    return np.split(rows, np.cumsum(counts)[:-1])
