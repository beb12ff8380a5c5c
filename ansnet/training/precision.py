"""In which precision a run on a CPU computes where that is left open: in the quicker one, as measured.

A CPU with matrix units for bfloat16 (`ansnet.training.processor`) may take a step in ``bf16-mixed`` in
less time than in ``32-true``. Whether it does depends on the network: what is no product of matrices
gains little, and numbers are converted to and fro. So a network like the run's takes a few steps in
each, in turn, before the run begins.

A step here is forward, loss and backward; the optimizer's part takes the same time in both. The images
are noise, and at most `MOST_IMAGES`, since in a larger batch an image takes nearly the same time.
Nothing is compiled, or code would be generated that the run has no use for. No state that the run
depends on is touched: it is that of ``--precision`` with what was found, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from statistics import median
from time import perf_counter
from typing import Any, Final

import torch

from ansnet.compatibility import lightning
from ansnet.functional.kernel import can_generate
from ansnet.models import create_model
from ansnet.training.build import arranged, make_data
from ansnet.training.machine import as_settled
from ansnet.training.memory import return_freed_memory
from ansnet.training.memory_needed import check
from ansnet.training.resume import read_checkpoint
from ansnet.training.settings import Settings

SINGLE: Final = "32-true"
MIXED: Final = "bf16-mixed"
MOST_IMAGES = 64
LEAST_ROUNDS, MOST_ROUNDS = 3, 7
SECONDS = 3.0  # after which no further round begins, once there are enough
GAIN = 0.9  # of the time; less is not told from chance beside other work, and not worth the digits


@dataclass(frozen=True)
class Timing:
    """How long a step has taken.

    Attributes:
        images: of the step.
        single: seconds in ``32-true``, the median.
        mixed: seconds in ``bf16-mixed``, the median.
    """

    images: int
    single: float
    mixed: float

    @property
    def precision(self) -> str:
        """That in which to compute."""
        return MIXED if self.mixed <= GAIN * self.single else SINGLE

    def __str__(self) -> str:
        mixed, single = (f"{1000 * each:,.0f} ms" for each in (self.mixed, self.single))
        step = f"a step of {self.images} images takes"
        if self.precision == MIXED:
            return f"computed in {MIXED}: {step} {mixed} in it, {single} in {SINGLE}"
        return f"computed in {SINGLE}: {step} {single} in it, {mixed} in {MIXED}, not a tenth less"


def settled(settings: Settings) -> tuple[Settings, Timing | None]:
    """Settings with a precision in place of one that the device has left open, and what decided it.

    A run that goes on has that of the run before, and nothing is measured.

    Args:
        settings: completed by `ansnet.training.machine.complete_by_device`.

    Raises:
        SettingsError: see `read_checkpoint`; or the network does not fit into memory.
        DataError, UnknownModelError, NotationError: as the run would.
    """
    if settings.precision is not None:
        return settings, None
    if settings.resume is not None:
        before = read_checkpoint(settings.resume).settings or {}
        return replace(settings, precision=before.get("precision") or SINGLE), None
    timing = measure(settings)
    return replace(settings, precision=timing.precision), timing


def measure(settings: Settings) -> Timing:
    """Take steps in either precision, in turn, after one in each that is not counted."""
    if settings.compile != "none":
        with as_settled(settings):  # it is asked once, and would take nothing compiled for a success
            can_generate("cpu")
    with torch.random.fork_rng(devices=[]), as_settled(replace(settings, compile="none")), fixed():
        step, images = make_step(settings)
        spent: dict[str, list[float]] = {SINGLE: [], MIXED: []}
        start = perf_counter()
        for done in range(-1, MOST_ROUNDS):
            if done >= LEAST_ROUNDS and perf_counter() - start > SECONDS:
                break
            for precision, seconds in spent.items():
                begin = perf_counter()
                step(precision)
                seconds.append(perf_counter() - begin)
        del step
    return_freed_memory()
    return Timing(images, *(median(seconds[1:]) for seconds in spent.values()))


def make_step(settings: Settings) -> tuple[Callable[[str], None], int]:
    """A function that takes a step in a precision, and the number of its images."""
    classes = len(make_data(settings).classes)
    # two at least, by which a batch normalisation can normalise
    count = min(max(settings.batch_size, 2), MOST_IMAGES)
    check(settings, classes, count)
    noted = create_model(settings.model, classes)
    network, criterion = arranged(noted, settings)
    layout = torch.channels_last if settings.channels_last else torch.contiguous_format
    images = torch.randn(count, *noted.in_shape).contiguous(memory_format=layout)
    targets = torch.arange(count) % classes
    contexts: dict[str, Callable[[], AbstractContextManager[Any]]] = {
        SINGLE: nullcontext,
        MIXED: lightning.plugins.MixedPrecision(MIXED, "cpu").forward_context,
    }

    def step(precision: str) -> None:
        with contexts[precision]():
            loss = criterion(network(images), targets)
        network.zero_grad()
        loss.backward()

    return step, count


@contextmanager
def fixed() -> Iterator[None]:
    """With the kernels that a trainer takes, which give the same numbers each time."""
    before = torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warns)
