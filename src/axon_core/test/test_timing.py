# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from axon_core.timing import LatencyMeter, RateMeter, TimingSummary, summarize


class HandClock:
    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


@given(st.floats(0.5, 200.0))
def test_a_steady_stream_has_its_rate_and_then_none(rate_hz):
    clock = HandClock()
    meter = RateMeter(window_s=5.0, clock=clock)
    for _ in range(int(10 * rate_hz)):
        clock.now_s += 1.0 / rate_hz
        meter.tick()
    assert meter.rate_hz == pytest.approx(rate_hz, abs=0.2 + 1e-6)
    assert meter.age_s == 0.0
    clock.now_s += 6.0
    assert meter.rate_hz == 0.0 and meter.age_s == pytest.approx(6.0)
    assert meter.count == int(10 * rate_hz)


def test_age_before_the_first_event_runs_from_the_start():
    clock = HandClock()
    meter = RateMeter(clock=clock)
    clock.now_s += 2.0
    assert meter.age_s == 2.0 and meter.rate_hz == 0.0


def test_percentiles_of_known_durations():
    assert summarize([float(i) for i in range(101)]) == TimingSummary(101, 50.0, 95.0, 100.0)
    assert summarize([]) == TimingSummary()


def test_latency_keeps_the_newest_and_counts_all():
    clock = HandClock()
    meter = LatencyMeter(window=3, clock=clock)
    for duration in (9.0, 1.0, 2.0, 3.0):
        with meter.measure():
            clock.now_s += duration
    assert meter.count == 4
    assert meter.summary() == TimingSummary(3, 2.0, pytest.approx(2.9), 3.0)


def test_a_failure_is_timed_too():
    meter = LatencyMeter()
    with pytest.raises(KeyError), meter.measure():
        raise KeyError("x")
    assert meter.count == 1
