"""`ansnet.functional.overlapping_pooling`."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ansnet.functional import max_pool2d
from ansnet.functional.overlapping_pooling import (
    Windows,
    first_in_image,
    margins,
    number_of_windows,
    output_size,
)
from ansnet.testing.operations import distinct
from tests.functional.comparison import assert_differentiable, assert_equal

SETTINGS: list[dict[str, Any]] = [
    {"window_size": 3, "stride": 2, "padding": 1},
    {"window_size": 3, "stride": 1},
    {"window_size": 2, "stride": 3},
    {"window_size": (3, 2), "stride": (1, 2), "padding": (1, 0), "dilation": (2, 1)},
    {"window_size": 2, "ceil_mode": True},
    {"window_size": 3, "stride": 3, "padding": 1, "ceil_mode": True},
    {"window_size": 2, "padding": 1, "dilation": 2, "ceil_mode": True},
    {"window_size": 1, "stride": 2},
    {"window_size": (2, 3), "stride": ()},
    # which reach over one side only, of some of the images: the left, the upper, the right
    {"window_size": (1, 3), "stride": (1, 2), "padding": (0, 1)},
    {"window_size": (3, 1), "stride": (3, 1), "padding": (1, 0)},
    {"window_size": (1, 2), "ceil_mode": True},
]
TOLERANCE = 1e-12  # where an element is the maximum of several windows, their gradients are summed


def theirs(x: Tensor, window_size: Any, **settings: Any) -> Tensor:
    return F.max_pool2d(x, window_size, **settings)


@pytest.mark.parametrize("ties", ["all", "first"])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("shape", [(2, 3, 7, 5), (3, 11, 13), (0, 3, 7, 7), (1, 1, 5, 5)], ids=str)
def test_without_ties_equals_pytorch(shape: tuple[int, ...], settings: Any, ties: Any) -> None:
    for view in (lambda x: x, lambda x: x.mT.contiguous().mT):
        assert_equal(
            lambda x, view=view: max_pool2d(view(x), **settings, ties=ties),
            lambda x, view=view: theirs(view(x), **settings),
            [distinct(*shape)],
            TOLERANCE,
        )


@pytest.mark.parametrize("filled_with", [0.0, torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_the_first_of_ties_is_pytorchs(settings: Any, filled_with: float) -> None:
    """Of NaN the last; and of windows that hold nothing but −∞ the first that is no padding."""
    for share in (0.2, 0.8):
        x = torch.randint(3, (4, 3, 7, 8)).double()
        x = torch.where(torch.rand_like(x) < share, filled_with, x).requires_grad_()
        results = []
        for function in (
            lambda x: max_pool2d(x, **settings, ties="first"),
            lambda x: theirs(x, **settings),
        ):
            z = function(x)
            weights = torch.arange(z.numel(), dtype=z.dtype).reshape(z.shape)
            results.append((z, *torch.autograd.grad(z, x, weights)))
        torch.testing.assert_close(*results, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("ties", ["all", "first"])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_gradients(settings: Any, ties: Any) -> None:
    assert_differentiable(lambda x: max_pool2d(x, **settings, ties=ties), [distinct(1, 2, 5, 4)])


def formula(x: Tensor, grad_z: Tensor, windows: Windows) -> tuple[Tensor, Tensor]:
    """The two formulas of all ties, element by element."""
    (S_h, S_w), (P_h, P_w), (D_h, D_w) = windows[1:4]
    z, grad_x = torch.empty_like(grad_z), torch.zeros_like(x)
    for n, c, u, v in product(*map(range, z.shape)):
        elements = [
            (n, c, S_h * u + D_h * i - P_h, S_w * v + D_w * j - P_w)
            for i, j in product(*map(range, windows.size))
        ]
        inside = [at for at in elements if 0 <= at[2] < x.shape[2] and 0 <= at[3] < x.shape[3]]
        z[n, c, u, v] = max(x[at] for at in inside)
        for at in inside:
            grad_x[at] += grad_z[n, c, u, v] if x[at] == z[n, c, u, v] else 0
    return z, grad_x


@pytest.mark.parametrize(
    "windows",
    [
        Windows((3, 3), (2, 2), (1, 1), (1, 1), False),
        Windows((2, 3), (1, 2), (0, 1), (2, 1), True),
        Windows((2, 2), (3, 3), (0, 0), (1, 1), True),
    ],
    ids=str,
)
def test_equals_the_formula_element_by_element(windows: Windows) -> None:
    x = torch.randint(4, (2, 2, 7, 6)).double()
    x[0, 0] = -torch.inf  # padding ties with it, and receives nothing
    x.requires_grad_()
    grad_z = torch.randn(2, 2, *output_size(x.shape[2:], windows), dtype=torch.float64)
    z = max_pool2d(x, *windows)
    (grad_x,) = torch.autograd.grad(z, x, grad_z)
    expected_z, expected_grad_x = formula(x.detach(), grad_z, windows)
    assert torch.equal(z, expected_z)
    torch.testing.assert_close(grad_x, expected_grad_x, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int64])
def test_integers(dtype: torch.dtype) -> None:
    x = torch.randint(-128, 128, (2, 7, 7)).to(dtype)
    assert torch.equal(max_pool2d(x, 3, 2, 1), F.max_pool2d(x, 3, 2, 1))


@pytest.mark.parametrize("ties", ["all", "first"])
def test_a_window_that_lies_in_the_padding_has_no_maximum(ties: Any) -> None:
    """Only PyTorch's output is compared with."""
    x = torch.randn(1, 1, 2, 2, requires_grad=True)
    z = max_pool2d(x, 2, padding=1, dilation=3, ties=ties)
    assert (
        z.tolist() == F.max_pool2d(x.detach(), 2, padding=1, dilation=3).tolist() == [[[[-torch.inf]]]]
    )
    assert torch.autograd.grad(z.sum(), x)[0].tolist() == [[[[0, 0], [0, 0]]]]


