"""When numbers are the same, and under which conditions they are compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Conditions:
    """Under which a capability is tried.

    Attributes:
        atol: by how much two numbers may differ; None: as `assert_same` has it.
        rtol: the same, relative to the expected one.
        seed: of the random numbers that a function draws, each time that it is called; None: they are
            as they come.
    """

    atol: float | None = None
    rtol: float | None = None
    seed: int | None = 0


CONDITIONS = ContextVar("CONDITIONS", default=Conditions())  # noqa: B039 (it is frozen)


@contextmanager
def under(conditions: Conditions) -> Iterator[None]:
    """All that is tried within is tried under these conditions."""
    token = CONDITIONS.set(conditions)
    try:
        yield
    finally:
        CONDITIONS.reset(token)


def require(condition: bool, message: str) -> None:
    """``assert``, also where Python runs without assertions.

    Raises:
        AssertionError: the condition does not hold.
    """
    if not condition:
        raise AssertionError(message)


# Of doubles, closer than assert_close asks: what has passed through single precision is to be seen.
CLOSER = {torch.float64: 1e-10, torch.complex128: 1e-10}
ROUNDED = 16  # roundings by which numbers differ that have passed through lower precision


def bounds(
    dtype: torch.dtype, precision: torch.dtype | None = None
) -> tuple[float | None, float | None]:
    """By how much numbers may differ: absolutely, and relative to the expected one."""
    given, usual = CONDITIONS.get(), CLOSER.get(dtype)
    if precision not in (None, dtype):
        usual = max(usual or 0.0, ROUNDED * torch.finfo(precision).eps)
    if given.atol is None and given.rtol is None:
        return usual, usual
    return given.atol or 0.0, given.rtol or 0.0


def assert_same(
    what: str,
    actual: Sequence[Tensor],
    expected: Sequence[Tensor],
    precision: torch.dtype | None = None,
) -> None:
    """Equal number, shapes, dtypes, devices, and values within `torch.testing.assert_close`'s bounds.

    Doubles are to agree within 1e-10, unless the conditions say otherwise. The bounds are those of
    ``precision`` where numbers on the way were rounded to it; of the numbers' own dtype by default.

    Raises:
        AssertionError: they differ; the message names what and where.
    """
    require(len(actual) == len(expected), f"{what}: {len(actual)} tensors, expected {len(expected)}")
    for index, (one, other) in enumerate(zip(actual, expected, strict=True)):
        name = what if len(actual) == 1 else f"{what} {index}"
        try:
            atol, rtol = bounds(other.dtype, precision)
            torch.testing.assert_close(one, other, atol=atol, rtol=rtol, equal_nan=True)
        except AssertionError as error:
            raise AssertionError(f"{name}: {_worst(one, other)}{error}") from None


def _worst(one: Tensor, other: Tensor) -> str:
    """The two numbers that differ most, and where they are; nothing where these cannot be compared."""
    if (
        (one.shape, one.dtype) != (other.shape, other.dtype)
        or {one.layout, other.layout} != {torch.strided}
        or one.numel() == 0
    ):
        return ""
    try:
        apart = (one.detach().cpu() - other.detach().cpu()).abs().double()
        differ = apart.nan_to_num(torch.inf, torch.inf)  # NaN or infinity on one side only comes first
        differ[(one.detach().cpu() == other.detach().cpu()) | (one.isnan() & other.isnan()).cpu()] = 0
    except (RuntimeError, NotImplementedError):
        return ""
    index = tuple(int(axis) for axis in torch.unravel_index(differ.argmax(), one.shape))
    return f"{one[index].item():.8g} at index {index}, expected {other[index].item():.8g}. "
