# SPDX-License-Identifier: Apache-2.0
"""Gymnasium environments; importing this registers them: `axon/Navigate-v0`."""

import gymnasium

NAVIGATE = "axon/Navigate-v0"

if NAVIGATE not in gymnasium.registry:
    gymnasium.register(NAVIGATE, entry_point="axon_sim.environments.navigate:NavigateEnv")
