# SPDX-License-Identifier: Apache-2.0
"""Plan a path and drive it: costmap, search, smoothing, tracker and the node that serves them."""
