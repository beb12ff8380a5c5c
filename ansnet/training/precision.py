"""Which devices multiply bfloat16 faster than float32."""

from __future__ import annotations

import torch


def multiplies_bfloat16(device: str) -> bool:
    """Whether a type of device has instructions for products of bfloat16.

    Args:
        device: ``"cuda"``, ``"cpu"`` or another of PyTorch's types.
    """
    if device == "cpu":
        there = torch.cpu.get_capabilities()
        # AVX-512 and AMX on x86, and ARM's
        return any(there.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return device == "cuda"
