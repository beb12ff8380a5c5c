"""`ansnet.training.initialization`."""

from __future__ import annotations

import pytest
import torch

from ansnet.commands.train import make_parser
from ansnet.modules import Conv2d
from ansnet.training.build import make_classifier
from ansnet.training.initialization import set_identity
from ansnet.training.settings import Settings


@pytest.mark.parametrize("filters", [4, 9])
def test_the_first_filters_copy_the_channels(filters: int) -> None:
    conv = Conv2d(4, filters, 3, padding=1, bias=False)
    drawn = conv.weight[4:].clone()
    set_identity(conv)
    x = torch.randn(2, 4, 6, 5)
    torch.testing.assert_close(conv(x)[:, :4], x)
    assert torch.equal(conv.weight[4:], drawn)


def test_fewer_filters_than_channels_stay_as_they_were() -> None:
    conv = Conv2d(4, 3, 3)
    drawn = conv.weight.clone()
    set_identity(conv)
    assert torch.equal(conv.weight, drawn)


@pytest.mark.parametrize("ops", ["ansnet", "torch"])
@pytest.mark.parametrize("layout", ["--channels-last", "--no-channels-last"])
def test_an_option_starts_every_convolution_so(ops: str, layout: str) -> None:
    words = ["--model", "CNR(8), M(4), res(CNR(8)), M(8), L(10)", "--identity-init"]
    given = make_parser().parse_args([*words, "--ops", ops, layout])
    network = make_classifier(Settings.complete(vars(given))).network
    weights = [layer.weight for layer in network.modules() if isinstance(layer, torch.nn.Conv2d)]
    assert len(weights) == 2
    for weight in weights:
        channels = weight.shape[1]
        expected = torch.zeros(channels, channels, 3, 3)
        expected[:, :, 1, 1] = torch.eye(channels)
        assert torch.equal(weight[:channels], expected)
        assert (weight[channels:] != 0).all()
