# SPDX-License-Identifier: Apache-2.0
"""The demo: goals for the robot, a recording of the run, and what is told about it afterwards."""
