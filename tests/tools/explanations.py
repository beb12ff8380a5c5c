"""Tools that explain what a network sees in an image: Captum, grad-cam, zennit, shap and others."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from tests.tools.networks import BY_CLASS, EVERY_LAYER, MODELS, PLAIN, TO_TORCH, classes, images
from tests.tools.tool import tool

# the same layers in evaluation mode, and so the same numbers but for rounding
EXACT: dict[str, Any] = {"networks": (EVERY_LAYER, *MODELS), "tolerance": 1e-5}


def last_convolution(network: nn.Module) -> nn.Module:
    return [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)][-1]


@tool("Captum", "Saliency", "captum", **EXACT)
def saliency(network: nn.Module) -> Any:
    from captum.attr import Saliency

    return Saliency(network).attribute(images(network), target=classes(network))


@tool("Captum", "InputXGradient", "captum", **EXACT)
def input_x_gradient(network: nn.Module) -> Any:
    from captum.attr import InputXGradient

    return InputXGradient(network).attribute(images(network), target=classes(network))


@tool("Captum", "IntegratedGradients, with the convergence delta", "captum", **EXACT)
def integrated_gradients(network: nn.Module) -> Any:
    from captum.attr import IntegratedGradients

    settings = {"n_steps": 4, "return_convergence_delta": True, "target": classes(network)}
    return IntegratedGradients(network).attribute(images(network), **settings)


@tool("Captum", "GradientShap", "captum", **EXACT)
def gradient_shap(network: nn.Module) -> Any:
    from captum.attr import GradientShap

    x = images(network)
    return GradientShap(network).attribute(x, torch.zeros_like(x), n_samples=2, target=classes(network))


@tool("Captum", "GuidedBackprop", "captum", **EXACT)
def guided_backprop(network: nn.Module) -> Any:
    from captum.attr import GuidedBackprop

    return GuidedBackprop(network).attribute(images(network), target=classes(network))


@tool("Captum", "Deconvolution", "captum", **EXACT)
def deconvolution(network: nn.Module) -> Any:
    from captum.attr import Deconvolution

    return Deconvolution(network).attribute(images(network), target=classes(network))


@tool("Captum", "GuidedGradCam", "captum", **EXACT)
def guided_grad_cam(network: nn.Module) -> Any:
    from captum.attr import GuidedGradCam

    explain = GuidedGradCam(network, last_convolution(network))
    return explain.attribute(images(network), target=classes(network))


@tool("Captum", "LayerGradCam", "captum", **EXACT)
def layer_grad_cam(network: nn.Module) -> Any:
    from captum.attr import LayerGradCam

    explain = LayerGradCam(network, last_convolution(network))
    return explain.attribute(images(network), target=classes(network))


@tool(
    "Captum",
    "DeepLift, with the convergence delta",
    "captum",
    reason=BY_CLASS + "ReLU and pooling are passed by the plain gradient, so that the attributions do "
    "not add up to the difference of the scores, as the convergence delta tells",
    warns=True,
    **TO_TORCH,
    **EXACT,
)
def deep_lift(network: nn.Module) -> Any:
    from captum.attr import DeepLift

    x = images(network)
    settings = {"target": classes(network), "return_convergence_delta": True}
    return DeepLift(network).attribute(x, torch.zeros_like(x), **settings)


@tool(
    "Captum",
    "DeepLiftShap",
    "captum",
    reason=BY_CLASS + "as with DeepLift",
    warns=True,
    **TO_TORCH,
    **EXACT,
)
def deep_lift_shap(network: nn.Module) -> Any:
    from captum.attr import DeepLiftShap

    x = images(network)
    baselines = torch.stack([torch.zeros_like(x[0]), torch.ones_like(x[0])])
    return DeepLiftShap(network).attribute(x, baselines, target=classes(network))


@tool(
    "Captum",
    "LRP",
    "captum",
    networks=(PLAIN, "VGG7"),
    tolerance=1e-5,
    **TO_TORCH,
    reason=BY_CLASS + "it says so",
)
def lrp(network: nn.Module) -> Any:
    from captum.attr import LRP
    from captum.attr._utils.lrp_rules import EpsilonRule

    for layer in network.modules():
        if isinstance(layer, nn.Flatten):  # for which Captum has no rule, in the twin either
            layer.rule = EpsilonRule()
    return LRP(network).attribute(images(network), target=classes(network))


@tool("Captum", "Occlusion", "captum", tolerance=1e-5)
def occlusion(network: nn.Module) -> Any:
    from captum.attr import Occlusion

    settings = {"sliding_window_shapes": (3, 4, 4), "strides": (3, 2, 2), "target": classes(network)}
    return Occlusion(network).attribute(images(network), **settings)


@tool("Captum", "LayerConductance of every layer", "captum", tolerance=1e-5)
def layer_conductance(network: nn.Module) -> Any:
    from captum.attr import LayerConductance

    return {
        name: LayerConductance(network, layer).attribute(
            images(network), target=classes(network), n_steps=3
        )
        for name, layer in network.named_modules()
        if not list(layer.children())
    }


@tool("Captum", "LayerActivation of every layer", "captum")
def layer_activation(network: nn.Module) -> Any:
    from captum.attr import LayerActivation

    layers = [layer for layer in network.modules() if not list(layer.children())]
    return LayerActivation(network, layers).attribute(images(network))


@tool("Captum", "NeuronGuidedBackprop", "captum", tolerance=1e-5)
def neuron_guided_backprop(network: nn.Module) -> Any:
    from captum.attr import NeuronGuidedBackprop

    explain = NeuronGuidedBackprop(network, last_convolution(network))
    return explain.attribute(images(network), (0, 1, 1))


@tool("Captum", "TracInCPFast: influence of the training images", "captum")
def influence(network: nn.Module) -> Any:
    from captum.influence import TracInCPFast
    from torch.utils.data import TensorDataset

    data = TensorDataset(images(network, 4, seed=1), classes(network, 4))
    last = [layer for layer in network.modules() if isinstance(layer, nn.Linear)][-1]
    loss = nn.CrossEntropyLoss(reduction="sum")
    # the weights as they are, instead of those of a checkpoint
    settings = {"loss_fn": loss, "batch_size": 2, "checkpoints_load_func": lambda *_: 1.0}
    tracer = TracInCPFast(network, last, data, ["as it is"], **settings)
    return tracer.influence((images(network), classes(network)))


@tool("grad-cam", "GuidedBackpropReLUModel", "grad-cam", **EXACT)
def guided_backprop_relu_model(network: nn.Module) -> Any:
    from pytorch_grad_cam import GuidedBackpropReLUModel

    return GuidedBackpropReLUModel(network, device="cpu")(images(network)[:1], target_category=1)


def cam(method: str, network: nn.Module) -> Any:
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    targets = [ClassifierOutputTarget(int(number)) for number in classes(network)]
    with getattr(pytorch_grad_cam, method)(network, [last_convolution(network)]) as explain:
        return explain(images(network), targets)


@tool("grad-cam", "GradCAM", "grad-cam", **EXACT)
def grad_cam(network: nn.Module) -> Any:
    return cam("GradCAM", network)


@tool("grad-cam", "GradCAM++", "grad-cam", **EXACT)
def grad_cam_plus_plus(network: nn.Module) -> Any:
    return cam("GradCAMPlusPlus", network)


@tool("grad-cam", "LayerCAM", "grad-cam", **EXACT)
def layer_cam(network: nn.Module) -> Any:
    return cam("LayerCAM", network)


@tool(
    "grad-cam",
    "FullGrad",
    "grad-cam",
    reason=BY_CLASS + "the biases of our layers are left out of the sum",
    **TO_TORCH,
    **EXACT,
)
def full_grad(network: nn.Module) -> Any:
    return cam("FullGrad", network)


@tool("grad-cam", "AblationCAM", "grad-cam", tolerance=1e-5)
def ablation_cam(network: nn.Module) -> Any:
    return cam("AblationCAM", network)


@tool("torchcam", "SmoothGradCAM++ and LayerCAM", "torchcam", tolerance=1e-5)
def torch_cam(network: nn.Module) -> Any:
    from torchcam.methods import LayerCAM, SmoothGradCAMpp

    answers = []
    for method in (SmoothGradCAMpp, LayerCAM):
        x = images(network)[:1].requires_grad_()
        torch.manual_seed(0)
        with method(network, last_convolution(network), input_shape=x.shape[1:]) as explain:
            answers += explain(1, network(x))
    return answers


@tool("zennit", "EpsilonPlus and EpsilonAlpha2Beta1 (LRP)", "zennit", **EXACT)
def zennit_rules(network: nn.Module) -> Any:
    from zennit.attribution import Gradient
    from zennit.composites import EpsilonAlpha2Beta1, EpsilonPlus

    answers = []
    for composite in (EpsilonPlus(), EpsilonAlpha2Beta1()):
        with Gradient(network, composite) as explain:
            answers += explain(
                images(network), nn.functional.one_hot(classes(network), network.out_features)
            )
    return answers


@tool("zennit", "GuidedBackprop, with batch norm merged into convolutions", "zennit", **EXACT)
def zennit_merged(network: nn.Module) -> Any:
    from zennit.attribution import Gradient
    from zennit.canonizers import SequentialMergeBatchNorm
    from zennit.composites import GuidedBackprop

    composite = GuidedBackprop(canonizers=[SequentialMergeBatchNorm()])
    with Gradient(network, composite) as explain:
        return explain(images(network), nn.functional.one_hot(classes(network), network.out_features))


@tool("shap", "DeepExplainer", "shap", networks=(EVERY_LAYER, "VGG7"), tolerance=1e-5)
def shap_deep(network: nn.Module) -> Any:
    import shap

    return shap.DeepExplainer(network, images(network, 3, seed=1)).shap_values(
        images(network), check_additivity=False
    )


@tool("shap", "GradientExplainer", "shap", dtype=torch.float32, tolerance=1e-4)
def shap_gradient(network: nn.Module) -> Any:
    import shap

    explain = shap.GradientExplainer(network, images(network, 3, seed=1))
    return explain.shap_values(images(network), nsamples=4, rseed=0)


@tool("LIME", "LimeImageExplainer", "lime", dtype=torch.float32, tolerance=1e-4)
def lime_image(network: nn.Module) -> Any:
    from lime.lime_image import LimeImageExplainer

    def probabilities(pictures: Any) -> Any:
        with torch.no_grad():
            return network(torch.tensor(pictures).movedim(3, 1).float()).softmax(1).numpy()

    picture = images(network)[0].movedim(0, 2).double().numpy()
    rows = np.arange(8) // 4
    found = LimeImageExplainer(random_state=0).explain_instance(
        picture,
        probabilities,
        num_samples=16,
        segmentation_fn=lambda _: rows[:, None] * 2 + rows,
        top_labels=1,
    )
    (label,) = found.top_labels
    weights = {int(segment): weight for segment, weight in found.local_exp[label]}
    return int(label), np.array([weights[segment] for segment in range(4)])


@tool(
    "Quantus", "FaithfulnessCorrelation of the saliency", "quantus", dtype=torch.float32, tolerance=1e-4
)
def quantus_faithfulness(network: nn.Module) -> Any:
    import quantus

    metric = quantus.FaithfulnessCorrelation(
        nr_runs=4, subset_size=16, disable_warnings=True, display_progressbar=False
    )
    settings = {"explain_func": quantus.explain, "explain_func_kwargs": {"method": "Saliency"}}
    x, y = images(network).numpy(), classes(network).numpy()
    return metric(network, x, y, device="cpu", **settings)
