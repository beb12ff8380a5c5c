"""Causes in dtypes, and in numbers that are not finite or not there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import torch

from ansnet.testing import rewriting
from ansnet.testing.causes import Cause
from ansnet.testing.diagnosis import Failure, Suspicion
from ansnet.testing.recognition.suspicions import (
    NEEDLESS,
    RAISES,
    WRONG,
    edited,
    key_of,
    title,
)
from ansnet.testing.signatures import parameters
from ansnet.testing.stand_ins import (
    is_old_style,
    with_arguments,
    with_gradients_cast,
)


def single_precision(failure: Failure) -> Iterator[Suspicion]:
    """float32, whatever the input is."""
    for owner, rule, source in failure.sources():
        edits = rewriting.in_its_own_precision(source)
        if mended := edited(failure, owner, rule, source, edits):
            stand_in, lines = mended
            cause = Cause(
                f"single precision {source.place()}",
                f"{title(rule, owner)} computes in float32, whatever it is given.",
                WRONG if failure.capability != "gradient dtypes" else NEEDLESS,
                "\n".join(lines[:2]),
                source.place(edits[0].node),
                failure.page,
            )
            yield Suspicion(cause, stand_in)


def cast_gradients(failure: Failure) -> Iterator[Suspicion]:
    """Gradients of another dtype than the input's."""
    if not re.search("returns a gradient of torch|dtype", failure.message):
        return
    for owner in failure.functions:
        rule = "forward" if is_old_style(owner) else "setup_context"
        name = _argument(owner, failure.message)
        cause = Cause(
            key_of("gradient of another dtype", owner),
            "The backward returns a gradient of another dtype than its input's, cast in silence.",
            NEEDLESS if failure.is_comparison else RAISES,
            f"ctx.dtype = {name}.dtype  # in {rule}\n"
            f"grad_{name} = grad_{name}.to(ctx.dtype)  # in backward, before it returns it",
            failure.place("backward", owner),
            failure.page,
        )
        yield Suspicion(cause, with_gradients_cast(owner))


def _argument(owner: Any, message: str) -> str:
    """The name of the argument whose gradient a message is about."""
    number = re.search(r"its argument (\d+)", message)
    names = [parameter.name for parameter in parameters(owner.apply) or []]
    return names[int(number[1])] if number and int(number[1]) < len(names) else "x"


def autocast(failure: Failure) -> Iterator[Suspicion]:
    """Under autocast a Function has to say what it computes in."""
    if "autocast" not in failure.capability:
        return
    for owner in failure.functions:
        sentence = f"{owner.__name__} does not say what it computes in under autocast."
        key, place = key_of("autocast", owner), failure.place("forward", owner)
        severity = RAISES if not failure.is_comparison else NEEDLESS

        def lowered(tensor: torch.Tensor) -> torch.Tensor:
            low = torch.is_autocast_enabled("cpu") and tensor.dtype in (torch.float32, *HALVES)
            return tensor.to(torch.get_autocast_dtype("cpu")) if low else tensor

        code = (
            'if torch.is_autocast_enabled("cpu"):  # in the function that calls apply\n'
            '    x = x.to(torch.get_autocast_dtype("cpu"))  # each tensor, unless in float64'
        )
        cause = Cause(key, sentence, severity, code, place, failure.page)
        yield Suspicion(cause, with_arguments(owner, lowered))


HALVES = (torch.float16, torch.bfloat16)


def infinity_times_zero(failure: Failure) -> Iterator[Suspicion]:
    """A product with a comparison, which makes NaN of ∞."""
    if failure.capability not in ("non finite values", "finite far away"):
        return
    for owner, rule, source in failure.sources():
        for opposite in (False, True):
            edits = rewriting.chosen(source, opposite)
            if mended := edited(failure, owner, rule, source, edits):
                stand_in, lines = mended
                cause = Cause(
                    f"infinity times zero {source.place()}",
                    f"{title(rule, owner)} multiplies by 0 to leave something out: ∞ · 0 is NaN.",
                    WRONG,
                    "\n".join(lines[:2]),
                    source.place(edits[0].node),
                    failure.page,
                )
                yield Suspicion(cause, stand_in)


def empty_division(failure: Failure) -> Iterator[Suspicion]:
    """Division by the length of an empty batch."""
    if failure.capability not in ("zero size batch", "second derivative of empty batches"):
        return
    for owner, rule, source in failure.sources():
        edits = rewriting.nothing_divided(source)
        if mended := edited(failure, owner, rule, source, edits):
            stand_in, lines = mended
            cause = Cause(
                f"empty division {source.place()}",
                f"{title(rule, owner)} divides by the number of examples, which may be 0.",
                WRONG if failure.is_comparison else RAISES,
                "\n".join(lines[:2]),
                source.place(edits[0].node),
                failure.page,
            )
            yield Suspicion(cause, stand_in)
