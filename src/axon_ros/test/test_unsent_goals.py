# SPDX-License-Identifier: Apache-2.0
"""Goals whose server comes late, or never."""

import pytest

from axon_ros.unsent_goals import SERVER_PATIENCE_S, UnsentGoals


class Client:
    ready = False

    def server_is_ready(self):
        return self.ready


@pytest.fixture
def scene():
    """The goals, their clock (a list of one time), and what became of them."""
    now_s, told = [0.0], []
    return UnsentGoals(clock=lambda: now_s[0]), now_s, told


def add(goals, told, client, name):
    goals.add(client, lambda: told.append(f"{name} sent"), lambda: told.append(f"{name} given up"))


def test_what_has_its_server_goes_out_at_once_and_only_once(scene):
    goals, _, told = scene
    client = Client()
    client.ready = True
    add(goals, told, client, "one")
    goals.settle()
    assert told == ["one sent"] and len(goals) == 0


def test_a_server_that_comes_late_is_waited_for_and_one_that_does_not_is_given_up(scene):
    goals, now_s, told = scene
    late, never = Client(), Client()
    add(goals, told, late, "late")
    add(goals, told, never, "never")
    now_s[0] = 0.9 * SERVER_PATIENCE_S
    goals.settle()
    assert told == [] and len(goals) == 2
    late.ready = True
    goals.settle()
    assert told == ["late sent"] and len(goals) == 1
    now_s[0] = 1.1 * SERVER_PATIENCE_S
    goals.settle()
    never.ready = True
    goals.settle()
    assert told == ["late sent", "never given up"] and len(goals) == 0


def test_what_is_cleared_is_neither_sent_nor_given_up(scene):
    goals, now_s, told = scene
    client = Client()
    add(goals, told, client, "one")
    goals.clear()
    client.ready, now_s[0] = True, 2.0 * SERVER_PATIENCE_S
    goals.settle()
    assert told == []


def test_what_is_sent_may_ask_for_the_next(scene):
    goals, _, told = scene
    client = Client()
    client.ready = True
    goals.add(client, lambda: add(goals, told, client, "next"), lambda: None)
    assert told == ["next sent"]
