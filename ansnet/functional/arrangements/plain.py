"""The switch that turns all arrangements off, and what they share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

from ansnet.functional.kernel import kernel


@contextmanager
def plain_sums() -> Iterator[None]:
    """Convolutions within, and their gradients, are computed as their formulas are written.

    More slowly, where another arrangement would be quicker; with the rounding of PyTorch's own kernels.

    Example:
        >>> from ansnet.functional import conv2d, plain_sums
        >>> with plain_sums():
        ...     z = conv2d(torch.ones(1, 1, 3, 3), torch.ones(1, 1, 3, 3))
        >>> z
        tensor([[[[9.]]]])
    """
    token = PLAIN.set(True)
    try:
        yield
    finally:
        PLAIN.reset(token)


def allowed() -> bool:
    """Whether this runs outside of `plain_sums`; in what is compiled nothing depends on it."""
    return torch.compiler.is_compiling() or not PLAIN.get()


def is_half(x: Tensor) -> bool:
    """Whether x is in half precision, which matrix units multiply."""
    return x.dtype in (torch.bfloat16, torch.float16)


def images_behind(x: Tensor) -> Tensor:
    """N × C × H × W copied to H × W × C × N: neighbours in memory are the images' same elements."""
    N, C, H, W = x.shape
    return transposed(x.permute(0, 2, 3, 1).reshape(N, -1)).view(H, W, C, N)


@kernel
def transposed(matrix: Tensor) -> Tensor:
    """Its transpose in memory of its own; in half precision generated code is four times as quick."""
    return matrix.T.contiguous()


PLAIN = ContextVar("plain sums", default=False)
