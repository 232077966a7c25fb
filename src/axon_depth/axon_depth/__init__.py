# SPDX-License-Identifier: Apache-2.0
"""Metric depth from one camera, with the uncertainty of every pixel."""
