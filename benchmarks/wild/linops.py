"""torch-linops: linear operators."""

from __future__ import annotations

import torch

from ansnet.testing import Sample
from wild.causes import LOOKS_AT_NUMBERS, NEEDLESS, OLD_STYLE, SECOND_DERIVATIVE, not_traced, rows
from wild.entry import Wild, by_design, defect

REQUIREMENT = "torch-linops==0.2.0"


def functions() -> list[Wild]:
    """The solution of A x = b by conjugate gradients."""
    from linops.cg import CG

    a = torch.tensor([[2.0, 0.4, 0.1], [0.4, 1.1, -0.3], [0.1, -0.3, 0.7]], dtype=torch.float64)
    b = torch.tensor([0.3, -1.2, 0.7], dtype=torch.float64, requires_grad=True)

    solve = CG(lambda x: a.to(x) @ x, rtol=1e-13, atol=1e-13, maxiter=30)
    return [
        Wild(
            "linops.cg:CG",
            solve,
            [Sample(b)],
            lambda b: torch.linalg.solve(a.to(b), b),
            options={
                "atol": 1e-9,
                "rtol": 1e-9,
                "not_applicable": {"fake tensors": "the operator captures a matrix"},
            },
            judged={
                **OLD_STYLE,
                "needless work": NEEDLESS,
                **rows(LOOKS_AT_NUMBERS, "export", "meta"),
                "gradgradcheck": SECOND_DERIVATIVE,
                **not_traced("Dynamo does not trace a state that the backward changes."),
                "gradcheck": defect(
                    "The gradient depends on the backward before it, whose solution it "
                    "starts from: in the default precision by 1e-3."
                ),
                **rows(
                    by_design(
                        "The operator is the user's: under autocast its products are in "
                        "lower precision."
                    ),
                    "autocast bfloat16",
                    "autocast float16",
                ),
                "gradient dtypes": defect(
                    "After a backward in float64 the gradient of a float32 input is in "
                    "float64: it starts from the last one."
                ),
                **rows(
                    defect(
                        "After one NaN in a gradient all later gradients are NaN: each "
                        "starts from the last one."
                    ),
                    "non finite values",
                    "finite far away",
                ),
                "batched gradients": defect(
                    "Batched gradients (`is_grads_batched`) raise an error: the solver "
                    "looks at their numbers."
                ),
                "linear in the upstream gradient": defect(
                    "A small gradient comes out less exact: the solver's tolerance is absolute as well."
                ),
            },
        )
    ]
