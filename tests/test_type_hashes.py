# SPDX-License-Identifier: Apache-2.0
"""Our copies of interface packages have the type hashes of the real ones, which is what makes them interoperable."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from ament_index_python.packages import get_package_share_directory
from control_msgs.msg import JointComponentTolerance
from nav2_msgs.action import ComputePathToPose, FollowPath, NavigateToPose
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection2DArray

from axon_ros.testing import ros

REAL_HASHES = json.loads((Path(__file__).parent / "data" / "type_hashes.json").read_text(encoding="utf-8"))


def describe(name: str) -> dict[str, Any]:
    """The installed description of interface `name`, e.g. "nav2_msgs/action/FollowPath_Goal"."""
    package, kind, interface = name.split("/")
    file = Path(get_package_share_directory(package)) / kind / f"{interface.split('_')[0]}.json"
    return json.loads(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(REAL_HASHES))
def test_hash_is_that_of_the_real_interface(name: str):
    hashes = {entry["type_name"]: entry["hash_string"] for entry in describe(name)["type_hashes"]}
    assert hashes[name] == REAL_HASHES[name]


def without_defaults(description: dict[str, Any]) -> dict[str, Any]:
    fields = [{"name": f["name"], "type": f["type"]} for f in description["fields"]]
    return {"type_name": description["type_name"], "fields": fields}


@pytest.mark.parametrize("name", sorted(n for n in REAL_HASHES if "_" not in n.split("/")[2]))
def test_hash_is_the_sha256_of_the_description(name: str):
    """REP-2016: SHA-256 over the JSON of the description without default values, whoever generated it."""
    message = describe(name)["type_description_msg"]
    hashed = {
        "type_description": without_defaults(message["type_description"]),
        "referenced_type_descriptions": [without_defaults(d) for d in message["referenced_type_descriptions"]],
    }
    assert REAL_HASHES[name] == "RIHS01_" + hashlib.sha256(json.dumps(hashed).encode()).hexdigest()


@pytest.mark.parametrize("message", [TFMessage, Detection2DArray, JointComponentTolerance])
def test_compiled_message_announces_the_real_hash(message: type):
    """What a Kilted robot sees of our publisher."""
    name = f"{message.__module__.split('.')[0]}/msg/{message.__name__}"
    with ros() as node:
        node.create_publisher(message, "announced", 1)
        (info,) = node.get_publishers_info_by_topic("announced")
        assert str(info.topic_type_hash) == REAL_HASHES[name]


def test_error_codes_do_not_overlap():
    """A navigator passes on the codes of its planner and its tracker in one field."""
    results = [ComputePathToPose.Result, FollowPath.Result, NavigateToPose.Result]
    names = [(r, n) for r in results for n in dir(r) if n.isupper() and n not in {"NONE", "SLOT_TYPES"}]
    codes = [getattr(result, name) for result, name in names]
    assert len(codes) >= 8 + 7 + 3
    assert len(set(codes)) == len(codes)
