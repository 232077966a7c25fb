# SPDX-License-Identifier: Apache-2.0
"""Drives to a goal by a learned policy, under the safety shield."""
