"""Functions with one thing mended, to see whether a row passes with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from ansnet.testing.case import Case, Function
from ansnet.testing.preparation import OnCopies
from ansnet.testing.sources import Edit, source_of

Code = Callable[..., Any]
RULES = ("forward", "setup_context", "backward", "jvp", "vmap")


@dataclass(frozen=True)
class StandIn:
    """What to put in the place of parts of a Function, or of the function under test.

    Attributes:
        owner: the Function; None where only the function is another.
        attributes: of the Function, by name.
        function: makes another of the function under test.
    """

    owner: Any = None
    attributes: tuple[tuple[str, Any], ...] = ()
    function: Callable[[Function], Function] | None = None

    @contextmanager
    def standing_in(self, case: Case) -> Iterator[Case]:
        """The case as it is with it."""
        with ExitStack() as stack:
            for name, value in self.attributes:
                stack.enter_context(mock.patch.object(self.owner, name, value))
            yield replace(case, function=self._instead_of(case.function)) if self.function else case

    def _instead_of(self, function: Function) -> Function:
        if isinstance(function, OnCopies):
            return OnCopies(self._instead_of(function.function), function.places, function.returned)
        return self.function(function) if self.function else function


def own_function(case: Case) -> Function:
    """The function under test as it was given, without what gives it copies."""
    function = case.function
    return function.function if isinstance(function, OnCopies) else function


def is_old_style(owner: Any) -> bool:
    """Whether a Function's forward takes ``ctx``: it has no `setup_context`."""
    return bool(owner.setup_context == torch.autograd.Function.setup_context)


def has_jvp(owner: Any) -> bool:
    """Whether a Function has a rule of forward mode."""
    return bool(owner.jvp != torch.autograd.Function.jvp)


def has_vmap_rule(owner: Any) -> bool:
    """Whether a Function can be batched."""
    return bool(owner.generate_vmap_rule or owner.vmap != torch.autograd.Function.vmap)


def each_tensor(change: Callable[[Tensor], Tensor], values: Sequence[Any]) -> list[Any]:
    """The values, tensors among them changed."""
    return [change(value) if isinstance(value, Tensor) else value for value in values]


def with_rule(owner: Any, rule: str, code: Code) -> StandIn:
    """A Function with another rule, or with several."""
    return StandIn(owner, ((rule, staticmethod(code)),))


def with_gradients(owner: Any, change: Callable[[Tensor], Tensor]) -> StandIn:
    """A Function whose backward is given changed gradients."""
    backward = owner.backward
    return with_rule(owner, "backward", lambda ctx, *grads: backward(ctx, *each_tensor(change, grads)))


def with_arguments(owner: Any, change: Callable[[Tensor], Tensor]) -> StandIn:
    """A Function that is applied to changed tensors, which autograd sees."""
    original = owner.apply

    def apply(*arguments: Any) -> Any:
        return original(*each_tensor(change, arguments))

    return StandIn(owner, (("apply", staticmethod(apply)),), _for_apply_of(owner, apply))


def _for_apply_of(owner: Any, apply: Function) -> Callable[[Function], Function]:
    """Another in the place of the ``apply`` of a Function, where this is what is under test."""
    return lambda function: apply if getattr(function, "__self__", None) is owner else function


def both(one: StandIn, other: StandIn) -> StandIn:
    """Two of the same Function together."""
    return StandIn(one.owner, one.attributes + other.attributes, one.function or other.function)


def differentiated_by_autograd(owner: Any) -> StandIn:
    """The forward as a plain function, of which PyTorch takes the derivative."""

    def plain(*arguments: Any) -> Any:
        if is_old_style(owner):
            return owner.forward(Context(None), *arguments)
        return owner.forward(*arguments)

    return StandIn(owner, (("apply", staticmethod(plain)),), _for_apply_of(owner, plain))


