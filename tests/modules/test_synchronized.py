"""Converting a network's batch normalisations for several processes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ansnet.models import create_model
from ansnet.modules import BatchNorm1d, BatchNorm2d, SyncBatchNorm, from_torch, synchronized, to_torch


def test_all_batch_normalisations_are_converted_and_nothing_else_changes() -> None:
    network = create_model("resnet9", 10)
    state, before = network.state_dict(), [type(layer) for layer in network.modules()]
    converted = synchronized(network)
    after = [type(layer) for layer in converted.modules()]
    expected = [SyncBatchNorm if kind in (BatchNorm1d, BatchNorm2d) else kind for kind in before]
    assert after == expected
    assert SyncBatchNorm in after
    assert [type(layer) for layer in network.modules()] == before
    assert converted.state_dict().keys() == state.keys()
    assert all(torch.equal(tensor, state[name]) for name, tensor in converted.state_dict().items())
    images = torch.randn(4, 3, 32, 32)
    torch.testing.assert_close(converted(images), network(images))  # one process: the same
    torch.testing.assert_close(converted.state_dict(), network.state_dict())


def test_torchs_layers_are_converted_too_and_pytorchs_name_does_it_in_place() -> None:
    network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.SyncBatchNorm(3))
    assert SyncBatchNorm.convert_sync_batchnorm(network) is network
    assert [type(layer) for layer in network] == [nn.Linear, SyncBatchNorm, SyncBatchNorm]
    assert type(to_torch(network)[1]) is nn.SyncBatchNorm
    assert type(from_torch(nn.SyncBatchNorm(3))) is SyncBatchNorm


class Own(nn.BatchNorm2d):
    """Batch normalisation by a formula that nobody knows."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(input)


def test_a_batch_normalisation_of_an_unknown_class_is_not_passed_over() -> None:
    with pytest.raises(TypeError, match="the layer 0, a Own, is a batch normalisation of a class"):
        synchronized(nn.Sequential(Own(2)))


def test_made_by_hand_it_has_pytorchs_arguments() -> None:
    layer = SyncBatchNorm(3, 0.01, None, affine=False)
    x = torch.randn(5, 3, 2)
    expected = nn.functional.batch_norm(x, None, None, training=True, eps=0.01)
    torch.testing.assert_close(layer(x), expected)
    torch.testing.assert_close(layer.running_mean, x.mean((0, 2)))
