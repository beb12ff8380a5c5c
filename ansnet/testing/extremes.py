"""Capability: numbers far from 0, where intermediate results overflow before the result does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from math import inf

import torch
from torch import Tensor

from ansnet.testing.case import (
    Case,
    Evaluation,
    Function,
    NotApplicable,
    Sample,
    call,
    evaluate,
)
from ansnet.testing.comparison import require
from ansnet.testing.sample import is_dense

FAR = {torch.float64: (20.0, 100.0, 1000.0), torch.float32: (20.0, 50.0, 88.0)}
STEP = 1e-3  # relative, of the numerical derivatives
CLOSE, LEFT = 1e-6, 1e-9  # two sound ways to compute differ by less: of the largest number, and of 0
NUDGE, MANY = 1e-14, 1e3  # by how much inputs are moved, and how many such moves are allowed for


def finite_far_away(case: Case) -> None:
    """Where inputs are large, nothing is NaN or infinite that need not be.

    Inputs are moved by ±20, ±100 and ±1000 in float64 and by ±20, ±50 and ±88 in float32 (e⁸⁸ is near
    the largest number), and multiplied by as much; each alone, and all together. What is finite in the
    reference has to be finite. In float64 it is the same number too: within 10⁻⁶ of the largest one, or
    within what the reference's changes by where the last digits of its inputs do; unless it is another
    at the sample already, which is for other capabilities to tell.

    Without a reference nothing is said of outputs; but where these, and the differences of neighbouring
    ones, are finite, the gradients are to be so too.
    """
    case.inputs()
    tried = 0
    kinds = _agreed(case)
    for dtype in case.dtypes:
        for where, sample in _far(case.sample.to(dtype), FAR.get(dtype, (20.0,))):
            expected = _evaluated(case.reference, sample) if case.reference else None
            if case.reference and expected is None and case.excuse is case.reference:
                continue  # the reference refuses such numbers
            try:
                actual = evaluate(case.function, sample)
            except Exception:
                if case.reference is None:
                    continue
                raise
            tried += 1
            what = f"{where}, in {str(dtype).removeprefix('torch.')}"
            if expected is not None:
                _assert_finite(what, "output", actual.outputs, _masks(expected.outputs))
                _assert_finite(what, "gradient", actual.gradients, _masks(expected.gradients))
                if dtype == torch.float64:
                    defined = all(z.isfinite().all() for z in expected.outputs)
                    # a gradient where there is no output, as a logarithm's of −1, means nothing
                    for kind in kinds if defined else kinds[:1]:
                        _assert_near(what, kind, actual, expected, case.referenced(), sample)
            elif all(z.isfinite().all() for z in actual.outputs):
                _assert_derivatives(what, case.function, sample, actual.gradients)
    if not tried:
        raise NotApplicable("large numbers are refused")


def _evaluated(function: Function, sample: Sample) -> Evaluation | None:
    try:
        return evaluate(function, sample)
    except Exception:
        return None


def _far(sample: Sample, distances: tuple[float, ...]) -> Iterator[tuple[str, Sample]]:
    """The sample with inputs moved or multiplied."""
    inputs = [tensor.detach() for tensor in sample.differentiable]
    which = {name: [index] for index, name in enumerate(sample.names)}
    if len(inputs) > 1:
        which["all inputs"] = list(range(len(inputs)))
    for name, indices in which.items():
        for distance in distances:
            for change, word in _changes(distance):
                moved = [change(x) if i in indices else x for i, x in enumerate(inputs)]
                yield (
                    f"{name} {word}",
                    sample.replace_differentiable(x.clone().requires_grad_() for x in moved),
                )


def _changes(distance: float) -> list[tuple[Callable[[Tensor], Tensor], str]]:
    return [
        (lambda x: x + distance, f"+ {distance:g}"),
        (lambda x: x - distance, f"− {distance:g}"),
        (lambda x: x * distance, f"· {distance:g}"),
    ]


def _masks(tensors: list[Tensor]) -> list[Tensor]:
    return [tensor.isfinite() for tensor in tensors]


def _assert_finite(what: str, kind: str, tensors: list[Tensor], finite: list[Tensor]) -> None:
    """Finite where it should be; what is of another shape is for other capabilities to tell."""
    for index, (tensor, mask) in enumerate(zip(tensors, finite, strict=False)):
        if tensor.shape != mask.shape:
            continue
        wrong = (~tensor.isfinite() & mask).nonzero()
        if len(wrong):
            place = tuple(wrong[0].tolist())
            value = tensor[place].item()
            require(False, f"{what}: {kind} {index} is {value} at {place}, a finite number is right")


def _agreed(case: Case) -> tuple[str, ...]:
    """Of outputs and gradients, what is as the reference has it at the sample itself."""
    if case.reference is None or case.is_random or torch.float64 not in case.dtypes:
        return ()
    sample = case.sample.to(torch.float64)
    actual, expected = (_evaluated(f, sample) for f in (case.function, case.reference))
    if actual is None or expected is None:
        return ()
    kinds = []
    for kind in ("output", "gradient"):
        with suppress(AssertionError):
            _assert_near("", kind, actual, expected, case.reference, sample)
            kinds.append(kind)
    return tuple(kinds)  # outputs first


def _assert_near(
    what: str,
    kind: str,
    actual: Evaluation,
    expected: Evaluation,
    reference: Function,
    sample: Sample,
) -> None:
    """What is finite in both is the same, as far as the reference's digits tell."""
    pairs = zip(getattr(actual, f"{kind}s"), getattr(expected, f"{kind}s"), strict=False)
    for index, (one, other) in enumerate(pairs):
        if (one.shape, one.dtype) != (other.shape, other.dtype) or not is_dense(one):
            continue
        one, other = one.detach(), other.detach()
        both = one.isfinite() & other.isfinite()
        apart = torch.where(both, (one - other).abs(), 0.0)
        near = CLOSE * other.where(both, 0).abs().max() + LEFT if other.numel() else LEFT
        if not (apart > near).any():
            continue
        around = [_evaluated(reference, _nudged(sample, sign)) for sign in (1, -1)]
        moved = [getattr(evaluation, f"{kind}s")[index] for evaluation in around if evaluation]
        doubt = MANY * sum((z.detach() - other).abs().nan_to_num(inf) for z in moved)
        wrong = (apart > near + doubt).nonzero()
        if len(wrong):
            place = tuple(wrong[0].tolist())
            told = f"{one[place].item():.8g} at {place}, expected {other[place].item():.8g}"
            require(False, f"{what}: {kind} {index} is {told}")


