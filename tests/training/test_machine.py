"""`ansnet.training.machine`: how many threads a run takes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ansnet.training import machine
from ansnet.training.machine import complete_by_device, core_quota, usable_threads
from tests.training.small import small_settings


@pytest.mark.parametrize(
    ("text", "cores"),
    [
        ("max 100000\n", None),
        ("250000 100000\n", 2.5),
        ("50000 100000\n", 0.5),
        ("", None),
        ("-1\n", None),
    ],
)
def test_the_quota_of_a_control_group(tmp_path: Path, text: str, cores: float | None) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(text)
    assert core_quota(file) == cores
    assert core_quota(tmp_path / "missing") is None


@pytest.mark.parametrize(
    ("cores", "quota", "threads"), [(4, None, 4), (4, 2.5, 3), (4, 0.5, 1), (1, 8.0, 1)]
)
def test_threads_are_as_many_as_the_process_may_use_cores(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cores: int, quota: float | None, threads: int
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: cores)
    monkeypatch.setattr(machine, "core_quota", lambda: quota)
    assert usable_threads() == threads
    assert complete_by_device(small_settings(tmp_path)).threads == threads
    assert complete_by_device(small_settings(tmp_path, threads=7)).threads == 7
