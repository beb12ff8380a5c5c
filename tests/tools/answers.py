"""Answers: how they are compared, and told in a few words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

import numpy as np
import torch
from torch import Tensor


def difference(ours: Any, theirs: Any, tolerance: float, where: str = "answer") -> str:
    """The first difference between two answers, in words; empty if there is none."""
    if is_array(ours) and is_array(theirs):
        return array_difference(ours, theirs, tolerance, where)
    if isinstance(theirs, Mapping) and isinstance(ours, Mapping):
        if ours.keys() != theirs.keys():
            return f"{where}: keys {shorten(list(ours))} for {shorten(list(theirs))}"
        pairs = [(ours[key], theirs[key], f"{where}[{key!r}]") for key in theirs]
    elif is_list(theirs) and is_list(ours):
        if len(ours) != len(theirs):
            return f"{where}: {len(ours)} entries for {len(theirs)}"
        pairs = [
            (mine, other, f"{where}[{index}]")
            for index, (mine, other) in enumerate(zip(ours, theirs, strict=True))
        ]
    else:
        return "" if ours == theirs else f"{where}: {shorten(ours)} for {shorten(theirs)}"
    found = (difference(mine, other, tolerance, place) for mine, other, place in pairs)
    return next((text for text in found if text), "")


def array_difference(ours: Any, theirs: Any, tolerance: float, where: str) -> str:
    mine, other = torch.as_tensor(ours).detach(), torch.as_tensor(theirs).detach()
    if mine.shape != other.shape:
        return f"{where}: shape {tuple(mine.shape)} for {tuple(other.shape)}"
    mine, other = mine.double(), other.double()
    if not torch.equal(mine.isnan(), other.isnan()):
        return f"{where}: NaN in other places"
    mine, other = mine.nan_to_num(), other.nan_to_num()
    scale = other.abs().max().item() if other.numel() else 0.0
    apart = (mine - other).abs().max().item() if other.numel() else 0.0
    if apart <= tolerance * scale:
        return ""
    if mine.ndim == 0:
        return f"{where}: {shorten(mine.item())} for {shorten(other.item())}"
    relative = f"{apart / scale:.2g} apart, relative to the largest" if scale else f"{apart:.2g} apart"
    return f"{where}: {relative}"


def is_array(value: Any) -> bool:
    kinds = Tensor | np.ndarray | np.generic | float | int
    return isinstance(value, kinds) and not isinstance(value, bool)


def is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def shorten(value: Any, length: int = 80) -> str:
    """A value in a few words."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        whole = isinstance(value, int) or value.is_integer()
        return f"{value:,.0f}" if whole else f"{value:,.6g}"
    if isinstance(value, Tensor | np.ndarray):
        return shorten(value.item()) if value.ndim == 0 else "×".join(map(str, value.shape))
    if isinstance(value, Mapping):
        text = ", ".join(f"{key}: {shorten(entry, 30)}" for key, entry in value.items())
    elif is_list(value) or isinstance(value, Set):
        text = ", ".join(shorten(entry, 30) for entry in value)
    else:
        text = " ".join(str(value).split())
    return text if len(text) <= length else f"{text[: length - 2]} …"


def summary(answer: Any) -> str:
    """An answer for a table: a few values, or how many there are of which kind."""
    values = list(leaves(answer))
    arrays = sum(isinstance(value, Tensor | np.ndarray) for value in values)
    others = [value for value in values if not isinstance(value, Tensor | np.ndarray)]
    if len(values) <= 4:
        return shorten(values)
    words = [f"{arrays} tensors"] if arrays else []
    if others:
        words.append(f"{len(others)} entries: {shorten(others, 48)}")
    return ", ".join(words)


def leaves(answer: Any) -> Iterator[Any]:
    """What is in an answer's lists and dictionaries; names are where they lie, and no values."""
    if isinstance(answer, Mapping):
        answer = list(answer.values())
    if is_list(answer) or isinstance(answer, Set):
        for value in sorted(answer) if isinstance(answer, Set) else answer:
            yield from leaves(value)
    else:
        yield answer


def error_text(error: BaseException) -> str:
    """Type and message of an exception, as a short line."""
    return shorten(f"{type(error).__name__}: {error}", 160)
