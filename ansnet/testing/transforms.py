"""Capabilities: the function under PyTorch's transformations and tracers."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from ansnet.testing.case import (
    Case,
    Evaluation,
    NotApplicable,
    Sample,
    assert_same_evaluation,
    call,
    evaluate,
    random_like,
)
from ansnet.testing.comparison import assert_same, require
from ansnet.testing.preparation import keys_of
from ansnet.testing.sample import is_dense

FACTORS = (1.0, 0.5, 2.0)  # the batch is the sample, scaled: signs and order of the elements stay


def vmap(case: Case) -> str | None:
    """`torch.vmap` over all tensors, each alone, and all but it, in front or behind, does as a loop.

    Random numbers are the same for the whole batch. Over an input alone nothing is asked of a function
    that changes a tensor in place: memory of one cannot take the numbers of many.
    """
    tensors = case.sample.tensors
    if not tensors:
        raise NotApplicable("no tensor among the arguments")
    everything = [i for i, tensor in enumerate(tensors) if is_dense(tensor)]
    alone = [i for i, tensor in enumerate(tensors) if tensor.requires_grad and is_dense(tensor)]
    for dim in (0, -1):
        _assert_vmap(case, dict.fromkeys(everything, dim))
    if case.written:
        return "over all tensors only: it changes an input in place"
    if _changes_constants(case):
        return None
    for index in alone:
        others = [i for i in everything if i != index]
        for dim in (0, -1):
            _assert_vmap(case, {index: dim})
            if others:
                _assert_vmap(case, {index: dim, **dict.fromkeys(others, -1 - dim)})
            if len(others) > 1:
                _assert_vmap(case, dict.fromkeys(others, dim))
    return None


def _assert_vmap(case: Case, dims: Mapping[int, int]) -> None:
    """Compare with a loop; ``dims`` says which tensors are batched, and along which axis."""
    tensors = case.sample.map(torch.clone).tensors
    batches = [_batch(t.detach(), dims[i]) if i in dims else t.detach() for i, t in enumerate(tensors)]
    in_dims = tuple(dims.get(i) for i in range(len(tensors)))

    def function(*arguments: Tensor) -> tuple[Tensor, ...]:
        return tuple(call(case.function, case.sample.replace(arguments)))

    loop = [
        function(*(b.select(dims[i], n).clone() if i in dims else b for i, b in enumerate(batches)))
        for n in range(len(FACTORS))
    ]
    expected = [torch.stack(outputs) for outputs in zip(*loop, strict=True)]
    actual = list(torch.vmap(function, in_dims, randomness="same")(*batches))
    if case.is_random and [z.shape for z in actual] == [z.shape for z in expected]:
        actual, expected = _in_law(actual), _in_law(expected)
    assert_same("output", actual, expected)


def _in_law(tensors: list[Tensor]) -> list[Tensor]:
    """What is left of random numbers to compare, where a rule of its own draws them: that they are."""
    return [tensor.isfinite() for tensor in tensors]


def _batch(tensor: Tensor, dim: int) -> Tensor:
    scaled = tensor.is_floating_point() or tensor.is_complex()
    return torch.stack([tensor * factor if scaled else tensor for factor in FACTORS], dim)


def _changes_constants(case: Case) -> bool:
    """Whether the function writes to a constant, which then has to be batched too."""
    return any(constant._version for constant in evaluate(case.function, case.sample).constants)


def per_sample_gradients(case: Case) -> None:
    """`vmap` of `torch.func.grad` over the first input gives a loop's gradients of all inputs."""
    inputs = case.inputs()
    function = case.of_differentiable()
    weights = random_like(function(*inputs))

    def loss(*tensors: Tensor) -> Tensor:
        weighted = zip(function(*tensors), weights, strict=True)
        return torch.stack([(z * w).real.sum() for z, w in weighted]).sum()

    first, *others = (tensor.detach() for tensor in inputs)
    batch = _batch(first, 0)
    if set(case.written) - {0}:
        raise NotApplicable("it changes an input in place that all samples share")
    gradient = torch.func.grad(loss, tuple(range(len(inputs))))
    expected = [
        torch.autograd.grad(loss(*leaves), leaves)
        for leaves in (
            [t.requires_grad_() for t in (x, *map(torch.clone, others))] for x in batch.clone()
        )
    ]
    in_dims = (0, *[None] * len(others))
    actual = torch.vmap(gradient, in_dims, randomness="same")(batch, *others)
    assert_same(
        "per-sample gradient", list(actual), [torch.stack(g) for g in zip(*expected, strict=True)]
    )


