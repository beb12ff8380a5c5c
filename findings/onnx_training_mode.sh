#!/usr/bin/env bash
# torch 2.13.0 with onnxscript 0.7.2 (the same on torch 2.11.0, 2.14.1 and 2.15.0): torch.onnx.export of a
# network in training mode, which the exporter allows ("Please ensure that this is intentional"), writes a
# file that is in neither mode. Dropout is that of training, random in every run; batch normalisation is
# that of evaluation, by the running averages, although the exported program in the same ONNXProgram says
# training=True. In a network without dropout the file answers what evaluation would, to the last digits.
#
# Who exports in training mode on purpose, to adapt to the batch for example, gets other numbers; who forgot
# .eval() notices nothing in a network without dropout, and takes it that none is needed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'torch==2.13.0' 'numpy==2.4.6' 'onnx==1.23.2' 'onnxscript==0.7.2' \
  'onnxruntime==1.32.0'
cat > "$work/case.py" <<'PYTHON'
import copy
import os
import sys
import warnings

import torch
from onnxruntime import InferenceSession
from torch import nn

warnings.simplefilter("ignore")
torch.manual_seed(0)
x = torch.randn(8, 3, 4, 4)


def answers(network):
    """The network's in training and in evaluation mode, and the file's, twice."""
    file = os.path.join(sys.argv[1], "network.onnx")
    program = torch.onnx.export(network.train(), (x,), dynamo=True, verbose=False)
    program.save(file)
    session = InferenceSession(file)
    name = session.get_inputs()[0].name
    first, second = (torch.from_numpy(session.run(None, {name: x.numpy()})[0]) for _ in range(2))
    modes = [copy.deepcopy(network).train(mode)(x).detach() for mode in (True, False)]
    return program.exported_program, *modes, first, second


norm = nn.BatchNorm2d(3)
norm.running_mean.fill_(5.0)
program, training, evaluation, file, _ = answers(norm)
[node] = [node for node in program.graph.nodes if "batch_norm" in str(node.target)]
says_training = node.args[5]
apart = [(file - mode).abs().max().item() for mode in (training, evaluation)]
_, _, _, first, second = answers(nn.Dropout(0.5))
is_random = not torch.equal(first, second)
print(torch.__version__, "the program says training:", says_training)
print("file from training %.3g, from evaluation %.3g; dropout is random: %s" % (*apart, is_random))
raise SystemExit(not (says_training and is_random and apart[0] > 1 and apart[1] < 1e-5))
PYTHON
"$work/venv/bin/python" "$work/case.py" "$work"
