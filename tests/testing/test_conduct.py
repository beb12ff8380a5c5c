"""What a function does besides its result, as the first thing that a process does."""

import subprocess
import sys

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
