"""`ansnet.training.waiting`: how long threads spin, unless somebody else has said it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SCRIPT = """
import os
from ansnet.training.waiting import bound_spinning
bound_spinning()
print(os.environ.get("GOMP_SPINCOUNT"))
"""


@pytest.mark.parametrize(
    ("environment", "before", "spins"),
    [
        ({}, "", "10000"),
        ({"GOMP_SPINCOUNT": "7"}, "", "7"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "", "None"),
        ({}, "import torch", "None"),  # too late
    ],
)
def test_threads_spin_so_often(environment: dict[str, str], before: str, spins: str) -> None:
    others = {name: value for name, value in os.environ.items() if name[:4] not in ("GOMP", "OMP_")}
    found = subprocess.run(
        [sys.executable, "-c", before + SCRIPT],
        env={**others, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == spins
