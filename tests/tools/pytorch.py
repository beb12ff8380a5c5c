"""Tools that come with PyTorch itself: graphs, transformations, counters, serialisation."""

from __future__ import annotations

import copy
import io
from typing import Any

import torch
from torch import nn

from tests.tools.networks import BY_CLASS, MODELS, PLAIN, TO_TORCH, classes, images
from tests.tools.tool import tool


@tool("FlopCounterMode", "operations of a forward and a backward", "torch")
def flop_counter(network: nn.Module) -> Any:
    from torch.utils.flop_counter import FlopCounterMode

    x = images(network)
    with FlopCounterMode(display=False) as forward:
        z = network(x)
    with FlopCounterMode(display=False) as backward:
        z.sum().backward()
    return forward.get_total_flops(), backward.get_total_flops()


@tool("torch.fx", "symbolic_trace: the graph's nodes", "torch")
def fx_nodes(network: nn.Module) -> Any:
    graph = torch.fx.symbolic_trace(network).graph
    return [(node.op, str(node.target)) for node in graph.nodes]


@tool("torch.fx", "symbolic_trace: the traced network's output", "torch")
def fx_output(network: nn.Module) -> Any:
    return torch.fx.symbolic_trace(network)(images(network))


@tool(
    "torch.fx",
    "fuse: batch norm into convolution",
    "torch",
    reason=BY_CLASS + "nothing is fused; the output is right",
    **TO_TORCH,
)
def fx_fuse(network: nn.Module) -> Any:
    from torch.fx.experimental.optimization import fuse

    fused = fuse(network)
    return fused(images(network)), sum(isinstance(layer, nn.BatchNorm2d) for layer in fused.modules())


@tool("torchvision", "create_feature_extractor: every layer's output", "torchvision")
def feature_extractor(network: nn.Module) -> Any:
    from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

    names, _ = get_graph_node_names(network)
    layers = [name for name in names if name in dict(network.named_modules())]
    return create_feature_extractor(network, layers)(images(network))


@tool("make_fx", "output of the traced operators", "torch")
def make_fx_output(network: nn.Module) -> Any:
    from torch.fx.experimental.proxy_tensor import make_fx

    return make_fx(network)(images(network))(images(network, seed=1))


@tool("torch.jit.trace", "output", "torch")
def jit_trace(network: nn.Module) -> Any:
    return torch.jit.trace(network, images(network))(images(network, 3, seed=1))


@tool("torch.jit.trace", "kinds of operators", "torch")
def jit_trace_operators(network: nn.Module) -> Any:
    graph = torch.jit.trace(network, images(network)).inlined_graph
    return sorted({node.kind() for node in graph.nodes() if node.kind().startswith("aten::")})


@tool(
    "torch.jit.script",
    "output",
    "torch",
    reason="TorchScript knows no Function; the error says so",
    **TO_TORCH,
)
def jit_script(network: nn.Module) -> Any:
    return torch.jit.script(network)(images(network))


@tool("torch.export", "operators of the exported network", "torch")
def export_operators(network: nn.Module) -> Any:
    program = torch.export.export(network, (images(network),))
    return [str(node.target) for node in program.graph.nodes if node.op == "call_function"]


@tool("torch.export", "output, saved and loaded", "torch")
def export_output(network: nn.Module) -> Any:
    buffer = io.BytesIO()
    torch.export.save(torch.export.export(network, (images(network),)), buffer)
    buffer.seek(0)
    return torch.export.load(buffer).module()(images(network))


