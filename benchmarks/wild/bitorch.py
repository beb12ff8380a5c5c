"""Quantisers of bitorch: signs, DoReFa and PACT."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ansnet.testing import Sample
from wild.entry import Wild, by_design, defect
from wild.shared.judgements import (
    AT_NAN,
    OLD_STYLE,
    SINGLE_GRADIENT,
    of,
    without_values,
)

REQUIREMENT = "bitorch==0.4.1"
NEEDS = (
    "pandas==3.1.1",
    "python-dateutil==4.0.0",
    "six==1.17.0",
)


def sign(x: Tensor, *parameters: float) -> Tensor:
    """1 at 0."""
    return torch.where(x < 0, -1.0, 1.0).to(x)


def approximate_sign(x: Tensor) -> Tensor:
    """Its derivative is 2 − 2·|x| between −1 and 1 (Liu et al., Bi-Real Net, ECCV 2018)."""
    y = x.clamp(-1, 1)
    return 2 * y - y * y.abs()


def swish_sign(x: Tensor, beta: float) -> Tensor:
    """The derivative of a swish, as a sign (Darabi et al., BNN+, 2018)."""
    s = (beta * x).sigmoid()
    return 2 * s * (1 + beta * x * (1 - s)) - 1


def pact(x: Tensor, alpha: Tensor, bits: int) -> Tensor:
    """A clipped and quantised ReLU (Choi et al., PACT, 2018)."""
    scale = (2**bits - 1) / alpha
    return (clipped(x, alpha, bits) * scale).round() / scale


def clipped(x: Tensor, alpha: Tensor, bits: int) -> Tensor:
    """PACT without rounding, whose derivative it takes."""
    return torch.minimum(x.relu(), alpha)


def functions() -> list[Wild]:
    """Its Functions but the base class."""
    from bitorch.layers import pact as layers
    from bitorch.layers import qactivation
    from bitorch.quantizations import approx_sign, dorefa, progressive_sign
    from bitorch.quantizations import swish_sign as swish

    x = torch.tensor([[-1.4, -0.7, -0.2], [0.3, 0.8, 1.7]], dtype=torch.float64, requires_grad=True)
    alpha = torch.tensor([1.1], dtype=torch.float64, requires_grad=True)
    return [
        Wild(
            "bitorch.quantizations.approx_sign:ApproxSignFunction",
            approx_sign.ApproxSignFunction.apply,
            [Sample(x)],
            sign,
            approximate_sign,
            judged={**OLD_STYLE, **AT_NAN},
        ),
        Wild(
            "bitorch.quantizations.swish_sign:SwishSignFunction",
            swish.SwishSignFunction.apply,
            [Sample(x, 3.0)],
            sign,
            swish_sign,
            judged=OLD_STYLE,
        ),
        Wild(
            "bitorch.quantizations.dorefa:WeightDoReFaFunction",
            dorefa.WeightDoReFaFunction.apply,
            [Sample(x, 7)],
            lambda x, most: 2 * ((x.tanh() / x.tanh().abs().max() / 2 + 0.5) * most).round() / most - 1,
            lambda x, most: x.clone(),
            judged=OLD_STYLE,
        ),
        Wild(
            "bitorch.quantizations.dorefa:InputDoReFaFunction",
            dorefa.InputDoReFaFunction.apply,
            [Sample(x, 3)],
            lambda x, bits: (x.clamp(0, 1) * (2**bits - 1)).round() / (2**bits - 1),
            lambda x, bits: x.clone(),
            judged=OLD_STYLE,
        ),
        Wild(
            "bitorch.quantizations.progressive_sign:ProgressiveSignFunctionTrain",
            progressive_sign.ProgressiveSignFunctionTrain.apply,
            [Sample(x, 0.5)],
            lambda x, temperature: F.hardtanh(x / (1 - temperature)),
            lambda x, temperature: x.clone(),
            judged=OLD_STYLE,
        ),
        Wild(
            "bitorch.layers.qactivation:GradientCancellation",
            qactivation.GradientCancellation.apply,
            [Sample(x, 1.0)],
            lambda x, threshold: x.clone(),
            lambda x, threshold: x.clamp(-threshold, threshold),
            judged=OLD_STYLE,
        ),
        Wild(
            "bitorch.layers.pact:PactActFn",
            layers.PactActFn.apply,
            [Sample(x, alpha, 3)],
            pact,
            clipped,
            judged={
                **OLD_STYLE,
                **SINGLE_GRADIENT,
                **without_values("alpha.item() in the forward."),
                **of(
                    defect("The gradient of alpha, a sum over all elements, is computed unwanted."),
                    "needless work",
                ),
                **of(
                    by_design("The bound alpha, here below 0, is meant to be above it."),
                    "finite far away",
                ),
            },
        ),
    ]
