"""What a capability is tried on: a sample of arguments, and the functions to apply to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

Function = Callable[..., Any]
Layout = Callable[[Tensor], Tensor]
Layer = tuple[nn.Module, "Sample"]


class NotApplicable(Exception):
    """A capability that makes no sense for a function or a sample; the message says why."""


class BeyondReference(NotApplicable):
    """A capability that the reference does not have either."""


class FailsAlone(AssertionError):
    """A capability that the function has not and the reference has; no need to try the latter again."""


class Vacuous(ValueError):
    """A function of which nothing can be said, whatever it computes."""


@dataclass(frozen=True)
class Conditions:
    """Under which a capability is tried.

    Attributes:
        atol: by how much two numbers may differ; None: as `assert_same` has it.
        rtol: the same, relative to the expected one.
        seed: of the random numbers that a function draws, each time that it is called.
    """

    atol: float | None = None
    rtol: float | None = None
    seed: int = 0


CONDITIONS = ContextVar("CONDITIONS", default=Conditions())  # noqa: B039 (it is frozen)


@contextmanager
def under(conditions: Conditions) -> Iterator[None]:
    """All that is tried within is tried under these conditions."""
    token = CONDITIONS.set(conditions)
    try:
        yield
    finally:
        CONDITIONS.reset(token)


class Sample:
    """Arguments to try a function with: ``Sample(x, w, stride=2)`` stands for ``f(x, w, stride=2)``.

    The tensors that require grad are the inputs to differentiate by; all others are constants. Tensors
    may lie in lists, tuples and dicts. Numerical derivatives are taken of every element, so samples
    are best of some dozen elements, in float64, and away from points without a derivative.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args = args
        self.kwargs = kwargs

    def __repr__(self) -> str:
        arguments = [describe(value) for value in self.args]
        arguments += [f"{name}={describe(value)}" for name, value in self.kwargs.items()]
        return f"({', '.join(arguments)})"

    @property
    def tensors(self) -> list[Tensor]:
        """All tensors among the arguments, in order."""
        return [leaf for leaf in self._leaves() if isinstance(leaf, Tensor)]

    @property
    def differentiable(self) -> list[Tensor]:
        """The tensors to differentiate by."""
        return [tensor for tensor in self.tensors if tensor.requires_grad]

    @property
    def constants(self) -> list[Tensor]:
        """The other tensors."""
        return [tensor for tensor in self.tensors if not tensor.requires_grad]

    @property
    def names(self) -> list[str]:
        """What to call each of `differentiable`: ``argument 0``, ``weight``."""
        paths, _ = pytree.tree_flatten_with_path((self.args, self.kwargs))
        return [
            getattr(path[-1], "key", None) or f"argument {getattr(path[1], 'idx', '?')}"
            for path, leaf in paths
            if isinstance(leaf, Tensor) and leaf.requires_grad
        ]

    def replace(self, tensors: Iterable[Tensor]) -> Sample:
        """The same arguments with other tensors in the place of `tensors`."""
        remaining = iter(tensors)
        leaves, structure = pytree.tree_flatten((self.args, self.kwargs))
        leaves = [next(remaining) if isinstance(leaf, Tensor) else leaf for leaf in leaves]
        args, kwargs = pytree.tree_unflatten(leaves, structure)
        return Sample(*args, **kwargs)

    def replace_differentiable(self, tensors: Iterable[Tensor]) -> Sample:
        """As `replace`, for `differentiable`; the constants are copied, in case they are changed."""
        remaining = iter(tensors)
        return self.replace(
            next(remaining) if tensor.requires_grad else tensor.clone() for tensor in self.tensors
        )

    def placing(self) -> Callable[[Sequence[Tensor]], Sample]:
        """`replace_differentiable`, in as little Python as can be: compilers trace every line."""
        leaves = self._leaves()
        if len(leaves) != len(self.args):  # containers, or arguments by name
            return self.replace_differentiable
        inputs = iter(range(len(leaves)))
        places = [
            next(inputs) if isinstance(leaf, Tensor) and leaf.requires_grad else None for leaf in leaves
        ]

        def place(tensors: Sequence[Tensor]) -> Sample:
            return Sample(
                *[
                    tensors[place]
                    if place is not None
                    else leaf.clone()
                    if isinstance(leaf, Tensor)
                    else leaf
                    for leaf, place in zip(leaves, places, strict=True)
                ]
            )

        return place

    def map(self, change: Callable[[Tensor], Tensor]) -> Sample:
        """Change each tensor; those that required grad do so again, as new leaves."""
        return self.replace(
            change(tensor.detach()).detach().requires_grad_(tensor.requires_grad)
            for tensor in self.tensors
        )

    def to(self, dtype: torch.dtype) -> Sample:
        """Floating point tensors in another precision; complex ones in the one that fits it."""

        def convert(tensor: Tensor) -> Tensor:
            if tensor.is_complex():
                return tensor.to(dtype.to_complex())
            return tensor.to(dtype) if tensor.is_floating_point() else tensor

        return self.map(convert)

    def _leaves(self) -> list[Any]:
        leaves: list[Any] = pytree.tree_leaves((self.args, self.kwargs))
        return leaves


