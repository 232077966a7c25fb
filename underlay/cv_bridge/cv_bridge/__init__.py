# SPDX-License-Identifier: Apache-2.0
"""Conversions between sensor_msgs images and OpenCV arrays."""

from cv_bridge.core import CvBridge
from cv_bridge.encodings import CvBridgeError

__all__ = ["CvBridge", "CvBridgeError"]
