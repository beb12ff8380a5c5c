"""Causes in how memory is written to, kept and laid out."""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch

from ansnet.testing import rewriting
from ansnet.testing.causes import Cause
from ansnet.testing.diagnosis import Failure, Suspicion
from ansnet.testing.recognition.suspicions import (
    LAYOUTS,
    NEEDLESS,
    RAISES,
    WRONG,
    edited,
    first_line,
    key_of,
    title,
)
from ansnet.testing.stand_ins import (
    both,
    is_old_style,
    with_arguments,
    with_gradients,
    with_inputs_marked_dirty,
    with_saved_copies,
    with_tensors_saved,
)


def views(failure: Failure) -> Iterator[Suspicion]:
    """``view`` of what is not contiguous."""
    if "view size is not compatible" not in failure.message:
        return
    place, line = failure.raised_at()
    for owner, rule, source in failure.sources():
        if mended := edited(failure, owner, rule, source, rewriting.reshaped(source)):
            stand_in, lines = mended
            own = [code for code in lines if line.replace(".view(", ".reshape(") == code]
            cause = Cause(
                f"view {place}",
                f"{title(rule, owner)} views a tensor that is not contiguous; reshape copies it.",
                RAISES,
                "\n".join((own or lines)[:2]),
                place or source.place(),
                failure.page,
            )
            yield Suspicion(cause, stand_in)


def gradient_written_to(failure: Failure) -> Iterator[Suspicion]:
    """A backward that changes the gradient it is given."""
    for owner in failure.functions:
        source = failure.source(owner, "backward")
        written = list(rewriting.written_parameters(source)) if source else []
        if not written or source is None:
            continue
        name, node = written[0]
        cause = Cause(
            key_of("gradient written to", owner),
            f"The backward writes to {name}, which belongs to whoever gave it.",
            WRONG if failure.is_comparison else RAISES,
            f"{name} = {name}.clone()  # before “{first_line(source.segment(node))}”",
            source.place(node),
            failure.page,
        )
        yield Suspicion(cause, with_gradients(owner, torch.clone))


def input_written_to(failure: Failure) -> Iterator[Suspicion]:
    """A forward, or a backward, that changes an input."""
    message = failure.message
    writes = failure.capability == "inputs unchanged" or re.search("in-place|inplace", message)
    for owner in failure.functions if writes else ():
        forward = failure.source(owner, "forward")
        written = list(rewriting.written_parameters(forward)) if forward else []
        place = forward.place(written[0][1]) if written and forward else failure.place("forward", owner)
        key = key_of("input written to", owner)
        sentence = "The forward writes to its input and does not say so."
        if written:
            name = written[0][0]
            code = (
                f"ctx.mark_dirty({name})  # in {'forward' if is_old_style(owner) else 'setup_context'}"
            )
            cause = Cause(key, sentence, WRONG, code, place, failure.page)
            yield Suspicion(cause, with_inputs_marked_dirty(owner))
        if "the forward changed" in message:
            code = f"{owner.__name__}.apply(x.clone())  # or out of place: x.pow(3) for x.pow_(3)"
            cause = Cause(key, "The forward writes to its input.", WRONG, code, place, failure.page)
            yield Suspicion(cause, with_arguments(owner, torch.clone))
        if "the backward changed" in message:
            cause = Cause(
                key_of("saved written to", owner),
                "The backward writes to a tensor that the forward saved.",
                WRONG,
                "x = x.clone()  # of ctx.saved_tensors, before it is written to",
                failure.place("backward", owner),
                failure.page,
            )
            yield Suspicion(cause, with_saved_copies(owner))


def not_marked_dirty(failure: Failure) -> Iterator[Suspicion]:
    """An in-place Function without `mark_dirty`."""
    for owner in failure.functions if failure.capability not in LAYOUTS else ():
        forward = failure.source(owner, "forward")
        written = list(rewriting.written_parameters(forward)) if forward else []
        texts = [source.text for _, _, source in failure.sources()]
        if not written or forward is None or any("mark_dirty" in text for text in texts):
            continue
        name, node = written[0]
        code = f"ctx.mark_dirty({name})  # in {'forward' if is_old_style(owner) else 'setup_context'}"
        sentence = f"The forward writes to {name} and does not say so."
        cause = Cause(
            key_of("not dirty", owner), sentence, WRONG, code, forward.place(node), failure.page
        )
        yield Suspicion(cause, with_inputs_marked_dirty(owner))


