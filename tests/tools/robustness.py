"""Tools that attack a network, or bound what an attack can do."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from tests.tools.networks import classes, images, loss
from tests.tools.tool import tool

# attacks clip to the range of images, and take signs, which rounding may turn
CLIPPED: dict[str, Any] = {"dtype": torch.float32, "tolerance": 1e-4}


def pictures(network: nn.Module) -> torch.Tensor:
    return images(network).sigmoid()


@tool("torchattacks", "FGSM, PGD and CW", "torchattacks", **CLIPPED)
def torch_attacks(network: nn.Module) -> Any:
    import torchattacks

    x, y = pictures(network), classes(network)
    attacks = (
        torchattacks.FGSM(network),
        torchattacks.PGD(network, steps=3),
        torchattacks.CW(network, steps=3),
    )
    return [attack(x, y) for attack in attacks]


@tool("Foolbox", "LinfPGD and L2DeepFool", "foolbox", **CLIPPED)
def foolbox_attacks(network: nn.Module) -> Any:
    import foolbox

    model = foolbox.PyTorchModel(network, bounds=(0, 1), device="cpu")
    x, y = pictures(network), classes(network)
    deep_fool = foolbox.attacks.L2DeepFoolAttack(steps=3)
    attacks = foolbox.attacks.LinfPGD(steps=3, random_start=False), deep_fool
    return [attack(model, x, y, epsilons=0.1)[:2] for attack in attacks]


@tool("ART", "FastGradientMethod and class gradients", "adversarial-robustness-toolbox", **CLIPPED)
def art_attacks(network: nn.Module) -> Any:
    from art.attacks.evasion import FastGradientMethod
    from art.estimators.classification import PyTorchClassifier

    classifier = PyTorchClassifier(
        network,
        loss(network),
        tuple(images(network).shape[1:]),
        network.out_features,
        clip_values=(0, 1),
        device_type="cpu",
    )
    x = pictures(network).numpy()
    attacked = FastGradientMethod(classifier, eps=0.1).generate(x, np.array(classes(network)))
    return (
        attacked,
        classifier.class_gradient(x),
        [classifier.get_activations(x, layer, batch_size=2) for layer in range(3)],
    )
