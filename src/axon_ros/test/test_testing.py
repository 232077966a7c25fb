# SPDX-License-Identifier: Apache-2.0
"""The domains that tests run in."""

from axon_ros.testing import isolated_domain


def test_a_domain_that_was_just_left_is_not_entered_again():
    left = []
    for _ in range(5):
        with isolated_domain() as domain, isolated_domain() as other:
            assert domain != other
        assert domain not in left and other not in left
        left += [domain, other]
