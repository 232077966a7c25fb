# SPDX-License-Identifier: Apache-2.0
"""The executive: find an object, go to it, pick it up, bring it, with a reason for every failure."""
