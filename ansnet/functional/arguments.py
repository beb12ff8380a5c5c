"""What the operations' arguments have in common: window geometry, dtypes and memory formats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from ansnet.functional.function import may_be_batched, only_numbers

Size2 = int | Sequence[int]
OptionalTensor = TypeVar("OptionalTensor", Tensor, Tensor | None)


def as_pair(name: str, value: object, minimum: int) -> tuple[int, int]:
    """Read a hyperparameter given as one int or as a ``(height, width)`` pair.

    Args:
        name: the argument's name, for the error message.
        value: what the caller gave.
        minimum: the smallest int allowed.

    Returns:
        The pair ``(height, width)``.

    Raises:
        TypeError: ``value`` is neither an int nor a sequence of ints.
        RuntimeError: there are not two of them, or one is below ``minimum``.
    """
    if type(value) is int and value >= minimum:
        return value, value
    given = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    numbers = tuple(as_int(number) for number in (given * 2 if len(given) == 1 else given))
    if None in numbers:
        raise TypeError(f"{name} must be an int or a pair of ints (height, width), got {value!r}")
    if len(numbers) != 2:
        raise RuntimeError(f"{name} must be an int or a pair of ints (height, width), got {value!r}")
    if min(numbers) < minimum:
        raise RuntimeError(f"{name} must be at least {minimum}, got {value!r}")
    return numbers


def as_int(value: Any) -> Any:
    """An int, a size that a tracer has for one, or NumPy's as an int; None for anything else."""
    if isinstance(value, (int, torch.SymInt)):
        return None if isinstance(value, bool) else value
    counts = hasattr(value, "__index__") and not isinstance(value, Tensor)
    return int(value) if counts else None


def cast_for_autocast(tensor: OptionalTensor) -> OptionalTensor:
    """Cast a matrix operation's argument as autocast casts those of PyTorch's own.

    The cast happens before the Function is applied, so that its forward and its backward see
    one dtype: autocast is active around the forward pass only. As in PyTorch, float64 and
    integers stay what they are.
    """
    if tensor is None or not autocast_applies(tensor):
        return tensor
    if not tensor.is_floating_point() or tensor.dtype == torch.float64:
        return tensor
    return tensor.to(torch.get_autocast_dtype(tensor.device.type))


def autocast_applies(tensor: Tensor) -> bool:
    """Whether autocast is on for the tensor's device; "meta" is no device, and has none."""
    device = tensor.device.type
    return device != "meta" and torch.is_autocast_enabled(device)


def at_least_float32(x: Tensor) -> Tensor:
    """In float32 what is in half precision: statistics and exponentials need it, as in PyTorch."""
    return as_dtype(x, torch.promote_types(x.dtype, torch.float32))


def as_dtype(x: Tensor, dtype: torch.dtype) -> Tensor:
    """``x.to(dtype)``, which is left out where it would return x itself.

    Compiled by torch 2.11, an output that is an intermediate result too, by a ``to`` that changes
    nothing or by an operation in place, silently loses its gradient.
    """
    return x if x.dtype == dtype else x.to(dtype)


def smallest_int(largest: int) -> torch.dtype:
    """The narrowest integer that holds a number, for the sake of the memory that it takes."""
    return torch.uint8 if largest <= torch.iinfo(torch.uint8).max else torch.int32


def is_channels_last(x: Tensor) -> bool:
    """Whether x is to be answered in `torch.channels_last`; under `torch.vmap` none can tell."""
    return only_numbers(x) and x.is_contiguous(memory_format=torch.channels_last)


def in_order(x: Tensor) -> Tensor:
    """X in contiguous memory or channels-last, as all that is computed of it will lie."""
    if not torch.compiler.is_compiling() and may_be_batched(x):
        return x
    if x.is_contiguous():
        return x
    return x if x.is_contiguous(memory_format=torch.channels_last) else x.contiguous()


def in_memory_format(x: Tensor, channels_last: bool) -> Tensor:
    """X in `torch.channels_last`, or in contiguous memory; as it is if it is a batch."""
    if not torch.compiler.is_compiling() and may_be_batched(x):
        return x
    return x.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
