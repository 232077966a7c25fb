# SPDX-License-Identifier: Apache-2.0
"""A small skill: answers every scan with its nearest range."""

from dataclasses import dataclass

from sensor_msgs.msg import LaserScan, Range

from axon_core.config import check_config, param
from axon_ros import BadInput, SkillNode, node_main


@dataclass(frozen=True)
class EchoConfig:
    scale: float = param(1.0, "Factor on the range", minimum=0.1, maximum=10.0)
    names: tuple[str, ...] = param((), "Nothing, by name")
    frame: str = param("laser_link", "Frame of the result", read_only=True)

    def __post_init__(self) -> None:
        check_config(self)


class EchoNode(SkillNode):
    def __init__(self, **kwargs):
        super().__init__("echo", EchoConfig, **kwargs)

    def on_start(self):
        self.nearest = self.output(Range, "nearest")
        self.worker = self.work(self.answer)
        self.input(LaserScan, "scan", self.on_scan)

    def on_scan(self, msg):
        if len(msg.ranges) == 0:
            raise BadInput("the scan is empty")
        self.worker.submit(msg)

    def answer(self, msg):
        self.nearest.publish(Range(header=msg.header, range=min(msg.ranges) * self.config.scale))


main = node_main(EchoNode)

if __name__ == "__main__":
    raise SystemExit(main())
