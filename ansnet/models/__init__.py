"""Networks, each a line of the notebook's notation."""

from ansnet.models.notation import Network, NotationError, torch_twin
from ansnet.models.pretrained import list_pretrained, load_pretrained
from ansnet.models.registry import UnknownModelError, create_model, list_models
from ansnet.models.resnet import ResNet9
from ansnet.models.vgg import VGG7, VGG7BN
from ansnet.models.weights import WeightsError

__all__ = [
    "VGG7",
    "VGG7BN",
    "Network",
    "NotationError",
    "ResNet9",
    "UnknownModelError",
    "WeightsError",
    "create_model",
    "list_models",
    "list_pretrained",
    "load_pretrained",
    "torch_twin",
]
