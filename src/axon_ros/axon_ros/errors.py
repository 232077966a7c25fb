# SPDX-License-Identifier: Apache-2.0
"""Errors that a node expects and outlives, and how an unexpected one is put into one line."""

import traceback


class BadInput(ValueError):
    """A message that cannot be used; it is refused and counted, and the next one is looked at afresh."""


class NoTransform(BadInput):
    """The transform that a message needs is not known (yet)."""


class ParameterError(ValueError):
    """A parameter that this node cannot start with."""


def error_line(error: BaseException) -> str:
    """Return an unexpected error in one line, with the place where it was raised."""
    text = f"{type(error).__name__}: {error}".replace("\n", " ")
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return text
    place = frames[-1]
    file = "/".join(place.filename.split("/")[-2:])
    return f"{text} ({file}:{place.lineno} in {place.name})"
