"""`ansnet.functional.arguments`."""

from __future__ import annotations

import pytest
import torch

from ansnet.functional import max_pool2d
from ansnet.functional.arguments import (
    as_dtype,
    as_pair,
    at_least_float32,
    autocast_applies,
    cast_for_autocast,
    smallest_int,
)


@pytest.mark.parametrize(
    ("value", "pair"), [(3, (3, 3)), ((3,), (3, 3)), ([2, 3], (2, 3)), ((1, 1), (1, 1))]
)
def test_a_pair_is_given_as_one_int_or_two(value: object, pair: tuple[int, int]) -> None:
    assert as_pair("size", value, 1) == pair


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (1.0, TypeError, "size must be an int or a pair of ints"),
        (True, TypeError, "got True"),
        ((1, False), TypeError, r"got \(1, False\)"),
        ("12", TypeError, "got '12'"),
        ((), RuntimeError, r"got \(\)"),
        ((1, 2, 3), RuntimeError, r"got \(1, 2, 3\)"),
        (0, RuntimeError, "size must be at least 1, got 0"),
        ((1, 0), RuntimeError, r"size must be at least 1, got \(1, 0\)"),
    ],
)
def test_what_is_no_pair_is_refused(value: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        as_pair("size", value, 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64, torch.int64])
def test_without_autocast_nothing_is_cast(dtype: torch.dtype) -> None:
    x = torch.zeros(2, dtype=dtype)
    assert not autocast_applies(x)
    assert cast_for_autocast(x) is x
    assert cast_for_autocast(None) is None


@pytest.mark.parametrize(
    ("dtype", "cast"),
    [
        (torch.float32, torch.bfloat16),
        (torch.float16, torch.bfloat16),
        (torch.float64, torch.float64),
        (torch.int64, torch.int64),
    ],
)
def test_autocast_casts_what_it_casts_for_pytorch(dtype: torch.dtype, cast: torch.dtype) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert autocast_applies(torch.zeros(2))
        assert cast_for_autocast(torch.zeros(2, dtype=dtype)).dtype == cast
        assert cast_for_autocast(None) is None
        on_no_device = torch.zeros(2, device="meta")
        assert not autocast_applies(on_no_device)
        assert cast_for_autocast(on_no_device) is on_no_device


def test_half_precision_is_computed_in_float32_and_nothing_is_copied_in_vain() -> None:
    for dtype in (torch.float32, torch.float64):
        x = torch.zeros(2, dtype=dtype)
        assert at_least_float32(x) is x
        assert as_dtype(x, dtype) is x
    for dtype in (torch.float16, torch.bfloat16):
        assert at_least_float32(torch.zeros(2, dtype=dtype)).dtype == torch.float32
    assert as_dtype(torch.zeros(2), torch.float64).dtype == torch.float64


def test_the_narrowest_integer_that_holds_a_number() -> None:
    assert [smallest_int(largest) for largest in (1, 255)] == [torch.uint8, torch.uint8]
    assert smallest_int(256) == torch.int32


def test_integers_of_other_kinds_are_taken() -> None:
    numpy = pytest.importorskip("numpy")
    assert as_pair("stride", numpy.int64(2), 1) == (2, 2)
    assert as_pair("stride", (numpy.int32(2), 3), 1) == (2, 3)
    assert all(type(number) is int for number in as_pair("stride", numpy.int64(2), 1))
    with pytest.raises(TypeError, match="got True"):
        as_pair("stride", True, 1)
    with pytest.raises(TypeError, match="stride must be"):
        as_pair("stride", torch.tensor(2), 1)


class Global(torch.nn.Module):
    """Pools all of an image, of whatever size."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return max_pool2d(x, x.shape[-2:])


@pytest.mark.filterwarnings("ignore")  # the exporter's own
def test_sizes_that_a_tracer_has() -> None:
    sizes = {"x": {2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}}
    x = torch.randn(2, 3, 8, 8)
    program = torch.export.export(Global(), (x,), dynamic_shapes=sizes, strict=False)
    torch.testing.assert_close(program.module()(x), x.amax((2, 3), keepdim=True))
