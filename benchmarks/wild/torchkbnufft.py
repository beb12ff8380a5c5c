"""torchkbnufft: the non-uniform fast Fourier transform."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ansnet.testing import Sample
from wild.entry import Wild

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
    options = {"not_applicable": {"accuracy": "complex numbers are of no bfloat16"}}
    return [
        Wild(
            "torchkbnufft._autograd.interp:KbTableInterpForward",
            interpolated,
            [Sample(grid, omega, table, *settings)],
            lambda grid, *_: (matrix.to(grid) @ grid.flatten()).view(1, 1, 3, 2),
            options=options,
        ),
        Wild(
            "torchkbnufft._autograd.interp:KbTableInterpAdjoint",
            spread,
            [Sample(data, omega, table, *settings)],
            lambda data, *_: (data.flatten() @ matrix.to(data)).view(1, 1, 8, 2),
            options=options,
        ),
    ]


def _complex(parts: Tensor) -> Tensor:
    return torch.complex(parts[..., 0], parts[..., 1])
