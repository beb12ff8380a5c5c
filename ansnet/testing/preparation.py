"""What has to be known of a function before a capability is tried: it is found out by calling it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from ansnet.testing import seeds
from ansnet.testing.case import (
    DTYPES,
    Case,
    Function,
    Sample,
    Stated,
    Vacuous,
    attached,
    call,
    evaluate,
    has_derivative,
    random_like,
    reseed,
)
from ansnet.testing.sample import parts


def prepared(case: Case, dtypes: Sequence[torch.dtype] | None = None) -> Case:
    """The case with what is known of its function: see `Case`.

    The function is called first, so that what it keeps for later calls (a cache of constants) is made.

    Args:
        case: a function and a sample.
        dtypes: those in which the function works. None: float64 and float32, but for one in which it
            fails because of a tensor that it has captured.
    """
    if dtypes is not None:
        case = replace(case, sample=in_one_of(case.sample, dtypes))
    assert_derivative_fits(case)
    is_random = draws(case.function, case.sample)
    written = sorted(written_to(case.function, case.sample))
    by_reference = written_to(case.reference, case.sample) if case.reference else set(written)
    lost = lost_by(case.function, case.sample, set(written) - by_reference)
    if written or by_reference:
        returned = set(written) & by_reference
        case = replace(
            case,
            function=OnCopies.of(case.function, case.sample, set(written), returned),
            reference=case.reference
            and OnCopies.of(case.reference, case.sample, by_reference, returned),
            others=(),
        )
    captured = captured_by(case.function, case.sample)
    if dtypes is None:
        dtypes = of_captured(case, captured)
        case = replace(case, sample=in_one_of(case.sample, dtypes))
    return replace(
        case,
        dtypes=tuple(dtypes),
        written=tuple(written),
        lost=lost,
        is_random=is_random,
        captured=tuple(captured),
        adds_to_grad=adds_to_grad(case.function, case.sample),
    )


def assert_derivative_fits(case: Case) -> None:
    """A stated derivative returns tensors of the shapes of the values.

    Raises:
        Vacuous: it does not. What raises another error is for the rows to tell.
    """
    if isinstance(case.reference, Stated):
        try:
            case.reference.assert_fits(case.sample)
        except Vacuous:
            raise
        except Exception:
            return


def in_one_of(sample: Sample, dtypes: Sequence[torch.dtype]) -> Sample:
    """The sample in the first of the dtypes, unless it is in one of them."""
    given = {tensor.dtype for tensor in sample.tensors if tensor.is_floating_point()}
    return sample if not given or given & set(dtypes) else sample.to(dtypes[0])


def draws(function: Function, sample: Sample) -> bool:
    """Whether a call of a function takes random numbers from PyTorch's or Python's generator."""
    try:
        call(function, sample.map(torch.clone))
    except Vacuous:
        pass  # it writes to its arguments, perhaps
    except Exception:
        return False
    after = seeds.states()
    reseed()
    return after != seeds.states()


def written_to(function: Function, sample: Sample) -> set[int]:
    """The inputs that a function changes in place, which PyTorch refuses where they are leaves.

    A Function that does so without `mark_dirty`, or past autograd, is not refused, and not found here:
    `conduct.inputs_unchanged` tells of it.
    """
    if isinstance(function, Stated):
        return written_to(function.value, sample) | written_to(function.derivative, sample)
    try:
        call(function, sample.map(torch.clone))
    except Exception as error:
        if "leaf Variable that requires grad" not in str(error):
            return set()
    else:
        return set()
    copies = sample.replace(
        tensor.clone() if tensor.requires_grad else tensor.detach().clone() for tensor in sample.tensors
    )
    inputs = copies.differentiable
    before = [tensor._version for tensor in inputs]
    with suppress(Exception):  # what else is wrong is for the rows to tell
        function(*copies.args, **copies.kwargs)
    return {
        index
        for index, (tensor, version) in enumerate(zip(inputs, before, strict=True))
        if tensor._version != version
    }


def lost_by(function: Function, sample: Sample, written: set[int]) -> tuple[int, ...]:
    """Of the inputs that a function changes in place, those that it does not return either."""
    inputs = sample.replace(
        tensor.clone() if tensor.requires_grad else tensor.detach().clone() for tensor in sample.tensors
    )
    tensors, keys = inputs.differentiable, set()
    with suppress(Exception):  # what else is wrong is for the rows to tell
        keys = {key for output in call(function, inputs) for key in keys_of(output)}
    return tuple(index for index in sorted(written) if keys.isdisjoint(keys_of(tensors[index])))


def adds_to_grad(function: Function, sample: Sample) -> bool:
    """Whether a backward runs another one within, which adds to ``.grad``, as reversible blocks do."""
    own = sample.map(torch.clone)
    with suppress(Exception):  # what is wrong is for the rows to tell
        outputs = attached(call(function, own))
        torch.autograd.grad(outputs, own.differentiable, random_like(outputs), allow_unused=True)
    return any(tensor.grad is not None for tensor in own.differentiable)


class OnCopies:
    """A function that changes its inputs in place, given copies of them, as it would be in a network.

    There they are intermediate results, to which gradients lead back; a leaf may not be changed.
    """

    def __init__(self, function: Function, places: frozenset[int], returned: frozenset[int]) -> None:
        self.function = function
        self.places = places  # of the tensors among all arguments
        self.returned = returned  # those of which the changed copies count as outputs

    @classmethod
    def of(cls, function: Function, sample: Sample, written: set[int], returned: set[int]) -> Function:
        """A function that changes these inputs, by their index, and of which some are results too."""
        if isinstance(function, Stated):
            value, derivative = (
                cls.of(part, sample, written, set()) for part in (function.value, function.derivative)
            )
            return Stated(value, derivative, function.is_own)
        inputs = [place for place, tensor in enumerate(sample.tensors) if tensor.requires_grad]
        return cls(
            function,
            frozenset(inputs[index] for index in written),
            frozenset(inputs[index] for index in returned),
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        leaves, structure = pytree.tree_flatten((args, kwargs))
        place, changed = -1, []
        for index, leaf in enumerate(leaves):
            if not isinstance(leaf, Tensor):
                continue
            place += 1
            if place in self.places:
                leaves[index] = copy_of(leaf)
            if place in self.returned:
                changed.append(leaves[index])
        args, kwargs = pytree.tree_unflatten(leaves, structure)
        result = self.function(*args, **kwargs)
        known = [leaf for leaf in pytree.tree_leaves(result) if isinstance(leaf, Tensor)]
        changed = [copy for copy in changed if not any(copy is output for output in known)]
        return (result, *changed) if changed else result


def copy_of(tensor: Tensor) -> Tensor:
    """A copy, no leaf, that lies in memory as the tensor does, if that is possible."""
    if torch.compiler.is_compiling() or type(tensor) is not Tensor or tensor.is_contiguous():
        return tensor.clone()
    overlaps = any(s == 0 and n > 1 for n, s in zip(tensor.shape, tensor.stride(), strict=True))
    if overlaps or torch._C._functorch.is_functorch_wrapped_tensor(tensor):
        return tensor.clone()
    copy = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=tensor.device)
    return copy.copy_(tensor)


class Origins(TorchDispatchMode):
    """Notes the tensors that operations read and that none of them has made."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.made: set[int] = set()
        self.read: dict[int, Tensor] = {}
        self.kept: list[Tensor] = []  # so that no memory, and with it its key, is used again

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        for tensor in _tensors((args, kwargs)):
            for key in keys_of(tensor):
                if key not in self.made:
                    self.read.setdefault(key, tensor)
        result = func(*args, **(kwargs or {}))
        for tensor in _tensors(result):
            self.kept.append(tensor)
            self.made |= {key for key in keys_of(tensor) if key not in self.read}
        return result


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in pytree.tree_leaves(tree) if isinstance(leaf, Tensor)]


def keys_of(tensor: Tensor) -> list[int]:
    """Keys of the memory that hold a tensor's numbers."""
    return [part.untyped_storage()._cdata for part in parts(tensor)]


def captured_by(function: Function, sample: Sample) -> list[Tensor]:
    """The tensors that a function uses at each call and that are not among its arguments."""
    runs = []
    for _ in range(2):
        own = sample.map(torch.clone)
        origins = Origins()
        with suppress(Exception), origins:
            evaluate(function, own)
        known = {key for tensor in own.tensors for key in keys_of(tensor)}
        runs.append((origins, {key for key in origins.read if key not in known}))
    (origins, first), (_, second) = runs
    return [origins.read[key] for key in origins.read if key in first & second]


def of_captured(case: Case, captured: Sequence[Tensor]) -> tuple[torch.dtype, ...]:
    """Float64 and float32, or the one in which a function with captured tensors works."""
    if not any(has_derivative(tensor) for tensor in captured):
        return DTYPES
    works = tuple(dtype for dtype in DTYPES if _works(case.function, case.sample.to(dtype)))
    return works or DTYPES


def _works(function: Function, sample: Sample) -> bool:
    try:
        evaluate(function, sample)
    except Exception:
        return False
    return True
