"""pytorch_wavelets: discrete and dual-tree wavelet transforms."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import conv1d, conv_transpose1d

from ansnet.testing import Sample
from wild.causes import NEEDLESS, OLD_STYLE, SECOND_DERIVATIVE, SINGLE_GRADIENT, not_traced, rows
from wild.entry import Wild, defect

REQUIREMENT = "pytorch_wavelets==1.3.0"
NEEDS = ("PyWavelets==1.9.0",)


def functions() -> list[Wild]:
    """One level of analysis and of synthesis, and the smooth magnitude of the scattering network."""
    from pytorch_wavelets.dwt import lowlevel
    from pytorch_wavelets.scatternet.lowlevel import SmoothMagFn

    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=generator).requires_grad_()

    low, high = (torch.tensor(taps, dtype=torch.float64) for taps in ([0.6, 0.8], [-0.8, 0.6]))
    line = low.view(1, 1, 2), high.view(1, 1, 2)
    in_columns = low.view(1, 1, 2, 1), high.view(1, 1, 2, 1)
    in_rows = low.view(1, 1, 1, 2), high.view(1, 1, 1, 2)
    zero = lowlevel.mode_to_int("zero")
    return [
        Wild(
            "pytorch_wavelets.dwt.lowlevel:AFB1D",
            lambda x, *taps: lowlevel.AFB1D.apply(x, *taps, zero),
            [Sample(random(2, 2, 6), *line)],
            lambda x, *taps: tuple(_analysed(x, each.flatten()) for each in taps),
            judged={
                **OLD_STYLE,
                **not_traced("Dynamo does not trace the modes of PyWavelets."),
                **rows(
                    defect(
                        "Under autocast the backward raises an error: its convolutions mix two dtypes."
                    ),
                    "autocast bfloat16",
                    "autocast float16",
                ),
            },
        ),
        Wild(
            "pytorch_wavelets.dwt.lowlevel:SFB1D",
            lambda one, other, *taps: lowlevel.SFB1D.apply(one, other, *taps, zero),
            [Sample(random(2, 2, 3), random(2, 2, 3), *line)],
            lambda one, other, low, high: (
                _synthesized(one, low.flatten()) + _synthesized(other, high.flatten())
            ),
            judged={
                **OLD_STYLE,
                "needless work": NEEDLESS,
                **not_traced("Dynamo does not trace the modes of PyWavelets."),
                "subsets of gradients": defect(
                    "Where the second input alone requires grad, its gradient is dropped in silence."
                ),
                **rows(
                    defect(
                        "Under autocast the backward raises an error: its convolutions mix two dtypes."
                    ),
                    "autocast bfloat16",
                    "autocast float16",
                ),
            },
        ),
        Wild(
            "pytorch_wavelets.dwt.lowlevel:AFB2D",
            lambda x, *taps: lowlevel.AFB2D.apply(x, *taps, zero),
            [Sample(random(2, 2, 4, 6), *in_rows, *in_columns)],
            lambda x, *taps: _analysed_2d(x, *(each.flatten() for each in taps)),
            judged={
                **OLD_STYLE,
                **not_traced("Dynamo does not trace the modes of PyWavelets."),
                **rows(
                    defect(
                        "Under autocast the backward raises an error: its convolutions mix two dtypes."
                    ),
                    "autocast bfloat16",
                    "autocast float16",
                ),
                **rows(
                    defect("Raises an error for an empty batch."),
                    "zero size batch",
                    "second derivative of empty batches",
                ),
            },
        ),
        Wild(
            "pytorch_wavelets.dwt.lowlevel:SFB2D",
            lambda one, others, *taps: lowlevel.SFB2D.apply(one, others, *taps, zero),
            [Sample(random(2, 2, 2, 3), random(2, 2, 3, 2, 3), *in_rows, *in_columns)],
            lambda one, others, *taps: _synthesized_2d(one, others, *(each.flatten() for each in taps)),
            judged={
                **OLD_STYLE,
                "needless work": NEEDLESS,
                **not_traced("Dynamo does not trace the modes of PyWavelets."),
                "subsets of gradients": defect(
                    "Where the second input alone requires grad, its gradient is dropped in silence."
                ),
                **rows(
                    defect(
                        "Under autocast the backward raises an error: its convolutions mix two dtypes."
                    ),
                    "autocast bfloat16",
                    "autocast float16",
                ),
            },
        ),
        Wild(
            "pytorch_wavelets.scatternet.lowlevel:SmoothMagFn",
            SmoothMagFn.apply,
            [Sample(random(2, 3), random(2, 3), 0.01)],
            lambda x, y, b: (x**2 + y**2 + b**2).sqrt() - b,
            judged={
                **OLD_STYLE,
                "needless work": NEEDLESS,
                "gradgradcheck": SECOND_DERIVATIVE,
                "subsets of gradients": defect(
                    "Where y alone requires grad, the backward raises an UnboundLocalError."
                ),
                **SINGLE_GRADIENT,
            },
        ),
    ]


def _lines(x: Tensor) -> Tensor:
    return x.reshape(math.prod(x.shape[:-1]), 1, x.shape[-1])


def _analysed(x: Tensor, taps: Tensor) -> Tensor:
    """Every second number of the correlation with the taps, along the last axis."""
    y = conv1d(_lines(x), taps.to(x)[None, None], stride=2)
    return y.reshape(*x.shape[:-1], y.shape[-1])


def _synthesized(x: Tensor, taps: Tensor) -> Tensor:
    y = conv_transpose1d(_lines(x), taps.to(x)[None, None], stride=2)
    return y.reshape(*x.shape[:-1], y.shape[-1])


def _analysed_2d(x: Tensor, low: Tensor, high: Tensor, *along_columns: Tensor) -> tuple[Tensor, Tensor]:
    in_rows = [_analysed(x, taps) for taps in (low, high)]
    in_both = [_analysed(y.mT, taps).mT for y in in_rows for taps in along_columns]
    return in_both[0], torch.stack(in_both[1:], 2)


def _synthesized_2d(
    one: Tensor, others: Tensor, low: Tensor, high: Tensor, *along_columns: Tensor
) -> Tensor:
    lh, hl, hh = others.unbind(2)
    lower, higher = along_columns
    in_columns = [
        _synthesized(a.mT, lower).mT + _synthesized(b.mT, higher).mT for a, b in ((one, lh), (hl, hh))
    ]
    return _synthesized(in_columns[0], low) + _synthesized(in_columns[1], high)
