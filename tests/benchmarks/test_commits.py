"""`benchmarks/commits.py`: the files of a commit, and a process that takes steps."""

from __future__ import annotations

import shutil

import pytest

import commits


@pytest.mark.skipif(
    not (commits.ROOT / ".git").exists() or shutil.which("git") is None, reason="needs a git checkout"
)
def test_the_files_of_a_commit_last_as_long_as_the_context() -> None:
    with commits.checkout("HEAD") as folder:
        assert (folder / "ansnet" / "functional" / "conv.py").is_file()
        assert not (folder / "train.py").exists()
    assert not folder.exists()


def test_a_process_takes_a_step_when_it_is_told_to() -> None:
    arguments = ["HEAD", "--batch-size", "2", "--threads", "1", "--models", "vgg7", commits.SERVE]
    with commits.server(commits.ROOT, arguments) as step:
        step()
        step()


def test_a_process_that_has_ended_is_named() -> None:
    arguments = ["HEAD", commits.SERVE, "--version"]
    with commits.server(commits.ROOT, arguments) as step, pytest.raises(SystemExit, match="has ended"):
        step()
