# SPDX-License-Identifier: Apache-2.0
import pytest

from axon_ros.problems import Problems
from axon_ros.speaker import Level, Speaker


class Log:
    def __init__(self):
        self.lines = []

    def info(self, text):
        self.lines.append(("info", text))

    def warning(self, text):
        self.lines.append(("warning", text))

    def error(self, text):
        self.lines.append(("error", text))


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def clock():
    return {"now": 0.0}


@pytest.fixture
def speaker(log, clock):
    return Speaker(log, lambda: clock["now"])


@pytest.fixture
def problems(speaker, clock):
    return Problems(speaker, lambda: clock["now"])


def test_a_problem_is_said_when_it_begins_and_when_it_ends(problems, log, clock):
    for _ in range(5):
        problems.raise_("scan", Level.WARN, "scan: silent")
    assert log.lines == [("warning", "scan: silent")]
    clock["now"] = 3.0
    problems.clear("scan", "scan: messages come")
    problems.clear("scan", "scan: messages come")
    assert log.lines[1:] == [("info", "scan: messages come (after 3.0 s)")]


def test_a_problem_that_worsens_is_said_again(problems, log):
    problems.raise_("scan", Level.WARN, "late")
    problems.raise_("scan", Level.ERROR, "gone")
    assert log.lines == [("warning", "late"), ("error", "gone")]


def test_the_summary_has_all_and_the_worst_first(problems):
    assert problems.summary() == (Level.OK, "")
    problems.raise_("a", Level.WARN, "first")
    problems.raise_("b", Level.ERROR, "second")
    assert problems.summary() == (Level.ERROR, "second; first")
    problems.forget("b")
    assert problems.summary() == (Level.WARN, "first")


def test_throttled_lines_are_counted(speaker, log, clock):
    for _ in range(10):
        speaker.throttled("x", Level.WARN, "bad", period_s=5.0)
    clock["now"] = 6.0
    speaker.throttled("x", Level.WARN, "bad", period_s=5.0)
    assert log.lines == [("warning", "bad"), ("warning", "bad (and 9 more like it)")]


def test_once_is_once_until_forgotten(speaker, log):
    speaker.once("k", Level.OK, "a")
    speaker.once("k", Level.OK, "b")
    speaker.forget()
    speaker.once("k", Level.OK, "c")
    assert [text for _, text in log.lines] == ["a", "c"]
