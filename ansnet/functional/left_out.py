"""What PyTorch's functions take and these do not; passing it raises an error that says why.

A function that stands in for one of PyTorch's has all of its arguments. What it leaves out it hands to
`refuse`, together with the value, and takes only the one that asks for nothing. The reasons stand here
and nowhere else; ``docs/complete.md`` has them as a table.
"""

from __future__ import annotations

import torch
from torch import Tensor

LEFT_OUT: dict[str, tuple[object, str]] = {
    "return_indices": (
        False,
        "the place in its window, a byte, is kept instead of an index; "
        "torch.nn.functional.max_pool2d has the indices",
    ),
    "size_average": (None, "PyTorch has deprecated it; write reduction='mean' or 'sum'"),
    "reduce": (None, "PyTorch has deprecated it; write reduction='mean', or 'none' for False"),
}
"""Argument: the value that asks for nothing, and why no other is taken, with the way round."""


def refuse(function: str, **given: object) -> None:
    """Let an argument that is left out pass if it asks for nothing.

    Raises:
        NotImplementedError: it asks for something; the message says why that is left out.
    """
    for name, value in given.items():
        nothing, reason = LEFT_OUT[name]
        if value is not nothing:
            raise NotImplementedError(f"{function} leaves {name}={value!r} out: {reason}")


def refuse_layouts(function: str, *tensors: Tensor | None) -> None:
    """Let ordinary, dense tensors pass.

    Raises:
        NotImplementedError: a tensor is sparse, of oneDNN's own layout, nested or quantised.
    """
    for tensor in tensors:
        if tensor is not None and (tensor.layout != torch.strided or tensor.is_quantized):
            kind = "quantised" if tensor.is_quantized else str(tensor.layout).removeprefix("torch.")
            raise NotImplementedError(
                f"{function} leaves {kind} tensors out: its formula is of dense ones; "
                f"{'call dequantize()' if tensor.is_quantized else 'call to_dense()'} first"
            )
