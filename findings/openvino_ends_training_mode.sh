#!/usr/bin/env bash
# openvino 2026.4.1 with torch 2.13.0 (pnnx 20261020 does the same): openvino.convert_model(network,
# example_input=…) puts the caller's network into evaluation mode and leaves it there, without a word.
# torch.export, torch.jit.trace and torch.onnx.export leave the mode as it was.
#
# Who writes a file in the midst of training, and does not call .train() again, trains on with batch
# normalisation by the running averages, which stand still, and without dropout.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'torch==2.13.0' 'numpy==2.4.6' 'openvino==2026.4.1' 'pnnx==20261020'
cat > "$work/case.py" <<'PYTHON'
import os
import sys
import warnings

import openvino
import pnnx
import torch
from torch import nn

warnings.simplefilter("ignore")


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.norm = nn.Linear(3, 4), nn.BatchNorm1d(4)

    def forward(self, x):
        return self.norm(self.linear(x))


x = torch.randn(8, 3)
converters = {
    "torch.export": lambda network: torch.export.export(network, (x,)),
    "torch.jit.trace": lambda network: torch.jit.trace(network, x),
    "openvino": lambda network: openvino.convert_model(network, example_input=x),
    "pnnx": lambda network: pnnx.export(network, os.path.join(sys.argv[1], "network.pt"), (x,)),
}
trains = {}
for name, convert in converters.items():
    network = Network().train()
    convert(network)
    trains[name] = network.training and network.norm.training
print(torch.__version__, "in training mode afterwards:", trains)
raise SystemExit(list(trains.values()) != [True, True, False, False])
PYTHON
"$work/venv/bin/python" "$work/case.py" "$work"
