"""`ansnet.training.board.filters`."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from ansnet.models import create_model
from ansnet.training.board.filters import filters_picture, first_filters
from ansnet.training.board.grid import GAP, TITLE


def test_they_are_the_weights_of_the_first_convolution() -> None:
    network = create_model("M(2), CR(4), CR(5), M(8), L(10)")
    filters = first_filters(network, (3, 32, 32))
    assert filters is not None
    assert torch.equal(filters, network.conv1.weight)


def test_those_of_a_linear_layer_on_the_image_are_images() -> None:
    network = create_model("L(10)")
    filters = first_filters(network, (3, 32, 32))
    assert filters is not None
    image = torch.randn(1, 3, 32, 32)
    expected = network(image)[0] - network.linear1.bias
    torch.testing.assert_close((filters * image).sum((1, 2, 3)), expected)


@pytest.mark.parametrize("network", [nn.Linear(7, 2), nn.ReLU(), nn.Sequential()])
def test_other_networks_have_none(network: nn.Module) -> None:
    assert first_filters(network, (3, 32, 32)) is None


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_nothing_is_grey_and_the_largest_weight_is_white(channels: int) -> None:
    filters = torch.zeros(2, channels, 3, 3)
    filters[1, :, 0, 0], filters[1, :, 2, 2] = 0.4, -0.4
    picture = filters_picture(filters, "title")
    top = TITLE + 2 * GAP
    first, second = (picture[top : top + 96, left : left + 96] for left in (GAP, 2 * GAP + 96))
    assert (first == 128).all()
    assert (second[:32, :32] == 255).all()
    assert (second[64:, 64:] == 0).all()
    assert (second[32:64] == 128).all()


def test_filters_that_are_all_zero_or_not_numbers_are_grey() -> None:
    for value in (0.0, float("nan")):
        picture = filters_picture(torch.full((1, 3, 3, 3), value), "")
        assert (picture[TITLE + 2 * GAP :, GAP : GAP + 96][:96] == 128).all()
        assert np.isfinite(picture).all()
