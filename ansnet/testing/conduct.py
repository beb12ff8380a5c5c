"""Capabilities: what the function does besides its result: to its inputs, to memory, to time."""

from __future__ import annotations

import copy
import gc
import pickle
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils import _pytree as pytree
from torch.utils.checkpoint import checkpoint as run_checkpointed

from ansnet.testing.case import (
    BeyondReference,
    Case,
    FailsAlone,
    Function,
    NotApplicable,
    Sample,
    assert_same_evaluation,
    attached,
    call,
    differentiate,
    evaluate,
    random_like,
)
from ansnet.testing.comparison import CONDITIONS, assert_same, require, under
from ansnet.testing.derivatives import requiring
from ansnet.testing.recording import Allocations, Recorder, memory_of
from ansnet.testing.sample import is_dense, parts
from ansnet.testing.stateless import Stateless, modes_of

ROUNDS, CALLS, FEW = 3, 300, 30


def inputs_unchanged(case: Case) -> str | None:
    """Neither forward nor backward changes an input, or its gradient, that the reference does not.

    Nor whether a module trains. Without a reference a module may change its buffers.
    """
    if case.lost:
        names = ", ".join(case.sample.names[index] for index in case.lost)
        raise FailsAlone(f"the forward changes {names} in place, which the reference does not")
    sample, before = (case.sample.map(torch.clone) for _ in range(2))
    buffers = buffers_of(case.function, sample)
    allowed = [any(tensor is buffer for buffer in buffers) for tensor in sample.tensors]
    if case.reference is not None:
        changed = case.sample.map(torch.clone)
        call(case.reference, changed)
        pairs = zip(changed.tensors, before.tensors, strict=True)
        allowed = [not same_bits(after, original) for after, original in pairs]
    versions = [tensor._version for tensor in sample.tensors]
    outputs = attached(call(case.function, sample))
    _assert_unchanged("forward", sample, before, versions, allowed)
    if outputs:
        values = [output.detach().clone() for output in outputs]
        versions = [tensor._version for tensor in sample.tensors]
        upstream = random_like(outputs)
        torch.autograd.backward(outputs, upstream)
        _assert_unchanged("backward", sample, before, versions, allowed)
        assert_same("the output's gradient after the backward", upstream, random_like(outputs))
        assert_same("the output after the backward", [o.detach() for o in outputs], values)
    if isinstance(case.function, Stateless):
        for name, now in modes_of(case.function.module).items():
            was = case.function.modes[name]
            require(was == now, f"{name} was {was}, and is {now} afterwards")
    if not case.written:
        return None
    return f"but for what it changes in place, and says so: {', '.join(written_names(case))}"


def buffers_of(function: Function, sample: Sample) -> list[Tensor]:
    """The tensors of a sample that are a module's buffers."""
    if not isinstance(function, Stateless):
        return []
    parameters, state = dict(function.module.named_parameters()), sample.args[-1]
    return [tensor for name, tensor in state.items() if name not in parameters]


def written_names(case: Case) -> list[str]:
    """The inputs that the function changes in place."""
    return [case.sample.names[index] for index in case.written]


def _assert_unchanged(
    when: str, sample: Sample, before: Sample, versions: Sequence[int], allowed: Sequence[bool]
) -> None:
    tensors = zip(sample.tensors, before.tensors, versions, allowed, strict=True)
    for index, (tensor, original, version, may_change) in enumerate(tensors):
        same = tensor._version == version and same_bits(tensor, original)
        require(same or may_change, f"the {when} changed tensor {index} of the arguments")


def needless_work(case: Case) -> None:
    """For each input that alone requires grad, all that the backward computes enters its gradient."""
    case.inputs()
    for index, name in enumerate(case.sample.names):
        sample = requiring(case.sample, (index,))
        outputs = attached(call(case.function, sample))
        upstream = random_like(outputs)
        with Recorder() as recorder:
            gradients = torch.autograd.grad(outputs, sample.differentiable, upstream, allow_unused=True)
        needless = recorder.without_use_for([g for g in gradients if g is not None])
        require(
            not needless,
            f"where only {name} requires grad, the backward needlessly computes {', '.join(needless)}",
        )


def saved_tensors_freed(case: Case) -> None:
    """After a backward nothing lives on but the output, and without it nothing: no reference cycle.

    The function has been called before: what it keeps for later calls is there, and does not count.
    """
    with Allocations():  # PyTorch loads some of itself then, in whose frames the output stays
        evaluate(case.function, case.sample.map(torch.clone))
    sample = case.sample.map(torch.clone)
    with collector_off():
        with Allocations() as allocations:
            outputs = call(case.function, sample)
        if sample.differentiable:
            differentiate(outputs, sample.differentiable)
        kept = allocations.alive([*outputs, *sample.tensors])
        require(kept == 0, f"{kept} tensors of the forward live on after the backward")
        outputs.clear()
        left = allocations.alive(sample.tensors)
        if not left:
            return
        gc.collect()
        in_a_cycle = allocations.alive(sample.tensors) < left
        why = "a reference cycle" if in_a_cycle else "something else holds them"
        raise AssertionError(f"{left} tensors live on after the output is gone: {why}")


