"""`ansnet.data.downloaded`: a folder that the data cannot be in is told in one line."""

from __future__ import annotations

import errno
import re
from pathlib import Path
from typing import Any

import pytest

from ansnet.data import DataError, make_data_module
from ansnet.data import downloaded as module

DATASETS = ("cifar10", "cifar100", "fashionmnist")


@pytest.mark.parametrize("dataset", DATASETS, ids=str.upper)
@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("file", "a file is where its folder should be; name another place"),
        ("file/data", "a file is where its folder should be; name another place"),
        ("a" * 256, "the name is too long; name a shorter one"),
    ],
)
def test_a_folder_that_cannot_be_is_refused_before_anything_is_fetched(
    dataset: str, place: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[Any] = []
    monkeypatch.setattr(module, "download", lambda *given: fetched.append(given))
    (tmp_path / "file").write_text("")
    data = make_data_module(dataset, str(tmp_path / place), batch_size=50)
    with pytest.raises(DataError, match=re.escape(reason)) as refused:
        data.prepare_data()
    assert str(refused.value).startswith(f"--data-dir {tmp_path / place}: ")
    assert "\n" not in str(refused.value)
    assert fetched == []
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("dataset", DATASETS, ids=str.upper)
def test_a_disk_that_is_full_after_a_while_is_not_taken_for_a_host_that_does_not_answer(
    dataset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("ansnet.data.download.fetch", full)
    data = make_data_module(dataset, str(tmp_path / "data"), batch_size=50)
    with pytest.raises(DataError, match="the disk is full; make room there"):
        data.prepare_data()
