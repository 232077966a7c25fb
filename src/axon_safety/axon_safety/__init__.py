# SPDX-License-Identifier: Apache-2.0
"""The one door to cmd_vel: priorities, time-outs, limits, and a stop before every collision."""
