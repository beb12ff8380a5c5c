"""`benchmarks/shapes.py`: the forty shapes, and that both sides compute the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from measure import Measurement
from results import Row, Work
from shapes import PASSES, SHAPES, Shape, draw, make_pair, means_of_passes

CPU = torch.device("cpu")


def test_there_are_forty_and_each_is_another() -> None:
    assert len({shape.name for shape in SHAPES}) == len(set(map(str, SHAPES))) == 40


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_each_is_a_convolution(shape: Shape) -> None:
    x, w = (torch.empty(size, device="meta") for size in (shape.images, shape.filters))
    z = F.conv2d(x, w, None, shape.stride, shape.padding, shape.dilation, shape.groups)
    assert z.numel() > 0


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["mobilenet depthwise 7", "resnext50 14", "one small image"])
def test_both_sides_compute_the_same(name: str, precision: str) -> None:
    torch.manual_seed(0)
    (shape,) = (shape for shape in SHAPES if shape.name == name)
    shape = replace(shape, images=(2, *shape.images[1:]))
    inputs = draw(shape, precision, "channels_last")
    for passes in PASSES:
        torch.manual_seed(0)  # of z̄
        calls = make_pair(shape, inputs, passes)
        ours, theirs = (torch.cat([t.double().flatten() for t in as_list(call())]) for call in calls)
        bound = {"float32": 1e-5, "bfloat16": 2**-8}[precision]
        assert (ours - theirs).norm() < bound * theirs.norm()


def as_list(result: object) -> list[Tensor]:
    """One tensor, or several, in a list."""
    return [result] if isinstance(result, Tensor) else list(cast(Sequence[Tensor], result))


def test_only_images_of_a_first_layer_need_no_gradient() -> None:
    stem, one, *_ = SHAPES
    assert [tensor.requires_grad for tensor in draw(stem, "float32", "contiguous")] == [False, True]
    assert [tensor.requires_grad for tensor in draw(one, "float32", "contiguous")] == [True, True]


def test_the_worst_is_named() -> None:
    rows: list[Row] = []
    for name, ratio in (("near", 2.0), ("far", 8.0)):
        times = Measurement("ansnet", "contiguous", [ratio]), Measurement("torch", "contiguous", [1.0])
        rows += Work("shapes", name, name, "inference", "float32").rows(times, CPU)
    assert means_of_passes(rows) == [
        "inference, contiguous: geometric mean of 2 4.00, worst 8.00 (far)"
    ]
