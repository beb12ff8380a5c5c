"""Causes in what a rule computes, and in what the second derivative sees of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch

from ansnet.testing import rewriting
from ansnet.testing.case import Stated
from ansnet.testing.causes import Cause
from ansnet.testing.diagnosis import Failure, Suspicion
from ansnet.testing.recognition.suspicions import (
    FORMULA,
    RAISES,
    SECOND,
    WRONG,
    certain,
    edited,
    key_of,
)
from ansnet.testing.stand_ins import (
    StandIn,
    differentiated_by_autograd,
    has_jvp,
    is_old_style,
    with_constant_outputs,
    with_intermediates_again,
)


def detached(failure: Failure) -> Iterator[Suspicion]:
    """A backward that the second derivative does not see through."""
    if failure.capability not in SECOND | {"saved tensors guarded", "inputs unchanged"}:
        return
    for owner in failure.functions:
        source = failure.source(owner, "backward")
        if source is None:
            continue
        edits = rewriting.attached(source)
        if mended := edited(failure, owner, "backward", source, edits):
            stand_in, lines = mended
            once = any("once_differentiable" in line for line in lines)
            cause = Cause(
                key_of("detached", owner),
                "The backward is marked as not differentiable, so that there is no second derivative."
                if once
                else "The backward leaves the graph, so that the second derivative misses a part.",
                RAISES if once else WRONG,
                "\n".join(lines[:3]),
                source.place(edits[-1].node if once else edits[0].node),
                failure.page,
            )
            yield Suspicion(cause, stand_in)
        node = rewriting.leaves_pytorch(source)
        if (
            node is not None
            and failure.is_comparison
            and failure.capability in ("gradgradcheck", "hessian")
        ):
            text = source.segment(node)
            cause = Cause(
                key_of("backward leaves PyTorch", owner),
                f"The backward computes “{text}” outside of PyTorch, where no derivative is recorded.",
                WRONG,
                "the same in PyTorch's operations",
                source.place(node),
                failure.page,
            )
            if failure.is_differentiated_rightly():
                yield Suspicion(cause)


def detached_function(failure: Failure) -> Iterator[Suspicion]:
    """A plain function of which a part is taken out of the graph."""
    if failure.capability not in FORMULA | SECOND | WITH_WRONG_GRADIENTS:
        return
    for owner, rule, source in failure.sources():
        edits = rewriting.attached(source) if owner is None else []
        if mended := edited(failure, owner, rule, source, edits):
            stand_in, lines = mended
            cause = Cause(
                f"detached {source.place()}",
                f"{rule} takes a part of itself out of the graph, so that its derivative is missing.",
                WRONG,
                "\n".join(lines[:3]),
                source.place(edits[0].node),
                failure.page,
            )
            yield Suspicion(cause, stand_in)


def saved_where_needed(failure: Failure) -> Iterator[Suspicion]:
    """Inputs saved only where a gradient is asked for; a transformation asks again, later."""
    if failure.capability not in SECOND:
        return
    for owner in failure.functions:
        rule = "forward" if is_old_style(owner) else "setup_context"
        source = failure.source(owner, rule)
        edits = rewriting.saved_in_any_case(source) if source else []
        if source and (mended := edited(failure, owner, rule, source, edits)):
            stand_in, lines = mended
            cause = Cause(
                key_of("saved where needed", owner),
                f"The {rule} saves an input only where its gradient is asked for, which may be later.",
                WRONG,
                "\n".join(lines[:2]),
                source.place(edits[0].node),
                failure.page,
            )
            yield Suspicion(cause, stand_in)


def intermediates(failure: Failure) -> Iterator[Suspicion]:
    """What is saved is neither an input nor an output, so that no graph leads from it to the input."""
    if failure.capability not in SECOND | {"saved tensors freed", "saved tensor hooks"}:
        return
    for owner in failure.functions:
        rule = "forward" if is_old_style(owner) else "setup_context"
        source = failure.source(owner, rule)
        if source is None:
            continue
        found = rewriting.saved_intermediates(source, failure.tensors_on_ctx(owner))
        if not found:
            continue
        names = list(dict.fromkeys(name for name, _ in found))
        inputs = ", ".join(source.parameters[1:]) if rule == "forward" else "*inputs"
        again = [
            f"{name} = {expression}  # in backward, again"
            if name != expression
            else f"{name}  # likewise"
            for name, expression in dict(found).items()
            if expression
        ]
        cause = Cause(
            key_of("intermediate", owner),
            f"The {rule} saves {', '.join(names)}, neither input nor output: a constant to the "
            "second derivative.",
            WRONG,
            "\n".join([f"ctx.save_for_backward({inputs})  # in {rule}", *again[:2]]),
            source.place(),
            failure.page,
        )
        yield Suspicion(cause, with_intermediates_again(owner))


def random_numbers(failure: Failure) -> Iterator[Suspicion]:
    """It draws random numbers."""
    if failure.capability not in ("deterministic", "checkpoint", "backward twice"):
        return

    def seeded(function: Callable[..., Any]) -> Callable[..., Any]:
        def with_seed(*args: Any, **kwargs: Any) -> Any:
            with torch.random.fork_rng():
                torch.manual_seed(0)
                return function(*args, **kwargs)

        return with_seed

    cause = Cause(
        f"random {failure.name}",
        "It draws random numbers: with the same seed before each call the row passes.",
        WRONG,
        f'check(…, not_applicable={{"{failure.capability}": "draws random numbers"}})  # if so meant',
        failure.function_place(),
        failure.page,
    )
    yield Suspicion(cause, StandIn(function=seeded))


def constant_outputs(failure: Failure) -> Iterator[Suspicion]:
    """Outputs that do not change with the inputs, although the backward says that they do."""
    if not failure.is_comparison or failure.capability not in FORMULA | SECOND | {"forward mode"}:
        return
    if isinstance(failure.case.reference, Stated):
        return  # whose it is meant to be has been said
    constant = failure.constant_outputs()
    if len(constant) and all(constant):
        yield Suspicion(
            Cause(
                f"surrogate {failure.name}",
                "The forward is constant around the sample, the gradient not 0: a surrogate's?",
                WRONG,
                "check(…, derivative=lambda x: x)  # the function whose derivative it is meant to be",
                failure.place(),
                failure.page,
            )
        )
    elif any(constant):
        for owner in failure.functions:
            indices = [index for index, fixed in enumerate(constant) if fixed]
            listed = ", ".join(f"output[{index}]" for index in indices)
            cause = Cause(
                key_of("differentiable", owner),
                f"{listed} does not change with the input, but is not marked so.",
                WRONG,
                f"ctx.mark_non_differentiable({listed})  # in "
                f"{'forward' if is_old_style(owner) else 'setup_context'}",
                failure.place("forward", owner),
                failure.page,
            )
            yield Suspicion(cause, with_constant_outputs(owner, indices))


# They compare with the reference, too: what is wrong in *gradients* is so there.
WITH_WRONG_GRADIENTS = {"uses its arguments", "dtypes", "devices"}


def formula(failure: Failure) -> Iterator[Suspicion]:
    """A rule that is not the derivative; PyTorch's own derivative of the forward passes."""
    if not failure.is_comparison:
        return
    for owner in failure.functions:
        states_two = failure.capability == "forward mode" and has_jvp(owner)
        if states_two and failure.is_differentiated_rightly():
            yield certain(
                failure,
                "wrong jvp",
                owner,
                "The jvp is not the derivative; the backward is.",
                WRONG,
                "# ⟨grad_z, jvp(dx)⟩ = ⟨backward(grad_z), dx⟩ for every grad_z and dx",
                "jvp",
            )
        right = failure.gradients_are_those_with(differentiated_by_autograd(owner))
        if failure.capability not in FORMULA | (set() if right else WITH_WRONG_GRADIENTS):
            continue
        if not right or failure.capability in ("gradients", "gradcheck"):
            key, sentence = (
                "wrong backward",
                "The backward does not return the derivative of the forward.",
            )
        elif failure.capability in SECOND:
            key, sentence = "second derivative", "The backward is right, but its own derivative is not."
        elif failure.capability == "subsets of gradients":
            key = "subset"
            sentence = "The backward returns other gradients where not all of them are asked for."
        else:
            key = f"backward {failure.capability}"
            sentence = "The backward loses the number on its way; the forward's own derivative has it."
        plain = "forward, without ctx," if is_old_style(owner) else f"{owner.__name__}.forward"
        cause = Cause(
            key_of(key, owner),
            sentence,
            WRONG,
            f"# {plain} as a plain function passes: compare the derivatives",
            failure.place("backward", owner),
            failure.page,
        )
        yield Suspicion(cause, differentiated_by_autograd(owner))
