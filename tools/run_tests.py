# SPDX-License-Identifier: Apache-2.0
"""./axon test: what CI runs. ruff over the repository, mypy over axon_core, pytest over everything.

Arguments go to pytest, which then runs alone: ./axon test src/axon_planner -k corner
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHECKS = {
    "ruff": ["ruff", "check", "."],
    "mypy": ["mypy"],  # pyproject.toml says over what, and how strictly
}


def run_checks() -> list[str]:
    """Run lint and types; return the names of those that found something."""
    failed = []
    for name, command in CHECKS.items():
        print(f"== {' '.join(command)}", flush=True)
        if subprocess.run([sys.executable, "-m", *command], cwd=ROOT).returncode != 0:
            failed.append(name)
    return failed


def main(arguments: Sequence[str]) -> int:
    """Exit code: pytest's; 1 if only lint or types failed; pytest's last line stands last when all is well."""
    if "-h" in arguments or "--help" in arguments:
        print(f"usage: ./axon test [PYTEST ARGUMENT...]\n\n{__doc__}")
        return 0
    failed = [] if arguments else run_checks()
    print("== pytest", flush=True)
    code = subprocess.run([sys.executable, "-m", "pytest", *arguments], cwd=ROOT).returncode
    if failed:
        print(f"axon test: {' and '.join(failed)} found something, see above", file=sys.stderr)
    return code or int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
