"""What a recipe that was found on CIFAR-10 assumes of it, for other data sets.

CIFAR-10's images have mirror images of the same class, and there are 50,000 of them.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from pathlib import Path

from ansnet.data.datamodule import DataError, ImageDataModule
from ansnet.data.layout import Layout, read_layout
from ansnet.data.registry import DATA_MODULES, FOLDER
from ansnet.training.recipes import Recipe
from ansnet.training.settings import Settings, SettingsError

STEPS_AN_EPOCH = 20
SMALLEST_BATCH = 16
STEPS = 200  # as VGG7 is recommended to take on CIFAR-10, two epochs of a hundred
MOST_EPOCHS = 50
# fewer images are over before generated code has paid for its generation
LARGE = 10_000


def adapted(recipe: Recipe, dataset: str) -> Recipe:
    """A recipe as another data set needs it.

    Where a mirror image is of another class, none is shown. Of one's own pictures, which may be few, a
    batch is a twentieth, but at least `SMALLEST_BATCH` and at most the recipe's; and there are so many
    epochs that there are `STEPS` steps, but at most `MOST_EPOCHS`, and at least the recipe's.

    Raises:
        SettingsError: the folder of the data set is not laid out as one.
    """
    if not dataset.startswith(FOLDER):
        known = DATA_MODULES.get(dataset)  # what is unknown, `make_data_module` refuses
        return recipe if known is None or known.mirrors else without_mirror_images(recipe)
    layout = layout_of(dataset)
    if not layout.mirrors:
        recipe = without_mirror_images(recipe)
    images = len(layout.train)
    batch_size = min(max(images // STEPS_AN_EPOCH, SMALLEST_BATCH), recipe.batch_size)
    epochs = min(ceil(STEPS / ceil(images / batch_size)), MOST_EPOCHS)
    return replace(recipe, batch_size=batch_size, max_epochs=max(epochs, recipe.max_epochs))


def without_mirror_images(recipe: Recipe) -> Recipe:
    return replace(recipe, flip="none", test_time_flip=False)


def is_large(dataset: str) -> bool:
    """Whether a run takes long enough for code to be generated for it."""
    if dataset.startswith(FOLDER):
        return len(layout_of(dataset).train) >= LARGE
    return dataset != "shapes10"


def layout_of(dataset: str) -> Layout:
    try:
        return read_layout(Path(dataset.removeprefix(FOLDER)).expanduser())
    except DataError as error:
        raise SettingsError(str(error)) from error


def remarks(settings: Settings, data: ImageDataModule) -> list[str]:
    """What is different from CIFAR-10, a line each."""
    lines = list(data.notes)
    if data.is_measured:
        mean, std = (
            " ".join(f"{value:.3f}" for value in data.normalisation[name]) for name in ("mean", "std")
        )
        lines.append(f"normalised by the training images' mean {mean}, deviation {std}")
    flips = (settings.augment and settings.flip != "none") or settings.test_time_flip
    if flips and settings.dataset.startswith(FOLDER):
        lines.append(
            "mirror images are shown as of the same class; if they are not, as with writing, add "
            "--flip none"
        )
    elif not flips and not data.mirrors:
        why = "they are of another class"
        if settings.dataset.startswith(FOLDER):
            why = "the classes are named as digits, letters or sides; --flip random shows them"
        lines.append(f"mirror images are not shown: {why}")
    return lines
