"""What all layers have in common: each stands in the place of one of `torch.nn`, for tools too."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ClassVar

from torch import nn
from torch.fx import Proxy


class Layer:
    """A layer that stands in for one of `torch.nn`, whose subclass it is as well.

    Attributes:
        twin: that class.
    """

    twin: ClassVar[type[nn.Module]]

    def __prepare_scriptable__(self) -> nn.Module:
        """What `torch.jit.script` takes instead: TorchScript knows no Function."""
        from ansnet.modules.conversion import to_torch  # which knows all layers

        assert isinstance(self, nn.Module)
        return to_torch(self)


def leaf(forward: Callable[..., Any]) -> Callable[..., Any]:
    """Let `torch.fx` record a call of the layer as one node, as it does with layers of `torch.nn`.

    It tells them by the name of the module that their class is from, and would else look inside.
    """

    @wraps(forward)
    def call(layer: Any, input: Any, *others: Any) -> Any:
        if isinstance(input, Proxy) and getattr(input.tracer, "root", layer) is not layer:
            path = input.tracer.path_of_module(layer)  # type: ignore[attr-defined]
            return input.tracer.create_proxy("call_module", path, (input, *others), {})
        return forward(layer, input, *others)

    return call
