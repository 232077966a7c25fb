# SPDX-License-Identifier: Apache-2.0
"""A node that takes long to load, one that ends by itself, and some with errors: `slow_node.py KIND`."""

import sys
import time
from dataclasses import dataclass

from axon_ros import SkillNode, node_main


@dataclass(frozen=True)
class NoConfig:
    pass


class LoadingNode(SkillNode):
    def __init__(self):
        super().__init__("slow", NoConfig)

    def on_load(self, config):
        print("loading", flush=True)
        time.sleep(60.0)


class FinishingNode(SkillNode):
    def __init__(self):
        super().__init__("slow", NoConfig)

    def on_start(self):
        self.finish(7)


class FailingNode(SkillNode):
    def __init__(self):
        super().__init__("slow", NoConfig)

    def on_start(self):
        self.create_timer(0.02, self.fail)

    def fail(self):
        raise KeyError("every time")


class UntakableNode(SkillNode):
    """A timer whose call rclpy fails to take, as it may fail with a message of a writer that was killed."""

    def __init__(self):
        super().__init__("slow", NoConfig)

    def on_start(self):
        self.create_timer(0.02, self.on_stop).callback = None
        self.timer(0.2, lambda: print("lives", flush=True))


KINDS = {"loading": LoadingNode, "finishing": FinishingNode, "failing": FailingNode, "untakable": UntakableNode}

if __name__ == "__main__":
    raise SystemExit(node_main(KINDS[sys.argv.pop(1)])())
