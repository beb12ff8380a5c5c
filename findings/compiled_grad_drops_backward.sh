#!/usr/bin/env bash
# torch 2.13.0 (the same on 2.11.0 and 2.14.1; PyTorch's issues 192985 and 193279): torch.func.grad inside
# of torch.compile does not call a Function's backward. It differentiates the expression that the forward
# is made of, without an error. Eager, the gradient of a straight-through rounding is 1; compiled, 0. On
# 2.15.0 this case is right, and the gradient of a gradient still is not.
#
# Who compiles a training step of quantised layers by torch.func trains nothing.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'torch==2.13.0' 'numpy==2.3.5'
cat > "$work/case.py" <<'PYTHON'
import torch


class Round(torch.autograd.Function):
    @staticmethod
    def forward(x):
        return x.round()

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, grad_z):
        return grad_z


gradient = torch.func.grad(lambda x: Round.apply(x).sum())
x = torch.tensor([0.2, 0.7, 1.4])
eager = gradient(x).tolist()
compiled = torch.compile(gradient, backend="aot_eager", fullgraph=True)(x).tolist()
print(torch.__version__, "eager", eager, "compiled", compiled)
raise SystemExit(eager != [1.0] * 3 or compiled != [0.0] * 3)
PYTHON
"$work/venv/bin/python" "$work/case.py"
