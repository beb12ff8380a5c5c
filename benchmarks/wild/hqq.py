"""Products with a weight that is dequantised when it is needed, of HQQ."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from ansnet.testing import Sample
from wild.entry import Judgement, Wild, by_design, defect
from wild.shared.judgements import NO_VMAP_RULE, of

REQUIREMENT = "hqq==0.2.8.post1"
NEEDS = ("termcolor==3.3.0",)


READ_AGAIN = of(
    by_design("The quantised weight is read again in the backward; that it has changed is not seen."),
    "saved tensors guarded",
)


def functions() -> list[Wild]:
    """`HQQMatmulNoCacheDeq` and `HQQMatmulNoCacheMul`, of a matrix and of a batch of them."""
    from hqq.core import quantize

    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    batch = torch.randn(2, 2, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(4, generator=generator, dtype=torch.float64, requires_grad=True)
    integers = torch.randint(-3, 4, (4, 3), generator=generator)

    def linear(x: Tensor, bias: Tensor, integers: Tensor) -> Tensor:
        return F.linear(x, integers.to(x) / 4, bias)

    def dequantized(x: Tensor, bias: Tensor, integers: Tensor) -> Tensor:
        dtype = x.dtype

        def dequantize() -> Tensor:
            return integers.to(dtype) / 4

        result: Tensor = quantize.HQQMatmulNoCacheDeq.apply(x, dequantize, bias)
        return result

    def multiplied(x: Tensor, bias: Tensor, integers: Tensor) -> Tensor:
        def multiply(left: Tensor, transpose: bool) -> Tensor:
            weight = integers.to(left.dtype) / 4
            return left @ (weight.t() if transpose else weight)

        result: Tensor = quantize.HQQMatmulNoCacheMul.apply(x, multiply, bias)
        return result

    named: list[tuple[str, Callable[[Tensor, Tensor, Tensor], Tensor], Judgement]] = [
        (
            "HQQMatmulNoCacheDeq",
            dequantized,
            defect("The backward raises for a float32 input under autocast: it multiplies two dtypes."),
        ),
        (
            "HQQMatmulNoCacheMul",
            multiplied,
            defect("Under autocast the gradient of a float32 input is computed in lower precision."),
        ),
    ]
    return [
        Wild(
            f"hqq.core.quantize:{name}",
            function,
            [Sample(x, bias, integers), Sample(batch, bias, integers)],
            linear,
            judged={
                **NO_VMAP_RULE,
                **READ_AGAIN,
                **of(judgement, "autocast bfloat16", "autocast float16"),
            },
        )
        for name, function, judgement in named
    ]
