"""Tools that ask for more than the gradient: each image's, second derivatives, posteriors."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from tests.tools.networks import PLAIN, TO_TORCH, classes, images
from tests.tools.tool import tool

BY_CLASS = "goes by the exact class of each layer, and knows no rule for ours, which are subclasses. "


def loss_function(network: nn.Module) -> nn.Module:
    """The loss that belongs to the layers: ours for ours."""
    from ansnet.modules import Conv2d, SoftmaxCrossEntropy

    return SoftmaxCrossEntropy() if isinstance(network.conv1, Conv2d) else nn.CrossEntropyLoss()


def data(network: nn.Module) -> DataLoader[tuple[torch.Tensor, ...]]:
    return DataLoader(TensorDataset(images(network, 4), classes(network, 4)), 2)


@tool(
    "BackPACK",
    "BatchGrad, DiagGGN, KFAC",
    "backpack-for-pytorch",
    networks=(PLAIN,),
    reason=BY_CLASS,
    **TO_TORCH,
)
def backpack_extensions(network: nn.Module) -> Any:
    from backpack import backpack, extend
    from backpack.extensions import KFLR, BatchGrad, DiagGGNExact

    # by hand, since BackPACK's Sequential is torch.nn's
    model, loss = extend(nn.Sequential(*network)), extend(nn.CrossEntropyLoss())
    with backpack(BatchGrad(), DiagGGNExact(), KFLR()):
        loss(model(images(network)), classes(network)).backward()
    return [[weight.grad_batch, weight.diag_ggn_exact, weight.kflr] for weight in model.parameters()]


@tool(
    "curvlinops", "Hessian, GGN and Fisher times a vector", "curvlinops-for-pytorch", networks=(PLAIN,)
)
def curvature_products(network: nn.Module) -> Any:
    from curvlinops import EFLinearOperator, GGNLinearOperator, HessianLinearOperator

    weights = list(network.parameters())
    vector = torch.ones(sum(weight.numel() for weight in weights), dtype=torch.float64)
    batches = [(images(network), classes(network))]
    kinds = HessianLinearOperator, GGNLinearOperator, EFLinearOperator
    parameters = dict(network.named_parameters())
    return [kind(network, nn.CrossEntropyLoss(), parameters, batches) @ vector for kind in kinds]


@tool("curvlinops", "KFAC times a vector", "curvlinops-for-pytorch", networks=(PLAIN,))
def kfac_product(network: nn.Module) -> Any:
    from curvlinops import KFACLinearOperator

    parameters = dict(network.named_parameters())
    vector = torch.ones(sum(weight.numel() for weight in parameters.values()), dtype=torch.float64)
    batches = [(images(network), classes(network))]
    settings = {"fisher_type": "empirical"}
    return KFACLinearOperator(network, nn.CrossEntropyLoss(), parameters, batches, **settings) @ vector


@tool("laplace-torch", "last layer's posterior: predictive probabilities", "laplace-torch")
def laplace_last_layer(network: nn.Module) -> Any:
    from laplace import Laplace

    posterior = Laplace(network, "classification", subset_of_weights="last_layer")
    posterior.fit(data(network))
    return posterior(images(network)), posterior.log_marginal_likelihood()


@tool("laplace-torch", "posterior of all weights, diagonal", "laplace-torch", networks=(PLAIN,))
def laplace_diagonal(network: nn.Module) -> Any:
    from laplace import Laplace
    from laplace.curvature import CurvlinopsGGN

    settings = {"subset_of_weights": "all", "hessian_structure": "diag", "backend": CurvlinopsGGN}
    posterior = Laplace(network, "classification", **settings)
    posterior.fit(data(network))
    return posterior(images(network)), posterior.posterior_precision


@tool("NNGeometry", "Fisher matrix, dense and KFAC", "nngeometry", networks=(PLAIN,))
def nn_geometry(network: nn.Module) -> Any:
    from nngeometry.metrics import FIM
    from nngeometry.object import PMatDense, PMatKFAC

    return [
        FIM(
            model=network,
            loader=data(network),
            representation=kind,
            variant="classif_logits",
            n_output=5,
        ).to_torch()
        for kind in (PMatDense, PMatKFAC)
    ]


@tool("torchjd", "gradients of several losses, by UPGrad", "torchjd")
def torch_jd(network: nn.Module) -> Any:
    from torchjd.aggregation import UPGrad
    from torchjd.autojac import backward, jac_to_grad

    x = images(network)
    z = network(x)
    losses = [nn.functional.cross_entropy(z, classes(network)), z.square().mean()]
    backward(losses)
    jac_to_grad(network.parameters(), UPGrad())
    return [weight.grad for weight in network.parameters()]
