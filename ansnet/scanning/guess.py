"""Samples made of a forward's parameters: by their names, annotations and defaults, and by trying.

Which shapes go together nobody says. So a few kinds of operation are thought of, elementwise, by
channel, matrix products, convolutions, and the first is taken that forward and backward both accept.
"""

from __future__ import annotations

import inspect
import re
import time
import warnings
from ast import literal_eval
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ansnet.testing.case import describe
from ansnet.testing.signatures import parameters
from ansnet.testing.specification import parse_sample

# shapes of the first tensors; the last one holds for those after them, too
SHAPES = (
    ("3, 4",),
    ("2, 3, 4, 4",),
    ("2, 3, 4",),
    ("4",),
    ("3, 4", "4"),
    ("3, 4", ""),
    ("3, 4", "1"),
    ("2, 3, 4, 4", "3"),
    ("3, 4", "4, 5", "5"),
    ("3, 4", "5, 4", "5"),
    ("2, 3, 5, 5", "4, 3, 3, 3", "4"),
    ("2, 3, 5", "4, 3, 3", "4"),
    ("3, 4", "3"),
    ("3, 4", "3, 1"),
    ("4, 4",),
    ("2, 4, 4",),
    ("2, 4, 4", "4, 4"),
    ("2, 3, 4, 4, 4",),
)
WHOLE = re.compile(r"(.*_)?(target|label|labels|index|indices|idx|ids|class|classes)s?$", re.IGNORECASE)
STATE = re.compile(r"running_\w+|(moving_)?(mean|var|variance)", re.IGNORECASE)
TRUTH = re.compile(r"(.*_)?masks?$", re.IGNORECASE)

# of parameters without a default, what their name or annotation suggests; tried in this order
VALUES = (
    (r"dim|axis|axes|dims", ("-1", "1")),
    (r"(.*_)?(stride|dilation|kernel_size|window(_size)?|pool_size)", ("1", "(1, 1)", "2", "(2, 2)")),
    (r"(.*_)?padding", ("0", "(0, 0)", "1", "(1, 1)")),
    (r"(.*_)?(groups|factor|block_size)", ("1", "2")),
    (r"(.*_)?(bits?|num_bits|n_bits|n|k|n_iter|steps?|levels|num_\w+|n_\w+)", ("2", "4", "8")),
    (
        r"(is_|use_|do_|has_)\w+|inplace|training|train|signed|symmetric|hard|bias_corr\w*",
        ("False", "True"),
    ),
    (r"reduction", ('"mean"', '"sum"')),
    (r"mode", ('"bilinear"', '"mean"')),
    (r"eps|epsilon|tol", ("1e-3",)),
    (r"shape|size|output_size", ("(3, 4)", "(12,)")),
    (
        r"(.*_)?(alpha|beta|gamma|lamb?da?_?|lmbda|slope|scale|temp|temperature|tau|thresh(old)?|width|sigma"
        r"|coeff?|weight_decay|p|prob|rate|clip|bound|min(_val)?|max(_val)?|momentum|constant|mu|strength"
        r"|negative_slope)",
        ("0.5", "1.0"),
    ),
)
OF_ANNOTATION = (
    (r"tuple|sequence|list", ("(1, 1)", "(2, 2)", "(1,)")),
    (r"bool", ("False", "True")),
    (r"int", ("1", "2", "-1")),
    (r"float", ("0.5", "1.0")),
    (r"str", ('"mean"', '"sum"')),
)
UNKNOWN = ("1.0", "2", "None", "True")
TENSOR, LABELS, MASK, CONSTANT = "tensor", "labels", "mask", "constant"
POSITIVE = " in 0.1..0.9"
MOST = 400  # attempts
LONGEST = 10.0  # seconds


class NoGuessError(ValueError):
    """No sample was found; the message says what came of the most likely one."""


@dataclass(frozen=True)
class Tried:
    """A specification that the forward accepts.

    Attributes:
        line: as `parse_sample` takes it.
        backward: whether the backward does, too.
        axes: of its first tensor.
    """

    line: str
    backward: bool
    axes: int


def guess(function: Callable[..., Any], most: int = 2) -> list[str]:
    """Specifications of samples that a function accepts, of tensors with different numbers of axes.

    Args:
        function: the ``apply`` of a Function.
        most: how many.

    Raises:
        NoGuessError: none was found.
    """
    needed = [
        each
        for each in parameters(function) or []
        if each.default is each.empty and each.kind is not each.VAR_KEYWORD
    ]
    if not needed:
        raise NoGuessError("its forward has no parameter without a default")
    reason, second_best = "", list[str]()
    until, left = time.monotonic() + LONGEST, MOST
    for kinds in assignments(needed):
        found: list[Tried] = []
        for line in lines(kinds):
            left -= 1
            if left < 0 or time.monotonic() > until:
                break
            try:
                found.append(attempt(function, line))
            except Exception as error:
                reason = reason or f"on {line}: {_line(error)}"
            if len(chosen := choose(found, most)) == most:
                return chosen
        if chosen := choose(found, most):
            return chosen
        second_best = second_best or [each.line for each in found[:1]]
    if not second_best:
        raise NoGuessError(reason)
    return second_best