def _nudged(sample: Sample, sign: int) -> Sample:
    """The sample with each number of its inputs moved by some of its last digits."""
    return sample.replace_differentiable(
        (x.detach() * (1 + sign * NUDGE)).requires_grad_() for x in sample.differentiable
    )


def _assert_derivatives(what: str, function: Function, sample: Sample, gradients: list[Tensor]) -> None:
    """A gradient is finite where the differences of the outputs around are."""
    if all(gradient.isfinite().all() for gradient in gradients):
        return
    inputs = [tensor.detach() for tensor in sample.differentiable]
    masks = []
    for number, (tensor, gradient) in enumerate(zip(inputs, gradients, strict=True)):
        mask = torch.zeros(gradient.shape, dtype=torch.bool)
        for place in (~gradient.isfinite()).nonzero().tolist():
            step = STEP * max(1.0, float(tensor[tuple(place)].abs()))
            around = []
            for sign in (1, -1):
                moved = tensor.clone()
                moved[tuple(place)] += sign * step
                changed = [moved if n == number else x for n, x in enumerate(inputs)]
                around.append(call(function, sample.replace_differentiable(changed)))
            mask[tuple(place)] = all(z.isfinite().all() for outputs in around for z in outputs)
        masks.append(mask)
    _assert_finite(what, "gradient", gradients, masks)
