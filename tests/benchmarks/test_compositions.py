"""`benchmarks/compositions.py`: what it tries, and its table."""

from __future__ import annotations

import csv

import pytest
import torch
from torch import Tensor

import compositions
from ansnet.testing import Sample
from ansnet.testing.case import Case
from measure import RESULTS


def straight_through(x: Tensor) -> Tensor:
    return Rounded.apply(x)


class Rounded(torch.autograd.Function):
    """Rounding with the identity's derivative, which the compiler's tracer forgets."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.round()

    @staticmethod
    def setup_context(ctx: object, inputs: tuple[Tensor], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: object, grad_z: Tensor) -> Tensor:
        return grad_z


@pytest.mark.parametrize(("function", "result"), [(torch.sin, "right"), (straight_through, "wrong")])
def test_what_comes_of_a_composition(function: object, result: str) -> None:
    x = torch.randn(3, dtype=torch.float64, requires_grad=True)
    case = Case(function, None, Sample(x), None, "eager")  # type: ignore[arg-type]
    assert compositions.outcome("grad of vmap", case) == result


def test_the_table() -> None:
    def row(operation: str, transformation: str, result: str) -> dict[str, str]:
        values = ("2.14.1", "3.11.7", operation, "0", transformation, result)
        return dict(zip(compositions.FIELDS, values, strict=True))

    rows = [row("relu", "grad", "right"), row("relu", "grad", "right"), row("relu", "vmap", "raises")]
    rows += [row("linear", "grad", "wrong"), row("linear", "vmap", "neither can PyTorch's")]
    text = compositions.tables(rows)
    assert "**torch 2.14.1**: 2 right, 1 wrong, 1 raises, 1 neither can PyTorch's." in text
    assert "| `relu` | 2 | 0, **1 raises** |" in text
    assert "| `linear` | 0, **1 wrong** | 0 (1) |" in text


def test_what_is_recorded_is_right() -> None:
    with (RESULTS / "checks" / "compositions.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == compositions.FIELDS
    assert len({row["torch"] for row in rows}) >= 3
    assert {row["result"] for row in rows} == {compositions.RIGHT, compositions.BEYOND}