def choose(found: Sequence[Tried], most: int) -> list[str]:
    """The first ones whose backward ran, no two of the same number of axes."""
    by_axes: dict[int, str] = {}
    for each in found:
        if each.backward:
            by_axes.setdefault(each.axes, each.line)
    return list(by_axes.values())[:most]


def assignments(needed: Sequence[inspect.Parameter]) -> list[tuple[str, ...]]:
    """What each parameter may be, the most likely first: TENSOR or a value."""
    options = [likely(each, index == 0) for index, each in enumerate(needed)]
    numbers = islice(product(*(range(len(each)) for each in options)), 5000)
    return [
        tuple(option[number] for option, number in zip(options, chosen, strict=True))
        for chosen in sorted(numbers, key=lambda chosen: unlikely(chosen, options))
    ]


def unlikely(chosen: Sequence[int], options: Sequence[tuple[str, ...]]) -> int:
    """How far from the most likely a choice is; like parameters, as stride and dilation, are alike."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for number, option in zip(chosen, options, strict=True):
        groups.setdefault(option if TENSOR not in option[:1] else (str(len(groups)),), []).append(
            number
        )
    return sum(max(each) + 2 * (len(set(each)) - 1) for each in groups.values())


def likely(parameter: inspect.Parameter, is_first: bool) -> tuple[str, ...]:
    """What a parameter may be, by its annotation and its name."""
    annotation = parameter.annotation
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    by_name = next(
        (values for name, values in VALUES if re.fullmatch(name, parameter.name, re.IGNORECASE)), ()
    )
    by_annotation = next(
        (values for name, values in OF_ANNOTATION if re.search(name, text.lower())), ()
    )
    if "Tensor" in text or parameter.kind is parameter.VAR_POSITIONAL:
        return (_kind(parameter.name), TENSOR)
    if by_annotation:
        fitting = [
            each for each in by_name if type(literal_eval(each)) is type(literal_eval(by_annotation[0]))
        ]
        return tuple(dict.fromkeys([*fitting, *by_annotation]))
    if by_name:
        return (*by_name, TENSOR)
    kinds = dict.fromkeys([_kind(parameter.name), TENSOR])
    return tuple(kinds) if is_first else (*kinds, *UNKNOWN)


def _kind(name: str) -> str:
    if WHOLE.fullmatch(name):
        return LABELS
    if STATE.fullmatch(name):
        return CONSTANT
    return MASK if TRUTH.fullmatch(name) else TENSOR


def lines(kinds: Sequence[str]) -> Iterator[str]:
    """Specifications with different shapes of the tensors."""
    count = sum(kind in (TENSOR, LABELS, MASK, CONSTANT) for kind in kinds)
    seen = set[str]()
    for shapes, further in [
        *((each, "") for each in SHAPES),
        *((each, POSITIVE) for each in SHAPES[:2]),
    ]:
        if len(shapes) > max(1, count):
            continue
        of_tensors = iter([*shapes, *[shapes[-1]] * count])
        words = []
        for kind in kinds:
            if kind == TENSOR:
                words.append(f"f64[{next(of_tensors)}]{further}")
            elif kind == CONSTANT:
                words.append(f"const f64[{next(of_tensors)}]{POSITIVE}")
            elif kind == LABELS:
                words.append(f"i64[{next(of_tensors).partition(',')[0]}] < 2")
            elif kind == MASK:
                words.append(f"bool[{next(of_tensors)}]")
            else:
                words.append(kind)
        line = ", ".join(words)
        if line not in seen:
            seen.add(line)
            yield line


def attempt(function: Callable[..., Any], line: str) -> Tried:
    """Call a function, and its backward.

    Raises:
        Exception: what the forward raises; or ``ValueError``, if its output cannot be differentiated.
    """
    sample = parse_sample(line)
    inputs = [tensor for tensor in sample.tensors if tensor.requires_grad]
    # copies of the leaves, in case the function works in place
    copied = sample.replace(tensor.clone() for tensor in sample.tensors)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = function(*copied.args)
        outputs = [leaf for leaf in pytree.tree_leaves(result) if isinstance(leaf, Tensor)]
        attached = [output for output in outputs if output.requires_grad]
        if not outputs:
            raise ValueError(f"it returned {describe(result)[:80]}, and no tensor")
        if not attached:
            raise ValueError("no output requires grad")
        if not all(output.isfinite().all() for output in attached):
            raise ValueError("an output is not finite")
        try:
            gradients = torch.autograd.grad(
                attached, inputs, [torch.ones_like(output) for output in attached], allow_unused=True
            )
        except Exception:
            return Tried(line, False, sample.tensors[0].ndim)
    backward = any(gradient is not None for gradient in gradients)
    if backward:
        line = with_constants(line, [gradient is None for gradient in gradients])
    return Tried(line, backward, sample.tensors[0].ndim)


def with_constants(line: str, without: Sequence[bool]) -> str:
    """The line with those tensors constant to which the backward gives no gradient."""
    of_tensors = iter(without)
    return re.sub(
        r"(?<!const )f64\[", lambda match: f"const {match[0]}" if next(of_tensors) else match[0], line
    )


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())
    text = text if len(text) <= 160 else f"{text[:160]} …"
    return text if isinstance(error, ValueError) else f"{type(error).__name__}: {text}"
