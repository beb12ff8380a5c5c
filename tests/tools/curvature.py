"""Tools that ask for more than the gradient: each image's, second derivatives, posteriors."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from tests.tools.networks import BY_CLASS, PLAIN, TO_TORCH, classes, images, loss
from tests.tools.tool import tool


def data(network: nn.Module) -> DataLoader[tuple[torch.Tensor, ...]]:
    return DataLoader(TensorDataset(images(network, 4), classes(network, 4)), 2)


@tool(
    "BackPACK",
    "BatchGrad, DiagGGN, KFAC",
    "backpack-for-pytorch",
    networks=(PLAIN,),
    reason=BY_CLASS + "it says that it knows no rule for them",
    **TO_TORCH,
)
def backpack_extensions(network: nn.Module) -> Any:
    from backpack import backpack, extend
    from backpack.extensions import KFLR, BatchGrad, DiagGGNExact

    # by hand, since BackPACK's Sequential is torch.nn's
    model, criterion = extend(nn.Sequential(*network)), extend(loss(network))
    with backpack(BatchGrad(), DiagGGNExact(), KFLR()):
        criterion(model(images(network)), classes(network)).backward()
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
    return [kind(network, loss(network), weights, batches) @ vector for kind in kinds]


@tool("curvlinops", "KFAC times a vector", "curvlinops-for-pytorch", networks=(PLAIN,))
def kfac_product(network: nn.Module) -> Any:
    from curvlinops import KFACLinearOperator

    parameters = list(network.parameters())
    vector = torch.ones(sum(weight.numel() for weight in parameters), dtype=torch.float64)
    batches = [(images(network), classes(network))]
    settings = {"fisher_type": "empirical"}
    return KFACLinearOperator(network, loss(network), parameters, batches, **settings) @ vector


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


@tool(
    "NNGeometry",
    "Fisher matrix, dense and KFAC",
    "nngeometry",
    networks=(PLAIN,),
    dtype=torch.float32,
    tolerance=1e-4,
)
def nn_geometry(network: nn.Module) -> Any:
    from nngeometry.metrics import FIM
    from nngeometry.object import PMatDense, PMatKFAC

    return [
        FIM(
            model=network, loader=data(network), representation=kind, variant="classif_logits"
        ).to_torch()
        for kind in (PMatDense, PMatKFAC)
    ]


@tool("torchjd", "gradients of several losses, by MGDA", "torchjd")
def torch_jd(network: nn.Module) -> Any:
    from torchjd.aggregation import MGDA
    from torchjd.autojac import backward, jac_to_grad

    x = images(network)
    z = network(x)
    losses = [nn.functional.cross_entropy(z, classes(network)), z.square().mean()]
    backward(losses)
    jac_to_grad(network.parameters(), MGDA())
    return [weight.grad for weight in network.parameters()]
