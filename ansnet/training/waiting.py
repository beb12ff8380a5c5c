"""How the threads of a CPU wait for each other. Loads nothing: it has to be set before torch is loaded.

What torch does on a CPU it divides among OpenMP's threads. A thread that has done its part spins, so
that it is there at once when the others have done theirs. On a machine of its own that saves time.
Where other work has one of the cores, a thread may not be running at all, and those that spin wait for
it with the time that it would need (GNU, *libgomp*, section ``GOMP_SPINCOUNT``).
"""

from __future__ import annotations

import os
import sys

SPINS = "10000"  # measured by benchmarks/spinning.py
OTHER_WISHES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


def bound_spinning() -> None:
    """Have threads that wait go to sleep soon, unless the user's environment says something else.

    It has an effect only on GNU's library, which torch comes with on Linux, and before torch is loaded.
    """
    if "torch" not in sys.modules and not any(map(os.environ.get, OTHER_WISHES)):
        os.environ["GOMP_SPINCOUNT"] = SPINS
