"""Why rows of many packages' Functions fail, said once."""

from __future__ import annotations

from collections.abc import Mapping

from wild.entry import Judgement, by_design, defect

TRANSFORMS = (
    "jacobian",
    "hessian",
    "vmap",
    "per sample gradients",
    "gradient through vmap",
    "compiled transformations",
)


def of(judgement: Judgement, *rows: str) -> dict[str, Judgement]:
    """The same judgement of several rows."""
    return dict.fromkeys(rows, judgement)


# forward(ctx, …) without setup_context
OLD_STYLE: Mapping[str, Judgement] = {
    "forward mode": defect("Forward mode raises: the Function has no jvp."),
    **of(
        defect("torch.func and torch.vmap raise: the Function has no setup_context."),
        *TRANSFORMS,
    ),
}

# setup_context, but neither vmap nor generate_vmap_rule
NO_VMAP_RULE: Mapping[str, Judgement] = {
    "forward mode": defect("Forward mode raises: the Function has no jvp."),
    **of(
        defect("torch.vmap, and jacrev which uses it, raise: the Function states no rule for it."),
        *TRANSFORMS,
    ),
}

# setup_context and a rule for vmap, but no jvp
NO_FORWARD_MODE: Mapping[str, Judgement] = of(
    defect("Forward mode, with jacfwd and the Hessian, raises: the Function has no jvp."),
    "forward mode",
    "jacobian",
    "hessian",
    "compiled transformations",
)

AT_NAN = of(
    by_design("What the gradient at a NaN is where a function is made of pieces is not agreed upon."),
    "non finite values",
)

TIMES_NAN = of(
    by_design("A NaN as the output's gradient passes also where the factor is 0, as 0 · NaN."),
    "non finite values",
)

ALWAYS_SINGLE: Mapping[str, Judgement] = of(
    defect(
        "The output is float32 whatever the input's dtype is: what follows raises where dtypes must be "
        "equal, and leaves the lower precision of a network."
    ),
    "forward",
    "gradients",
    "gradgradcheck",
    "autocast bfloat16",
    "autocast float16",
    "non finite values",
    "zero size batch",
    "second derivative of empty batches",
)

SINGLE_GRADIENT: Mapping[str, Judgement] = of(
    defect("The gradient of a bfloat16 or float16 input is computed in float32, and cast afterwards."),
    "autocast bfloat16",
    "autocast float16",
)

# x · σ(x) as a function of TorchScript
SCRIPTED: Mapping[str, Judgement] = of(
    defect(
        "Under autocast the output is float32 for an input in lower precision: TorchScript's doing."
    ),
    "autocast bfloat16",
    "autocast float16",
)


def not_compiled(why: str) -> dict[str, Judgement]:
    """Rows of what `torch.compile` cannot trace, where the rest of PyTorch can."""
    return of(
        defect(f"torch.compile(fullgraph=True) raises: {why}"),
        "one tensor in two places",
        "compile",
        "compile dynamic shapes",
        "compiled transformations",
    )


def without_values(why: str) -> dict[str, Judgement]:
    """Rows of tensors without numbers, in which PyTorch traces."""
    return of(
        defect(f"It raises where tensors hold no numbers, as when PyTorch traces: {why}"),
        "meta",
        "fake tensors",
    )


def without(judged: Mapping[str, Judgement], *rows: str) -> dict[str, Judgement]:
    """All but some rows, which pass, or do not apply, after all."""
    return {name: judgement for name, judgement in judged.items() if name not in rows}
