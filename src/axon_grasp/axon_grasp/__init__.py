# SPDX-License-Identifier: Apache-2.0
"""Finds planar grasps by a network and picks objects up."""
