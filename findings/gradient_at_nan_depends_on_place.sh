#!/usr/bin/env bash
# torch 2.13.0 (the same on 2.14.1 and 2.15.0): the gradient of hardtanh at a NaN depends on where in
# memory the NaN lies. The vectorised loop gives 0, the loop over what is left at the end gives 1: so a
# gradient changes when a row is added to a batch, and a test at one NaN says nothing of the next.
# softshrink and hardshrink do likewise.
#
# Expected: nine NaNs have nine equal gradients. Seen: two kinds among them.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'torch==2.13.0' 'numpy==2.3.5'
cat > "$work/case.py" <<'PYTHON'
import torch

functional = torch.nn.functional
seen = {}
for function in (functional.relu, functional.hardtanh, functional.softshrink, functional.hardshrink):
    x = torch.full((9,), torch.nan, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(function(x).sum(), x)
    seen[function.__name__] = sorted(set(map(str, gradient.tolist())))
print(torch.__version__, torch.backends.cpu.get_cpu_capability(), seen)
kinds = {name: len(gradients) for name, gradients in seen.items()}
raise SystemExit(kinds != {"relu": 1, "hardtanh": 2, "softshrink": 2, "hardshrink": 2})
PYTHON
"$work/venv/bin/python" "$work/case.py"
