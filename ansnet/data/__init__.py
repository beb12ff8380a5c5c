"""Data sets as Lightning data modules."""

from ansnet.data.cifar10 import CIFAR10DataModule
from ansnet.data.cifar100 import CIFAR100DataModule
from ansnet.data.datamodule import DataError, ImageDataModule
from ansnet.data.fashionmnist import FashionMNISTDataModule
from ansnet.data.folder import FolderDataModule
from ansnet.data.registry import DATA_MODULES, make_data_module
from ansnet.data.shapes10 import Shapes10DataModule
from ansnet.data.svhn import SVHNDataModule

__all__ = [
    "DATA_MODULES",
    "CIFAR10DataModule",
    "CIFAR100DataModule",
    "DataError",
    "FashionMNISTDataModule",
    "FolderDataModule",
    "ImageDataModule",
    "SVHNDataModule",
    "Shapes10DataModule",
    "make_data_module",
]
