"""``python -m ansnet evaluate RUN``: what a trained network gets right, and what it takes for what."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansnet.commands.confusion import by_classes
from ansnet.commands.options import add_best, add_data_dir, add_json, add_run
from ansnet.commands.parser import OneLineParser
from ansnet.commands.runs import NoRunError, find_checkpoint
from ansnet.training.comparison import DAMAGED, RecordError, read_settings
from ansnet.training.datasets import DATASETS, FOLDER
from ansnet.training.settings import DATA_DIR_VARIABLE, PRECISIONS

if TYPE_CHECKING:
    from ansnet.training.evaluation import Evaluation

VIEWS = {
    "plain": "by the image alone",
    "flip": "with its mirror image",
    "shift": "with the image shifted by a pixel",
    "flip_shift": "with both",
}


def make_parser() -> OneLineParser:
    parser = OneLineParser(
        prog="python -m ansnet evaluate",
        description="What a trained network gets right of the validation images, and what it takes for "
        "what.",
    )
    add_run(parser)
    add_best(parser)
    add_data_dir(parser)
    add_json(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate the run that the command line names, and say what came out."""
    parser = make_parser()
    given = parser.parse_args(arguments)
    try:
        checkpoint = find_checkpoint(given.run, given.log_dir, given.best)
        settings = recorded(checkpoint)
    except (NoRunError, RecordError) as error:
        parser.error(str(error))

    import torch

    from ansnet.data import DataError
    from ansnet.models.weights import WeightsError
    from ansnet.training.evaluation import computing_in, evaluate
    from ansnet.training.machine import silence_expected_messages

    try:
        classifier, batches = load(checkpoint, settings, given.data_dir)
        own = own_accuracy(checkpoint, settings)
    except (DataError, RecordError, WeightsError) as error:
        parser.error(str(error))
    # as the run has computed, so that the figures agree to the digit
    is_eager = settings.get("compile") == "none"
    stance = torch.compiler.set_stance("force_eager" if is_eager else "default")
    with warnings.catch_warnings(), stance:
        silence_expected_messages()
        network = computing_in(settings.get("precision") or "32-true", classifier.network)
        evaluation = evaluate(network, batches)
    if given.json:
        print(json.dumps({"checkpoint": str(checkpoint), "own_accuracy": own, **asdict(evaluation)}))
    else:
        print(report(checkpoint, classifier.dataset, classifier.classes, evaluation, own))
    return 0


def load(checkpoint: Path, settings: Mapping[str, Any], data_dir: str | None) -> tuple[Any, Any]:
    """The classifier of a checkpoint, and the validation images in batches like the run's."""
    from ansnet.data import DataError, make_data_module
    from ansnet.training.trained import check_fits, read_run

    classifier = read_run(checkpoint)
    dataset = str(classifier.dataset)
    if classifier.classes is None or classifier.dataset is None:
        raise DataError(f"{checkpoint}: it does not say what data and classes it was trained on")
    if dataset not in DATASETS and not dataset.startswith(FOLDER):
        raise DataError(f"{checkpoint}: it was trained on {dataset!r:.80}, which ansnet does not know")
    if dataset.startswith(FOLDER):
        dataset = f"{FOLDER}{data_dir}" if data_dir else dataset
        if not data_dir and not Path(dataset.removeprefix(FOLDER)).expanduser().is_dir():
            raise DataError(
                f"there is no {dataset} any more; if the pictures have been moved, name their folder "
                "with --data-dir"
            )
    data = make_data_module(
        dataset,
        data_dir or os.environ.get(DATA_DIR_VARIABLE) or settings.get("data_dir") or "data",
        batch_size=int(settings.get("batch_size") or 500),
        channels_last=bool(settings.get("channels_last", True)),
        normalisation=classifier.normalisation,
    )
    check_classes(dataset, data.classes, classifier.classes)
    data.prepare_data()
    batches = data.val_dataloader()
    check_fits(checkpoint, classifier.network, max(batches.sizes(), default=1))
    for note in data.notes:
        print(note, file=sys.stderr)
    return classifier, batches


def check_classes(dataset: str, there: Sequence[str], known: Sequence[str] | None) -> None:
    """Refuse data of other classes than the network has been taught.

    Raises:
        DataError: naming a class that is missing, or one too many.
    """
    from ansnet.data import DataError

    known = there if known is None else known
    for name in sorted({*there} ^ {*known}):
        what = "is none that the network knows" if name in there else "is missing"
        raise DataError(
            f"--dataset {dataset} has other classes than the network was trained on: {name!r} {what}; "
            "name the folder that it was trained on with --data-dir"
        )


def recorded(checkpoint: Path) -> dict[str, Any]:
    """The settings of the checkpoint's run, if its record lies beside.

    Raises:
        RecordError: the record is damaged.
    """
    record = checkpoint.resolve().parent.parent / "hparams.yaml"
    settings = read_settings(record) if record.is_file() else {}
    if settings.get("precision") not in (None, *PRECISIONS) or (settings.get("batch_size") or 1) < 1:
        raise RecordError(f"{record}: it is damaged (its precision or its batch size is none)")
    return settings


def own_accuracy(checkpoint: Path, settings: Mapping[str, Any]) -> float | None:
    """What the run itself has recorded of the epoch of the checkpoint; None if it has not.

    Raises:
        RecordError: its table is damaged.
    """
    import torch

    from ansnet.training.history import read_history

    table = checkpoint.resolve().parent.parent / "metrics.csv"
    by_few = settings.get("limit_batches") or settings.get("overfit_batches")  # which are others
    if by_few or not table.is_file():
        return None
    epoch = torch.load(checkpoint, map_location="cpu", weights_only=True)["epoch"] + 1
    try:
        history = read_history(table)
    except DAMAGED as error:
        raise RecordError(f"{table}: it is damaged ({error})") from error
    figures = {each.epoch: each.val_accuracy for each in history}
    return figures.get(epoch)


def report(
    checkpoint: Path, dataset: str, classes: Sequence[str], evaluation: Evaluation, own: float | None
) -> str:
    """The figures as a person reads them."""
    recorded = "" if own is None else f"   (recorded by the run: {own:.2%})"
    width = max(map(len, VIEWS.values()))
    lines = [
        f"{checkpoint}, on the {evaluation.images:,} validation images of {dataset}",
        "",
        "accuracy",
    ]
    for views, words in VIEWS.items():
        note = recorded if views == "plain" else ""
        lines.append(f"  {words:<{width}}  {evaluation.accuracy[views]:7.2%}{note}")
    lines += [
        "",
        f"loss {evaluation.loss:.4f}; confidence {evaluation.confidence:.2%} on average, off by "
        f"{evaluation.calibration_error:.2%} (calibration error)",
        "",
        *by_classes(classes, evaluation),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
