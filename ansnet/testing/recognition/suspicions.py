"""What the recognisers share: groups of rows, and ways to state a suspicion."""

from __future__ import annotations

from typing import Any

from ansnet.testing.causes import Cause, Severity
from ansnet.testing.diagnosis import Failure, Suspicion
from ansnet.testing.sources import Source, place_of, source_of
from ansnet.testing.stand_ins import (
    StandIn,
    with_edits,
)

WRONG, RAISES, NEEDLESS = Severity.WRONG, Severity.RAISES, Severity.NEEDLESS
SECOND = {
    "gradgradcheck",
    "hessian",
    "jacobian",
    "gradient through vmap",
    "second derivative of empty batches",
    "compiled transformations",
    "per sample gradients",
}
LAYOUTS = {
    "channels last",
    "strided views",
    "expanded views",
    "negative views",
    "gradients of stride 0",
    "strided gradients",
}
FORMULA = {
    "gradients",
    "gradcheck",
    "gradgradcheck",
    "jacobian",
    "hessian",
    "subsets of gradients",
    "linear in the upstream gradient",
    "accuracy",
    "non finite values",
    "finite far away",
}


def certain(
    failure: Failure,
    key: str,
    owner: Any,
    sentence: str,
    severity: Severity,
    code: str,
    rule: str = "backward",
) -> Suspicion:
    place = failure.place(rule, owner)
    return Suspicion(Cause(key_of(key, owner), sentence, severity, code, place, failure.page))


def key_of(key: str, owner: Any) -> str:
    return f"{key} {owner.__qualname__}"


def class_place(failure: Failure, owner: Any) -> str:
    return place_of(owner) or failure.place("forward", owner)


def title(rule: str, owner: Any) -> str:
    return rule if owner is None else f"The {rule}"


def first_line(text: str) -> str:
    return text.splitlines()[0]


def edited(
    failure: Failure, owner: Any, rule: str, source: Source, edits: list[Any]
) -> tuple[StandIn, list[str]] | None:
    """The Function, or the function under test, with other text."""
    if owner is not None:
        return with_edits(owner, rule, edits)
    if not edits or source_of(failure.function) is None:
        return None
    try:
        code, lines = source.edited(edits)
    except Exception:
        return None
    return StandIn(function=lambda _: code), lines
