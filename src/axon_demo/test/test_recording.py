# SPDX-License-Identifier: Apache-2.0
"""The recording: other tools read it, ours reads it into the truth that was written, and a torn one too."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from mcap.reader import make_reader
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from axon_core.footprints import rectangle_footprint
from axon_core.grids import FREE, OCCUPIED, Grid
from axon_demo.facts import clearances_m, node_rows, path_length_m, run_facts
from axon_demo.recording import message_definition
from axon_demo.runlog import iterate_messages, read_run

sys.path.insert(0, str(Path(__file__).parent))
import synthetic


@pytest.fixture(scope="module")
def run_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "run.mcap"
    synthetic.write_run(path)
    return path


def test_mcap_reads_it_as_a_ros2_recording(run_file: Path) -> None:
    with run_file.open("rb") as stream:
        reader = make_reader(stream)
        assert reader.get_header().profile == "ros2"
        summary = reader.get_summary()
        assert {schema.encoding for schema in summary.schemas.values()} == {"ros2msg"}
        assert {channel.message_encoding for channel in summary.channels.values()} == {"cdr"}
        assert summary.statistics.message_count == 201 * 4 + 11 * 4


def test_rosbags_reads_it_and_the_values_are_those_written(run_file: Path) -> None:
    with AnyReader([run_file]) as reader:
        connections = [one for one in reader.connections if one.topic == "/cmd_vel"]
        messages = [reader.deserialize(data, one.msgtype) for one, _, data in reader.messages(connections)]
    assert len(messages) == 201
    assert messages[-1].linear.x == synthetic.SPEED_MPS


def test_definitions_hold_every_type_inside() -> None:
    text = message_definition("nav_msgs/msg/Odometry", synthetic.prefixes())
    store = get_typestore(Stores.EMPTY)
    types = get_types_from_msg(text, "nav_msgs/msg/Odometry")
    store.register(types)
    assert {"geometry_msgs/msg/Quaternion", "std_msgs/msg/Header", "builtin_interfaces/msg/Time"} <= set(types)
    reference = get_typestore(Stores.ROS2_KILTED)
    assert store.generate_msgdef("nav_msgs/msg/Odometry")[1] == reference.generate_msgdef("nav_msgs/msg/Odometry")[1]


def test_an_unknown_type_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no definition of no_msgs/msg/Such"):
        message_definition("no_msgs/msg/Such", [tmp_path])


def test_reading_gives_the_motion_back(run_file: Path) -> None:
    log = read_run(run_file)
    assert log.span_s == pytest.approx((1.0, 11.0))
    assert path_length_m(log.truth) == pytest.approx(5.0, rel=1e-3)
    for time_s in (1.0, 4.0, 11.0):
        assert log.world_T_odom(time_s) == pytest.approx(synthetic.START, abs=1e-9)
    # The planned line leads ahead of the start, which looks along +y.
    assert log.plan_in_world(log.plans[0]) == pytest.approx(np.array([[2.0, 1.0], [2.0, 2.0], [2.0, 3.0]]), abs=1e-9)
    assert log.costmaps[0].value.data.tolist() == [[0, 0, 0, 0], [0, 100, -1, 50]]
    facts = run_facts(log, None)
    assert facts["mean_speed_mps"] == synthetic.SPEED_MPS and facts["odometry_drift_m"] == 0.0


def test_node_rows_tell_medians_and_the_worst_state(run_file: Path) -> None:
    (row,) = node_rows(read_run(run_file))
    assert (row["name"], row["cpu_percent"], row["latency_p95_ms"], row["drops"]) == ("planner", "25", "7.5", "2")
    assert (row["level"], row["message"]) == ("WARN", "<slow>")


def test_of_a_torn_file_all_that_is_whole_is_read(run_file: Path, tmp_path: Path) -> None:
    torn = tmp_path / "torn.mcap"
    data = run_file.read_bytes()
    torn.write_bytes(data[: len(data) * 2 // 3])
    whole, part = list(iterate_messages(run_file)), list(iterate_messages(torn))
    assert 0 < len(part) < len(whole)
    assert len(read_run(torn).truth) > 10


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    path.write_text("no recording at all, but long enough to look at")
    with pytest.raises(ValueError, match="not an MCAP file"):
        read_run(path)


def test_clearance_is_the_distance_of_outline_and_obstacle() -> None:
    cells = np.full((100, 100), FREE, np.int8)
    grid = Grid(cells, 0.05, np.zeros(2))
    cells[:, 80] = OCCUPIED  # a wall whose near face is x = 4.0 m
    footprint = rectangle_footprint(0.4, 0.2)
    poses = np.array([[2.0, 2.5, 0.0], [2.0, 2.5, 0.5 * np.pi], [3.79, 2.5, 0.0], [3.9, 2.5, 0.0]])
    expected = [2.0 - 0.2, 2.0 - 0.1, 0.01, 0.0]
    assert clearances_m(poses, footprint, grid) == pytest.approx(expected, abs=0.05)
