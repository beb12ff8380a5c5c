"""Whole networks under `torch.compile`, `torch.export` and `torch.func`."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from ansnet.functional import cross_entropy
from ansnet.models import VGG7, create_model

NETWORKS = ["vgg7", "vgg7bn", "resnet9"]

# PyTorch's compilers warn of deprecations of their own.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def _fresh_compiler() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def batch(seed: int, size: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(size, 3, 32, 32, generator=generator, dtype=torch.float64)
    return images, torch.randint(10, (size,), generator=generator)


def train(network: nn.Module, steps: range) -> list[float]:
    """Plain gradient descent, one batch a step; the losses."""
    losses = []
    for step in steps:
        images, targets = batch(step)
        loss = cross_entropy(network(images), targets)
        loss.backward()
        with torch.no_grad():
            for parameter in network.parameters():
                assert parameter.grad is not None
                parameter -= 0.01 * parameter.grad
        network.zero_grad()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("name", [*NETWORKS[:2], pytest.param("resnet9", marks=pytest.mark.slow)])
def test_compiles_whole_and_only_in_the_first_two_steps(name: str) -> None:
    network = create_model(name).double()
    eager, keys = deepcopy(network), list(network.state_dict())
    network.compile(fullgraph=True, backend="aot_eager")  # fullgraph: a graph break is an error
    assert list(network.state_dict()) == keys
    losses = train(network, range(2))
    with torch.compiler.set_stance("fail_on_recompile"):
        losses += train(network, range(2, 5))
    assert losses == pytest.approx(train(eager, range(5)), rel=1e-8)
    network.eval(), eager.eval()
    images = [batch(seed)[0] for seed in range(4)]
    with torch.no_grad():
        outputs = [network(x) for x in images[:2]]
        with torch.compiler.set_stance("fail_on_recompile"):
            outputs += [network(x) for x in images[2:]]
        for output, x in zip(outputs, images, strict=True):
            torch.testing.assert_close(output, eager(x), atol=1e-8, rtol=1e-8)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", NETWORKS)
def test_exports_for_any_number_of_images(name: str, training: bool) -> None:
    network = create_model(name).double().train(training)
    sizes = {"input": {0: torch.export.Dim("N", min=2)}}
    program = torch.export.export(deepcopy(network), batch(0)[:1], dynamic_shapes=sizes).module()
    for size in (3, 5):
        images, _ = batch(1, size)
        torch.testing.assert_close(program(images), network(images), atol=1e-10, rtol=1e-10)


def test_per_sample_gradients_of_vgg7() -> None:
    network = VGG7(10).double()
    parameters = {name: value.detach() for name, value in network.named_parameters()}
    images, targets = batch(0)

    def loss(parameters: dict[str, Tensor], image: Tensor, target: Tensor) -> Tensor:
        scores = functional_call(network, parameters, (image.unsqueeze(0),))
        return cross_entropy(scores, target.unsqueeze(0))

    per_sample = vmap(grad(loss), in_dims=(None, 0, 0))(parameters, images, targets)
    for index in range(len(images)):
        network.zero_grad()
        cross_entropy(network(images[[index]]), targets[[index]]).backward()
        for name, parameter in network.named_parameters():
            torch.testing.assert_close(per_sample[name][index], parameter.grad, atol=1e-12, rtol=1e-9)
