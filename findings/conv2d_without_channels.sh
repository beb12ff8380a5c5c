#!/usr/bin/env bash
# torch 2.13.0 (the same on 2.11.0, 2.14.1 and 2.15.0): conv2d of images without channels answers images
# without channels, whatever the number of filters, and drops the bias. A sum over no channels is 0, so
# that 3 filters should answer 3 channels that hold the bias, as linear does. Who prunes all inputs of a
# layer gets a network whose next layer does not fit, or sums of nothing.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'torch==2.13.0' 'numpy==2.3.5'
cat > "$work/case.py" <<'PYTHON'
import torch
from torch.nn.functional import conv2d, linear

bias = torch.tensor([1.0, 2.0, 3.0])
convolved = tuple(conv2d(torch.zeros(2, 0, 5, 5), torch.zeros(3, 0, 3, 3), bias).shape)
multiplied = linear(torch.zeros(2, 0), torch.zeros(3, 0), bias).tolist()
print(torch.__version__, "conv2d", convolved, "linear", multiplied)
raise SystemExit(convolved != (2, 0, 3, 3) or multiplied != [[1.0, 2.0, 3.0]] * 2)
PYTHON
"$work/venv/bin/python" "$work/case.py"
