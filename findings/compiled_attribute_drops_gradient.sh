#!/usr/bin/env bash
# torch 2.13.0 (the same on 2.14.1 and 2.15.0): a Function that notes something on its output, an
# attribute of a tensor as some libraries carry a mask or a scale along, gives right gradients in eager
# execution. Under torch.compile, with fullgraph=True and even the backend "eager", the gradient through
# the Function is lost in silence.
#
# Expected: of x · f(x) with f the identity, at 3: 6. Seen: 6 without the attribute, 3 with it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'torch==2.13.0' 'numpy==2.3.5'
cat > "$work/case.py" <<'PYTHON'
import torch


class Plain(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad_z):
        return grad_z


class Noting(Plain):
    @staticmethod
    def forward(ctx, x):
        z = x.clone()
        z.source = x
        return z


def slopes(function):
    def product(x):
        return x * function.apply(x)

    x = torch.tensor(3.0, requires_grad=True)
    compiled = torch.compile(product, backend="eager", fullgraph=True)
    return [torch.autograd.grad(f(x), x)[0].item() for f in (product, compiled)]


seen = {function.__name__: slopes(function) for function in (Plain, Noting)}
print(torch.__version__, seen)
raise SystemExit(seen != {"Plain": [6.0, 6.0], "Noting": [6.0, 3.0]})
PYTHON
"$work/venv/bin/python" "$work/case.py"
