"""Each operation under the whole battery of `ansnet.testing`, one test a capability.

``docs/capabilities.md`` has the same as a table, with code compiled by inductor; "aot_eager", which
traces and differentiates the same graphs and runs them as they are, keeps this quick.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from ansnet.testing import CAPABILITIES, CapabilityTest, Result, Sample, parametrize_capabilities
from ansnet.testing.capabilities import COMPILED, MOST_SAMPLES
from ansnet.testing.operations import OPERATIONS

FEW = 2
LONG = COMPILED | {"no memory growth"}  # of these the first samples are enough here
EXCUSES = {"no accelerator on this machine", "no input has four axes"}


def assert_holds(capability: CapabilityTest) -> None:
    """As ``capability()``, but that only the two excuses are accepted."""
    row = capability.row()
    if row.detail in EXCUSES:
        pytest.skip(row.detail)
    assert row.result is Result.PASS, row.detail


def capabilities_of(name: str) -> Any:
    """A test for each capability; what takes long has the first samples here, all in the slow suite."""
    operation = OPERATIONS[name]
    samples = operation.samples()

    def tests(samples: Sequence[Sample], only: Iterable[str]) -> list[Any]:
        parametrized: list[Any] = parametrize_capabilities(
            operation.function,
            operation.reference,
            samples,
            layer=operation.layer(),
            backend="aot_eager",
            only=only,
            isolated=False,  # ours do not end the interpreter, and a process each takes its time
        ).args[1]
        return parametrized

    others = [name for name in CAPABILITIES if name not in LONG]
    slow = [
        pytest.param(*test.values, id=f"{test.id}, other samples", marks=pytest.mark.slow)
        for test in tests(samples[FEW:], sorted(LONG - MOST_SAMPLES.keys()))
    ]
    few = tests(samples[:FEW], sorted(LONG))
    return pytest.mark.parametrize("capability", [*tests(samples, others), *few, *slow])


@capabilities_of("conv2d")
def test_conv2d(capability: CapabilityTest) -> None:
    assert_holds(capability)


@capabilities_of("relu")
def test_relu(capability: CapabilityTest) -> None:
    assert_holds(capability)


@capabilities_of("max_pool2d")
def test_max_pool2d(capability: CapabilityTest) -> None:
    assert_holds(capability)


@capabilities_of("reshape")
def test_reshape(capability: CapabilityTest) -> None:
    assert_holds(capability)


@capabilities_of("linear")
def test_linear(capability: CapabilityTest) -> None:
    assert_holds(capability)


@capabilities_of("batch_norm1d")
def test_batch_norm1d(capability: CapabilityTest) -> None:
    assert_holds(capability)


@capabilities_of("batch_norm2d")
def test_batch_norm2d(capability: CapabilityTest) -> None:
    assert_holds(capability)


@capabilities_of("relu_max_pool2d")
def test_relu_max_pool2d(capability: CapabilityTest) -> None:
    assert_holds(capability)


@capabilities_of("batch_norm_relu2d")
def test_batch_norm_relu2d(capability: CapabilityTest) -> None:
    assert_holds(capability)


@capabilities_of("cross_entropy")
def test_cross_entropy(capability: CapabilityTest) -> None:
    assert_holds(capability)
