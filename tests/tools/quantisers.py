"""Quantisers: what they replace in a network, and what it answers then."""

from __future__ import annotations

import tempfile
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tests.tools.networks import images
from tests.tools.tool import Tool, tool

# float32, where another order of the same sums may end in the next of 256 steps
NEARLY: dict[str, Any] = {"dtype": torch.float32, "tolerance": 1e-4}


@tool("torchao", "int8 weights: layers, logits, gradient", "torchao", **NEARLY)
def torchao_weight_only(network: nn.Module) -> Any:
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    quantize_(network, Int8WeightOnlyConfig())
    x = images(network).requires_grad_()
    logits = network(x)
    logits.square().sum().backward()
    weights = [name for name, weight in network.named_parameters() if type(weight) is not nn.Parameter]
    return weights, logits, x.grad


@tool("torchao", "int8 weights and activations: layers, logits", "torchao", **NEARLY)
def torchao_dynamic(network: nn.Module) -> Any:
    from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_

    quantize_(network, Int8DynamicActivationInt8WeightConfig())
    weights = [name for name, weight in network.named_parameters() if type(weight) is not nn.Parameter]
    return weights, network(images(network))


def x86_inductor(network: nn.Module, strict: bool = False) -> Any:
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

    quantiser = x86.X86InductorQuantizer()
    quantiser.set_global(x86.get_default_x86_inductor_quantization_config())
    return by_export(network, quantiser, strict)


x86_inductor_quantizer = Tool(
    "PT2E, X86InductorQuantizer",
    "operators, logits",
    x86_inductor,
    "torchao",
    reason="it finds layers by the exact names of their classes, which the export notes, and passes "
    "over all others, without a word, although the operators are the same "
    "([`findings/`](../findings/x86_quantizer_skips_subclasses.sh)); with `strict=True` the export "
    "notes functions instead.",
    way_round="torch.export.export(network, images, strict=True)",
    ask_round=partial(x86_inductor, strict=True),
    **NEARLY,
)


@tool("PT2E, XNNPACKQuantizer", "operators, logits", "executorch", **NEARLY)
def xnnpack(network: nn.Module) -> Any:
    from executorch.backends.xnnpack.quantizer import xnnpack_quantizer

    settings = xnnpack_quantizer.get_symmetric_quantization_config(is_per_channel=True)
    return by_export(network, xnnpack_quantizer.XNNPACKQuantizer().set_global(settings))


def by_export(network: nn.Module, quantiser: Any, strict: bool = False) -> Any:
    """Calibrated on the images, which are asked about."""
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    x = images(network)
    prepared = prepare_pt2e(torch.export.export(network, (x,), strict=strict).module(), quantiser)
    prepared(x)
    converted = convert_pt2e(prepared)
    calls = [str(node.target) for node in converted.graph.nodes if node.op == "call_function"]
    return Counter(calls), converted(x)


@tool(
    "NNCF",
    "quantised torch: quantisers, logits",
    "nncf",
    slow=True,
    **NEARLY,
)
def nncf_torch(network: nn.Module) -> Any:
    """Wrapped, since 3.4 gives any `nn.Sequential` a child that is no layer, and then calls it."""
    import nncf

    x = images(network)
    quantised = nncf.quantize(Wrapped(network), nncf.Dataset([x]))
    return kinds(quantised, "nncf"), quantised(x)


class Wrapped(nn.Module):
    """A module that calls another."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, input: Tensor) -> Tensor:
        output: Tensor = self.network(input)
        return output


@tool("NNCF", "quantised OpenVINO model: operators, logits", "nncf", **NEARLY)
def nncf_openvino(network: nn.Module) -> Any:
    import nncf
    import openvino

    x = images(network)
    model = openvino.convert_model(network, example_input=x, input=list(x.shape))
    quantised = nncf.quantize(model, nncf.Dataset([x.numpy()]))
    operators = Counter(node.get_type_name() for node in quantised.get_ops())
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    return operators, openvino.compile_model(quantised, "CPU", settings)(x.numpy())[0]


@tool("NNCF", "compressed OpenVINO model: operators, logits", "nncf", **NEARLY)
def nncf_compress(network: nn.Module) -> Any:
    import nncf
    import openvino

    x = images(network)
    model = openvino.convert_model(network, example_input=x, input=list(x.shape))
    compressed = nncf.compress_weights(model)
    operators = Counter(node.get_type_name() for node in compressed.get_ops())
    settings = {"INFERENCE_PRECISION_HINT": "f32"}  # otherwise bfloat16 where the processor has it
    return operators, openvino.compile_model(compressed, "CPU", settings)(x.numpy())[0]


@tool("onnxruntime", "quantize_static: operators, logits", "onnxruntime", **NEARLY)
def onnxruntime_static(network: nn.Module) -> Any:
    import onnx
    from onnxruntime import InferenceSession, quantization

    x = images(network)

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self.batches = iter([{"x": x.numpy()}])

        def get_next(self) -> dict[str, Any] | None:
            return next(self.batches, None)

    with tempfile.TemporaryDirectory() as folder:
        plain, prepared, quantised = (str(Path(folder, name)) for name in ("plain", "prepared", "int8"))
        torch.onnx.export(network, (x,), plain, dynamo=True, input_names=["x"], verbose=False)
        quantization.shape_inference.quant_pre_process(plain, prepared)
        quantization.quantize_static(prepared, quantised, Reader())
        operators = Counter(node.op_type for node in onnx.load(quantised).graph.node)
        return operators, InferenceSession(quantised).run(None, {"x": x.numpy()})[0]


def kinds(network: nn.Module, package: str) -> Counter[str]:
    """How many modules of a package the network has, by class."""
    modules = [type(module) for module in network.modules()]
    return Counter(kind.__name__ for kind in modules if package in kind.__module__)
