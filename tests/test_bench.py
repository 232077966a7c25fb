# SPDX-License-Identifier: Apache-2.0
"""The harness of the benchmarks, on a benchmark that measures nothing."""

from __future__ import annotations

import json
import math
from pathlib import Path

import harness
import pytest

NOTHING = '''
"""Measure nothing.

At length.
"""


def add_arguments(parser):
    parser.add_argument("--rounds", type=int, default=3)


def main(args):
    if args.rounds < 1:
        raise ValueError(f"--rounds {args.rounds}: expected at least 1")
    return {"rounds": args.rounds, "draw": args.seed * 2, "ratio": float("nan")}
'''


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "measure_nothing.py").write_text(NOTHING)
    (tmp_path / "helper.py").write_text("def main(): ...\n")
    monkeypatch.setattr(harness, "FOLDER", tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_json_is_flat_and_says_what_it_belongs_to(tmp_path: Path):
    file = tmp_path / "deep" / "out.json"
    assert harness.main(["measure-nothing", "--rounds", "5", "--seed", "7", "--json", str(file)]) == 0
    values = json.loads(file.read_text())
    assert (values["rounds"], values["draw"], values["ratio"], values["seed"]) == (5, 14, None, 7)
    assert values["commit"] and values["machine"] and values["date"]
    assert all(isinstance(value, (int, float, str, type(None))) for value in values.values())


def test_table_has_every_number(capsys: pytest.CaptureFixture[str]):
    harness.main(["measure-nothing"])
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert {"rounds", "draw", "ratio"} <= {row[0] for row in rows if len(row) == 2}
    assert math.isnan(float(next(row[1] for row in rows if row[:1] == ["ratio"])))


def test_helpers_are_no_benchmarks_and_unknown_names_are_refused(capsys: pytest.CaptureFixture[str]):
    assert harness.benchmark_names() == ["measure-nothing"]
    assert harness.main(["helper"]) == 2
    assert "measure-nothing" in capsys.readouterr().err
    assert harness.main([]) == 0
    assert "Measure nothing." in capsys.readouterr().out


def test_unknown_option_and_bad_value_are_refused(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        harness.main(["measure-nothing", "--round", "3"])
    assert harness.main(["measure-nothing", "--rounds", "0"]) == 1
    assert "--rounds 0: expected at least 1" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_refused_before_measuring(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert harness.main(["measure-nothing", "--json", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert str(tmp_path) in said.err and "rounds" not in said.out
