"""Data sets as Lightning data modules."""

from ansnet.data.cifar10 import CIFAR10DataModule
from ansnet.data.datamodule import DataError, ImageDataModule
from ansnet.data.shapes10 import Shapes10DataModule

__all__ = ["CIFAR10DataModule", "DataError", "ImageDataModule", "Shapes10DataModule"]
