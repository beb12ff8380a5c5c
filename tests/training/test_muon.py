"""`ansnet.training.muon`, against ``torch.optim.Muon`` and the singular value decomposition."""

from __future__ import annotations

from math import log10

import pytest
import torch
from torch import Tensor, nn

from ansnet.training.muon import (
    COEFFICIENTS,
    Muon,
    iterated_by_factors,
    iterated_in_bfloat16,
    orthogonalized,
)


def alone(U: Tensor) -> Tensor:
    [O] = orthogonalized([U])  # noqa: E741  the module's O
    return O


@pytest.mark.parametrize("shape", [(64, 27), (27, 64), (128, 1152), (10, 512), (1, 5), (5, 1), (3, 3)])
def test_the_singular_vectors_stay_and_the_singular_values_become_about_1(
    shape: tuple[int, int],
) -> None:
    torch.manual_seed(0)
    U = torch.randn(shape)
    left, _, right = torch.linalg.svd(U, full_matrices=False)
    values = left.T @ alone(U) @ right.T
    # what five iterations leave of the singular values of a random matrix
    assert values.diagonal().sub(1).abs().max() < 0.4
    assert (values - values.diagonal().diag()).abs().max() < 1e-4


@pytest.mark.parametrize("smallest", [1.0, 1e-2, 1e-4])
@pytest.mark.parametrize("shape", [(40, 90), (90, 40), (50, 50)])
def test_it_is_the_iteration_on_the_whole_matrix(shape: tuple[int, int], smallest: float) -> None:
    torch.manual_seed(0)
    left, _, right = torch.linalg.svd(torch.randn(shape), full_matrices=False)
    U = left @ torch.logspace(0, log10(smallest), min(shape)).diag() @ right
    X = U.double() / U.double().norm()
    a, b, c = COEFFICIENTS
    for _ in range(5):
        A = X @ X.T
        X = a * X + b * A @ X + c * A @ A @ X
    # some ten roundings of 1.2e-7, which grow as the smallest singular value does, by a⁵ = 485
    torch.testing.assert_close(alone(U).double(), X, rtol=0, atol=5e-4)
    torch.testing.assert_close(alone(U.double()), X, rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", [(64, 147), (40, 90), (16, 16)])
def test_several_at_a_time_in_bfloat16_are_those_alone_in_bfloat16(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    Xs = torch.randn(3, *shape)
    Xs /= Xs.square().sum((1, 2), keepdim=True).sqrt()
    together = iterated_in_bfloat16(Xs)
    for X, one in zip(Xs, together, strict=True):
        torch.testing.assert_close(one, iterated_in_bfloat16(X[None])[0], rtol=0, atol=0.01)
        # rounded (2⁻⁹) in each of five iterations, by elements of some 1/√k
        error = (one.float() - iterated_by_factors(X)).norm() / one.float().norm()
        assert error < 0.02


@pytest.mark.parametrize("scale", [2.0**-20, 2.0**20])
def test_the_size_of_a_gradient_does_not_matter(scale: float) -> None:
    U = torch.randn(8, 20)
    assert torch.equal(alone(scale * U), alone(U))


def test_half_precision_is_calculated_in_single_on_a_cpu() -> None:
    U = torch.randn(8, 20, dtype=torch.bfloat16)
    assert torch.equal(alone(U), alone(U.float()).bfloat16())


def test_a_gradient_of_zeros_moves_nothing() -> None:
    assert torch.equal(alone(torch.zeros(3, 4)), torch.zeros(3, 4))


def steps_of(optimizer: torch.optim.Optimizer, weight: Tensor, gradients: list[Tensor]) -> Tensor:
    for gradient in gradients:
        weight.grad = gradient.clone()
        optimizer.step()
    return weight.detach()


@pytest.mark.parametrize("shape", [(8, 20), (20, 8)])
def test_it_is_pytorchs_for_matrices(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    start, gradients = torch.randn(shape), [torch.randn(shape) for _ in range(5)]
    ours, theirs = (nn.Parameter(start.clone()) for _ in range(2))
    steps_of(Muon([ours], lr=0.1, momentum=0.7, weight_decay=0.3), ours, gradients)
    reference = torch.optim.Muon([theirs], lr=0.1, momentum=0.7, weight_decay=0.3)
    steps_of(reference, theirs, gradients)
    # theirs rounds to bfloat16 (2⁻⁸), some ten times in each of five steps of 0.1
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0.03)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_a_convolutions_weight_is_the_matrix_of_its_filters(memory_format: torch.memory_format) -> None:
    torch.manual_seed(0)
    start, gradients = torch.randn(6, 5, 3, 3), [torch.randn(6, 5, 3, 3) for _ in range(3)]
    weight = nn.Parameter(start.clone(memory_format=memory_format))
    matrix = nn.Parameter(start.flatten(1))
    optimizer = Muon([weight], lr=0.1)
    steps_of(optimizer, weight, [gradient.to(memory_format=memory_format) for gradient in gradients])
    steps_of(Muon([matrix], lr=0.1), matrix, [gradient.flatten(1) for gradient in gradients])
    assert weight.is_contiguous(memory_format=memory_format)
    # the norm is summed in another order
    torch.testing.assert_close(weight.flatten(1), matrix, rtol=0, atol=1e-4)


def test_its_settings_are_jordans_unless_it_is_told() -> None:
    defaults = Muon([nn.Parameter(torch.zeros(2, 2))]).defaults
    assert defaults == {"lr": 0.02, "momentum": 0.95, "weight_decay": 0.0}


def test_vectors_take_nesterovs_step() -> None:
    torch.manual_seed(0)
    start, gradients = torch.randn(5), [torch.randn(5) for _ in range(4)]
    ours, theirs = (nn.Parameter(start.clone()) for _ in range(2))
    steps_of(Muon([ours], lr=0.1, momentum=0.7), ours, gradients)
    reference = torch.optim.SGD([theirs], lr=0.1, momentum=0.7, nesterov=True)
    steps_of(reference, theirs, gradients)
    torch.testing.assert_close(ours, theirs)


def test_what_has_no_gradient_stays_and_the_closure_is_evaluated() -> None:
    moved, still = (nn.Parameter(torch.ones(2, 2)) for _ in range(2))
    optimizer = Muon([moved, still], lr=0.1, weight_decay=0.5)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = moved.sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 4
    assert torch.equal(still, torch.ones(2, 2))
    assert not torch.equal(moved, torch.ones(2, 2))
