"""pysdtw: soft dynamic time warping (Cuturi & Blondel 2017)."""

from __future__ import annotations

import torch
from torch import Tensor

from ansnet.testing import Sample
from wild.causes import IN_NUMPY, OLD_STYLE, SECOND_DERIVATIVE, rows
from wild.entry import Wild, defect

REQUIREMENT = "pysdtw==0.0.5"
NEEDS = ("numba==0.68.1", "llvmlite==0.50.0")


def functions() -> list[Wild]:
    """The soft minimum of the costs of all alignments, of a matrix of distances."""
    from pysdtw.sdtw_cpu import SoftDTWcpu

    generator = torch.Generator().manual_seed(0)
    d = torch.rand(2, 3, 4, dtype=torch.float64, generator=generator).requires_grad_()
    return [
        Wild(
            "pysdtw.sdtw_cpu:SoftDTWcpu",
            lambda d, lengths: SoftDTWcpu.apply(d, lengths, 0.7, 0.0),
            [Sample(d, torch.tensor([[3, 4], [3, 4]]))],
            lambda d, lengths: _soft_alignment(d, 0.7),
            judged={
                **OLD_STYLE,
                "gradgradcheck": SECOND_DERIVATIVE,
                **rows(
                    defect(
                        "In float64 values and gradients are exact to seven digits only: "
                        "they pass through float32."
                    ),
                    "forward",
                    "gradients",
                    "gradcheck",
                    "non finite values",
                    "finite far away",
                ),
                **rows(
                    IN_NUMPY,
                    "one tensor in two places",
                    "compile",
                    "compile dynamic shapes",
                    "export",
                    "meta",
                    "fake tensors",
                ),
                **rows(
                    defect("Raises an error in bfloat16 and float16, which Numba does not know."),
                    "autocast bfloat16",
                    "autocast float16",
                    "accuracy",
                ),
                "negative views": defect(
                    "Raises an error for a tensor with a pending sign, as `x.imag` of "
                    "a conjugate: `.numpy()` takes none."
                ),
            },
        )
    ]


def _soft_alignment(d: Tensor, gamma: float) -> Tensor:
    rows, columns = d.shape[-2:]
    costs: dict[tuple[int, int], Tensor] = {}
    for i in range(rows):
        for j in range(columns):
            before = [costs[k] for k in ((i - 1, j), (i, j - 1), (i - 1, j - 1)) if k in costs]
            soft = -gamma * torch.logsumexp(-torch.stack(before) / gamma, 0) if before else 0.0
            costs[i, j] = d[..., i, j] + soft
    return costs[rows - 1, columns - 1]
