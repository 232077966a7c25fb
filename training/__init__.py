# SPDX-License-Identifier: Apache-2.0
"""Recipes that make the shipped networks, and their harness."""
