"""Tools that count operations and parameters."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from tests.tools.networks import BY_CLASS, EVERY_LAYER, TO_TORCH, images
from tests.tools.tool import tool

COUNTED: dict[str, Any] = {"networks": ("VGG7", "VGG7BN"), "dtype": torch.float32}

COUNTS = 'it counts next to nothing; its aten backend (`backend="aten"`) counts operators, and agrees'


@tool(
    "thop",
    "operations and parameters",
    "thop",
    warns=True,
    reason=BY_CLASS
    + "it counts 0, and tells with `report_missing=True`; `custom_ops` names classes to it",
    **TO_TORCH,
    **COUNTED,
)
def thop_profile(network: nn.Module) -> Any:
    from thop import profile

    return profile(network, (images(network, 1),), verbose=False)


def count_by_ptflops(network: nn.Module, backend: str) -> Any:
    from ptflops import get_model_complexity_info

    shape = tuple(images(network).shape[1:])
    settings = {"print_per_layer_stat": False, "as_strings": False, "backend": backend}
    return get_model_complexity_info(network, shape, **settings)


@tool(
    "ptflops",
    "operations, by the default backend",
    "ptflops",
    reason=BY_CLASS + COUNTS,
    warns=True,
    **TO_TORCH,
    **COUNTED,
)
def ptflops_by_layers(network: nn.Module) -> Any:
    return count_by_ptflops(network, "pytorch")


@tool("ptflops", "operations, by the aten backend", "ptflops", **COUNTED)
def ptflops_by_operators(network: nn.Module) -> Any:
    return count_by_ptflops(network, "aten")


@tool("fvcore", "FlopCountAnalysis, by operator and by module", "fvcore", **COUNTED)
def fvcore_flops(network: nn.Module) -> Any:
    from fvcore.nn import FlopCountAnalysis

    analysis = FlopCountAnalysis(network, images(network, 1))
    analysis.unsupported_ops_warnings(False)
    return analysis.total(), dict(analysis.by_operator()), dict(analysis.by_module())


@tool("fvcore", "parameter_count_table and ActivationCountAnalysis", "fvcore", **COUNTED)
def fvcore_table(network: nn.Module) -> Any:
    from fvcore.nn import ActivationCountAnalysis, parameter_count_table

    return parameter_count_table(network), ActivationCountAnalysis(network, images(network, 1)).total()


@tool("calflops", "operations and parameters", "calflops", alone=True, **COUNTED)
def calflops_total(network: nn.Module) -> Any:
    from calflops import calculate_flops

    settings = {"print_results": False, "output_as_string": False}
    return calculate_flops(network, input_shape=tuple(images(network, 1).shape), **settings)


@tool("torchprofile", "profile_macs", "torchprofile", **COUNTED)
def torchprofile_macs(network: nn.Module) -> Any:
    from torchprofile import profile_macs

    return profile_macs(network, images(network, 1))


@tool("flopth", "operations and parameters", "flopth", alone=True, **COUNTED)
def flopth_sum(network: nn.Module) -> Any:
    from flopth import flopth

    return flopth(network, in_size=(tuple(images(network).shape[1:]),), bare_number=True)


@tool("torchinfo", "mult_adds", "torchinfo", networks=(EVERY_LAYER, "VGG7"))
def torchinfo_operations(network: nn.Module) -> Any:
    from torchinfo import summary

    statistics = summary(network, input_data=images(network), verbose=0)
    return statistics.total_mult_adds, statistics.total_params, statistics.total_output_bytes
