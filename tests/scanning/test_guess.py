"""`ansnet.scanning.guess`: samples for forwards of every kind."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

from ansnet.scanning.guess import NoGuessError, guess


def function(forward: Any, backward: Any = None) -> Any:
    """The apply of a Function with this forward; its backward is PyTorch's own of it."""

    class Made(Function):
        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.inputs = inputs

        @staticmethod
        def backward(ctx: Any, *grads: Tensor) -> Any:
            if backward is not None:
                return backward(*grads)
            with torch.enable_grad():
                inputs = [
                    each.detach().requires_grad_(each.is_floating_point())
                    if isinstance(each, Tensor)
                    else each
                    for each in ctx.inputs
                ]
                wanted = [each for each in inputs if isinstance(each, Tensor) and each.requires_grad]
                found = iter(torch.autograd.grad(forward(*inputs), wanted, grads, allow_unused=True))
            return tuple(
                next(found) if isinstance(each, Tensor) and each.requires_grad else None
                for each in inputs
            )

    Made.forward = staticmethod(forward)  # type: ignore[assignment]
    return Made.apply


def elementwise(x):  # noqa: ANN001, ANN201
    return x.sin()


def matrices(x, w):  # noqa: ANN001, ANN201
    return x @ w


def linear(x, weight, bias):  # noqa: ANN001, ANN201
    return F.linear(x, weight, bias)


def conv(x, weight, bias, stride):  # noqa: ANN001, ANN201
    return F.conv2d(x, weight, bias, stride)


def by_channel(x, gamma: Tensor, beta: Tensor):  # noqa: ANN001, ANN201
    return F.batch_norm(x, None, None, gamma, beta, training=True)


def with_numbers(x, alpha, k: int, inplace: bool, eps=1e-3):  # noqa: ANN001, ANN201
    return (x * alpha).topk(k, sorted=not inplace).values + eps


def labelled(logits, target):  # noqa: ANN001, ANN201
    return F.cross_entropy(logits, target)


def masked(x, mask):  # noqa: ANN001, ANN201
    return x.masked_fill(mask, 0.0)


def along(x, dim):  # noqa: ANN001, ANN201
    return x.softmax(dim)


def odd_number(x, level):  # noqa: ANN001, ANN201
    if isinstance(level, Tensor):
        raise TypeError("a number")
    return x * level


def positive(x):  # noqa: ANN001, ANN201
    return x.log()


def several(*tensors):  # noqa: ANN002, ANN201
    return sum(tensors)


def normalized(x, running_mean, running_var, eps):  # noqa: ANN001, ANN201
    return F.batch_norm(x, running_mean, running_var, eps=eps)


def pooled(x, stride, padding):  # noqa: ANN001, ANN201
    return F.avg_pool2d(x, (2, 2), (stride[0], stride[1]), (padding[0], padding[1]))


def ignores(x, y):  # noqa: ANN001, ANN201
    return x + y.detach()


def square_only(a):  # noqa: ANN001, ANN201
    return torch.linalg.inv(a)


@pytest.mark.parametrize(
    ("forward", "samples"),
    [
        (elementwise, ["f64[3, 4]", "f64[2, 3, 4, 4]"]),
        (matrices, ["f64[2, 3, 4, 4], f64[2, 3, 4, 4]", "f64[4], f64[4]"]),
        (linear, ["f64[3, 4], f64[5, 4], f64[5]", "f64[2, 4, 4], f64[4, 4], f64[4, 4]"]),
        (conv, ["f64[2, 3, 5, 5], f64[4, 3, 3, 3], f64[4], 1"]),
        (masked, ["f64[3, 4], bool[3, 4]", "f64[2, 3, 4, 4], bool[2, 3, 4, 4]"]),
        (along, ["f64[3, 4], -1", "f64[2, 3, 4, 4], -1"]),
        (odd_number, ["f64[3, 4], 1.0", "f64[2, 3, 4, 4], 1.0"]),
        (positive, ["f64[3, 4] in 0.1..0.9", "f64[2, 3, 4, 4] in 0.1..0.9"]),
        (with_numbers, ["f64[3, 4], 0.5, 2, False", "f64[2, 3, 4, 4], 0.5, 2, False"]),
        (pooled, ["f64[2, 3, 4, 4], (1, 1), (0, 0)", "f64[2, 3, 4], (1, 1), (0, 0)"]),
        (ignores, ["f64[3, 4], const f64[3, 4]", "f64[2, 3, 4, 4], const f64[2, 3, 4, 4]"]),
        (several, ["f64[3, 4]", "f64[2, 3, 4, 4]"]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_samples_that_fit(forward: Any, samples: list[str]) -> None:
    assert guess(function(forward)) == samples


@pytest.mark.parametrize("forward", [by_channel, labelled, normalized, square_only])
def test_samples_are_found(forward: Any) -> None:
    assert guess(function(forward), most=1)


def test_a_backward_that_raises_is_what_is_to_be_checked() -> None:
    def raises(*_: Tensor) -> None:
        raise RuntimeError("wrong")

    assert guess(function(elementwise, raises)) == ["f64[3, 4]"]


@pytest.mark.parametrize(
    ("forward", "told"),
    [
        (
            lambda x: x.nothing,
            "on f64[3, 4]: AttributeError: 'Tensor' object has no attribute 'nothing'",
        ),
        (lambda x: x.argmax(), "on f64[3, 4]: no output requires grad"),
        (lambda x: 3, "on f64[3, 4]: it returned 3, and no tensor"),
        (lambda x: x * torch.nan, "on f64[3, 4]: an output is not finite"),
        (lambda: torch.ones(3), "its forward has no parameter without a default"),
    ],
)
def test_where_none_fits_it_is_said_why(forward: Any, told: str) -> None:
    with pytest.raises(NoGuessError) as raised:
        guess(function(forward))
    assert str(raised.value) == told
