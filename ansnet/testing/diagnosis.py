"""From a failing row to its cause: by what PyTorch says, by the source, and by mending it on trial.

What is told to mend a row was tried where a stand-in can be made of it (`stand_ins`): the row passes
with it. Where none can, the cause is what PyTorch's message, or the source, says for certain.
"""

from __future__ import annotations

import contextlib
import io
import linecache
import re
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch.utils import _pytree as pytree

from ansnet.testing.apart import apart
from ansnet.testing.case import Case, FailsAlone, assert_same_evaluation, call, evaluate, nodes_of
from ansnet.testing.causes import Cause, Severity, general, page_of, severity_of
from ansnet.testing.gradchecks import gradcheck
from ansnet.testing.messages import is_comparison, summary
from ansnet.testing.sources import Source, frames_of, is_harness, place_of, short, source_of
from ansnet.testing.stand_ins import RULES, StandIn, own_function
from ansnet.testing.stateless import Stateless

OR_THE_SAMPLE = "# a call alone raises it: if the function is right, give a sample that fits it"

Check = Callable[[Case], Any]
Diagnose = Callable[[str, Check, Case, Exception], Cause | None]


@dataclass(frozen=True)
class Failure:
    """A row that fails.

    Attributes:
        capability: its name.
        check: what was tried.
        case: on what.
        error: what was raised.
        functions: the custom Functions that take part.
        trials: whether anything may be run to find out more.
    """

    capability: str
    check: Check
    case: Case
    error: BaseException
    functions: tuple[Any, ...]
    trials: bool = True

    @property
    def message(self) -> str:
        """What was raised, as one line."""
        return " ".join(str(self.error).split())

    @property
    def is_comparison(self) -> bool:
        """Whether two things were compared, and differ."""
        return is_comparison(self.error)

    @property
    def function(self) -> Any:
        """The function under test, as it was given."""
        return own_function(self.case)

    @property
    def module(self) -> Any:
        """The module under test; None where it is a function."""
        return self.function.module if isinstance(self.function, Stateless) else None

    @property
    def page(self) -> str:
        """Of the documentation."""
        return page_of(self.capability)

    @property
    def name(self) -> str:
        """Of the first Function, or else of the function."""
        if self.functions:
            return str(self.functions[0].__name__)
        named = type(self.module) if self.module is not None else self.function
        return str(getattr(named, "__name__", type(named).__name__))

    def source(self, owner: Any, rule: str) -> Source | None:
        """Of a rule that the Function, or its base, states itself; not of PyTorch's own."""
        code = getattr(owner, rule)
        return None if code == getattr(torch.autograd.Function, rule, None) else source_of(code)

    def sources(self) -> Iterator[tuple[Any, str, Source]]:
        """Each Function's rules; the function itself, where it is none's."""
        for owner in self.functions:
            for rule in RULES:
                if source := self.source(owner, rule):
                    yield owner, rule, source
        own = getattr(self.function, "__self__", None) in self.functions
        if not own and (source := source_of(self.function)):
            yield None, self.name, source

    def place(self, rule: str = "backward", owner: Any = None) -> str:
        """``file:line`` of a rule of the first Function, or of a given one; else of the function."""
        owner = owner or (self.functions[0] if self.functions else None)
        if owner is not None:
            for code in (getattr(owner, rule, None), owner.backward, owner.forward, owner):
                if code is not None and (place := place_of(code)):
                    return place
        return place_of(self.function)

    def function_place(self) -> str:
        """``file:line`` of the function itself; of an ``apply``, of the backward."""
        own = getattr(self.function, "__self__", None) in self.functions
        source = None if own else source_of(self.function)
        if self.module is not None:
            return place_of(type(self.module).forward)
        return source.place() if source else self.place()

    def tensors_on_ctx(self, owner: Any) -> list[str]:
        """The names under which tensors are set on the Function's ``ctx``."""
        found = [
            name
            for node in nodes_of(graph_of(self.case) if self.trials else [])
            if getattr(node, "_forward_cls", None) is owner
            for name, value in vars(node).items()
            if any(isinstance(leaf, torch.Tensor) for leaf in pytree.tree_leaves(value))
        ]
        return list(dict.fromkeys(found))

    def constant_outputs(self) -> list[bool]:
        """For each float output whether no small step of the inputs changes it."""
        if not self.trials:
            return []
        generator = torch.Generator().manual_seed(0)

        def step(tensor: torch.Tensor) -> torch.Tensor:
            if not tensor.is_floating_point():
                return tensor.clone()
            move = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
            return tensor + (1e-7 * move).to(tensor)

        inputs = self.case.sample.to(torch.float64)
        moved = inputs.replace_differentiable(map(step, (t.detach() for t in inputs.differentiable)))
        with quiet(), torch.no_grad():
            try:
                here, there = (call(self.case.function, sample) for sample in (inputs, moved))
            except Exception:
                return []
        pairs = [(a, b) for a, b in zip(here, there, strict=False) if a.is_floating_point()]
        return [torch.equal(a, b) for a, b in pairs]

    def raised_at(self) -> tuple[str, str]:
        """The deepest line of the function's own that an error came through, and the line's text."""
        files = {source.file for _, _, source in self.sources()}
        frames = frames_of(self.error)
        own = [frame for frame in frames if frame[0] in files] or frames
        return place_in_message(self.error) if not own else (_place(own[-1]), _line(own[-1]))

    def raised_by_a_call(self) -> BaseException | None:
        """The error that a plain call with the sample raises, if it is an error that is to be told."""
        if self.is_comparison or not self.trials:
            return None
        with quiet():
            try:
                call(self.case.function, fresh(self.case).sample)
            except Exception as error:
                return error
        return None

    def passes_with(self, stand_in: StandIn) -> bool:
        """Whether the row passes with a part replaced."""
        return self.trials and self.error_with(stand_in) is None

    def error_with(self, stand_in: StandIn) -> BaseException | None:
        """What the row raises with a part replaced; None if it passes."""
        with quiet(), stand_in.standing_in(fresh(self.case)) as case:
            try:
                self.check(case)
            except Exception as error:
                return root_of(error)
        return None

    def gradients_are_those_with(self, stand_in: StandIn) -> bool:
        """Whether one forward and one backward give what they give with a part replaced."""
        if not self.trials:
            return False
        with quiet():
            try:
                own = evaluate(self.case.function, fresh(self.case).sample)
                with stand_in.standing_in(fresh(self.case)) as case:
                    other = evaluate(case.function, case.sample)
                assert_same_evaluation(own, other, self.case.sample)
            except Exception:
                return False
        return True

    def is_differentiated_rightly(self) -> bool:
        """Whether the first derivative is the numerical one; no where nothing may be run."""
        if not self.trials:
            return False
        with quiet():
            try:
                gradcheck(fresh(self.case))
            except Exception:
                return False
        return True


