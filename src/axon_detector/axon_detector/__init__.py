# SPDX-License-Identifier: Apache-2.0
"""Object detection: boxes in the image, boxes in space, any YOLOX ONNX or our own network."""
