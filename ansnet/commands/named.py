"""The function that a command line names, made ready to be called, and its samples."""

from __future__ import annotations

import copy
import re
from argparse import Namespace
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.autograd import Function

from ansnet.commands.loading import find, load, load_module
from ansnet.commands.mistake import Mistake, shortened
from ansnet.testing.arguments import as_sample
from ansnet.testing.case import Sample
from ansnet.testing.signatures import bind, described, owner, parameters, positional
from ansnet.testing.specification import Parser, SpecificationError, parse_sample


class Named(NamedTuple):
    """What a place names.

    Attributes:
        function: can be called.
        note: what was made of that which has the name; empty if it is the function itself.
    """

    function: Callable[..., Any] | nn.Module
    note: str = ""


def named(place: str, arguments: str | None = None) -> Named:
    """A function: the ``apply`` of a Function; a module, made of its class if that is named.

    Args:
        place: ``package.module:name`` or ``path/to/file.py:name``.
        arguments: to make a module with.

    Raises:
        Mistake: it is none of these, or cannot be loaded or made.
    """
    found = load(place)
    name = place.rpartition(":")[2]
    is_module_class = isinstance(found, type) and issubclass(found, nn.Module)
    if arguments is not None and not is_module_class:
        raise Mistake(f"--arguments are for the class of a module, and {name} is none")
    if isinstance(found, type) and issubclass(found, Function):
        return Named(found.apply, f"{name} is a torch.autograd.Function: its apply is checked")
    if is_module_class:
        return made(found, name, arguments)
    if isinstance(found, type):
        raise Mistake(
            f"{name} is a class, expected a function, a torch.autograd.Function or a module; write a "
            "function that makes one and calls it, and name that"
        )
    if not callable(found):
        raise Mistake(
            f"{name} is {shortened(repr(found), 60)}, which cannot be called; name a function"
        )
    return Named(found)


def made(module_class: type[nn.Module], name: str, arguments: str | None) -> Named:
    """A module of its class."""
    try:
        args, kwargs = Parser(arguments or "").arguments()
    except SpecificationError as error:
        raise Mistake(f"--arguments: {error}") from None
    try:
        module = module_class(*args, **kwargs)
    except Exception as error:
        hint = "" if arguments else '; give what it is made with, as --arguments "3, 4, bias=False"'
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise Mistake(f"{name}({arguments or ''}) cannot be made ({reason}){hint}") from error
    return Named(module, f"{name} is the class of a module: {name}({arguments or ''}) is checked")


def doubled(function: Any, samples: Sequence[Sample]) -> Any:
    """A module in float64, if it is one in float32 and the samples are in float64."""
    if not isinstance(function, nn.Module):
        return function
    own = {tensor.dtype for tensor in function.state_dict().values() if tensor.is_floating_point()}
    given = {tensor.dtype for sample in samples for tensor in sample.tensors}
    if torch.float32 in own and torch.float64 in given and torch.float32 not in given:
        return copy.deepcopy(function).double()
    return function


def samples_of(parsed: Namespace, function: Callable[..., Any] | nn.Module) -> list[Sample]:
    """What ``--sample`` and ``--samples`` say, or else ``<function>_samples`` beside the function.

    Raises:
        Mistake: there are none, or they do not fit the function's parameters.
    """
    found: list[Any] = [written(line, parsed.seed + n) for n, line in enumerate(parsed.sample)]
    if parsed.samples:
        found += gathered(parsed.samples, parsed.function)
    elif not found:
        found = beside(parsed, function)
    samples = []
    for index, each in enumerate(found):
        try:
            sample = as_sample(each, parsed.seed + index)
            bind(function, sample)
        except (TypeError, SpecificationError) as error:
            signature = described(function, short_name(parsed.function))
            raise Mistake(f"sample {index} does not fit {signature}: {error}") from None
        samples.append(positional(function, sample) if owner(function) else sample)
    return samples


def written(line: str, seed: int) -> Sample:
    try:
        return parse_sample(line, seed)
    except SpecificationError as error:
        raise Mistake(f"--sample {error}") from None


def beside(parsed: Namespace, function: Callable[..., Any] | nn.Module) -> list[Any]:
    """The samples that are beside the function.

    Raises:
        Mistake: there are none; the message says how one is written for this function.
    """
    module_place, _, name = parsed.function.rpartition(":")
    module = load_module(module_place)
    for candidate in names_of_samples(name):
        if hasattr(module, candidate):
            return listed(getattr(module, candidate), f"{module_place}:{candidate}")
    short = short_name(parsed.function)
    raise Mistake(
        f"there are no samples to try {described(function, short)} on: give the arguments by --sample "
        f'"{example(function)}", with the shapes that it takes, or name a list by --samples, or put '
        f"{names_of_samples(name)[0]} beside it"
    )


def names_of_samples(function: str) -> list[str]:
    """What the samples of a function may be named: ``swish_samples`` also for ``Swish``."""
    name = short_name(function)
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return list(dict.fromkeys(f"{each}_samples" for each in (name, snake, name.lower())))


def short_name(place: str) -> str:
    """The last part of a name, but ``apply``."""
    return place.rpartition(":")[2].removesuffix(".apply").rpartition(".")[2]


def example(function: Callable[..., Any] | nn.Module) -> str:
    """How a sample of a function may look: a tensor for each parameter without a default."""
    needed = [
        each
        for each in parameters(function) or []
        if each.default is each.empty
        and each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
    ]
    return ", ".join(["f64[3, 4]"] * max(1, len(needed)))


def gathered(place: str, function: str) -> list[Any]:
    """The samples that a place names.

    Raises:
        Mistake: there are none there.
    """
    if not place.endswith(".py"):
        return listed(load(place), place)
    module = load_module(place)
    wanted = [*names_of_samples(function), "samples"]
    names = [name for name in vars(module) if name.endswith("samples") and not name.startswith("_")]
    chosen = next((name for name in wanted if name in names), names[0] if len(names) == 1 else None)
    if chosen is None:
        there = f"there are {', '.join(names)}" if names else "there is nothing named so"
        raise Mistake(
            f"{place}: expected {' or '.join(wanted)} in it, but {there}; name one, as {place}:"
            f"{names[0] if names else wanted[0]}"
        )
    return listed(find(module, chosen, place), f"{place}:{chosen}")


def listed(found: Any, place: str) -> list[Any]:
    """Samples as a list; a function is called.

    Raises:
        Mistake: it is no list of samples.
    """
    if callable(found) and not isinstance(found, type):
        try:
            found = found()
        except Exception as error:
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            raise Mistake(f"{shortened(place)}() raised {reason}") from error
    if isinstance(found, (str, Sample)):
        found = [found]
    if isinstance(found, torch.Tensor) or not isinstance(found, Iterable):
        raise Mistake(
            f"{shortened(place)} is {shortened(repr(found), 60)}, expected a list of samples, each an "
            "ansnet.testing.Sample, a tuple of arguments, or a line such as 'f64[3, 4], stride=2'"
        )
    return list(found)
