"""The ways to run the battery of capabilities."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ansnet import processes
from ansnet.testing import isolation
from ansnet.testing.arguments import subject
from ansnet.testing.capabilities import CAPABILITIES
from ansnet.testing.case import Function, Layer, Sample
from ansnet.testing.report import Report, Result, Row, is_untried, message
from ansnet.testing.settings import (
    as_capabilities,
    as_seconds,
    assert_isolated,
    assert_progress,
    nearest,
)
from ansnet.testing.subject import Subject


def check(
    function: Function | nn.Module,
    reference: Function | nn.Module | None,
    samples: Iterable[Sample | tuple[Any, ...] | str],
    *,
    derivative: Function | nn.Module | None = None,
    layer: Layer | None = None,
    not_applicable: Mapping[str, str] | None = None,
    expected_failures: Mapping[str, str] | None = None,
    backend: str | Callable[..., Any] = "inductor",
    only: Iterable[str] | str | None = CAPABILITIES,
    atol: float | None = None,
    rtol: float | None = None,
    seed: int = 0,
    dtypes: Iterable[torch.dtype | str] | None = None,
    devices: Iterable[torch.device | str] | None = None,
    isolated: bool | None = None,
    timeout: float = isolation.TIMEOUT,
    progress: Callable[[Row], object] | None = None,
) -> Report:
    """Try a differentiable function in every way in which PyTorch may use it.

    Args:
        function: takes tensors and other arguments, returns a tensor or several; the ``apply`` of a
            `torch.autograd.Function` or any other. A module is tried as a function of its inputs,
            parameters and buffers.
        reference: the function that it should equal, with the same arguments. None: the capabilities
            that need none are tried.
        samples: arguments to try, each a `Sample`, a tuple of positional arguments, or a line that
            describes them, as ``"f64[3, 4], stride=2"`` (`ansnet.testing.specification`). One alone
            that is a `Sample` or a line needs no list.
        derivative: the function whose derivative it should have, where that is not its own: of a
            straight-through or surrogate gradient. Its outputs have the shapes of the function's.
        layer: a module that applies the function, with a sample of the module's inputs, as
            ``(module, Sample(x))``; for the capability *pickle and copy*.
        not_applicable: for capabilities that make no sense for this function, the reason.
        expected_failures: for capabilities that are known to fail, the reason; one that passes fails.
        backend: of `torch.compile`, its name or a function that is one; "inductor" needs a C++
            compiler, "aot_eager" does not.
        only: the capabilities to try, or one alone; all of `CAPABILITIES` unless given.
        atol, rtol: by how much numbers may differ, absolutely and relative to the expected ones. If
            neither is given, doubles by 1e-10, others as `torch.testing.assert_close` has it.
        seed: of the random numbers that the function draws, the same at each call.
        dtypes: those in which the function works, one or several, by name too, as "float64" or "f64".
            None: float64 and float32.
        devices: those on which it is to work, one or several, such as "cuda". None: the accelerator
            that is there.
        isolated: whether the rows are tried in a process of their own, so that one in which the
            interpreter dies is a row that fails. None: where that can be.
        timeout: seconds that a row may take, where they are isolated; a million at most.
        progress: is called with each row as it comes.

    Returns:
        A report that prints as a table, one row a capability.

    Raises:
        TypeError: an argument is not of the kind described here, or a sample does not fit.
        ValueError: there are no samples, or none of their tensors requires grad and has an element;
            a capability, a backend or a dtype is unknown; there is nothing to try, as where all that
            is to be tried needs a reference, and there is none; a number is out of range; a reason is
            empty; the function returns no tensor; a device is not there.
        RuntimeError: ``isolated=True``, and there are no forks here, or PyTorch does not differentiate
            in one of this process.

    Example:
        >>> x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
        >>> report = check(torch.sin, torch.sin, [Sample(x)], only=["forward", "gradcheck"])
        >>> print(report)
        sin
          forward    pass
          gradcheck  pass
        2 passed, 0 failed, 0 not applicable
    """
    names = as_capabilities(only)
    assert_isolated(isolated)
    assert_progress(progress)
    timeout = as_seconds(timeout)
    tried = subject(
        names,
        function,
        reference,
        samples,
        derivative=derivative,
        layer=layer,
        not_applicable=not_applicable,
        expected_failures=expected_failures,
        backend=backend,
        atol=atol,
        rtol=rtol,
        seed=seed,
        dtypes=dtypes,
        devices=devices,
    )
    rows = []
    for row in rows_of(tried, names, isolated, timeout):
        rows.append(row)
        if progress:
            progress(row)
    return Report(tried.name, tuple(rows), tried.essential)


def check_apart(*arguments: Any, isolated: bool = True, **options: Any) -> Report:
    """What `check` returns, isolated if that can be: for a process that is there for nothing else."""
    try:
        return check(*arguments, isolated=isolated, **options)
    except isolation.CannotFork:
        return check(*arguments, isolated=False, **options)


def rows_of(
    tried: Subject, capabilities: Sequence[str], isolated: bool | None, timeout: float
) -> Iterator[Row]:
    """The rows as they come, from this process or from another.

    Raises:
        CannotFork: ``isolated`` is True, and that cannot be.
    """
    if isolated and not processes.can_fork():
        raise isolation.CannotFork("there are no forks on this system; say isolated=False, or nothing")
    if isolation.can_fork() if isolated is None else isolated:
        try:
            yield from isolation.rows(tried, capabilities, timeout)
            return
        except isolation.CannotFork:
            if isolated:
                raise
    yield from map(tried.row, capabilities)


@dataclass(frozen=True)
class CapabilityTest:
    """One capability of one function, for a test to call."""

    subject: Subject
    capability: str
    isolated: bool | None = None
    timeout: float = isolation.TIMEOUT

    def row(self) -> Row:
        """What comes of it."""
        (row,) = rows_of(self.subject, [self.capability], self.isolated, self.timeout)
        return row

    def __call__(self) -> None:
        """Pass, or skip with the reason.

        Raises:
            AssertionError: the capability fails, or is essential and could not be tried; the message
                names the sample.
            ValueError: the function returns no tensor.
        """
        import pytest

        row = self.row()
        if row.result is Result.FAIL:
            raise AssertionError("\n".join(message(row))) from row.error
        if is_untried(row, self.subject.essential):
            raise AssertionError(f"{self.capability} could not be tried: {row.detail}")
        if row.result is Result.NOT_APPLICABLE:
            pytest.skip(row.detail)
        if row.result is Result.EXPECTED_FAILURE:
            pytest.xfail(row.detail)


OPTIONS = tuple(
    name
    for name, parameter in inspect.signature(subject).parameters.items()
    if parameter.kind is parameter.KEYWORD_ONLY
)


def parametrize_capabilities(
    function: Function | nn.Module,
    reference: Function | nn.Module | None,
    samples: Iterable[Sample | tuple[Any, ...] | str],
    *,
    only: Iterable[str] | str | None = CAPABILITIES,
    isolated: bool | None = None,
    timeout: float = isolation.TIMEOUT,
    **options: Any,
) -> Any:
    """A pytest decorator: one test for each capability, passed in as ``capability``.

    Args:
        function, reference, samples, only, isolated, timeout, options: as `check` takes them.

    Returns:
        The decorator.

    Raises:
        TypeError, ValueError: as `check`.

    Example::

        @parametrize_capabilities(my_relu, torch.relu, [Sample(x)])
        def test_my_relu(capability):
            capability()
    """
    import pytest

    names = as_capabilities(only)
    assert_isolated(isolated)
    timeout = as_seconds(timeout)
    for option in options:
        if option not in OPTIONS:
            hint = nearest(option, [*OPTIONS, "only"], f"it takes {', '.join(OPTIONS)}")
            raise TypeError(f"parametrize_capabilities takes no {option}=: {hint}")
    tried = subject(names, function, reference, samples, **options)
    tests = [pytest.param(CapabilityTest(tried, name, isolated, timeout), id=name) for name in names]
    return pytest.mark.parametrize("capability", tests)
