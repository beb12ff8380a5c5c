"""Any network with ansnet's layers in the place of its `torch.nn` ones, and the way back.

A layer of ansnet is a subclass of the one in whose place it stands, with the same attributes. So what
is converted is the class of each layer, and all else about it stays: parameters, buffers, hooks, its
name, its mode, device and dtype.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import deepcopy
from functools import partial
from typing import Any, TypeVar

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.parametrize import is_parametrized, type_before_parametrizations

from ansnet.modules.activation import ReLU
from ansnet.modules.conv import Conv2d
from ansnet.modules.layer import Layer
from ansnet.modules.linear import Linear
from ansnet.modules.loss import SoftmaxCrossEntropy
from ansnet.modules.normalization import BatchNorm1d, BatchNorm2d, SyncBatchNorm
from ansnet.modules.pooling import MaxPool2d
from ansnet.modules.residual import Residual
from ansnet.modules.sequence import HOOKS, Sequence
from ansnet.modules.shape import Flatten

Module = TypeVar("Module", bound=nn.Module)


def from_torch(network: Module, inplace: bool = False) -> Module:
    """The network with ansnet's layers in the place of its `torch.nn` ones.

    What has no counterpart stays what it is; `kept_layers` lists it. That is also so of a subclass of
    a `torch.nn` layer, which may compute something else. What a ``forward`` computes by functions, as
    ``torch.nn.functional.relu(x)``, is no layer, and stays PyTorch's.

    Args:
        network: any module, one layer too.
        inplace: convert the network itself, and return it, instead of a copy.

    Returns:
        A module of the same class, unless that is a `torch.nn` one itself. The layers have the weights,
        hooks, names, modes, devices and dtypes that they had. Max-pooling has ``ties="first"``.

    Example:
        >>> from_torch(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(inplace=True), nn.GELU()))
        Sequence(
          (0): Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1))
          (1): ReLU(inplace=True)
          (2): GELU(approximate='none')
        )
    """
    return converted(network, COUNTERPARTS, inplace)


def to_torch(network: Module, inplace: bool = False) -> Module:
    """The network with `torch.nn`'s layers in the place of ansnet's: undoes `from_torch`.

    It is for tools that tell layers by their exact class, and pass over subclasses (``docs/tools.md``).

    Args:
        network: any module, one layer too.
        inplace: convert the network itself, and return it, instead of a copy.

    Returns:
        A module with the weights, hooks, names, modes, devices and dtypes that it had. A
        `ansnet.models.Network` becomes an `nn.Sequential`, and keeps its attributes. Of equal maxima in
        a window the first receives the gradient, also where it was ``ties="all"``.

    Example:
        >>> to_torch(Sequence(Flatten(), Linear(12, 10)))
        Sequential(
          (0): Flatten(start_dim=1, end_dim=-1)
          (1): Linear(in_features=12, out_features=10, bias=True)
        )
    """
    return converted(network, TWINS, inplace)


def synchronized(network: Module, process_group: Any = None, inplace: bool = False) -> Module:
    """The network with batch normalisation by the images of all processes, `SyncBatchNorm`.

    Args:
        network: any module, one layer too; ansnet's and `torch.nn`'s batch normalisation are converted.
        process_group: the processes, a `torch.distributed.ProcessGroup`; None for all.
        inplace: convert the network itself, and return it, instead of a copy.

    Returns:
        A module with the weights, running averages, state-dict keys, hooks, names and modes it had.

    Raises:
        TypeError: a layer is a batch normalisation of another class, whose formula is not known; left
            as it is, each process would normalise by its own images.

    Example:
        >>> [type(layer).__name__ for layer in synchronized(Sequence(BatchNorm2d(8), ReLU()))]
        ['SyncBatchNorm', 'ReLU']
    """
    for name, module in network.named_modules():
        kind = type_before_parametrizations(module)
        known = kind is SyncBatchNorm or counterpart(module, SYNCHRONIZED) is not None
        if isinstance(module, _BatchNorm) and not known:
            raise TypeError(
                f"the layer {name or 'given'}, a {kind.__name__}, is a batch normalisation of a class "
                "or with a method of its own, and cannot be synchronised; convert it first"
            )
    network = converted(network, SYNCHRONIZED, inplace)
    for module in network.modules():
        if isinstance(module, SyncBatchNorm):
            module.process_group = process_group
    return network


def kept_layers(network: nn.Module) -> dict[str, str]:
    """The layers that `from_torch` leaves as they are, those without modules of their own.

    Args:
        network: before it is converted or after.

    Returns:
        The name of each, and the name of its class.

    Example:
        >>> kept_layers(nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.1)))
        {'1': 'Dropout'}
    """
    return {
        name: type(module).__name__
        for name, module in network.named_modules()
        if "parametrizations" not in name.split(".") and computes(module) and is_kept(module)
    }


def computes(module: nn.Module) -> bool:
    """Whether a module is a layer, and no mere container: by what is below it, or by its parameters."""
    below = [name for name, _ in module.named_children() if name != "parametrizations"]
    return not below or any(True for _ in module.parameters(recurse=False))


def is_kept(layer: nn.Module) -> bool:
    return not isinstance(layer, Layer) and counterpart(layer, COUNTERPARTS) is None


def converted(network: Module, classes: dict[type, type], inplace: bool) -> Module:
    """The network with other classes of layers."""
    network = network if inplace else copied(network)
    for module in network.modules():
        kind = counterpart(module, classes)
        if kind is not None:
            change_class(module, kind)
    return network


def counterpart(module: nn.Module, classes: dict[type, type]) -> type | None:
    """The class that stands for the module's, or None."""
    if is_patched(module) or getattr(module, "return_indices", False):
        return None
    kind: Any = type_before_parametrizations(module)
    if classes is TWINS and kind.__module__.startswith("ansnet."):  # `ansnet.models` has its own
        bases = (base for base in kind.__mro__ if base in classes and base.forward is kind.forward)
        return next((classes[base] for base in bases), None)
    return classes.get(kind)


