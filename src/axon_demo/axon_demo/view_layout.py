# SPDX-License-Identifier: Apache-2.0
"""How Rerun's views are arranged for what a robot shows: space to the left, cameras to the right, plots below."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import rerun.blueprint as rrb

_IMAGES = {"sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"}
_ROOTS = ("map", "odom", "base_link")
_NIGHT = (18, 20, 26)
_EYE_M, _LOOK_AT_M = (-3.5, -3.5, 5.0), (1.5, 0.5, 0.0)
"""From behind and above where the robot starts: a room with its neighbours."""


def root_frame(parents: Mapping[str, str]) -> str:
    """The frame to look from: the map's, else the odometry's, else whatever all others hang from.

    `parents` has the parent of each frame.
    """
    frames = {*parents, *parents.values()}
    roots = sorted(frames - parents.keys())
    return next((frame for frame in _ROOTS if frame in frames), roots[0] if roots else "base_link")


def layout(topics: Mapping[str, str], root: str) -> rrb.Blueprint:
    """The blueprint for topics (relative to the robot's namespace) with their types, looked at from a frame."""
    left = rrb.Vertical(_space(topics, root), _plots(topics), row_shares=[3, 1])
    right = rrb.Vertical(*_pictures(topics), _words(), row_shares=[2] * len(_pictures(topics)) + [1])
    return rrb.Blueprint(
        rrb.Horizontal(left, right, column_shares=[5, 3]),
        rrb.TimePanel(state="collapsed", timeline="stamp"),
        rrb.SelectionPanel(state="collapsed"),
        rrb.BlueprintPanel(state="collapsed"),
    )


def _space(topics: Mapping[str, str], root: str) -> Any:
    # Depth is shown as a cloud where it was made into one; an image without a camera has no place in space.
    flat = [path for path, kind in topics.items() if kind in _IMAGES and not _is_in_space(path, topics)]
    hidden = [f"- /{_entity(path)}/**" for path in flat]
    trail = rrb.VisibleTimeRanges(timeline="stamp", start=rrb.TimeRangeBoundary.infinite(), end=_now())
    ways = [path for path, kind in topics.items() if kind == "nav_msgs/msg/Odometry"]
    return rrb.Spatial3DView(
        origin="/",
        contents=["/**", *hidden],
        name=f"World, seen from {root}",
        background=_NIGHT,
        eye_controls=rrb.EyeControls3D(position=_EYE_M, look_target=_LOOK_AT_M),
        spatial_information=rrb.SpatialInformation(target_frame=root),
        overrides={f"/{path}": [trail] for path in ways},
    )


def _now() -> Any:
    return rrb.TimeRangeBoundary.cursor_relative()


def _is_in_space(path: str, topics: Mapping[str, str]) -> bool:
    return "depth" not in path and any(kind == "sensor_msgs/msg/CameraInfo" for kind in topics.values())


def _pictures(topics: Mapping[str, str]) -> list[Any]:
    """Colour with the detections over it, and the depth images below, as tabs where there are several."""
    images = sorted({_entity(path) for path, kind in topics.items() if kind in _IMAGES}, key=_cameras_first)
    boxes = [f"/{path}" for path, kind in topics.items() if kind == "vision_msgs/msg/Detection2DArray"]
    color = [_picture(image, boxes) for image in images if "depth" not in image]
    depth = [_picture(image, []) for image in images if "depth" in image]
    return [rrb.Tabs(*views) for views in (color, depth) if views]


def _picture(image: str, boxes: list[str]) -> Any:
    return rrb.Spatial2DView(origin=f"/{image}", contents=["$origin", *boxes], name=image, background=_NIGHT)


def _plots(topics: Mapping[str, str]) -> Any:
    speeds = [path for path in ("/cmd_vel", "/odom/velocity") if path.split("/")[1] in topics]
    return rrb.Tabs(
        rrb.TimeSeriesView(origin="/", contents=speeds, name="Speeds", plot_legend="RightTop"),
        rrb.StateTimelineView(origin="/", contents=["/mission/status"], name="Mission"),
        rrb.StateTimelineView(origin="/diagnostics/level", name="Nodes"),
        rrb.TimeSeriesView(origin="/diagnostics/cpu_percent", name="CPU, % of a core"),
        rrb.TimeSeriesView(origin="/diagnostics/latency_p95_ms", name="Latency p95, ms"),
        rrb.TimeSeriesView(origin="/joint_states", name="Joints"),
        active_tab=1 if "mission/status" in topics else 0,
    )


def _words() -> Any:
    contents = ["/rosout/**", "/mission/status/message", "/diagnostics/message/**", "/sim/collisions/**"]
    return rrb.TextLogView(origin="/", contents=contents, name="What the nodes say")


def _cameras_first(path: str) -> tuple[bool, str]:
    return not path.startswith("camera"), path


def _entity(path: str) -> str:
    """Where a topic's image is: a compressed one at the place of the image itself."""
    return path.removesuffix("/compressed")
