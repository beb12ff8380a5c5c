#!/usr/bin/env bash
# Captum 0.9.0 (torch 2.13.0): DeepLift looks up its rules by the exact class of a layer. A subclass of nn.ReLU,
# even an empty one, has none, and is passed by the plain gradient: no error, no warning, and attributions that
# are gradient × (input − baseline). GuidedBackprop, of the same package, takes subclasses for what they are.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'torch==2.13.0' 'numpy==2.3.5' 'captum==0.9.0'
cat > "$work/case.py" <<'PYTHON'
import warnings

import torch
from captum.attr import DeepLift, GuidedBackprop
from torch import nn

warnings.filterwarnings("ignore", message="Setting (forward|backward)")  # said of any network


class ReLU(nn.ReLU):
    pass


x, baseline = torch.rand(4, 6, requires_grad=True), torch.zeros(4, 6)
torch.manual_seed(0)
linear = nn.Linear(6, 8), nn.Linear(8, 3)
found = {}
for kind in (nn.ReLU, ReLU):
    network = nn.Sequential(linear[0], kind(), linear[1])
    lifted, delta = DeepLift(network).attribute(x, baseline, target=1, return_convergence_delta=True)
    (gradient,) = torch.autograd.grad(network(x)[:, 1].sum(), x)
    guided = GuidedBackprop(network).attribute(x, target=1)
    found[kind] = delta.abs().max().item(), torch.allclose(lifted, gradient * x, atol=1e-6), guided
    print(kind.__module__, kind.__name__, "delta %.2g, is the plain gradient's: %s" % found[kind][:2])
(right, plain, guided), (wrong, others_plain, others_guided) = found.values()
expected = right < 1e-5 and not plain and wrong > 1e-2 and others_plain and torch.equal(guided, others_guided)
raise SystemExit(not expected)
PYTHON
"$work/venv/bin/python" -W error::UserWarning "$work/case.py"
