"""Validation accuracy of trained networks, by what they are shown of an image::

    python benchmarks/views.py lightning_logs/resnet9/version_0/checkpoints/last.ckpt --data-dir data

By the image alone, with its mirror image, with the image shifted, and with all of these
(`ansnet.training.views`). A checkpoint is read where its run has left it: the run's ``hparams.yaml``
says what network it is of.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ansnet.compatibility import lightning
from ansnet.data import DataError
from ansnet.training.build import make_classifier, make_data
from ansnet.training.comparison import RecordError, read_settings
from ansnet.training.machine import check_machine, complete_by_device, device_type
from ansnet.training.memory import keep_freed_memory
from ansnet.training.resume import NO_CHECKPOINT
from ansnet.training.settings import ACCELERATORS, Settings, SettingsError
from ansnet.training.views import CHOICES, scores_by_views
from measure import RESULTS
from results import Conditions, append, conditions
from runs import bare_trainer
from summary import markdown


@dataclass(frozen=True, kw_only=True)
class Accuracies(Conditions):
    """Those of one network, over all validation images.

    Attributes:
        epochs: of its training.
        plain: by the image alone.
        flip: with its mirror image.
        shift: with the image shifted.
        flip_shift: with all of these, and the mirror images of those shifted.
    """

    model: str
    seed: int
    epochs: int
    plain: float
    flip: float
    shift: float
    flip_shift: float
    precision: str


class Viewer(lightning.LightningModule):
    """Shows a network all views of each image, and counts what it gets right by each choice of them."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.right = dict.fromkeys(CHOICES, 0)
        self.images = 0

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        images, targets = batch
        self.images += len(targets)
        for choice, total in scores_by_views(self.network, images).items():
            self.right[choice] += int((total.argmax(1) == targets).sum())


def settings_of(checkpoint: Path, **given: Any) -> Settings:
    """The settings of the run that left a checkpoint, but for those that are given.

    Raises:
        SettingsError: there is no checkpoint, no ``hparams.yaml`` of its run, or no such accelerator.
        RecordError: that file is damaged.
    """
    record = checkpoint.resolve().parent.parent / "hparams.yaml"
    if not checkpoint.is_file():
        raise SettingsError(f"{checkpoint}: there is no such file; name a checkpoint")
    if not record.is_file():
        raise SettingsError(
            f"{checkpoint}: its run's {record} is not there; name a checkpoint where its run left it"
        )
    hparams = read_settings(record)
    chosen = {name: value for name, value in given.items() if value is not None}
    # one pass over the images is over before generated code has paid for its generation
    settings = replace(Settings.complete({**hparams, **chosen}, asked_for=()), compile="none")
    check_machine(settings)
    return complete_by_device(settings)


def measure(checkpoint: Path, settings: Settings) -> Accuracies:
    """Show the network of a checkpoint all validation images.

    Raises:
        SettingsError: the file is no checkpoint, or is one of another network.
        DataError: the data is missing or damaged.
    """
    classifier = make_classifier(settings)
    try:
        classifier.load_state_dict(
            torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
        )
    except NO_CHECKPOINT as error:
        raise SettingsError(
            f"{checkpoint}: this is no checkpoint of {settings.model}; name one where its run left it"
        ) from error
    data = make_data(settings)
    data.prepare_data()
    viewer = Viewer(classifier.network)
    with bare_trainer(
        accelerator=settings.accelerator, devices=1, precision=settings.precision
    ) as trainer:
        data.trainer = trainer
        trainer.validate(viewer, data.val_dataloader(), verbose=False)
    accuracies: dict[str, Any] = {name: right / viewer.images for name, right in viewer.right.items()}
    return Accuracies(
        model=settings.model,
        seed=settings.seed,
        epochs=settings.max_epochs,
        **accuracies,
        precision=str(settings.precision),
        **conditions(torch.device(device_type(settings))),
    )


def table(rows: Sequence[Accuracies]) -> str:
    """A network a line."""
    header = ["", "seed", "image, %", "mirror image", "shifted", "both"]
    lines = [
        [row.model, str(row.seed), *(f"{100 * asdict(row)[name]:.2f}" for name in CHOICES)]
        for row in rows
    ]
    return markdown(header, lines)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path, nargs="+", help="where its run has left it")
    parser.add_argument("--data-dir", help="as train.py's; default that of the run")
    parser.add_argument("--accelerator", choices=ACCELERATORS, default="auto", help="as train.py's")
    parser.add_argument("--results", type=Path, default=RESULTS / "runs", help="where the CSV goes")
    options = parser.parse_args(words)
    keep_freed_memory()
    try:
        runs = [
            (path, settings_of(path, data_dir=options.data_dir, accelerator=options.accelerator))
            for path in options.checkpoint
        ]
        rows = []
        for path, settings in runs:
            rows.append(measure(path, settings))
            append(rows[-1:], options.results / "views.csv")
    except (SettingsError, RecordError, DataError) as error:
        parser.error(str(error))
    print(table(rows))


if __name__ == "__main__":
    main()
