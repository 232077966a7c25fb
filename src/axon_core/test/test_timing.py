# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from axon_core.timing import LatencyMeter, RateLimit, RateMeter, TimingSummary, summarize


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


@pytest.mark.parametrize(
    ("stream_hz", "passed_hz"), [(30.0, 10.0), (10.0, 10.0), (25.0, 10.0), (3.0, 3.0), (200.0, 10.0)]
)
def test_a_limit_lets_through_what_it_says_and_a_jittering_stream_of_that_rate_whole(stream_hz, passed_hz):
    clock, rng = HandClock(), np.random.default_rng(1)
    limit = RateLimit(clock)
    moments = (np.arange(20 * stream_hz) + rng.uniform(-0.1, 0.1, int(20 * stream_hz))) / stream_hz
    passed = 0
    for clock.now_s in moments:
        passed += limit.allows(10.0)
    assert passed <= 20 * passed_hz + 1
    assert passed >= 0.8 * 20 * passed_hz


def test_a_limit_passes_the_first_event_and_after_a_pause_no_burst():
    clock = HandClock()
    limit = RateLimit(clock)
    assert limit.allows(1.0) and not limit.allows(1.0)
    clock.now_s += 100.0
    assert [limit.allows(1.0) for _ in range(3)] == [True, False, False]
