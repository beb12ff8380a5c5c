"""What the C library does with memory that is freed."""

from __future__ import annotations

import ctypes
import sys

# the parameters' numbers in glibc's malloc.h
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4


def keep_freed_memory() -> bool:
    """Have glibc keep freed memory for the next tensor, however large.

    By default it maps a large buffer anew each time and returns it to the kernel when it is freed, so
    that a training step on a CPU has all its activations faulted in again, 4 KiB at a time, and
    zeroed. The process then holds as much memory as it ever needed, until it ends.

    Returns:
        Whether the C library has such a setting: glibc, on Linux.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    # no large buffer is mapped on its own, and the heap does not shrink below 2 GiB
    return mallopt is not None and all((mallopt(M_MMAP_MAX, 0), mallopt(M_TRIM_THRESHOLD, 2**31 - 1)))


def return_freed_memory() -> None:
    """Have glibc return to the kernel what is freed by now, so that it is found to be free."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
