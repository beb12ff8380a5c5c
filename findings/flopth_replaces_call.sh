#!/usr/bin/env bash
# flopth 0.1.6: counting the operations of one network changes every other. It replaces __call__ of the class
# nn.Conv2d (and of each other layer's class) for good; any subclass of nn.Conv2d that was not in the counted
# network raises KeyError when called thereafter, networks of torchvision and timm among them.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'torch==2.14.1' 'torchvision==0.29.1' 'flopth==0.1.6'
cat > "$work/case.py" <<'PYTHON'
import torch
from flopth import flopth
from torch import nn


class Conv2d(nn.Conv2d):
    pass


images = torch.rand(1, 3, 8, 8)
print("before", tuple(Conv2d(3, 4, 3)(images).shape))
print(flopth(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), in_size=((3, 8, 8),)))
print("nn.Conv2d.__call__ is", nn.Conv2d.__call__.__qualname__)
try:
    print("after", tuple(Conv2d(3, 4, 3)(images).shape))
except KeyError as error:
    print("after: KeyError", error)
    raise SystemExit(0)
raise SystemExit(1)
PYTHON
"$work/venv/bin/python" "$work/case.py"
