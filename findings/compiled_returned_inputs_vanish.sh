#!/usr/bin/env bash
# torch 2.14.1 (right in 2.15.0): a Function that takes forward(ctx, *inputs) and returns its inputs, as
# hooks and barriers in the graph do, loses the first of them in silence where it is compiled under
# torch.no_grad. With forward(ctx, x, y), or in training, both come back.
#
# Expected: two tensors, of shapes [2] and [3]. Seen: one, of shape [3].
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'torch==2.14.1' 'numpy==2.3.5'
cat > "$work/case.py" <<'PYTHON'
import torch


class Named(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, y):
        return x, y

    @staticmethod
    def backward(ctx, *grads):
        return grads


class Gathered(Named):
    @staticmethod
    def forward(ctx, *inputs):
        return inputs


def shapes(function, training):
    x, y = torch.ones(2, requires_grad=True), torch.zeros(3, requires_grad=True)
    torch._dynamo.reset()
    compiled = torch.compile(lambda x, y: function.apply(x, y), backend="eager", fullgraph=True)
    with torch.set_grad_enabled(training):
        return [list(z.shape) for z in compiled(x, y)]


seen = [shapes(function, training) for function in (Named, Gathered) for training in (True, False)]
print(torch.__version__, seen)
raise SystemExit(seen != [[[2], [3]], [[2], [3]], [[2], [3]], [[3]]])
PYTHON
"$work/venv/bin/python" "$work/case.py"
