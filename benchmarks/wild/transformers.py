"""Functions of Transformers: activations, quantisers, a masked softmax, a sort undone."""

from __future__ import annotations

import torch
from torch import Tensor

from ansnet.testing import Sample
from wild.entry import Wild, by_design, defect
from wild.shared.judgements import OLD_STYLE, SINGLE_GRADIENT, of

REQUIREMENT = "transformers==5.24.0"
NEEDS = (
    "anyio==4.16.0",
    "h11==0.16.0",
    "httpcore2==2.16.2",
    "httpx2==2.16.2",
    "huggingface-hub==2.4.0",
    "regex==2026.11.19",
    "safetensors==0.8.0",
    "tokenizers==0.23.3",
    "truststore==0.10.5",
)


def quantised(x: Tensor, bits: int, percentiles: bool, scale: Tensor) -> Tensor:
    """X divided by its rows' scales, as integers of some bits."""
    most = 2 ** (bits - 1) - 1
    return (x / scale[:, None]).round().clamp(-most, most - 1)


def masked_softmax(x: Tensor, mask: Tensor, dim: int) -> Tensor:
    """A softmax over where the mask is 1, 0 elsewhere."""
    chosen = mask.bool()
    return x.masked_fill(~chosen, torch.finfo(x.dtype).min).softmax(dim).masked_fill(~chosen, 0)


def undo_sort(vectors: Tensor, logits: Tensor, order: Tensor, back: Tensor) -> tuple[Tensor, Tensor]:
    """Both in the order before a sort."""
    return vectors.gather(2, back[..., None].expand_as(vectors)), logits.gather(2, back)


def functions() -> list[Wild]:
    """Seven Functions of its models."""
    from transformers.models.bloom.modeling_bloom import GeLUFunction
    from transformers.models.ibert import quant_modules as ibert
    from transformers.models.recurrent_gemma.modeling_recurrent_gemma import SqrtBoundDerivative
    from transformers.models.reformer.modeling_reformer import ReverseSort
    from transformers.models.sew_d.modeling_sew_d import XSoftmax

    x = torch.tensor([[-1.4, -0.7, -0.2], [0.3, 0.8, 1.7]], dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[1, 1, 0], [0, 1, 1]])
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(1, 2, 4, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    logits = torch.randn(1, 2, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    order = torch.tensor([[[2, 0, 3, 1], [1, 3, 0, 2]]])
    return [
        Wild(
            "transformers.models.bloom.modeling_bloom:GeLUFunction",
            GeLUFunction.apply,
            [Sample(x)],
            lambda x: x / 2 * (1 + (0.79788456 * x * (1 + 0.044715 * x * x)).tanh()),
            judged=OLD_STYLE,
        ),
        Wild(
            "transformers.models.ibert.quant_modules:SymmetricQuantFunction",
            ibert.SymmetricQuantFunction.apply,
            [Sample(x, 3, False, torch.tensor([0.43, 0.6], dtype=torch.float64))],
            quantised,
            lambda x, bits, percentiles, scale: x / scale[:, None],
            judged={
                **OLD_STYLE,
                **SINGLE_GRADIENT,
                **of(
                    defect(
                        "The scales, kept on ctx, may change before the backward: wrong in silence."
                    ),
                    "saved tensors guarded",
                ),
            },
        ),
        Wild(
            "transformers.models.ibert.quant_modules:round_ste",
            ibert.round_ste.apply,
            [Sample(x)],
            torch.round,
            lambda x: x.clone(),
            judged=OLD_STYLE,
        ),
        Wild(
            "transformers.models.ibert.quant_modules:floor_ste",
            ibert.floor_ste.apply,
            [Sample(x)],
            torch.floor,
            lambda x: x.clone(),
            judged=OLD_STYLE,
        ),
        Wild(
            "transformers.models.recurrent_gemma.modeling_recurrent_gemma:SqrtBoundDerivative",
            SqrtBoundDerivative.apply,
            [Sample(x.detach().abs().requires_grad_())],
            torch.sqrt,
            judged=OLD_STYLE,
        ),
        Wild(
            "transformers.models.reformer.modeling_reformer:ReverseSort",
            ReverseSort.apply,
            [Sample(vectors, logits, order, order.argsort(-1))],
            undo_sort,
            judged={
                **OLD_STYLE,
                **of(
                    defect("The order, kept on ctx, may change before the backward: wrong in silence."),
                    "saved tensors guarded",
                ),
                **of(defect("Both gradients are computed where one is wanted."), "needless work"),
            },
        ),
        Wild(
            "transformers.models.sew_d.modeling_sew_d:XSoftmax",
            XSoftmax.apply,
            [Sample(x, mask, -1)],
            masked_softmax,
            judged={
                **OLD_STYLE,
                **of(
                    defect("It raises on the meta device: a constant of the forward is on the CPU."),
                    "meta",
                ),
                **of(
                    by_design(
                        "Where a row holds a NaN, the gradient of what is masked is NaN, too: 0 · NaN."
                    ),
                    "non finite values",
                ),
            },
        ),
    ]
