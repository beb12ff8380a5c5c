"""The swish of MONAI, and its ReLU for guided backpropagation."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from ansnet.testing import Sample
from wild.entry import Wild, by_design
from wild.shared.judgements import OLD_STYLE, of

REQUIREMENT = "monai==1.6.1"

GUIDED = by_design("Guided backpropagation: negative gradients are set to 0.")


def functions() -> list[Wild]:
    """Those that need no extension to be compiled."""
    from monai.networks.blocks.activation import SwishImplementation
    from monai.visualize.gradient_based import _AutoGradReLU

    x = torch.tensor([[-4.0, -2.3, -0.7], [0.4, 1.6, 5.0]], dtype=torch.float64, requires_grad=True)
    return [
        Wild(
            "monai.networks.blocks.activation:SwishImplementation",
            SwishImplementation.apply,
            [Sample(x)],
            F.silu,
            judged=OLD_STYLE,
        ),
        Wild(
            "monai.visualize.gradient_based:_AutoGradReLU",
            _AutoGradReLU.apply,
            [Sample(x)],
            torch.relu,
            judged={
                **OLD_STYLE,
                **of(
                    GUIDED,
                    "gradients",
                    "non finite values",
                    "uses its arguments",
                    "dtypes",
                    "linear in the upstream gradient",
                ),
            },
        ),
    ]
