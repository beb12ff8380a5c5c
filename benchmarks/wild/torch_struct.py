"""pytorch-struct: structured distributions by semirings."""

from __future__ import annotations

import torch
from torch import Tensor

from ansnet.testing import Sample
from wild.causes import LOOKS_AT_NUMBERS, OLD_STYLE, SECOND_DERIVATIVE, not_traced, rows
from wild.entry import Wild, defect

REQUIREMENT = "torch-struct==0.5"


def functions() -> list[Wild]:
    """The sparse maximum, and the products that are computed anew in the backward."""
    from torch_struct.semirings import LogSemiring, checkpoint, sparse_max

    x = torch.tensor([[0.3, -0.2, 0.6], [0.1, 0.45, -0.4]], dtype=torch.float64, requires_grad=True)
    a = torch.tensor([[[0.3, -0.2], [0.6, 0.9]]], dtype=torch.float64, requires_grad=True)
    b = torch.tensor([[[-0.4, 0.1], [0.5, -0.7]]], dtype=torch.float64, requires_grad=True)
    checkpointed = checkpoint.CheckpointSemiring(LogSemiring, 1)
    return [
        Wild(
            "torch_struct.semirings.sparse_max:_SimplexProject",
            lambda x: sparse_max._SimplexProject.apply(x, -1),
            [Sample(x)],
            _sparse_maximum,
            judged={
                **OLD_STYLE,
                "gradgradcheck": SECOND_DERIVATIVE,
                **not_traced("Dynamo does not trace what the backward does to saved tensors."),
                **rows(
                    defect(
                        "The value is ⟨x, p⟩ − ‖p‖, of which the gradient is not p; the "
                        "sparse maximum, with ‖p‖² / 2, has that one."
                    ),
                    "forward",
                    "gradcheck",
                ),
            },
        ),
        Wild(
            "torch_struct.semirings.checkpoint:_Check",
            checkpointed.matmul,
            [Sample(a[None], b[None])],
            lambda a, b: (a[..., :, :, None] + b[..., None, :, :]).logsumexp(-2),
            judged={
                **OLD_STYLE,
                **rows(
                    LOOKS_AT_NUMBERS,
                    "one tensor in two places",
                    "compile",
                    "compile dynamic shapes",
                    "export",
                    "fake tensors",
                ),
                **rows(
                    defect(
                        "The backward raises an error where one of the two factors does "
                        "not require grad."
                    ),
                    "subsets of gradients",
                    "needless work",
                ),
                **rows(
                    defect("Second derivatives are dropped: the backward does not keep its own graph."),
                    "gradgradcheck",
                    "second derivative of empty batches",
                ),
            },
        ),
    ]


def _sparse_maximum(x: Tensor) -> Tensor:
    """⟨x, p⟩ − ‖p‖² / 2, for p the nearest point to x of the simplex; its gradient is p."""
    ordered = x.sort(-1, descending=True).values
    excess = ordered.cumsum(-1) - 1
    counts = torch.arange(1, x.shape[-1] + 1).to(x)
    support = (ordered * counts > excess).sum(-1, keepdim=True)
    p = (x - excess.gather(-1, support - 1) / support).clamp(min=0)
    return (x * p).sum(-1) - (p**2).sum(-1) / 2