def is_patched(module: nn.Module) -> bool:
    """Whether a method of the module's class is replaced, ``forward`` or another."""
    return any(callable(getattr(type(module), name, None)) for name in vars(module))


def change_class(module: Any, kind: type) -> None:
    """Give a layer another class, which has the same attributes; what it is parametrised by stays."""
    if is_parametrized(module):  # by a class of its own, made of the layer's
        own = {name: value for name, value in vars(type(module)).items() if name not in MADE_ANEW}
        kind = type(f"Parametrized{kind.__name__}", (kind,), own)
    module.__class__ = kind
    if isinstance(module, MaxPool2d):
        module.ties = "first"
    else:
        vars(module).pop("ties", None)


def copied(network: Module) -> Module:
    """A deep copy, with the same hooks, not copies of them, unless they belong to a module of it."""
    modules = set(network.modules())
    memo = {id(hook): hook for hook in hooks_of(modules) if not modules & set(captured(hook))}
    memo |= {id(tensor): tensor.detach().clone() for tensor in computed(modules)}
    return deepcopy(network, memo)


def computed(modules: Iterable[nn.Module]) -> Iterator[Tensor]:
    """Weights that a hook computes anew for each call (pruning), which PyTorch does not copy."""
    for module in modules:
        for value in vars(module).values():
            if isinstance(value, Tensor) and not value.is_leaf:
                yield value


def hooks_of(modules: Iterable[nn.Module]) -> Iterator[Any]:
    for module in modules:
        for name in HOOKS:
            yield from vars(module)[name].values()


def captured(hook: Any) -> list[nn.Module]:
    """The modules that a hook is a method of, or is partially applied to."""
    if isinstance(hook, partial):
        objects = [hook.func, *hook.args, *hook.keywords.values()]
        return [module for each in objects for module in captured(each)]
    owner = getattr(hook, "__self__", hook)
    return [owner] if isinstance(owner, nn.Module) else []


MADE_ANEW = ("__module__", "__dict__", "__weakref__", "__doc__")
LAYERS: list[type[Layer]] = [
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequence,
    SoftmaxCrossEntropy,
    SyncBatchNorm,
]
COUNTERPARTS: dict[type, type] = {layer.twin: layer for layer in LAYERS}
TWINS: dict[type, type] = {layer: layer.twin for layer in LAYERS}
SYNCHRONIZED: dict[type, type] = dict.fromkeys(
    (BatchNorm1d, BatchNorm2d, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm),
    SyncBatchNorm,
)
