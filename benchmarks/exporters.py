"""The exporters that `exports.py` compares: each writes a file, and opens it in its runtime.

Every one is given the network in evaluation mode, an example batch and an empty folder, and asked for a
file that takes batches of any size; for a format without that each size has a file of its own. A
runtime has the threads that torch has, where it can be told.
"""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from ansnet.modules import to_torch

LARGEST = 64  # images in a batch: some formats want a bound

# nothing computes them: constants, and what binds values to names
NO_OPERATORS = re.compile(
    r"prim::(Constant|GetAttr|ListConstruct)|<built-in function getitem>|const|Const|Constant|"
    r"Parameter|Result|pnnx\.(Input|Output)"
)


@dataclass(frozen=True)
class Exported:
    """A network in a file.

    Attributes:
        operators: how often each stands in the file.
        run: the file's logits of a batch; None where its runtime is for another platform.
    """

    operators: Counter[str]
    run: Callable[[Tensor], Tensor] | None


@dataclass(frozen=True)
class Exporter:
    """A way to a file.

    Attributes:
        export: writes the network into the folder, and opens what it wrote.
        packages: what it needs beside torch, the runtime too.
        any_batch: whether one file takes batches of any size.
    """

    export: Callable[[nn.Module, Tensor, Path], Exported]
    packages: tuple[str, ...] = ()
    any_batch: bool = True

    @property
    def versions(self) -> dict[str, str | None]:
        """Of its packages; None where one is not installed."""
        return {package: version_of(package) for package in self.packages}


def version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def count(operators: Iterable[str]) -> Counter[str]:
    """How often each occurs, of those that compute something."""
    return Counter(name for name in operators if not NO_OPERATORS.fullmatch(name))


def any_batch() -> tuple[dict[int, Any]]:
    """For `torch.export`: batches of any size up to `LARGEST`."""
    return ({0: Dim("batch", min=1, max=LARGEST)},)


def exported_program(network: nn.Module, example: Tensor) -> ExportedProgram:
    return torch.export.export(network, (example,), dynamic_shapes=any_batch())


def targets(graph: torch.fx.Graph) -> list[str]:
    """The operators that a graph calls, as ``aten.relu.default``."""
    called = [str(node.target) for node in graph.nodes if node.op == "call_function"]
    return [re.sub(r"<EdgeOpOverload: ([\w.]+)>.*", r"\1", name) for name in called]


def torch_export(network: nn.Module, example: Tensor, folder: Path) -> Exported:
    file = folder / "network.pt2"
    torch.export.save(exported_program(network, example), file)
    program = torch.export.load(file)
    return Exported(count(targets(program.graph)), program.module())


def aot_inductor(network: nn.Module, example: Tensor, folder: Path) -> Exported:
    """Its operators are the kernels that the generated C++ calls."""
    file = folder / "network.pt2"
    torch._inductor.aoti_compile_and_package(exported_program(network, example), package_path=str(file))
    with zipfile.ZipFile(file) as archive:
        [source] = [name for name in archive.namelist() if name.endswith(".wrapper.cpp")]
        text = archive.read(source).decode()
    _, _, body = text.partition("::run_impl(")
    called = re.findall(r"\b(aoti_torch_cpu_\w+|cpp_fused_\w+?)(?:_\d+)?\(", body)
    return Exported(count(called), torch._inductor.aoti_load_package(str(file)))


def torchscript_trace(network: nn.Module, example: Tensor, folder: Path) -> Exported:
    return torchscript(torch.jit.trace(network, example), folder)


def torchscript_script(network: nn.Module, example: Tensor, folder: Path) -> Exported:
    return torchscript(torch.jit.script(to_torch(network)), folder)


def torchscript(script: Any, folder: Path) -> Exported:
    file = folder / "network.pt"
    torch.jit.save(script, file)
    loaded = torch.jit.load(file)
    return Exported(count(node.kind() for node in loaded.inlined_graph.nodes()), loaded)


def onnx_dynamo(network: nn.Module, example: Tensor, folder: Path) -> Exported:
    file = folder / "network.onnx"
    torch.onnx.export(network, (example,), file, dynamo=True, dynamic_shapes=any_batch(), verbose=False)
    return in_onnxruntime(file)


def onnx_torchscript(network: nn.Module, example: Tensor, folder: Path) -> Exported:
    file = folder / "network.onnx"
    any_size = {"x": {0: "batch"}}
    torch.onnx.export(network, (example,), file, dynamo=False, input_names=["x"], dynamic_axes=any_size)
    return in_onnxruntime(file)


def in_onnxruntime(file: Path) -> Exported:
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(x: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {name: x.numpy()})[0])

    return Exported(count(node.op_type for node in onnx.load(file).graph.node), run)


def openvino_trace(network: nn.Module, example: Tensor, folder: Path) -> Exported:
    import openvino

    any_size = [-1, *example.shape[1:]]
    return in_openvino(openvino.convert_model(network, example_input=example, input=any_size), folder)


