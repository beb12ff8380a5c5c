#!/usr/bin/env bash
# torchao 0.18.0 with torch 2.13.0: X86InductorQuantizer, after torch.export.export as its tutorial has it,
# quantises nn.Conv2d and nn.Linear, but not a subclass of them that changes nothing, nor F.conv2d and
# F.linear called in a module's forward. The exported graphs are the same, operator for operator; nothing
# is said, and convert_pt2e returns the float network. The quantiser compares the names of classes that the
# export notes beside each operator with "torch.nn.modules.conv.Conv2d" (the repair of PyTorch's issue
# 160095, "does not quantize anything"). With strict=True the export notes functions instead, and all three
# networks are quantised.
#
# Who quantises a network of lightly changed layers, or one that computes by functions, ships a float one.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'torch==2.13.0' 'numpy==2.4.6' 'torchao==0.18.0'
cat > "$work/case.py" <<'PYTHON'
import warnings

import torch
import torch.nn.functional as F
from torch import nn
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
from torchao.quantization.pt2e.quantizer.x86_inductor_quantizer import (
    X86InductorQuantizer,
    get_default_x86_inductor_quantization_config,
)

warnings.simplefilter("ignore")


class Conv2d(nn.Conv2d):
    pass


class Linear(nn.Linear):
    pass


class ByFunctions(nn.Module):
    def __init__(self):
        super().__init__()
        self.filters = nn.Parameter(torch.randn(4, 3, 3, 3))
        self.weight = nn.Parameter(torch.randn(5, 144))

    def forward(self, x):
        return F.linear(F.relu(F.conv2d(x, self.filters)).flatten(1), self.weight)


def quantised(network, strict):
    """How many of the two layers have int8 weights, and the operators that were there to quantise."""
    x = torch.randn(2, 3, 8, 8)
    program = torch.export.export(network.eval(), (x,), strict=strict).module()
    operators = [str(node.target) for node in program.graph.nodes if node.op == "call_function"]
    quantizer = X86InductorQuantizer().set_global(get_default_x86_inductor_quantization_config())
    prepared = prepare_pt2e(program, quantizer)
    prepared(x)
    targets = [str(node.target) for node in convert_pt2e(prepared).graph.nodes]
    return sum("dequantize_per_channel" in target for target in targets), operators


networks = {
    "nn": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5)),
    "subclasses": lambda: nn.Sequential(Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), Linear(144, 5)),
    "functions": ByFunctions,
}
seen, operators = {}, []
for strict in (False, True):
    for name, make in networks.items():
        seen[name, strict], found = quantised(make(), strict)
        operators.append(found)
same = all(found == operators[0] for found in operators)
print(torch.__version__, "layers quantised, by strict:", seen, "same operators:", same)
raise SystemExit(not same or list(seen.values()) != [2, 0, 0, 2, 2, 2])
PYTHON
"$work/venv/bin/python" "$work/case.py"
