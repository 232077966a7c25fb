# SPDX-License-Identifier: Apache-2.0
from hypothesis import settings

settings.register_profile("axon", max_examples=60, deadline=None, derandomize=True)
settings.load_profile("axon")
