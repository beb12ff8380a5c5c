"""What the processor can do that decides how a run computes."""

from __future__ import annotations

import torch


def multiplies_bfloat16() -> bool:
    """Whether there are matrix units for bfloat16 (Intel's AMX), as far as torch tells."""
    capabilities = getattr(torch.cpu, "get_capabilities", None)
    if capabilities is not None:
        return bool(capabilities().get("amx_bf16", False))
    has_tiles = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return has_tiles is not None and bool(has_tiles())
