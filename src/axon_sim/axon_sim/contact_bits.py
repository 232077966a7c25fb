# SPDX-License-Identifier: Apache-2.0
"""What touches what, and what is drawn: contact bits as in assets/axon_robot.xml, and geom groups."""

FLOOR_BITS = {"contype": 1, "conaffinity": 0}
FIXED_BITS = {"contype": 2, "conaffinity": 0}
LOOSE_BITS = {"contype": 8, "conaffinity": 15}
HIDDEN_BITS = {"contype": 0, "conaffinity": 0}
SOLID_GROUP = 0
DECOR_GROUP = 1
COLLISION_ONLY_GROUP = 3
PLANE_GRID_M = 1.0  # a fine grid costs more to draw than everything else
