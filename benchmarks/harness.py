# SPDX-License-Identifier: Apache-2.0
"""Run one benchmark: print a table of its numbers, write them as one flat JSON object.

A benchmark is a module beside this one with a docstring (its help), `add_arguments(parser)` for options of its own, and
`main(args) -> dict[str, float]`. `args` has the options of every benchmark too: `data` (Path or None), `json`, `seed`.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import json
import math
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from axon_core.provenance import commit_of, processor_name

FOLDER = Path(__file__).resolve().parent


def benchmark_names() -> list[str]:
    """Names of all benchmarks, as written on the command line."""
    modules = (path for path in FOLDER.glob("*.py") if path.name != "harness.py")
    return sorted(path.stem.replace("_", "-") for path in modules if "\ndef add_arguments(" in path.read_text("utf-8"))


def summary(name: str) -> str:
    """First line of a benchmark's docstring, without importing it."""
    text = (FOLDER / f"{name.replace('-', '_')}.py").read_text("utf-8")
    return text.split('"""')[1].strip().splitlines()[0]


def make_parser(name: str, module) -> argparse.ArgumentParser:
    """The options of every benchmark and those of this one."""
    parser = argparse.ArgumentParser(
        prog=f"./axon bench {name}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder with the data, for benchmarks that read some")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there, one flat object")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of everything random (default: 0)")
    module.add_arguments(parser)
    return parser


def describe_run(name: str, seed: int, wall_s: float) -> dict[str, str | float]:
    """What the numbers belong to: benchmark, commit, machine, seed, date."""
    return {
        "bench": name,
        "commit": commit_of(FOLDER),
        "machine": f"{processor_name()}, {platform.machine()}",
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "seed": seed,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "wall_s": round(wall_s, 3),
    }


def print_table(numbers: Mapping[str, float]) -> None:
    """One number a line, names and values aligned."""
    width = max(map(len, numbers), default=0)
    for key, value in numbers.items():
        print(f"  {key:<{width}}  {value:>12.6g}")


def check_writable(path: Path) -> None:
    """Make the file where it is not there; OSError at once, and not after minutes of measuring."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.open("a").close()


def write_json(path: Path, values: Mapping[str, object]) -> None:
    """Write `values`; what is not a finite number becomes null, which every JSON reader understands."""
    finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}
    path.write_text(json.dumps(finite, indent=2) + "\n", encoding="utf-8")


def run(name: str, arguments: Sequence[str]) -> dict[str, float]:
    """Run benchmark `name`, print its table, write its JSON where asked, return its numbers."""
    module = importlib.import_module(name.replace("-", "_"))
    args = make_parser(name, module).parse_args(arguments)
    if args.json:
        check_writable(args.json)
    start_s = time.monotonic()
    numbers = module.main(args)
    description = describe_run(name, args.seed, time.monotonic() - start_s)
    print(f"\n{name}: commit {description['commit']}, {description['machine']}, seed {args.seed}")
    print_table(numbers)
    if args.json:
        write_json(args.json, {**numbers, **description})
    return numbers


def main(argv: Sequence[str]) -> int:
    """Exit code: 0 measured, 1 the data or an option does not fit, 2 no such benchmark."""
    names = benchmark_names()
    if not argv or argv[0] in {"-h", "--help"}:
        print("usage: ./axon bench NAME [--data DIR] [--json FILE] [--seed N] ...    (NAME --help says more)\n")
        print("\n".join(f"  {name:<18}{summary(name)}" for name in names))
        return 0
    if argv[0] not in names:
        print(f"axon bench: there is no benchmark {argv[0]!r}; there are: {', '.join(names)}", file=sys.stderr)
        return 2
    try:
        run(argv[0], argv[1:])
    except (ValueError, OSError) as error:
        print(f"axon bench {argv[0]}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
