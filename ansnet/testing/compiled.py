"""Capability: the transformations of `torch.func` inside of what is compiled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vjp, vmap
from torch.utils import _pytree as pytree

from ansnet.testing.case import BeyondReference, Case, FailsAlone, assert_same, random_like
from ansnet.testing.derivatives import real_function
from ansnet.testing.report import summary
from ansnet.testing.transforms import FACTORS, fresh_compiler

Tensors = tuple[Tensor, ...]
Transformations = Callable[[Callable[..., Tensors], Tensors], dict[str, Callable[..., Any]]]


def compiled_transformations(case: Case) -> str | None:
    """Compiled, grad, vjp, jvp, jacrev, jacfwd, hessian, vmap and nested ones give what eager ones do.

    Each is compiled once, and called with the sample's inputs and with these rounded to integers, at
    which maxima tie, and corners and jumps are. There it is seen whether the derivative is the one that
    a Function states, or one that the tracer takes of the forward's own expression. Only the first
    sample is tried.

    Returns:
        What is beyond the reference, if anything is.
    """
    failures: dict[str, Exception] = {}
    beyond: dict[str, str] = {}
    names = list(transformations(*real_function(case)))
    for name in names:
        error = error_of(name, case)
        if error is None:
            continue
        excuse = None
        if case.reference is not None and not isinstance(error, AssertionError):
            excuse = error_of(name, replace(case, function=case.reference))
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


def transformations(function: Callable[..., Tensors], inputs: Tensors) -> dict[str, Callable[..., Any]]:
    """Each transformation of a function, itself a function of the inputs."""
    everything = tuple(range(len(inputs)))
    tangents = tuple(random_like(inputs))
    upstream = tuple(random_like(function(*inputs)))
    factors = torch.tensor(FACTORS, dtype=torch.float64)

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
        "jacrev": jacrev(function, everything),
        "jacfwd": jacfwd(function, everything),
        "hessian": hessian(scalar, everything),
        "vmap": lambda *tensors: vmap(function)(*batches(tensors)),
        "vmap of grad": lambda *tensors: vmap(grad(scalar, everything))(*batches(tensors)),
        "grad of grad": grad(slope, everything),
        "jvp of grad": lambda *tensors: jvp(grad(scalar, everything), tensors, tangents),
    }


def error_of(
    name: str, case: Case, transformations: Transformations = transformations
) -> Exception | None:
    """What a transformation, compiled or not, ends in; None if both give the same."""
    function, inputs = real_function(case)
    transformed = transformations(function, inputs)[name]
    try:
        with fresh_compiler():
            compiled = torch.compile(transformed, fullgraph=True, backend=case.backend)
            for point in (inputs, tuple(tensor.round() for tensor in inputs)):
                expected = pytree.tree_leaves(transformed(*point))
                assert_same("result", pytree.tree_leaves(compiled(*point)), expected)
    except Exception as error:
        return error
    return None