class Context:
    """Stands for ``ctx``: keeps what is saved, asks the real one for all else."""

    def __init__(self, real: Any) -> None:
        self.__dict__["real"] = real
        self.__dict__["saved_tensors"] = ()

    def save_for_backward(self, *tensors: Any) -> None:
        self.__dict__["saved_tensors"] = tensors

    @property
    def noted(self) -> dict[str, Any]:
        """What was set on it."""
        return {name: v for name, v in vars(self).items() if name not in ("real", "saved_tensors")}

    def __getattr__(self, name: str) -> Any:
        real = self.__dict__["real"]
        if real is not None:
            return getattr(real, name)
        if name in ("mark_dirty", "mark_non_differentiable", "save_for_forward"):
            return lambda *_: None
        if name == "set_materialize_grads":
            return lambda _: None
        if name == "needs_input_grad":
            return [True] * 99  # more than there are arguments
        raise AttributeError(name)


Store = Callable[[Any, Context, Sequence[Any]], None]
Restore = Callable[[Any], Any]


def with_context(owner: Any, store: Store, restore: Restore) -> StandIn:
    """A Function whose ``ctx`` is filled, and read, in another way."""
    forward, setup_context, backward = owner.forward, owner.setup_context, owner.backward

    def old_forward(ctx: Any, *arguments: Any) -> Any:
        own = Context(ctx)
        output = forward(own, *arguments)
        store(ctx, own, arguments)
        return output

    def new_setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        own = Context(ctx)
        setup_context(own, inputs, output)
        store(ctx, own, inputs)

    first = ("forward", old_forward) if is_old_style(owner) else ("setup_context", new_setup_context)
    rules = (first, ("backward", lambda ctx, *grads: backward(restore(ctx), *grads)))
    return StandIn(owner, tuple((name, staticmethod(code)) for name, code in rules))


def with_saved_copies(owner: Any) -> StandIn:
    """A Function whose backward is given copies of the saved tensors."""

    def restore(ctx: Any) -> Any:
        own = Context(ctx)
        own.save_for_backward(*each_tensor(torch.clone, ctx.saved_tensors))
        return own

    backward = owner.backward
    return with_rule(owner, "backward", lambda ctx, *grads: backward(restore(ctx), *grads))


def with_tensors_saved(owner: Any) -> StandIn:
    """A Function that gives to ``save_for_backward`` the tensors that it sets on ``ctx``."""

    def store(ctx: Any, own: Context, _: Sequence[Any]) -> None:
        tensors = {name: v for name, v in own.noted.items() if isinstance(v, Tensor)}
        ctx.save_for_backward(*own.saved_tensors, *tensors.values())
        ctx.rest = {name: v for name, v in own.noted.items() if name not in tensors}
        ctx.names = list(tensors)

    def restore(ctx: Any) -> Context:
        own, saved = Context(ctx), ctx.saved_tensors
        count = len(saved) - len(ctx.names)
        own.save_for_backward(*saved[:count])
        vars(own).update(ctx.rest, **dict(zip(ctx.names, saved[count:], strict=True)))
        return own

    return with_context(owner, store, restore)


def with_intermediates_again(owner: Any) -> StandIn:
    """A Function that saves its inputs alone, and computes all else from them in the backward."""
    forward, setup_context = owner.forward, owner.setup_context

    def store(ctx: Any, _: Context, arguments: Sequence[Any]) -> None:
        ctx.save_for_backward(*(value for value in arguments if isinstance(value, Tensor)))
        ctx.rest = [None if isinstance(value, Tensor) else value for value in arguments]
        ctx.places = [index for index, value in enumerate(arguments) if isinstance(value, Tensor)]

    def restore(ctx: Any) -> Context:
        own, arguments = Context(ctx), list(ctx.rest)
        for place, tensor in zip(ctx.places, ctx.saved_tensors, strict=True):
            arguments[place] = tensor
        marks = ("mark_dirty", "mark_non_differentiable", "save_for_forward")
        vars(own).update(dict.fromkeys(marks, lambda *_: None))
        if is_old_style_of(setup_context):
            forward(own, *arguments)
        else:
            setup_context(own, tuple(arguments), forward(*arguments))
        return own

    return with_context(owner, store, restore)


