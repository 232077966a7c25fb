# SPDX-License-Identifier: Apache-2.0
"""Runs `*.launch.yaml` files: `python -m axon_launch FILE [arg:=value]...`."""
