"""Tools that train a network, keep averages of it, adapt it, store it, and spread it over processes."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from tests.tools.networks import BY_CLASS, MODELS, PLAIN, TO_TORCH, classes, images, loss
from tests.tools.tool import tool

# the tool works in float32 alone
SINGLE: dict[str, Any] = {"dtype": torch.float32, "tolerance": 1e-4}


def data(network: nn.Module, batch_size: int = 4) -> DataLoader[tuple[Tensor, ...]]:
    """Two batches of images and classes."""
    return DataLoader(TensorDataset(images(network, 8), classes(network, 8)), batch_size)


def optimizer(network: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)


def train(network: nn.Module, batches: Any, steps: torch.optim.Optimizer) -> None:
    network.train()
    for x, y in batches:
        steps.zero_grad()
        nn.functional.cross_entropy(network(x), y).backward()
        steps.step()


def state(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def kinds(network: nn.Module) -> list[str]:
    return [type(layer).__name__ for layer in network.modules() if not list(layer.children())]


@contextlib.contextmanager
def process_group() -> Iterator[None]:
    """One process that is a group of its own."""
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        yield
    finally:
        torch.distributed.destroy_process_group()


@tool("torch.optim", "weights after two steps", "torch")
def plain_training(network: nn.Module) -> Any:
    train(network, data(network), optimizer(network))
    return state(network)


@tool("swa_utils", "AveragedModel and update_bn", "torch")
def averaged(network: nn.Module) -> Any:
    from torch.optim.swa_utils import AveragedModel, update_bn

    average = AveragedModel(network)
    steps = optimizer(network)
    for _ in range(2):
        train(network, data(network), steps)
        average.update_parameters(network)
    update_bn(data(network), average)
    return state(average)


@tool("DistributedDataParallel", "weights after two steps (gloo)", "torch")
def distributed(network: nn.Module) -> Any:
    from torch.nn.parallel import DistributedDataParallel

    with process_group():
        train(DistributedDataParallel(network), data(network), optimizer(network))
    return state(network)


@tool("FSDP2", "fully_shard each layer: weights after two steps (gloo)", "torch")
def fully_sharded(network: nn.Module) -> Any:
    from torch.distributed.fsdp import fully_shard

    with process_group():
        for layer in network.children():
            if list(layer.parameters()):
                fully_shard(layer, mesh=torch.distributed.init_device_mesh("cpu", (1,)))
        fully_shard(network, mesh=torch.distributed.init_device_mesh("cpu", (1,)))
        train(network, data(network), optimizer(network))
        return {
            name: value.full_tensor().clone() if hasattr(value, "full_tensor") else value
            for name, value in network.state_dict().items()
        }


@tool("SyncBatchNorm", "convert_sync_batchnorm: which layers, and the output", "torch")
def sync_batch_norm(network: nn.Module) -> Any:
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(network)
    kinds = [isinstance(layer, nn.SyncBatchNorm) for layer in converted.modules()]
    return kinds, converted(images(network))


@tool(
    "Lightning", "Trainer: weights after an epoch, with gradient clipping and accumulation", "lightning"
)
def lightning_fit(network: nn.Module) -> Any:
    from lightning.pytorch import LightningModule, Trainer

    class Module(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def training_step(self, batch: list[Tensor]) -> Tensor:
            return nn.functional.cross_entropy(self.network(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return optimizer(self.network)

    with tempfile.TemporaryDirectory() as folder:
        quiet = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False}
        trainer = Trainer(
            default_root_dir=folder,
            accelerator="cpu",
            max_epochs=1,
            gradient_clip_val=0.5,
            accumulate_grad_batches=2,
            **quiet,
        )
        trainer.fit(Module(), data(network))
    return state(network)


@tool("Lightning Fabric", "weights after two steps", "lightning")
def fabric(network: nn.Module) -> Any:
    from lightning.fabric import Fabric

    run = Fabric(accelerator="cpu", devices=1)
    model, steps = run.setup(network, optimizer(network))
    model.train()
    for x, y in run.setup_dataloaders(data(network)):
        steps.zero_grad()
        run.backward(nn.functional.cross_entropy(model(x), y))
        steps.step()
    return state(network)


@tool("accelerate", "Accelerator.prepare: weights after two steps", "accelerate")
def accelerated(network: nn.Module) -> Any:
    from accelerate import Accelerator

    run = Accelerator(cpu=True)
    model, steps, batches = run.prepare(network, optimizer(network), data(network))
    model.train()
    for x, y in batches:
        steps.zero_grad()
        run.backward(nn.functional.cross_entropy(model(x), y))
        steps.step()
    return state(run.unwrap_model(model))


@tool("Ignite", "create_supervised_trainer: weights after an epoch", "pytorch-ignite")
def ignite_trainer(network: nn.Module) -> Any:
    from ignite.engine import create_supervised_trainer

    create_supervised_trainer(network, optimizer(network), loss(network)).run(data(network))
    return state(network)


@tool("skorch", "NeuralNetClassifier: weights after an epoch, and the predictions", "skorch", **SINGLE)
def skorch_fit(network: nn.Module) -> Any:
    from skorch import NeuralNetClassifier

    classifier = NeuralNetClassifier(
        network, criterion=type(loss(network)), max_epochs=1, train_split=None, verbose=0, batch_size=4
    )
    x, y = images(network, 8), classes(network, 8)
    classifier.fit(x, y)
    return state(classifier.module_), classifier.predict_proba(x)


@tool("Poutyne", "Model.fit: weights after an epoch", "poutyne", **SINGLE)
def poutyne_fit(network: nn.Module) -> Any:
    from poutyne import Model

    model = Model(network, optimizer(network), "cross_entropy", batch_metrics=["accuracy"])
    model.fit_generator(data(network), epochs=1, verbose=False)
    return state(network)


@tool("fastai", "Learner.fit: weights after an epoch", "fastai", **SINGLE)
def fastai_fit(network: nn.Module) -> Any:
    import fastai.callback.progress  # noqa: F401  which gives Learner its no_bar
    from fastai.learner import DataLoaders, Learner
    from fastai.optimizer import SGD

    with tempfile.TemporaryDirectory() as folder:
        loaders = DataLoaders(data(network), data(network), device="cpu")
        learner = Learner(loaders, network, loss(network), SGD, path=Path(folder), model_dir=folder)
        with learner.no_bar(), learner.no_logging():
            learner.fit(1, lr=0.01)
    return state(network)


@tool("torch-lr-finder", "range_test: losses by learning rate", "torch-lr-finder", **SINGLE)
def lr_finder(network: nn.Module) -> Any:
    from torch_lr_finder import LRFinder

    finder = LRFinder(network, optimizer(network), loss(network), device="cpu")
    finder.range_test(data(network), end_lr=1, num_iter=4)
    return torch.tensor(finder.history["loss"])


@tool("timm", "ModelEmaV3: averaged weights", "timm")
def timm_average(network: nn.Module) -> Any:
    from timm.utils import ModelEmaV3

    average = ModelEmaV3(network, decay=0.5)
    train(network, data(network), optimizer(network))
    average.update(network)
    return state(average.module)


@tool("timm", "param_groups_weight_decay: which weights decay", "timm")
def timm_groups(network: nn.Module) -> Any:
    from timm.optim import param_groups_weight_decay

    names = {weight: name for name, weight in network.named_parameters()}
    return [
        (group["weight_decay"], [names[weight] for weight in group["params"]])
        for group in param_groups_weight_decay(network, 0.1)
    ]


@tool("timm", "convert_sync_batchnorm, freeze_batch_norm_2d", "timm")
def timm_layers(network: nn.Module) -> Any:
    from timm.layers import convert_sync_batchnorm
    from timm.utils.model import freeze_batch_norm_2d

    converted = convert_sync_batchnorm(network)
    answer = kinds(converted)
    return answer, kinds(freeze_batch_norm_2d(converted))


@tool("torch-ema", "ExponentialMovingAverage", "torch-ema")
def torch_ema_average(network: nn.Module) -> Any:
    from torch_ema import ExponentialMovingAverage

    average = ExponentialMovingAverage(network.parameters(), decay=0.5)
    train(network, data(network), optimizer(network))
    average.update()
    with average.average_parameters():
        return state(network)


@tool("ema-pytorch", "EMA: averaged weights", "ema-pytorch")
def ema_average(network: nn.Module) -> Any:
    from ema_pytorch import EMA

    average = EMA(network, beta=0.5, update_every=1, update_after_step=0)
    train(network, data(network), optimizer(network))
    average.update()
    return state(average.ema_model)


@tool("pytorch-optimizer", "SAM around AdamP: weights after two steps", "pytorch-optimizer")
def sharpness_aware(network: nn.Module) -> Any:
    from pytorch_optimizer import SAM, AdamP

    steps = SAM(network.parameters(), base_optimizer=AdamP, lr=1e-3)
    network.train()
    for x, y in data(network):
        for finish in (steps.first_step, steps.second_step):
            nn.functional.cross_entropy(network(x), y).backward()
            finish(zero_grad=True)
    return state(network)


@tool("PEFT", "LoRA of convolutions and linear layers: trained, then merged", "peft", **SINGLE)
def lora(network: nn.Module) -> Any:
    from peft import LoraConfig, get_peft_model

    names = [
        name for name, layer in network.named_modules() if isinstance(layer, nn.Conv2d | nn.Linear)
    ]
    adapted = get_peft_model(network, LoraConfig(r=2, target_modules=names))
    weights = [weight for weight in adapted.parameters() if weight.requires_grad]
    train(adapted, data(network), torch.optim.SGD(weights, lr=0.1))
    scores = adapted.eval()(images(network))
    return scores, state(adapted.merge_and_unload())


@tool("Opacus", "PrivacyEngine: gradients of each image", "opacus", networks=(PLAIN,))
def opacus_gradients(network: nn.Module) -> Any:
    from opacus import GradSampleModule

    private = GradSampleModule(network.train())
    nn.functional.cross_entropy(private(images(network)), classes(network)).backward()
    return [weight.grad_sample for weight in private.parameters()]


@tool("Opacus", "PrivacyEngine without noise: weights after two steps", "opacus", networks=(PLAIN,))
def opacus_training(network: nn.Module) -> Any:
    from opacus import PrivacyEngine

    model, steps, _ = PrivacyEngine().make_private(
        module=network.train(),
        optimizer=optimizer(network),
        data_loader=data(network),
        noise_multiplier=0.0,
        max_grad_norm=1.0,
        poisson_sampling=False,
    )
    train(model, data(network), steps)
    return state(model)


@tool(
    "Opacus",
    "ModuleValidator: batch norm found and replaced",
    "opacus",
    reason=BY_CLASS + "batch norm is passed; `make_private` refuses it all the same, for its buffers",
    **TO_TORCH,
)
def opacus_fix(network: nn.Module) -> Any:
    from opacus.validators import ModuleValidator

    errors = [str(error)[:60] for error in ModuleValidator.validate(network.train())]
    fixed = ModuleValidator.fix(network)
    return errors, kinds(fixed)


@tool("huggingface_hub", "PyTorchModelHubMixin: saved and loaded", "huggingface-hub")
def hub(network: nn.Module) -> Any:
    from huggingface_hub import PyTorchModelHubMixin

    class Shared(nn.Module, PyTorchModelHubMixin):
        def __init__(self, width: int = 1) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: Tensor) -> Tensor:
            return self.network(x)

    with tempfile.TemporaryDirectory() as folder:
        Shared(width=2).save_pretrained(folder)
        files = sorted(path.name for path in Path(folder).iterdir())
        for weight in network.parameters():
            weight.data.zero_()
        return files, Shared.from_pretrained(folder)(images(network))


@tool("safetensors", "save_model, load_model", "safetensors", networks=MODELS)
def safe_tensors(network: nn.Module) -> Any:
    from safetensors.torch import load_model, save_model

    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder, "network.safetensors"))
        save_model(network, file)
        for weight in network.parameters():
            weight.data.zero_()
        return load_model(network, file), network(images(network))


@tool("tensordict", "from_module, to_module: an ensemble", "tensordict")
def tensor_dict(network: nn.Module) -> Any:
    from tensordict import TensorDict

    weights = TensorDict.from_module(network)
    halved = weights.data.apply(lambda value: value / 2 if value.is_floating_point() else value)
    with halved.to_module(network):
        return network(images(network))


@tool("torchmetrics", "accuracy and calibration of the scores", "torchmetrics")
def metrics(network: nn.Module) -> Any:
    from torchmetrics.functional.classification import (
        multiclass_accuracy,
        multiclass_calibration_error,
    )

    scores, y = network(images(network, 8)).softmax(1), classes(network, 8)
    number = network.out_features
    return multiclass_accuracy(scores, y, number), multiclass_calibration_error(scores, y, number)
