"""The cross entropy of PyTorch Geometric over the edges of a graph."""

from __future__ import annotations

import torch
from torch import Tensor

from ansnet.testing import Sample
from wild.entry import Wild, defect
from wild.shared.judgements import OLD_STYLE, not_compiled, of, without_values

REQUIREMENT = "torch-geometric==2.8.1"
NEEDS = (
    "certifi==2026.10.19.post1",
    "charset-normalizer==3.5.3",
    "idna==3.20",
    "psutil==7.2.2",
    "requests==2.34.2",
    "tqdm==4.70.1",
    "urllib3==2.8.0",
    "xxhash==4.1.0",
)


def cross_entropy(x: Tensor, edges: Tensor, weights: Tensor | None) -> Tensor:
    """The sum over the edges (i, j) of −wᵢⱼ·log softmax(xᵢ)ⱼ, divided by the number of nodes."""
    losses = -x.log_softmax(-1)[edges[0], edges[1]]
    return (losses if weights is None else losses * weights).sum() / len(x)


def functions() -> list[Wild]:
    """`SparseCrossEntropy`, without and with weights."""
    from torch_geometric.utils.cross_entropy import SparseCrossEntropy

    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    edges = torch.tensor([[0, 0, 1, 2], [1, 3, 2, 0]])
    weights = torch.tensor([0.5, 1.2, 0.3, 0.9], dtype=torch.float64)
    return [
        Wild(
            "torch_geometric.utils.cross_entropy:SparseCrossEntropy",
            SparseCrossEntropy.apply,
            [Sample(x, edges, None), Sample(x, edges, weights)],
            cross_entropy,
            judged={
                **OLD_STYLE,
                **not_compiled("how many edges have a positive weight depends on the weights."),
                "export": defect("torch.export raises: how many weights are positive depends on them."),
                **without_values("how many edges have a positive weight depends on the weights."),
                **of(
                    defect("Under autocast, unlike F.cross_entropy's, the loss is in lower precision."),
                    "autocast bfloat16",
                    "autocast float16",
                ),
                **of(
                    defect(
                        "Second derivatives of a loss are left out in silence: once_differentiable, "
                        "of PyTorch, raises only where the upstream gradient requires grad."
                    ),
                    "gradgradcheck",
                ),
                **of(
                    defect("Batched gradients raise: the backward multiplies in place."),
                    "batched gradients",
                ),
                **of(defect("Digits are lost where all logits are large."), "accuracy"),
            },
        ),
    ]
