"""Causes that a Function lacks a rule, or that a rule is not one that PyTorch takes."""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch

from ansnet.testing import rewriting
from ansnet.testing.causes import Cause
from ansnet.testing.diagnosis import Failure, Suspicion
from ansnet.testing.recognition.suspicions import (
    NEEDLESS,
    RAISES,
    WRONG,
    certain,
    class_place,
    edited,
    key_of,
    title,
)
from ansnet.testing.signatures import parameters, shown
from ansnet.testing.sources import place_of
from ansnet.testing.stand_ins import (
    StandIn,
    has_jvp,
    has_vmap_rule,
    is_old_style,
    with_generated_vmap,
    with_rule,
)


def no_setup_context(failure: Failure) -> Iterator[Suspicion]:
    """``forward(ctx, …)``, which `torch.func` does not take."""
    if "must override the setup_context" not in failure.message:
        return
    for owner in filter(is_old_style, failure.functions):
        source = failure.source(owner, "forward")
        inputs = ", ".join(source.parameters[1:] if source else ["x"])
        taken = ", ".join(map(shown, parameters(owner.apply) or [])) or inputs
        code = [
            f"def forward({taken}): …  # without ctx",
            f"def setup_context(ctx, inputs, output): …  # what forward did with ctx; "
            f"{inputs if ',' in inputs else f'({inputs},)'} = inputs",
        ]
        if not has_vmap_rule(owner):
            code.append("generate_vmap_rule = True  # for vmap")
        if not has_jvp(owner):
            code.append("def jvp(ctx, *tangents): …  # for forward mode")
        yield certain(
            failure,
            "no setup_context",
            owner,
            f"{owner.__name__} has no setup_context, without which torch.func takes no Function.",
            RAISES,
            "\n".join(code),
            "forward",
        )


def no_jvp(failure: Failure) -> Iterator[Suspicion]:
    """Forward mode without a rule for it."""
    if "implement the jvp function" not in failure.message:
        return
    for owner in failure.functions:
        if not has_jvp(owner):
            saved = "forward" if is_old_style(owner) else "setup_context"
            yield certain(
                failure,
                "no jvp",
                owner,
                f"{owner.__name__} has no jvp, the derivative in forward mode.",
                RAISES,
                f"ctx.save_for_forward(x)  # in {saved}, what the jvp needs\n"
                "def jvp(ctx, *tangents): …  # the output's tangent; None for what is not moved",
            )


def no_vmap_rule(failure: Failure) -> Iterator[Suspicion]:
    """A Function that cannot be batched."""
    if not (
        asked := re.search(r"tried to vmap over (\w+), but it does not have vmap", failure.message)
    ):
        return
    for owner in failure.functions:
        if has_vmap_rule(owner) or not asked[1].endswith(owner.__name__):
            continue
        sentence = f"{owner.__name__} has no rule for vmap."
        stand_in = StandIn(owner, (("generate_vmap_rule", True),))
        code = f"generate_vmap_rule = True  # in the body of {owner.__name__}"
        place = class_place(failure, owner)
        cause = Cause(key_of("no vmap rule", owner), sentence, RAISES, code, place, failure.page)
        yield Suspicion(cause, stand_in)
        error = failure.error_with(stand_in) if failure.trials else None
        more = ""
        if error is not None and "implement the jvp function" in str(error):
            more = "\ndef jvp(ctx, *tangents): …  # and forward mode needs this"
        elif error is not None:
            code = "def vmap(info, in_dims, *arguments): …  # returns the output, and its axis"
        yield Suspicion(Cause(cause.key, sentence, RAISES, code + more, place, failure.page))


def wrong_vmap_rule(failure: Failure) -> Iterator[Suspicion]:
    """A rule of its own that does not do what a loop does."""
    for owner in failure.functions:
        if owner.vmap == torch.autograd.Function.vmap or "vmap" not in (failure.check.__doc__ or ""):
            continue
        cause = Cause(
            key_of("wrong vmap rule", owner),
            f"The vmap of {owner.__name__} does not do what a loop does; PyTorch's own does.",
            WRONG if failure.is_comparison else RAISES,
            f"generate_vmap_rule = True  # in {owner.__name__}, in the place of its vmap",
            failure.place("vmap", owner),
            failure.page,
        )
        yield Suspicion(cause, with_generated_vmap(owner))


def number_of_gradients(failure: Failure) -> Iterator[Suspicion]:
    """Not one gradient an argument."""
    counts = re.search(r"incorrect number of gradients \(expected (\d+), got (\d+)\)", failure.message)
    if counts is None:
        return
    for owner in failure.functions:
        if f"{owner.__name__}Backward " not in failure.message:
            continue
        source = failure.source(owner, "forward")
        names = [] if source is None else source.parameters[is_old_style(owner) :]
        if len(names) != int(counts[1]):
            names = [f"argument_{index}" for index in range(int(counts[1]))]
        returned = ", ".join(f"grad_{name}" for name in names)
        yield certain(
            failure,
            "number of gradients",
            owner,
            f"The backward returns {counts[2]} gradients, the forward takes {counts[1]} arguments.",
            RAISES,
            f"return {returned}  # one for each argument of forward, None where there is none",
        )


