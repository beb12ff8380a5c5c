"""Capabilities: what the function computes, and what it says of its derivatives."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import combinations
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.utils import _pytree as pytree

from ansnet.testing.case import (
    Case,
    Sample,
    assert_same,
    assert_same_evaluation,
    attached,
    call,
    differentiate,
    evaluate,
    random_like,
    require,
)


def forward(case: Case) -> None:
    """The output equals the reference's, and so do constants that it changes (running averages)."""
    reference = case.referenced()
    actual, expected = (case.sample.map(torch.clone) for _ in range(2))
    assert_same("output", call(case.function, actual), call(reference, expected))
    assert_same("constant afterwards", actual.constants, expected.constants)


def gradients(case: Case) -> None:
    """The gradient of every input equals the reference's."""
    case.inputs()
    expected = evaluate(case.referenced(), case.sample)
    assert_same_evaluation(evaluate(case.function, case.sample), expected, case.sample)


def gradcheck(case: Case) -> None:
    """The derivative equals the numerical one in float64 (`torch.autograd.gradcheck`)."""
    case, inputs = _in_float64(case)
    torch.autograd.gradcheck(case.of_differentiable(), inputs, check_batched_grad=True)


def gradgradcheck(case: Case) -> None:
    """The second derivative equals the numerical one in float64 (`torch.autograd.gradgradcheck`)."""
    case, inputs = _in_float64(case)
    torch.autograd.gradgradcheck(case.of_differentiable(), inputs)


def forward_mode(case: Case) -> None:
    """Forward mode is the transpose of reverse mode: ⟨z̄, ż⟩ = ⟨x̄, ẋ⟩, for each input and for all."""
    case, inputs = _in_float64(case)
    function = case.of_differentiable()
    tangents = random_like(inputs)
    outputs = function(*inputs)
    upstream = random_like(attached(outputs))
    reverse = differentiate(outputs, inputs)
    for moving in [*([index] for index in range(len(inputs))), range(len(inputs))]:
        with forward_ad.dual_level():
            duals = [
                forward_ad.make_dual(tensor.detach(), tangent) if index in moving else tensor.detach()
                for index, (tensor, tangent) in enumerate(zip(inputs, tangents, strict=True))
            ]
            moved = [forward_ad.unpack_dual(output).tangent for output in function(*duals)]
        forwards = _inner(upstream, [t for t, o in zip(moved, outputs, strict=True) if o.requires_grad])
        backwards = _inner([reverse[index] for index in moving], [tangents[index] for index in moving])
        what = f"⟨z̄, ż⟩ for a tangent of {', '.join(case.sample.names[index] for index in moving)}"
        assert_same(what, [forwards], [backwards])


def _inner(left: list[Tensor], right: list[Tensor | None]) -> Tensor:
    """The real inner product of two lists of tensors; None stands for zeros."""
    products = [(a.conj() * b).sum().real for a, b in zip(left, right, strict=True) if b is not None]
    return torch.stack([*products, torch.zeros((), dtype=torch.float64)]).sum()


def jacobian(case: Case) -> None:
    """`torch.func.jacrev` and `jacfwd` give the reference's Jacobian, taken row by row in reverse."""
    function, inputs = real_function(case)
    expected = torch.autograd.functional.jacobian(_expected(case), inputs)
    for transform in (torch.func.jacrev, torch.func.jacfwd):
        actual = transform(function, tuple(range(len(inputs))))(*inputs)
        assert_same(transform.__name__, pytree.tree_leaves(actual), pytree.tree_leaves(expected))


def hessian(case: Case) -> None:
    """`torch.func.hessian`, forward over reverse, gives the reference's Hessian, twice in reverse."""
    function, inputs = real_function(case)
    weights = random_like(function(*inputs))

    def scalar(function: Callable[..., tuple[Tensor, ...]], *tensors: Tensor) -> Tensor:
        weighted = zip(function(*tensors), weights, strict=True)
        return torch.stack([(w * z + z.square()).sum() for z, w in weighted]).sum()

    expected = torch.autograd.functional.hessian(partial(scalar, _expected(case)), inputs)
    actual = torch.func.hessian(partial(scalar, function), tuple(range(len(inputs))))(*inputs)
    assert_same("Hessian", pytree.tree_leaves(actual), pytree.tree_leaves(expected))


def _expected(case: Case) -> Callable[..., tuple[Tensor, ...]]:
    """The reference, or else the function itself, of real inputs."""
    return real_function(replace(case, function=case.reference or case.function))[0]


