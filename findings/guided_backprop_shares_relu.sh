#!/usr/bin/env bash
# grad-cam 1.5.7: GuidedBackpropReLUModel leaves the network that it explains changed. For the ReLUs that it
# has taken out it puts one new nn.ReLU() back, the same object in every place: hooks on them are gone,
# inplace=True too, and there is one ReLU where there were two. Captum's DeepLift, asked next about the same
# network, refuses it for a module that is used more than once.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'torch==2.14.1' 'torchvision==0.29.1' 'grad-cam==1.5.7' 'captum==0.9.0'
cat > "$work/case.py" <<'PYTHON'
import torch
from captum.attr import DeepLift
from pytorch_grad_cam import GuidedBackpropReLUModel
from torch import nn

torch.manual_seed(0)
convolutions = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(inplace=True))
network = nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(64, 5)).eval()
images = torch.rand(1, 3, 8, 8)
calls = []
network[3].register_forward_hook(lambda *_: calls.append(1))
before = DeepLift(network).attribute(images, target=1).shape
calls.clear()
GuidedBackpropReLUModel(network, device="cpu")(images)
network(images)
print("one object", network[1] is network[3], "inplace", network[3].inplace, "calls of the hook", len(calls))
try:
    DeepLift(network).attribute(images, target=1)
    refused = False
except RuntimeError as error:
    refused = "used more than once" in str(error)
    print("DeepLift", before, "before, then:", str(error)[:90])
raise SystemExit(not (network[1] is network[3] and not network[3].inplace and not calls and refused))
PYTHON
"$work/venv/bin/python" "$work/case.py"
