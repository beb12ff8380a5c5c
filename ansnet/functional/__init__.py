"""Differentiable functions: each operation a formula, forward and backward.

One file an operation. Each file's docstring has the formula, its `torch.autograd.Function` the
same formula in code, and its snake_case function the checks and the keyword arguments. In
`arrangements` are a convolution's sums in other orders.
"""

from ansnet.functional.activation import ReLU, relu
from ansnet.functional.arrangements.plain import plain_sums
from ansnet.functional.conv import Conv2d, conv2d
from ansnet.functional.fused import BatchNormReLU2d, batch_norm_relu2d
from ansnet.functional.linear import Linear, linear
from ansnet.functional.loss import SoftmaxCrossEntropy, SoftTargetCrossEntropy, cross_entropy
from ansnet.functional.normalization import BatchNorm1d, BatchNorm2d, batch_norm1d, batch_norm2d
from ansnet.functional.overlapping_pooling import FirstOverlappingMaxPool2d, OverlappingMaxPool2d
from ansnet.functional.pooling import FirstMaxPool2d, MaxPool2d, max_pool2d, relu_max_pool2d
from ansnet.functional.shape import Reshape, flatten, reshape
from ansnet.functional.synchronized import SumOverProcesses, SyncBatchNorm, sync_batch_norm

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNormReLU2d",
    "Conv2d",
    "FirstMaxPool2d",
    "FirstOverlappingMaxPool2d",
    "Linear",
    "MaxPool2d",
    "OverlappingMaxPool2d",
    "ReLU",
    "Reshape",
    "SoftTargetCrossEntropy",
    "SoftmaxCrossEntropy",
    "SumOverProcesses",
    "SyncBatchNorm",
    "batch_norm1d",
    "batch_norm2d",
    "batch_norm_relu2d",
    "conv2d",
    "cross_entropy",
    "flatten",
    "linear",
    "max_pool2d",
    "plain_sums",
    "relu",
    "relu_max_pool2d",
    "reshape",
    "sync_batch_norm",
]