class Suspicion(NamedTuple):
    """A cause that may be, and what to try to see whether it is; None where it is certain."""

    cause: Cause
    stand_in: StandIn | None = None


Recogniser = Callable[[Failure], Iterator[Suspicion]]


def cause_of(capability: str, check: Check, case: Case, error: BaseException, trials: bool) -> Cause:
    """Why a row fails.

    Args:
        capability: the row's name.
        check: what was tried.
        case: on what.
        error: what it raised.
        trials: whether mendings may be tried, and the function be run again.
    """
    from ansnet.testing.recognition import RECOGNISERS

    functions = functions_in(case, trials)
    failure = Failure(capability, check, case, root_of(error), functions, trials)
    for recogniser in RECOGNISERS:
        for suspicion in recogniser(failure):
            if suspicion.stand_in is None:
                return suspicion.cause
            if failure.passes_with(suspicion.stand_in):
                return replace(suspicion.cause, tried=True)
    place, _ = failure.raised_at() if not failure.is_comparison else ("", "")
    if (raised := failure.raised_by_a_call()) is not None:
        cause = general(capability, summary(raised), Severity.RAISES, place)
        return replace(cause, mending=OR_THE_SAMPLE)
    severity = severity_of(capability, failure.message, failure.is_comparison)
    return general(capability, summary(failure.error), severity, place or failure.function_place())


def unknown(*_: Any) -> None:
    """No cause is looked for."""


def at_once(capability: str, check: Check, case: Case, error: BaseException) -> Cause:
    """Why a row fails, found in this process."""
    return cause_of(capability, check, case, error, trials=True)


def in_time(deadline: float) -> Callable[[str, Check, Case, BaseException], Cause]:
    """The same, but that mendings are tried in a process of their own, up to a time.

    Args:
        deadline: by `time.monotonic`.
    """

    def diagnose(capability: str, check: Check, case: Case, error: BaseException) -> Cause:
        arguments = capability, check, case, error
        found = apart(lambda: cause_of(*arguments, trials=True), deadline - time.monotonic())
        return found or cause_of(*arguments, trials=False)

    return diagnose


def root_of(error: BaseException) -> BaseException:
    """The error that a summarising one stands for."""
    return error.__cause__ if isinstance(error, FailsAlone) and error.__cause__ else error


def functions_in(case: Case, with_graph: bool) -> tuple[Any, ...]:
    """The custom Functions that take part: of which the function is the ``apply``, and of its graph."""
    owner = getattr(own_function(case), "__self__", None)
    own = [owner] if isinstance(owner, type) and issubclass(owner, torch.autograd.Function) else []
    classes = [
        getattr(node, "_forward_cls", None) for node in nodes_of(graph_of(case) if with_graph else [])
    ]
    return tuple(dict.fromkeys([*own, *(found for found in classes if found is not None)]))


def graph_of(case: Case) -> list[torch.Tensor]:
    """The outputs of the function that require grad; none where it raises."""
    with quiet(), torch.enable_grad():
        try:
            return [z for z in call(case.function, fresh(case).sample) if z.requires_grad]
        except Exception:
            return []


def fresh(case: Case) -> Case:
    """The case with copies of its tensors."""
    return replace(case, sample=case.sample.map(torch.clone))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """What is tried a second time warns and prints a second time; once is enough."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def _place(frame: tuple[str, int, str]) -> str:
    return f"{short(frame[0])}:{frame[1]}"


def _line(frame: tuple[str, int, str]) -> str:
    return linecache.getline(frame[0], frame[1]).strip()


def place_in_message(error: BaseException) -> tuple[str, str]:
    """The line of the user's that a compiler's message names last."""
    found = re.findall(r'File "([^"]+)", line (\d+), in (\S+)', str(error))
    own = [(file, int(line), name) for file, line, name in found if not is_harness(file)]
    return (f"{short(own[-1][0])}:{own[-1][1]}", _line(own[-1])) if own else ("", "")
