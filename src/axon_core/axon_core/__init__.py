# SPDX-License-Identifier: Apache-2.0
"""The ROS-free core that every Axon skill stands on: pure NumPy, no package of ours above it."""
