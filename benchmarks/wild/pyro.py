"""Pyro: probabilistic programming."""

from __future__ import annotations

import torch

from ansnet.testing import Sample
from wild.causes import OLD_STYLE, rows, without
from wild.entry import Wild, by_design, defect

REQUIREMENT = "pyro-ppl==1.9.2"
NEEDS = ("pyro-api==0.1.2", "opt_einsum==3.4.0", "tqdm==4.70.1")


def functions() -> list[Wild]:
    """A logarithm with a bounded derivative, and straight-through quantizers."""
    from pyro.contrib.oed.eig import _EwmaLogFn
    from pyro.distributions.relaxed_straight_through import QuantizeBernoulli, QuantizeCategorical
    from pyro.ops.special import safe_log

    x = torch.tensor([[0.2, 0.7, 0.1], [0.3, 0.15, 0.55]], dtype=torch.float64, requires_grad=True)
    ewma = torch.tensor(0.4, dtype=torch.float64)
    return [
        Wild(
            "pyro.ops.special:_SafeLog",
            safe_log,
            [Sample(x)],
            torch.log,
            judged={
                **OLD_STYLE,
                **rows(
                    by_design(
                        "The derivative is bounded on purpose: no 1/x for x below the precision."
                    ),
                    "accuracy",
                    "non finite values",
                ),
            },
        ),
        Wild(
            "pyro.contrib.oed.eig:_EwmaLogFn",
            _EwmaLogFn.apply,
            [Sample(x, ewma)],
            lambda x, ewma: x.log() + 0 * ewma,
            lambda x, ewma: x / ewma,
            judged=OLD_STYLE,
        ),
        Wild(
            "pyro.distributions.relaxed_straight_through:QuantizeCategorical",
            QuantizeCategorical.apply,
            [Sample(x)],
            lambda x: torch.nn.functional.one_hot(x.argmax(-1), x.size(-1)).to(x) + 0 * x.nan_to_num(),
            lambda x: x * 1,
            judged={**without(OLD_STYLE, "per sample gradients")},
        ),
        Wild(
            "pyro.distributions.relaxed_straight_through:QuantizeBernoulli",
            QuantizeBernoulli.apply,
            [Sample(x)],
            torch.round,
            lambda x: x * 1,
            judged={
                **OLD_STYLE,
                "one tensor in two places": defect(
                    "Compiled, the gradient is wrong in silence where the input is "
                    "used again: PyTorch 2.14.1 loses it, since the forward notes the "
                    "input as an attribute of its output."
                ),
            },
        ),
    ]
