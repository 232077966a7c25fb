# SPDX-License-Identifier: Apache-2.0
import pytest

from axon_ros.errors import BadInput
from axon_ros.stamps import StampCheck


@pytest.fixture
def clock():
    return {"now": 100.0}


@pytest.fixture
def stamps(clock):
    return StampCheck(lambda: clock["now"])


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
