# SPDX-License-Identifier: Apache-2.0
"""Commits of real repositories."""

import shutil
import subprocess

import pytest

from axon_core.provenance import commit_of, processor_name


def git(folder, *words):
    identity = ("-c", "user.name=a tester", "-c", "user.email=tester@localhost")
    result = subprocess.run(["git", "-C", folder, *identity, *words], check=True, capture_output=True, text=True)
    return result.stdout.strip()


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_commit_is_named_and_a_changed_tree_is_marked(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-qm", "one")
    git(tmp_path, "tag", "v1")  # a tag would hide the commit
    commit = commit_of(tmp_path)
    assert len(commit) == 12 and git(tmp_path, "rev-parse", "HEAD").startswith(commit)
    (tmp_path / "a").write_text("2")
    assert commit_of(tmp_path) == commit + "+"


def test_what_is_no_repository_has_no_commit(tmp_path):
    assert commit_of(tmp_path / "nowhere") == "unknown"


def test_the_processor_has_a_name():
    assert processor_name().strip()
