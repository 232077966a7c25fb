# SPDX-License-Identifier: Apache-2.0
import threading
import time

from axon_ros.worker import Worker


def wait_for(predicate, timeout_s=5.0):
    deadline = time.monotonic() + timeout_s
    while not predicate() and time.monotonic() < deadline:
        time.sleep(0.002)
    return predicate()


def test_only_the_newest_is_worked_on_and_drops_are_counted():
    gate, begun, done, errors = threading.Event(), threading.Event(), [], []

    def work(item):
        begun.set()
        gate.wait(5.0)
        done.append(item)

    worker = Worker(work, errors.append, "test")
    worker.submit(0)
    assert begun.wait(5.0)
    for item in range(1, 10):
        worker.submit(item)
    gate.set()
    assert wait_for(lambda: worker.latency.count == 2)
    assert done == [0, 9] and worker.drops == 8 and not errors
    assert worker.close()


def test_submitting_does_not_wait_for_the_work():
    gate = threading.Event()
    worker = Worker(lambda item: gate.wait(5.0), lambda error: None, "test")
    begin = time.monotonic()
    for item in range(100):
        worker.submit(item)
    assert time.monotonic() - begin < 0.5
    gate.set()
    assert worker.close()


def test_an_exception_is_handed_over_and_the_next_item_worked_on():
    done, errors = [], []

    def work(item):
        if item == 0:
            raise ValueError("zero")
        done.append(item)

    worker = Worker(work, errors.append, "test")
    worker.submit(0)
    assert wait_for(lambda: errors)
    worker.submit(1)
    assert wait_for(lambda: done == [1])
    assert str(errors[0]) == "zero" and worker.close()


def test_a_closed_worker_does_nothing_more():
    done = []
    worker = Worker(done.append, done.append, "test")
    assert worker.close()
    worker.submit(1)
    time.sleep(0.05)
    assert done == []
