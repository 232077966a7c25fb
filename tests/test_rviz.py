# SPDX-License-Identifier: Apache-2.0
"""The RViz configuration against the running graph: each display's topic is published, by its type and its QoS."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from rclpy.qos import DurabilityPolicy, QoSCompatibility, QoSProfile, ReliabilityPolicy, qos_check_compatible

from axon_ros.testing import process, ros, spin_until

ROOT = Path(__file__).resolve().parents[1]
CONFIG = yaml.safe_load((ROOT / "rviz/axon.rviz").read_text())["Visualization Manager"]
TYPES = {
    "Camera": "sensor_msgs/msg/Image",
    "Image": "sensor_msgs/msg/Image",
    "LaserScan": "sensor_msgs/msg/LaserScan",
    "Map": "nav_msgs/msg/OccupancyGrid",
    "Marker": "visualization_msgs/msg/Marker",
    "MarkerArray": "visualization_msgs/msg/MarkerArray",
    "Odometry": "nav_msgs/msg/Odometry",
    "Path": "nav_msgs/msg/Path",
    "PointCloud2": "sensor_msgs/msg/PointCloud2",
    "RobotModel": "std_msgs/msg/String",
    "SetGoal": "geometry_msgs/msg/PoseStamped",
}
"""What RViz's own displays and tools of these classes subscribe to or publish."""
WITHOUT_TOPIC = {"Grid", "TF", "MoveCamera", "Select", "FocusCamera", "Measure"}
MODELS = {"Detector": "detector", "Learned depth": "depth", "Grasp": "grasp"}
"""The network without which the node of a group of displays does not run."""
pytestmark = pytest.mark.timeout(240)


@dataclass(frozen=True)
class Display:
    """A display or a tool with a topic."""

    group: str
    name: str
    kind: str
    topic: str
    qos: QoSProfile


def displays(items: list[dict[str, Any]], group: str = "") -> Iterator[Display]:
    """All that have a topic, of groups too."""
    for item in items:
        library, kind = item["Class"].split("/")
        if kind == "Group":
            yield from displays(item["Displays"], item["Name"])
        elif kind not in WITHOUT_TOPIC:
            assert library == "rviz_default_plugins"
            topic = item["Description Topic" if kind == "RobotModel" else "Topic"]
            yield Display(group, item.get("Name", kind), kind, topic["Value"], qos_of(topic))


def qos_of(topic: dict[str, Any]) -> QoSProfile:
    return QoSProfile(
        depth=topic["Depth"],
        reliability=ReliabilityPolicy[topic["Reliability Policy"].upper().replace(" ", "_")],
        durability=DurabilityPolicy[topic["Durability Policy"].upper().replace(" ", "_")],
    )


DISPLAYS = list(displays(CONFIG["Displays"]))
TOOLS = list(displays(CONFIG["Tools"]))


def has_model(group: str) -> bool:
    return group not in MODELS or (ROOT / f"models/{MODELS[group]}.onnx").is_file()


def launch_file() -> str:
    """A simulated robot, slowly, with all nodes whose networks are there."""
    share = "$(find-pkg-share axon_bringup)/launch"
    arguments = {
        "sim": {"world": "tabletop", "real_time_factor": "0.3"},
        "navigation": {"use_sim_time": "true"},
        "perception": {
            "use_sim_time": "true",
            "detector": str(has_model("Detector")).lower(),
            "depth": str(has_model("Learned depth")).lower(),
        },
        "manipulation": {"use_sim_time": "true"},
    }
    files = [name for name in arguments if name != "manipulation" or has_model("Grasp")]
    return yaml.safe_dump(
        {
            "launch": [
                {
                    "include": {
                        "file": f"{share}/{name}.launch.yaml",
                        "arg": [{"name": key, "value": value} for key, value in arguments[name].items()],
                    }
                }
                for name in files
            ]
        }
    )


@dataclass(frozen=True)
class Graph:
    """What is published and what is listened to: the type and QoS of each end, by topic."""

    publishers: dict[str, list[Any]]
    subscriptions: dict[str, list[Any]]
    output: str


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    file = tmp_path_factory.mktemp("rviz") / "all.launch.yaml"
    file.write_text(launch_file())
    with ros() as node, process([sys.executable, "-m", "axon_launch", str(file)]) as launch:
        published = [one.topic for one in DISPLAYS if has_model(one.group)]
        listened = [one.topic for one in TOOLS]

        def is_up() -> bool:
            publishers = all(node.count_publishers(topic) for topic in published)
            return publishers and all(node.count_subscribers(topic) for topic in listened)

        spin_until(node, lambda: is_up() or not launch.alive, timeout_s=120.0)
        yield Graph(
            {topic: node.get_publishers_info_by_topic(topic) for topic in published},
            {topic: node.get_subscriptions_info_by_topic(topic) for topic in listened},
            launch.output,
        )
        launch.stop(timeout_s=30.0)


@pytest.mark.parametrize("display", DISPLAYS, ids=lambda one: f"{one.group}-{one.name}".replace(" ", "_"))
def test_a_display_finds_its_topic_with_its_type_and_its_qos(display: Display, graph: Graph) -> None:
    if not has_model(display.group):
        pytest.skip(f"models/{MODELS[display.group]}.onnx is not there, and without it the node does not run")
    ends = graph.publishers[display.topic]
    assert ends, f"nobody publishes {display.topic}\n{graph.output[-3000:]}"
    for end in ends:
        assert end.topic_type == TYPES[display.kind]
        compatibility, reason = qos_check_compatible(end.qos_profile, display.qos)
        assert compatibility != QoSCompatibility.ERROR, reason


@pytest.mark.parametrize("tool", TOOLS, ids=lambda one: one.name)
def test_a_tool_has_a_listener_of_its_type(tool: Display, graph: Graph) -> None:
    ends = graph.subscriptions[tool.topic]
    assert ends, f"nobody listens to {tool.topic}\n{graph.output[-3000:]}"
    assert {end.topic_type for end in ends} == {TYPES[tool.kind]}


def test_names_are_unique_and_everything_is_drawn_in_the_map() -> None:
    names = [(one.group, one.name) for one in DISPLAYS]
    assert len(set(names)) == len(names)
    assert CONFIG["Global Options"]["Fixed Frame"] == "map"
    assert CONFIG["Transformation"]["Current"]["Class"] == "rviz_default_plugins/TF"


def test_maps_are_asked_for_though_they_were_published_before() -> None:
    latched = {one.topic for one in DISPLAYS if one.qos.durability == DurabilityPolicy.TRANSIENT_LOCAL}
    assert latched == {"/robot_description", "/map", "/costmap", "/guide_cost"}