def tensors_on_ctx(failure: Failure) -> Iterator[Suspicion]:
    """Tensors set on ``ctx``, past ``save_for_backward``."""
    for owner in failure.functions:
        rule = "forward" if is_old_style(owner) else "setup_context"
        source = failure.source(owner, rule)
        names = failure.tensors_on_ctx(owner)
        if not names:
            continue
        lines = dict(rewriting.set_on_ctx(source)) if source else {}
        node = next((lines[name] for name in names if name in lines), None)
        listed = ", ".join(f"ctx.{name}" for name in names)
        unpacked = ", ".join(names) if len(names) > 1 else f"({names[0]},)"
        code = (
            f"ctx.save_for_backward({', '.join(names)})  # in {rule}\n"
            f"{unpacked} = ctx.saved_tensors  # in backward"
        )
        wrong = failure.capability not in (
            "saved tensors freed",
            "saved tensor hooks",
            "no memory growth",
        )
        cause = Cause(
            key_of("on ctx", owner),
            f"Tensors are kept as {listed}, where autograd neither frees nor guards them.",
            WRONG if wrong else NEEDLESS,
            code,
            source.place(node) if source and node else failure.place(rule, owner),
            failure.page,
        )
        yield Suspicion(cause, with_tensors_saved(owner))


def format_lost(failure: Failure) -> Iterator[Suspicion]:
    """Channels-last images that come out in another order."""
    if failure.capability != "channels last" or not failure.is_comparison:
        return
    for owner, rule, source in failure.sources():
        edits = rewriting.in_its_own_format(source)
        if mended := edited(failure, owner, rule, source, edits):
            stand_in, lines = mended
            cause = Cause(
                f"format lost {source.place()}",
                f"{title(rule, owner)} copies channels-last images into another order.",
                NEEDLESS,
                "\n".join(lines[:2]),
                source.place(edits[0].node),
                failure.page,
            )
            yield Suspicion(cause, stand_in)


def contiguous(failure: Failure) -> Iterator[Suspicion]:
    """Strides taken for granted."""
    if failure.capability not in LAYOUTS | {"compile", "compile dynamic shapes", "gradcheck"}:
        return
    severity = WRONG if failure.is_comparison else RAISES

    def dense(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.contiguous()

    for owner in failure.functions:
        source = failure.source(owner, "backward")
        names = source.parameters[1:] if source else ["grad_z"]
        gradient = f"{names[0]} = {names[0]}.contiguous()  # first in backward"
        argument = f"{owner.__name__}.apply(x.contiguous())  # in the function that calls it"
        tries = (
            ("gradient", "backward", "gradient", gradient, with_gradients(owner, dense)),
            ("input", "forward", "input", argument, with_arguments(owner, dense)),
            (
                "gradient",
                "backward",
                "gradient, and the forward its input,",
                f"{gradient}\n{argument}",
                both(with_gradients(owner, dense), with_arguments(owner, dense)),
            ),
        )
        for key, rule, what, code, stand_in in tries:
            cause = Cause(
                key_of(f"contiguous {key}", owner),
                f"The {rule} takes its {what} for contiguous.",
                severity,
                code,
                failure.place(rule, owner),
                failure.page,
            )
            yield Suspicion(cause, stand_in)


def unneeded_gradients(failure: Failure) -> Iterator[Suspicion]:
    """All gradients, whoever asks."""
    if failure.capability != "needless work":
        return
    for owner in failure.functions:
        source = failure.source(owner, "backward")
        if source is None:
            continue
        edits = rewriting.as_needed(source)
        if mended := edited(failure, owner, "backward", source, edits):
            stand_in, lines = mended
            cause = Cause(
                key_of("needs_input_grad", owner),
                "The backward computes gradients that nobody asked for.",
                NEEDLESS,
                "\n".join(lines[:3]),
                source.place(),
                failure.page,
            )
            yield Suspicion(cause, stand_in)
