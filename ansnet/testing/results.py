"""What a function returns: its tensors, and what stands beside them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ansnet.testing.sample import describe

NEAR = 1e-9  # relative: numbers that are no tensors have come from doubles


def tensors_in(result: Any) -> list[Tensor]:
    """All tensors of a result, those of a dict in the order of its keys: as a caller finds them."""
    if isinstance(result, Tensor):
        return [result]
    tensors = []
    for _, part in parts_of(result):
        tensors += tensors_in(part)
    return tensors


def parts_of(result: Any) -> list[tuple[str, Any]]:
    """What a result is made of, each part with the code that takes it out; none if it is one thing.

    Lists and tuples, also those with names, have numbers; so have other containers that
    `torch.utils._pytree` knows. A dataclass is made of its fields.
    """
    if isinstance(result, Mapping):
        return [(f"[{key!r}]", result[key]) for key in sorted(result, key=repr)]
    if isinstance(result, (list, tuple)) and not isinstance(result, torch.Size):
        return [(f"[{index}]", part) for index, part in enumerate(result)]
    fields = getattr(result, "__dataclass_fields__", None)
    if fields is not None and not isinstance(result, type):
        return [(f".{name}", getattr(result, name)) for name in fields]
    if type(result) in pytree.SUPPORTED_NODES:
        children, _ = pytree.SUPPORTED_NODES[type(result)].flatten_fn(result)
        return [(f"[{index}]", part) for index, part in enumerate(children)]
    return []


def assert_same_beside_tensors(actual: Any, expected: Any, what: str = "output") -> None:
    """Results are built alike, and what is no tensor in them is equal; tensors are not compared.

    Numbers may differ by a rounding, and objects of a class without an equality of its own in anything
    but their class.

    Raises:
        AssertionError: they differ; the message says where.
    """
    if isinstance(actual, Tensor) and isinstance(expected, Tensor):
        return
    parts, known = dict(parts_of(actual)), dict(parts_of(expected))
    is_container = bool(parts) or bool(known)
    if parts.keys() != known.keys() or (not is_container and not _is_same(actual, expected)):
        raise AssertionError(f"{what} is {describe(actual)}, expected {describe(expected)}")
    for place, part in parts.items():
        assert_same_beside_tensors(part, known[place], f"{what}{place}")


def _is_same(one: Any, other: Any) -> bool:
    """Whether two things that are no containers are the same, as far as can be told."""
    if isinstance(one, Tensor) or isinstance(other, Tensor):
        return False
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return (math.isnan(one) and math.isnan(other)) or math.isclose(one, other, rel_tol=NEAR)
    if hasattr(one, "__array__") and hasattr(other, "__array__"):
        arrays = torch.as_tensor(one), torch.as_tensor(other)
        return arrays[0].shape == arrays[1].shape and torch.allclose(*arrays, equal_nan=True)
    if getattr(type(one), "__eq__", None) is object.__eq__:
        return type(one) is type(other)
    return bool(one == other)
