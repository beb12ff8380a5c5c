"""torch-sla: sparse linear algebra."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ansnet.testing import Sample
from wild.causes import (
    IN_NUMPY,
    LOOKS_AT_NUMBERS,
    NEEDLESS,
    OLD_STYLE,
    SECOND_DERIVATIVE,
    not_traced,
    rows,
)
from wild.entry import Wild, by_design, defect

REQUIREMENT = "torch-sla==0.4.0"


def functions() -> list[Wild]:
    """A solve, the determinant, eigenvalues and eigenvectors, and a nonlinear solve."""
    import torch_sla

    row, col = torch.tensor([0, 0, 1, 1, 1, 2, 2]), torch.tensor([0, 1, 0, 1, 2, 1, 2])
    values = torch.tensor(
        [2.0, 0.4, 0.4, 1.3, -0.3, -0.3, 0.8], dtype=torch.float64, requires_grad=True
    )
    half = torch.tensor([2.0, 0.4, 1.3, -0.3, 0.8], dtype=torch.float64, requires_grad=True)
    both = torch.tensor([0, 1, 1, 2, 3, 3, 4])  # the place in `half` of each value
    b = torch.tensor([0.3, -1.2, 0.7], dtype=torch.float64, requires_grad=True)
    theta = torch.tensor([1.4, 0.8, 1.1], dtype=torch.float64, requires_grad=True)

    empty = "zero size batch", "second derivative of empty batches"
    stated = {"not_applicable": dict.fromkeys(empty, "the number of values is stated")}

    def solve(values: Tensor, b: Tensor) -> Any:
        return torch_sla.spsolve(values, row, col, (3, 3), b, backend="scipy", method="lu")

    def determinant(values: Tensor) -> Any:
        return torch_sla.SparseTensor(values, row, col, (3, 3)).det()

    def projector(half: Tensor) -> Any:
        _, vectors = torch_sla.SparseTensor(half[both], row, col, (3, 3)).eigsh(k=1, which="LA")
        return vectors @ vectors.mT

    def eigenvalues(half: Tensor) -> Any:
        return torch_sla.SparseTensor(half[both], row, col, (3, 3)).eigsh(k=2, which="LA")[0]

    def dense(values: Tensor) -> Tensor:
        return torch.zeros(3, 3).to(values).index_put((row, col), values)

    def largest(half: Tensor, k: int) -> tuple[Tensor, Tensor]:
        found, vectors = torch.linalg.eigh(dense(half[both]))
        return found[-k:], vectors[:, -k:]

    return [
        Wild(
            "torch_sla.linear_solve:SparseLinearSolveScipySuperLU",
            solve,
            [Sample(values, b)],
            lambda values, b: torch.linalg.solve(dense(values), b),
            options=stated,
            judged={
                **OLD_STYLE,
                "needless work": NEEDLESS,
                "gradgradcheck": SECOND_DERIVATIVE,
                "batched gradients": defect(
                    "Batched gradients (`is_grads_batched`) raise an error: SciPy computes them."
                ),
                **rows(
                    IN_NUMPY,
                    "meta",
                    "one tensor in two places",
                    "compile",
                    "compile dynamic shapes",
                    "export",
                    "fake tensors",
                ),
                "negative views": defect(
                    "Raises an error for a tensor with a pending sign, as `x.imag` of "
                    "a conjugate: `.numpy()` takes none."
                ),
                **rows(
                    defect(
                        "Under autocast it raises an error: values and right-hand side are "
                        "in two dtypes."
                    ),
                    "autocast bfloat16",
                    "autocast float16",
                ),
            },
        ),
        Wild(
            "torch_sla.sparse_tensor.autograd:DetAdjoint",
            determinant,
            [Sample(values)],
            lambda values: torch.linalg.det(dense(values)),
            options=stated,
            judged={
                **OLD_STYLE,
                "needless work": NEEDLESS,
                "gradgradcheck": SECOND_DERIVATIVE,
                **rows(
                    IN_NUMPY,
                    "meta",
                    "one tensor in two places",
                    "compile",
                    "compile dynamic shapes",
                    "export",
                    "fake tensors",
                ),
                "negative views": defect(
                    "Raises an error for a tensor with a pending sign, as `x.imag` of "
                    "a conjugate: `.numpy()` takes none."
                ),
                "non finite values": by_design("SuperLU refuses a matrix with a NaN."),
            },
        ),
        Wild(
            "torch_sla.sparse_tensor.autograd:EigshAdjoint (eigenvalues)",
            eigenvalues,
            [Sample(half)],
            lambda half: largest(half, 2)[0],
            options=stated,
            judged={
                **OLD_STYLE,
                "gradgradcheck": SECOND_DERIVATIVE,
                "batched gradients": defect(
                    "Batched gradients (`is_grads_batched`) raise an error: the "
                    "backward looks at their numbers."
                ),
                "meta": IN_NUMPY,
                **not_traced("Dynamo does not trace the sparse tensor that is made."),
                "fake tensors": defect(
                    "Raises an error with fake tensors: places and values meet in an "
                    "operation that takes one kind."
                ),
            },
        ),
        Wild(
            "torch_sla.sparse_tensor.autograd:EigshAdjoint (eigenvectors)",
            projector,
            [Sample(half)],
            lambda half: largest(half, 1)[1] @ largest(half, 1)[1].mT,
            options=stated,
            judged={
                **OLD_STYLE,
                "needless work": NEEDLESS,
                "meta": IN_NUMPY,
                **not_traced("Dynamo does not trace the sparse tensor that is made."),
                "fake tensors": defect(
                    "Raises an error with fake tensors: places and values meet in an "
                    "operation that takes one kind."
                ),
                **rows(
                    defect(
                        "The eigenvectors' gradients are 0, in silence: only those of the "
                        "eigenvalues are computed."
                    ),
                    "gradients",
                    "gradcheck",
                    "uses its arguments",
                    "dtypes",
                ),
            },
        ),
        Wild(
            "torch_sla.nonlinear_solve:NonlinearSolveAdjoint",
            lambda y, theta: torch_sla.nonlinear_solve(
                lambda u, y, theta: theta * u + u**3 - y, torch.zeros_like(y), y, theta, tol=1e-12
            ),
            [Sample(b, theta)],
            _cubic_root,
            options={"atol": 1e-7, "rtol": 1e-7},
            judged={
                **OLD_STYLE,
                "needless work": NEEDLESS,
                "gradgradcheck": SECOND_DERIVATIVE,
                "batched gradients": defect(
                    "Batched gradients (`is_grads_batched`) raise an error: a solver "
                    "within the backward has no rule for them."
                ),
                **rows(
                    LOOKS_AT_NUMBERS,
                    "meta",
                    "one tensor in two places",
                    "compile",
                    "compile dynamic shapes",
                    "export",
                    "fake tensors",
                ),
                "non finite values": by_design(
                    "One system of equations is solved: a NaN in one is a NaN in all."
                ),
                "without gradients": defect(
                    "Raises an error under `torch.inference_mode`: the Jacobian is formed by autograd."
                ),
                **rows(
                    defect("Under autocast it raises an error: vectors of two dtypes meet."),
                    "autocast bfloat16",
                    "autocast float16",
                ),
            },
        ),
    ]


def _cubic_root(y: Tensor, a: Tensor) -> Tensor:
    """The x with a x + x³ = y, by Newton's method; the last two steps carry the derivatives."""
    with torch.no_grad():
        x = torch.zeros_like(y + a)
        for _ in range(40):
            x = x - (a * x + x**3 - y) / (a + 3 * x**2)
    for _ in range(2):
        x = x - (a * x + x**3 - y) / (a + 3 * x**2)
    return x
