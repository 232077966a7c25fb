# SPDX-License-Identifier: Apache-2.0
"""Why a transform could not be given, under the names that tf2 uses."""


class TransformException(Exception):
    """Base of all of them."""


class LookupException(TransformException):
    """A frame is not known, or the frames form a loop."""


class ConnectivityException(TransformException):
    """Both frames are known but belong to trees that nothing joins."""


class ExtrapolationException(TransformException):
    """The time asked for lies outside of what the buffer holds."""


class InvalidArgumentException(TransformException):
    """A frame name, a rotation or a number that cannot be right."""


class TimeoutException(TransformException):
    """The transform did not come in time."""
