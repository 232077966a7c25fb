# SPDX-License-Identifier: Apache-2.0
"""Small worlds with a known answer, for the tests."""

from axon_sim.worlds import SceneBuilder, World


def empty_world(build=lambda builder: None, start=(0.0, 0.0, 0.0)) -> World:
    """An endless floor, and what `build` adds."""
    builder = SceneBuilder("test", 0)
    builder.floor(builder.material("grey", (0.6, 0.6, 0.6)), (-6.0, -6.0, 6.0, 6.0))
    build(builder)
    builder.light((0.0, 0.0), 8.0)
    return builder.finish(start, {}, (-6.0, -6.0, 6.0, 6.0))


def wall_ahead(builder: SceneBuilder, x_m: float = 3.0) -> None:
    """A wall whose near face is at x = x_m."""
    builder.fixed("wall").box((0.1, 8.0, 2.5), (x_m + 0.05, 0.0, 0.0), builder.material("white", (0.9, 0.9, 0.9)))
