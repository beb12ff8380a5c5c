"""`ansnet.training.board.graph`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from torch.utils.tensorboard import SummaryWriter

from ansnet.models import create_model, torch_twin
from ansnet.training.board.graph import LITERALS, trace_graph, write_graph

NETWORKS = (
    "L(10)",
    "CR(4), M(8), L(10)",
    "CNR(4), M(4), res(CNR(4), res(CN(4))), M(8), LNR(6), L(10)",
    "R, N, C(2), M(32), L(10)",
)


def boxes(graph: object) -> set[str]:
    return {node.name.partition("/")[0] for node in graph.node}  # type: ignore[attr-defined]


@pytest.mark.parametrize("ops", ["ansnet", "torch"])
@pytest.mark.parametrize("notation", NETWORKS)
def test_its_boxes_are_the_layers(notation: str, ops: str) -> None:
    network: nn.Module = create_model(notation)
    layers = {name for name, _ in network.named_children()}
    network = torch_twin(network) if ops == "torch" else network
    graph = trace_graph(network, (3, 32, 32))
    assert boxes(graph) == layers | {"input", "output"}
    names = {node.name for node in graph.node}
    assert len(names) == len(graph.node)
    assert {name for node in graph.node for name in node.input} <= names
    assert not {node.op for node in graph.node} & LITERALS


def test_it_leads_from_the_image_to_the_scores() -> None:
    graph = trace_graph(create_model(NETWORKS[2]), (3, 32, 32))
    reached, nodes = {"output/output.1"}, {node.name: node for node in graph.node}
    waiting = list(reached)
    while waiting:
        for name in nodes[waiting.pop()].input:
            if name not in reached:
                reached.add(name)
                waiting.append(name)
    assert {name.partition("/")[0] for name in reached} == boxes(graph)


def test_the_network_is_left_alone_compiled_or_not_in_any_precision_and_layout() -> None:
    network = create_model(NETWORKS[2]).bfloat16().to(memory_format=torch.channels_last)
    network.compile()
    before, state = torch.random.get_rng_state(), network.state_dict()
    kept = {name: tensor.clone() for name, tensor in state.items()}
    assert boxes(trace_graph(network, (3, 32, 32))) >= {"conv1", "residual1", "linear2"}
    assert torch.equal(torch.random.get_rng_state(), before)
    assert network.training
    assert network._compiled_call_impl is not None
    for name, tensor in network.state_dict().items():
        assert tensor.dtype == kept[name].dtype
        assert tensor.stride() == kept[name].stride()
        assert torch.equal(tensor, kept[name])


def test_tensorboard_reads_it(tmp_path: Path) -> None:
    graph = trace_graph(create_model("CR(4), M(8), L(10)"), (3, 32, 32))
    with SummaryWriter(str(tmp_path)) as writer:
        write_graph(writer, graph)
    assert EventAccumulator(str(tmp_path)).Reload().Graph() == graph
