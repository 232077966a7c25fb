# SPDX-License-Identifier: Apache-2.0
"""A mobile manipulator in MuJoCo worlds, without ROS; `axon_sim.node` puts it on the graph."""
