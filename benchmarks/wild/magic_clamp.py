"""magic-clamp: clamps whose gradient passes where it leads back inside."""

from __future__ import annotations

import torch

from ansnet.testing import Sample
from wild.causes import OLD_STYLE
from wild.entry import Wild, by_design

REQUIREMENT = "magic-clamp==0.0.4"


def functions() -> list[Wild]:
    """The clamp with a conditional straight-through gradient, inside of its bounds."""
    from magic_clamp.autograd import ClampWithConditionalSTEFunction

    x = torch.tensor([[-0.5, 0.2, -0.1], [0.7, 0.4, 0.6]], dtype=torch.float64, requires_grad=True)
    return [
        Wild(
            "magic_clamp.autograd:ClampWithConditionalSTEFunction",
            ClampWithConditionalSTEFunction.apply,
            [Sample(x, -1.0, 1.0, False)],
            lambda x, low, high, preserve_norm: x.clamp(low, high),
            judged={
                **OLD_STYLE,
                "non finite values": by_design(
                    "What the gradient at a NaN is where a function is made of pieces "
                    "is not agreed upon."
                ),
                "finite far away": by_design(
                    "Outside the bounds gradients that lead back inside pass on purpose."
                ),
            },
        )
    ]
