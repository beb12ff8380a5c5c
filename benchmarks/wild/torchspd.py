"""torchspd: functions of symmetric matrices by their eigenvalues."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ansnet.testing import Sample
from wild.causes import OLD_STYLE, ONCE, UNDER_AUTOCAST
from wild.entry import Wild

REQUIREMENT = "torchspd==0.1.2"


def functions() -> list[Wild]:
    """The logarithm and the square root, both by the Function `_SpectralCore`."""
    import torchspd

    a = torch.tensor([[2.0, 0.4, 0.1], [0.4, 1.1, -0.3], [0.1, -0.3, 0.7]], dtype=torch.float64)
    a.requires_grad_()
    return [
        Wild(
            f"torchspd.torchspd:_SpectralCore ({name})",
            own,
            [Sample(a)],
            _spectral(of_values),
            judged={**OLD_STYLE, **UNDER_AUTOCAST, "gradgradcheck": ONCE},
        )
        for name, own, of_values in (
            ("logm", torchspd.logm, torch.log),
            ("sqrtm", torchspd.sqrtm, torch.sqrt),
        )
    ]


def _spectral(of_values: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def function(a: Tensor) -> Tensor:
        values, vectors = torch.linalg.eigh((a + a.mT) / 2)
        return (vectors * of_values(values)[..., None, :]) @ vectors.mT

    return function
