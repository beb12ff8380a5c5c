"""What a function is called with: its parameters, and how a sample for them may look."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from torch import nn
from torch.autograd import Function

from ansnet.testing.case import Sample


def owner(function: object) -> type[Function] | None:
    """The `torch.autograd.Function` whose ``apply`` a function is; None if it is none's."""
    found = getattr(function, "__self__", None)
    if isinstance(found, type) and issubclass(found, Function) and function == found.apply:
        return found
    return None


def parameters(function: Callable[..., Any] | nn.Module) -> list[inspect.Parameter] | None:
    """The parameters of a function, of a module's or of a Function's forward; None if unknown."""
    function_class = owner(function)
    if function_class is not None:
        function = function_class.forward
    elif isinstance(function, nn.Module):
        function = function.forward
    try:
        found = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # of a function that is written in C
        return None
    if function_class is not None and has_context(function_class):
        found = found[1:]
    return found


def has_context(function_class: type[Function]) -> bool:
    """Whether its forward takes ``ctx``, as it does where there is no ``setup_context``."""
    return function_class.setup_context is Function.setup_context


def described(function: Callable[..., Any] | nn.Module, name: str) -> str:
    """A function with the names of its parameters, as ``conv(x, weight, stride=1)``."""
    found = parameters(function)
    return f"{name}({', '.join(map(shown, found)) if found is not None else '…'})"


def shown(parameter: inspect.Parameter) -> str:
    """A parameter without its annotation."""
    return str(parameter.replace(annotation=inspect.Parameter.empty)).replace(" ", "")


def positional(function: Callable[..., Any], sample: Sample) -> Sample:
    """The sample with all arguments by position, which is all that an ``apply`` takes.

    Raises:
        TypeError: it does not fit the parameters.
    """
    found = parameters(function)
    if found is None or not sample.kwargs:
        return sample
    bind(function, sample)
    args, left = list(sample.args), dict(sample.kwargs)
    for parameter in found[len(args) :]:
        if not left:
            break
        args.append(left.pop(parameter.name, parameter.default))
    return Sample(*args)


def bind(function: Callable[..., Any] | nn.Module, sample: Sample) -> inspect.BoundArguments | None:
    """The sample's arguments by the parameters' names; None where these are unknown.

    Raises:
        TypeError: it does not fit them.
    """
    found = parameters(function)
    if found is None:
        return None
    return inspect.Signature(found).bind(*sample.args, **sample.kwargs)
