"""`ansnet.functional.shape`."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from ansnet import modules
from ansnet.functional import flatten, reshape
from ansnet.testing.operations import distinct
from tests.functional.comparison import assert_differentiable, assert_equal, random


@pytest.mark.parametrize(
    ("shape", "new_shape"),
    [
        ((5, 3, 4, 7), (5, 12, 7)),
        ((5, 3, 4, 7), (5, -1)),
        ((5, 3, 4, 7), (-1,)),
        ((6,), (2, 3)),
        ((0, 3), (3, 0)),
        ((1,), ()),
        ((2, 3), (2, 3)),
    ],
)
def test_equals_pytorch(shape: tuple[int, ...], new_shape: tuple[int, ...]) -> None:
    tensors = [random(*shape)]
    assert_equal(lambda x: reshape(x, *new_shape), lambda x: x.reshape(new_shape), tensors, 0)
    assert_equal(lambda x: reshape(x, new_shape), lambda x: x.reshape(new_shape), tensors, 0)


def test_gradients() -> None:
    assert_differentiable(lambda x: reshape(x, 4, -1), [random(2, 3, 4)])


def test_of_a_view_that_needs_a_copy() -> None:
    assert_equal(lambda x: reshape(x.T, 2, 6), lambda x: x.T.reshape(2, 6), [random(4, 3)], 0)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_shares_memory_where_nothing_is_recorded(mode: Any) -> None:
    x = random(2, 6)
    with mode():
        for tensor in (x.detach(), *([] if mode is torch.enable_grad else [x])):
            z = reshape(tensor, 3, 4)
            assert z.data_ptr() == x.data_ptr()
            assert not z.requires_grad
            z.add_(1)


def test_what_is_recorded_may_be_written_to() -> None:
    x = random(2, 3)
    before = x.detach().clone()

    def ours(x: Tensor) -> Tensor:
        return reshape(x, 6).add_(1).mul_(2).pow(2)

    assert_equal(ours, lambda x: x.clone().reshape(6).add_(1).mul_(2).pow(2), [x], 1e-12)
    assert torch.equal(x, before)  # and not x
    assert_differentiable(ours, [x])
    layers = nn.Sequential(modules.Flatten(), nn.ReLU(inplace=True))
    twin = nn.Sequential(nn.Flatten(), nn.ReLU(inplace=True))
    assert_equal(lambda x: layers(x.clone()), lambda x: twin(x.clone()), [random(2, 3, 2)], 0)
    batch = torch.randn(5, 2, 3, dtype=torch.float64)
    per_sample = torch.vmap(torch.func.grad(lambda x: ours(x).sum()))(batch)
    torch.testing.assert_close(per_sample, 8 * (batch + 1))
    compiled = torch.compile(ours, backend="aot_eager", fullgraph=True)
    assert_equal(compiled, ours, [random(2, 3)], 1e-12)


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((2, 3, 4), ()), ((2, 3, 4), (1,)), ((2, 3), (-2, 1)), ((), ()), ((0, 3), (1,))],
)
def test_flatten_equals_pytorch(shape: tuple[int, ...], axes: tuple[int, ...]) -> None:
    tensors = [distinct(*shape)]
    assert_equal(lambda x: flatten(x, *axes), lambda x: torch.flatten(x, *axes), tensors, 0)


@pytest.mark.parametrize(
    ("axes", "error", "message"),
    [
        ((3,), IndexError, "start_dim must be from -3 to 2, got 3"),
        ((0, -4), IndexError, "end_dim must be from -3 to 2, got -4"),
        ((2, 1), RuntimeError, "start_dim=2 comes after end_dim=1 of 3 axes"),
    ],
)
def test_axes_that_are_not_there_are_errors(
    axes: tuple[int, ...], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        flatten(torch.zeros(2, 3, 4), *axes)
    with pytest.raises(error):
        torch.flatten(torch.zeros(2, 3, 4), *axes)


@pytest.mark.parametrize("new_shape", [(5,), (4, -1), (-1, -1), (-2, 3)])
def test_a_count_that_does_not_fit_is_an_error(new_shape: tuple[int, ...]) -> None:
    with pytest.raises(RuntimeError, match=r"shape|dimension"):
        reshape(torch.zeros(2, 3), *new_shape)


def test_a_size_that_is_no_int_is_an_error() -> None:
    with pytest.raises(TypeError):
        reshape(torch.zeros(2, 3), 1.5)  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")  # forward mode's first use
def test_what_has_a_tangent_may_be_written_to() -> None:
    x, tangent = torch.randn(2, 3), torch.randn(2, 3)
    before = x.clone(), tangent.clone()

    def function(x: Tensor) -> Tensor:
        return reshape(x, 6).mul_(2) + x.reshape(6)

    with forward_ad.dual_level():
        z, tangent_z = forward_ad.unpack_dual(function(forward_ad.make_dual(x, tangent)))
    for result in ((z, tangent_z), torch.func.jvp(function, (x,), (tangent,))):
        assert torch.equal(result[0], 3 * before[0].reshape(6))
        assert torch.equal(result[1], 3 * before[1].reshape(6))
    assert torch.equal(x, before[0])  # and not x, nor its tangent
    assert torch.equal(tangent, before[1])
