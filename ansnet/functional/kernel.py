"""Formulas as kernels: `torch.compile` generates the code that a formula would be written in by hand.

Evaluated operation by operation, ``(x - mu) * s + beta`` reads and writes its whole tensor three
times, and memory, not arithmetic, is what an activation costs. Generated code does it in one pass. So
the operations' forward and backward formulas are declared as kernels ::

    @kernel
    def gradient(z, grad_z):
        return torch.where(z <= 0, 0, grad_z)

and remain what they are: the formula is evaluated as it stands for small tensors, which are not worth
it; where derivatives or transformations may follow (`only_numbers`); inside of what is being compiled
as a whole; and where there is nothing to compile with. Each is compiled once for all sizes, the first
time it meets a large tensor: a second or two, a tenth of that when an earlier process has done it.

``with torch.compiler.set_stance("force_eager")`` switches all of this off.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from functools import cache, wraps
from shutil import which
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from ansnet.first_backward import first_backward
from ansnet.functional.function import only_numbers

Formula = TypeVar("Formula", bound=Callable[..., Any])

# An intermediate result that is read more often than a few times is computed again each time, and not
# written to memory first.
ONE_PASS: dict[str, str | int | bool | Callable[..., Any]] = {
    "realize_reads_threshold": 100,
    "realize_opcount_threshold": 1000,
}
MOST_TERMS = 16
LEAST = 2**16  # elements of the largest tensor; below, a kernel would save less than its call costs


class NoKernelWarning(UserWarning):
    """Formulas are evaluated operation by operation, because no code can be generated."""


def kernel(formula: Formula) -> Formula:
    """Let the formula, a pure function of tensors and constants, be compiled where that pays."""

    @wraps(formula)
    def evaluate(*arguments: Any, **constants: Any) -> Any:
        if torch.compiler.is_compiling():
            return formula(*arguments, **constants)
        tensors = [argument for argument in arguments if isinstance(argument, Tensor)]
        large = any(tensor.numel() >= LEAST for tensor in tensors)
        if large and only_numbers(*tensors) and can_generate(tensors[0].device.type):
            return compiled(formula)(*map(detached, arguments), **constants)
        return formula(*arguments, **constants)

    return cast(Formula, evaluate)


def if_short(formula: Formula, terms: int) -> Formula:
    """The kernel, or the formula as it stands where code for so many terms would take long to compile.

    A maximum over a window is a term for each place in it: of 8 × 8 places it is a quarter of a minute.
    """
    plain: Formula = getattr(formula, "__wrapped__", formula)
    return formula if terms <= MOST_TERMS else plain


def detached(argument: Any) -> Any:
    """Without what belongs to autograd, which a kernel neither needs nor should be compiled for."""
    return argument.detach() if isinstance(argument, Tensor) else argument


@cache
def compiled(formula: Callable[..., Any]) -> Callable[..., Any]:
    return torch.compile(formula, dynamic=True, options=ONE_PASS)


@cache
def can_generate(device: str) -> bool:
    """Whether a kernel can be generated for the device: tried once, on the least formula.

    Warns:
        NoKernelWarning: there is a compiler, but it failed; on a CPU without one, nothing is said.
    """
    if device not in ("cpu", "cuda") or (device == "cpu" and not finds_compiler()):
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch's own, of what it imports
            first_backward()  # or forks of this process could not differentiate
            torch.compile(lambda x: x + 1, dynamic=True)(torch.zeros(2, device=device))
    except Exception as error:  # whatever the compiler, its headers or its cache may lack
        reason = str(error).strip().partition("\n")[0]
        warnings.warn(
            f"torch.compile fails on this machine ({type(error).__name__}: {reason}), so formulas are "
            "evaluated operation by operation: the same numbers, more slowly",
            NoKernelWarning,
            stacklevel=2,
        )
        return False
    return True


def finds_compiler() -> bool:
    """Whether there is the C++ compiler with which `torch.compile` generates code for a CPU."""
    default = "clang++" if sys.platform == "darwin" else "g++"
    return which(os.environ.get("CXX", default)) is not None
