"""Capabilities: tensors that do not lie in memory as a fresh one does, or that hold nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor

from ansnet.testing.case import (
    Case,
    Function,
    Layout,
    NotApplicable,
    NothingToDifferentiate,
    Sample,
    Vacuous,
    assert_same_evaluation,
    attached,
    call,
    differentiate,
    evaluate,
    random_like,
)
from ansnet.testing.comparison import assert_same, require
from ansnet.testing.report import summary
from ansnet.testing.sample import is_dense


def channels_last(case: Case) -> None:
    """Images and gradients in channels-last memory give equal ones, in it where the reference's are."""
    if not any(tensor.dim() == 4 for tensor in case.sample.differentiable):
        raise NotApplicable("no input has four axes")

    def convert(tensor: Tensor) -> Tensor:
        return tensor.contiguous(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor

    sample = case.sample.map(convert)
    actual = evaluate(case.function, sample, convert)
    assert_same_evaluation(actual, evaluate(case.function, case.sample), sample)
    expected = evaluate(case.reference or case.function, sample, convert)
    named = [
        *(("output", *pair) for pair in zip(actual.outputs, expected.outputs, strict=True)),
        ("gradient of the first input", actual.gradients[0], expected.gradients[0]),
    ]
    for what, one, other in named:
        if other.dim() == 4 and is_channels_last(other):
            require(is_channels_last(one), f"{what} is not in channels-last memory")


def is_channels_last(images: Tensor) -> bool:
    """Whether the memory format is channels-last."""
    return images.is_contiguous(memory_format=torch.channels_last)


def strided_views(case: Case) -> None:
    """Inputs and output gradients that are transposed or sliced give what contiguous ones do."""
    _assert_layout_is_nothing(case, transposed)
    _assert_layout_is_nothing(case, sliced)


def expanded_views(case: Case) -> None:
    """Likewise where one element stands for many, with a stride of 0, as in the gradient of a sum."""
    _assert_layout_is_nothing(case, expanded)


def negative_views(case: Case) -> None:
    """Likewise where a sign or a conjugation is pending (PyTorch has no negative strides)."""
    _assert_layout_is_nothing(case, negated)


def gradients_of_stride_0(case: Case) -> None:
    """Output gradients of one number expanded, as a sum's, alone, give what contiguous ones do."""
    _assert_gradient_layout_is_nothing(case, all_expanded)
    _assert_gradient_layout_is_nothing(case, last_expanded)


def strided_gradients(case: Case) -> None:
    """Output gradients that are transposed, permuted or sliced, alone, give what contiguous ones do."""
    for layout in (transposed, permuted, sliced, offset):
        _assert_gradient_layout_is_nothing(case, layout)


def _assert_gradient_layout_is_nothing(case: Case, layout: Layout) -> None:
    case.inputs()
    sample = case.sample.map(_copied)
    actual = evaluate(case.function, sample, layout)
    expected = evaluate(case.function, sample, lambda tensor: _copied(layout(tensor)))
    assert_same_evaluation(actual, expected, sample)


def _copied(tensor: Tensor) -> Tensor:
    if not is_dense(tensor):
        return tensor.clone()
    return tensor.resolve_conj().resolve_neg().clone(memory_format=torch.contiguous_format)


def _assert_layout_is_nothing(case: Case, layout: Layout) -> None:
    layout = partial(_of_dense, layout)

    def copied(tensor: Tensor) -> Tensor:
        return _copied(layout(tensor))

    try:
        expected = evaluate(case.function, case.sample.map(copied), copied)
    except Exception as error:  # of the numbers, then: a matrix that is no longer invertible
        raise NotApplicable(f"contiguous tensors of these numbers fail too: {summary(error)}") from None
    actual = evaluate(case.function, case.sample.map(layout), layout)
    assert_same_evaluation(actual, expected, case.sample)


def _of_dense(layout: Layout, tensor: Tensor) -> Tensor:
    return layout(tensor) if is_dense(tensor) else tensor


def transposed(tensor: Tensor) -> Tensor:
    """The same values with the axes in memory in the opposite order."""
    axes = tuple(reversed(range(tensor.dim())))
    return tensor.permute(axes).contiguous().permute(axes)


def sliced(tensor: Tensor) -> Tensor:
    """The same values in every second place of twice the memory."""
    return torch.stack([tensor, torch.zeros_like(tensor)], -1)[..., 0]


def expanded(tensor: Tensor) -> Tensor:
    """The first entry of the first axis in the place of all."""
    return tensor[:1].expand_as(tensor) if tensor.dim() and len(tensor) else tensor


def all_expanded(tensor: Tensor) -> Tensor:
    """The first element in the place of all."""
    return tensor.reshape(-1)[0].expand_as(tensor) if tensor.numel() else tensor


def last_expanded(tensor: Tensor) -> Tensor:
    """The first entry of the last axis in the place of all."""
    return tensor[..., :1].expand_as(tensor) if tensor.dim() else tensor


def permuted(tensor: Tensor) -> Tensor:
    """The same values with the first axis innermost in memory: dense, but in no usual order."""
    return tensor.movedim(0, -1).contiguous().movedim(-1, 0) if tensor.dim() else tensor


def offset(tensor: Tensor) -> Tensor:
    """The same values behind, and before, others along the first axis."""
    if tensor.dim() == 0:
        return torch.stack([tensor + 1, tensor, tensor + 2])[1]
    return torch.cat([tensor + 1, tensor, tensor + 2])[len(tensor) : 2 * len(tensor)]


def negated(tensor: Tensor) -> Tensor:
    """The same values, stored with the opposite sign and a note to change it."""
    if tensor.is_complex():
        return tensor.conj().resolve_conj().conj()
    if tensor.dtype not in (torch.float32, torch.float64):
        return tensor
    return torch.complex(torch.zeros_like(tensor), -tensor).conj().imag


# What an error says that is meant: a maximum of nothing, a normalisation over nothing.
REFUSAL = re.compile(
    r"numel\(\) == 0|non-?zero (size|number)|(greater|larger) than 0|empty (batch|tensor|input)\b"
    r"|must be non-?empty",
    re.IGNORECASE,
)


def zero_size_batch(case: Case) -> None:
    """An empty first axis gives what the reference gives, or raises what it raises.

    The first tensor is emptied, and with it every constant of the same length, such as targets.
    """
    sample = emptied(case.sample)
    if case.reference is None:
        with _of_a_batch(case.sample):
            evaluate(case.function, sample)
        return
    try:
        expected = evaluate(case.reference, sample)
    except NothingToDifferentiate:  # the outputs of nothing may be constants; they are compared alone
        outputs, known = (call(f, sample.map(torch.clone)) for f in (case.function, case.reference))
        assert_same("output", [z.detach() for z in outputs], [z.detach() for z in known])
    except Vacuous as error:
        raise NotApplicable(f"the reference: {error}") from None
    except Exception as error:
        if case.excuse is not case.reference:
            raise
        _assert_raises(error, case.function, sample)
    else:
        assert_same_evaluation(evaluate(case.function, sample), expected, sample)


def _assert_raises(expected: Exception, function: Function, sample: Sample) -> None:
    try:
        evaluate(function, sample)
    except type(expected):
        return
    raise AssertionError(f"nothing raised, the reference raises {summary(expected)}")


@contextmanager
def _of_a_batch(sample: Sample) -> Iterator[None]:
    """Where another axis has the length of the first, this may be no batch, but summed over.

    Raises:
        NotApplicable: an error was raised, and that is so; or the error says that it is meant.
    """
    size, others = len(sample.tensors[0]), sample.tensors[1:]
    square = size in sample.tensors[0].shape[1:]
    kept = [x for x in others if size in x.shape[1:] or (size in x.shape[:1] and x.requires_grad)]
    try:
        yield
    except Exception as error:
        if REFUSAL.search(str(error)):
            raise NotApplicable(f"an empty batch is refused: {summary(error)}") from None
        if not kept and not square:
            raise
        why = "another axis has its length" if square else "an axis of another tensor has its length"
        raise NotApplicable(f"the first axis may be no batch: {why}, and {summary(error)}") from None


def second_derivative_of_empty_batches(case: Case) -> None:
    """With an empty first axis a second derivative too has the reference's shape and numbers: zeros.

    A sum over nothing is 0 also where the reference, dividing by a number of 0, makes it NaN.
    """
    case.inputs()
    sample = emptied(case.sample)
    if case.reference is None:
        with _of_a_batch(case.sample):
            _second_derivatives(case.function, sample)
        return
    actual = _second_derivatives(case.function, sample)
    expected = [tensor.nan_to_num(0) for tensor in _second_derivatives(case.reference, sample)]
    assert_same("second derivative", [tensor.nan_to_num(0) for tensor in actual], expected)


def _second_derivatives(function: Function, sample: Sample) -> list[Tensor]:
    """What the sum of the inputs' gradients gives the inputs and the gradients of the outputs."""
    sample = sample.map(torch.clone)
    outputs = attached(call(function, sample))
    upstream = [tensor.requires_grad_() for tensor in random_like(outputs)]
    first = torch.autograd.grad(
        outputs,
        sample.differentiable,
        upstream,
        create_graph=True,
        allow_unused=True,
        materialize_grads=True,
    )
    return differentiate(first, [*sample.differentiable, *upstream])


def emptied(sample: Sample) -> Sample:
    """The sample with nothing in the first tensor, nor in the constants of the same length.

    Raises:
        NotApplicable: the first tensor has no axes.
    """
    tensors = sample.tensors
    if tensors and not is_dense(tensors[0]):
        raise NotApplicable("the first tensor is sparse")
    if not tensors or tensors[0].dim() == 0:
        raise NotApplicable("the first tensor has no axes")
    size = len(tensors[0])

    def shrinks(tensor: Tensor) -> bool:
        follows = not tensor.requires_grad and is_dense(tensor) and tensor.shape[:1] == (size,)
        return tensor is tensors[0] or follows

    return sample.replace(
        (tensor.detach()[:0] if shrinks(tensor) else tensor.detach()).requires_grad_(
            tensor.requires_grad
        )
        for tensor in tensors
    )
