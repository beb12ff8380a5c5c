"""`benchmarks/operations.py`: the operations and shapes that it finds, and that it compares alike."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import Tensor, nn

from ansnet.models import Network, create_model, list_models
from operations import (
    FORMATS,
    OPERATIONS,
    PASSES,
    Case,
    Operation,
    draw_like,
    find_cases,
    make_call,
)

CPU = torch.device("cpu")


def on_meta(*models: str) -> list[Network]:
    with torch.device("meta"):
        return [create_model(model) for model in models]


def names_and_shapes(cases: list[Case]) -> list[tuple[str, str]]:
    return [(case.name, case.shape) for case in cases]


def test_each_operation_and_shape_is_found_once() -> None:
    cases = find_cases(on_meta("CNR(4), CR(4), CR(4), M(2), res(CR(4)), L(10)"), 8)
    assert names_and_shapes(cases) == [
        ("conv2d", "8×3×32×32 → 8×4×32×32"),
        ("conv2d", "8×4×32×32 → 8×4×32×32 + bias"),
        ("conv2d", "8×4×16×16 → 8×4×16×16 + bias"),
        ("batch_norm2d", "8×4×32×32 → 8×4×32×32"),
        ("relu", "8×4×32×32 → 8×4×32×32"),
        ("relu", "8×4×16×16 → 8×4×16×16"),
        ("max_pool2d", "8×4×32×32 → 8×4×16×16"),
        ("relu_max_pool2d", "8×4×32×32 → 8×4×16×16"),
        ("batch_norm_relu2d", "8×4×32×32 → 8×4×32×32"),
        ("reshape", "8×4×16×16 → 8×1024"),
        ("linear", "8×1024 → 8×10 + bias"),
        ("cross_entropy", "8×10 → scalar"),
    ]


def test_gradients_are_those_that_the_network_needs() -> None:
    first, second, *_ = find_cases(on_meta("C(4), C(4), L(10)"), 8)
    assert [tensor.requires_grad for tensor in first.inputs] == [False, True, True]
    assert [tensor.requires_grad for tensor in second.inputs] == [True, True, True]


def test_every_layer_of_the_three_networks_is_an_operation() -> None:
    networks = on_meta(*list_models())
    kinds = {
        type(layer).__name__
        for network in networks
        for layer in network.modules()
        if not any(layer.children())
    }
    known = {layer.__name__ for operation in OPERATIONS for layer in operation.layers}
    assert known - kinds == {"CrossEntropyLoss"}
    assert kinds <= known
    count = Counter(case.name for case in find_cases(networks, 2))
    assert count["conv2d"] == 15
    assert count["cross_entropy"] == 1


def test_memory_formats_only_of_images() -> None:
    formats = {case.name: case.formats for case in find_cases(on_meta("CR(4), M(2), L(10)"), 8)}
    assert formats["conv2d"] == formats["max_pool2d"] == ["contiguous", "channels_last"]
    assert formats["linear"] == formats["cross_entropy"] == ["contiguous"]


def test_layers_in_a_row_are_one_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    def relu_pool(relu: nn.Module, pool: nn.Module, x: Tensor) -> Tensor:
        result: Tensor = pool(relu(x))
        return result

    block = Operation("relu_pool", (nn.ReLU, nn.MaxPool2d), relu_pool, relu_pool)
    monkeypatch.setattr("operations.OPERATIONS", [block])
    # The last ReLU's output goes into a sum first, and only that into the pooling.
    found = find_cases(on_meta("CR(4), M(2), res(CR(4)), M(4), L(10)"), 8)
    assert names_and_shapes(found) == [("relu_pool", "8×4×32×32 → 8×4×16×16")]


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("passes", PASSES)
def test_both_compute_the_same(passes: str, memory_format: str) -> None:
    for case in find_cases(on_meta("CNR(4), CR(4), M(2), LR(5), L(10)"), 3):
        inputs = [draw_like(tensor, CPU, memory_format) for tensor in case.inputs]
        results = []
        for function in (case.ours, case.native):
            torch.manual_seed(0)  # for the gradient of the output
            results.append(make_call(function, inputs, passes)())
        torch.testing.assert_close(*results, atol=1e-4, rtol=1e-4)  # float32 sums of up to 3 · 32²
