# SPDX-License-Identifier: Apache-2.0
"""A long goal waits for its end at no cost, and ends as it is told to."""

import time
from dataclasses import dataclass

import pytest
from action_msgs.msg import GoalStatus
from control_msgs.action import GripperCommand
from rclpy.action import ActionClient

from axon_ros import SkillNode
from axon_ros.endings import Endings
from axon_ros.testing import spin_until


@dataclass(frozen=True)
class NoConfig:
    pass


class Server(SkillNode):
    def __init__(self):
        super().__init__("server", NoConfig)
        self.begun, self.endings = [], Endings()

    def on_start(self):
        self.action(GripperCommand, "grip", self.endings.execute, accepted=self.begun.append)


@pytest.fixture
def goal(ros_node):
    server = Server()
    ros_node.executor.add_node(server)
    client = ActionClient(ros_node, GripperCommand, "grip")
    assert spin_until(ros_node, client.server_is_ready)
    sent = client.send_goal_async(GripperCommand.Goal())
    assert spin_until(ros_node, lambda: sent.done() and server.begun)
    yield server, sent.result()
    client.destroy()
    server.destroy_node()


STATUS = {
    "succeed": GoalStatus.STATUS_SUCCEEDED,
    "abort": GoalStatus.STATUS_ABORTED,
    "canceled": GoalStatus.STATUS_CANCELED,
}


@pytest.mark.parametrize("state", STATUS)
def test_goal_ends_as_told_with_its_result(ros_node, goal, state):
    server, client_handle = goal
    if state == "canceled":
        client_handle.cancel_goal_async()
        assert spin_until(ros_node, lambda: server.begun[0].is_cancel_requested)
    answer = client_handle.get_result_async()
    server.endings.end(server.begun[0], state, GripperCommand.Result(position=0.25))
    assert spin_until(ros_node, answer.done)
    assert answer.result().status == STATUS[state]
    assert answer.result().result.position == 0.25


def test_waiting_goal_takes_no_core(ros_node, goal):
    began_s = time.process_time()
    spin_until(ros_node, lambda: False, timeout_s=1.0)
    assert time.process_time() - began_s < 0.6  # an awaited future takes the whole second
