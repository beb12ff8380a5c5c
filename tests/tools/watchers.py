"""Tools that watch layers, or replace what they do: hooks, parametrisations, pruning, surgery."""

from __future__ import annotations

import tempfile
from typing import Any

import torch
from torch import nn

from tests.tools.networks import BY_CLASS, EVERY_LAYER, PLAIN, TO_TORCH, images
from tests.tools.tool import tool


def step(network: nn.Module) -> dict[str, torch.Tensor]:
    """The gradients of a training step, by name; batch norm by the batch."""
    network.train()
    network(images(network, 4)).square().sum().backward()
    return {name: weight.grad for name, weight in network.named_parameters() if weight.grad is not None}


def leaves(network: nn.Module) -> dict[str, nn.Module]:
    return {name: layer for name, layer in network.named_modules() if not list(layer.children())}


@tool("forward hooks", "each layer's input and output", "torch")
def forward_hooks(network: nn.Module) -> Any:
    seen: list[Any] = []
    for name, layer in leaves(network).items():
        layer.register_forward_hook(lambda _, x, z, name=name: seen.append((name, x[0], z)))
    network.train()(images(network))
    return seen


@tool("full backward hooks", "each layer's gradients", "torch", tolerance=1e-7)
def backward_hooks(network: nn.Module) -> Any:
    seen: list[Any] = []
    for name, layer in leaves(network).items():
        layer.register_full_backward_hook(lambda _, gx, gz, name=name: seen.append((name, gx, gz)))
    network.train()
    network(images(network).requires_grad_()).square().sum().backward()
    return seen


@tool("hooks that change outputs", "ReLU and pooling doubled", "torch")
def changing_hooks(network: nn.Module) -> Any:
    for layer in leaves(network).values():
        if type(layer).__name__ in ("ReLU", "MaxPool2d"):
            layer.register_forward_hook(lambda _, x, z: 2 * z)
    return network(images(network)), step(network)


@tool("global module hooks", "which modules are called, in order", "torch")
def global_hooks(network: nn.Module) -> Any:
    seen: list[str] = []
    names = {layer: name for name, layer in network.named_modules()}
    handle = nn.modules.module.register_module_forward_hook(
        lambda layer, x, z: seen.append(names[layer])
    )
    try:
        network(images(network))
    finally:
        handle.remove()
    return seen


@tool("global module hooks", "full backward hooks: gradients, in order", "torch", tolerance=1e-7)
def global_backward_hooks(network: nn.Module) -> Any:
    seen: list[Any] = []
    names = {layer: name for name, layer in network.named_modules()}
    handle = nn.modules.module.register_module_full_backward_hook(
        lambda layer, gx, gz: seen.append((names[layer], gz))
    )
    try:
        network(images(network).requires_grad_()).square().sum().backward()
    finally:
        handle.remove()
    return seen


@tool("replaced forward", "every ReLU's forward replaced on the instance", "torch")
def replaced_forward(network: nn.Module) -> Any:
    for layer in leaves(network).values():
        if type(layer).__name__ == "ReLU":
            layer.forward = lambda x: x.clamp(-0.1, 0.2)
    return network(images(network)), step(network)


@tool("replaced layer", "every ReLU set to GELU", "torch")
def replaced_layer(network: nn.Module) -> Any:
    for block in list(network.modules()):
        for name, layer in list(block.named_children()):
            if type(layer).__name__ == "ReLU":
                setattr(block, name, nn.GELU())
    return network(images(network)), step(network)


