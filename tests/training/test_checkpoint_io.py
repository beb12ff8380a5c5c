"""`ansnet.training.checkpoint_io`: a checkpoint that has its name is whole."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch

from ansnet.training.build import make_trainer
from ansnet.training.checkpoint_io import WholeCheckpointIO
from tests.training.small import few_shapes, small_settings

SHARED_MEMORY = Path("/dev/shm")  # another file system than that of temporary files, on Linux


@pytest.fixture(params=["here", "another file system"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    if request.param == "here":
        yield tmp_path
        return
    if not SHARED_MEMORY.is_dir() or SHARED_MEMORY.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no other file system")
    with TemporaryDirectory(dir=SHARED_MEMORY) as elsewhere:
        yield Path(elsewhere)


def checkpoint(epoch: int) -> dict[str, Any]:
    return {"epoch": epoch, "state_dict": {"w": torch.full((1000,), float(epoch))}}


def read(path: Path) -> int:
    saved = torch.load(path, weights_only=True)
    assert saved["state_dict"]["w"].tolist() == [saved["epoch"]] * 1000
    return int(saved["epoch"])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_trainer_writes_checkpoints_so(tmp_path: Path) -> None:
    trainer = make_trainer(small_settings(tmp_path))
    assert isinstance(trainer.strategy.checkpoint_io, WholeCheckpointIO)


def test_a_checkpoint_is_written_and_read(folder: Path) -> None:
    io = WholeCheckpointIO()
    for epoch in (1, 2):
        io.save_checkpoint(checkpoint(epoch), folder / "checkpoints" / "last.ckpt")
        assert read(folder / "checkpoints" / "last.ckpt") == epoch
    assert io.load_checkpoint(str(folder / "checkpoints" / "last.ckpt"))["epoch"] == 2
    assert names(folder / "checkpoints") == ["last.ckpt"]
    with pytest.raises(TypeError, match="leave them out"):
        io.save_checkpoint(checkpoint(3), folder / "last.ckpt", storage_options={"a": 1})


def test_a_kill_in_the_middle_leaves_the_one_before(folder: Path) -> None:
    program = """
import os, signal, sys
from pathlib import Path
import torch
from ansnet.training.checkpoint_io import WholeCheckpointIO

path = Path(sys.argv[1])
WholeCheckpointIO().save_checkpoint({"epoch": 1, "state_dict": {"w": torch.full((1000,), 1.0)}}, path)
real = torch.serialization._save
def save(content, file, *rest):
    real(content, file, *rest)
    os.kill(os.getpid(), signal.SIGKILL)
torch.serialization._save = save
WholeCheckpointIO().save_checkpoint({"epoch": 2, "state_dict": {"w": torch.full((1000,), 2.0)}}, path)
"""
    path = folder / "checkpoints" / "last.ckpt"
    killed = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert read(path) == 1
    (left,) = [each for each in path.parent.iterdir() if each != path]
    assert left not in path.parent.glob("*.ckpt")
    WholeCheckpointIO().save_checkpoint(checkpoint(3), path.with_name("best.ckpt"))
    assert names(path.parent) == ["best.ckpt", "last.ckpt"]


def test_a_full_disk_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    io, path = WholeCheckpointIO(), tmp_path / "checkpoints" / "last.ckpt"
    io.save_checkpoint(checkpoint(1), path)
    real = Path.open

    class Full:
        def __init__(self, file: Any) -> None:
            self.file = file

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

        def flush(self) -> None:
            self.file.flush()

        def write(self, content: bytes) -> int:
            if self.file.tell() > 1000:
                raise OSError(errno.ENOSPC, "No space left on device")
            return int(self.file.write(content))

    monkeypatch.setattr(Path, "open", lambda path, mode: Full(real(path, mode)))
    with pytest.raises(OSError, match="No space left") as raised:
        io.save_checkpoint(checkpoint(2), path)
    monkeypatch.undo()
    assert raised.value.filename == str(path)
    assert names(path.parent) == ["last.ckpt"]
    assert read(path) == 1


def test_the_folder_of_a_run_that_is_gone_is_not_made_anew(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        WholeCheckpointIO().save_checkpoint(checkpoint(1), tmp_path / "run" / "checkpoints" / "a.ckpt")
    assert names(tmp_path) == []


@pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.:FutureWarning")
def test_a_new_best_is_whole_before_the_older_one_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ansnet.training.run import train

    removed: list[str] = []

    def remove(io: WholeCheckpointIO, path: str) -> None:
        if not Path(path).name.startswith("best-"):
            return
        folder = Path(path).parent
        best = [each for each in folder.glob("best-*.ckpt") if each != Path(path)]
        (epoch,) = [torch.load(each, weights_only=True)["epoch"] for each in best]
        assert epoch > torch.load(path, weights_only=True)["epoch"]
        removed.append(path)
        Path(path).unlink()

    monkeypatch.setattr(WholeCheckpointIO, "remove_checkpoint", remove)
    with few_shapes(300, 100):
        result = train(small_settings(tmp_path, max_epochs=4, lr=3e-2))
    assert removed
    assert names(result.best_checkpoint.parent) == [result.best_checkpoint.name, "last.ckpt"]