@pytest.mark.parametrize("ties", ["all", "first"])
def test_channels_last_stays_channels_last(ties: Any) -> None:
    x = distinct(2, 3, 7, 6).detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    z = max_pool2d(x, 3, 2, 1, ties=ties)
    z.sum().backward()
    assert z.is_contiguous(memory_format=torch.channels_last)
    assert x.grad is not None
    assert x.grad.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("ties", ["all", "first"])
@pytest.mark.parametrize("settings", SETTINGS[:1], ids=str)
def test_large_images_whose_code_is_generated(settings: Any, ties: Any) -> None:
    for memory_format in (torch.contiguous_format, torch.channels_last):
        assert_equal(
            lambda x, f=memory_format: max_pool2d(x.contiguous(memory_format=f), **settings, ties=ties),
            lambda x, f=memory_format: theirs(x.contiguous(memory_format=f), **settings),
            [distinct(2, 16, 53, 47)],
            TOLERANCE,
        )


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")  # forward mode's first use
@pytest.mark.parametrize(("ties", "expected"), [("all", [[4, 6], [6, 9]]), ("first", [[1, 1], [1, 1]])])
def test_padding_has_no_tangent(ties: Any, expected: Any) -> None:
    """Where all is −∞ it ties with what is in the image, and counts for nothing."""
    x = torch.full((1, 4, 4), -torch.inf)
    _, tangent = torch.func.jvp(
        lambda x: max_pool2d(x, 3, 2, 1, ties=ties), (x,), (torch.ones(1, 4, 4),)
    )
    assert tangent.tolist() == [expected]


@pytest.mark.parametrize(
    ("M", "K", "S", "P", "D", "rounded_down", "rounded_up"),
    [
        (7, 2, 2, 0, 1, 3, 4),
        (6, 2, 2, 0, 1, 3, 3),
        (5, 1, 2, 0, 1, 3, 3),
        (6, 3, 4, 1, 1, 2, 2),  # a third would begin at 7, behind the image
        (7, 3, 4, 1, 1, 2, 2),
        (8, 3, 4, 1, 1, 2, 3),
        (6, 1, 2, 0, 1, 3, 3),  # a fourth would begin where the image ends
        (9, 3, 3, 1, 2, 3, 3),
        (4, 3, 2, 0, 2, 0, 1),
    ],
)
def test_the_number_of_windows(
    M: int, K: int, S: int, P: int, D: int, rounded_down: int, rounded_up: int
) -> None:
    for ceil_mode, expected in ((False, rounded_down), (True, rounded_up)):
        assert number_of_windows(M, K, S, P, D, ceil_mode) == expected
        if expected:
            z = F.max_pool2d(torch.zeros(1, M, M), K, S, P, D, ceil_mode)
            assert z.shape == (1, expected, expected)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")  # forward mode's first use
@pytest.mark.parametrize("ties", ["all", "first"])
@pytest.mark.parametrize("settings", SETTINGS[:4], ids=str)
def test_transformations_are_those_of_pytorchs(settings: Any, ties: Any) -> None:
    x, tangent = distinct(3, 2, 5, 4).detach(), torch.randn(3, 2, 5, 4, dtype=torch.float64)
    results = []
    for function in (lambda x: max_pool2d(x, **settings, ties=ties), lambda x: theirs(x, **settings)):
        gradient = torch.func.grad(lambda x, function=function: function(x).square().sum())
        each = torch.vmap(lambda x, t, function=function: torch.func.jvp(function, (x,), (t,)))
        results.append((*each(x, tangent), torch.vmap(gradient)(x)))
    torch.testing.assert_close(*results, rtol=TOLERANCE, atol=TOLERANCE)


def test_the_margins_are_what_the_windows_reach() -> None:
    """Left, right, above, below."""
    assert margins((5, 4), Windows((3, 3), (2, 2), (1, 1), (1, 1), False)) == [1, 0, 1, 1]
    assert margins((5, 8), Windows((2, 3), (3, 2), (0, 1), (1, 2), False)) == [1, 0, 0, 0]
    assert margins((4, 7), Windows((2, 2), (3, 2), (1, 0), (2, 1), True)) == [0, 1, 1, 1]


def test_the_first_place_in_the_image() -> None:
    """It is 4 of 3 × 3 where a row and a column are padding; and K² where all of the window is."""
    around = Windows((3, 3), (2, 2), (1, 1), (1, 1), False)
    assert first_in_image(torch.zeros(1, 4, 4), around).tolist() == [[4, 3], [1, 0]]
    beside = Windows((2, 2), (2, 2), (1, 1), (3, 3), False)
    assert first_in_image(torch.zeros(1, 2, 2), beside).tolist() == [[4]]
    assert first_in_image(torch.zeros(1, 2, 3), beside).tolist() == [[4]]


@pytest.mark.parametrize("ties", ["all", "first"])
def test_the_output_may_be_written_to(ties: Any) -> None:
    """A window of one element has its maximum in x, but z is no view of it."""
    x = torch.ones(1, 2, 4, 4)
    max_pool2d(x, 1, 2, ties=ties).zero_()
    assert torch.equal(x, torch.ones(1, 2, 4, 4))
