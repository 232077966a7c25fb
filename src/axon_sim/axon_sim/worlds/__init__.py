# SPDX-License-Identifier: Apache-2.0
"""Worlds by name: `make_world("apartment:3")`."""

import difflib
from collections.abc import Callable
from pathlib import Path

from axon_sim import barn
from axon_sim.worlds.apartment import make_apartment
from axon_sim.worlds.barn_field import find_barn_dir, make_barn_field
from axon_sim.worlds.builder import PlacedObject, SceneBuilder, World
from axon_sim.worlds.tabletop import make_tabletop
from axon_sim.worlds.warehouse import make_warehouse

__all__ = ["WORLD_NAMES", "PlacedObject", "SceneBuilder", "World", "make_world"]

_MAKERS: dict[str, Callable[[int], World]] = {
    "apartment": make_apartment,
    "tabletop": make_tabletop,
    "warehouse": make_warehouse,
}
WORLD_NAMES = (*sorted(_MAKERS), "barn", "barn-like")


def make_world(name: str, seed: int = 0, data_dir: str | None = None) -> World:
    """Build a world by name.

    `apartment`, `warehouse`, `tabletop` (a number after a colon overrides `seed`: `apartment:3`), `barn:N` (a published
    world of the folder `data_dir`), `barn-like:SEED` (a generated one), or the path of a BARN `.world` file.
    ValueError names what is wrong: an unknown name with the closest known one, a number that is none, a broken file.
    """
    if name.endswith(".world") or "/" in name:
        return make_barn_field(Path(name).stem, barn.parse_world(Path(name)), seed)
    kind, _, text = name.partition(":")
    if kind not in WORLD_NAMES:
        raise ValueError(f"unknown world {name!r}{_closest(kind)}; worlds: {', '.join(WORLD_NAMES)}, or a .world file")
    number = _number(name, text, seed)
    if kind == "barn":
        return make_barn_field(name, barn.load_barn(find_barn_dir(data_dir), number), seed)
    if kind == "barn-like":
        return make_barn_field(name, barn.generate_barn(number), seed)
    return _MAKERS[kind](number)


def _number(name: str, text: str, default: int) -> int:
    if not text and ":" not in name:
        return default
    if not text.isdecimal():
        raise ValueError(f"world {name!r}: expected a number after the colon, as in '{name.partition(':')[0]}:3'")
    return int(text)


def _closest(kind: str) -> str:
    close = difflib.get_close_matches(kind, WORLD_NAMES, n=2, cutoff=0.4)
    return f"; did you mean {' or '.join(repr(one) for one in close)}?" if close else ""
