# SPDX-License-Identifier: Apache-2.0
"""Procedural household objects: shape, look, mass and collision shapes by category and seed."""

from axon_sim.objects.library import CATEGORIES, SimObject, make_clutter, make_object, quat_wxyz

__all__ = ["CATEGORIES", "SimObject", "make_clutter", "make_object", "quat_wxyz"]
