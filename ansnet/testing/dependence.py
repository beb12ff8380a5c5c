"""Capabilities: results depend on all that they should depend on, and on nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ansnet.testing.case import (
    BeyondReference,
    Case,
    Evaluation,
    Function,
    NotApplicable,
    Sample,
    assert_same_evaluation,
    call,
    describe,
    differentiate,
    evaluate,
    has_derivative,
)
from ansnet.testing.comparison import CONDITIONS, assert_same, require, under
from ansnet.testing.sample import is_dense, path_name

SCALES = (1e6, 1e-6)  # a gradient that is clipped is not multiplied by them
SCALED = 1e-8
ODD = 0.7391  # makes no round number of another, at which a function that is made of pieces has a kink


def linear_in_the_upstream_gradient(case: Case) -> None:
    """The backward of a·g + b·h is a times that of g plus b times that of h, and 0 gives 0.

    A gradient that is clipped, normalised or rounded on the way is not linear; nor is it the derivative
    of anything.
    """
    case.inputs()
    if case.reference is not None:
        try:
            _assert_linear(case, case.reference)
        except AssertionError as error:
            reason = f"the reference is not linear either: {error}"
            try:
                _assert_linear(case, case.function)
            except AssertionError:
                raise BeyondReference(reason) from None
            return
    _assert_linear(case, case.function)


def _assert_linear(case: Case, function: Function) -> None:
    def evaluation(a: float, b: float) -> Evaluation:
        def mixed(g: Tensor) -> Tensor:
            return a * g + b * _other(g)

        return evaluate(function, case.sample.map(torch.clone), mixed)

    def gradients(a: float, b: float) -> list[Tensor]:
        return evaluation(a, b).gradients

    outputs, one, _ = evaluation(1, 0)
    other = gradients(0, 1)
    precision = coarsest([*outputs, *one])
    a, b = 0.75, -1.5
    expected = [a * g + b * h for g, h in zip(one, other, strict=True)]
    assert_same(f"gradient for {a}·g − {-b}·h", gradients(a, b), expected, precision)
    for scale in SCALES:
        scaled = [gradient / scale for gradient in gradients(scale, 0)]
        with fewer_digits(precision):
            assert_same(f"gradient for {scale:g}·g, divided by {scale:g}", scaled, one, precision)
    for name, gradient in zip(case.sample.names, gradients(0, 0), strict=True):
        finite = bool(gradient.isfinite().all())
        kind = "is not 0" if finite else "is not finite"
        where = "where the output's gradient is 0"
        require(finite and not gradient.any(), f"gradient of {name} {kind}, {where}")


@contextmanager
def fewer_digits(precision: torch.dtype) -> Iterator[None]:
    """Doubles are compared to 1e-8 only, unless bounds were given.

    Where a backward sums numbers of other sizes on the way, as a matrix exponential's, some of the
    last digits depend on the scale.
    """
    given = CONDITIONS.get()
    if precision is torch.float64 and given.atol is None and given.rtol is None:
        given = replace(given, atol=SCALED, rtol=SCALED)
    with under(given):
        yield


def coarsest(tensors: Sequence[Tensor]) -> torch.dtype:
    """The dtype with the fewest digits of those that may be differentiated."""
    dtypes = {tensor.dtype for tensor in tensors if has_derivative(tensor)}
    return max(dtypes, key=lambda dtype: torch.finfo(dtype).eps)


def _other(tensor: Tensor) -> Tensor:
    """Random numbers like those of a tensor, but others."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(tensor.shape, generator=generator, dtype=torch.float64).to(tensor)


