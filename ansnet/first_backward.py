"""The first derivative of a process, which decides whether its forks can take any."""

from __future__ import annotations

import torch


def first_backward() -> None:
    """Take a derivative, the least that there is.

    PyTorch's autograd cannot be used in a fork of a process that generated code (`torch.compile`)
    before it first did so, nor in one in which its threads are at work.

    Raises:
        RuntimeError: this process is a fork of such a one.
    """
    with torch.inference_mode(False), torch.enable_grad():
        x = torch.ones(1, requires_grad=True)
        torch.autograd.grad(x.sum(), x)
