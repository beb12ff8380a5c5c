"""Check a differentiable function in every way in which PyTorch may use it.

>>> from ansnet.testing import Sample, check
>>> x = torch.tensor([-1.0, 2.0], dtype=torch.float64, requires_grad=True)
>>> check(torch.relu, torch.relu, [Sample(x)], only=["forward", "gradients"]).passed
True

It works on any function, not only on ansnet's. `parametrize_capabilities` makes pytest tests of it, and
``python -m ansnet check package.module:function`` runs it from the command line.
"""

from ansnet.testing.battery import CapabilityTest, check, parametrize_capabilities
from ansnet.testing.capabilities import CAPABILITIES
from ansnet.testing.case import Sample
from ansnet.testing.causes import Cause, Explanation, Severity
from ansnet.testing.report import Report, Result, Row
from ansnet.testing.specification import SpecificationError, parse_sample

__all__ = [
    "CAPABILITIES",
    "CapabilityTest",
    "Cause",
    "Explanation",
    "Report",
    "Result",
    "Row",
    "Sample",
    "Severity",
    "SpecificationError",
    "check",
    "parametrize_capabilities",
    "parse_sample",
]
