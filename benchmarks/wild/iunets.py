"""The matrix exponential and the Cayley transform of iUNets."""

from __future__ import annotations

import torch
from torch import Tensor

from ansnet.testing import Sample
from wild.entry import Judgement, Wild, defect
from wild.shared.judgements import OLD_STYLE, SINGLE_GRADIENT, not_compiled, of, without_values

REQUIREMENT = "iunets==0.1"


def wrong(why: str) -> dict[str, Judgement]:
    """Rows that see a wrong first derivative."""
    rows = "gradients", "gradcheck", "non finite values", "uses its arguments", "dtypes"
    return of(defect(why), *rows)


def cayley(m: Tensor) -> Tensor:
    """(1 + M)⁻¹ (1 − M), which is orthogonal where M is skew-symmetric."""
    identity = torch.eye(m.shape[-1], dtype=m.dtype, device=m.device)
    return torch.linalg.solve(identity + m, identity - m)


def functions() -> list[Wild]:
    """Both Functions, of batches of two skew-symmetric matrices."""
    from iunets.cayley import cayley as cayley_function
    from iunets.expm import expm

    generator = torch.Generator().manual_seed(0)
    m = torch.randn(2, 3, 3, generator=generator, dtype=torch.float64) / 2
    m = (m - m.mT).requires_grad_()
    return [
        Wild(
            "iunets.cayley:cayley",
            cayley_function.apply,
            [Sample(m)],
            cayley,
            judged={
                **OLD_STYLE,
                **SINGLE_GRADIENT,
                **wrong("The gradient is wrong in silence, also of the skew-symmetric part alone."),
                "gradgradcheck": defect("Second derivatives are wrong, too."),
                "accuracy": defect("In float32 the gradient has seven times the reference's error."),
            },
        ),
        Wild(
            "iunets.expm:expm",
            expm.apply,
            [Sample(m)],
            torch.linalg.matrix_exp,
            judged={
                **OLD_STYLE,
                **not_compiled("the order of the approximation depends on the matrix."),
                **without_values("the order of the approximation depends on the matrix."),
                **of(
                    defect("Matrices in lower precision raise an UnboundLocalError."),
                    "autocast bfloat16",
                    "autocast float16",
                ),
                **of(
                    defect("An empty batch raises: its largest norm is asked for."),
                    "zero size batch",
                    "second derivative of empty batches",
                ),
                **of(defect("The forward's powers are computed again."), "needless work"),
                "accuracy": defect("The gradient in float32 is wrong."),
                "export": defect("torch.export raises: the order depends on the matrix."),
                **wrong(
                    "The gradient is wrong in silence, by a third in the sample: in float32, and in "
                    "float64 where the norm is below 1.8 or above 4.7."
                ),
            },
        ),
    ]
