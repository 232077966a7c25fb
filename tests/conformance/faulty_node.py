# SPDX-License-Identifier: Apache-2.0
"""A node that breaks the promises named in its first argument, separated by commas: `faulty_node.py traceback,...`."""

import os
import sys
import time
from dataclasses import dataclass

import numpy as np
from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from sensor_msgs.msg import Imu, LaserScan, Range

from axon_core.config import check_config, param
from axon_ros import BadInput, SkillNode, node_main
from axon_ros.conversions import header, scan_from_msg

FAULTS = set()


@dataclass(frozen=True)
class FaultyConfig:
    gain: float = param(1.0, "Factor on the range", minimum=0.0, maximum=10.0)
    mode: str = param("a", "What to do", choices=("a", "b"))

    def __post_init__(self):
        check_config(self)


class FaultyNode(SkillNode):
    def __init__(self):
        super().__init__("faulty", FaultyConfig)
        self.loads, self.sulking = 0, False
        self.break_parameters()
        self.break_diagnostics()
        if "ignores autostart" in FAULTS:
            self.create_timer(0.1, self.start_anyway)

    def break_parameters(self):
        if "no description" in FAULTS:
            self.declare_parameter("bare", "x")
        if "no range" in FAULTS:
            self.declare_parameter("boundless", 1.0, ParameterDescriptor(description="A number"))
        if "takes anything" in FAULTS:
            choice = ParameterDescriptor(description="A choice", additional_constraints="one of a, b")
            self.declare_parameter("choice", "a", choice)
        if "refuses everything" in FAULTS:
            refusal = SetParametersResult(successful=False, reason="no")
            self.add_on_set_parameters_callback(lambda parameters: refusal)

    def break_diagnostics(self):
        output = self._SkillNode__diagnostics
        publish = output.publish
        if "fast diagnostics" in FAULTS:
            self.create_timer(0.25, self._SkillNode__publish_diagnostics)
        if "no diagnostics" in FAULTS:
            output.publish = lambda msg: None
        if "poor diagnostics" in FAULTS:
            output.publish = lambda msg: publish(without_cpu(msg))
        if "wall clock" in FAULTS:
            output.publish = lambda msg: publish(stamped_by_the_wall(msg))

    def start_anyway(self):
        if self.loads == 0:
            self.trigger_configure()
            self.trigger_activate()

    def on_load(self, config):
        self.loads += 1
        if "cannot return" in FAULTS and self.loads > 1:
            raise ValueError("loaded once already")

    def on_start(self):
        self.nearest = self.output(Range, "/nearest" if "absolute name" in FAULTS else "nearest")
        self.input(LaserScan, "scan", self.on_scan)
        if "unwatched input" in FAULTS:
            self.create_subscription(Imu, "imu", lambda msg: None, 5)

    def on_scan(self, msg):
        is_bad = len(msg.ranges) == 0 or not np.isfinite(msg.ranges).all()
        if is_bad and "dies of NaN" in FAULTS:
            os._exit(3)
        if is_bad and "raises on NaN" in FAULTS:
            raise KeyError("nan")
        if is_bad and "accepts NaN" in FAULTS:
            return
        self.sulking = self.sulking or (is_bad and "sulks" in FAULTS)
        if self.sulking:
            raise BadInput("no more, after that one")
        self.nearest.publish(Range(header=msg.header, range=float(scan_from_msg(msg).ranges_m[0])))


def without_cpu(msg):
    msg.status[0].values = [pair for pair in msg.status[0].values if pair.key != "cpu_s"]
    return msg


def stamped_by_the_wall(msg):
    msg.header = header(time.time(), "")
    return msg


def main():
    FAULTS.update(sys.argv.pop(1).split(","))
    if "ignores files" in FAULTS and "--params-file" in sys.argv:
        at = sys.argv.index("--params-file")
        del sys.argv[at : at + 2]
    code = node_main(FaultyNode)()
    if "traceback" in FAULTS:
        raise RuntimeError("at the end")
    if "hangs" in FAULTS:
        time.sleep(60.0)
    return 1 if "exit code" in FAULTS else code


if __name__ == "__main__":
    sys.exit(main())
