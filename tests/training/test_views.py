"""`ansnet.training.views`."""

from __future__ import annotations

import pytest
import torch

from ansnet.training.views import other_views

ROWS = [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
DOWN_RIGHT = [[4, 3, 4], [1, 0, 1], [4, 3, 4]]
UP_LEFT = [[4, 5, 4], [7, 8, 7], [4, 5, 4]]


def mirrored(image: list[list[int]]) -> list[list[int]]:
    return [row[::-1] for row in image]


@pytest.mark.parametrize(
    ("flip", "shift", "expected"),
    [
        (False, False, []),
        (True, False, [(mirrored(ROWS), 1)]),
        (False, True, [(DOWN_RIGHT, 0.5), (UP_LEFT, 0.5)]),
        (
            True,
            True,
            [
                (mirrored(ROWS), 1),
                (DOWN_RIGHT, 0.5),
                (mirrored(DOWN_RIGHT), 0.5),
                (UP_LEFT, 0.5),
                (mirrored(UP_LEFT), 0.5),
            ],
        ),
    ],
)
def test_the_views_of_an_image(
    flip: bool, shift: bool, expected: list[tuple[list[list[int]], float]]
) -> None:
    images = torch.tensor([[ROWS, ROWS]], dtype=torch.float32)
    views = [(view.tolist(), weight) for view, weight in other_views(images, flip, shift)]
    assert views == [([[rows, rows]], weight) for rows, weight in expected]
    assert images.tolist() == [[ROWS, ROWS]]


def test_the_views_of_an_image_without_symmetry() -> None:
    image = torch.arange(20.0).view(4, 5)
    up, down = [1, 2, 3, 2], [1, 0, 1, 2]  # the row that is shown in each row
    left, right = [1, 2, 3, 4, 3], [1, 0, 1, 2, 3]
    expected = [image.fliplr()]
    for rows, columns in ((down, right), (up, left)):
        shifted = image[rows][:, columns]
        expected += [shifted, shifted.fliplr()]
    views = [view[0, 0] for view, _ in other_views(image[None, None], flip=True, shift=True)]
    assert torch.equal(torch.stack(views), torch.stack(expected))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_they_lie_in_memory_as_the_images(memory_format: torch.memory_format) -> None:
    images = torch.randn(4, 3, 8, 6).contiguous(memory_format=memory_format)
    for view, _ in other_views(images, flip=True, shift=True):
        assert view.stride() == images.stride()