def real_function(case: Case) -> tuple[Callable[..., tuple[Tensor, ...]], tuple[Tensor, ...]]:
    """The function and its inputs, complex numbers as pairs of real ones."""
    case, inputs = _in_float64(case)
    function, complexes = case.of_differentiable(), [tensor.is_complex() for tensor in inputs]

    def of_reals(*tensors: Tensor) -> tuple[Tensor, ...]:
        pairs = zip(tensors, complexes, strict=True)
        outputs = function(*(torch.view_as_complex(t) if is_complex else t for t, is_complex in pairs))
        return tuple(torch.view_as_real(z.resolve_conj()) if z.is_complex() else z for z in outputs)

    plain = [tensor.detach() for tensor in inputs]
    return of_reals, tuple(torch.view_as_real(x) if x.is_complex() else x for x in plain)


def subsets_of_gradients(case: Case) -> None:
    """With any part of the inputs requiring grad, those get the gradients that they get with all."""
    inputs = case.inputs()
    everything = evaluate(case.function, case.sample).gradients
    sizes = range(len(inputs)) if len(inputs) <= 3 else (0, 1, len(inputs) - 1)
    for wanted in (subset for size in sizes for subset in combinations(range(len(inputs)), size)):
        sample = requiring(case.sample, wanted)
        outputs = call(case.function, sample)
        if not wanted:
            require(not attached(outputs), "an output requires grad, although no input does")
            continue
        for index, gradient in zip(wanted, differentiate(outputs, sample.differentiable), strict=True):
            assert_same(f"gradient of {case.sample.names[index]}", [gradient], [everything[index]])


def requiring(sample: Sample, wanted: tuple[int, ...]) -> Sample:
    """The sample with only some of its inputs, by their index, requiring grad."""
    inputs = iter(range(len(sample.differentiable)))
    return sample.replace(
        tensor.detach().clone().requires_grad_(next(inputs) in wanted)
        if tensor.requires_grad
        else tensor.clone()
        for tensor in sample.tensors
    )


def gradient_dtypes(case: Case) -> None:
    """A custom Function's backward returns each gradient in its input's dtype, in need of no cast."""
    case.inputs()
    for dtype in (torch.float64, torch.float32):
        assert_gradient_dtypes(call(case.function, case.sample.to(dtype)))


def assert_gradient_dtypes(outputs: list[Tensor]) -> None:
    """Differentiate the outputs, and look at what each custom Function in their graph returns.

    The engine casts a gradient of another dtype to the input's in silence; the precision, or the time,
    is lost by then. So the Functions' backward is watched from inside.

    Raises:
        AssertionError: a returned gradient has another dtype than the input.
    """
    outputs = attached(outputs)
    wrong: list[str] = []
    with ExitStack() as stack:
        for function in functions_of(outputs):
            watched = watching(function, wrong)
            stack.enter_context(mock.patch.object(function, "backward", staticmethod(watched)))
        torch.autograd.backward(outputs, random_like(outputs))
    require(not wrong, "; ".join(wrong))


def functions_of(outputs: list[Tensor]) -> list[Any]:
    """The custom Functions in the graph of the outputs."""
    nodes, seen = [output.grad_fn for output in outputs], set()
    while nodes:
        node = nodes.pop()
        if node is not None and node not in seen:
            seen.add(node)
            nodes += [source for source, _ in node.next_functions]
    classes = [getattr(node, "_forward_cls", None) for node in seen]
    return list(dict.fromkeys(function for function in classes if function is not None))


def watching(function: Any, wrong: list[str]) -> Callable[..., Any]:
    """The backward of a Function, noting each gradient whose dtype is not the input's."""
    backward = function.backward

    def watched(ctx: Any, *grads: Any) -> Any:
        result = backward(ctx, *grads)
        returned = result if isinstance(result, tuple) else (result,)
        needed = [g for g, needs in zip(returned, ctx.needs_input_grad, strict=True) if needs]
        sources = [edge for edge in ctx.next_functions if edge[0] is not None]
        for gradient, (source, index) in zip(needed, sources, strict=True):
            expected = source._input_metadata[index].dtype
            if gradient is not None and gradient.dtype != expected:
                name = function.__name__
                wrong.append(
                    f"{name} returns a gradient of {gradient.dtype} for an input of {expected}"
                )
        return result

    return watched


def _in_float64(case: Case) -> tuple[Case, tuple[Tensor, ...]]:
    case.inputs()
    sample = case.sample.to(torch.float64)
    return Case(case.function, case.reference, sample), tuple(sample.differentiable)
