"""`ansnet.commands.runs`: which checkpoint a name stands for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansnet.commands.runs import NoRunError, find_checkpoint


@pytest.fixture
def log_dir(tmp_path: Path) -> Path:
    """Three runs, the newest of them vgg7's second."""
    for age, run in enumerate(["vgg7/version_1", "vgg7/version_0", "resnet9/version_0"]):
        folder = tmp_path / run / "checkpoints"
        folder.mkdir(parents=True)
        for name in ("last.ckpt", "best-epoch=2-val_accuracy=0.5000.ckpt"):
            (folder / name).write_bytes(b"")
            os.utime(folder / name, (1000 - age, 1000 - age))
    (tmp_path / "vgg7/version_2").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("run", "found"),
    [
        ("last", "vgg7/version_1"),
        ("version_1", "vgg7/version_1"),
        ("vgg7/version_0", "vgg7/version_0"),
        ("resnet9/version_0", "resnet9/version_0"),
    ],
)
def test_a_name_stands_for_a_run(log_dir: Path, run: str, found: str) -> None:
    folder = log_dir / found / "checkpoints"
    assert find_checkpoint(run, log_dir) == folder / "last.ckpt"
    assert find_checkpoint(run, log_dir, best=True).name.startswith("best-epoch=2")


def test_a_path_stands_for_itself(log_dir: Path) -> None:
    folder = log_dir / "vgg7/version_0"
    assert find_checkpoint(str(folder), Path("nowhere")) == folder / "checkpoints/last.ckpt"
    best = folder / "checkpoints/best-epoch=2-val_accuracy=0.5000.ckpt"
    assert find_checkpoint(str(best), Path("nowhere")) == best


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ("version_0", "there are 2 runs 'version_0': .*resnet9/version_0.*; name one of them"),
        ("version_9", "there is no run 'version_9', neither as a path nor in .*; name a folder"),
        ("vgg7/version_2", "holds no checkpoint of the last epoch"),
    ],
)
def test_what_stands_for_none_is_refused_in_one_line(log_dir: Path, run: str, message: str) -> None:
    with pytest.raises(NoRunError, match=message) as caught:
        find_checkpoint(run, log_dir)
    assert "\n" not in str(caught.value)


def test_last_where_nothing_was_trained(tmp_path: Path) -> None:
    with pytest.raises(NoRunError, match="has a checkpoint; train one"):
        find_checkpoint("last", tmp_path)