def compile(case: Case) -> None:
    """`torch.compile` with ``fullgraph=True``: outputs and gradients are those of eager execution."""
    _assert_compiles(case, dynamic=False)


def compile_dynamic_shapes(case: Case) -> None:
    """The same with ``dynamic=True``, so that no size is a constant of the graph."""
    _assert_compiles(case, dynamic=True)


def _assert_compiles(case: Case, dynamic: bool) -> None:
    def function(*args: Any, **kwargs: Any) -> Any:
        return case.function(*args, **kwargs)

    with fresh_compiler():
        compiled = torch.compile(function, fullgraph=True, dynamic=dynamic, backend=case.backend)
        actual = evaluate(compiled, case.sample)
        assert_same_evaluation(actual, evaluate(case.function, case.sample), case.sample)
        with torch.no_grad():
            assert_same(
                "output without gradients",
                call(compiled, case.sample.map(torch.clone)),
                call(case.function, case.sample.map(torch.clone)),
            )


def export(case: Case) -> None:
    """`torch.export.export` gives a program that computes the same outputs."""

    class Program(nn.Module):
        def forward(self, *args: Any, **kwargs: Any) -> Any:
            return tuple(call(case.function, Sample(*args, **kwargs)))

    exported, actual, expected = (case.sample.map(torch.clone) for _ in range(3))
    with fresh_compiler():
        program = torch.export.export(Program(), exported.args, exported.kwargs).module()
    assert_same("output", call(program, actual), call(case.function, expected))
    assert_same("constant afterwards", actual.constants, expected.constants)


@contextmanager
def fresh_compiler() -> Iterator[None]:
    """A compiler without a past, whose warnings, of its own deprecations, are not the function's.

    What it leaves of transformations, where it fails in their midst, is undone afterwards.
    """
    from torch._inductor import config as inductor_config  # late: it takes a second to load

    depth = torch._C._functorch.get_dynamic_layer_stack_depth()
    level = forward_ad._current_level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch._dynamo.reset()
        try:
            with inductor_config.patch(fallback_random=True):  # the random numbers of eager execution
                yield
        finally:
            torch._C._functorch.pop_dynamic_layer_stack_and_undo_to_depth(depth)
            while forward_ad._current_level > level:
                forward_ad.exit_dual_level()


def meta(case: Case) -> None:
    """On the meta device outputs and gradients have the shapes and dtypes of those on the CPU."""
    with OnMeta(case.captured):
        shadow = evaluate(case.function, case.sample.map(lambda tensor: tensor.to("meta")))
    _assert_same_kind(case, shadow)


class OnMeta(TorchDispatchMode):
    """Operations find tensors that the function has captured on the meta device too."""

    def __init__(self, captured: Sequence[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.keys = {key for tensor in captured for key in keys_of(tensor)}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        args, kwargs = pytree.tree_map_only(Tensor, self._moved, (args, kwargs or {}))
        return func(*args, **kwargs)

    def _moved(self, tensor: Tensor) -> Tensor:
        known = tensor.device.type != "meta" and self.keys.intersection(keys_of(tensor))
        return tensor.detach().to("meta") if known else tensor


def fake_tensors(case: Case) -> None:
    """Likewise under `FakeTensorMode`, in which PyTorch's tracers run."""
    mode = FakeTensorMode(allow_non_fake_inputs=True)  # what is captured is none of the sample's
    sample = case.sample.map(mode.from_tensor)
    with mode:
        shadow = evaluate(case.function, sample)
    _assert_same_kind(case, shadow)


def _assert_same_kind(case: Case, shadow: Evaluation) -> None:
    real = evaluate(case.function, case.sample)
    for what, one, other in zip(Evaluation._fields, shadow, real, strict=True):
        actual, expected = ([(t.dtype, list(t.shape)) for t in tensors] for tensors in (one, other))
        require(actual == expected, f"{what}: {actual}, expected {expected}")
