"""`ansnet.training.memory`."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

COUNT_FAULTS = """
from resource import RUSAGE_SELF, getrusage
import torch
from ansnet.training.memory import keep_freed_memory

for keep in (False, True):
    assert not keep or keep_freed_memory()
    for _ in range(20):
        before = getrusage(RUSAGE_SELF).ru_minflt
        torch.empty(2**24).fill_(0)
        faults = getrusage(RUSAGE_SELF).ru_minflt - before
    print(faults)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc, whose malloc is told")
def test_memory_that_was_freed_is_not_faulted_in_again() -> None:
    # in a process of its own, as the setting holds until the end of it
    command = [sys.executable, "-c", COUNT_FAULTS]
    before, after = map(int, subprocess.check_output(command, text=True).split())
    # 64 MiB are 16,384 pages of 4 KiB, or 32 of 2 MiB where the kernel gives those
    assert before >= 32
    assert after < before / 4
