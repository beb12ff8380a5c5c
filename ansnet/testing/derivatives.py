"""Capabilities: what the function computes, and what it says of its derivatives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    Function,
    Sample,
    Stated,
    attached,
    call,
    differentiable,
    differentiate,
    evaluate,
    nodes_of,
    random_like,
    result_of,
    tensors_of,
    valued,
)
from ansnet.testing.comparison import assert_same, require
from ansnet.testing.numerical import Entry, Judge, assert_same_derivative
from ansnet.testing.results import assert_same_beside_tensors

FLOAT32_NOISE = 1e-5, 1e-5  # relative and absolute


def forward(case: Case) -> None:
    """The output equals the reference's, and so do constants that it changes (running averages).

    Output that is no tensor, and how a tuple, list, dict or dataclass of outputs is built, count too,
    but for functions that change an input in place, which may return it or not.
    """
    reference = case.referenced()
    actual, expected = (case.sample.map(torch.clone) for _ in range(2))
    result, known = result_of(case.function, actual), result_of(valued(reference), expected)
    assert_same("output", tensors_of(result), tensors_of(known))
    assert_same("constant afterwards", actual.constants, expected.constants)
    if not case.written:
        assert_same_beside_tensors(result, known)


def gradients(case: Case) -> str | None:
    """The gradient of every input equals the reference's; a numerical one decides between them."""
    case.inputs()
    expected = evaluate(case.referenced(), case.sample)
    actual = evaluate(case.function, case.sample)
    names = [f"gradient of {name}" for name in case.sample.names]
    judges = [
        Judge(case.sample.differentiable, _gradient_entry(function, case.sample))
        for function in _judges(case)
    ]
    return assert_same_derivative(names, actual.gradients, expected.gradients, judges)


def _judges(case: Case) -> list[Function]:
    """The functions whose numerical derivatives decide: first the reference's own.

    A reference that computes in float32 on the way is too rough for it, whatever its gradient is; then
    the function's decide, if the two outputs are so near that they are meant to be the same.
    """
    if any(tensor.is_complex() for tensor in case.sample.differentiable):
        return []
    reference = case.referenced()
    if isinstance(reference, Stated):
        return [reference.derivative]
    own, known = (call(f, case.sample.map(torch.clone)) for f in (case.function, reference))
    pairs = zip(own, known, strict=False)
    near = all(
        one.shape == other.shape and torch.allclose(one, other.to(one), *FLOAT32_NOISE)
        for one, other in pairs
    )
    return [reference, case.function] if near else [reference]


def _gradient_entry(function: Function, sample: Sample) -> Callable[[int, int], Entry]:
    """The entries of the gradients that `evaluate` takes."""
    leads = [output.requires_grad for output in call(function, sample.map(torch.clone))]

    def loss(*inputs: Tensor) -> float:
        outputs = call(function, sample.replace_differentiable(inputs))
        used = [z.detach() for z, leads_back in zip(outputs, leads, strict=True) if leads_back]
        weighted = zip(used, random_like(used), strict=True)
        return sum((z.conj() * g).sum().real.item() for z, g in weighted)

    return lambda number, index: Entry(loss, [(number, index)])


def forward_mode(case: Case) -> None:
    """Forward mode is the transpose of reverse mode: ⟨z̄, ż⟩ = ⟨x̄, ẋ⟩, for each input and for all."""
    case, inputs = in_precision(case)
    function = case.of_differentiable()
    tangents = random_like(inputs)
    outputs = function(*inputs)
    upstream = random_like(differentiable(outputs))
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
    pairs = [(a, b) for a, b in zip(left, right, strict=True) if b is not None]
    products = [(a.conj() * b).sum().real.double() for a, b in pairs]
    return torch.stack([*products, torch.zeros((), dtype=torch.float64)]).sum()


def jacobian(case: Case) -> str | None:
    """`torch.func.jacrev` and `jacfwd` give the reference's Jacobian, taken row by row in reverse."""
    function, inputs = real_function(case)
    expected = pytree.tree_leaves(torch.autograd.functional.jacobian(_expected(case), inputs))
    judges = []
    for judge in _judges(case) if case.reference else []:
        plain, _ = real_function(replace(case, function=judge))
        judges.append(Judge(inputs, partial(_jacobian_entry, plain, inputs)))
    notes = []
    everything = tuple(range(len(inputs)))
    forwards = partial(torch.func.jacfwd, randomness="same")
    for name, transform in (("jacrev", torch.func.jacrev), ("jacfwd", forwards)):
        actual = pytree.tree_leaves(transform(function, everything)(*inputs))
        names = _names(name, actual)
        notes.append(assert_same_derivative(names, actual, expected, judges))
    return notes[0]


