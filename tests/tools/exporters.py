"""Exporters: the operators in the file, and what its runtime answers to a batch of another size.

The ways to a file are those that `benchmarks/exports.py` measures on the notebook's networks.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ansnet.training.classifier import ImageClassifier
from tests.tools.networks import TO_TORCH, images, loss
from tests.tools.tool import Tool, tool

# scripts import each other by their bare names; pytest knows the folder, python -m tests.tools does not
sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
from exporters import EXPORTERS

EXAMPLE = 16  # images; see findings/executorch_batch_of_15.sh
NEARLY: dict[str, Any] = {"dtype": torch.float32, "tolerance": 1e-4}


def file_of(way: str, name: str, package: str, how: str = "", **known: Any) -> Tool:
    """The probe of one of `EXPORTERS`, in a row ``name``, and ``how`` of several ways of one tool."""
    exporter = EXPORTERS[way]

    def ask(network: nn.Module) -> Any:
        batch = 3 if exporter.any_batch else EXAMPLE
        with tempfile.TemporaryDirectory() as folder:
            exported = exporter.export(network, images(network, EXAMPLE), Path(folder))
            if exported.run is None:
                return exported.operators
            with torch.no_grad():
                return exported.operators, exported.run(images(network, batch, seed=1)).clone()

    given = "logits" if way in WITHOUT_BATCH else "logits of another batch size"
    asked = "operators" if way in WITHOUT_RUNTIME else f"operators, {given}"
    return tool(name, f"{asked}{how}", package, **NEARLY, **known)(ask)


WITHOUT_RUNTIME = [way for way in EXPORTERS if way.startswith("coremltools")]  # not on Linux
WITHOUT_BATCH = [way for way, exporter in EXPORTERS.items() if not exporter.any_batch]

program = file_of("torch.export", "torch.export", "torch")
trace = file_of("torch.jit.trace", "torch.jit.trace", "torch")
aot_inductor = file_of("AOTInductor", "AOTInductor", "torch", slow=True)
onnx = file_of("onnx", "torch.onnx", "onnxruntime")
onnx_torchscript = file_of("onnx, dynamo=False", "torch.onnx", "onnxruntime", ", dynamo=False")
openvino = file_of("openvino", "OpenVINO", "openvino")
openvino_export = file_of("openvino of torch.export", "OpenVINO", "openvino", ", of an export")
executorch = file_of("executorch, XNNPACK", "ExecuTorch, XNNPACK", "executorch")
coremltools = file_of("coremltools", "coremltools", "coremltools")
coremltools_export = file_of(
    "coremltools of torch.export", "coremltools", "coremltools", ", of an export"
)
litert = file_of("litert-torch", "LiteRT", "litert-torch")
pnnx = file_of(
    "pnnx",
    "pnnx",
    "pnnx",
    reason="it knows `nn.ReLU` and `nn.MaxPool2d` by the exact names of their classes; ours stand in "
    "the file as `F.relu` and `F.max_pool2d`, which compute the same.",
    **TO_TORCH,
)


@tool("torch.export", "in training mode: operators, logits, running averages", "torch", **NEARLY)
def program_in_training(network: nn.Module) -> Any:
    network.train()
    exported = torch.export.export(network, (images(network),))
    module = exported.module()
    logits = module(images(network, seed=1))
    averages = {name: value for name, value in module.named_buffers() if value.is_floating_point()}
    return operators(exported), logits, averages


@tool("torch.export", "after training mode, and back: operators", "torch", **NEARLY)
def program_after_training(network: nn.Module) -> Any:
    network.train()
    network(images(network))
    return operators(torch.export.export(network.eval(), (images(network),)))


@tool("torch.export", "after run_decompositions: operators", "torch", **NEARLY)
def program_decomposed(network: nn.Module) -> Any:
    return operators(torch.export.export(network, (images(network),)).run_decompositions())


@tool("Lightning", "to_torchscript, by trace: operators, logits", "lightning", **NEARLY)
def classifier_to_torchscript(network: nn.Module) -> Any:
    x = images(network)
    classifier = ImageClassifier(network, loss(network)).eval()
    graph = classifier.to_torchscript(method="trace", example_inputs=x)
    return Counter(node.kind() for node in graph.inlined_graph.nodes()), graph(x)


def operators(program: torch.export.ExportedProgram) -> Counter[str]:
    return Counter(str(node.target) for node in program.graph.nodes if node.op == "call_function")
