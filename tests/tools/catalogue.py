"""All tools, by kind."""

from __future__ import annotations

from types import ModuleType

import ansnet.compatibility  # noqa: F401  before any tool imports torchvision
from tests.tools import (
    counters,
    curvature,
    explanations,
    exporters,
    pictures,
    pytorch,
    quantisers,
    robustness,
    training,
    watchers,
)
from tests.tools.tool import Tool

# in the order of the page
KINDS: dict[str, ModuleType] = {
    "Explanations": explanations,
    "Counters": counters,
    "Summaries and pictures": pictures,
    "Watching and changing layers": watchers,
    "Training, averaging, storing": training,
    "Curvature and posteriors": curvature,
    "Attacks": robustness,
    "Exporters": exporters,
    "Quantisers": quantisers,
    "PyTorch's own": pytorch,
}


def tools_in(module: ModuleType) -> list[Tool]:
    """The tools that a file declares, in its order."""
    return [value for value in vars(module).values() if isinstance(value, Tool)]


def all_tools() -> list[Tool]:
    """Every tool."""
    return [tool for module in KINDS.values() for tool in tools_in(module)]
