# SPDX-License-Identifier: Apache-2.0
"""Put a trained network into models/: its file, its entry in the manifest, its card."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from axon_core.models import file_sha256

if TYPE_CHECKING:
    from training.harness import Trained

LICENCE = "Apache-2.0"
MAX_BYTES = 12 * 1024 * 1024
HEADER = """# SPDX-License-Identifier: Apache-2.0
# The shipped networks. Written by ./axon train NAME --install; each has a card beside its file.
"""


def ship(models: Path, name: str, trained: Trained, facts: Mapping[str, Any]) -> None:
    """Copy the network and write its entry and card; ValueError where the file is larger than git may hold."""
    size = trained.file.stat().st_size
    if size > MAX_BYTES:
        raise ValueError(f"{trained.file} has {size} bytes: expected at most {MAX_BYTES}")
    models.mkdir(exist_ok=True)
    target = models / f"{name}{trained.file.suffix}"
    shutil.copyfile(trained.file, target)
    write_card(models / f"{name}.md", name, trained, facts)
    _update_manifest(models / "manifest.yaml", name, manifest_entry(target, trained, facts))


def manifest_entry(file: Path, trained: Trained, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What the manifest says of a network."""
    return {
        "version": trained.version,
        "file": file.name,
        "sha256": file_sha256(file),
        "task": trained.task,
        "license": LICENCE,
        **trained.details,
        "recipe": facts["command"],
        "commit": facts["commit"],
        "metrics": {key: round(float(value), 5) for key, value in trained.metrics.items()},
    }


def write_card(path: Path, name: str, trained: Trained, facts: Mapping[str, Any]) -> None:
    """Write the model card: what it is, how it was made, what it scores, what it cannot do."""
    rows = "\n".join(f"| `{key}` | {value:.4g} |" for key, value in trained.metrics.items())
    details = "\n".join(f"- {key}: {_inline(value)}" for key, value in trained.details.items())
    minutes = facts["elapsed_s"] / 60.0
    path.write_text(
        f"""<!-- SPDX-License-Identifier: Apache-2.0 -->
# {name} {trained.version}

{trained.description}

{details}
- licence: {LICENCE}

## How it was made

    {facts["command"]}

Commit `{facts["commit"]}`, seed {facts["seed"]}, {minutes:.0f} minutes on {facts["machine"]}, {facts["date"]}.

## What it scores

{trained.evaluation}

| metric | value |
|---|---|
{rows}

## What it cannot do

{trained.limits}
""",
        encoding="utf-8",
    )


def _inline(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _update_manifest(path: Path, name: str, entry: Mapping[str, Any]) -> None:
    """Replace one entry, alone: trainings may end at the same time."""
    with path.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        content = yaml.safe_load(file.read()) or {}
        models = {**content.get("models", {}), name: dict(entry)}
        file.seek(0)
        file.truncate()
        file.write(HEADER + yaml.safe_dump({"models": dict(sorted(models.items()))}, sort_keys=False, width=110))
