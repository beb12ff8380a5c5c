"""Layers: thin modules over `ansnet.functional`, each in the place of its `torch.nn` twin.

Parameters, buffers and state-dict keys are those of `torch.nn`, so weights move both ways.
"""

from ansnet.modules.activation import ReLU
from ansnet.modules.conv import Conv2d
from ansnet.modules.conversion import from_torch, kept_layers, synchronized, to_torch
from ansnet.modules.linear import Linear
from ansnet.modules.loss import SoftmaxCrossEntropy
from ansnet.modules.normalization import BatchNorm1d, BatchNorm2d, SyncBatchNorm
from ansnet.modules.pooling import MaxPool2d
from ansnet.modules.residual import Residual
from ansnet.modules.sequence import Sequence
from ansnet.modules.shape import Flatten

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv2d",
    "Flatten",
    "Linear",
    "MaxPool2d",
    "ReLU",
    "Residual",
    "Sequence",
    "SoftmaxCrossEntropy",
    "SyncBatchNorm",
    "from_torch",
    "kept_layers",
    "synchronized",
    "to_torch",
]
