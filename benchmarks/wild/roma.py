"""RoMa: rotations."""

from __future__ import annotations

import torch
from torch import Tensor

from ansnet.testing import Sample
from wild.causes import CUSTOM_JVP, SECOND_DERIVATIVE, rows
from wild.entry import Wild, by_design, defect

REQUIREMENT = "roma==1.8.0"


def functions() -> list[Wild]:
    """The nearest orthogonal matrix (Procrustes), and the quaternion of the nearest rotation (Horn)."""
    from roma import mappings

    m = torch.tensor([[0.9, -0.2, 0.1], [0.3, 1.4, -0.2], [-0.1, 0.2, 0.6]], dtype=torch.float64)
    batch = torch.stack([m, m.mT * 1.2]).requires_grad_()

    def nearest(m: Tensor) -> Tensor:
        rotation: Tensor = mappings._ProcrustesManualDerivatives.apply(m, True, 1e-5)[0]
        return rotation

    def quaternion(m: Tensor) -> Tensor:
        q: Tensor = mappings._HornEigenvectorManualDerivatives.apply(m, 1e-5)
        return q * q[..., -1:].sign()

    return [
        Wild(
            "roma.mappings:_ProcrustesManualDerivatives",
            nearest,
            [Sample(batch)],
            _nearest_rotation,
            options={"atol": 1e-8, "rtol": 1e-8},
            judged={
                **CUSTOM_JVP,
                "gradgradcheck": SECOND_DERIVATIVE,
                "hessian": SECOND_DERIVATIVE,
                "batched gradients": defect(
                    "Batched gradients (`is_grads_batched`) raise an error: the "
                    "backward uses an einsum within a region without autocast."
                ),
                "compiled transformations": defect(
                    "Compiled, `torch.func.grad` is wrong in silence: PyTorch 2.14.1 "
                    "leaves out the Function's own backward there."
                ),
                **rows(
                    by_design("Decompositions are computed in float32 on purpose."),
                    "autocast bfloat16",
                    "autocast float16",
                ),
            },
        ),
        Wild(
            "roma.mappings:_HornEigenvectorManualDerivatives",
            quaternion,
            [Sample(batch)],
            lambda m: _quaternion(_nearest_rotation(m)),
            options={"atol": 1e-8, "rtol": 1e-8},
            judged={
                **CUSTOM_JVP,
                "batched gradients": defect(
                    "Batched gradients (`is_grads_batched`) raise an error: no rule "
                    "for a reshape within a region without autocast."
                ),
                "compiled transformations": defect(
                    "Compiled, `torch.func.grad` is wrong in silence: PyTorch 2.14.1 "
                    "leaves out the Function's own backward there."
                ),
            },
        ),
    ]


def _nearest_rotation(m: Tensor) -> Tensor:
    u, _, v = torch.linalg.svd(m)
    turns = (
        (torch.linalg.det(u) * torch.linalg.det(v)).detach().sign()
    )  # −1 of a reflection, of which the least axis is turned
    return u @ torch.stack([torch.ones_like(turns), torch.ones_like(turns), turns], -1).diag_embed() @ v


def _quaternion(r: Tensor) -> Tensor:
    """(x, y, z, w) of a rotation by less than half a turn."""
    w = (1 + r.diagonal(dim1=-2, dim2=-1).sum(-1)).sqrt() / 2
    odd = r[..., 2, 1] - r[..., 1, 2], r[..., 0, 2] - r[..., 2, 0], r[..., 1, 0] - r[..., 0, 1]
    return torch.stack([*(part / (4 * w) for part in odd), w], -1)
