"""`ansnet.functional.kernel`: when code is generated, and that it computes the formula."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import grad

from ansnet.functional import batch_norm_relu2d, kernel, max_pool2d, relu, relu_max_pool2d
from ansnet.functional.kernel import LEAST

FORMATS = [torch.contiguous_format, torch.channels_last]

needs_compiler = pytest.mark.skipif(not kernel.finds_compiler(), reason="needs a C++ compiler")


@kernel.kernel
def doubled(x: Tensor) -> Tensor:
    return 2 * x


@pytest.fixture
def generated(monkeypatch: pytest.MonkeyPatch) -> list[Callable[..., Any]]:
    """The formulas that code is asked for, which is pretended to be generated."""
    asked = []

    def compiled(formula: Callable[..., Any]) -> Callable[..., Any]:
        asked.append(formula)
        return formula

    monkeypatch.setattr(kernel, "compiled", compiled)
    monkeypatch.setattr(kernel, "can_generate", lambda device: device == "cpu")
    return asked


def test_large_tensors_are_worth_a_kernel(generated: list[Callable[..., Any]]) -> None:
    assert torch.equal(doubled(torch.ones(3)), torch.full((3,), 2.0))
    assert not generated
    with torch.no_grad():
        doubled(torch.ones(LEAST - 1))
        assert not generated
        doubled(torch.ones(LEAST))
    assert generated == [doubled.__wrapped__]


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")  # forward mode's first use
def test_none_is_generated_where_more_than_numbers_is_asked_for(
    generated: list[Callable[..., Any]],
) -> None:
    x = torch.ones(LEAST)
    doubled(x.requires_grad_()).sum().backward()  # recorded by autograd
    torch.vmap(doubled)(x.detach().view(2, -1))
    torch.func.jvp(doubled, (x.detach(),), (x.detach(),))
    with torch.no_grad():
        torch.compile(lambda x: doubled(x), backend="eager")(x)
        doubled(x.to("meta"))
    assert not generated


def test_without_a_compiler_the_formula_is_evaluated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    kernel.can_generate.cache_clear()
    with torch.no_grad():
        assert torch.equal(doubled(torch.ones(LEAST)), torch.full((LEAST,), 2.0))
    assert not kernel.can_generate("cpu")
    kernel.can_generate.cache_clear()


@needs_compiler
def test_a_compiler_that_fails_is_told_of_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(formula: object, **options: object) -> Callable[..., Any]:
        raise RuntimeError("no headers\nand much more")

    monkeypatch.setattr(torch, "compile", fails)
    kernel.can_generate.cache_clear()
    with torch.no_grad():
        with pytest.warns(kernel.NoKernelWarning, match=r"\(RuntimeError: no headers\), so formulas"):
            doubled(torch.ones(LEAST))
        assert torch.equal(doubled(torch.ones(LEAST)), torch.full((LEAST,), 2.0))
    kernel.can_generate.cache_clear()


@needs_compiler
@pytest.mark.filterwarnings("ignore")  # PyTorch's own, while it compiles
@pytest.mark.parametrize("memory_format", FORMATS)
def test_generated_code_computes_the_formula(memory_format: torch.memory_format) -> None:
    torch.manual_seed(0)
    x = torch.randn(8, 32, 21, 23, dtype=torch.float64).contiguous(memory_format=memory_format)
    gamma, beta = torch.randn(2, 32, dtype=torch.float64).requires_grad_()
    inputs = x.requires_grad_(), gamma, beta
    assert x.numel() >= LEAST
    normalised = [{"window_size": window, "training": True} for window in (None, 2, 3)]
    functions: list[Callable[[], Tensor]] = [
        lambda: relu(x) * gamma[:, None, None],
        lambda: relu_max_pool2d(x, 2) * gamma[:, None, None],
        lambda: max_pool2d(x, (3, 2), ties="first"),
        lambda: max_pool2d(x, 2),
        *(lambda options=options: batch_norm_relu2d(*inputs, **options) for options in normalised),
    ]
    for function in functions:
        results = []
        for stance in ("default", "force_eager"):
            with torch.compiler.set_stance(stance):
                z = function()
                grads = grad(z, inputs, torch.ones_like(z), allow_unused=True)
            layouts = z.is_contiguous(memory_format=memory_format), grads[0].stride()
            results.append((layouts, [z, *grads]))
        (layouts, ours), (eager_layouts, eager) = results
        assert layouts == eager_layouts
        torch.testing.assert_close(ours, eager, rtol=1e-9, atol=1e-9)


@needs_compiler
@pytest.mark.filterwarnings("ignore")  # PyTorch's own, while it compiles
def test_one_code_serves_all_sizes() -> None:
    def rectified(*shape: int) -> None:
        x = torch.randn(*shape, requires_grad=True)
        z, reference = relu_max_pool2d(x, 2), F.max_pool2d(F.relu(x), 2)
        assert torch.equal(z, reference)
        grad_z = torch.randn_like(z)
        assert torch.equal(grad(z, x, grad_z)[0], grad(reference, x, grad_z)[0])

    rectified(15, 16, 36, 34)
    with torch.compiler.set_stance("fail_on_recompile"):
        rectified(17, 24, 30, 28)
        rectified(64, 8, 18, 36)


@pytest.mark.parametrize(
    ("platform", "variable", "compiler"),
    [("linux", None, "g++"), ("darwin", None, "clang++"), ("linux", "icpx", "icpx")],
)
def test_the_compiler_that_is_looked_for(
    monkeypatch: pytest.MonkeyPatch, platform: str, variable: str | None, compiler: str
) -> None:
    monkeypatch.setattr(kernel.sys, "platform", platform)
    monkeypatch.delenv("CXX", raising=False)
    if variable:
        monkeypatch.setenv("CXX", variable)
    for there in (True, False):
        monkeypatch.setattr(kernel, "which", lambda name, there=there: name if there else None)
        assert kernel.finds_compiler() is there
    monkeypatch.setattr(kernel, "which", lambda name: name if name == compiler else None)
    assert kernel.finds_compiler()


def test_only_for_processors_and_cuda_is_code_generated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda formula, **options: lambda x: x)
    monkeypatch.setattr(kernel, "finds_compiler", lambda: True)
    for device, expected in (("cpu", True), ("meta", False), ("mps", False)):
        assert kernel.can_generate.__wrapped__(device) is expected


def test_no_code_is_generated_for_windows_of_many_places(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(formula: Callable[..., Any]) -> Callable[..., Any]:
        raise AssertionError(f"{formula.__name__} is compiled")

    monkeypatch.setattr(kernel, "compiled", refuse)
    x = torch.randn(2, 32, 40, 40)
    with torch.no_grad():
        for options in ({}, {"stride": 1, "padding": 2}):
            z = max_pool2d(x, 5, **options, ties="first")
            torch.testing.assert_close(z, F.max_pool2d(x, 5, **options))
            torch.testing.assert_close(max_pool2d(x, 5, **options), z)
    with pytest.raises(AssertionError, match="is compiled"):
        max_pool2d(x, 4, ties="first")


FORKED = """
import os
import torch
from ansnet.functional import relu
from ansnet.functional.kernel import LEAST, can_generate

relu(torch.ones(LEAST))
assert can_generate("cpu")
x = torch.ones(1, requires_grad=True)
torch.autograd.grad(x.sum(), x)
child = os.fork()
if child == 0:
    torch.autograd.grad(x.sum(), x)
    os._exit(0)
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status))
"""


@needs_compiler
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_process_that_generated_code_can_be_forked() -> None:
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, check=False)
    assert done.stdout == "0\n", done.stderr
