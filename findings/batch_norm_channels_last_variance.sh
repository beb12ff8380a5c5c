#!/usr/bin/env bash
# torch 2.13.0, on a CPU (the same on 2.11.0, 2.14.1 and 2.15.0): batch normalisation of images in
# channels-last memory adds the elements of a channel one after the other in float32. Of 131,072 elements
# around 10,000 the mean is off by 9, and the variance, which is taken around it, is 90 for 1: the
# normalised images have a standard deviation of 0.1. In contiguous memory all is right.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'torch==2.13.0' 'numpy==2.3.5'
cat > "$work/case.py" <<'PYTHON'
import torch
from torch.nn.functional import batch_norm

torch.manual_seed(0)
torch.set_num_threads(1)
images = torch.randn(128, 64, 32, 32) + 1e4
exact = images.double().var((0, 2, 3)).mean().item()
seen = []
for memory_format in (torch.contiguous_format, torch.channels_last):
    mean, variance = torch.zeros(64), torch.zeros(64)
    x = images.contiguous(memory_format=memory_format)
    z = batch_norm(x, mean, variance, training=True, momentum=1.0)
    seen.append((variance.mean().item(), z.std().item()))
    print(torch.__version__, memory_format, "variance %.3f" % seen[-1][0], "deviation of z %.3f" % seen[-1][1])
print("exact variance %.3f" % exact)
(contiguous, _), (channels_last, deviation) = seen
raise SystemExit(not (abs(contiguous - exact) < 1e-3 and channels_last > 10 * exact and deviation < 0.5))
PYTHON
"$work/venv/bin/python" "$work/case.py"
