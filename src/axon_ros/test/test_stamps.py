# SPDX-License-Identifier: Apache-2.0
import pytest

from axon_ros.errors import BadInput
from axon_ros.stamps import StampCheck, duration_of, stamp_of, stamp_seconds


@pytest.fixture
def clock():
    return {"now": 100.0}


@pytest.fixture
def stamps(clock):
    return StampCheck(lambda: clock["now"])


@pytest.mark.parametrize("seconds", [0.0, 0.1, 1.999_999_999_9, 1_700_000_000.25])
def test_seconds_become_a_stamp_and_a_duration_and_come_back(seconds):
    for made in (stamp_of(seconds), duration_of(seconds)):
        assert stamp_seconds(made) == pytest.approx(seconds, rel=3e-16, abs=1e-9)
        assert 0 <= made.nanosec < 10**9


def test_a_negative_duration_counts_its_nanoseconds_upward():
    made = duration_of(-0.25)
    assert (made.sec, made.nanosec) == (-1, 750_000_000)


def test_a_stream_in_order_passes(stamps):
    for stamp in (99.0, 99.5, 99.5, 100.0, 100.4):
        stamps.check(stamp)


def test_the_future_is_refused_and_the_next_good_one_passes(stamps):
    with pytest.raises(BadInput, match=r"200\.000 lies 100\.000 s in the future.*use_sim_time"):
        stamps.check(200.0)
    stamps.check(100.0)


def test_backwards_is_refused_and_the_next_good_one_passes(stamps):
    stamps.check(99.0)
    with pytest.raises(BadInput, match=r"runs backwards, 49\.000 s"):
        stamps.check(50.0)
    stamps.check(99.1)


def test_no_stamp_passes(stamps):
    stamps.check(99.0)
    stamps.check(0.0)
    stamps.check(99.1)


def test_after_a_reset_of_the_clock_early_stamps_are_right(stamps, clock):
    stamps.check(99.0)
    clock["now"] = 1.0
    stamps.check(0.5)


def test_a_stream_that_goes_on_from_an_earlier_time_is_taken_in_the_end(stamps):
    stamps.check(99.0)
    for i in range(5):
        with pytest.raises(BadInput):
            stamps.check(10.0 + i)
    stamps.check(15.0)
    stamps.check(16.0)


def test_a_stream_that_jumps_to_and_fro_is_not(stamps):
    stamps.check(99.0)
    for i in range(20):
        with pytest.raises(BadInput):
            stamps.check(50.0 - i)
