"""`ansnet.functional.pooling`."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from ansnet.functional import max_pool2d, relu_max_pool2d
from ansnet.testing.operations import distinct
from tests.functional.comparison import assert_differentiable, assert_equal

WINDOWS = [1, 2, 3, (2, 3), (3, 1), (1, 5)]


@pytest.mark.parametrize("ties", ["all", "first"])
@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("shape", [(2, 3, 6, 6), (1, 1, 7, 5), (0, 3, 6, 6), (3, 8, 11), (2, 3, 3, 5)])
def test_without_ties_equals_pytorch(shape: tuple[int, ...], window: Any, ties: Any) -> None:
    assert_equal(
        lambda x: max_pool2d(x, window, ties=ties),
        lambda x: F.max_pool2d(x, window),
        [distinct(*shape)],
        tolerance=0,  # a selection: nothing is rounded
    )


@pytest.mark.parametrize("ties", ["all", "first"])
@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_gradients(window: Any, ties: Any) -> None:
    assert_differentiable(lambda x: max_pool2d(x, window, ties=ties), [distinct(2, 2, 4, 5)])


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_the_first_of_ties_is_pytorchs(window: Any) -> None:
    x = torch.randint(3, (4, 3, 7, 8)).double().requires_grad_()
    assert_equal(
        lambda x: max_pool2d(x, window, ties="first"),
        lambda x: F.max_pool2d(x, window),
        [x],
        tolerance=0,
    )


def test_all_ties_receive_the_gradient() -> None:
    x = torch.tensor([[[1.0, 5.0, 2.0, 2.0, 9.0], [5.0, 5.0, 2.0, 2.0, 9.0]]], requires_grad=True)
    (grad_x,) = torch.autograd.grad(max_pool2d(x, 2), x, torch.tensor([[[3.0, 4.0]]]))
    assert grad_x.tolist() == [[[0, 3, 4, 4, 0], [3, 3, 4, 4, 0]]]
    (grad_x,) = torch.autograd.grad(max_pool2d(x, 2, ties="first"), x, torch.tensor([[[3.0, 4.0]]]))
    assert grad_x.tolist() == [[[0, 3, 4, 0, 0], [0, 0, 0, 0, 0]]]


def formula(x: torch.Tensor, grad_z: torch.Tensor, K: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The notebook's two formulas, element by element."""
    N, C, M_h, M_w = x.shape
    z, grad_x = torch.empty(N, C, M_h // K, M_w // K, dtype=x.dtype), torch.zeros_like(x)
    for n, c, u, v in torch.cartesian_prod(*map(torch.arange, z.shape)).tolist():
        rows, columns = slice(K * u, K * u + K), slice(K * v, K * v + K)
        window = x[n, c, rows, columns]
        z[n, c, u, v] = window.max()
        grad_x[n, c, rows, columns] = torch.where(window == window.max(), grad_z[n, c, u, v], 0)
    return z, grad_x


@pytest.mark.parametrize("K", [1, 2, 3])
def test_equals_the_formula_element_by_element(K: int) -> None:
    x = torch.randint(4, (2, 3, 7, 6)).double().requires_grad_()
    grad_z = torch.randn(2, 3, 7 // K, 6 // K, dtype=torch.float64)
    z = max_pool2d(x, K)
    (grad_x,) = torch.autograd.grad(z, x, grad_z)
    expected_z, expected_grad_x = formula(x.detach(), grad_z, K)
    assert torch.equal(z, expected_z)
    assert torch.equal(grad_x, expected_grad_x)


def test_memory_formats() -> None:
    for view in (lambda x: x.contiguous(memory_format=torch.channels_last), lambda x: x.mT[..., 1::2]):
        for ties in ("all", "first"):
            assert_equal(
                lambda x, view=view, ties=ties: max_pool2d(view(x), 2, ties=ties),
                lambda x, view=view: F.max_pool2d(view(x), 2),
                [distinct(2, 3, 7, 6)],
                tolerance=0,
            )


def test_channels_last_stays_channels_last() -> None:
    x = distinct(2, 3, 6, 6).detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    z = max_pool2d(x, 2)
    z.sum().backward()
    assert z.is_contiguous(memory_format=torch.channels_last)
    assert x.grad is not None
    assert x.grad.is_contiguous(memory_format=torch.channels_last)


def test_not_a_number_is_a_maximum() -> None:
    x = torch.tensor([[[1.0, float("nan")], [3.0, 2.0]]])
    assert max_pool2d(x, 2).isnan().all()


@pytest.mark.parametrize("window", [2, (1, 4), (4, 1), 3])
def test_of_several_not_a_numbers_the_last_receives_as_in_pytorch(window: Any) -> None:
    x = torch.randint(3, (6, 4, 12, 12)).double()
    x[torch.rand(x.shape) < 0.3] = float("nan")
    x.requires_grad_()
    grad_z = torch.randn_like(max_pool2d(x, window))
    (ours,) = torch.autograd.grad(max_pool2d(x, window, ties="first"), x, grad_z)
    (theirs,) = torch.autograd.grad(F.max_pool2d(x, window), x, grad_z)
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("window", [(15, 17), (16, 16), (1, 257), (20, 30)])  # 255 places, and more
def test_a_window_may_have_more_places_than_a_byte_tells_apart(window: tuple[int, int]) -> None:
    negative = -torch.rand(1, 2, 2 * window[0], 2 * window[1], dtype=torch.float64) - 0.5
    negative.requires_grad_()
    z = relu_max_pool2d(negative, window)
    (grad_x,) = torch.autograd.grad(z.sum(), negative)
    assert z.count_nonzero() == grad_x.count_nonzero() == 0  # the 0 wins, the place behind the last
    with torch.no_grad():
        x = negative.clone()
        x[:, 0, window[0] - 1 :: window[0], window[1] - 1 :: window[1]] = 1.0  # the last place
        x[:, 1, :: window[0], :: window[1]] = 2.0  # the first one
    x.requires_grad_()
    (grad_x,) = torch.autograd.grad(relu_max_pool2d(x, window).sum(), x)
    assert torch.equal(grad_x, (x > 0).double())


@pytest.mark.parametrize(
    ("shape", "arguments", "error", "message"),
    [
        ((2, 3, 4, 4), {"window_size": 5}, RuntimeError, "5 x 5, is larger than the image, 4 x 4"),
        ((2, 3, 4, 4), {"window_size": (1, 5)}, RuntimeError, "1 x 5"),
        ((4, 4), {"window_size": 2}, RuntimeError, r"got \(4, 4\)"),
        ((2, 3, 4, 4), {"window_size": 0}, RuntimeError, "window_size must be at least 1, got 0"),
        ((2, 3, 4, 4), {"window_size": "2"}, TypeError, "window_size must be an int"),
        ((2, 3, 4, 4), {"window_size": 2, "ties": "last"}, ValueError, "got 'last'"),
        ((2, 3, 4, 4), {"window_size": 2, "stride": 0}, RuntimeError, "stride must be at least 1"),
        (
            (2, 3, 4, 4),
            {"window_size": 3, "padding": 2},
            RuntimeError,
            "got padding=2 and",
        ),
        ((2, 3, 4, 4), {"window_size": 3, "padding": (0, 2)}, RuntimeError, "at most half"),
        ((2, 3, 4, 4), {"window_size": 3, "padding": (2, 0)}, RuntimeError, "at most half"),
        ((2, 3, 4, 4), {"window_size": 2, "padding": -1}, RuntimeError, "padding must be at least 0"),
        ((2, 0, 4, 4), {"window_size": 2}, RuntimeError, r"N alone may be 0, got \(2, 0, 4, 4\)"),
        ((2, 3, 0, 4), {"window_size": 2, "stride": 1}, RuntimeError, "N alone may be 0"),
        ((2, 3, 4, 0), {"window_size": 2, "stride": 1}, RuntimeError, "N alone may be 0"),
        ((1, 2, 3, 4, 4), {"window_size": 2}, RuntimeError, "expects shape"),
        ((2, 3, 4, 5), {"window_size": (5, 4)}, RuntimeError, "5 x 4, is larger .* 4 x 5"),
        ((2, 3, 4, 4), {"window_size": 3, "dilation": 2}, RuntimeError, "5 x 5, larger than .* 4 x 4"),
        (
            (2, 3, 4, 3),
            {"window_size": (3, 2), "padding": 1, "dilation": (4, 5)},
            RuntimeError,
            "9 x 6, larger than the padded image, 6 x 5",
        ),
        ((2, 3, 4, 4), {"window_size": 2, "dilation": 0}, RuntimeError, "dilation must be at least 1"),
        ((2, 3, 4, 4), {"window_size": 3, "dilation": 3}, RuntimeError, "7 x 7, larger than .* 4 x 4"),
        (
            (2, 3, 4, 4),
            {"window_size": 2, "ceil_mode": 1},
            TypeError,
            "ceil_mode must be",
        ),
        (
            (2, 3, 4, 4),
            {"window_size": 2, "return_indices": True},
            NotImplementedError,
            "=True out",
        ),
    ],
)
def test_wrong_arguments_are_named(
    shape: tuple[int, ...], arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        max_pool2d(torch.zeros(shape), **arguments)


@pytest.mark.parametrize("dtype", [torch.bool, torch.complex64])
def test_what_has_no_order_has_no_maximum(dtype: torch.dtype) -> None:
    for stride in (1, 2):
        with pytest.raises(RuntimeError, match=f"max_pool2d is not defined for {dtype}"):
            max_pool2d(torch.ones(1, 4, 4, dtype=dtype), 2, stride)


@pytest.mark.parametrize("ties", ["all", "first"])
def test_the_output_may_be_written_to(ties: Any) -> None:
    """A window of one element has its maximum in x, but z is no view of it."""
    x = torch.ones(1, 2, 4, 4)
    max_pool2d(x, 1, ties=ties).zero_()
    assert torch.equal(x, torch.ones(1, 2, 4, 4))


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")  # forward mode's first use
@pytest.mark.parametrize("ties", ["all", "first"])
@pytest.mark.parametrize("window", [2, (1, 3), (3, 1)], ids=str)
@pytest.mark.parametrize("shape", [(3, 7, 6), (2, 3, 7, 6)], ids=str)
def test_tangents_of_images_with_and_without_a_batch(
    shape: tuple[int, ...], window: Any, ties: Any
) -> None:
    x, tangent = distinct(*shape).detach(), torch.randn(*shape, dtype=torch.float64)
    ours = torch.func.jvp(lambda x: max_pool2d(x, window, ties=ties), (x,), (tangent,))
    theirs = torch.func.jvp(lambda x: F.max_pool2d(x, window), (x,), (tangent,))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
