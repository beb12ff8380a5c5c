#!/usr/bin/env bash
# torch 2.13.0 (the same on 2.11.0, 2.14.1 and 2.15.0): a Function with generate_vmap_rule that saves its
# tensors in one order for the backward and in another for forward mode gets wrong gradients under
# torch.vmap, without an error. The generated rule remembers the batch axes of the list saved last, and
# reads the other list by them. Saving None for what a backward does not need is a TypeError there.
#
# Expected: the gradient of Σ x·w by w is the sum of the xs, [4, 6]. Seen: [8, 12].
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'torch==2.13.0' 'numpy==2.3.5'
cat > "$work/case.py" <<'PYTHON'
import torch


class Product(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x, w):
        return x * w

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, w = inputs
        ctx.save_for_backward(x, w)
        ctx.save_for_forward(*((w, x) if ctx.other_order else (x, w)))

    @staticmethod
    def backward(ctx, grad_z):
        x, w = ctx.saved_tensors
        return grad_z * w, grad_z * x


class OneOrder(Product):
    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.other_order = False
        Product.setup_context(ctx, inputs, output)


class TwoOrders(Product):
    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.other_order = True
        Product.setup_context(ctx, inputs, output)


xs = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
seen = {}
for function in (OneOrder, TwoOrders):
    w = torch.tensor([10.0, 20.0], requires_grad=True)
    z = torch.vmap(function.apply, (0, None))(xs, w)
    seen[function.__name__] = torch.autograd.grad(z.sum(), w)[0].tolist()
print(torch.__version__, seen)
raise SystemExit(seen != {"OneOrder": [4.0, 6.0], "TwoOrders": [8.0, 12.0]})
PYTHON
"$work/venv/bin/python" "$work/case.py"
