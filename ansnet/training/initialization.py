"""Weights to start from."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def set_identity(network: nn.Module) -> None:
    """Have the first filters of each convolution copy its channels, the others as they were.

    A convolution of C channels to F ≥ C starts with a single 1 in each of the first C filters, in the
    middle of the window of its own channel: what one layer finds is there for the next from the first
    step on. A convolution to fewer channels than it has stays as it was.

    Sources: Zagoruyko and Komodakis, *DiracNets* (2017); Jordan, *94% on CIFAR-10 in 3.29 seconds on a
    single GPU* (2024), "Identity initialization".

    Args:
        network: its convolutions, of one group each, are changed in place.
    """
    for conv in network.modules():
        if isinstance(conv, nn.Conv2d) and conv.out_channels >= conv.in_channels:
            nn.init.dirac_(conv.weight[: conv.in_channels])