def _jacobian_entry(function: Function, inputs: tuple[Tensor, ...], number: int, index: int) -> Entry:
    output, source = divmod(number, len(inputs))
    row, column = divmod(index, inputs[source].numel())
    return Entry(lambda *x: function(*x)[output].reshape(-1)[row].item(), [(source, column)])


def hessian(case: Case) -> str | None:
    """`torch.func.hessian`, forward over reverse, gives the reference's Hessian, twice in reverse."""
    function, inputs = real_function(case)
    weights = random_like(function(*inputs))

    def scalar(function: Callable[..., tuple[Tensor, ...]], *tensors: Tensor) -> Tensor:
        weighted = zip(function(*tensors), weights, strict=True)
        return torch.stack([(w * z + z.square()).sum() for z, w in weighted]).sum()

    expected = torch.autograd.functional.hessian(partial(scalar, _expected(case)), inputs)
    everything = tuple(range(len(inputs)))
    slopes = torch.func.jacrev(partial(scalar, function), everything)
    actual = torch.func.jacfwd(slopes, everything, randomness="same")(*inputs)  # torch.func.hessian
    judges = []
    for judge in _judges(case) if case.reference and not isinstance(case.reference, Stated) else []:
        plain, _ = real_function(replace(case, function=judge))
        judges.append(Judge(inputs, partial(_hessian_entry, partial(scalar, plain), inputs)))
    blocks, known = pytree.tree_leaves(actual), pytree.tree_leaves(expected)
    return assert_same_derivative(_names("Hessian", blocks), blocks, known, judges)


def _names(what: str, blocks: Sequence[Tensor]) -> list[str]:
    return [what] if len(blocks) == 1 else [f"{what} {number}" for number in range(len(blocks))]


def _hessian_entry(function: Function, inputs: tuple[Tensor, ...], number: int, index: int) -> Entry:
    first, second = divmod(number, len(inputs))
    row, column = divmod(index, inputs[second].numel())
    return Entry(lambda *x: function(*x).item(), [(first, row), (second, column)])


def _expected(case: Case) -> Callable[..., tuple[Tensor, ...]]:
    """The reference, or else the function itself, of real inputs."""
    return real_function(replace(case, function=case.reference or case.function))[0]


def real_function(case: Case) -> tuple[Callable[..., tuple[Tensor, ...]], tuple[Tensor, ...]]:
    """The function and its inputs, complex numbers as pairs of real ones."""
    case, inputs = in_precision(case)
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
    many = len(inputs) > 5
    sizes = (0, 1, 2, len(inputs) - 1) if many else range(len(inputs))
    captured = any(tensor.requires_grad for tensor in case.captured)  # then so does the output, alone
    for wanted in (subset for size in sizes for subset in combinations(range(len(inputs)), size)):
        sample = requiring(case.sample, wanted)
        outputs = call(case.function, sample)
        if not wanted:
            require(
                captured or not attached(outputs), "an output requires grad, although no input does"
            )
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
    for dtype in case.dtypes:
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
    classes = [getattr(node, "_forward_cls", None) for node in nodes_of(outputs)]
    return list(dict.fromkeys(function for function in classes if function is not None))


def watching(function: Any, wrong: list[str]) -> Callable[..., Any]:
    """The backward of a Function, noting each gradient whose dtype is not the input's."""
    backward = function.backward

    def watched(ctx: Any, *grads: Any) -> Any:
        result = backward(ctx, *grads)
        returned = result if isinstance(result, tuple) else (result,)
        # as PyTorch does, let there be more of them, all None, than the forward has arguments
        needed = [
            (number, gradient)
            for number, (gradient, needs) in enumerate(
                zip(returned, ctx.needs_input_grad, strict=False)
            )
            if needs
        ]
        sources = [edge for edge in ctx.next_functions if edge[0] is not None]
        for (number, gradient), (source, index) in zip(needed, sources, strict=False):
            expected = source._input_metadata[index].dtype
            if isinstance(gradient, Tensor) and gradient.dtype != expected:
                name = function.__name__
                wrong.append(
                    f"{name} returns a gradient of {gradient.dtype} for an input of {expected}, "
                    f"its argument {number}"
                )
        return result

    return watched


def in_precision(case: Case) -> tuple[Case, tuple[Tensor, ...]]:
    """The case in float64, or in float32 where the function works in that only, and its inputs."""
    case.inputs()
    case = replace(case, sample=case.sample.to(case.precision), layer=None)
    return case, tuple(case.sample.differentiable)
