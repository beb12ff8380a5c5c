"""What all layers have in common: each stands in the place of one of `torch.nn`, for tools too."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, ClassVar

import torch
from torch import nn
from torch.fx import Proxy

# The module in which the function is that a tool applies to each layer; docs/tools.md has the others
EXACT_CLASS = {
    "captum.attr._core.deep_lift": "Captum's DeepLift",
    "ptflops.pytorch_engine": "ptflops",
    "thop.profile": "thop",
    "torch_pruning.utils.op_counter": "Torch-Pruning's count_ops_and_params",
}


class ExactClassWarning(UserWarning):
    """A tool passes over layers that are subclasses of those it knows."""


class Layer:
    """A layer that stands in for one of `torch.nn`, whose subclass it is as well.

    Attributes:
        twin: that class.
        twin_forward: its ``forward``, as PyTorch has it.
    """

    twin: ClassVar[type[nn.Module]]
    twin_forward: ClassVar[Callable[..., Any]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "twin" in vars(cls):
            cls.twin_forward = cls.twin.forward

    def apply(self, fn: Callable[[nn.Module], Any]) -> Any:
        """As `nn.Module.apply`, and by it tools look at each layer in turn: who looks is known.

        Warns:
            ExactClassWarning: a tool that goes by the exact class, and would be wrong without a word.
        """
        asks = getattr(getattr(fn, "func", fn), "__module__", None)
        if asks in EXACT_CLASS and not any(True for _ in self.children()):  # type: ignore[attr-defined]
            self.warn_of(EXACT_CLASS[asks])
        return super().apply(fn)  # type: ignore[misc]

    @property
    def qconfig(self) -> Any:
        """How `torch.ao.quantization` is to quantise the layer; None for not at all."""
        if "qconfig" not in vars(self):
            raise AttributeError("qconfig")
        return vars(self)["qconfig"]

    @qconfig.setter
    def qconfig(self, value: Any) -> None:
        # quantize_dynamic, asked for nn.Linear, gives None to a layer of another class
        if value is not None or self.twin is nn.Linear:
            self.warn_of("torch.ao.quantization")
        vars(self)["qconfig"] = value

    @qconfig.deleter
    def qconfig(self) -> None:
        del vars(self)["qconfig"]

    def warn_of(self, tool: str) -> None:
        """Warn of a tool that would pass over the layer without a word."""
        warnings.warn(
            f"{tool} goes by the exact class of a layer, and passes over this {type(self).__name__}, a "
            f"subclass of {self.twin.__name__}; give it ansnet.modules.to_torch(network) instead",
            ExactClassWarning,
            stacklevel=3,
        )

    def __prepare_scriptable__(self) -> nn.Module:
        """Refuse to be scripted: by PyTorch's way of it, the network given would lose the layer.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(
            f"TorchScript knows no Function, as {type(self).__name__} calls one; give torch.jit.script "
            "ansnet.modules.to_torch(network), or record the network with torch.jit.trace"
        )


def leaf(forward: Callable[..., Any]) -> Callable[..., Any]:
    """A layer's ``forward`` as tools expect it of one of `torch.nn`.

    `torch.fx` records the call as one node: it tells layers by the name of the module that their class
    is from, and would else look inside. And an output that is hooked has a node with one gradient.
    """

    @wraps(forward)
    def call(layer: Any, *arguments: Any, **options: Any) -> Any:
        input = arguments[0] if arguments else options.get("input")
        if isinstance(input, Proxy) and getattr(input.tracer, "root", layer) is not layer:
            path = input.tracer.path_of_module(layer)  # type: ignore[attr-defined]
            return input.tracer.create_proxy("call_module", path, arguments, options)
        kind = type(layer)
        if kind.twin.forward is not kind.twin_forward:  # somebody has replaced it
            return kind.twin.forward(layer, *arguments, **options)
        z = forward(layer, *arguments, **options)
        return z.view_as(z) if layer._forward_hooks and is_one_of_several(z) else z

    return call


def is_one_of_several(z: Any) -> bool:
    """Whether a Function has returned more than z, as the mean and variance of batch normalisation.

    Who hooks a layer may hook the node of its output, too, and count on one gradient there (zennit).
    """
    if torch.compiler.is_compiling() or getattr(z, "grad_fn", None) is None:
        return False
    return len(z.grad_fn._input_metadata) > 1
