"""PyPose: Lie groups for robots.

Its Functions of a group's elements give gradients in the tangent space, as is documented: a zero stands
in the last place. What is tried therefore begins in the tangent space and ends in points, or in it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ansnet.testing import Sample
from wild.causes import (
    LOOKS_AT_NUMBERS,
    NEEDLESS,
    NO_FORWARD_MODE,
    SECOND_DERIVATIVE,
    UNDER_AUTOCAST,
    not_traced,
    rows,
)
from wild.entry import Wild, by_design, defect

REQUIREMENT = "pypose==0.9.5"
TURNS = by_design("A logarithm is a rotation by half a turn at most, whatever the exponential was of.")


def functions() -> list[Wild]:
    """Exponentials and logarithms of rotations and rigid motions, and their actions on points."""
    from pypose.lietensor import operation

    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=generator).requires_grad_()

    phi, other, xi, point = random(2, 3), random(2, 3), random(2, 6), random(2, 3)
    return [
        Wild(
            "pypose.lietensor.operation:so3_Exp, SO3_Act",
            lambda phi, p: operation.SO3_Act.apply(operation.so3_Exp.apply(phi), p),
            [Sample(phi, point)],
            lambda phi, p: (torch.linalg.matrix_exp(_cross(phi)) @ p[..., None]).squeeze(-1),
            judged={
                **NO_FORWARD_MODE,
                "needless work": NEEDLESS,
                **rows(LOOKS_AT_NUMBERS, "meta", "fake tensors"),
                "gradgradcheck": SECOND_DERIVATIVE,
                **not_traced("Dynamo traces no tensor that is created with `requires_grad`."),
                **rows(
                    defect(
                        "`torch.vmap` raises an error, although a rule is to be generated: "
                        "the forward indexes by a mask."
                    ),
                    "vmap",
                    "per sample gradients",
                    "gradient through vmap",
                ),
                **rows(
                    by_design(
                        "The group's elements are computed in the precision of the tangent vectors."
                    ),
                    "autocast bfloat16",
                    "autocast float16",
                ),
                "accuracy": defect(
                    "In float32 gradients lose digits near the identity: Jacobians are "
                    "differences of nearly equal numbers."
                ),
            },
        ),
        Wild(
            "pypose.lietensor.operation:SO3_Mul",
            lambda phi, other, p: operation.SO3_Act.apply(
                operation.SO3_Mul.apply(operation.so3_Exp.apply(phi), operation.so3_Exp.apply(other)), p
            ),
            [Sample(phi, other, point)],
            lambda phi, other, p: (
                torch.linalg.matrix_exp(_cross(phi))
                @ torch.linalg.matrix_exp(_cross(other))
                @ p[..., None]
            ).squeeze(-1),
            judged={
                **NO_FORWARD_MODE,
                "needless work": NEEDLESS,
                **rows(LOOKS_AT_NUMBERS, "meta", "fake tensors"),
                "gradgradcheck": SECOND_DERIVATIVE,
                **not_traced("Dynamo traces no tensor that is created with `requires_grad`."),
                **rows(
                    defect(
                        "`torch.vmap` raises an error, although a rule is to be generated: "
                        "the forward indexes by a mask."
                    ),
                    "vmap",
                    "per sample gradients",
                    "gradient through vmap",
                ),
                **rows(
                    by_design(
                        "The group's elements are computed in the precision of the tangent vectors."
                    ),
                    "autocast bfloat16",
                    "autocast float16",
                ),
                "accuracy": defect(
                    "In float32 gradients lose digits near the identity: Jacobians are "
                    "differences of nearly equal numbers."
                ),
            },
        ),
        Wild(
            "pypose.lietensor.operation:SO3_Log",
            lambda phi: operation.SO3_Log.apply(operation.so3_Exp.apply(phi)),
            [Sample((phi / 2).detach().requires_grad_())],
            lambda phi: phi * 1,
            judged={
                **NO_FORWARD_MODE,
                "finite far away": TURNS,
                **rows(LOOKS_AT_NUMBERS, "meta", "fake tensors"),
                **not_traced("Dynamo traces no tensor that is created with `requires_grad`."),
                **rows(
                    defect(
                        "`torch.vmap` raises an error, although a rule is to be generated: "
                        "the forward indexes by a mask."
                    ),
                    "vmap",
                    "per sample gradients",
                    "gradient through vmap",
                ),
                "non finite values": by_design(
                    "A NaN in one coordinate is a NaN in the rotation's angle, and so in all of them."
                ),
            },
        ),
        Wild(
            "pypose.lietensor.operation:SO3_Inv",
            lambda phi, p: operation.SO3_Act.apply(
                operation.SO3_Inv.apply(operation.so3_Exp.apply(phi)), p
            ),
            [Sample(phi, point)],
            lambda phi, p: (torch.linalg.matrix_exp(-_cross(phi)) @ p[..., None]).squeeze(-1),
            judged={
                **NO_FORWARD_MODE,
                "needless work": NEEDLESS,
                **rows(LOOKS_AT_NUMBERS, "meta", "fake tensors"),
                "gradgradcheck": SECOND_DERIVATIVE,
                **not_traced("Dynamo traces no tensor that is created with `requires_grad`."),
                **rows(
                    defect(
                        "`torch.vmap` raises an error, although a rule is to be generated: "
                        "the forward indexes by a mask."
                    ),
                    "vmap",
                    "per sample gradients",
                    "gradient through vmap",
                ),
                **rows(
                    by_design(
                        "The group's elements are computed in the precision of the tangent vectors."
                    ),
                    "autocast bfloat16",
                    "autocast float16",
                ),
                "accuracy": defect(
                    "In float32 gradients lose digits near the identity: Jacobians are "
                    "differences of nearly equal numbers."
                ),
            },
        ),
        Wild(
            "pypose.lietensor.operation:SO3_AdjXa",
            lambda phi, a: operation.SO3_AdjXa.apply(operation.so3_Exp.apply(phi), a),
            [Sample(phi, point)],
            lambda phi, a: (torch.linalg.matrix_exp(_cross(phi)) @ a[..., None]).squeeze(-1),
            judged={
                **NO_FORWARD_MODE,
                "needless work": NEEDLESS,
                **rows(LOOKS_AT_NUMBERS, "meta", "fake tensors"),
                "gradgradcheck": SECOND_DERIVATIVE,
                **not_traced("Dynamo traces no tensor that is created with `requires_grad`."),
                **rows(
                    defect(
                        "`torch.vmap` raises an error, although a rule is to be generated: "
                        "the forward indexes by a mask."
                    ),
                    "vmap",
                    "per sample gradients",
                    "gradient through vmap",
                ),
                **UNDER_AUTOCAST,
                "accuracy": defect(
                    "In float32 gradients lose digits near the identity: Jacobians are "
                    "differences of nearly equal numbers."
                ),
            },
        ),
        Wild(
            "pypose.lietensor.operation:se3_Exp, SE3_Act",
            lambda xi, p: operation.SE3_Act.apply(operation.se3_Exp.apply(xi), p),
            [Sample(xi, point)],
            _moved,
            judged={
                **NO_FORWARD_MODE,
                "needless work": NEEDLESS,
                **rows(LOOKS_AT_NUMBERS, "meta", "fake tensors"),
                "gradgradcheck": SECOND_DERIVATIVE,
                **not_traced("Dynamo traces no tensor that is created with `requires_grad`."),
                **rows(
                    defect(
                        "`torch.vmap` raises an error, although a rule is to be generated: "
                        "the forward indexes by a mask."
                    ),
                    "vmap",
                    "per sample gradients",
                    "gradient through vmap",
                ),
                **rows(
                    by_design(
                        "The group's elements are computed in the precision of the tangent vectors."
                    ),
                    "autocast bfloat16",
                    "autocast float16",
                ),
                "accuracy": defect(
                    "In float32 gradients lose digits near the identity: Jacobians are "
                    "differences of nearly equal numbers."
                ),
                "non finite values": by_design(
                    "A NaN in one coordinate is a NaN in the rotation's angle, and so in all of them."
                ),
            },
        ),
        Wild(
            "pypose.lietensor.operation:SE3_Log",
            lambda xi: operation.SE3_Log.apply(operation.se3_Exp.apply(xi)),
            [Sample((xi / 2).detach().requires_grad_())],
            lambda xi: xi * 1,
            judged={
                **NO_FORWARD_MODE,
                "finite far away": TURNS,
                **rows(LOOKS_AT_NUMBERS, "meta", "fake tensors"),
                **not_traced("Dynamo traces no tensor that is created with `requires_grad`."),
                **rows(
                    defect(
                        "`torch.vmap` raises an error, although a rule is to be generated: "
                        "the forward indexes by a mask."
                    ),
                    "vmap",
                    "per sample gradients",
                    "gradient through vmap",
                ),
                "accuracy": by_design(
                    "A rotation by 1000 radians has another logarithm, within half a turn."
                ),
                "non finite values": by_design(
                    "A NaN in one coordinate is a NaN in the rotation's angle, and so in all of them."
                ),
            },
        ),
    ]


def _cross(phi: Tensor) -> Tensor:
    """The matrix whose product with a vector is phi's cross product with it."""
    x, y, z = phi.unbind(-1)
    zero = torch.zeros_like(x)
    rows = (zero, -z, y), (z, zero, -x), (-y, x, zero)
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def _moved(xi: Tensor, p: Tensor) -> Tensor:
    """A point moved by the exponential of a twist (translation first)."""
    rotation = torch.cat([_cross(xi[..., 3:]), xi[..., :3, None]], -1)
    matrix = torch.cat([rotation, torch.zeros_like(rotation[..., :1, :])], -2)
    homogeneous = torch.cat([p, torch.ones_like(p[..., :1])], -1)
    return (torch.linalg.matrix_exp(matrix) @ homogeneous[..., None]).squeeze(-1)[..., :3]
