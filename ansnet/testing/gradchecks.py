"""Capabilities: the derivatives are those that finite differences give."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd.gradcheck import GradcheckError

from ansnet.testing.case import Case, Stated, differentiable, random_like
from ansnet.testing.comparison import assert_same
from ansnet.testing.derivatives import in_precision

Of = Callable[..., tuple[Tensor, ...]]

# of `torch.autograd.gradcheck`; in float32 the step is as large as its rounding asks
BOUNDS: dict[torch.dtype, dict[str, Any]] = {
    torch.float64: {},
    torch.float32: {"eps": 1e-2, "atol": 5e-3, "rtol": 1e-2},
}


def gradcheck(case: Case) -> None:
    """The derivative equals the numerical one in float64 (`torch.autograd.gradcheck`).

    Where another function is stated whose derivative it should have, the numerical one is of that.
    """
    case, inputs = in_precision(case)
    if isinstance(case.reference, Stated):
        case = replace(case, function=Stated(case.reference.derivative, case.function))
    function = case.of_differentiable()
    differentiable(function(*inputs))
    with _explained(function, inputs):
        torch.autograd.gradcheck(function, inputs, **BOUNDS[case.precision])


def gradgradcheck(case: Case) -> None:
    """The second derivative equals the numerical one in float64 (`torch.autograd.gradgradcheck`)."""
    case, inputs = in_precision(case)
    function = case.of_differentiable()
    upstream = _upstream(function(*inputs))
    count = len(inputs)

    def first(*tensors: Tensor) -> tuple[Tensor, ...]:
        outputs = differentiable(function(*tensors[:count]))
        return torch.autograd.grad(
            outputs, tensors[:count], tensors[count:], create_graph=True, allow_unused=True
        )

    with _explained(first, (*inputs, *upstream)):
        torch.autograd.gradgradcheck(function, inputs, upstream, **BOUNDS[case.precision])


def batched_gradients(case: Case) -> None:
    """Several gradients at once (``is_grads_batched=True``) are those taken one after the other."""
    case, inputs = in_precision(case)
    outputs = differentiable(case.of_differentiable()(*inputs))
    factors = torch.tensor((1.0, -0.5, 2.0), dtype=case.precision)
    batches = [
        torch.stack([factor * g.roll(n) for n, factor in enumerate(factors)])
        for g in random_like(outputs)
    ]

    def gradients(upstream: Sequence[Tensor], batched: bool) -> list[Tensor]:
        found = torch.autograd.grad(
            outputs,
            inputs,
            upstream,
            retain_graph=True,
            allow_unused=True,
            is_grads_batched=batched,
        )
        shape = (len(factors),) if batched else ()
        return [
            torch.zeros(shape + x.shape, dtype=x.dtype) if g is None else g
            for g, x in zip(found, inputs, strict=True)
        ]

    loop = [gradients([batch[n] for batch in batches], False) for n in range(len(factors))]
    expected = [torch.stack(each) for each in zip(*loop, strict=True)]
    for name, one, other in zip(case.sample.names, gradients(batches, True), expected, strict=True):
        assert_same(f"batched gradient of {name}", [one], [other])


def _upstream(outputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return tuple(tensor.requires_grad_() for tensor in random_like(differentiable(outputs)))


@contextmanager
def _explained(function: Of, inputs: Sequence[Tensor]) -> Iterator[None]:
    """Gradcheck's error says what the derivative is: NaN, 0, or another number, and which is right.

    Raises:
        GradcheckError: as it was, with the numbers that differ most in place of the matrices.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Input #.* requires gradient and is not a double")
            yield
    except GradcheckError as error:
        text, _, matrices = str(error).partition("numerical:")
        place = re.search(r"for output (\d+) with respect to input (\d+)", text)
        if not place or not matrices:
            raise
        told = _told(function, inputs, int(place[1]), int(place[2]))
        raise GradcheckError(f"{' '.join(text.split()).rstrip(',')}: {told}") from None


def _told(function: Of, inputs: Sequence[Tensor], output: int, source: int) -> str:
    """The analytic and the numerical derivative where they differ most, in words."""
    leaves = [tensor.detach().clone().requires_grad_(tensor.requires_grad) for tensor in inputs]
    moving = [tensor for tensor in leaves if tensor.requires_grad]
    z = [z for z in function(*leaves) if z is not None][output]
    weights = random_like([z])[0]
    analytic = torch.zeros_like(moving[source])
    if z.requires_grad:
        (found,) = torch.autograd.grad(z, [moving[source]], weights, allow_unused=True)
        analytic = analytic if found is None else found
    numerical = torch.zeros_like(moving[source]).reshape(-1)
    step = 1e-6 if z.dtype in (torch.float64, torch.complex128) else 1e-2
    for index in range(numerical.numel()):
        values = []
        for sign in (1, -1):
            moved = moving[source].detach().clone(memory_format=torch.contiguous_format)
            moved.view(-1)[index] += sign * step
            around = [moved.requires_grad_() if t is moving[source] else t for t in leaves]
            z = [z for z in function(*around) if z is not None][output]
            values.append((z.detach() * weights.conj()).sum().real)
        numerical[index] = (values[0] - values[1]) / (2 * step)
    own, known = analytic.detach().reshape(-1), numerical
    if own.is_complex():
        own, known = own.real, known.real
    apart = (own - known).abs().nan_to_num(torch.inf)
    worst = int(apart.argmax())
    place = tuple(int(axis) for axis in torch.unravel_index(torch.tensor(worst), analytic.shape))
    kind = "wrong"
    if own.isnan().any():
        kind = f"NaN in {int(own.isnan().sum())} of {own.numel()} places"
    elif not own.any():
        kind = "0 everywhere"
    return (
        f"the derivative is {kind}; at index {place}, of a weighted sum of the output, "
        f"{own[worst].item():.6g}, the numerical one {known[worst].item():.6g}"
    )