def describe(value: Any) -> str:
    """A tensor as ``float64[2, 3]``, also within lists and dicts, and anything else as it prints."""
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {describe(item)}' for key, item in value.items())}}}"
    if isinstance(value, (list, tuple)) and any(isinstance(item, Tensor) for item in value):
        return f"[{', '.join(map(describe, value))}]"
    return repr(value)


@dataclass(frozen=True)
class Case:
    """One sample, what to apply to it, and how to compile it.

    Attributes:
        function: the function under test.
        reference: the function that it should equal; None where there is none.
        sample: the arguments.
        layer: a module that applies the function, and a sample of its inputs; None if there is none.
        backend: of `torch.compile`.
    """

    function: Function
    reference: Function | None
    sample: Sample
    layer: Layer | None = None
    backend: str = "inductor"

    def referenced(self) -> Function:
        """The reference.

        Raises:
            NotApplicable: there is none.
        """
        if self.reference is None:
            raise NotApplicable("no reference was given")
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
        """The function as one of the differentiable inputs alone, to a tuple of its float outputs."""
        place = self.sample.placing()
        return lambda *tensors: tuple(
            output for output in call(self.function, place(tensors)) if has_derivative(output)
        )


@dataclass(frozen=True)
class Stated:
    """A function with the derivative of another: what a surrogate gradient should be.

    Attributes:
        value: what is computed.
        derivative: the function whose derivative it has; it returns tensors of the same shapes.
    """

    value: Function
    derivative: Function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The values of the one, with the graph of the other."""
        values, structure = pytree.tree_flatten(self.value(*args, **kwargs))
        others = pytree.tree_leaves(self.derivative(*args, **kwargs))
        require(
            len(values) == len(others),
            f"derivative= returns {len(others)} tensors, the function {len(values)}",
        )
        return pytree.tree_unflatten(
            [
                value.detach() + (other - other.detach()) if has_derivative(other) else value
                for value, other in zip(values, others, strict=True)
            ],
            structure,
        )


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
    """All tensors that ``function(*args, **kwargs)`` returns.

    Raises:
        Vacuous: there is none.
    """
    result = function(*sample.args, **sample.kwargs)
    if isinstance(result, Tensor):
        return [result]
    tensors = [leaf for leaf in pytree.tree_leaves(result) if isinstance(leaf, Tensor)]
    if not tensors:
        raise Vacuous(
            f"the function returned {describe(result)}, in which there is no tensor: return a tensor, "
            "or a tuple, list or dict of them"
        )
    return tensors


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
        AssertionError: no output requires grad.
    """
    outputs = attached(outputs)
    require(bool(outputs), "no output requires grad, although an input does")
    upstream = [layout(tensor) for tensor in random_like(outputs)]
    gradients = torch.autograd.grad(
        outputs, inputs, upstream, allow_unused=True, materialize_grads=True
    )
    return list(gradients)


def attached(outputs: Iterable[Tensor]) -> list[Tensor]:
    """Those that a graph leads back from."""
    return [output for output in outputs if output.requires_grad]


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


def require(condition: bool, message: str) -> None:
    """``assert``, also where Python runs without assertions.

    Raises:
        AssertionError: the condition does not hold.
    """
    if not condition:
        raise AssertionError(message)


# Of doubles, closer than assert_close asks: what has passed through single precision is to be seen.
CLOSER = {torch.float64: 1e-10, torch.complex128: 1e-10}


def bounds(dtype: torch.dtype) -> tuple[float | None, float | None]:
    """By how much numbers may differ: absolutely, and relative to the expected one."""
    given, usual = CONDITIONS.get(), CLOSER.get(dtype)
    if given.atol is None and given.rtol is None:
        return usual, usual
    return given.atol or 0.0, given.rtol or 0.0


def assert_same(what: str, actual: Sequence[Tensor], expected: Sequence[Tensor]) -> None:
    """Equal number, shapes, dtypes, devices, and values within `torch.testing.assert_close`'s bounds.

    Doubles are to agree within 1e-10, unless the conditions say otherwise.

    Raises:
        AssertionError: they differ; the message names what and where.
    """
    require(len(actual) == len(expected), f"{what}: {len(actual)} tensors, expected {len(expected)}")
    for index, (one, other) in enumerate(zip(actual, expected, strict=True)):
        name = what if len(actual) == 1 else f"{what} {index}"
        try:
            atol, rtol = bounds(other.dtype)
            torch.testing.assert_close(one, other, atol=atol, rtol=rtol, equal_nan=True)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from None


def assert_same_evaluation(actual: Evaluation, expected: Evaluation, sample: Sample) -> None:
    """Outputs, each gradient and the constants afterwards are the same.

    Raises:
        AssertionError: they differ.
    """
    assert_same("output", actual.outputs, expected.outputs)
    for name, one, other in zip(sample.names, actual.gradients, expected.gradients, strict=True):
        assert_same(f"gradient of {name}", [one], [other])
    assert_same("constant afterwards", actual.constants, expected.constants)
