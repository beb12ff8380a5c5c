"""Tools that list and draw a network: its layers, its operations, its graph."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tests.tools.networks import images, words
from tests.tools.tool import tool


@tool("torchinfo", "summary", "torchinfo")
def torchinfo_summary(network: nn.Module) -> Any:
    from torchinfo import summary

    return words(str(summary(network, input_data=images(network), depth=4, verbose=0)))


@tool("torchsummary", "summary", "torchsummary", dtype=torch.float32)
def torchsummary_summary(network: nn.Module) -> Any:
    import contextlib
    import io

    from torchsummary import summary

    with contextlib.redirect_stdout(io.StringIO()) as printed:
        summary(network, tuple(images(network).shape[1:]), device="cpu")
    return words(printed.getvalue())


@tool(
    "pytorch-model-summary",
    "summary, hierarchical",
    "pytorch-model-summary",
    reason="prints the settings of each layer, and our max-pooling has one more, `ties`",
)
def pytorch_model_summary(network: nn.Module) -> Any:
    from pytorch_model_summary import summary

    return words(summary(network, images(network), show_hierarchical=True))


@tool("Lightning", "ModelSummary with operations", "lightning")
def lightning_summary(network: nn.Module) -> Any:
    from lightning.pytorch import LightningModule
    from lightning.pytorch.utilities.model_summary import ModelSummary

    class Module(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = network
            self.example_input_array = images(network)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.network(x)

    return words(str(ModelSummary(Module(), max_depth=-1)))


@tool("torchviz", "make_dot: which parameters are in the graph", "torchviz")
def torchviz_leaves(network: nn.Module) -> Any:
    from torchviz import make_dot

    x = images(network).requires_grad_()
    named = {**dict(network.named_parameters()), "x": x}
    source = make_dot(network(x), named, show_attrs=True, show_saved=True).source
    return [name for name in named if f'label="{name}' in source]


@tool("torchview", "draw_graph: layers, by depth", "torchview")
def torchview_layers(network: nn.Module) -> Any:
    from torchview import draw_graph

    graph = draw_graph(network, input_data=images(network), depth=4)
    return sorted(Counter(re.findall(r"<TD ROWSPAN=\"2\">(\w+)", str(graph.visual_graph))).items())


@tool("TensorBoard", "add_graph: modules and their operators", "tensorboard")
def tensorboard_graph(network: nn.Module) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    with tempfile.TemporaryDirectory() as folder:
        with SummaryWriter(folder) as writer:
            writer.add_graph(network, images(network))
        events = EventAccumulator(folder)
        events.Reload()
        graph = events.Graph()
    return sorted(node.op for node in graph.node if node.op.startswith("aten::"))


@tool("Lightning", "TensorBoardLogger(log_graph=True): modules in the graph", "lightning")
def lightning_graph(network: nn.Module) -> Any:
    from lightning.pytorch import LightningModule
    from lightning.pytorch.loggers import TensorBoardLogger
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    class Module(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = network
            self.example_input_array = images(network)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.network(x)

    with tempfile.TemporaryDirectory() as folder:
        logger = TensorBoardLogger(folder, log_graph=True)
        logger.log_graph(Module())
        logger.finalize("success")
        events = EventAccumulator(str(Path(logger.log_dir)))
        events.Reload()
        return sorted(node.op for node in events.Graph().node if node.op.startswith("aten::"))


@tool("TorchLens", "trace: the operations of a forward", "torchlens", alone=True)
def torchlens_log(network: nn.Module) -> Any:
    import torchlens

    return torchlens.trace(network, images(network)).layer_labels
