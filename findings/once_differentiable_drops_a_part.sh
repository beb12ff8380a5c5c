#!/usr/bin/env bash
# torch 2.13.0 (the same on 2.14.1 and 2.15.0): a backward under once_differentiable is to raise an error
# when it is differentiated again. By slope.backward() it does. torch.autograd.grad(slope, x), which
# gradient penalties and Hessians use, visits only what leads to x, and the node with the error does not:
# if another term leads to x, the part of the Function is lost in silence.
#
# Expected: of x² + x³ at 3, 2 + 6 · 3 = 20, or the error; of (x² + x³)², 3618, or the error. Seen by
# grad: 18 and 3078.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'torch==2.13.0' 'numpy==2.3.5'
cat > "$work/case.py" <<'PYTHON'
import torch
from torch.autograd.function import once_differentiable


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_z):
        (x,) = ctx.saved_tensors
        return 2 * x * grad_z


def second_derivative(power, by):
    x = torch.tensor(3.0, requires_grad=True)
    (slope,) = torch.autograd.grad((Square.apply(x) + x**3) ** power, x, create_graph=True)
    try:
        if by == "grad":
            return torch.autograd.grad(slope, x)[0].item()
        slope.backward()
        return x.grad.item()
    except RuntimeError as error:
        return "twice differentiable" if "differentiate twice" in str(error) else str(error)


seen = {(power, by): second_derivative(power, by) for power in (1, 2) for by in ("grad", "backward")}
print(torch.__version__, seen)
error = "twice differentiable"
raise SystemExit(list(seen.values()) != [18.0, error, 3078.0, error])
PYTHON
"$work/venv/bin/python" "$work/case.py"
