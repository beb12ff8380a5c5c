"""Numerical derivatives: where a function and its reference differ, they decide which one is right.

Central differences of eighth order in float64, f'(x) ≈ Σₖ cₖ (f(x + kh) − f(x − kh)) / h with
c = 4/5, −1/5, 4/105, −1/280 (Fornberg, "Generation of Finite Difference Formulas on Arbitrarily Spaced
Grids", 1988). Of the steps h tried, the two that agree best tell the value, and by how much it may be
wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import inf, isfinite
from typing import NamedTuple

import torch
from torch import Tensor

from ansnet.testing.comparison import assert_same

WEIGHTS = (4 / 5, -1 / 5, 4 / 105, -1 / 280)
STEPS = (1e-2, 3e-3, 1e-3)
MOST = 4  # elements looked at: those that differ most
NEAR = 1e-3  # of the largest number: a reference further off means another derivative
SURE = 0.2  # of a difference: a numerical derivative this near to one side decides for it

Scalar = Callable[..., float]
Coordinates = Sequence[tuple[int, int]]  # number of an input, index of its element


class Entry(NamedTuple):
    """An element of a derivative: what is differentiated, and by what, once or more often."""

    scalar: Scalar
    by: Coordinates


class Judge(NamedTuple):
    """A function whose numerical derivative decides.

    Attributes:
        inputs: where.
        entry: the entry in which an element, by the number of a tensor and an index, is.
    """

    inputs: Sequence[Tensor]
    entry: Callable[[int, int], Entry]


class Estimate(NamedTuple):
    """A numerical derivative, and by how much it may be wrong."""

    value: float
    error: float


def derivative(entry: Entry, inputs: Sequence[Tensor]) -> Estimate:
    """The numerical derivative; with an infinite error where the function is not finite around."""
    plain = [tensor.detach().double() for tensor in inputs]
    values = [_difference(entry.scalar, plain, entry.by, step) for step in STEPS]
    pairs = [(abs(one - other), one) for one, other in pairwise(values)]
    finite = [pair for pair in pairs if isfinite(pair[0])]
    error, value = min(finite, default=(inf, values[0]))
    return Estimate(value, error)


def _difference(scalar: Scalar, inputs: list[Tensor], by: Coordinates, step: float) -> float:
    if not by:
        return scalar(*inputs)
    (number, index), *others = by
    total = 0.0
    for count, weight in enumerate(WEIGHTS, 1):
        for sign in (1, -1):
            moved = inputs[number].clone(memory_format=torch.contiguous_format)
            moved.view(-1)[index] += sign * count * step
            around = [*inputs[:number], moved, *inputs[number + 1 :]]
            total += sign * weight * _difference(scalar, around, others, step)
    return total / step


def assert_same_derivative(
    what: Sequence[str],
    actual: Sequence[Tensor],
    expected: Sequence[Tensor],
    judges: Sequence[Judge],
) -> str | None:
    """As `assert_same`, but that where numbers differ, the first judge who is sure decides.

    Args:
        what: a name for each tensor.
        actual: the function's derivatives.
        expected: the reference's.
        judges: asked in this order.

    Returns:
        Which number of the reference is less exact, and by how much, if the function's is right.

    Raises:
        AssertionError: they differ, and no judge sides with the function.
    """
    notes = []
    for number, (name, one, other) in enumerate(zip(what, actual, expected, strict=True)):
        try:
            assert_same(name, [one], [other])
        except AssertionError as error:
            verdict = _verdict(number, one, other, judges)
            if not verdict.acquits:
                told = f"{name} {verdict.told}. " if verdict.told else ""
                raise AssertionError(f"{told}{error}") from None
            notes.append(f"the reference's is less exact than the function's: {name} {verdict.told}")
    return "; ".join(notes) or None


class Verdict(NamedTuple):
    """Whether the function is right where it differs from its reference, and the numbers."""

    acquits: bool
    told: str = ""


def _verdict(number: int, one: Tensor, other: Tensor, judges: Sequence[Judge]) -> Verdict:
    comparable = (one.shape, one.dtype, one.device) == (other.shape, other.dtype, other.device)
    if not comparable or one.dtype != torch.float64 or one.numel() == 0:
        return Verdict(False)
    own, known = one.detach().reshape(-1), other.detach().reshape(-1)
    apart = (own - known).abs()
    if not apart.isfinite().all():
        return Verdict(False)
    worst = apart.topk(min(MOST, len(apart))).indices.tolist()
    worst = [index for index in worst if apart[index] > SURE * apart[worst[0]]]
    is_near = bool(apart.max() <= NEAR * known.abs().max())
    for judge in judges:
        truths = [derivative(judge.entry(number, index), judge.inputs) for index in worst]
        sides = [
            _side(own[index].item(), known[index].item(), truth)
            for index, truth in zip(worst, truths, strict=True)
        ]
        place = tuple(int(axis) for axis in torch.unravel_index(torch.tensor(worst[0]), one.shape))
        told = (
            f"at index {place} the numerical derivative is {truths[0].value:.13g}, the reference's "
            f"{known[worst[0]]:.13g}, the function's {own[worst[0]]:.13g}"
        )
        if is_near and all(side > 0 for side in sides):
            return Verdict(True, f"{told}: {(known[worst[0]] - truths[0].value).abs():.2g} from it")
        if any(side < 0 for side in sides):
            return Verdict(False, told)
    return Verdict(False)


def _side(own: float, known: float, truth: Estimate) -> int:
    """1 where a numerical derivative is near the function's alone, −1 near the reference's, else 0."""
    near = SURE * abs(own - known)
    if not truth.error <= near:
        return 0
    if abs(truth.value - own) <= near:
        return 1
    return -1 if abs(truth.value - known) <= near else 0