def saved_tensors_guarded(case: Case) -> str | None:
    """What changes in place before the backward is no matter to it, or raises PyTorch's error."""
    case.inputs()
    names = [f"tensor {index} of the arguments" for index in range(len(case.sample.tensors))]
    expected = evaluate(case.function, case.sample.map(torch.clone)).gradients
    left_out = []
    for index, name in [*enumerate(names), (-1, "the output")]:
        sample = case.sample.map(torch.clone)
        outputs = call(case.function, sample)
        changed = outputs if index < 0 else [sample.tensors[index]]
        with torch.no_grad():
            for tensor in changed:
                _change(tensor.detach())
        try:
            with calls_of_modules() as calls:
                gradients = differentiate(outputs, sample.differentiable)
        except RuntimeError as error:
            if not re.search("modified (by an )?inplace", str(error)):
                raise
            continue
        if calls and index >= 0:
            left_out.append(name)
            continue
        assert_same(f"after a change of {name}, gradient", gradients, expected)
    if not left_out:
        return None
    why = "the backward computes the forward again, as a checkpoint does, from what is there then"
    return f"but for {', '.join(left_out)}: {why}"


@contextmanager
def calls_of_modules() -> Iterator[list[str]]:
    """The modules that are called within, by their class."""
    called: list[str] = []

    def note(module: nn.Module, _: Any) -> None:
        called.append(type(module).__name__)

    handle = nn.modules.module.register_module_forward_pre_hook(note)
    try:
        yield called
    finally:
        handle.remove()


def _change(tensor: Tensor) -> None:
    """Other numbers in the same memory, and a note of it (`Tensor._version`), unless it overlaps."""
    if not is_dense(tensor):
        return
    if any(size > 1 and not stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True)):
        return
    if tensor.is_floating_point() or tensor.is_complex():
        tensor.mul_(-2).add_(1)
    else:
        tensor.zero_()


def backward_twice(case: Case) -> None:
    """A second and a third backward through a retained graph give the gradients of the first."""
    inputs = case.inputs()
    outputs = attached(call(case.function, case.sample))
    first, second, third = (
        torch.autograd.grad(
            outputs,
            inputs,
            random_like(outputs),
            retain_graph=True,
            allow_unused=True,
            materialize_grads=True,
        )
        for _ in range(3)
    )
    once = evaluate(case.function, case.sample.map(torch.clone)).gradients
    assert_same("gradient of the first backward", first, once)
    assert_same("gradient of the second backward", second, once)
    assert_same("gradient of the third backward", third, once)


