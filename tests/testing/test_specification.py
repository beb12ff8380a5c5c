"""`ansnet.testing.specification`: what is read, what is made of it, and what is said of the rest."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
import torch

from ansnet.testing import Sample, SpecificationError, check, parse_sample
from ansnet.testing.specification import BY_NAME, DTYPES


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("f64[3, 4], f64[5,4], stride=2", "(float64[3, 4], float64[5, 4], stride=2)"),
        ("", "()"),
        ("f64[]", "(float64[])"),
        ("f64[0, 3],", "(float64[0, 3])"),
        ("float64[3, 4], bfloat16[2]", "(float64[3, 4], bfloat16[2])"),
        ("[f64[2], f64[3]], (1, 2), (2), ()", "([float64[2], float64[3]], (1, 2), 2, ())"),
        (
            "x=f64[2], mode='mean', ends=None, keep=True",
            "(x=float64[2], mode='mean', ends=None, keep=True)",
        ),
        ("-0.5, 1e-3, .5, 2., 1_000, -3", "(-0.5, 0.001, 0.5, 2.0, 1000, -3)"),
        ("inf, -inf", "(inf, -inf)"),
        (r""" "a, b", 'it\'s' """, """('a, b', "it's")"""),
        ("f64([[1, 2], [3, 4]]), i64([0, 2])", "(float64[2, 2], int64[2])"),
    ],
)
def test_what_is_read(line: str, shown: str) -> None:
    assert repr(parse_sample(line)) == shown


def test_what_a_report_shows_can_be_read_again() -> None:
    line = "float64[3, 4], int64[2], stride=(1, 2), mode='mean', rate=0.5"
    assert repr(parse_sample(line)) == f"({line})"


@pytest.mark.parametrize("name", BY_NAME)
def test_each_dtype(name: str) -> None:
    (tensor,) = parse_sample(f"{name}[3, 4]").tensors
    assert tensor.dtype == BY_NAME[name]
    assert tensor.shape == (3, 4)
    assert tensor.requires_grad == (tensor.is_floating_point() or tensor.is_complex())
    assert not parse_sample(f"const {name}[3, 4]").differentiable
    assert set(DTYPES) <= set(BY_NAME)


def values(line: str) -> torch.Tensor:
    (tensor,) = parse_sample(line).tensors
    return tensor.detach()


def test_ranges() -> None:
    numbers = values("f64[1000] in 0.25..0.75")
    assert 0.25 <= numbers.min() < 0.26
    assert 0.74 < numbers.max() <= 0.75
    assert values("i64[1000] < 3").unique().tolist() == [0, 1, 2]
    assert values("i64[1000] in -1..1").unique().tolist() == [-1, 0, 1]
    assert values("i8[1000]").unique().tolist() == [0, 1]
    assert values("bool[1000]").unique().tolist() == [False, True]
    assert values("f64[1000] in -2..-1").max() <= -1
    assert values("i64[4] in 5..5").tolist() == [5] * 4
    assert abs(values("f64[1000]").std() - 1) < 0.1
    assert values("f64([0.5, nan, inf])")[0] == 0.5


def test_the_seed_makes_the_numbers() -> None:
    line = "f64[3, 4], i64[5] < 100"
    first, again, other = (parse_sample(line, seed).tensors for seed in (1, 1, 2))
    for one, same, different in zip(first, again, other, strict=True):
        assert torch.equal(one, same)
        assert not torch.equal(one, different)
    one, two = parse_sample("f64[4], f64[4]").tensors
    assert not torch.equal(one, two)


@pytest.mark.parametrize(
    ("line", "place", "what"),
    [
        ("f34[3, 4]", "character 1, at 'f34[3, 4]'", "there is no dtype 'f34'; did you mean f64?"),
        ("F64[3]", "character 1, at 'F64[3]'", "did you mean f64?"),
        ("f64[3, x]", "character 8, at 'x]'", "expected a size, a whole number"),
        ("f64[-3]", "character 5", "expected a size"),
        ("f64[3.0]", "character 5", "expected a size"),
        ("f64[3", "character 6, at its end", "expected , or ]"),
        ("f64[3,,4]", "character 7", "expected a size"),
        ("f64 3", "character 5, at '3'", "expected ["),
        ("f64[3] f64[4]", "character 8, at 'f64[4]'", "expected ,"),
        ("f64[3; 4]", "character 6", "this cannot be read"),
        ("mean", "character 1", "strings stand in quotes"),
        ("'mean", "character 1", "a string has no end"),
        ("f64[3] in 2..1", "character 8", "2 is above 1"),
        ("f64[3] in 0..1e400", "character 14", "too large"),
        ("f64[3] > 0", "character 8", "write from where to where, as 'in 0.1..2'"),
        ("f64[3] < 2", "character 8", "write from where to where"),
        ("i64[3] < 0", "character 10", "no whole number from 0 is below it"),
        ("i64[3] in 0.5..2", "character 8", "a range of whole numbers"),
        ("i8[3] < 1000", "character 7", "holds numbers from -128 to 127"),
        ("c128[3] in 0..1", "character 9", "complex numbers have no range"),
        ("bool[3] < 2", "character 9", "bool has no range"),
        ("const", "character 6, at its end", "expected a tensor"),
        ("const 3", "character 7", "tensors are written as f64[3, 4]"),
        ("x=1, f64[2]", "character 6", "stands behind one with a name"),
        ("x=1, x=2", "character 6", "x is given twice"),
        ("x=", "character 3, at its end", "expected a tensor"),
        ("1__0", "character 1", "no number"),
        ("f64([[1], [2, 3]])", "character 4", "no numbers of a tensor"),
        ("f64[100000, 100000]", "character 1", "10000000000 elements, at most 1000000"),
        ("[" * 100, "character 21", "brackets in more than 20 others"),
        ("{}", "character 1", "this cannot be read"),
    ],
)
def test_what_cannot_be_read_is_pointed_at(line: str, place: str, what: str) -> None:
    with pytest.raises(SpecificationError) as raised:
        parse_sample(line)
    told = str(raised.value)
    assert place in told
    assert what in told
    assert "\n" not in told


@pytest.mark.parametrize("samples", [["f64[3, 4]", "f64[2]"], "f64[3, 4]"])
def test_check_takes_lines_for_samples(samples: Any) -> None:
    only = ["forward", "gradients", "gradcheck"]
    assert check(torch.sin, torch.sin, samples, only=only).passed
    assert not check(torch.sin, torch.cos, samples, only=only).passed


def test_a_line_that_cannot_be_read_is_a_wrong_argument() -> None:
    with pytest.raises(ValueError, match=re.escape("character 1, at 'f643]'")):
        check(torch.sin, None, ["f643]"])
    with pytest.raises(TypeError, match="a line"):
        check(torch.sin, None, [3])  # type: ignore[list-item]


def test_numbers_that_are_none() -> None:
    (value,) = parse_sample("nan").args
    assert math.isnan(value)
    assert isinstance(parse_sample("f64[2]"), Sample)
