#!/usr/bin/env bash
# torch 2.13.0 (the same on 2.11.0, 2.14.1 and 2.15.0): under torch.vmap a Function with
# generate_vmap_rule and two outputs, of which one depends on no batched input, gives that output's
# gradient as many times as the batch is large. The output is shared, its gradient is shared, and the
# rule adds it to every entry's gradient before it sums them.
#
# Expected: the gradient of the mean of three numbers, 1/3 each. Seen: 4/3 each in a batch of four.
# Batch normalisation that returns its statistics beside z, by weights that are batched, is such a Function.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'torch==2.13.0' 'numpy==2.3.5'
cat > "$work/case.py" <<'PYTHON'
import torch


class Centred(torch.autograd.Function):
    """z = (x − m) · w and m, the mean of x."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x, w):
        m = x.mean()
        return (x - m) * w, m

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs, output[1])

    @staticmethod
    def backward(ctx, grad_z, grad_m):
        x, w, m = ctx.saved_tensors
        grad_x = grad_z * w
        return grad_x - grad_x.mean() + grad_m / len(x), (grad_z * (x - m)).sum()


x = torch.tensor([1.0, 2.0, 6.0], requires_grad=True)
weights = torch.tensor([1.0, 2.0, 3.0, 4.0])
_, means = torch.vmap(Centred.apply, (None, 0))(x, weights)  # four times the same mean
batched = torch.autograd.grad(means[0], x)[0]
_, mean = Centred.apply(x, weights[0])
alone = torch.autograd.grad(mean, x)[0]
print(torch.__version__, "alone", alone.tolist(), "the first of a batch of four", batched.tolist())
raise SystemExit(not torch.allclose(batched, 4 * alone) or not torch.allclose(alone, torch.ones(3) / 3))
PYTHON
"$work/venv/bin/python" "$work/case.py"
