"""Networks, each a line of the notebook's notation."""

from ansnet.models.notation import Network, NotationError, torch_twin
from ansnet.models.registry import UnknownModelError, create_model, list_models
from ansnet.models.resnet import ResNet9
from ansnet.models.vgg import VGG7, VGG7BN

__all__ = [
    "VGG7",
    "VGG7BN",
    "Network",
    "NotationError",
    "ResNet9",
    "UnknownModelError",
    "create_model",
    "list_models",
    "torch_twin",
]
