"""`ansnet.functional.shape`."""

from __future__ import annotations

import pytest
import torch

from ansnet.functional import reshape
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


def test_shares_memory_where_it_can() -> None:
    x = random(2, 6)
    assert reshape(x, 3, 4).data_ptr() == x.data_ptr()


@pytest.mark.parametrize("new_shape", [(5,), (4, -1), (-1, -1), (-2, 3)])
def test_a_count_that_does_not_fit_is_an_error(new_shape: tuple[int, ...]) -> None:
    with pytest.raises(RuntimeError, match=r"shape|dimension"):
        reshape(torch.zeros(2, 3), *new_shape)


def test_a_size_that_is_no_int_is_an_error() -> None:
    with pytest.raises(TypeError):
        reshape(torch.zeros(2, 3), 1.5)  # type: ignore[arg-type]