def compiler_refuses_jvp(failure: Failure) -> Iterator[Suspicion]:
    """The tracer takes no Function with a jvp."""
    if not re.search("custom `?jvp", failure.message):
        return
    for owner in filter(has_jvp, failure.functions):
        name = owner.__name__
        code = (
            f'Traced = type("Traced", ({name},), {{"jvp": torch.autograd.Function.jvp}})\n'
            f"apply = lambda *a: (Traced if torch.compiler.is_dynamo_compiling() else {name}).apply(*a)"
        )
        cause = Cause(
            key_of("compiler refuses jvp", owner),
            f"torch.compile traces no Function with a jvp; {name} has one.",
            RAISES,
            code,
            failure.place("jvp", owner),
            failure.page,
        )
        yield Suspicion(cause, with_rule(owner, "jvp", torch.autograd.Function.jvp))


def kept_in_tensors(failure: Failure) -> Iterator[Suspicion]:
    """A number that is taken out of a tensor, and could stay there."""
    for owner, rule, source in failure.sources():
        edits = rewriting.as_tensors(source)
        if mended := edited(failure, owner, rule, source, edits):
            stand_in, lines = mended
            cause = Cause(
                f"number {source.place()}",
                f"{title(rule, owner)} takes a number out of a tensor, which a tracer does not know.",
                RAISES,
                "\n".join(lines[:2]),
                source.place(edits[0].node),
                failure.page,
            )
            yield Suspicion(cause, stand_in)


def made_elsewhere(failure: Failure) -> Iterator[Suspicion]:
    """A tensor made without the device, or the dtype, of the input."""
    what = {"meta": "device", "fake tensors": "device", "devices": "device", "dtypes": "dtype"}
    if failure.capability not in what:
        return
    kind = what[failure.capability]
    for owner, rule, source in failure.sources():
        edits = rewriting.like_the_input(source, kind)
        if mended := edited(failure, owner, rule, source, edits):
            stand_in, lines = mended
            cause = Cause(
                f"{kind} of a new tensor {source.place()}",
                f"{title(rule, owner)} makes a tensor of another {kind} than its input's.",
                NEEDLESS if kind == "dtype" and failure.is_comparison else RAISES,
                "\n".join(lines[:2]),
                source.place(edits[0].node),
                failure.page,
            )
            yield Suspicion(cause, stand_in)


DATA_DEPENDENT = re.compile(
    r"data-dependent|is_nonzero|calling \.item\(\)|Tensor\.item\(\) cannot|_local_scalar_dense|"
    r"data.dependent control flow|Cannot copy out of meta tensor|boolean value of Tensor",
    re.IGNORECASE,
)
THROUGH_NUMPY = re.compile(
    r"numpy\(\) (on|is not)|to numpy|\.numpy\(\)|unsupported ScalarType|Can't call numpy", re.IGNORECASE
)


def unpicklable(failure: Failure) -> Iterator[Suspicion]:
    """What pickle cannot find by its name."""
    if failure.capability != "pickle and copy" or failure.case.layer is None:
        return
    if found := re.search(r"([Cc]an't|[Cc]annot) (pickle|get local object).*", failure.message):
        what = re.sub(r" at 0x[0-9a-f]+", "", found[0])
        cause = Cause(
            f"pickle {what}",
            f"The module holds what pickle cannot name: {what}.",
            RAISES,
            "def rule(x): …  # at the top of a file: no lambda, no local function or class",
            place_of(type(failure.case.layer[0])),
            failure.page,
        )
        yield Suspicion(cause)


def leaves_pytorch(failure: Failure) -> Iterator[Suspicion]:
    """Python sees a number, or NumPy an array, where tracers have none."""
    if failure.is_comparison:
        return
    place, line = failure.raised_at()
    if THROUGH_NUMPY.search(failure.message) and re.search("numpy|np\\.", line):
        cause = Cause(
            f"numpy {place}",
            f"NumPy is given a tensor's memory, which is not there, or not as it says: “{line}”.",
            RAISES,
            "the same in PyTorch's operations: np.exp(x.numpy()) is torch.exp(x)",
            place,
            failure.page,
        )
        yield Suspicion(cause)
    elif DATA_DEPENDENT.search(failure.message):
        yield from kept_in_tensors(failure)
        where = f": “{line}”" if line else ""
        cause = Cause(
            f"value {place}",
            f"What is computed depends on a number in a tensor, which a tracer does not know{where}.",
            RAISES,
            "torch.where(condition, a, b)  # in the place of: a if condition else b",
            place or failure.place("forward"),
            failure.page,
        )
        yield Suspicion(cause)