def is_old_style_of(setup_context: Code) -> bool:
    """Whether it is the rule that a Function without one inherits."""
    return setup_context == torch.autograd.Function.setup_context


def with_gradients_cast(owner: Any) -> StandIn:
    """A Function whose backward casts each gradient to the dtype of its input."""
    forward, setup_context, backward = owner.forward, owner.setup_context, owner.backward

    def note(ctx: Any, arguments: Sequence[Any]) -> None:
        ctx.dtypes_of_inputs = [getattr(value, "dtype", None) for value in arguments]

    def old_forward(ctx: Any, *arguments: Any) -> Any:
        note(ctx, arguments)
        return forward(ctx, *arguments)

    def new_setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        note(ctx, inputs)
        setup_context(ctx, inputs, output)

    def cast_backward(ctx: Any, *grads: Any) -> Any:
        result = backward(ctx, *grads)
        returned = result if isinstance(result, tuple) else (result,)
        dtypes = [*ctx.dtypes_of_inputs, *[None] * len(returned)]
        pairs = zip(returned, dtypes, strict=False)
        return tuple(g.to(dtype) if isinstance(g, Tensor) and dtype else g for g, dtype in pairs)

    first = ("forward", old_forward) if is_old_style(owner) else ("setup_context", new_setup_context)
    rules = (first, ("backward", cast_backward))
    return StandIn(owner, tuple((name, staticmethod(code)) for name, code in rules))


def with_inputs_marked_dirty(owner: Any) -> StandIn:
    """A Function that declares the inputs that its forward writes to."""
    forward, setup_context = owner.forward, owner.setup_context
    changed: list[Tensor] = []

    def watched(arguments: Sequence[Any], run: Callable[[], Any]) -> Any:
        tensors = [value for value in arguments if isinstance(value, Tensor)]
        before = [tensor._version for tensor in tensors]
        output = run()
        pairs = zip(tensors, before, strict=True)
        changed[:] = [tensor for tensor, version in pairs if tensor._version != version]
        return output

    def old_forward(ctx: Any, *arguments: Any) -> Any:
        output = watched(arguments, lambda: forward(ctx, *arguments))
        ctx.mark_dirty(*changed)
        return output

    def new_forward(*arguments: Any) -> Any:
        return watched(arguments, lambda: forward(*arguments))

    def new_setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        setup_context(ctx, inputs, output)
        ctx.mark_dirty(*changed)

    if is_old_style(owner):
        return with_rule(owner, "forward", old_forward)
    rules = (("forward", new_forward), ("setup_context", new_setup_context))
    return StandIn(owner, tuple((name, staticmethod(code)) for name, code in rules))


def with_constant_outputs(owner: Any, indices: Sequence[int]) -> StandIn:
    """A Function of which some outputs are marked as not differentiable."""
    forward, setup_context = owner.forward, owner.setup_context

    def mark(ctx: Any, output: Any) -> None:
        ctx.mark_non_differentiable(*(output[index] for index in indices))

    def old_forward(ctx: Any, *arguments: Any) -> Any:
        output = forward(ctx, *arguments)
        mark(ctx, output)
        return output

    def new_setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        setup_context(ctx, inputs, output)
        mark(ctx, output)

    if is_old_style(owner):
        return with_rule(owner, "forward", old_forward)
    return with_rule(owner, "setup_context", new_setup_context)


def with_generated_vmap(owner: Any) -> StandIn:
    """A Function that leaves its batching to PyTorch."""
    default = staticmethod(torch.autograd.Function.vmap)
    return StandIn(owner, (("generate_vmap_rule", True), ("vmap", default)))


def with_edits(owner: Any, rule: str, edits: Sequence[Edit]) -> tuple[StandIn, list[str]] | None:
    """A Function with other text in a rule, and the lines that changed; None where it cannot be so."""
    source = source_of(getattr(owner, rule))
    if source is None or not edits:
        return None
    try:
        code, lines = source.edited(edits)
    except Exception:  # whatever compiling it, and its decorators, raise
        return None
    return with_rule(owner, rule, code), lines
