"""What a capability is tried on: a sample of arguments, and the functions to apply to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ansnet.testing import seeds
from ansnet.testing.comparison import CONDITIONS, assert_same
from ansnet.testing.results import tensors_in
from ansnet.testing.sample import Sample as Sample
from ansnet.testing.sample import describe as describe

Function = Callable[..., Any]
Layout = Callable[[Tensor], Tensor]
Layer = tuple[nn.Module, "Sample"]


class NotApplicable(Exception):
    """A capability that makes no sense for a function or a sample; the message says why."""


class BeyondReference(NotApplicable):
    """A capability that the reference does not have either."""


class FailsAlone(AssertionError):
    """A capability that the function has not and the reference has; no need to try the latter again."""


NO_GRAPH = "no output requires grad, although an input does"


class NothingToDifferentiate(AssertionError):
    """No output leads back to an input, although one requires grad."""


class Vacuous(ValueError):
    """A function of which nothing can be said, whatever it computes."""


DTYPES = torch.float64, torch.float32


@dataclass(frozen=True)
class Case:
    """One sample, what to apply to it, and how to compile it.

    Attributes:
        function: the function under test.
        reference: the function that it should equal; None where there is none.
        sample: the arguments.
        layer: a module that applies the function, and a sample of its inputs; None if there is none.
        backend: of `torch.compile`.
        others: the other samples.
        dtypes: those in which the function works.
        devices: those on which it is to work; None: the accelerator that is there, if any.
        written: the inputs that it changes in place, by their index among the sample's inputs. Function
            and reference are given copies of them, which they may change.
        lost: those of them that the reference leaves alone, and that the function does not return.
        is_random: whether it draws random numbers.
        captured: tensors that it uses and that are not among its arguments.
        adds_to_grad: whether its backward adds to the inputs' ``.grad`` itself.
    """

    function: Function
    reference: Function | None
    sample: Sample
    layer: Layer | None = None
    backend: str = "inductor"
    others: tuple[Sample, ...] = ()
    dtypes: tuple[torch.dtype, ...] = DTYPES
    devices: tuple[torch.device, ...] | None = None
    written: tuple[int, ...] = ()
    lost: tuple[int, ...] = ()
    is_random: bool = False
    captured: tuple[Tensor, ...] = ()
    adds_to_grad: bool = False

    @property
    def precision(self) -> torch.dtype:
        """The dtype for what needs many digits: float64, or float32 where it works in that only.

        Raises:
            NotApplicable: it works in neither.
        """
        for dtype in DTYPES:
            if dtype in self.dtypes:
                return dtype
        raise NotApplicable("it works neither in float64 nor in float32, and less says nothing here")

    def referenced(self) -> Function:
        """The reference.

        Raises:
            NotApplicable: there is none.
        """
        if self.reference is None:
            raise NotApplicable("no reference was given")
        return self.reference

    @property
    def excuse(self) -> Function | None:
        """The function whose errors excuse the same of the one under test: not that function itself."""
        if isinstance(self.reference, Stated) and self.reference.is_own:
            return self.reference.derivative
        return self.reference

    def inputs(self) -> list[Tensor]:
        """The sample's tensors to differentiate by.

        Raises:
            NotApplicable: there are none.
        """
        if not self.sample.differentiable:
            raise NotApplicable("no input requires grad")
        return self.sample.differentiable

    def of_differentiable(self) -> Callable[..., tuple[Tensor, ...]]:
        """The function as one of the differentiable inputs alone, to a tuple of its float outputs.

        Raises:
            NothingToDifferentiate: there is none, once it is called.
        """
        place = self.sample.placing()

        def of_inputs(*tensors: Tensor) -> tuple[Tensor, ...]:
            outputs = tuple(filter(has_derivative, call(self.function, place(tensors))))
            if not outputs:
                raise NothingToDifferentiate(NO_GRAPH)
            return outputs

        return of_inputs


@dataclass(frozen=True)
class Stated:
    """A function with the derivative of another: what a surrogate gradient should be.

    Attributes:
        value: what is computed.
        derivative: the function whose derivative it has; it returns tensors of the same shapes.
        is_own: whether the value is that of the function under test, for want of a reference.
    """

    value: Function
    derivative: Function
    is_own: bool = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The tensors of the one, with the graph of the other."""
        values = tensors_in(self.value(*args, **kwargs))
        others = tensors_in(self.derivative(*args, **kwargs))
        return tuple(
            value.detach() + (other - other.detach()) if has_derivative(other) else value
            for value, other in zip(values, others, strict=True)
        )

    def assert_fits(self, sample: Sample) -> None:
        """The two return tensors of the same shapes for a sample.

        Raises:
            Vacuous: they do not.
        """
        values = call(self.value, sample.map(torch.clone))
        result = result_of(self.derivative, sample.map(torch.clone))
        shapes = [list(value.shape) for value in values]
        if [list(other.shape) for other in tensors_in(result)] != shapes:
            whose = "function" if self.is_own else "reference"
            told = ", ".join(map(describe, values))
            raise Vacuous(
                f"derivative= returned {describe(result)}, and the {whose} {told}: let it return "
                "tensors of the same shapes"
            )


def valued(function: Function) -> Function:
    """What computes a function's values: of one with another's derivative, the one."""
    return function.value if isinstance(function, Stated) else function


def has_derivative(leaf: Any) -> bool:
    """Whether it is a tensor of numbers that can be differentiated."""
    return isinstance(leaf, Tensor) and (leaf.is_floating_point() or leaf.is_complex())


class Evaluation(NamedTuple):
    """What a function made of a sample: outputs, the inputs' gradients, and the constants after it."""

    outputs: list[Tensor]
    gradients: list[Tensor]
    constants: list[Tensor]


