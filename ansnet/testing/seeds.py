"""Random numbers: the same at each call of a function, and the user's own as if none had been drawn."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def plant(seed: int) -> None:
    """Seed what a function may draw from: PyTorch, Python, and NumPy where it is loaded."""
    torch.manual_seed(seed)
    random.seed(seed)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(seed % 2**32)


@contextmanager
def generators_left_alone() -> Iterator[None]:
    """Afterwards they go on from where they were."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    numpy = sys.modules.get("numpy")
    of_python, of_numpy = random.getstate(), numpy and numpy.random.get_state()
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        random.setstate(of_python)
        if numpy:
            numpy.random.set_state(of_numpy)


def states() -> tuple[object, ...]:
    """Where the generators of PyTorch (on the CPU) and of Python are; equal if nothing was drawn."""
    return torch.get_rng_state().tolist(), random.getstate()
