"""`ansnet.training.recording`: what keeps a run from being recorded, and what is left of it then."""

from __future__ import annotations

import errno
import os
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from ansnet.files import whole
from ansnet.training import checkpoint_io, history, recording
from ansnet.training.build import make_classifier
from ansnet.training.recording import (
    Recording,
    UnwrittenError,
    check_log_dir,
    check_space,
    checkpoint_size,
)
from ansnet.training.run import train
from ansnet.training.settings import SettingsError
from tests.training.small import few_shapes, small_settings

pytestmark = pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.:FutureWarning")


@pytest.fixture(scope="module", autouse=True)
def _few_images() -> Iterator[None]:
    with few_shapes(300, 100):
        yield


def full(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("file", "file is no folder; name another"),
        ("file/logs", "file is no folder; name another"),
        ("a" * 256, "the name is too long; name a shorter one"),
        ("/".join(["a" * 100] * 41), "the name is too long; name a shorter one"),
    ],
)
def test_a_place_that_cannot_be_recorded_in_is_refused(place: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    log_dir = str(tmp_path / place)
    with pytest.raises(SettingsError, match=re.escape(reason)) as refused:
        train(small_settings(Path(log_dir)))
    assert str(refused.value).startswith(f"--log-dir {log_dir}: ")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.EROFS, "the disk is read-only; name a place on another"),
        (errno.EACCES, "there is no permission to; name another place"),
        (errno.ENOSPC, "the disk is full; make room there, or name a place on another"),
    ],
)
def test_the_system_is_asked_by_trying(
    number: int, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "mkdir", refuse)  # as to anybody but root
    with pytest.raises(SettingsError, match=re.escape(f"--log-dir {tmp_path}: {reason}")):
        check_log_dir(str(tmp_path))


def test_a_place_that_can_be_recorded_in_is_left_as_it_was(tmp_path: Path) -> None:
    check_log_dir(str(tmp_path / "new"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "given",
    [
        {"optimizer": "adam"},
        {"optimizer": "adamw"},
        {"optimizer": "muon"},
        {"optimizer": "sgd"},
        {"optimizer": "sgd", "momentum": 0.0},
        {"optimizer": "sgd", "ema": 0.9},
        {"optimizer": "adam", "precision": "64-true"},
    ],
    ids=str,
)
def test_the_size_of_a_checkpoint_is_known_before(given: dict[str, Any], tmp_path: Path) -> None:
    settings = small_settings(
        tmp_path, **{"model": "CR(8), M(8), LR(2000), L(10)", "max_epochs": 1, **given}
    )
    classifier = make_classifier(settings)
    if settings.precision == "64-true":
        classifier = classifier.double()
    expected = checkpoint_size(settings, classifier)
    written = (train(settings).log_dir / "checkpoints" / "last.ckpt").stat().st_size
    assert expected == pytest.approx(written, rel=0.05)


def test_a_disk_without_room_for_the_checkpoints_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = small_settings(tmp_path / "logs", model="vgg7")
    classifier = make_classifier(settings)
    needed = recording.AT_ONCE * checkpoint_size(settings, classifier) + recording.BESIDE
    usage = shutil.disk_usage(tmp_path)
    for free, is_refused in ((needed, False), (needed - 1, True)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: usage._replace(free=free))
        if is_refused:
            with pytest.raises(SettingsError, match=r"free, and the run's checkpoints need [\d,.]+ MB"):
                train(settings)
        else:
            check_space(settings, classifier)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_in_the_training_names_the_last_whole_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []
    real = torch.save

    def save(content: Any, file: Any) -> None:
        written.append(Path(file.name))
        if len(written) > 2:  # the best and the last of the first epoch
            file.write(b"half")
            full()
        real(content, file)

    monkeypatch.setattr(torch, "save", save)
    with pytest.raises(UnwrittenError) as stopped:
        train(small_settings(tmp_path, max_epochs=3, lr=1e-2))
    folder = tmp_path / "notation" / "version_0" / "checkpoints"
    message = str(stopped.value)
    assert "\n" not in message
    assert re.search(r"checkpoints/\S+\.ckpt cannot be written: the disk is full; make room", message)
    assert message.endswith(f"go on from the last whole checkpoint by --resume {folder / 'last.ckpt'}")
    assert torch.load(folder / "last.ckpt", weights_only=True)["epoch"] == 0
    assert list(folder.glob(".*")) == []
    monkeypatch.undo()
    resumed = train(small_settings(tmp_path, max_epochs=3, lr=1e-2, resume=str(folder / "last.ckpt")))
    assert [epoch.epoch for epoch in resumed.history] == [0, 1, 2, 3]


def test_a_full_disk_before_the_first_checkpoint_says_that_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(UnwrittenError, match="there is no checkpoint yet"):
        train(small_settings(tmp_path))


def test_what_tensorboard_cannot_write_is_told_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tensorboard.summary.writer.record_writer import RecordWriter

    monkeypatch.setattr(RecordWriter, "write", full)
    hook = threading.excepthook
    with pytest.raises(UnwrittenError, match="version_0 cannot be written: the disk is full"):
        train(small_settings(tmp_path))
    assert "Traceback" not in capsys.readouterr().err
    assert threading.excepthook is hook


def test_a_folder_that_is_removed_in_the_training_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = checkpoint_io.remove_unfinished

    def remove(folder: Path) -> None:
        real(folder)
        shutil.rmtree(folder.parent)

    monkeypatch.setattr(checkpoint_io, "remove_unfinished", remove)
    with pytest.raises(UnwrittenError, match=r"version_0, where the run is recorded, has been removed"):
        train(small_settings(tmp_path))


def test_curves_that_cannot_be_written_take_nothing_else_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> Any:
        full()
        return whole(path)

    monkeypatch.setattr(history, "whole", refuse)
    with pytest.raises(UnwrittenError, match=r"cannot be written: the disk is full"):
        train(small_settings(tmp_path))
    folder = tmp_path / "notation" / "version_0"
    assert len(history.read_history(folder / "metrics.csv")) == 3
    assert torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 1


def test_other_errors_stay_what_they_are() -> None:
    for error in (ValueError("mine"), BrokenPipeError(errno.EPIPE, "nobody reads")):
        with pytest.raises(type(error)), Recording():
            raise error
