"""What a function does besides its result, as the first thing that a process does."""

import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ansnet.testing import Sample, check

FIRST = """
import torch
from ansnet.testing import Sample, check

x = torch.randn(2, dtype=torch.float64, requires_grad=True)
report = check(lambda x: x * 3, lambda x: 3 * x, [Sample(x)], only=["saved tensors freed"])
print(report.rows[0].result.name)
"""


def test_what_pytorch_loads_at_its_first_backward_is_no_leak() -> None:
    done = subprocess.run([sys.executable, "-c", FIRST], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "PASS"


@pytest.mark.parametrize(
    ("function", "passes"),
    [
        (lambda x: x.view_as(x), True),
        (lambda x: x[:1], True),
        (lambda x: x.detach().clone().requires_grad_(), False),
    ],
)
def test_a_view_of_an_input_may_say_under_no_grad_that_it_requires_grad(
    function: Callable[[Tensor], Tensor], passes: bool
) -> None:
    """Of the input's own views PyTorch says so: no graph is kept."""
    x = torch.randn(2, dtype=torch.float64, requires_grad=True)
    report = check(function, None, [Sample(x)], only=["without gradients"], backend="eager")
    assert (not report.failures) == passes
