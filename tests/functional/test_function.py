"""`ansnet.functional.function`: the stated derivatives under transformations, compiled and batched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import forward_ad
from torch.func import grad, hessian, jacfwd, jvp, vmap

from ansnet import functional
from ansnet.functional import (
    batch_norm1d,
    batch_norm2d,
    batch_norm_relu2d,
    conv2d,
    cross_entropy,
    flatten,
    linear,
    max_pool2d,
    relu,
    relu_max_pool2d,
)
from ansnet.functional.function import compilable

Function = Callable[..., Tensor]

torch.manual_seed(0)
TIED = torch.ones(1, 1, 2, 2, dtype=torch.float64)
ZEROS = torch.zeros(1, 1, 2, 2, dtype=torch.float64)
ROWS = torch.randn(4, 3, dtype=torch.float64)
IMAGES = torch.randn(2, 2, 4, 4, dtype=torch.float64)
TARGET = torch.tensor([0, 2, 1, 2])


def pooled(ties: str) -> Function:
    return lambda x: max_pool2d(x, 2, ties=ties).sum()


def normalised(x: Tensor) -> Tensor:
    return batch_norm_relu2d(x, training=True, window_size=2).pow(3).sum()


# where the forward's own expression has another derivative than the one stated
COMPILED = [
    pytest.param(grad(pooled("all")), TIED, id="max_pool2d, all"),
    pytest.param(grad(pooled("first")), TIED, id="max_pool2d, first"),
    pytest.param(lambda x: jvp(pooled("all"), (x,), (x,))[1], TIED, id="max_pool2d, tangent"),
    pytest.param(grad(lambda x: relu_max_pool2d(x, 2).sum()), ZEROS, id="relu_max_pool2d"),
    pytest.param(grad(lambda x: relu(x).sum()), ZEROS, id="relu"),
    pytest.param(hessian(lambda x: cross_entropy(x, TARGET)), ROWS, id="cross_entropy, Hessian"),
    pytest.param(
        grad(lambda x: grad(lambda x: cross_entropy(x, TARGET))(x).square().sum()),
        ROWS,
        id="cross_entropy, twice",
    ),
    pytest.param(grad(lambda x: grad(normalised)(x).square().sum()), IMAGES, id="batch_norm, twice"),
    pytest.param(vmap(grad(pooled("all"))), TIED, id="max_pool2d, a batch"),
]


@pytest.mark.filterwarnings("ignore")  # the compiler's own, of what it imports
@pytest.mark.parametrize(("function", "x"), COMPILED)
def test_compiled_transformations_follow_the_stated_derivatives(function: Function, x: Tensor) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), function(x), rtol=1e-12, atol=1e-12)


def meta_gradient(loss: Function, each: bool) -> Function:
    """Of the mean loss after a step of gradient descent from w for each x; batched, or one by one."""

    def after_a_step(w: Tensor, x: Tensor) -> Tensor:
        return loss(w - 0.1 * grad(loss)(w, x), x)

    def mean(w: Tensor, xs: Tensor) -> Tensor:
        if each:
            return torch.stack([after_a_step(w, x) for x in xs]).mean()
        return vmap(after_a_step, (None, 0))(w, xs).mean()

    return grad(mean)


LOSSES = [  # of what is shared by the batch, and of what is not; in each place of an operation
    pytest.param(
        lambda w, x: conv2d(x, w).square().sum(), (3, 2, 2, 2), (4, 2, 2, 3, 3), id="conv2d, w"
    ),
    pytest.param(
        lambda w, x: conv2d(w, x).square().sum(), (2, 2, 3, 3), (4, 3, 2, 2, 2), id="conv2d, x"
    ),
    pytest.param(lambda w, x: linear(x, w).square().sum(), (3, 2), (4, 5, 2), id="linear, w"),
    pytest.param(lambda w, x: linear(w, x).square().sum(), (5, 2), (4, 3, 2), id="linear, x"),
    pytest.param(
        lambda w, x: batch_norm1d(w, x, training=True).pow(3).sum(),
        (5, 3),
        (4, 3),
        id="batch_norm1d, x",
    ),
    pytest.param(
        lambda w, x: batch_norm1d(x, w, training=True).pow(3).sum(),
        (3,),
        (4, 5, 3),
        id="batch_norm1d, γ",
    ),
    pytest.param(
        lambda w, x: batch_norm1d(w, x, None, 0 * w[0], 1 + 0 * w[0]).pow(3).sum(),
        (5, 3),
        (4, 3),
        id="batch_norm1d, evaluated",
    ),
    pytest.param(
        lambda w, x: relu_max_pool2d(conv2d(x, w), 2).square().sum(),
        (3, 2, 2, 2),
        (4, 2, 2, 3, 3),
        id="pooled",
    ),
]


@pytest.mark.parametrize(("loss", "shared", "batched"), LOSSES)
def test_differentiating_through_a_batch_of_gradients(
    loss: Function, shared: tuple[int, ...], batched: tuple[int, ...]
) -> None:
    w = torch.randn(shared, dtype=torch.float64)
    xs = torch.randn(batched, dtype=torch.float64)
    actual, expected = (meta_gradient(loss, each)(w, xs) for each in (False, True))
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # as forward mode loads
def test_forward_mode_of_statistics_that_a_batch_shares() -> None:
    x, weights = torch.randn(5, 3, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)

    def theirs(x: Tensor, w: Tensor) -> Tensor:
        return F.batch_norm(x, None, None, w, training=True)

    def ours(x: Tensor, w: Tensor) -> Tensor:
        return batch_norm1d(x, w, training=True)

    actual, expected = (vmap(jacfwd(function), (None, 0))(x, weights) for function in (ours, theirs))
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("size", "memory_format"),  # the larger ones have arrangements and code of their own
    [(6, torch.contiguous_format), (24, torch.channels_last)],
)
@pytest.mark.parametrize(
    "function",
    [
        lambda x, w: conv2d(x, w, padding=1),
        lambda x, w: relu(x),
        lambda x, w: max_pool2d(x, 2),
        lambda x, w: max_pool2d(x, 2, ties="first"),
        lambda x, w: max_pool2d(x, 3, 2, 1),
        lambda x, w: max_pool2d(x, 3, 2, 1, ties="first"),
        lambda x, w: batch_norm2d(x, training=True),
        lambda x, w: batch_norm_relu2d(x, training=True),
        lambda x, w: batch_norm_relu2d(x, training=True, window_size=2),
        lambda x, w: cross_entropy(linear(flatten(x, 1)[:, :64], w[:, :, 0, 0]), x[:, 0, 0, 0].long()),
    ],
    ids=[
        "conv2d", "relu", "max_pool2d", "max_pool2d, first", "overlapping", "overlapping, first",
        "batch_norm2d", "batch_norm_relu2d", "batch_norm_relu2d, pooled", "cross_entropy",
    ],
)  # fmt: skip
def test_a_batch_of_gradients(function: Function, size: int, memory_format: Any) -> None:
    x = torch.rand(2, 64, size, size).contiguous(memory_format=memory_format).requires_grad_()
    w = torch.randn(64, 64, 3, 3).contiguous(memory_format=memory_format).requires_grad_()
    z = function(x, w)
    upstream = torch.randn(3, *z.shape)
    options = {"allow_unused": True, "retain_graph": True}
    batched = torch.autograd.grad(z, (x, w), upstream, is_grads_batched=True, **options)
    each = [torch.autograd.grad(z, (x, w), one, **options) for one in upstream]
    for ours, alone in zip(batched, zip(*each, strict=True), strict=True):
        if ours is not None:  # w is used by some
            torch.testing.assert_close(ours, torch.stack(alone), rtol=1e-4, atol=1e-3)
    assert batched[0] is not None


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # as forward mode loads
@pytest.mark.parametrize("function", [functional.relu, lambda x: functional.max_pool2d(x, 2)])
def test_forward_over_reverse_of_large_tensors(function: Any) -> None:
    """For these code is generated, which would lose the tangent."""
    torch.manual_seed(0)
    x, direction = torch.randn(2, 8, 16, 32, 32).unbind()
    products = []
    for each in (function, lambda x: F.relu(x) if function is functional.relu else F.max_pool2d(x, 2)):
        with forward_ad.dual_level():
            dual = forward_ad.make_dual(x.clone().requires_grad_(), direction)
            (grad,) = torch.autograd.grad(each(dual).square().sum(), dual)
            products.append(forward_ad.unpack_dual(grad).tangent)
    assert products[0] is not None
    torch.testing.assert_close(*products)


class Doubled(torch.autograd.Function):
    """z = 2 x, which notes each way in which it is called."""

    generate_vmap_rule = True
    calls: ClassVar[list[str]] = []

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        Doubled.calls.append("forward")
        return 2 * x

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        Doubled.calls.append("setup_context")

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Tensor:
        return 2 * grad_z

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> Tensor:
        return 2 * tangent


def test_without_a_derivative_the_formula_is_called_as_it_is() -> None:
    double, x = compilable(Doubled), torch.ones(3)
    for mode in (torch.no_grad(), torch.inference_mode()):
        Doubled.calls.clear()
        with mode:
            assert double(x).tolist() == [2, 2, 2]
        assert Doubled.calls == ["forward"]
    Doubled.calls.clear()
    double(x)  # somebody may yet ask for one
    assert Doubled.calls == ["forward", "setup_context"]


def test_without_gradients_there_still_are_tangents_and_batches() -> None:
    double, x = compilable(Doubled), torch.ones(3)
    with torch.no_grad():
        z, tangent = jvp(double, (x,), (x,))
        assert (z.tolist(), tangent.tolist()) == ([2, 2, 2], [2, 2, 2])
        with forward_ad.dual_level():
            z, tangent = forward_ad.unpack_dual(double(forward_ad.make_dual(x, x)))
        assert tangent.tolist() == [2, 2, 2]
        assert vmap(double)(x).tolist() == [2, 2, 2]
        assert grad(lambda x: double(x).sum())(x).tolist() == [2, 2, 2]
