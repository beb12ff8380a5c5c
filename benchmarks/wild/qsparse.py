"""Quantisers of QSparse."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from ansnet.testing import Sample
from wild.entry import Judgement, Wild, defect
from wild.shared.judgements import OLD_STYLE, of

REQUIREMENT = "qsparse==2.0.1"


WRITES_TO_GRADIENTS: dict[str, Judgement] = {
    **of(
        defect("What lies beyond the bits' range is not clamped: the clamped numbers go to a copy."),
        "forward",
    ),
    **of(
        defect("The backward clamps the upstream gradient in place: other branches get it changed."),
        "inputs unchanged",
        "gradients",
        "gradcheck",
        "linear in the upstream gradient",
    ),
    **of(
        defect("f(x).sum().backward() raises: the backward writes to an expanded gradient."),
        "expanded views",
        "gradients of stride 0",
        "batched gradients",
    ),
    **of(
        defect("Second derivatives raise: the backward writes to a gradient that requires grad."),
        "gradgradcheck",
        "second derivative of empty batches",
    ),
    **of(
        defect("The output is float32 whatever the input's dtype is."),
        "gradient dtypes",
        "autocast bfloat16",
        "autocast float16",
        "non finite values",
    ),
}


IN_SINGLE = of(
    defect("The output is float32 also under autocast to lower precision."),
    "autocast bfloat16",
    "autocast float16",
)


def decimal(x: Tensor, bits: int, places: int) -> Tensor:
    """Fixed-point numbers of some bits, some of them binary places; rounded towards 0.

    In float32, as the package has it.
    """
    limit = 2 ** (bits - 1)
    return ((x * 2**places).trunc().clamp(-limit, limit - 1) / 2**places).float()


def scaled(x: Tensor, bits: int, scale: float) -> Tensor:
    """The nearest of 2^bits multiples of a scale, in float32, as the package has it."""
    limit = 2 ** (bits - 1)
    return ((x / scale).round().clamp(-limit, limit - 1) * scale).float()


def between_lines(x: Tensor, bits: int, lines: tuple[float, float]) -> Tensor:
    """The nearest of 2^bits numbers that begin at the lower line, evenly spaced."""
    start, end = lines
    step = (end - start) / 2**bits
    return ((x.clamp(start, end) - start) / step).round().clamp(0, 2**bits - 1) * step + start


def functions() -> list[Wild]:
    """All three; some elements lie beyond what the bits can say."""
    quantize = import_module("qsparse.quantize")

    x = torch.tensor([[-1.43, -0.7, -0.21], [0.3, 0.83, 1.7]], dtype=torch.float64)
    x.requires_grad_()
    named: list[tuple[str, tuple[Any, ...], Any]] = [
        ("DecimalQuantization", (4, 3), decimal),
        ("ScalerQuantization", (4, 0.125), scaled),
        ("LineQuantization", (4, (-1.0, 1.0)), between_lines),
    ]
    return [
        Wild(
            f"qsparse.quantize:{name}",
            getattr(quantize, name).apply,
            [Sample(x, *parameters)],
            reference,
            lambda x, *parameters: x.clone(),
            judged={**OLD_STYLE, **(IN_SINGLE if name == "LineQuantization" else WRITES_TO_GRADIENTS)},
        )
        for name, parameters, reference in named
    ]