def uses_its_arguments(case: Case) -> str | None:
    """Each argument matters, in its own call and backward, and in no other.

    The sample is tried with one argument altered at a time (numbers, flags and constants too), and with
    the other samples. An altered sample gives what the reference gives, where that differs from what
    the unaltered one gives. And forward(A), forward(B), backward(A) give A the gradients that
    forward(A), backward(A) give it. An alteration at which the function, or its reference, raises an
    error is left out.
    """
    own, tried = evaluate(case.function, case.sample), 0
    known = evaluate(case.reference, case.sample) if case.reference else None
    for what, altered in _alterations(case):
        expected = _result(case.reference, altered)
        if case.reference and expected is None:
            continue
        actual = _result(case.function, altered)
        if actual is None:
            continue
        tried += 1
        if expected and known and not case.is_random and not _is_same(expected, known):
            same = " as if that had not been changed" if _is_same(actual, own) else ""
            if not _is_same(actual, expected):  # how exact both are is for other capabilities to say
                _require_same(f"with {what}{same}: ", actual, expected, altered)
        if case.sample.differentiable:
            _assert_apart(case, what, altered, own)
        again = evaluate(case.function, case.sample.map(torch.clone))
        _require_same(f"after a call with {what}: ", again, own, case.sample)
    if not tried:
        raise NotApplicable("there is no argument that could be altered")
    return None


def _assert_apart(case: Case, what: str, altered: Sample, own: Evaluation) -> None:
    """forward(A), forward(B), backward(A)."""
    first, second = case.sample.map(torch.clone), altered.map(torch.clone)
    outputs = call(case.function, first)
    later = call(case.function, second)
    gradients = differentiate(outputs, first.differentiable)
    for name, one, other in zip(first.names, gradients, own.gradients, strict=True):
        told = f"gradient of {name}, if there is a call with {what} between forward and backward"
        assert_same(told, [one], [other])
    del later


def _require_same(where: str, actual: Evaluation, expected: Evaluation, sample: Sample) -> None:
    try:
        assert_same_evaluation(actual, expected, sample)
    except AssertionError as error:
        raise AssertionError(f"{where}{error}") from None


def _is_same(one: Evaluation, other: Evaluation) -> bool:
    """Whether outputs and gradients are the same, within roundings."""
    pairs = zip([*one.outputs, *one.gradients], [*other.outputs, *other.gradients], strict=False)
    return all(
        (a.shape, a.dtype) == (b.shape, b.dtype) and torch.allclose(a, b, equal_nan=True)
        for a, b in pairs
        if is_dense(a) and is_dense(b)
    )


def _result(function: Function | None, sample: Sample) -> Evaluation | None:
    """What it makes of a sample; None if it raises an error, or if there is no function."""
    if function is None:
        return None
    try:
        return evaluate(function, sample.map(torch.clone))
    except Exception:
        return None


def _alterations(case: Case) -> Iterator[tuple[str, Sample]]:
    """The sample with one argument altered, and the other samples; each with what to call it."""
    arguments = (case.sample.args, case.sample.kwargs)
    paths, structure = pytree.tree_flatten_with_path(arguments)
    for number, (path, leaf) in enumerate(paths):
        other = _altered(leaf)
        if other is None:
            continue
        leaves = [other if index == number else leaf for index, (_, leaf) in enumerate(paths)]
        args, kwargs = pytree.tree_unflatten(leaves, structure)
        name = path_name(path)
        what = f"other values of {name}" if isinstance(leaf, Tensor) else f"{name} = {describe(other)}"
        yield what, Sample(*args, **kwargs)
    for index, sample in enumerate(case.others):
        yield f"another sample ({index} of the others: {sample})", sample


def _altered(leaf: Any) -> Any:
    """Another value that is likely to be allowed as well; None where there is no telling."""
    if isinstance(leaf, bool):
        return not leaf
    if isinstance(leaf, int):
        return leaf + 1
    if isinstance(leaf, float):
        return leaf * (0.75 if abs(leaf) <= 1 else 1.25) if leaf else None
    if not isinstance(leaf, Tensor) or not is_dense(leaf) or leaf.numel() == 0:
        return None
    if leaf.is_floating_point() or leaf.is_complex():
        return (leaf.detach() * ODD).requires_grad_(leaf.requires_grad)
    return leaf.detach().flip(0) if leaf.dim() else None  # indices and masks keep their range
