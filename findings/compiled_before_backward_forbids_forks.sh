#!/usr/bin/env bash
# torch 2.14.1 (built with CUDA; the same on 2.15.0), on a machine without a GPU: whether a process can
# fork workers that differentiate depends on whether it ran torch.compile before or after its first
# backward. Generated code first, then a backward: every later fork raises "Unable to handle autograd's
# threading in combination with fork-based multiprocessing" at its first backward, although nothing but
# CPU tensors was used. A backward first: forks work for ever. So a test runner, or a sweep that forks
# its trials, fails or not by the order of what came before, in code that does not concern it.
#
# Expected: both orders behave alike. Seen: a trivial backward before the compilation decides.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'torch==2.14.1' 'numpy==2.3.5' 'setuptools==80.9.0'
cat > "$work/case.py" <<'PYTHON'
import os
import sys

import torch


def backward() -> None:
    x = torch.ones(1, requires_grad=True)
    torch.autograd.grad(x.sum(), x)


def fork_and_differentiate() -> int:
    child = os.fork()
    if child == 0:
        try:
            backward()
        except RuntimeError as error:
            print(str(error)[:88], flush=True)
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if sys.argv[1] == "backward-first":
    backward()
torch.compile(lambda x: x.sin() + x.cos())(torch.ones(1000))
backward()
code = fork_and_differentiate()
print(torch.__version__, sys.argv[1], "exit code of the fork:", code, flush=True)
raise SystemExit(code)
PYTHON
if "$work/venv/bin/python" -W ignore "$work/case.py" compile-first 2> /dev/null; then exit 1; fi
"$work/venv/bin/python" -W ignore "$work/case.py" backward-first 2> /dev/null
