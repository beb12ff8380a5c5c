"""`ansnet.training.prediction`."""

from __future__ import annotations

import pytest
import torch

from ansnet.data import Shapes10DataModule
from ansnet.data.shapes10 import SHAPES
from ansnet.models import Network, WeightsError
from ansnet.models.weights import TrainedNetwork
from ansnet.training.prediction import class_names, normalise, predict, ranking
from ansnet.training.views import CHOICES, scores_by_views


@pytest.fixture
def trained() -> TrainedNetwork:
    network = Network("CR(4), M(4), L(10)").eval()
    return TrainedNetwork(network, None, Shapes10DataModule().normalisation)


def test_pictures_are_normalised_as_the_images_of_its_training(
    trained: TrainedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Shapes10DataModule, "train_size", len(SHAPES))
    monkeypatch.setattr(Shapes10DataModule, "val_size", 20)
    data = Shapes10DataModule(batch_size=20)
    ((images, _),) = data.val_dataloader()
    torch.testing.assert_close(normalise(trained, data.subsets["val"].pixels), images)


def test_without_a_normalisation_nothing_is_shown() -> None:
    with pytest.raises(WeightsError, match="does not say how its images were normalised"):
        normalise(TrainedNetwork(Network("L(2)")), torch.zeros(1, 32, 32, 3, dtype=torch.uint8))


def test_probabilities_are_the_softmax_of_the_scores(trained: TrainedNetwork) -> None:
    images = torch.randn(7, 3, 32, 32)
    found = predict(trained, images)
    assert not found.requires_grad
    torch.testing.assert_close(found, trained.network(images).softmax(1))


@pytest.mark.parametrize("views", CHOICES)
def test_more_views_order_the_classes_as_their_sum_does(trained: TrainedNetwork, views: str) -> None:
    images = torch.randn(7, 3, 32, 32)
    found = predict(trained, images, "flip" in views, "shift" in views)
    torch.testing.assert_close(found.sum(1), torch.ones(7))
    with torch.no_grad():
        total = scores_by_views(trained.network, images)[views]
    assert torch.equal(found.argsort(), total.argsort())


def test_an_image_that_looks_the_same_from_all_sides_has_the_same_probabilities(
    trained: TrainedNetwork,
) -> None:
    images = torch.randn(3, 3, 1, 1).expand(3, 3, 32, 32).contiguous()
    plain = predict(trained, images)
    torch.testing.assert_close(predict(trained, images, flip=True, shift=True), plain)


def test_classes_without_names_are_numbered(trained: TrainedNetwork) -> None:
    assert class_names(trained)[:2] == ("class 0", "class 1")
    assert class_names(TrainedNetwork(trained.network, tuple("abcdefghij")))[0] == "a"


def test_the_likeliest_class_is_first() -> None:
    ranked = ranking(torch.tensor([0.1, 0.6, 0.3]), ("a", "b", "c"))
    assert [name for name, _ in ranked] == ["b", "c", "a"]
    assert [share for _, share in ranked] == pytest.approx([0.6, 0.3, 0.1])
