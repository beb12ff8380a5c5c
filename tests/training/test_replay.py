"""`ansnet.training.replay`."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from ansnet.training.muon import Muon
from ansnet.training.replay import Replayed


def sums_and_products(tensors: list[Tensor]) -> list[Tensor]:
    a, b = tensors
    return [a + b, a @ b]


def test_on_a_cpu_it_is_the_function() -> None:
    a, b = torch.randn(2, 3, 3)
    replayed = Replayed(sums_and_products)
    for ours, expected in zip(replayed([a, b]), sums_and_products([a, b]), strict=True):
        assert torch.equal(ours, expected)


@pytest.mark.cuda
def test_on_cuda_it_does_the_same_with_other_numbers_and_other_shapes() -> None:
    calls = 0

    def counted(tensors: list[Tensor]) -> list[Tensor]:
        nonlocal calls
        calls += 1
        return sums_and_products(tensors)

    replayed = Replayed(counted)
    for size in (3, 3, 5, 3, 5):
        a, b = torch.randn(2, size, size, device="cuda")
        for ours, expected in zip(replayed([a, b]), sums_and_products([a, b]), strict=True):
            torch.testing.assert_close(ours, expected)
    assert calls == 4  # for each size once as it is, and once recorded


@pytest.mark.cuda
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_muon_takes_the_same_steps_on_cuda(memory_format: torch.memory_format) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 64, 3),  # a tall one, two equal ones, a wide one
        nn.Conv2d(64, 64, 3),
        nn.Conv2d(64, 64, 3),
        nn.Flatten(),
        nn.Linear(64, 10),
    ).to(memory_format=memory_format)  # type: ignore[call-overload]
    twin = deepcopy(network).cuda()
    optimizers = [Muon(n.parameters(), lr=0.1, momentum=0.6, weight_decay=0.1) for n in (network, twin)]
    for _ in range(4):
        for ours, theirs in zip(network.parameters(), twin.parameters(), strict=True):
            ours.grad = torch.randn_like(ours)
            theirs.grad = ours.grad.cuda()
        for optimizer in optimizers:
            optimizer.step()
    for ours, theirs in zip(network.parameters(), twin.parameters(), strict=True):
        # there in bfloat16 (2⁻⁸), rounded some ten times in each of four steps of 0.1
        torch.testing.assert_close(theirs.cpu(), ours, rtol=0, atol=0.03)


def test_an_optimizer_that_replays_can_be_copied() -> None:
    weight = nn.Parameter(torch.randn(3, 4))
    optimizer = deepcopy(Muon([weight], lr=0.1))
    [copied] = optimizer.param_groups[0]["params"]
    copied.grad = torch.randn(3, 4)
    optimizer.step()
    assert not torch.equal(copied, weight)
