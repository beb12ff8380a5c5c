"""torchkbnufft: the non-uniform fast Fourier transform."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ansnet.testing import Sample
from wild.causes import LOOKS_AT_NUMBERS, OLD_STYLE, UNPACKED_TWICE, not_traced, rows
from wild.entry import Wild, by_design, defect

REQUIREMENT = "torchkbnufft==1.5.2"


def functions() -> list[Wild]:
    """Interpolation from a grid to any frequencies, and its adjoint; parts are the last axis."""
    from torchkbnufft import KbInterp
    from torchkbnufft._autograd.interp import KbTableInterpAdjoint, KbTableInterpForward

    module = KbInterp(im_size=(4,), grid_size=(8,), numpoints=4).to(torch.complex128)
    omega = torch.tensor([[0.4, -1.3, 2.2]], dtype=torch.float64)
    table = torch.view_as_real(module.table_0)
    names = "n_shift", "numpoints", "table_oversamp", "offsets"
    settings = [getattr(module, name) for name in names]
    generator = torch.Generator().manual_seed(0)
    grid = torch.randn(1, 1, 8, 2, dtype=torch.float64, generator=generator).requires_grad_()
    data = torch.randn(1, 1, 3, 2, dtype=torch.float64, generator=generator).requires_grad_()

    def interpolated(grid: Tensor, omega: Tensor, table: Tensor, *settings: Tensor) -> Any:
        numbers, tables = _complex(grid), [_complex(table)]
        return torch.view_as_real(KbTableInterpForward.apply(numbers, omega, tables, *settings))

    def spread(data: Tensor, omega: Tensor, table: Tensor, *settings: Tensor) -> Any:
        numbers, tables = _complex(data), [_complex(table)]
        size = torch.tensor([8])
        return torch.view_as_real(KbTableInterpAdjoint.apply(numbers, omega, tables, *settings, size))

    with torch.no_grad():
        columns = [
            interpolated(one.view(1, 1, 8, 2), omega, table, *settings).flatten()
            for one in torch.eye(16, dtype=torch.float64)
        ]
    matrix = torch.stack(columns, 1)
    options = {
        "not_applicable": {
            "accuracy": "complex numbers are of no bfloat16",
            "saved tensors freed": "TorchScript's threads let go of tensors a little later",
        }
    }
    return [
        Wild(
            "torchkbnufft._autograd.interp:KbTableInterpForward",
            interpolated,
            [Sample(grid, omega, table, *settings)],
            lambda grid, *_: (matrix.to(grid) @ grid.flatten()).view(1, 1, 3, 2),
            options=options,
            judged={
                **OLD_STYLE,
                "checkpoint": UNPACKED_TWICE,
                **rows(LOOKS_AT_NUMBERS, "export", "meta", "fake tensors"),
                "batched gradients": defect(
                    "Batched gradients (`is_grads_batched`) raise an error: "
                    "TorchScript adds them in place."
                ),
                **not_traced("Dynamo does not trace sizes that are read from tensors."),
                **rows(
                    by_design("Complex numbers are of no lower precision."),
                    "autocast bfloat16",
                    "autocast float16",
                ),
            },
        ),
        Wild(
            "torchkbnufft._autograd.interp:KbTableInterpAdjoint",
            spread,
            [Sample(data, omega, table, *settings)],
            lambda data, *_: (data.flatten() @ matrix.to(data)).view(1, 1, 8, 2),
            options=options,
            judged={
                **OLD_STYLE,
                "checkpoint": UNPACKED_TWICE,
                **rows(LOOKS_AT_NUMBERS, "export", "fake tensors"),
                "batched gradients": defect(
                    "Batched gradients (`is_grads_batched`) raise an error: "
                    "TorchScript adds them in place."
                ),
                **not_traced("Dynamo does not trace sizes that are read from tensors."),
                **rows(
                    by_design("Complex numbers are of no lower precision."),
                    "autocast bfloat16",
                    "autocast float16",
                ),
            },
        ),
    ]


def _complex(parts: Tensor) -> Tensor:
    return torch.complex(parts[..., 0], parts[..., 1])
