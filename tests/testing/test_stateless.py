"""Modules as functions of their parameters, also where the backward calls the module again."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ansnet.testing import CAPABILITIES, Report, Result, Sample, check
from ansnet.testing.capabilities import COMPILED
from ansnet.testing.operations import random

EAGER = CAPABILITIES.keys() - COMPILED - {"no memory growth"}
# PyTorch's transformations refuse hooks for saved tensors, with which the checkpoint works
TRANSFORMED = {"jacobian", "hessian", "per sample gradients", "gradient through vmap"}
numbers = Sample(random(3, 4))


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(4, 3, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x).tanh()


class Checkpointed(Plain):
    reentrant = False

    def forward(self, x: Tensor) -> Tensor:
        return checkpoint(self.linear, x, use_reentrant=self.reentrant).tanh()


class Reentrant(Checkpointed):
    reentrant = True


class Adjoint(Plain):
    """The backward calls the module, and asks for the gradients of its parameters."""

    factor = 1.0

    def forward(self, x: Tensor) -> Tensor:
        return CalledAgain.apply(self, x, *self.parameters())


class Wrong(Adjoint):
    factor = 1.5


class CalledAgain(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, module: Adjoint, x: Tensor, *parameters: Tensor) -> Tensor:
        ctx.module = module
        ctx.save_for_backward(x, *parameters)
        return module.linear(x).tanh()

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> tuple[Any, ...]:
        x, *_ = (tensor.detach().requires_grad_() for tensor in ctx.saved_tensors)
        with torch.enable_grad():
            z = ctx.module.linear(x).tanh()
        inputs = [x, *ctx.module.parameters()]
        return None, *torch.autograd.grad(z, inputs, ctx.module.factor * grad_z)


class Reversible(Adjoint):
    """The backward within the backward adds to the parameters' ``.grad``."""

    def forward(self, x: Tensor) -> Tensor:
        return AddsToGrad.apply(self, x, *self.parameters())


class AddsToGrad(CalledAgain):
    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> tuple[Any, ...]:
        x, *_ = (tensor.detach().requires_grad_() for tensor in ctx.saved_tensors)
        with torch.enable_grad():
            ctx.module.linear(x).tanh().backward(ctx.module.factor * grad_z)
        return None, x.grad, None, None


def tried(module: nn.Module, reference: nn.Module | None, only: Any) -> Report:
    return check(module, reference, [numbers], only=only, isolated=False, backend="eager")


def test_a_checkpoint_has_all_capabilities_that_the_transformations_let_it_have() -> None:
    report = tried(Checkpointed(), Plain(), sorted(EAGER - TRANSFORMED))
    assert report.passed, str(report)
    assert "computes the forward again" in report["saved tensors guarded"].detail


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad=True")
@pytest.mark.parametrize("module", [Reentrant, Adjoint, Reversible])
def test_a_backward_that_calls_the_module_again_is_right(module: Any) -> None:
    rows = ["forward", "gradients", "inputs unchanged", "uses its arguments"]
    report = tried(module(), Plain(), rows)
    assert report.passed, str(report)


def test_gradcheck_moves_the_parameters_that_the_backward_sees() -> None:
    assert tried(Adjoint(), None, ["gradcheck"]).passed
    (row,) = tried(Reentrant(), None, ["gradcheck"]).rows
    assert row.result is Result.NOT_APPLICABLE
    assert "refuses torch.autograd.grad through a reentrant checkpoint" in row.detail
    (row,) = tried(Reversible(), None, ["gradcheck"]).rows
    assert row.result is Result.NOT_APPLICABLE
    assert "adds to .grad itself" in row.detail


def test_a_wrong_one_fails() -> None:
    report = tried(Wrong(), Plain(), ["gradients", "gradcheck"])
    assert len(report.failures) == 2

    class WrongToo(Reversible):
        factor = 1.5

    assert tried(WrongToo(), Plain(), ["gradients"]).failures


def test_compiled_it_is_right_as_well() -> None:
    report = tried(Checkpointed(), Plain(), ["compile"])
    assert report.passed, str(report)


def test_the_module_is_left_with_its_own_parameters() -> None:
    module = Checkpointed()
    before = dict(module.named_parameters())
    assert tried(module, Plain(), ["forward", "gradients", "pickle and copy"]).passed
    after = dict(module.named_parameters())
    assert all(after[name] is parameter for name, parameter in before.items())
    assert all(parameter.grad is None for parameter in after.values())


class Counting(nn.Module):
    """A buffer that is assigned anew, and one that is written to."""

    def __init__(self, step: float, decay: float) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(4, dtype=torch.float64))
        self.step, self.decay = step, decay

    def forward(self, x: Tensor) -> Tensor:
        self.count = self.count + self.step
        with torch.no_grad():
            self.mean.lerp_(x.mean(0), self.decay)
        return x * 2


@pytest.mark.parametrize(("step", "decay"), [(2, 0.1), (1, 0.2)])
def test_buffers_that_the_forward_changes_are_compared(step: float, decay: float) -> None:
    assert tried(Counting(1, 0.1), Counting(1, 0.1), ["forward"]).passed
    (row,) = tried(Counting(step, decay), Counting(1, 0.1), ["forward"]).rows
    assert "constant afterwards" in row.detail


def test_a_parameter_in_two_places_is_one() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.other = nn.Linear(4, 4).double(), nn.Linear(4, 4).double()
            self.other.weight = self.one.weight

        def forward(self, x: Tensor) -> Tensor:
            return self.other(self.one(x).tanh())

    assert tried(Tied(), None, ["gradcheck", "subsets of gradients"]).passed
