"""Causes that many Functions have in common, and the rows in which each shows."""

from __future__ import annotations

from collections.abc import Mapping

from wild.entry import Judgement, by_design, defect

OF_TRANSFORMS = (
    "jacobian",
    "hessian",
    "vmap",
    "per sample gradients",
    "gradient through vmap",
    "compiled transformations",
)
OF_AUTOCAST = "autocast bfloat16", "autocast float16"


def rows(judgement: Judgement, *capabilities: str) -> dict[str, Judgement]:
    """One judgement for several rows, which fail for one reason."""
    return dict.fromkeys(capabilities, judgement)


def without(judged: Mapping[str, Judgement], *capabilities: str) -> dict[str, Judgement]:
    """All but some rows, which pass, or do not apply."""
    return {name: judgement for name, judgement in judged.items() if name not in capabilities}


NO_JVP = defect("Forward mode raises an error: there is no `jvp`.")
NO_SETUP_CONTEXT = defect("`torch.func` and `torch.vmap` raise an error: there is no `setup_context`.")
OLD_STYLE: Mapping[str, Judgement] = {
    "forward mode": NO_JVP,
    **rows(NO_SETUP_CONTEXT, *OF_TRANSFORMS),
}
NO_FORWARD_MODE: Mapping[str, Judgement] = rows(
    defect("Forward mode, with `jacfwd` and the Hessian, raises an error: there is no `jvp`."),
    "forward mode",
    "jacobian",
    "hessian",
    "compiled transformations",
)
NO_VMAP_RULE: Mapping[str, Judgement] = {
    "forward mode": NO_JVP,
    **rows(
        defect("`torch.vmap`, and `jacrev`, which uses it, raise an error: no rule for it is stated."),
        *OF_TRANSFORMS,
    ),
}
SECOND_DERIVATIVE = defect(
    "Second derivatives are wrong in silence: what the forward computed is a constant to the backward."
)
ONCE = defect(
    "Second derivatives are dropped in silence where the output's gradient is a constant, as a sum's: "
    "`once_differentiable` refuses only others."
)
UNDER_AUTOCAST: Mapping[str, Judgement] = rows(
    defect(
        "Under autocast the backward raises an error: the forward multiplied in lower precision, the "
        "backward is left with two (`custom_fwd` and `custom_bwd` are missing)."
    ),
    *OF_AUTOCAST,
)
SINGLE_GRADIENT: Mapping[str, Judgement] = rows(
    defect("The gradient of a bfloat16 or float16 input is computed in float32, and cast afterwards."),
    *OF_AUTOCAST,
)
NEEDLESS = defect("Gradients are computed that nobody asked for.")
ON_CTX: Mapping[str, Judgement] = rows(
    defect(
        "Tensors are kept as attributes of ctx, not by `save_for_backward`: they live as long as the "
        "output, and are neither offloaded nor checked for changes."
    ),
    "saved tensors freed",
    "saved tensor hooks",
)
UNPACKED_TWICE = defect(
    "`torch.utils.checkpoint` raises an error: the backward reads `ctx.saved_tensors` more than once."
)
CUSTOM_JVP: Mapping[str, Judgement] = rows(
    by_design("`torch.compile` refuses any Function with a `jvp`, without which forward mode is none."),
    "one tensor in two places",
    "compile",
    "compile dynamic shapes",
)


LOOKS_AT_NUMBERS = defect(
    "Cannot be compiled, exported or traced without numbers: which way it goes depends on them."
)
IN_NUMPY = defect("Cannot be compiled, exported or traced without numbers: NumPy computes them.")


def not_traced(why: str, *capabilities: str) -> dict[str, Judgement]:
    """What `torch.compile` does where it cannot trace a Function that PyTorch runs.

    Args:
        why: what is not traced.
        capabilities: the rows; without any, all that compile.
    """
    judgement = defect(f"`torch.compile(fullgraph=True)` raises an error: {why}")
    alone = "one tensor in two places", "compile", "compile dynamic shapes"
    return rows(judgement, *(capabilities or alone))
