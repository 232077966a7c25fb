# SPDX-License-Identifier: Apache-2.0
"""The shipped Fast DDS profile carries camera images between processes, also to a reader that asks for best effort."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

from axon_ros.testing import isolated_domain

ROOT = Path(__file__).resolve().parents[1]
PROFILE = ROOT / "config" / "fastdds.xml"
VGA_BYTES = 640 * 480 * 3


def run_benchmark() -> subprocess.CompletedProcess:
    profile = dict.fromkeys(("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"), str(PROFILE))
    command = [sys.executable, str(ROOT / "benchmarks" / "image_transport.py")]
    command += ["--seconds", "2", "--rate", "15", "--repeats", "5"]
    with isolated_domain():
        env = {**os.environ, **profile}
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=90, check=False)


def test_no_image_is_lost_with_the_profile():
    result = run_benchmark()
    assert result.returncode == 0, result.stderr
    numbers = json.loads(result.stdout)
    assert (numbers["sent"], numbers["lost"]) == (30, 0)
    assert 0 < numbers["latency_p50_ms"] <= numbers["latency_p95_ms"] <= numbers["latency_max_ms"]
    assert numbers["ratio_imgmsg_to_cv2"] > 0 and numbers["ratio_cv2_to_imgmsg"] > 0


def test_the_shared_memory_segment_holds_several_images():
    space = {"dds": "http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles"}
    sizes = [int(size.text) for size in ET.parse(PROFILE).getroot().findall(".//dds:segment_size", space)]
    assert len(sizes) == 1 and sizes[0] >= 8 * VGA_BYTES
