"""What is kept of compiled networks for the next process: used, and never for another formula."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
import torch
from torch._dynamo.utils import counters
from torch._inductor.utils import fresh_cache

from ansnet.functional.kernel import finds_compiler
from ansnet.training.machine import as_settled
from ansnet.training.settings import Settings

SOURCE = """
import torch

class Scale(torch.autograd.Function):
    @staticmethod
    def forward(x):
        return x * {forward}

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, grad_z):
        return grad_z * {backward} * FACTOR

FACTOR = {factor}
"""


@pytest.fixture
def _cache() -> Iterator[None]:
    with fresh_cache():
        yield
    torch._dynamo.reset()


def compiled_anew(monkeypatch: pytest.MonkeyPatch, **constants: float) -> tuple[float, float, str]:
    """The z and the x̄ of the formula with these constants, as by a process that has just started."""
    module: Any = ModuleType("scale")
    exec(SOURCE.format(**constants), module.__dict__)
    monkeypatch.setitem(sys.modules, "scale", module)
    torch._dynamo.reset()
    counters.clear()
    x = torch.ones(3, requires_grad=True)
    settings = Settings.complete({"model": "vgg7", "dataset": "shapes10", "compile": "network"})
    with as_settled(settings):
        z = torch.compile(lambda x: module.Scale.apply(x) + 0)(x)
        z.sum().backward()
    assert x.grad is not None
    (outcome,) = (
        name for name in ("hit", "miss") if counters["aot_autograd"][f"autograd_cache_{name}"]
    )
    return z[0].item(), x.grad[0].item(), outcome


@pytest.mark.skipif(not finds_compiler(), reason="needs a C++ compiler")
@pytest.mark.filterwarnings("ignore")  # of torch.compile, another set in each version
@pytest.mark.usefixtures("_cache")
def test_a_formula_is_compiled_once_and_a_changed_one_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    for forward, backward, factor, expected in (
        (2, 2, 1, "miss"),
        (2, 2, 1, "hit"),
        (2, 3, 1, "miss"),  # another backward
        (2, 2, 5, "miss"),  # another constant that it reads
        (2, 2, 1, "hit"),
    ):
        outcome = compiled_anew(monkeypatch, forward=forward, backward=backward, factor=factor)
        assert outcome == (forward, backward * factor, expected)


def test_the_setting_is_as_it_was_afterwards() -> None:
    from torch._functorch import config

    before = config.autograd_cache_allow_custom_autograd_functions
    settings = Settings.complete({"model": "vgg7", "dataset": "shapes10", "compile": "network"})
    with as_settled(settings):
        assert config.autograd_cache_allow_custom_autograd_functions
    assert config.autograd_cache_allow_custom_autograd_functions is before
