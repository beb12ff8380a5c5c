"""Capabilities: numbers that are not finite, and how near the finite ones come to the exact ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from math import inf, isfinite, isinf, isnan, nan

import torch
from torch import Tensor

from ansnet.testing.case import (
    DTYPES,
    Case,
    Evaluation,
    Function,
    NotApplicable,
    Sample,
    Stated,
    assert_same_evaluation,
    call,
    evaluate,
)
from ansnet.testing.comparison import require
from ansnet.testing.sample import is_dense

FACTOR, ROUNDINGS = 4, 4  # see `accuracy`
PLACES = ("first", "middle", "last")
FINITE = (0.25, 3.0, -3.0)  # what does not differ with these in an element's place is independent of it
NEAR = {torch.float64: 1e-6}  # relative to the largest number; of other dtypes 1e-3
LARGE = 1024  # elements at which vectorised code has long left its scalar beginnings and ends behind


def non_finite_values(case: Case) -> None:
    """NaN, ∞, −∞ in an input or an output's gradient reach what they reach through the reference.

    One element at a time: the first, the middle and the last; in the sample's precision, and in float32
    with the sample repeated along its first axis, where it can be. What depends on the order of
    computing is left open: 0 · NaN, where a result does not depend on the element (a border of zeros);
    and after an infinity ∞ − ∞ and 0 · ∞, which may be NaN for the reference's ∞ and anything for its
    NaN, and then the gradients too.
    """
    reference = case.referenced()
    _refuse_complex(case)
    samples = [case.sample]
    if torch.float32 in case.dtypes:
        samples.append(repeated(case.sample.to(torch.float32), reference))
    for sample in samples:
        for where, evaluate_with in _places(sample):
            finite = [evaluate_with(reference, value) for value in FINITE]
            for value in (nan, inf, -inf):
                expected = evaluate_with(reference, value)
                actual = _settled(evaluate_with(case.function, value), expected, finite, isinf(value))
                if isinstance(reference, Stated) and (isnan(value) or "the output's" in where):
                    # what a surrogate's gradient is there, and whether 0 · NaN is 0, is open
                    actual = actual._replace(gradients=expected.gradients)
                try:
                    assert_same_evaluation(actual, expected, sample)
                except AssertionError as error:
                    raise AssertionError(f"{value} in {where}: {error}") from None


def _places(sample: Sample) -> Iterator[tuple[str, Callable[[Function, float], Evaluation]]]:
    """Names of elements, each with a way to evaluate a function with another number in its place."""
    for place in PLACES:
        for index, name in enumerate([*sample.names, "the output's gradient"]):

            def evaluate_with(
                function: Function, value: float, index: int = index, place: str = place
            ) -> Evaluation:
                def change(number: int, tensor: Tensor) -> Tensor:
                    return with_element(tensor, value, place) if number == index else tensor

                inputs = sample.differentiable
                changed = sample.replace_differentiable(map(change, range(len(inputs)), inputs))
                return evaluate(function, changed, partial(change, len(inputs)))

            yield f"the {place} element of {name}", evaluate_with


def with_element(tensor: Tensor, value: float, place: str) -> Tensor:
    """A copy with another value in one place; as it is where there are no elements."""
    changed = tensor.detach().clone(memory_format=torch.contiguous_format)
    if changed.numel():
        number = {"first": 0, "middle": changed.numel() // 2, "last": -1}[place]
        changed.view(-1)[number] = value
    return changed.requires_grad_(tensor.requires_grad)


def _settled(
    actual: Evaluation, expected: Evaluation, finite: Sequence[Evaluation], infinite: bool
) -> Evaluation:
    """The actual one, with what is expected in the places of what is left open."""
    settled = Evaluation(
        *(
            [
                _settled_tensor(*tensors, infinite=infinite)
                for tensors in zip(one, other, zip(*others, strict=True), strict=True)
            ]
            for one, other, others in zip(actual, expected, zip(*finite, strict=True), strict=True)
        )
    )
    undefined = (
        z.isnan() & ~own.isnan() for own, z in zip(actual.outputs, expected.outputs, strict=True)
    )
    if infinite and any(places.any() for places in undefined):
        return settled._replace(gradients=expected.gradients)
    return settled


def _settled_tensor(
    actual: Tensor, expected: Tensor, finite: Sequence[Tensor], infinite: bool
) -> Tensor:
    if actual.shape != expected.shape or not is_dense(actual):
        return actual
    first, *others = finite
    independent = torch.stack([first.isclose(other, 0, 0) for other in others]).all(0)
    is_open = expected.isnan() & independent & actual.isclose(first, 1e-4, 1e-5)
    # how near finite numbers are is for other capabilities to say
    scale = largest(expected.where(expected.isfinite(), 0))
    is_open |= (actual - expected).abs() <= NEAR.get(expected.dtype, 1e-3) * scale
    if infinite:
        is_open |= expected.isnan() | (expected.isinf() & actual.isnan())
    return torch.where(is_open, expected, actual)


def repeated(sample: Sample, reference: Function) -> Sample:
    """The first tensor, and the constants of its length, repeated along the first axis until large.

    As it is where the reference does not take it so: an axis of channels, or a size that is stated.
    """
    tensors = sample.tensors
    if tensors[0].dim() == 0 or tensors[0].numel() == 0:
        return sample
    length, times = len(tensors[0]), -(-LARGE // tensors[0].numel())

    def grown(tensor: Tensor) -> Tensor:
        follows = not tensor.requires_grad and tensor.dim() > 0 and len(tensor) == length
        return torch.cat([tensor] * times) if tensor is tensors[0] or follows else tensor

    large = sample.replace(
        grown(tensor).detach().requires_grad_(tensor.requires_grad) for tensor in tensors
    )
    try:
        call(reference, large.map(torch.clone))
    except Exception:
        return sample
    return large


def _refuse_complex(case: Case) -> None:
    if any(tensor.is_complex() for tensor in case.sample.tensors):
        raise NotApplicable("complex numbers have no one infinity, nor one rounding")


def accuracy(case: Case) -> None:
    """In float32 and bfloat16 errors are at most 4 times the reference's, at any scale and offset.

    Scales are 10⁻³, 1 and 10³, offsets 0, 1 and 10³, of the first input alone and of all. Errors are
    differences from the same function of the same rounded inputs in float64. The largest errors of two
    sound orders of summation are within a small factor, for which 4 allows; 4 roundings of the largest
    number besides, for where the reference is exact by chance. What loses digits (differences of large
    numbers, sums in low precision) is wrong by more, the more so with an offset.

    In bfloat16 a derivative may jump between two roundings, as where another element becomes the
    maximum; so there what the inputs' next neighbours change is allowed too.
    """
    reference = case.referenced()
    _refuse_complex(case)
    if set(DTYPES) - set(case.dtypes):
        raise NotApplicable("float32 and float64 are needed to compare, and it works in one at most")
    for dtype in (torch.float32, torch.bfloat16):
        for what, sample in _moved(case.sample):
            where = f"in {str(dtype).removeprefix('torch.')}, {what}"
            actual, exact = _rounded_and_exact(case.function, sample, dtype)
            expected, exact_reference = _rounded_and_exact(reference, sample, dtype)
            neighbours = (
                [_exact(reference, _neighbour(sample.to(dtype), seed), dtype) for seed in range(4)]
                if dtype == torch.bfloat16
                else []
            )
            for kind in Evaluation._fields:
                found = (getattr(evaluation, kind) for evaluation in (actual, exact))
                known = (getattr(evaluation, kind) for evaluation in (expected, exact_reference))
                for index, (one, own, other, truth) in enumerate(zip(*found, *known, strict=True)):
                    if not is_dense(one):
                        continue
                    what = f"{where}: {kind.removesuffix('s')} {index}"
                    one, other = _compared(what, (one, own), (other, truth))
                    jumps = [getattr(neighbour, kind)[index] - truth for neighbour in neighbours]
                    wrong, allowed, jump = largest(one - own), largest(other - truth), largest(*jumps)
                    roundings = ROUNDINGS * torch.finfo(dtype).eps * largest(truth)
                    bound = FACTOR * allowed + roundings + jump
                    require(
                        wrong <= bound or not isfinite(bound),
                        f"{what} is wrong by {wrong:.3g}, the reference by {allowed:.3g}, bound "
                        f"{bound:.3g}",
                    )


def _compared(
    what: str, actual: tuple[Tensor, Tensor], expected: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """The rounded results, with the exact ones in place of what is not finite in both.

    Raises:
        AssertionError: a number is NaN or infinite that is neither in the reference nor exactly.
    """
    (one, own), (other, truth) = actual, expected
    if not one.is_floating_point() or one.shape != other.shape:
        return one, other
    lost = ~one.isfinite() & other.isfinite() & truth.isfinite()
    if lost.any():
        place = tuple(lost.nonzero()[0].tolist())
        told = f"exactly {own[place].item():.6g}, the reference's {other[place].item():.6g}"
        require(False, f"{what} is {one[place].item()} at index {place}, {told}")
    finite = one.isfinite() & own.isfinite(), other.isfinite() & truth.isfinite()
    left = finite[0] & finite[1]
    return torch.where(left, one, own.to(one.dtype)), torch.where(left, other, truth.to(other.dtype))


def _moved(sample: Sample) -> Iterator[tuple[str, Sample]]:
    """The sample with its first input, or with all of them, multiplied and added to."""
    inputs = [tensor.detach() for tensor in sample.differentiable]
    counts = {"the first input": 1, "all inputs": len(inputs)} if len(inputs) > 1 else {"the input": 1}
    for scale, offset, (name, count) in product((1, 1e-3, 1e3), (0, 1, 1e3), counts.items()):
        moved = [tensor * scale + offset for tensor in inputs[:count]] + inputs[count:]
        yield (
            f"{name} · {scale:g} + {offset:g}",
            sample.replace_differentiable(
                tensor.requires_grad_() for tensor in map(torch.clone, moved)
            ),
        )


def _rounded_and_exact(
    function: Function, sample: Sample, dtype: torch.dtype
) -> tuple[Evaluation, Evaluation]:
    """What a function makes of inputs in a precision, and of the same numbers in float64."""
    rounded = sample.to(dtype)
    return evaluate(function, rounded), _exact(function, rounded, dtype)


def _exact(function: Function, sample: Sample, dtype: torch.dtype) -> Evaluation:
    """In float64, with gradients of the outputs that are rounded all the same."""
    return evaluate(
        function, sample.to(torch.float64), lambda tensor: tensor.to(dtype).to(tensor.dtype)
    )


def _neighbour(sample: Sample, seed: int) -> Sample:
    """The sample with each element of the inputs moved by a rounding, up or down at random."""
    generator = torch.Generator().manual_seed(seed)

    def move(tensor: Tensor) -> Tensor:
        signs = torch.randint(2, tensor.shape, generator=generator) * 2 - 1
        moved = tensor.double() * (1 + torch.finfo(tensor.dtype).eps * signs)
        return moved.detach().requires_grad_()

    return sample.replace_differentiable(map(move, sample.differentiable))


def largest(*tensors: Tensor) -> float:
    """The largest absolute value; 0 of integers, and where there is none."""
    sizes = [
        tensor.detach().abs().max().item()
        for tensor in tensors
        if tensor.numel() and tensor.is_floating_point()
    ]
    return nan if any(map(isnan, sizes)) else max(sizes, default=0.0)