@tool("ModuleTracker", "the modules in which operations run", "torch")
def module_tracker(network: nn.Module) -> Any:
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.module_tracker import ModuleTracker

    seen: set[str] = set()

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(
            self, function: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            seen.update(tracker.parents)
            return function(*args, **(kwargs or {}))

    with ModuleTracker() as tracker, Watch():
        network(images(network))
    return {name.partition(".")[2] for name in seen}


@tool("parametrize", "weights by a parametrisation of every layer", "torch")
def parametrized(network: nn.Module) -> Any:
    from torch.nn.utils import parametrize

    class Half(nn.Module):
        def forward(self, weight: torch.Tensor) -> torch.Tensor:
            return weight / 2

    for layer in leaves(network).values():
        if isinstance(getattr(layer, "weight", None), nn.Parameter):
            parametrize.register_parametrization(layer, "weight", Half())
    return network(images(network)), step(network)


@tool("spectral_norm, weight_norm, orthogonal", "output and gradients", "torch", tolerance=1e-6)
def normed_weights(network: nn.Module) -> Any:
    from torch.nn.utils import parametrizations

    kinds = [parametrizations.spectral_norm, parametrizations.weight_norm, parametrizations.orthogonal]
    layers = [layer for layer in leaves(network).values() if isinstance(layer, nn.Conv2d | nn.Linear)]
    for index, layer in enumerate(layers):
        kinds[index % 3](layer)
    return network(images(network)), step(network)


@tool("torch.nn.utils.prune", "global unstructured and structured", "torch")
def pruned(network: nn.Module) -> Any:
    from torch.nn.utils import prune

    layers = [layer for layer in leaves(network).values() if isinstance(layer, nn.Conv2d | nn.Linear)]
    prune.global_unstructured([(layer, "weight") for layer in layers], prune.L1Unstructured, amount=0.3)
    prune.ln_structured(layers[0], "weight", 0.25, n=2, dim=0)
    return network(images(network)), step(network)


@tool("fuse_conv_bn_eval", "convolution and batch norm as one", "torch")
def fused_pair(network: nn.Module) -> Any:
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    return fuse_conv_bn_eval(network.conv1, network.norm1)(images(network))


@tool(
    "torch.ao.quantization",
    "fuse_modules: convolution, batch norm, ReLU as one",
    "torch",
    reason=BY_CLASS + "it says so",
    **TO_TORCH,
)
def fused_modules(network: nn.Module) -> Any:
    from torch.ao.quantization import fuse_modules

    fused = fuse_modules(network, [["conv1", "norm1", "relu1"]])
    return fused(images(network))


@tool(
    "torch.ao.quantization",
    "quantize_dynamic: which layers",
    "torch",
    dtype=torch.float32,
    reason=BY_CLASS + "nothing is quantised",
    warns=True,
    **TO_TORCH,
)
def quantized_dynamic(network: nn.Module) -> Any:
    from torch.ao.quantization import quantize_dynamic

    quantized = quantize_dynamic(network, {nn.Linear})
    return [type(layer).__module__.startswith("torch.ao") for layer in quantized.modules()]


def quantised_layers(network: nn.Module) -> list[bool]:
    return [type(layer).__module__.startswith("torch.ao") for layer in network.children()]


@tool(
    "torch.ao.quantization",
    "prepare, convert (static, eager): which layers",
    "torch",
    networks=(PLAIN,),
    dtype=torch.float32,
    reason=BY_CLASS + "nothing is quantised",
    warns=True,
    **TO_TORCH,
)
def quantized_static(network: nn.Module) -> Any:
    from torch.ao.quantization import convert, get_default_qconfig, prepare

    network.qconfig = get_default_qconfig()
    prepared = prepare(network)
    prepared(images(network))
    return quantised_layers(convert(prepared))


@tool(
    "torch.ao.quantization",
    "prepare_fx, convert_fx: which layers",
    "torch",
    networks=(PLAIN,),
    dtype=torch.float32,
    reason=BY_CLASS + "nothing is quantised",
    warns=True,
    **TO_TORCH,
)
def quantized_by_fx(network: nn.Module) -> Any:
    from torch.ao.quantization import get_default_qconfig_mapping
    from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

    prepared = prepare_fx(network, get_default_qconfig_mapping(), (images(network),))
    prepared(images(network))
    return quantised_layers(convert_fx(prepared))


@tool("accelerate", "cpu_offload", "accelerate", dtype=torch.float32, tolerance=1e-5)
def offloaded(network: nn.Module) -> Any:
    from accelerate import cpu_offload

    with torch.no_grad():
        return cpu_offload(network, torch.device("cpu"))(images(network))


@tool("accelerate", "add_hook_to_module on every ReLU", "accelerate")
def accelerate_hooks(network: nn.Module) -> Any:
    from accelerate.hooks import ModelHook, add_hook_to_module

    class Double(ModelHook):
        def post_forward(self, module: nn.Module, output: torch.Tensor) -> torch.Tensor:
            return 2 * output

    for layer in leaves(network).values():
        if type(layer).__name__ == "ReLU":
            add_hook_to_module(layer, Double())
    return network(images(network))


@tool("nnsight", "trace: a layer's output read, another's set to zero", "nnsight", alone=True)
def nnsight_trace(network: nn.Module) -> Any:
    from nnsight import NNsight

    watched = NNsight(network)
    with watched.trace(images(network)):
        first = watched.relu1.output.save()
        watched.pool1.output[:, 0] = 0
        scores = watched.output.save()
    return first.detach(), scores.detach()


@tool("torchextractor", "features of named layers", "torchextractor")
def torch_extractor(network: nn.Module) -> Any:
    import torchextractor

    extract = torchextractor.Extractor(network, list(leaves(network)))
    return extract(images(network))


@tool("Torch-Pruning", "half of the filters, by the dependency graph", "torch-pruning")
def torch_pruning(network: nn.Module) -> Any:
    import torch_pruning

    last = [layer for layer in network.modules() if isinstance(layer, nn.Linear)][-1]
    pruner = torch_pruning.pruner.MagnitudePruner(
        network,
        images(network),
        importance=torch_pruning.importance.MagnitudeImportance(),
        pruning_ratio=0.5,
        ignored_layers=[last],
    )
    pruner.step()
    return network(images(network)), [tuple(weight.shape) for weight in network.parameters()]


@tool(
    "Torch-Pruning",
    "count_ops_and_params",
    "torch-pruning",
    networks=(EVERY_LAYER, "VGG7"),
    reason=BY_CLASS + "it counts 0 operations",
    warns=True,
    **TO_TORCH,
)
def torch_pruning_count(network: nn.Module) -> Any:
    import torch_pruning

    return torch_pruning.utils.count_ops_and_params(network, images(network, 1))


@tool("wandb", "watch: histograms of gradients and weights", "wandb", alone=True)
def wandb_watch(network: nn.Module) -> Any:
    import wandb

    with tempfile.TemporaryDirectory() as folder:
        settings = wandb.Settings(silent=True, console="off")
        with wandb.init(mode="offline", dir=folder, settings=settings) as run:
            run.watch(network, log="all", log_freq=1)
            network.train()(images(network)).square().sum().backward()
            run.log({"loss": 1.0})
            summary = run.summary._as_dict()
            watched = {
                name: dict(value)
                for name, value in summary.items()
                if name.startswith(("gradients/", "parameters/"))
            }
    return {name: [value["bins"], value["values"]] for name, value in watched.items()}
