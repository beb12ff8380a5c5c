"""`ansnet.functional.linear`."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from ansnet.functional import linear
from tests.functional.comparison import assert_differentiable, assert_equal, random

TOLERANCE = 1e-12  # sums of at most 12 products in float64


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("leading", [(), (1,), (7,), (0,), (2, 3), (2, 0, 3)])
def test_equals_pytorch(leading: tuple[int, ...], bias: bool) -> None:
    tensors = [random(*leading, 5), random(4, 5), random(4) if bias else None]
    assert_equal(linear, F.linear, tensors, TOLERANCE)


def test_gradients() -> None:
    assert_differentiable(linear, [random(3, 4), random(2, 4), random(2)])
    assert_differentiable(linear, [random(2, 3, 4), random(2, 4), None])


def test_memory_layouts() -> None:
    assert_equal(
        lambda x, w: linear(x.T[::2], w.T),
        lambda x, w: F.linear(x.T[::2], w.T),
        [random(5, 6), random(5, 4)],
        TOLERANCE,
    )


@pytest.mark.parametrize("wanted", [(True, False), (False, True)])
def test_what_nobody_asked_for_is_neither_kept_nor_computed(wanted: tuple[bool, bool]) -> None:
    x, w = random(3, 5).requires_grad_(wanted[0]), random(4, 5).requires_grad_(wanted[1])
    z = linear(x, w)
    (saved,) = z.grad_fn.saved_tensors  # and no None: graphs are drawn of what is saved
    assert saved is (w if wanted[0] else x)
    z.sum().backward()
    assert (x.grad is not None, w.grad is not None) == wanted


def test_the_bias_alone_may_be_asked_for() -> None:
    x, w, b = random(3, 5).detach(), random(4, 5).detach(), random(4)
    linear(x, w, b).sum().backward()
    assert b.grad is not None
    assert b.grad.tolist() == [3, 3, 3, 3]


def test_under_autocast_dtypes_are_pytorchs() -> None:
    tensors = [random(shape, 5, dtype=torch.float32) for shape in (3, 4)]
    results = []
    for function in (linear, F.linear):
        with torch.autocast("cpu", torch.bfloat16):
            z = function(*tensors)
        results.append([z, *torch.autograd.grad(z.float().square().sum(), tensors)])
    for ours, theirs in zip(*results, strict=True):
        assert ours.dtype == theirs.dtype
        torch.testing.assert_close(ours.float(), theirs.float(), atol=0.1, rtol=0.05)  # 8 bits


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((3, 5), (4, 6)), r"\(3, 5\) and \(4, 6\)"),
        (((), (4, 6)), r"got \(\)"),
        (((3, 5), (5,)), r"and \(5,\)"),
        (((3, 5), (4, 5, 5)), r"and \(4, 5, 5\)"),
        (((3, 5), (4, 5), (3,)), r"4 outputs need a bias of shape \(4,\), got \(3,\)"),
    ],
)
def test_wrong_shapes_are_named(shapes: tuple[tuple[int, ...], ...], message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        linear(*map(torch.zeros, shapes))
