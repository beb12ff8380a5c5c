"""What the operations' Functions have in common: every transformation of PyTorch may meet them.

An operation states two derivatives. ``backward`` maps the output's gradient to the inputs'
(reverse mode: training); ``jvp`` maps the inputs' tangents to the output's (forward mode:
`torch.func.jvp`, `torch.func.hessian`). The one is the transpose of the other.

Both, like ``forward``, are tensor expressions. So `torch.vmap` can be generated from them
(``generate_vmap_rule``), and they are themselves differentiable: second derivatives follow. That
holds as long as what depends on an input and is needed later goes through
``ctx.save_for_backward`` and ``ctx.save_for_forward``: a tensor kept on ``ctx`` passes for a constant.

Source: PyTorch, *Extending PyTorch* and *Extending torch.func with autograd.Function*.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import signature
from typing import Any

import torch
import torch.nn.functional as F
from torch.autograd import forward_ad
from torch.overrides import _get_current_function_mode_stack
from torch.utils._device import DeviceContext


def compilable(function: type[torch.autograd.Function]) -> Callable[..., Any]:
    """``function.apply``, for `torch.compile` too.

    What is compiled meets a Function in two ways, and PyTorch's tracer (2.11 to 2.15) is right in
    neither. It refuses a Function that states a ``jvp``, although it compiles reverse mode: so it is
    given a twin without one. A tensor in two places it refuses too, or drops the gradient of one of
    them (2.11): so the second is another view. And under a transformation of `torch.func` inside of
    what is compiled it forgets the stated derivatives, in silence, and differentiates the forward's own
    expression (PyTorch's issues 192985 and 193279; on 2.15 where transformations are nested). There the
    call is opaque to the tracer: it stands in the graph as one node, and the rules are followed when
    the graph is differentiated.

    Inside of what is compiled, call the operation, `ansnet.functional.relu`, not ``ReLU.apply``.
    """
    rules = {name: staticmethod(getattr(function, name)) for name in REVERSE_MODE}
    without_jvp: Any = type(function.__name__, (torch.autograd.Function,), rules)
    without_jvp.generate_vmap_rule = function.generate_vmap_rule
    forward: Any = function.forward
    forward.__signature__ = signature(forward)  # which PyTorch would look up at each call

    def opaque(*arguments: Any) -> Any:
        return function.apply(*arguments)

    torch.compiler.allow_in_graph(opaque)

    def apply(*arguments: Any) -> Any:
        if torch._C._are_functorch_transforms_active():
            return opaque(*arguments)
        if torch.compiler.is_dynamo_compiling():
            return without_jvp.apply(*each_another(arguments))
        if is_inference(arguments):
            return function.forward(*arguments)
        return function.apply(*arguments)

    return apply


def is_inference(arguments: tuple[Any, ...]) -> bool:
    """Whether nobody will ask for a derivative: then the formula itself is called, which is quicker.

    In what is compiled nothing depends on it.
    """
    if torch.compiler.is_compiling() or torch.is_grad_enabled() or forward_ad._current_level >= 0:
        return False
    return not any(isinstance(one, torch.Tensor) and may_be_batched(one) for one in arguments)


def each_another(arguments: tuple[Any, ...]) -> list[Any]:
    """The arguments, each tensor that has stood before as a view of itself."""
    others: list[Any] = []
    for argument in arguments:
        again = isinstance(argument, torch.Tensor) and any(argument is other for other in others)
        others.append(argument.view_as(argument) if again else argument)
    return others


def calls_for_operator(*tensors: torch.Tensor | None, same_gradient: bool = True) -> bool:
    """Whether PyTorch's operator is asked for by its name, and not the formula that stands in for it.

    So it is in what is exported (`torch.export`, ONNX) or recorded by TorchScript: such a graph holds
    operators of PyTorch's and no Function, and who reads it knows those and not our arrangement of
    them. And so it is for a tensor that has a say in what PyTorch's functions do with it, by a
    ``__torch_function__`` of its own: quantised weights, and what `torch.fx` traces. And where somebody
    has put another in the place of PyTorch's functions, to be told of each call: counters of operations
    do (calflops, DeepSpeed), and recorders (TorchLens).

    Args:
        tensors: the operation's.
        same_gradient: the operator has the formula's gradient. Else it is not called for a counter.
    """
    return is_exported() or (same_gradient and are_replaced()) or any(map(has_a_say, tensors))


def are_replaced() -> bool:
    """Whether PyTorch's functions are others than at import, for a while or for good (TorchLens).

    By a `TorchFunctionMode` they are, too, which is told of each call, and may answer it.
    """
    if torch.compiler.is_compiling():
        return False
    if has_function_mode():
        return True
    now = functions()
    return now != FUNCTIONS


def functions() -> tuple[Any, ...]:
    """PyTorch's, those that they call too."""
    of_networks = F.conv2d, F.relu, F.max_pool2d, F.linear, F.batch_norm, F.cross_entropy
    return *of_networks, torch.relu, torch.max_pool2d, torch.batch_norm


def has_function_mode() -> bool:
    """Whether a `TorchFunctionMode` is on, other than that of ``with torch.device(…)``."""
    if not torch._C._len_torch_function_stack():
        return False
    return any(not isinstance(mode, DeviceContext) for mode in _get_current_function_mode_stack())


def is_exported() -> bool:
    """Whether what runs is being made a graph of PyTorch's operators, by an exporter or TorchScript."""
    traced: bool = torch.jit.is_tracing()  # type: ignore[no-untyped-call,attr-defined]
    return torch.compiler.is_exporting() or traced


def has_a_say(tensor: torch.Tensor | None) -> bool:
    """Whether the class of a tensor has a ``__torch_function__`` of its own."""
    kind = type(tensor)
    if tensor is None or kind is torch.Tensor or kind is torch.nn.Parameter:
        return False
    function = getattr(kind, "__torch_function__", None)
    own = getattr(function, "__func__", function)
    return own not in (None, EVERY_TENSORS, torch._C._disabled_torch_function_impl)


def only_numbers(*tensors: torch.Tensor) -> bool:
    """Whether the tensors' values are all that is asked for, so that memory may be written to.

    Not so where autograd records (second derivatives), under a transformation of `torch.func`, in a
    compiler's trace, where each operation is reported to a mode (a counter of them), or for tensors of
    another kind, such as an export's or a batch of gradients.
    """
    if torch.is_grad_enabled() or is_transformed() or torch._C._len_torch_dispatch_stack():
        return False
    if forward_ad._current_level >= 0:  # tensors may have tangents
        return False
    kinds = torch.Tensor, torch.nn.Parameter
    return all(type(tensor) in kinds and not may_be_batched(tensor) for tensor in tensors)


def may_be_batched(tensor: torch.Tensor) -> bool:
    """Whether a tensor may stand for a batch, of `torch.vmap` or of autograd's ``is_grads_batched``."""
    if torch._C._are_functorch_transforms_active():
        return True
    legacy: bool = torch._C._functorch.is_legacy_batchedtensor(tensor)
    return legacy


def is_transformed() -> bool:
    """Whether this runs in a compiler's trace or under a transformation of `torch.func`."""
    return torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()


def as_new(z: torch.Tensor) -> torch.Tensor:
    """What a Function's forward has made, with no trace of its being a view of something else it made.

    For autograd refuses writing in place to a view that a Function returns, as
    ``nn.ReLU(inplace=True)`` would behind a batch normalisation.
    """
    return z.clone() if torch._C._are_functorch_transforms_active() else z.data


def save(
    ctx: Any, for_backward: Sequence[torch.Tensor | None], for_forward: Sequence[torch.Tensor | None]
) -> None:
    """Save for both modes, without the Nones: who looks at a graph expects tensors (torchviz)."""
    ctx.for_backward, ctx.for_forward = map(are_given, (for_backward, for_forward))
    ctx.save_for_backward(*(tensor for tensor in for_backward if tensor is not None))
    ctx.save_for_forward(*(tensor for tensor in for_forward if tensor is not None))


def are_given(tensors: Sequence[torch.Tensor | None]) -> tuple[bool, ...]:
    return tuple(tensor is not None for tensor in tensors)


def saved(ctx: Any, given: tuple[bool, ...]) -> list[Any]:
    """What `save` was given: by ``ctx.for_backward``, or in ``jvp`` by ``ctx.for_forward``."""
    tensors = list(ctx.saved_tensors)
    return [tensors.pop(0) if is_given else None for is_given in given]


def where_needed(needed: bool, tensor: torch.Tensor) -> torch.Tensor | None:
    """The tensor, for `save`, or None where the backward will not read it.

    Under a transformation it is always saved. The batching rule that PyTorch generates (2.11 to 2.15)
    knows the batch axes of one list only, of what was saved last, and takes it for both: for the
    backward and for forward mode. So the two have to hold the same.
    """
    return tensor if needed or torch._C._are_functorch_transforms_active() else None


def first_derivative_only(*tensors: torch.Tensor | None) -> bool:
    """Whether no transformation but autograd's is under way, and no tensor has a tangent."""
    if is_transformed():
        return False
    given = (tensor for tensor in tensors if tensor is not None)
    return all(forward_ad.unpack_dual(tensor).tangent is None for tensor in given)


EVERY_TENSORS = torch.Tensor.__dict__["__torch_function__"].__func__
REVERSE_MODE = ("forward", "setup_context", "backward")
FUNCTIONS = functions()