@tool("torch.func", "functional_call, vmap and grad: gradients of each image", "torch")
def per_sample_gradients(network: nn.Module) -> Any:
    weights = {name: value.detach() for name, value in network.named_parameters()}

    def loss(weights: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        scores = torch.func.functional_call(network, weights, (x[None],))
        return nn.functional.cross_entropy(scores, y[None])

    gradients = torch.func.vmap(torch.func.grad(loss), (None, 0, 0))
    return gradients(weights, images(network), classes(network))


@tool("torch.func", "stack_module_state: an ensemble of networks", "torch")
def ensemble(network: nn.Module) -> Any:
    other = copy.deepcopy(network)
    for weight in other.parameters():
        weight.data *= 1.5
    stacked, buffers = torch.func.stack_module_state([network, other])

    def scores(weights: Any, buffers: Any, x: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(network, (weights, buffers), (x,))

    return torch.func.vmap(scores, (0, 0, None))(stacked, buffers, images(network))


@tool("torch.func", "jacrev, jacfwd and hessian by the image", "torch", networks=(PLAIN,))
def derivatives(network: nn.Module) -> Any:
    x = images(network, 1)
    hessian = torch.func.hessian(lambda x: network(x).square().sum())(x)
    return torch.func.jacrev(network)(x), torch.func.jacfwd(network)(x), hessian


@tool("torch.utils.checkpoint", "gradients, checkpointed by layer", "torch")
def checkpointed(network: nn.Module) -> Any:
    from torch.utils.checkpoint import checkpoint_sequential

    network.train()
    checkpoint_sequential(network, 3, images(network), use_reentrant=False).square().sum().backward()
    return [weight.grad for weight in network.parameters()]


@tool("saved_tensors_hooks", "gradients with save_on_cpu", "torch")
def saved_on_cpu(network: nn.Module) -> Any:
    with torch.autograd.graph.save_on_cpu():
        z = network(images(network))
    z.square().sum().backward()
    return [weight.grad for weight in network.parameters()]


@tool("detect_anomaly", "gradients", "torch")
def anomaly(network: nn.Module) -> Any:
    with torch.autograd.detect_anomaly():
        network.train()(images(network)).square().sum().backward()
    return [weight.grad for weight in network.parameters()]


@tool("profiler", "which of PyTorch's products are in the profile", "torch")
def profiled(network: nn.Module) -> Any:
    from torch.profiler import ProfilerActivity, profile

    x = images(network)
    with profile(activities=[ProfilerActivity.CPU]) as found:
        network(x)
    matrix_products = {"aten::convolution", "aten::conv2d", "aten::linear"}
    return sorted(event.key for event in found.key_averages() if event.key in matrix_products)


@tool("autocast", "bfloat16 output", "torch", dtype=torch.float32, tolerance=0.02)
def autocast(network: nn.Module) -> Any:
    with torch.autocast("cpu", torch.bfloat16):
        z = network(images(network))
    return z, str(z.dtype)


@tool("torch.compile", "output and gradients, aot_eager", "torch", slow=True)
def compiled(network: nn.Module) -> Any:
    torch.compiler.reset()
    z = torch.compile(network, backend="aot_eager")(images(network))
    z.square().sum().backward()
    torch.compiler.reset()
    return z, [weight.grad for weight in network.parameters()]


@tool("torch.save", "a whole network, saved and loaded", "torch", networks=MODELS)
def saved(network: nn.Module) -> Any:
    buffer = io.BytesIO()
    torch.save(network, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=False)(images(network))


@tool(
    "named_parameters, named_buffers, state_dict",
    "names, shapes and metadata",
    "torch",
    networks=MODELS,
)
def names(network: nn.Module) -> Any:
    state = network.state_dict()
    versions = {name: dict(entry) for name, entry in state._metadata.items()}
    return {name: tuple(value.shape) for name, value in state.items()}, versions


@tool("isinstance", "torch.nn's classes among the layers", "torch")
def kinds(network: nn.Module) -> Any:
    known = nn.Conv2d, nn.BatchNorm2d, nn.BatchNorm1d, nn.ReLU, nn.MaxPool2d, nn.Flatten, nn.Linear
    return [[kind.__name__ for kind in known if isinstance(layer, kind)] for layer in network.modules()]


@tool("MemTracker", "parameters, buffers and gradients at the peak of a step", "torch")
def memory_tracker(network: nn.Module) -> Any:
    from torch.distributed._tools.mem_tracker import MemTracker

    tracker = MemTracker()
    tracker.track_external(network)
    with tracker:
        network(images(network)).sum().backward()
    peak = tracker.get_tracker_snapshot("peak")[torch.device("cpu")]
    # activations and intermediates are where the formulas differ
    named = {getattr(kind, "value", kind): size for kind, size in peak.items()}
    return {kind: named[kind] for kind in ("Parameter", "Buffer", "Gradient")}
