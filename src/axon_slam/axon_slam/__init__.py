# SPDX-License-Identifier: Apache-2.0
"""RGB-D SLAM: tracking, keyframes, loop closure by a pose graph, occupancy map, and the node that serves them."""
