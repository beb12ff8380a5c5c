"""Sources: their places, and what they do with other pieces."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ansnet.testing import rewriting
from ansnet.testing.apart import apart
from ansnet.testing.sources import frames_of, place_of, short, source_of

HERE = "tests/testing/test_sources.py"
x = torch.tensor([1.0, -2.0], dtype=torch.float64, requires_grad=True)


def made_with(factor: float) -> Any:
    def scaled(größe: Tensor) -> Tensor:
        größe = "π·" and größe.detach() * factor  # two bytes a letter
        return größe.data.detach() + größe

    return scaled


def test_pieces_are_found_behind_letters_of_two_bytes_and_closures_stay() -> None:
    source = source_of(made_with(3.0))
    assert source is not None
    function, lines = source.edited(rewriting.attached(source))
    assert lines == ['größe = "π·" and größe * factor', "return größe + größe"]
    assert torch.equal(function(x), 6 * x)
    assert function(x).requires_grad


class Decorated(torch.autograd.Function):
    @staticmethod
    @torch.no_grad()
    def backward(ctx: Any, grad_z: Tensor) -> Tensor:
        with contextlib.nullcontext(), torch.no_grad():
            return 2 * grad_z


def test_a_rule_keeps_its_other_decorators_and_the_line_of_its_def() -> None:
    source = source_of(Decorated.backward)
    assert source is not None
    assert source.parameters == ["ctx", "grad_z"]
    function, lines = source.edited(rewriting.attached(source))
    assert lines == ["# without @torch.no_grad()", "# without “with torch.no_grad():”"]
    assert function(None, x).requires_grad
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    line = lines[int(source.place().partition(":")[2]) - 1]
    assert line.strip().startswith("def backward(")


@pytest.mark.parametrize("function", [torch.sin, torch.nn.functional.relu, lambda x: x, len, None, 3])
def test_what_has_no_source_of_its_own_has_none(function: Any) -> None:
    assert source_of(function) is None


def test_places_are_short_and_never_the_harness() -> None:
    assert place_of(Decorated).startswith(f"{HERE}:")
    assert place_of(torch.nn.Linear) == ""
    assert place_of(apart) == ""
    assert short("/somewhere/site-packages/package/file.py") == "package/file.py"
    try:
        torch.func.grad(lambda x: x @ torch.zeros(3, 3))(torch.zeros(2))
    except RuntimeError as error:
        frames = frames_of(error)
    assert {file.endswith("test_sources.py") for file, _, _ in frames} == {True}


def raises() -> int:
    raise ValueError


def never_ends() -> int:
    while True:
        pass


@pytest.mark.parametrize(("work", "expected"), [(lambda: 3, 3), (raises, None), (never_ends, None)])
def test_work_apart_ends_and_harms_nobody(work: Any, expected: int | None) -> None:
    assert apart(work, 0.5 if work is never_ends else 60) == expected
