"""Tools that come with PyTorch itself."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from tests.tools.networks import images
from tests.tools.tool import tool


@tool("FlopCounterMode", "operations of a forward and a backward", "torch")
def flop_counter(network: nn.Module) -> Any:
    x = images(network)
    with FlopCounterMode(display=False) as forward:
        z = network(x)
    with FlopCounterMode(display=False) as backward:
        z.sum().backward()
    return forward.get_total_flops(), backward.get_total_flops()
