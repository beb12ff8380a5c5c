"""`ansnet.training.trained`: the same network from a checkpoint as from the classifier that left it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from torch import nn

from ansnet.compatibility import lightning
from ansnet.data.augmentation import MEAN, STD
from ansnet.models import Network, WeightsError, torch_twin
from ansnet.models.weights import write_weights
from ansnet.training.classifier import ImageClassifier
from ansnet.training.trained import read_trained, trained_network

CLASSES = ("a", "b", "c")
NORMALISATION = {"mean": MEAN, "std": STD}


def saved(network: nn.Module, path: Path) -> ImageClassifier:
    """A classifier, and its checkpoint."""
    classifier = ImageClassifier(
        network, classes=CLASSES, normalisation=NORMALISATION, dataset="letters"
    )
    trainer = lightning.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    trainer.strategy.connect(classifier)
    trainer.save_checkpoint(path, weights_only=True)
    return classifier


@pytest.mark.parametrize("layers", ["ansnet", "torch"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_checkpoint_and_a_file_of_weights_hold_the_same(
    layers: str, dtype: torch.dtype, tmp_path: Path
) -> None:
    noted = Network("CNR(4), M(8), L(3)").to(dtype)
    classifier = saved(torch_twin(noted) if layers == "torch" else noted, tmp_path / "last.ckpt")
    from_checkpoint = read_trained(tmp_path / "last.ckpt")
    write_weights(tmp_path / "a.safetensors", from_checkpoint, dtype=None)
    images = torch.randn(4, 3, 32, 32)
    scores = classifier.network.float().eval()(images)
    for trained in (from_checkpoint, read_trained(tmp_path / "a.safetensors")):
        assert not trained.network.training
        assert (trained.classes, trained.dataset) == (CLASSES, "letters")
        assert trained.normalisation == NORMALISATION
        torch.testing.assert_close(trained.network(images), scores)


def test_a_network_without_a_notation_is_refused(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3072, 3))
    classifier = saved(network, tmp_path / "last.ckpt")
    with pytest.raises(WeightsError, match="does not say what network its weights are of"):
        read_trained(tmp_path / "last.ckpt")
    with pytest.raises(WeightsError, match=r"no notation describes this network, a .*Sequential"):
        trained_network(classifier)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", None])
def test_what_is_no_checkpoint_is_refused(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    if content is None:
        torch.save({"state_dict": {}}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(
        WeightsError, match="this is no checkpoint of a run, nor a file of weights"
    ) as error:
        read_trained(path)
    assert str(error.value).startswith(f"{path}: ")


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    for name in ("a.ckpt", "a.safetensors"):
        with pytest.raises(WeightsError, match="there is no such file"):
            read_trained(tmp_path / name)


def test_a_network_too_large_to_be_shown_an_image_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = saved(Network("C(64), M(32), L(3)"), tmp_path / "last.ckpt")
    write_weights(tmp_path / "a.safetensors", trained_network(classifier))
    monkeypatch.setattr("ansnet.training.memory_needed.available_memory", lambda kind: 2**18)
    for name in ("last.ckpt", "a.safetensors"):
        with pytest.raises(WeightsError, match=f"{name}: showing it an image takes at least 0.3 MiB"):
            read_trained(tmp_path / name)


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.ckpt")
    os.mkfifo(tmp_path / "pipe.safetensors")
    for place in (tmp_path / "pipe.ckpt", tmp_path / "pipe.safetensors", Path("/dev/zero"), tmp_path):
        with pytest.raises(WeightsError, match=r"this is (no file|a folder)"):
            read_trained(place)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("network", {"notation": "C(1000000), L(3)"}, "its description of a network is damaged"),
        ("classes", ("a", "b"), "what it says of its training is damaged"),
        ("classes", "abc", "what it says of its training is damaged"),
        ("normalisation", {"mean": MEAN}, "what it says of its training is damaged"),
        ("normalisation", {"mean": MEAN, "std": (1.0, 0.0, 1.0)}, "what it says of its training is"),
        ("dataset", 3, "what it says of its training is damaged"),
    ],
)
def test_a_checkpoint_with_something_else_in_it_is_refused(
    name: str, value: object, message: str, tmp_path: Path
) -> None:
    saved(Network("M(8), L(3)"), tmp_path / "last.ckpt")
    content = torch.load(tmp_path / "last.ckpt", weights_only=True)
    content["hyper_parameters"][name] = value
    torch.save(content, tmp_path / "last.ckpt")
    with pytest.raises(WeightsError, match=message):
        read_trained(tmp_path / "last.ckpt")


def test_weights_that_only_seem_to_be_there_are_refused(tmp_path: Path) -> None:
    saved(Network("M(8), L(3)"), tmp_path / "last.ckpt")
    content = torch.load(tmp_path / "last.ckpt", weights_only=True)
    weight = content["state_dict"]["network.linear1.weight"]
    for other, message in (
        (torch.zeros(1).expand(weight.shape), "are not in it"),
        (weight.to("meta"), "are not in it"),
        (weight.to_sparse(), "are not in it"),
        (weight[:2], "is of another network"),
        (weight.long(), "has numbers of type torch.int64"),
    ):
        content["state_dict"]["network.linear1.weight"] = other
        torch.save(content, tmp_path / "odd.ckpt")
        with pytest.raises(WeightsError, match=message):
            read_trained(tmp_path / "odd.ckpt")
