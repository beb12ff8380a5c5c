"""`ansnet.data.shapes10`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ansnet.data import Shapes10DataModule
from ansnet.data.shapes10 import draw


def test_drawings_hang_on_the_seed_alone() -> None:
    targets = torch.arange(20) % 10
    torch.manual_seed(1)
    images = draw(targets, seed=3)
    torch.manual_seed(2)
    assert torch.equal(draw(targets, seed=3), images)
    assert not torch.equal(draw(targets, seed=4), images)
    assert images.shape == (20, 32, 32, 3)
    assert images.dtype == torch.uint8


def test_no_two_images_are_the_same_and_the_subsets_have_none_in_common() -> None:
    data = Shapes10DataModule()
    data.setup("fit")
    images = torch.cat([data.subsets[name].pixels for name in ("train", "val")])
    assert len(images) == 7000
    assert len(images.flatten(1).unique(dim=0)) == 7000


def test_classes_are_balanced_and_named() -> None:
    data = Shapes10DataModule()
    targets = torch.cat([targets for _, targets in data.val_dataloader()])
    assert targets.bincount().tolist() == [100] * 10
    assert len(set(data.classes)) == 10


def test_a_linear_classifier_stays_under_60_percent() -> None:
    data = Shapes10DataModule(batch_size=7000)
    (train_images, train_targets), (val_images, val_targets) = (
        next(iter(loader)) for loader in (data.untouched_train_dataloader(), data.val_dataloader())
    )
    classifier = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))
    optimizer = torch.optim.Adam(classifier.parameters(), 1e-4)
    for _ in range(20):
        for batch in torch.randperm(len(train_images)).split(64):
            loss = F.cross_entropy(classifier(train_images[batch]), train_targets[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    def accuracy(images: torch.Tensor, targets: torch.Tensor) -> float:
        return (classifier(images).argmax(1) == targets).float().mean().item()

    assert accuracy(train_images, train_targets) > 0.5  # it has learned what it can
    assert accuracy(val_images, val_targets) < 0.6
