# SPDX-License-Identifier: Apache-2.0
"""Train one network: weights as ONNX, the arguments, the metrics and a card, in a folder of its own.

A recipe is a module beside this one with a docstring (its help), `add_arguments(parser)` for options of its own, and
`main(run) -> Trained`. An interrupted training goes on from its last checkpoint when the same command is given again.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from axon_core.provenance import commit_of, processor_name
from training.shipping import ship, write_card

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent
_NOT_RECIPES = {"__init__", "__main__", "harness", "shipping", "export"}


@dataclass(frozen=True)
class Trained:
    """What a recipe has made: a file in the run's folder, and what its card says.

    `details` go into the manifest as they are (input, classes, ...); `evaluation` says on which data, never trained on,
    the `metrics` were measured; `limits` what the network cannot do.
    """

    file: Path
    version: str
    task: str
    description: str
    evaluation: str
    limits: str
    metrics: Mapping[str, float]
    details: Mapping[str, Any] = field(default_factory=dict)


class Run:
    """One training: its options, its folder, its progress and its checkpoint."""

    def __init__(self, name: str, args: argparse.Namespace, arguments: Sequence[str]) -> None:
        self.name, self.args, self.seed = name, args, args.seed
        self.arguments = list(arguments)
        self.folder: Path = args.out or ROOT / "out" / "train" / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self._began_s = time.monotonic()
        self._before_s = 0.0
        self.facts: dict[str, Any] = {}
        self._begin()

    @property
    def checkpoint_file(self) -> Path:
        """Where the state of an unfinished training lies."""
        return self.folder / "checkpoint.pt"

    @property
    def elapsed_s(self) -> float:
        """Seconds of training so far, those before an interruption included."""
        return self._before_s + time.monotonic() - self._began_s

    @property
    def device(self) -> str:
        """Where to train: "cuda" where PyTorch finds a GPU, else "cpu"."""
        import torch

        return "cuda" if torch.cuda.is_available() else "cpu"

    def save_checkpoint(self, **state: Any) -> None:
        """Keep tensors, numbers and strings for `load_checkpoint`; a reader sees the old or the new, never half."""
        import torch

        temporary = self.checkpoint_file.with_suffix(".tmp")
        torch.save({**state, "elapsed_s": self.elapsed_s}, temporary)
        temporary.replace(self.checkpoint_file)

    def load_checkpoint(self) -> dict[str, Any] | None:
        """Return what `save_checkpoint` kept, None where the training begins."""
        import torch

        if not self.checkpoint_file.is_file():
            return None
        state = torch.load(self.checkpoint_file, map_location="cpu", weights_only=True)
        self._before_s = state.pop("elapsed_s")
        print(f"goes on from {self.checkpoint_file} after {self._before_s:.0f} s", flush=True)
        return state

    def keep(self, step: int, **parts: Any) -> None:
        """Keep a step and the `state_dict` of each part (networks, optimiser, schedule) for `resume`."""
        self.save_checkpoint(step=step, **{name: part.state_dict() for name, part in parts.items()})

    def resume(self, **parts: Any) -> int:
        """Give the parts the state that `keep` kept; return the step to begin with, 0 where there is none."""
        state = self.load_checkpoint()
        if state is None:
            return 0
        for name, part in parts.items():
            part.load_state_dict(state[name])
        return int(state["step"])

    def log(self, **values: float) -> None:
        """Print a line of progress and add it to progress.jsonl."""
        row = {"elapsed_s": round(self.elapsed_s, 1), **values}
        with (self.folder / "progress.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        print("  ".join(f"{key} {value:.6g}" for key, value in row.items()), flush=True)

    def finish(self, trained: Trained) -> None:
        """Write metrics and card; ship the network where `--install` asks for it."""
        facts = {**self.facts, "elapsed_s": round(self.elapsed_s)}
        (self.folder / "metrics.json").write_text(json.dumps(dict(trained.metrics), indent=1) + "\n", "utf-8")
        write_card(self.folder / "card.md", self.name, trained, facts)
        if self.args.install:
            ship(ROOT / "models", self.name, trained, facts)
        self.checkpoint_file.unlink(missing_ok=True)

    def _begin(self) -> None:
        """Write what this training is; refuse to go on with a checkpoint of other arguments."""
        words = [word for word in self.arguments if word != "--install"]
        self.facts = {
            "command": " ".join(["./axon train", self.name, *words]),
            "commit": commit_of(ROOT),
            "seed": self.seed,
            "machine": f"{processor_name()}, {self.device}",
            "date": time.strftime("%Y-%m-%d", time.gmtime()),
        }
        file = self.folder / "arguments.json"
        if self.args.fresh:
            self.checkpoint_file.unlink(missing_ok=True)
        if self.checkpoint_file.is_file() and file.is_file():
            before = json.loads(file.read_text("utf-8"))
            if before["command"] != self.facts["command"]:
                raise ValueError(
                    f"{self.folder} holds an unfinished '{before['command']}': give that command to go on with it, "
                    "another --out, or --fresh to begin anew"
                )
            self.facts["commit"] = before["commit"]
        else:
            (self.folder / "progress.jsonl").unlink(missing_ok=True)
        file.write_text(json.dumps(self.facts, indent=1) + "\n", "utf-8")


def recipe_names() -> list[str]:
    """Names of all recipes, as written on the command line."""
    return sorted(p.stem.replace("_", "-") for p in FOLDER.glob("*.py") if _is_recipe(p))


def _is_recipe(path: Path) -> bool:
    return path.stem not in _NOT_RECIPES and "\ndef add_arguments(" in path.read_text("utf-8")


def summary(name: str) -> str:
    """First line of a recipe's docstring, without importing it."""
    text = (FOLDER / f"{name.replace('-', '_')}.py").read_text("utf-8")
    return text.split('"""')[1].strip().splitlines()[0]


def make_parser(name: str, module: Any) -> argparse.ArgumentParser:
    """The options of every recipe and those of this one."""
    parser = argparse.ArgumentParser(
        prog=f"./axon train {name}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help=f"folder of this training (default: out/train/{name})")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of everything random (default: 0)")
    parser.add_argument("--fresh", action="store_true", help="begin anew, whatever an interrupted training has left")
    parser.add_argument("--install", action="store_true", help="put weights, manifest entry and card into models/")
    module.add_arguments(parser)
    return parser


def run(name: str, arguments: Sequence[str]) -> Trained:
    """Train `name` with the options that the command line would have."""
    module = importlib.import_module(f"training.{name.replace('-', '_')}")
    training = Run(name, make_parser(name, module).parse_args(arguments), arguments)
    trained = module.main(training)
    training.finish(trained)
    print(f"\n{name}: {trained.file}")
    for key, value in trained.metrics.items():
        print(f"  {key:<28}{value:>12.6g}")
    return trained


def main(argv: Sequence[str]) -> int:
    """Exit code: 0 trained, 1 an option or the data does not fit, 2 no such recipe, 130 interrupted."""
    names = recipe_names()
    if not argv or argv[0] in {"-h", "--help"}:
        print("usage: ./axon train NAME [--out DIR] [--seed N] [--install] ...    (NAME --help says more)\n")
        print("\n".join(f"  {name:<18}{summary(name)}" for name in names))
        return 0
    if argv[0] not in names:
        print(f"axon train: there is no recipe {argv[0]!r}; there are: {', '.join(names)}", file=sys.stderr)
        return 2
    try:
        run(argv[0], argv[1:])
    except (ValueError, OSError) as error:
        print(f"axon train {argv[0]}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"axon train {argv[0]}: interrupted; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    return 0
