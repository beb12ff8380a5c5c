"""torchcomp: compressors and limiters of a signal's dynamic range."""

from __future__ import annotations

import torch
from torch import Tensor

from ansnet.testing import Sample
from wild.causes import CUSTOM_JVP, IN_NUMPY, NEEDLESS, rows
from wild.entry import Wild, by_design, defect

REQUIREMENT = "torchcomp==0.2.1"
NEEDS = ("torchlpc==0.6", "numba==0.68.1", "llvmlite==0.50.0")


def functions() -> list[Wild]:
    """The gain's smoothing: y_t = (1 − α) y_{t−1} + α x_t; α is another where x falls."""
    from torchcomp.core import compressor_core

    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2, 6, dtype=torch.float64, generator=generator).requires_grad_()
    initial, attack, release = (
        torch.tensor(numbers, dtype=torch.float64, requires_grad=True)
        for numbers in ([0.9, 0.6], [0.3, 0.45], [0.15, 0.2])
    )
    return [
        Wild(
            "torchcomp.core:CompressorFunction",
            compressor_core,
            [Sample(x, initial, attack, release)],
            _smoothed,
            judged={
                "needless work": NEEDLESS,
                **CUSTOM_JVP,
                **rows(IN_NUMPY, "export", "fake tensors"),
                "batched gradients": defect(
                    "Batched gradients (`is_grads_batched`) raise an error: Numba computes them."
                ),
                **rows(IN_NUMPY, "compiled transformations", "meta"),
                **rows(
                    defect("Raises an error in bfloat16 and float16, which Numba does not know."),
                    "autocast bfloat16",
                    "autocast float16",
                ),
                "accuracy": by_design(
                    "Coefficients of 1000 make a recursion that amplifies each rounding."
                ),
                "non finite values": by_design("What 0 · ∞ gives depends on the order of computing."),
                "negative views": defect(
                    "Raises an error for a tensor with a pending sign, as `x.imag` of "
                    "a conjugate: `.numpy()` takes none."
                ),
            },
        )
    ]


def _smoothed(x: Tensor, initial: Tensor, attack: Tensor, release: Tensor) -> Tensor:
    y, ys = initial, []
    for now in x.unbind(-1):
        y = y + torch.where(now < y, attack, release) * (now - y)
        ys.append(y)
    return torch.stack(ys, -1)