def openvino_export(network: nn.Module, example: Tensor, folder: Path) -> Exported:
    import openvino

    return in_openvino(openvino.convert_model(exported_program(network, example)), folder)


def in_openvino(model: Any, folder: Path) -> Exported:
    import openvino

    file = folder / "network.xml"
    openvino.save_model(model, file, compress_to_fp16=False)
    core = openvino.Core()
    read = core.read_model(file)
    settings = {
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "INFERENCE_PRECISION_HINT": "f32",  # otherwise bfloat16 where the processor has it
    }
    request = core.compile_model(read, "CPU", settings).create_infer_request()

    def run(x: Tensor) -> Tensor:
        return torch.from_numpy(request.infer([x.numpy()])[0])

    return Exported(count(node.get_type_name() for node in read.get_ops()), run)


def executorch_xnnpack(network: nn.Module, example: Tensor, folder: Path) -> Exported:
    """Its operators are those outside of XNNPACK's delegates and, marked, those inside."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower
    from executorch.runtime import Runtime

    program = exported_program(network, example)
    edge = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
    module = edge.exported_program().graph_module
    operators = count(targets(module.graph))
    for name, delegate in module.named_children():
        if name.startswith("lowered_module"):
            inside = count(targets(delegate.original_module.graph))
            operators += count(f"XNNPACK {operator}" for operator in inside.elements())
    file = folder / "network.pte"
    file.write_bytes(edge.to_executorch().buffer)
    method = Runtime.get().load_program(file).load_method("forward")

    def run(x: Tensor) -> Tensor:
        logits: Tensor = method.execute([x])[0]
        return logits

    return Exported(operators, run)


def coreml_trace(network: nn.Module, example: Tensor, folder: Path) -> Exported:
    import coremltools

    batch = coremltools.RangeDim(1, LARGEST, default=len(example))
    images = coremltools.TensorType("x", coremltools.Shape((batch, *example.shape[1:])))
    return in_coreml(torch.jit.trace(network, example), folder, inputs=[images])


def coreml_export(network: nn.Module, example: Tensor, folder: Path) -> Exported:
    return in_coreml(exported_program(network, example).run_decompositions({}), folder)


def in_coreml(model: Any, folder: Path, **settings: Any) -> Exported:
    """Core ML predicts on Apple's machines only; anywhere it converts and writes the file."""
    import coremltools

    converted = coremltools.convert(
        model,
        compute_precision=coremltools.precision.FLOAT32,
        minimum_deployment_target=coremltools.target.iOS17,
        **settings,
    )
    converted.save(str(folder / "network.mlpackage"))
    operations = converted._mil_program.functions["main"].operations
    return Exported(count(operation.op_type for operation in operations), None)


def litert(network: nn.Module, example: Tensor, folder: Path) -> Exported:
    """Of the example's size only: 0.10.0 raises at the twin's `Flatten` where the batch has any."""
    import litert_torch
    from ai_edge_litert.interpreter import Interpreter

    file = folder / "network.tflite"
    litert_torch.convert(network, (example,)).export(str(file))
    interpreter = Interpreter(str(file), num_threads=torch.get_num_threads())
    operators = count(operation["op_name"] for operation in interpreter._get_ops_details())
    interpreter.allocate_tensors()
    [images], [logits] = interpreter.get_input_details(), interpreter.get_output_details()

    def run(x: Tensor) -> Tensor:
        interpreter.set_tensor(images["index"], x.numpy())
        interpreter.invoke()
        return torch.from_numpy(interpreter.get_tensor(logits["index"]))

    return Exported(operators, run)


def pnnx(network: nn.Module, example: Tensor, folder: Path) -> Exported:
    """Runs as the Python file that pnnx writes, in torch: ncnn knows no batches."""
    import pnnx as converter

    larger = torch.cat([example, example])  # a second shape makes the batch one of any size
    run = converter.export(network, str(folder / "network.pt"), (example,), (larger,))
    lines = (folder / "network.pnnx.param").read_text(encoding="utf-8").splitlines()
    return Exported(count(line.split()[0] for line in lines[2:]), run)


EXPORTERS = {
    "torch.export": Exporter(torch_export),
    "AOTInductor": Exporter(aot_inductor),
    "torch.jit.trace": Exporter(torchscript_trace),
    "torch.jit.script": Exporter(torchscript_script),
    "onnx": Exporter(onnx_dynamo, ("onnx", "onnxscript", "onnxruntime")),
    "onnx, dynamo=False": Exporter(onnx_torchscript, ("onnx", "onnxruntime")),
    "openvino": Exporter(openvino_trace, ("openvino",)),
    "openvino of torch.export": Exporter(openvino_export, ("openvino",)),
    "executorch, XNNPACK": Exporter(executorch_xnnpack, ("executorch",)),
    "coremltools": Exporter(coreml_trace, ("coremltools",)),
    "coremltools of torch.export": Exporter(coreml_export, ("coremltools",)),
    "litert-torch": Exporter(litert, ("litert-torch", "ai-edge-litert"), any_batch=False),
    "pnnx": Exporter(pnnx, ("pnnx",)),
}
