"""`ansnet.data.batches`, on images of one pixel that tells which image it is."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ansnet.data.augmentation import Augmentation
from ansnet.data.batches import Batches, Images, Order, seeded
from ansnet.training.recipes import FLIPS


def numbered(size: int, side: int = 1) -> Images:
    number = torch.arange(size)
    return Images(number.to(torch.uint8)[:, None, None, None].expand(-1, side, side, 3), number)


def epoch(batches: Batches) -> tuple[Tensor, Tensor]:
    images, targets = zip(*batches, strict=True)
    return torch.cat(images), torch.cat(targets)


@pytest.mark.parametrize("augmentation", [None, Augmentation()])
@pytest.mark.parametrize("channels_last", [False, True])
def test_images_come_with_their_targets_and_the_last_batch_is_what_is_left(
    channels_last: bool, augmentation: Augmentation | None
) -> None:
    batches = Batches(numbered(20), Order(20, seed=0), 8, augmentation, 0, channels_last)
    shapes = [(tuple(images.shape), len(targets)) for images, targets in batches]
    assert shapes == [((8, 3, 1, 1), 8), ((8, 3, 1, 1), 8), ((4, 3, 1, 1), 4)]
    assert len(batches) == 3
    images, targets = epoch(Batches(numbered(20), Order(20, seed=0), 8, channels_last=channels_last))
    red = (255 * (images[:, 0, 0, 0] * 0.229 + 0.485)).round()
    assert torch.equal(red.long(), targets)


def test_the_memory_format_is_as_told_and_changes_no_number() -> None:
    images = numbered(20, side=4)
    layouts = [
        Batches(images, Order(20, 0), 20, Augmentation(), 0, channels_last)
        for channels_last in (False, True)
    ]
    (contiguous, _), (channels_last, _) = (next(iter(batches)) for batches in layouts)
    assert contiguous.is_contiguous()
    assert next(iter(Batches(images, Order(20), 20)))[0].is_contiguous()  # unless it is told otherwise
    assert channels_last.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(contiguous, channels_last)


def test_an_epoch_takes_each_image_once_in_an_order_of_its_own() -> None:
    batches = Batches(numbered(100), Order(100, seed=1), 16)
    first, second = epoch(batches)[1], epoch(batches)[1]
    assert first.sort().values.tolist() == list(range(100))
    assert not torch.equal(first, second)
    assert torch.equal(epoch(Batches(numbered(100), Order(100, seed=1), 16))[1], first)
    assert not torch.equal(epoch(Batches(numbered(100), Order(100, seed=2), 16))[1], first)


def test_without_a_seed_the_order_is_that_of_the_images() -> None:
    batches = Batches(numbered(20), Order(20), 8)
    for _ in range(2):
        assert epoch(batches)[1].tolist() == list(range(20))


@pytest.mark.parametrize("flip", FLIPS)
def test_an_epoch_is_the_same_whatever_came_before_it(flip: str) -> None:
    augmentation = Augmentation(flip, cutout=2)
    batches, resumed = (
        Batches(numbered(20, side=8), Order(20, 3), 8, augmentation, 3) for _ in range(2)
    )
    first, second = epoch(batches), epoch(batches)
    assert not torch.equal(first[0], second[0])
    resumed.sampler.set_epoch(1)
    for given, expected in zip(epoch(resumed), second, strict=True):
        assert torch.equal(given, expected)


@pytest.mark.parametrize("flip", FLIPS)
@pytest.mark.parametrize("taken", [0, 1, 2, 3])
def test_an_iteration_goes_on_where_another_one_was(flip: str, taken: int) -> None:
    augmentation = Augmentation(flip, cutout=2)
    whole, stopped, resumed = (
        Batches(numbered(21, side=8), Order(21, 3), 8, augmentation, 3) for _ in range(3)
    )
    for batches in (whole, stopped):
        epoch(batches)
    expected, left = list(whole), iter(stopped)
    for _ in range(taken):
        next(left)
    resumed.load_state_dict(stopped.state_dict())
    resumed.sampler.set_epoch(1)
    found = list(resumed)
    # before the first batch has been taken, the last of the epoch before was
    assert len(found) == len(expected) - taken
    for given, same in zip(found, expected[taken:], strict=True):
        assert all(map(torch.equal, given, same))
    assert resumed.state_dict() == {"epoch": 1, "batches": 3}
    following = [list(batches) for batches in (whole, resumed)]
    for given, same in zip(*following, strict=True):
        assert all(map(torch.equal, given, same))


@pytest.mark.parametrize("seed", [None, 5])
@pytest.mark.parametrize(("size", "processes"), [(12, 3), (100, 2), (11, 3), (1, 4), (5, 1)])
def test_processes_share_the_images(size: int, processes: int, seed: int | None) -> None:
    orders = [Order(size, seed, rank, processes, is_padded=True) for rank in range(processes)]
    shares = [order.indices() for order in orders]
    assert {len(share) for share in shares} == {len(orders[0])} == {-(-size // processes)}
    together = torch.stack(shares, 1).flatten()  # as they take turns
    whole = Order(size, seed).indices()
    assert torch.equal(together[:size], whole)
    assert torch.equal(together[size:], whole.repeat(processes)[: len(together) - size])


@pytest.mark.parametrize(("size", "processes"), [(12, 3), (11, 3), (2, 4), (5, 1)])
def test_where_nothing_is_trained_each_image_is_taken_once(size: int, processes: int) -> None:
    orders = [Order(size, None, rank, processes) for rank in range(processes)]
    shares = [order.indices().tolist() for order in orders]
    assert [len(share) for share in shares] == [len(order) for order in orders]
    assert sorted(image for share in shares for image in share) == list(range(size))


@pytest.mark.parametrize("flip", FLIPS)
def test_processes_take_together_what_one_takes(flip: str) -> None:
    images = Images(numbered(40, side=8).pixels, torch.arange(40))

    def batches(rank: int, processes: int) -> list[tuple[Tensor, Tensor]]:
        order, augmentation = Order(40, 3, rank, processes), Augmentation(flip, cutout=2)
        return list(Batches(images, order, 12 // processes, augmentation, 3))

    for (first, second), whole in zip(
        zip(batches(0, 2), batches(1, 2), strict=True), batches(0, 1), strict=True
    ):
        for parts, expected in zip(zip(first, second, strict=True), whole, strict=True):
            assert torch.equal(torch.stack(parts, 1).flatten(0, 1), expected)


def test_nothing_is_drawn_twice_by_generators_of_one_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int, int]] = []

    def noting(seed: int, epoch: int, purpose: int, *device: object) -> torch.Generator:
        asked.append((seed, epoch, purpose))
        return seeded(seed, epoch, purpose)

    monkeypatch.setattr("ansnet.data.batches.seeded", noting)
    for rank in range(5):
        order = Order(20, 3, rank, 5)
        batches = Batches(numbered(20, side=4), order, 4, Augmentation("alternating"), 3)
        for _ in range(3):
            epoch(batches)
    # in each of three epochs an order and changes, the same for all processes; the first flips
    assert len(set(asked)) == 3 + 3 + 1


def test_processes_draw_differently() -> None:
    picture = torch.randint(256, (1, 32, 32, 3), dtype=torch.uint8)
    alike = Images(picture.expand(32, -1, -1, -1), torch.arange(32))
    first, second = (
        epoch(Batches(alike, Order(32, 0, rank, 2), 16, Augmentation()))[0] for rank in range(2)
    )
    assert not torch.equal(first, second)


def test_alternating_images_are_flipped_in_every_second_epoch_half_of_them_in_the_first() -> None:
    ramp = torch.arange(32, dtype=torch.uint8)[None, None, :, None].expand(400, 32, -1, 3)
    processes = [
        Batches(
            Images(ramp, torch.arange(400)), Order(400, 0, rank, 2), 50, Augmentation("alternating"), 7
        )
        for rank in range(2)
    ]
    flipped = torch.empty(6, 400, dtype=torch.bool)
    for number in range(6):
        for batches in processes:
            images, targets = epoch(batches)
            flipped[number, targets] = images[:, 0, 16, 12] > images[:, 0, 16, 20]
    assert torch.equal(flipped[0], flipped[2])
    assert torch.equal(flipped[0], flipped[4])
    for odd in (1, 3, 5):
        assert torch.equal(flipped[odd], ~flipped[0])
    assert abs(int(flipped[0].sum()) - 200) < 50  # binomial, 200 ± 10: five standard deviations


@pytest.mark.parametrize(
    ("size", "batch_size", "sizes"),
    [(9, 4, [4, 5]), (10, 4, [4, 4, 2]), (1, 4, [1]), (3, 1, [1, 1, 1])],
)
def test_a_single_image_that_is_left_joins_the_batch_before(
    size: int, batch_size: int, sizes: list[int]
) -> None:
    batches = Batches(numbered(size), Order(size, seed=0), batch_size)
    assert [len(targets) for _, targets in batches] == sizes
    assert len(batches) == len(sizes)


def test_in_validation_it_stays_alone() -> None:
    assert [len(targets) for _, targets in Batches(numbered(9), Order(9), 4)] == [4, 4, 1]


def test_without_flips_the_crops_are_the_same_and_none_is_flipped() -> None:
    ramp = torch.arange(32, dtype=torch.uint8)[None, None, :, None].expand(40, 32, 32, 3)
    images = Images(ramp, torch.arange(40))

    def rises(flip: str) -> Tensor:
        """Whether each image gets lighter to the right, in the part that is no border."""
        pixels = epoch(Batches(images, Order(40, 3), 8, Augmentation(flip), 3))[0]
        middle = pixels[:, 0, 16, 15:17]  # within the image however it is cropped
        return middle[:, 1] > middle[:, 0]

    assert rises("none").all()
    assert 5 < rises("random").sum() < 35
