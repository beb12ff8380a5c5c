"""Capability: the transformations of `torch.func` inside of what is compiled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.func import grad, jvp, vjp, vmap
from torch.utils import _pytree as pytree

from ansnet.testing.case import (
    BeyondReference,
    Case,
    FailsAlone,
    NotApplicable,
    random_like,
)
from ansnet.testing.comparison import assert_same
from ansnet.testing.derivatives import real_function
from ansnet.testing.report import summary
from ansnet.testing.transforms import FACTORS, fresh_compiler

Tensors = tuple[Tensor, ...]
Transformations = Callable[[Callable[..., Tensors], Tensors], dict[str, Callable[..., Any]]]


def compiled_transformations(case: Case) -> str | None:
    """Compiled, grad, vjp, jvp, jacrev, jacfwd, hessian, vmap and nested ones give what eager ones do.

    Each is called with the sample's inputs and with these rounded to integers, at which maxima tie, and
    corners and jumps are. There it is seen whether the derivative is the one that a Function states, or
    one that the tracer takes of the forward's own expression. Only the first sample is tried.

    Returns:
        What is beyond the reference, if anything is.
    """
    if case.is_random:
        raise NotApplicable("it draws random numbers: others in compiled code than in eager")
    failures: dict[str, Exception] = {}
    beyond: dict[str, str] = {}
    names, errors = errors_of_all(case)
    for name, error in errors.items():
        excuse = None
        if case.excuse is not None and not isinstance(error, AssertionError):
            reference = replace(case, function=case.excuse)
            # one that fails before it is compiled is excused by a reference that does so too
            excuse = (
                eager_error(name, reference) if eager_error(name, case) else error_of(name, reference)
            )
        if excuse is None or isinstance(excuse, AssertionError):
            failures[name] = error
        else:
            beyond[name] = summary(excuse)
    if failures:
        name, error = next(iter(failures.items()))
        raise FailsAlone(f"{', '.join(failures)}; {name}: {summary(error)}") from error
    if not beyond:
        return None
    name, reason = next(iter(beyond.items()))
    note = f"the reference cannot either: {', '.join(beyond)}; {name}: {reason}"
    if len(beyond) == len(names):
        raise BeyondReference(note)
    return note


def errors_of_all(case: Case) -> tuple[list[str], dict[str, Exception]]:
    """The names of all transformations, and what those end in that do not give the same compiled.

    What works in eager execution is compiled as one program, and only if something is wrong with it
    each by itself: a compilation costs more than what is compiled.
    """
    function, inputs = real_function(case)
    every = transformations(function, inputs)
    errors = {name: error for name in every if (error := eager_error(name, case))}
    sound = [name for name in every if name not in errors]

    def together(function: Callable[..., Tensors], inputs: Tensors) -> dict[str, Callable[..., Any]]:
        each = transformations(function, inputs)
        return {"all": lambda *tensors: [each[name](*tensors) for name in sound]}

    if sound and error_of("all", case, together):
        errors |= {name: error for name in sound if (error := error_of(name, case))}
    return list(every), errors


def transformations(function: Callable[..., Tensors], inputs: Tensors) -> dict[str, Callable[..., Any]]:
    """Each transformation of a function, itself a function of the inputs."""
    everything = tuple(range(len(inputs)))
    tangents = tuple(random_like(inputs))
    outputs = function(*inputs)
    upstream = tuple(random_like(outputs))
    of_outputs, of_inputs = basis(outputs), basis(inputs)
    one = torch.ones(1, dtype=inputs[0].dtype)
    factors = torch.tensor(FACTORS, dtype=inputs[0].dtype)

    def scalar(*tensors: Tensor) -> Tensor:
        weighted = zip(function(*tensors), upstream, strict=True)
        return torch.stack([(w * z + z * z).sum() for z, w in weighted]).sum()

    def slope(*tensors: Tensor) -> Tensor:
        weighted = zip(grad(scalar, everything)(*tensors), tangents, strict=True)
        return torch.stack([(w * z + z * z).sum() for z, w in weighted]).sum()

    def batches(tensors: Tensors) -> Tensors:
        return tuple(factors.reshape(-1, *[1] * tensor.dim()) * tensor for tensor in tensors)

    return {
        "grad": grad(scalar, everything),
        "vjp": lambda *tensors: vjp(function, *tensors)[1](upstream),
        "jvp": lambda *tensors: jvp(function, tensors, tangents),
        "jacrev": lambda *tensors: vmap(vjp(function, *tensors)[1])(of_outputs),
        "jacfwd": lambda *tensors: columns(function, tensors, of_inputs),
        "hessian": lambda *tensors: columns(
            lambda *moved: vmap(vjp(scalar, *moved)[1])(one), tensors, of_inputs
        ),
        "vmap": lambda *tensors: vmap(function)(*batches(tensors)),
        "vmap of grad": lambda *tensors: vmap(grad(scalar, everything))(*batches(tensors)),
        "grad of grad": grad(slope, everything),
        "jvp of grad": lambda *tensors: jvp(grad(scalar, everything), tensors, tangents),
    }


def basis(tensors: Tensors) -> Tensors:
    """The basis vectors of a list of tensors, in front of which stands an axis for their number."""
    sizes = [tensor.numel() for tensor in tensors]
    columns = torch.eye(sum(sizes), dtype=tensors[0].dtype).split(sizes, 1)
    return tuple(
        column.reshape(-1, *tensor.shape) for column, tensor in zip(columns, tensors, strict=True)
    )


def columns(function: Callable[..., Any], inputs: Tensors, tangents: Tensors) -> Any:
    """The columns of a Jacobian, as `torch.func.jacfwd` takes them: `vmap` of `jvp` over the basis."""
    return vmap(lambda *moving: jvp(function, inputs, moving)[1])(*tangents)


def eager_error(name: str, case: Case) -> Exception | None:
    """What a transformation ends in without being compiled."""
    function, inputs = real_function(case)
    try:
        for point in points(inputs):
            transformations(function, inputs)[name](*point)
    except Exception as error:
        return error
    return None


def points(inputs: Tensors) -> tuple[Tensors, Tensors]:
    """The inputs, and the same rounded to integers."""
    return inputs, tuple(tensor.round() for tensor in inputs)


def error_of(
    name: str, case: Case, transformations: Transformations = transformations
) -> Exception | None:
    """What a transformation, compiled or not, ends in; None if both give the same."""
    function, inputs = real_function(case)
    transformed = transformations(function, inputs)[name]
    try:
        expected = [pytree.tree_leaves(transformed(*point)) for point in points(inputs)]
        with fresh_compiler():
            compiled = torch.compile(transformed, fullgraph=True, backend=case.backend)
            for point, leaves in zip(points(inputs), expected, strict=True):
                assert_same("result", pytree.tree_leaves(compiled(*point)), leaves)
    except Exception as error:
        return error
    return None
