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


# mean brightness of 4 × 4 fields of 8 × 8 pixels, by image: one of each class, one of a second chunk
BRIGHTNESS = {
    0: (66, 101, 101, 81, 71, 182, 176, 80, 61, 129, 122, 74, 55, 61, 65, 70),
    1: (94, 138, 90, 59, 157, 83, 156, 62, 153, 123, 153, 64, 81, 102, 75, 64),
    2: (92, 111, 86, 82, 102, 138, 97, 76, 77, 86, 71, 70, 66, 65, 64, 63),
    3: (103, 107, 111, 117, 97, 121, 134, 122, 93, 126, 113, 128, 88, 109, 120, 112),
    4: (15, 13, 12, 15, 24, 116, 70, 16, 13, 142, 53, 17, 12, 23, 15, 18),
    5: (43, 59, 95, 42, 51, 109, 182, 137, 56, 107, 164, 59, 63, 61, 80, 62),
    6: (90, 85, 81, 76, 87, 130, 130, 113, 85, 100, 110, 109, 81, 76, 72, 67),
    7: (74, 76, 104, 67, 98, 167, 170, 106, 78, 167, 171, 74, 79, 82, 100, 70),
    8: (75, 74, 75, 78, 75, 125, 99, 74, 97, 162, 75, 73, 79, 145, 89, 74),
    9: (97, 94, 93, 91, 97, 96, 88, 88, 134, 130, 160, 93, 83, 83, 99, 80),
    1029: (78, 73, 66, 60, 127, 138, 136, 111, 81, 77, 76, 66, 77, 72, 66, 60),
}


def test_the_drawings_are_those_that_the_recorded_runs_have_seen() -> None:
    images = draw(torch.arange(1030) % 10, seed=0)[list(BRIGHTNESS)].double()
    fields = images.mean(-1).unflatten(2, (4, 8)).unflatten(1, (4, 8)).mean((2, 4)).flatten(1)
    expected = torch.tensor(list(BRIGHTNESS.values()), dtype=torch.float64)
    # half of rounding here, and a byte there where another machine rounds it otherwise
    torch.testing.assert_close(fields, expected, rtol=0, atol=0.6)
    colours, noise = images[10].mean((0, 1)), images[10][:4, :4].std((0, 1))
    expected = torch.tensor([113.04, 78.21, 64.55], dtype=torch.float64)
    torch.testing.assert_close(colours, expected, rtol=0, atol=0.1)
    assert (noise - 255 * 0.04).abs().max() < 6  # of 16 pixels: a deviation of 1.9, three of them


def test_no_two_images_are_the_same_and_the_subsets_have_none_in_common() -> None:
    data = Shapes10DataModule()
    data.setup("fit")
    images = torch.cat([data.subsets[name].pixels for name in ("train", "val")])
    assert len(images) == 7000
    assert torch.equal(images[:1024], draw(torch.arange(1024) % 10, seed=1))
    assert torch.equal(images[6000:], draw(torch.arange(1000) % 10, seed=2))
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
