"""torchlpc: filters by linear prediction, with coefficients that vary in time."""

from __future__ import annotations

import torch
from torch import Tensor

from ansnet.testing import Sample
from wild.causes import CUSTOM_JVP, IN_NUMPY, NEEDLESS, rows
from wild.entry import Wild, by_design, defect

REQUIREMENT = "torchlpc==0.6"
NEEDS = ("numba==0.68.1", "llvmlite==0.50.0")


def functions() -> list[Wild]:
    """The recursive filter y_t = x_t − Σ_i A_{t,i} y_{t−i}."""
    from torchlpc import sample_wise_lpc

    generator = torch.Generator().manual_seed(0)
    shapes = (2, 5), (2, 5, 2), (2, 2)
    tensors = [
        (torch.randn(*shape, dtype=torch.float64, generator=generator) / 2).requires_grad_()
        for shape in shapes
    ]
    return [
        Wild(
            "torchlpc.core:LPC",
            sample_wise_lpc,
            [Sample(*tensors)],
            _filtered,
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
                    "accuracy",
                ),
                "non finite values": by_design("What 0 · NaN gives depends on the order of computing."),
                "negative views": defect(
                    "Raises an error for a tensor with a pending sign, as `x.imag` of "
                    "a conjugate: `.numpy()` takes none."
                ),
                "zero size batch": defect("Raises an assertion without a message for an empty batch."),
            },
        )
    ]


def _filtered(x: Tensor, a: Tensor, initial: Tensor) -> Tensor:
    past = list(initial.flip(-1).unbind(-1))  # the first of `initial` is the latest
    for t in range(x.shape[-1]):
        memory = torch.stack(past[::-1][: a.shape[-1]], -1)
        past.append(x[..., t] - (a[..., t, :] * memory).sum(-1))
    return torch.stack(past[a.shape[-1] :], -1)