def no_memory_growth(case: Case) -> None:
    """Forward and backward, some hundred times and again, leave no object behind.

    A tenth of an object a call is too many. Where none is left of the first ninety, it stays at these.
    Numbers and texts are no objects to the collector; so blocks of memory are counted too, of which
    others take and return some: one a call, in each round, is too many.
    """

    def counts_after(calls: int) -> tuple[int, int]:
        for _ in range(calls):
            evaluate(case.function, case.sample)
        gc.collect()
        return len(gc.get_objects()), sys.getallocatedblocks()

    with only_new_objects():
        counts_after(10)
        few = list(zip(*(counts_after(FEW) for _ in range(1 + ROUNDS)), strict=True))
        if few[0][-1] <= few[0][0] and few[1][-1] - few[1][0] < ROUNDS * FEW / 2:
            return
        many = [counts_after(CALLS) for _ in range(1 + ROUNDS)]
    objects, blocks = (
        [after - before for before, after in pairwise(counts)] for counts in zip(*many, strict=True)
    )
    # the median: what others come to hold meanwhile is not the function's
    require(median(objects) < CALLS // 10, f"{median(objects)} objects more after {CALLS} calls")
    require(min(blocks) < 0.9 * CALLS, f"{min(blocks)} blocks of memory more after {CALLS} calls")


@contextmanager
def only_new_objects() -> Iterator[None]:
    """The collector leaves alone, and does not count, what there is already.

    So what others let go of meanwhile hides nothing, and to collect takes next to no time.
    """
    frozen = gc.get_freeze_count() > 0
    gc.freeze()
    try:
        yield
    finally:
        if not frozen:
            gc.unfreeze()


@contextmanager
def collector_off() -> Iterator[None]:
    """Python's cyclic garbage collector rests, so that a cycle stays where it is."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def deterministic(case: Case) -> None:
    """The same arguments give the same bits, in outputs and gradients, and no random ones."""
    what = "two calls with the same arguments differ"
    with under(replace(CONDITIONS.get(), seed=None)):
        differs = not _is_repeated(case.function, case.sample)
        excused = differs and case.excuse and not _is_repeated(case.excuse, case.sample)
    if differs and _is_repeated(case.function, case.sample):
        what += ", with the same seed they do not: it draws random numbers"
        if excused:
            raise BeyondReference(f"{what}, and so does the reference")
    require(not differs, what)


def _is_repeated(function: Function, sample: Sample) -> bool:
    first, second = (evaluate(function, sample.map(torch.clone)) for _ in range(2))
    pairs = zip(pytree.tree_leaves(first), pytree.tree_leaves(second), strict=True)
    return all(same_bits(one, other) for one, other in pairs)


def same_bits(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors hold the same numbers, NaN and the sign of 0 included."""
    return one.shape == other.shape and all(
        torch.equal(left, right) for left, right in zip(_bits(one), _bits(other), strict=True)
    )


def _bits(tensor: Tensor) -> list[Tensor]:
    return [
        part.resolve_conj().resolve_neg().reshape(-1).contiguous().view(torch.uint8)
        for part in parts(tensor.detach())
    ]


def checkpoint(case: Case) -> None:
    """`torch.utils.checkpoint`, both kinds, gives the same outputs and gradients."""
    case.inputs()
    expected = evaluate(case.function, case.sample)
    leads_back = [z.requires_grad for z in call(case.function, case.sample.map(torch.clone))]
    for reentrant in (False, True):
        sample = case.sample.map(torch.clone)

        def function(*tensors: Tensor, sample: Sample = sample) -> tuple[Tensor, ...]:
            return tuple(call(case.function, sample.replace_differentiable(tensors)))

        outputs = run_checkpointed(function, *sample.differentiable, use_reentrant=reentrant)
        # reentrant, it makes all outputs require grad, the constant ones too
        used = [output for output, leads in zip(outputs, leads_back, strict=True) if leads]
        torch.autograd.backward(used, random_like(used))
        gradients = [torch.zeros_like(t) if t.grad is None else t.grad for t in sample.differentiable]
        assert_same("output", outputs, expected.outputs)
        assert_same("gradient", gradients, expected.gradients)


def saved_tensor_hooks(case: Case) -> None:
    """All that waits for the backward passes the hooks for saved tensors, and may be moved by them."""
    sample = case.sample.map(torch.clone)
    copies: list[Tensor] = []

    def pack(tensor: Tensor) -> int:
        copies.append(tensor.detach().clone())
        return len(copies) - 1

    with Allocations() as allocations, saved_tensors_hooks(pack, copies.__getitem__):
        outputs = call(case.function, sample)
    hidden = allocations.alive([*outputs, *sample.tensors, *copies])
    require(hidden == 0, f"{hidden} tensors wait for the backward without having passed the hooks")
    if sample.differentiable:
        expected = evaluate(case.function, case.sample)
        gradients = differentiate(outputs, sample.differentiable)
        assert_same("gradient", gradients, expected.gradients)


def without_gradients(case: Case) -> None:
    """Under `torch.no_grad` and `torch.inference_mode` the output is the same, and no graph is kept."""
    expected = [output.detach() for output in call(case.function, case.sample.map(torch.clone))]
    for mode in (torch.no_grad, torch.inference_mode):
        sample = case.sample.map(torch.clone)
        with mode():
            outputs = call(case.function, sample)
        require(
            all(_is_view_of_any(output, sample.tensors) for output in attached(outputs)),
            f"an output requires grad in {mode.__name__}",
        )
        assert_same("output", [output.clone() for output in outputs], expected)


def _is_view_of_any(tensor: Tensor, tensors: Sequence[Tensor]) -> bool:
    """Whether it says that it requires grad since that is so of an input, which it is, or views."""
    return any(tensor is other or tensor._base is other for other in tensors)


def pickle_and_copy(case: Case) -> str | None:
    """A layer that applies the function can be pickled and copied, and the copy computes the same."""
    if case.layer is None:
        raise NotApplicable("a function, not a module")
    module, sample = case.layer
    originals = {memory_of(tensor) for tensor in module.state_dict().values()}
    expected = evaluate(copy.deepcopy(module), sample)
    twins, left_out = [copy.deepcopy(module)], None
    try:
        twins.append(pickle.loads(pickle.dumps(module)))
    except RuntimeError as error:
        if "parametrized modules is only supported through state_dict" not in str(error):
            raise
        left_out = "but for pickle: PyTorch saves a parametrized module by its state_dict() only"
    for twin in twins:
        shared = originals & {memory_of(tensor) for tensor in twin.state_dict().values()}
        require(not shared, "the copy shares memory with the original")
        assert_same_evaluation(evaluate(twin, sample), expected, sample)
    return left_out
