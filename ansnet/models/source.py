"""A network in plain PyTorch: the lines of Python that build it of `torch.nn`'s layers."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from ansnet.modules.residual import PlainResidual

IMPORTS = "from collections import OrderedDict\n\nfrom torch import nn\n"
RESIDUAL = '''
class Residual(nn.Sequential):
    """z = x + block(x)"""

    def forward(self, x):
        return x + super().forward(x)
'''


def plain_source(network: nn.Sequential) -> str:
    """Python that defines ``network``, a network like this one, freshly initialised.

    Args:
        network: of `torch.nn`'s layers as a notation describes them: what `ansnet.modules.to_torch`
            makes of `ansnet.models.Network`.

    Returns:
        A module's text. The layers have their names, and so the state dict has its keys.

    Raises:
        TypeError: there is a layer that no notation has.

    Example:
        >>> print(plain_source(nn.Sequential(nn.Flatten(), nn.Linear(12, 10))))
        from collections import OrderedDict
        <BLANKLINE>
        from torch import nn
        <BLANKLINE>
        network = nn.Sequential(OrderedDict([
            ("0", nn.Flatten()),
            ("1", nn.Linear(12, 10)),
        ]))
        <BLANKLINE>
    """
    has_blocks = any(type(layer) is PlainResidual for layer in network)
    layers = "\n".join(lines(network, "    "))
    definition = f"network = nn.Sequential(OrderedDict([\n{layers}\n]))\n"
    return f"{IMPORTS}\n" + (f"{RESIDUAL}\n\n" if has_blocks else "") + definition


def lines(block: nn.Sequential, indent: str) -> Iterator[str]:
    """A line a layer; of a residual block one before its layers and one behind."""
    for name, layer in block.named_children():
        if type(layer) is PlainResidual:
            yield f'{indent}("{name}", Residual(OrderedDict(['
            yield from lines(layer, f"{indent}    ")
            yield f"{indent}]))),"
        else:
            yield f'{indent}("{name}", nn.{constructor(layer)}),'


def constructor(layer: nn.Module) -> str:
    """The call that makes such a layer; what it says nothing of is as PyTorch has it by default."""
    name = type(layer).__name__
    match layer:
        case nn.Conv2d():
            (size, _), padding = layer.kernel_size, layer.padding
            numbers = f"{layer.in_channels}, {layer.out_channels}, {size}"
            more = f", padding={padding[0]}" if padding != (0, 0) else ""
            more += f", groups={layer.groups}" if layer.groups > 1 else ""
            return f"{name}({numbers}{more}{without_bias(layer)})"
        case nn.Linear():
            return f"{name}({layer.in_features}, {layer.out_features}{without_bias(layer)})"
        case nn.BatchNorm1d() | nn.BatchNorm2d():
            return f"{name}({layer.num_features})"
        case nn.MaxPool2d():
            return f"{name}({layer.kernel_size})"
        case nn.ReLU() | nn.Flatten():
            return f"{name}()"
        case _:
            raise TypeError(f"no notation has a layer {name}")


def without_bias(layer: nn.Conv2d | nn.Linear) -> str:
    return ", bias=False" if layer.bias is None else ""