def as_it_is(tensor: Tensor) -> Tensor:
    """The tensor itself."""
    return tensor


def call(function: Function, sample: Sample) -> list[Tensor]:
    """All tensors that ``function(*args, **kwargs)`` returns; it is seeded before (`Conditions.seed`).

    Raises:
        Vacuous: there is none.
    """
    return tensors_of(result_of(function, sample))


def tensors_of(result: Any) -> list[Tensor]:
    """All tensors of what a function has returned.

    Raises:
        Vacuous: there is none.
    """
    tensors = tensors_in(result)
    if not tensors:
        raise Vacuous(
            f"the function returned {describe(result)}, in which there is no tensor: return a tensor, "
            "or a tuple, list or dict of them"
        )
    return tensors


def result_of(function: Function, sample: Sample) -> Any:
    """``function(*args, **kwargs)``, as it is; the function is seeded before (`Conditions.seed`)."""
    reseed()
    return function(*sample.args, **sample.kwargs)


def reseed(offset: int = 0) -> None:
    """Seed what a function may draw from, as the conditions say; not while it is traced."""
    if torch.compiler.is_compiling():
        return
    seed = CONDITIONS.get().seed
    if seed is not None:
        seeds.plant(seed + offset)


def evaluate(function: Function, sample: Sample, layout: Layout = as_it_is) -> Evaluation:
    """Call a function, and map gradients of its outputs, random but always the same, to its inputs.

    Args:
        function: what to call.
        sample: the arguments; they stay as they are, views too.
        layout: what to make of the outputs' gradients before they enter.

    Raises:
        AssertionError: the sample has inputs to differentiate by, but no output depends on them.
    """
    sample = sample.replace_differentiable(
        tensor.detach().requires_grad_() for tensor in sample.differentiable
    )
    if isinstance(function, Stated):  # exact also where a value is not finite
        derivative = evaluate(function.derivative, sample.map(torch.clone), layout)
        outputs = [z.detach() for z in call(function.value, sample)]
        return Evaluation(outputs, derivative.gradients, sample.constants)
    outputs = call(function, sample)
    inputs = sample.differentiable
    return Evaluation(
        outputs, differentiate(outputs, inputs, layout) if inputs else [], sample.constants
    )


def differentiate(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor], layout: Layout = as_it_is
) -> list[Tensor]:
    """Gradients of the inputs; zeros where no output depends on one.

    Raises:
        NothingToDifferentiate: no output requires grad.
    """
    outputs = differentiable(outputs)
    upstream = [layout(tensor) for tensor in random_like(outputs)]
    reseed(1)  # another than the forward's: a mask drawn again in the backward is not the forward's
    return gradients_of(outputs, inputs, upstream)


def gradients_of(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor], upstream: Sequence[Tensor]
) -> list[Tensor]:
    """`torch.autograd.grad`, with zeros for None, and with what the backward adds to ``.grad`` itself.

    Reversible blocks and reentrant checkpoints run a backward within theirs, which adds gradients to
    the parameters; the latter refuse to be asked for them in another way.
    """
    before = [tensor.grad if tensor.is_leaf else None for tensor in inputs]
    for tensor in inputs:
        if tensor.is_leaf and tensor.grad is not None:
            tensor.grad = None
    if all(tensor.is_leaf for tensor in inputs) and has_reentrant_checkpoint(outputs):
        torch.autograd.backward(outputs, upstream)
        gradients = [torch.zeros_like(tensor) for tensor in inputs]
    else:
        gradients = list(
            torch.autograd.grad(outputs, inputs, upstream, allow_unused=True, materialize_grads=True)
        )
    for index, (tensor, own) in enumerate(zip(inputs, before, strict=True)):
        if tensor.is_leaf and tensor.requires_grad:
            if tensor.grad is not None:
                gradients[index] = gradients[index] + tensor.grad.detach()
            tensor.grad = own
    return gradients


def has_reentrant_checkpoint(outputs: Sequence[Tensor]) -> bool:
    """Whether the graph has a checkpoint of the kind that refuses `torch.autograd.grad`."""
    return any(node.name() == "CheckpointFunctionBackward" for node in nodes_of(outputs))


def nodes_of(outputs: Iterable[Tensor]) -> set[Any]:
    """The nodes of the graph that leads to the outputs."""
    nodes, seen = [output.grad_fn for output in outputs], set()
    while nodes:
        node = nodes.pop()
        if node is not None and node not in seen:
            seen.add(node)
            nodes += [source for source, _ in node.next_functions]
    return seen


def attached(outputs: Iterable[Tensor]) -> list[Tensor]:
    """Those that a graph leads back from."""
    return [output for output in outputs if output.requires_grad]


def differentiable(outputs: Iterable[Tensor]) -> list[Tensor]:
    """Those that a graph leads back from, of which there has to be one.

    Raises:
        NothingToDifferentiate: no output requires grad.
    """
    found = attached(outputs)
    if not found:
        raise NothingToDifferentiate(NO_GRAPH)
    return found


def random_like(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Random tensors, the same in each call, of the given tensors' shapes, dtypes and devices."""
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(
            tensor.shape,
            generator=generator,
            dtype=torch.complex128 if tensor.is_complex() else torch.float64,
        ).to(tensor)
        for tensor in tensors
    ]


def assert_same_evaluation(actual: Evaluation, expected: Evaluation, sample: Sample) -> None:
    """Outputs, each gradient and the constants afterwards are the same.

    Raises:
        AssertionError: they differ.
    """
    assert_same("output", actual.outputs, expected.outputs)
    for name, one, other in zip(sample.names, actual.gradients, expected.gradients, strict=True):
        assert_same(f"gradient of {name}", [one], [other])
    assert_same("constant afterwards", actual.constants, expected.constants)
