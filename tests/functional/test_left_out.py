"""`ansnet.functional.left_out`: what asks for nothing passes, all else is refused with its reason."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ansnet.functional import cross_entropy, max_pool2d
from ansnet.functional.left_out import LEFT_OUT, refuse, refuse_layouts


def test_what_asks_for_nothing_passes() -> None:
    refuse("f", return_indices=False, size_average=None, reduce=None)
    x = torch.ones(1, 1, 2, 2)
    assert max_pool2d(x, 2, return_indices=False).item() == 1
    target = torch.tensor([0])
    assert cross_entropy(x[0, 0, :1], target, size_average=None, reduce=None) == pytest.approx(0.693147)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("return_indices", True),
        ("size_average", True),
        ("size_average", False),
        ("reduce", True),
        ("reduce", False),
    ],
)
def test_what_asks_for_something_is_refused_with_its_reason(name: str, value: bool) -> None:
    given: Any = {"return_indices": False, "reduce": None, name: value}
    with pytest.raises(NotImplementedError) as caught:
        refuse("some_function", **given)
    assert str(caught.value) == f"some_function leaves {name}={value} out: {LEFT_OUT[name][1]}"


def test_dense_tensors_pass() -> None:
    refuse_layouts("f", torch.ones(2), None, torch.ones(2, 3).T)


@pytest.mark.filterwarnings("ignore:.*(quantize|Sparse CSR|sparse csr)")  # PyTorch's own, of both
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: x.to_sparse(), r"f leaves sparse_coo tensors out: .*; call to_dense\(\) first"),
        (lambda x: x.to_sparse_csr(), r"f leaves sparse_csr tensors out: .*; call to_dense\(\) first"),
        (
            lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.qint8),
            r"f leaves quantised tensors out: .*; call dequantize\(\) first",
        ),
    ],
    ids=["sparse", "rows", "quantised"],
)
def test_other_tensors_are_refused_wherever_they_stand(make: Any, message: str) -> None:
    other = make(torch.ones(2, 2))
    for tensors in ((other,), (torch.ones(2), None, other)):
        with pytest.raises(NotImplementedError, match=message):
            refuse_layouts("f", *tensors)
