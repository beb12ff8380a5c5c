"""`ansnet.training.described`: which commit is checked out, without git."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansnet.training.described import commit

HASH = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / ".git"
    (folder / "refs" / "heads").mkdir(parents=True)
    (folder / "HEAD").write_text("ref: refs/heads/main\n")
    return folder


def test_a_branch_has_its_hash_in_a_file(repository: Path) -> None:
    (repository / "refs" / "heads" / "main").write_text(f"{HASH}\n")
    assert commit(repository.parent) == HASH


def test_or_among_the_packed(repository: Path) -> None:
    (repository / "packed-refs").write_text(
        f"# pack-refs\n{'f' * 40} refs/heads/x\n{HASH} refs/heads/main\n"
    )
    assert commit(repository.parent) == HASH


def test_a_hash_may_be_checked_out_itself(repository: Path) -> None:
    (repository / "HEAD").write_text(f"{HASH}\n")
    assert commit(repository.parent) == HASH


def test_a_worktree_shares_branches(repository: Path, tmp_path: Path) -> None:
    (repository / "refs" / "heads" / "other").write_text(f"{HASH}\n")
    own = repository / "worktrees" / "here"
    own.mkdir(parents=True)
    (own / "HEAD").write_text("ref: refs/heads/other\n")
    (own / "commondir").write_text("../..\n")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / ".git").write_text(f"gitdir: {own}\n")
    assert commit(tmp_path / "here") == HASH


@pytest.mark.parametrize("head", ["", "ref: refs/heads/none", "x" * 40, "ref: \0", "\udcff"])
def test_what_is_none_has_none(head: str, repository: Path, tmp_path: Path) -> None:
    (repository / "HEAD").write_bytes(head.encode(errors="surrogateescape"))
    assert commit(repository.parent) is None
    assert commit(tmp_path / "nowhere") is None
