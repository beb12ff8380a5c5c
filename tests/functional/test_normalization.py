"""`ansnet.functional.normalization`."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import forward_ad

from ansnet.functional import batch_norm1d, batch_norm2d, kernel
from ansnet.functional.normalization import BatchNorm1d
from tests.functional.comparison import assert_differentiable, assert_equal, random

TOLERANCE = 1e-10  # sums of at most a few hundred terms, and a division by a deviation near 1

SHAPES = [(7, 3), (2, 1), (4, 3, 5), (2, 3, 4, 5), (1, 3, 1, 2), (13, 2, 3, 1)]


def function_for(shape: tuple[int, ...]) -> Any:
    return batch_norm1d if len(shape) < 4 else batch_norm2d


def running_averages(shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    return torch.randn(shape[1], dtype=torch.float64), torch.rand(shape[1], dtype=torch.float64) + 0.5


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_equals_pytorch(shape: tuple[int, ...], training: bool, affine: bool) -> None:
    mean, var = running_averages(shape)
    ours, theirs = function_for(shape), F.batch_norm
    x = random(*shape)
    vectors = [random(shape[1]), random(shape[1])] if affine else [None, None]
    assert_equal(
        lambda x, w, b: ours(x, w, b, mean.clone(), var.clone(), training, 0.3, 1e-3),
        lambda x, w, b: theirs(x, mean.clone(), var.clone(), w, b, training, 0.3, 1e-3),
        [x, *vectors],
        TOLERANCE,
    )


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 2, 2)])
def test_gradients(shape: tuple[int, ...], training: bool) -> None:
    mean, var = running_averages(shape)

    def function(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
        return function_for(shape)(x, w, b, mean.clone(), var.clone(), training)

    assert_differentiable(function, [random(*shape), random(3), random(3)])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("momentum", [0.0, 0.1, 1.0])
def test_running_averages_are_pytorchs(shape: tuple[int, ...], momentum: float) -> None:
    ours, theirs = running_averages(shape), None
    theirs = tuple(average.clone() for average in ours)
    x = random(*shape)
    function_for(shape)(x, None, None, *ours, training=True, momentum=momentum)
    F.batch_norm(x, *theirs, training=True, momentum=momentum)
    for one, other in zip(ours, theirs, strict=True):
        assert not one.requires_grad
        torch.testing.assert_close(one, other, atol=TOLERANCE, rtol=TOLERANCE)


def test_running_averages_in_half_precision_are_rounded_once() -> None:
    x = torch.tensor([[1.0], [3.0]]).repeat(1, 256).bfloat16()  # mean 2, unbiased variance 2
    mean = var = torch.arange(256).add(256).div(256).bfloat16()
    ours = mean.clone(), var.clone()
    batch_norm1d(x, None, None, *ours, training=True, momentum=0.3)
    for one, before in zip(ours, (mean, var), strict=True):
        assert torch.equal(one, (0.7 * before.float() + 0.3 * 2.0).bfloat16())


def test_a_variance_that_is_one_rows_of_a_million(monkeypatch: pytest.MonkeyPatch) -> None:
    """In float32 rounding would be as large as the variance itself, and it could be negative."""
    monkeypatch.setattr(kernel, "LEAST", 2**40)  # the formula as it stands
    x = torch.linspace(0.5, 1.5, 8).repeat(2**20, 1)
    x[0] = 0
    mean, var = torch.zeros(8), torch.ones(8)
    batch_norm1d(x, None, None, mean, var, training=True, momentum=1.0)
    torch.testing.assert_close(var, x[1] ** 2 / 2**20, rtol=1e-6, atol=0)  # unbiased, c²/N


def test_running_averages_rest_when_not_training() -> None:
    mean, var = running_averages((4, 3))
    before = mean.clone(), var.clone()
    batch_norm1d(torch.randn(4, 3, dtype=torch.float64), None, None, mean, var)
    assert torch.equal(mean, before[0])
    assert torch.equal(var, before[1])


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_the_rows_are_a_free_view_in_every_memory_format(
    monkeypatch: pytest.MonkeyPatch, memory_format: torch.memory_format
) -> None:
    x = torch.randn(4, 3, 5, 6).contiguous(memory_format=memory_format).requires_grad_()
    rows: list[Tensor] = []
    forward = BatchNorm1d.forward

    def spy(x: Tensor, *arguments: Any) -> Any:
        rows.append(x)
        return forward(x, *arguments)

    monkeypatch.setattr(BatchNorm1d, "forward", spy)
    z = batch_norm2d(x, training=True)
    (grad_x,) = torch.autograd.grad(
        z, x, torch.randn(4, 3, 5, 6).contiguous(memory_format=memory_format)
    )
    assert rows[0].shape == (4, 5, 6, 3)
    assert rows[0].data_ptr() == x.data_ptr()
    assert z.is_contiguous(memory_format=memory_format)
    assert grad_x.is_contiguous(memory_format=memory_format)


def test_normalises_by_channel_not_by_position() -> None:
    x = 5 + 3 * torch.randn(8, 4, 6, 7, dtype=torch.float64)
    z = batch_norm2d(x, training=True, eps=0.0)
    torch.testing.assert_close(z.mean((0, 2, 3)), torch.zeros(4, dtype=torch.float64))
    torch.testing.assert_close(z.var((0, 2, 3), correction=0), torch.ones(4, dtype=torch.float64))


def test_memory_layouts() -> None:
    for view in (lambda x: x.contiguous(memory_format=torch.channels_last), lambda x: x.mT[:, ::2]):
        assert_equal(
            lambda x, view=view: batch_norm2d(view(x), training=True),
            lambda x, view=view: F.batch_norm(view(x), None, None, training=True),
            [random(3, 4, 5, 6)],
            TOLERANCE,
        )


@pytest.mark.parametrize("training", [True, False])
def test_an_empty_batch_leaves_the_averages_alone(training: bool) -> None:
    mean, var = running_averages((0, 3))
    before = mean.clone(), var.clone()
    x = random(0, 3, 2, 2)
    z = batch_norm2d(x, None, None, mean, var, training)
    (grad_x,) = torch.autograd.grad(z.sum(), x)
    assert z.shape == grad_x.shape == x.shape
    assert torch.equal(mean, before[0])
    assert torch.equal(var, before[1])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("training", [True, False])
def test_half_precision_images_with_float32_parameters(training: bool, dtype: torch.dtype) -> None:
    x = torch.randn(8, 3, 5, 5).to(dtype).requires_grad_()
    w, b = (random(3, dtype=torch.float32) for _ in "wb")
    grad_z = torch.randn(8, 3, 5, 5).to(dtype)
    mean, var = torch.zeros(3), torch.ones(3)
    ours = batch_norm2d(x, w, b, mean.clone(), var.clone(), training)
    theirs = F.batch_norm(x, mean.clone(), var.clone(), w, b, training)
    got = [ours, *torch.autograd.grad(ours, [x, w, b], grad_z)]
    expected = [theirs, *torch.autograd.grad(theirs, [x, w, b], grad_z)]
    for one, other in zip(got, expected, strict=True):
        assert one.dtype == other.dtype
        # computed in float32 by both, rounded once to 8 or 11 bits
        torch.testing.assert_close(one.float(), other.float(), atol=0.02, rtol=0.01)


def test_the_gradient_through_the_statistics_is_second_order_correct() -> None:
    """A penalty on the gradient: what goes wrong when μ and v pass for constants."""
    x = random(6, 3)

    def penalty(function: Any) -> Tensor:
        (grad_x,) = torch.autograd.grad(function(x).pow(3).sum(), x, create_graph=True)
        return torch.autograd.grad(grad_x.square().sum(), x)[0]

    ours = penalty(lambda x: batch_norm1d(x, training=True))
    theirs = penalty(lambda x: F.batch_norm(x, None, None, training=True))
    torch.testing.assert_close(ours, theirs, atol=1e-8, rtol=1e-8)  # gradients are of order 100


@pytest.mark.parametrize(
    ("function", "shape", "arguments", "error", "message"),
    [
        (batch_norm1d, (4, 3, 2, 2), {}, ValueError, r"shape \(N, C\), got \(4, 3, 2, 2\)"),
        (batch_norm2d, (4, 3), {}, ValueError, r"\(N, C, H, W\), got \(4, 3\)"),
        (batch_norm1d, (1, 3), {"training": True}, ValueError, r"more than 1 value.*\(1, 3\)"),
        (batch_norm2d, (1, 3, 1, 1), {"training": True}, ValueError, "more than 1 value"),
        (batch_norm1d, (1, 3, 1), {"training": True}, ValueError, "more than 1 value"),
        (batch_norm1d, (4, 3), {"training": True, "eps": -1e-9}, ValueError, "negative, got -1e-09"),
        (batch_norm1d, (4, 3), {}, RuntimeError, "needs running_mean and running_var"),
        (batch_norm1d, (4, 3), {"running_mean": torch.zeros(3)}, RuntimeError, "needs running_mean"),
        (batch_norm1d, (4, 3), {"running_var": torch.ones(3)}, RuntimeError, "needs running_mean"),
        (
            batch_norm1d,
            (4, 3),
            {"running_mean": torch.zeros(3), "training": True},
            ValueError,
            "give both, or none",
        ),
        (
            batch_norm1d,
            (4, 3),
            {"weight": torch.ones(3, dtype=torch.float64), "training": True},
            RuntimeError,
            "of torch.float32 .* got weight torch.float64",
        ),
        (
            batch_norm1d,
            (4, 3),
            {"weight": torch.ones(3), "bias": torch.ones(3).bfloat16(), "training": True},
            RuntimeError,
            "got weight torch.float32, bias torch.bfloat16",
        ),
        (batch_norm1d, (4, 3), {"weight": torch.ones(4)}, RuntimeError, r"a weight of shape \(3,\)"),
        (
            batch_norm1d,
            (4, 3),
            {"running_var": torch.ones(2), "training": True},
            RuntimeError,
            r"running_var of shape \(3,\), got \(2,\)",
        ),
    ],
)
def test_wrong_arguments_are_named(
    function: Any, shape: tuple[int, ...], arguments: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        function(torch.zeros(shape), **arguments)


OUTLIERS: dict[str, Any] = {  # where, and how far
    "none": (slice(0), 0.0),
    "the first row": (0, -9999.0),
    "a row in the middle": (1500, 1e4),
    "the last row": (-1, 1e5),
    "the first rows": (slice(64), 1e4),
    "every 100th row": (slice(None, None, 100), -3e3),
}


@pytest.mark.parametrize("where", OUTLIERS)
@pytest.mark.parametrize("offset", [0.0, 1.0, 100.0, 1e4])
@pytest.mark.parametrize("memory_format", ["matrix", torch.contiguous_format, torch.channels_last])
def test_the_variance_is_as_accurate_as_pytorchs(memory_format: Any, offset: float, where: str) -> None:
    torch.manual_seed(0)
    place, far = OUTLIERS[where]
    rows = torch.randn(4096, 16) + offset
    rows[place] += far
    exact = rows.double().var(0)
    x = rows
    if memory_format != "matrix":
        x = rows.view(64, 8, 8, 16).permute(0, 3, 1, 2).contiguous(memory_format=memory_format)
    errors = []
    for function in (
        lambda mean, variance: function_for(tuple(x.shape))(x, None, None, mean, variance, True, 1.0),
        lambda mean, variance: F.batch_norm(x, mean, variance, training=True, momentum=1.0),
    ):
        variance = torch.ones(16)
        function(torch.zeros(16), variance)
        errors.append(((variance - exact).abs() / exact).max().item())
    # a rounding of float32, 6e-8, is the least that PyTorch's is taken for
    assert errors[0] <= 4 * max(errors[1], 2.0**-24)


def test_one_row_of_many_far_away() -> None:
    x = torch.rand(65536, 4)
    x[0] = -9999.0
    variance = torch.ones(4)
    batch_norm1d(x, None, None, torch.zeros(4), variance, training=True, momentum=1.0)
    torch.testing.assert_close(variance, x.double().var(0).float(), rtol=2e-7, atol=0)


def test_float64_has_its_own_precision() -> None:
    x = torch.rand(4096, 4, dtype=torch.float64)
    x[0] = -1e8
    z = batch_norm1d(x, training=True)
    torch.testing.assert_close(z, F.batch_norm(x, None, None, training=True), rtol=1e-12, atol=1e-12)


def test_integers_are_refused() -> None:
    with pytest.raises(RuntimeError, match=r"not defined for torch\.int64"):
        batch_norm1d(torch.ones(4, 3, dtype=torch.int64), training=True)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("wanted", list(product([False, True], repeat=3))[1:], ids=str)
@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 2, 2)], ids=str)
def test_the_gradients_that_are_asked_for(
    shape: tuple[int, ...], wanted: tuple[bool, bool, bool], training: bool
) -> None:
    tensors = [random(*shape), random(3), random(3)]
    for tensor, needed in zip(tensors, wanted, strict=True):
        tensor.requires_grad_(needed)
    mean, var = running_averages(shape)
    assert_equal(
        lambda x, w, b: function_for(shape)(x, w, b, mean.clone(), var.clone(), training),
        lambda x, w, b: F.batch_norm(x, mean.clone(), var.clone(), w, b, training),
        tensors,
        TOLERANCE,
    )
    z = function_for(shape)(*tensors, mean.clone(), var.clone(), training)
    kept_x = any(saved.shape == shape for saved in z.grad_fn.saved_tensors)
    assert kept_x == (training or wanted[1])
    z.sum().backward()
    assert tuple(tensor.grad is not None for tensor in tensors) == wanted


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # as forward mode loads
def test_running_averages_keep_no_tangent() -> None:
    mean, variance = torch.zeros(3), torch.ones(3)
    with forward_ad.dual_level():
        x = forward_ad.make_dual(torch.randn(4, 3), torch.randn(4, 3))
        batch_norm1d(x, None, None, mean, variance, training=True)
        assert forward_ad.unpack_dual(mean).tangent is None
        assert forward_ad.unpack_dual(variance).tangent is None
