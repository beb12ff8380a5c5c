"""`ansnet.functional.activation`."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from ansnet.functional import relu
from ansnet.testing.operations import distinct
from tests.functional.comparison import assert_differentiable, assert_equal


@pytest.mark.parametrize("shape", [(), (7,), (0, 3), (2, 3, 5, 1)])
def test_equals_pytorch(shape: tuple[int, ...]) -> None:
    assert_equal(relu, F.relu, [distinct(*shape)], tolerance=0)  # a selection: nothing is rounded


def test_gradients() -> None:
    assert_differentiable(relu, [distinct(3, 4)])


def test_gradient_at_zero_is_zero() -> None:
    x = torch.tensor([-1.0, -0.0, 0.0, 1.0], requires_grad=True)
    relu(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0, 0, 0, 1]


def test_not_a_number_stays_visible() -> None:
    x = torch.tensor([float("nan"), -1.0, 1.0], requires_grad=True)
    relu(x).backward(torch.full((3,), float("nan")))
    assert relu(x).isnan().tolist() == [True, False, False]
    assert x.grad is not None
    assert x.grad.isnan().tolist() == [True, False, True]


def test_memory_format_is_kept() -> None:
    x = distinct(2, 3, 4, 5).detach().contiguous(memory_format=torch.channels_last)
    assert relu(x).is_contiguous(memory_format=torch.channels_last)
    assert_equal(
        lambda x: relu(x.transpose(0, 1)[..., ::2]),
        lambda x: F.relu(x.transpose(0, 1)[..., ::2]),
        [distinct(2, 3, 4, 5)],
        tolerance=0,
    )


def test_input_is_left_alone() -> None:
    x = torch.tensor([-1.0, 1.0])
    relu(x)
    assert x.tolist() == [-1, 1]


@pytest.mark.parametrize("recorded", [True, False])
def test_in_place_the_input_is_written_to(recorded: bool) -> None:
    results = []
    for function in (relu, F.relu):
        leaf = distinct(3, 4).detach().requires_grad_(recorded)
        x = leaf * 2  # whose derivative does not read the product
        z = function(x, inplace=True)
        assert z is x
        if recorded:
            (x.square() * 3).sum().backward()
        results.append((x, leaf.grad))
    torch.testing.assert_close(*results, rtol=0, atol=0)


def test_in_place_a_leaf_is_refused() -> None:
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        relu(distinct(3, 4), inplace=True)


@pytest.mark.parametrize("dtype", [torch.bool, torch.complex64])
def test_dtypes_without_order_are_refused(dtype: torch.dtype) -> None:
    with pytest.raises(RuntimeError, match=f"not defined for {dtype}"):
        relu(torch.zeros(2, dtype=dtype))


def test_what_is_no_tensor_is_refused() -> None:
    with pytest.raises(TypeError, match="got float"):
        relu(1.0)  # type: ignore[arg-type]
