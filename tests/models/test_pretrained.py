"""`ansnet.models.pretrained`: the weights that come with ansnet are those that their cards tell of."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest
import torch

from ansnet.data import CIFAR10DataModule
from ansnet.models import Network, WeightsError, create_model, list_pretrained, load_pretrained
from ansnet.models import pretrained as module
from ansnet.models.pretrained import FOLDER, read_card, read_pretrained, shipped_file
from ansnet.models.weights import TrainedNetwork, write_weights


def test_a_network_is_loaded_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network("CR(2), L(3)").half().float()  # which float16 holds exactly
    write_weights(tmp_path / "tiny.safetensors", TrainedNetwork(network, ("a", "b", "c")))
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    assert list_pretrained() == ["tiny"]
    loaded = load_pretrained("tiny")
    assert not loaded.training
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(loaded(images), network(images))
    assert read_pretrained("tiny").classes == ("a", "b", "c")


def test_what_is_not_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    with pytest.raises(
        WeightsError, match="no trained weights of 'tiny' come with ansnet; this copy has none"
    ):
        load_pretrained("tiny")
    write_weights(tmp_path / "tiny.safetensors", TrainedNetwork(Network("L(3)")))
    with pytest.raises(WeightsError, match="there are those of tiny"):
        load_pretrained("tyni")
    with pytest.raises(WeightsError, match=r"tiny\.json is missing"):
        read_card("tiny")
    (tmp_path / "tiny.json").write_text("{", encoding="utf-8")
    with pytest.raises(WeightsError, match=r"tiny\.json is damaged"):
        read_card("tiny")


@pytest.mark.parametrize("name", list_pretrained())
def test_a_card_is_of_its_weights(name: str) -> None:
    card, trained = read_card(name), read_pretrained(name)
    content = shipped_file(name).read_bytes()
    assert card["sha256"] == sha256(content).hexdigest()
    assert card["bytes"] == len(content)
    assert trained.network.notation == card["notation"] == create_model(name).notation
    assert list(trained.classes or ()) == card["classes"]
    page = (FOLDER / f"{name}.md").read_text("utf-8")
    assert card["sha256"] in page
    assert f"{card['accuracy']['plain']:.2%}" in page


@pytest.mark.cifar10
@pytest.mark.parametrize("name", list_pretrained())
def test_the_accuracy_is_the_cards(name: str, cifar10_dir: Path) -> None:
    data = CIFAR10DataModule(cifar10_dir, batch_size=500)
    images, targets = next(iter(data.val_dataloader()))
    with torch.no_grad():
        right = (load_pretrained(name)(images).argmax(1) == targets).double().mean()
    # of 500 images instead of 10,000: three standard deviations of what chance makes of it
    accuracy = read_card(name)["accuracy"]["plain"]
    assert abs(float(right) - accuracy) < 3 * (accuracy * (1 - accuracy) / 500) ** 0.5
