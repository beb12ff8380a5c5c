"""``python -m ansnet predict IMAGE``: what is on a picture, and where the network has looked."""

from __future__ import annotations

import json
import os
import sys
import warnings
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

from ansnet.commands.evaluate import VIEWS
from ansnet.commands.options import add_best, add_json, add_run_option, unwritten
from ansnet.commands.parser import Mistake, OneLineParser
from ansnet.commands.runs import find_checkpoint
from ansnet.commands.terminal import can_show
from ansnet.files import try_folder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from ansnet.models.weights import TrainedNetwork

PROG = "python -m ansnet predict"
SHIPPED = "resnet9"
EXPLAINED = Path("explained")
BATCH = 64
TOP = 5
FEW = 8  # pictures that are told of in a table each; more have a line each
BAR = 30  # characters
EIGHTHS = " ▏▎▍▌▋▊▉█"

EPILOG = """
examples:
  python -m ansnet predict cat.jpg
  python -m ansnet predict cat.jpg --explain
  python -m ansnet predict holidays/ --run last --json

A picture may have any size and any format that Pillow reads. The network is shown the square in its
middle. Of a folder all files are taken, but not those of folders in it.

Exit code: 0; 1 if a file could not be read, which is named, and others were; 2 if none was.
"""


@dataclass(frozen=True)
class Prediction:
    """A picture, its classes with their probabilities, the likeliest first, and its explanation."""

    picture: Path
    ranked: list[tuple[str, float]]
    explanation: Path | None = None


def make_parser() -> OneLineParser:
    parser = OneLineParser(
        prog=PROG,
        description="What a trained network takes pictures for.",
        epilog=EPILOG,
    )
    parser.add_argument(
        "images", nargs="+", metavar="IMAGE|FOLDER", help="a picture, or a folder of them"
    )
    add_run_option(parser, "the trained ResNet9 that comes with ansnet")
    add_best(parser)
    parser.add_argument(
        "--views",
        choices=tuple(VIEWS),
        default="plain",
        help="show the network the mirror image, or the image shifted by a pixel, as well",
    )
    parser.add_argument(
        "--explain", action="store_true", help="draw which places of the picture speak for its class"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE|FOLDER",
        help="where to draw it: a new .png for one picture, or a folder, which is made if need be "
        f"(otherwise {EXPLAINED})",
    )
    add_json(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Predict the pictures that the command line names, and return the exit code."""
    parser = make_parser()
    given = parser.parse_args(arguments)
    try:
        return predict_pictures(given)
    except Mistake as mistake:
        parser.error(str(mistake))


def predict_pictures(given: Namespace) -> int:
    """Say what the pictures are, a batch at a time, and which files are none; return the exit code."""
    pictures = find_pictures(given.images)
    check_out(given, len(pictures))
    trained = load(given)
    predictions: list[Prediction] = []
    unread: dict[Path, str] = {}
    for start in range(0, len(pictures), BATCH):
        read, wrong = read_pictures(pictures[start : start + BATCH], trained.network.in_shape[1])
        for reason in wrong.values():
            print(f"{PROG}: {reason}", file=sys.stderr)
        found = predict_batch(trained, read, given) if read else []
        if found and not given.json:
            if not predictions:
                print(introduction(trained))
            print_predictions(found, pictures)
        predictions += found
        unread |= wrong
    if given.json:
        print(json.dumps(as_json(predictions, unread)))
    return 2 if not predictions else 1 if unread else 0


def find_pictures(words: Sequence[str]) -> list[Path]:
    """The files that are named, and those in the folders that are; hidden ones are passed over.

    Raises:
        Mistake: a folder has no file, or cannot be read.
    """
    found: list[Path] = []
    for path in map(Path, words):
        try:
            found += files_in(path) if path.is_dir() else [path]
            if path.is_dir() and any(each.is_dir() for each in path.iterdir()):
                print(
                    f"{PROG}: {path}: the folders in it are passed over; name them as well",
                    file=sys.stderr,
                )
        except OSError as error:
            raise Mistake(f"{path} cannot be read ({error.strerror}); name another one") from error
    return found


def files_in(folder: Path) -> list[Path]:
    """Those in it that are not hidden, by name.

    Raises:
        Mistake: there are none.
    """
    files = [each for each in folder.iterdir() if each.is_file() and not each.name.startswith(".")]
    if not files:
        raise Mistake(f"{folder}: there is no file in this folder; name one that has pictures")
    return sorted(files)


def check_out(given: Namespace, pictures: int) -> None:
    """Refuse a place for explanations that they cannot, or should not, be written to.

    Raises:
        Mistake: naming it.
    """
    out: Path | None = given.out
    if not given.explain:
        if out is not None:
            raise Mistake(f"--out {out} has no effect without --explain; add it")
        return
    place = out or EXPLAINED
    try:
        if place.is_dir():
            folder, name = place, "explanation.png"
        elif place.exists():
            raise Mistake(f"--out {place}: this is there already; name a new file, or a folder")
        elif place.suffix.lower() == ".png":
            if pictures > 1:
                raise Mistake(f"--out {place}: there are {pictures} files to explain; name a folder")
            folder, name = place.parent, place.name
        elif place.suffix:
            raise Mistake(
                f"--out {place}: explanations are PNGs; name a file that ends in .png, or a folder"
            )
        else:
            folder, name = place, "explanation.png"
        try_folder(folder, name)
    except OSError as error:
        raise unwritten(place, error) from error


def load(given: Namespace) -> TrainedNetwork:
    """The network that is asked.

    Raises:
        Mistake: there is none, or none that can be shown pictures.
    """
    if given.run is None:
        if given.best:
            raise Mistake("--best has no effect without --run; name a run")
        path = None
    elif given.run.endswith(".safetensors"):
        path = Path(given.run)
    else:
        path = find_checkpoint(given.run, given.log_dir, given.best)

    from ansnet.models.pretrained import shipped_file
    from ansnet.models.weights import WeightsError
    from ansnet.training.trained import read_trained

    try:
        path = path or shipped_file(SHIPPED)
    except WeightsError as error:
        raise Mistake(f"{error}; name a run with --run") from error
    try:
        trained = read_trained(path)
    except WeightsError as error:
        raise Mistake(str(error)) from error
    channels, height, width = trained.network.in_shape
    if channels != 3 or height != width:
        raise Mistake(
            f"{path}: the network takes images of {channels} × {height} × {width}; pictures are shown "
            "to networks that take squares of three colours"
        )
    if trained.normalisation is None:
        raise Mistake(f"{path} does not say how its images were normalised; name another run")
    return trained


def read_pictures(
    paths: Sequence[Path], size: int
) -> tuple[dict[Path, NDArray[np.uint8]], dict[Path, str]]:
    """The pictures as the network's input, size × size × 3 bytes, and of other files what is wrong.

    What Pillow warns of, as of very many pixels, is read; what it refuses is wrong.
    """
    from ansnet.data.picture import PictureError, as_bytes, open_picture

    read: dict[Path, NDArray[np.uint8]] = {}
    wrong: dict[Path, str] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in paths:
            try:
                read[path] = as_bytes(open_picture(path, size), size)
            except PictureError as error:
                wrong[path] = str(error)
    return read, wrong


def predict_batch(
    trained: TrainedNetwork, read: dict[Path, NDArray[np.uint8]], given: Namespace
) -> list[Prediction]:
    """What the network takes pictures for; explained, if that is asked for."""
    import numpy as np
    import torch

    from ansnet.training.prediction import class_names, normalise, predict, ranking

    images = normalise(trained, torch.from_numpy(np.stack(list(read.values()))))
    flip, shift = given.views in ("flip", "flip_shift"), given.views in ("shift", "flip_shift")
    with torch.compiler.set_stance("force_eager"):  # done sooner than code for it is generated
        probabilities = predict(trained, images, flip, shift)
        heat = heat_of(trained, images, probabilities) if given.explain else None
    classes = class_names(trained)
    found = [
        Prediction(path, ranking(row, classes)) for path, row in zip(read, probabilities, strict=True)
    ]
    return found if heat is None else explain(found, read, heat, given.out)


def heat_of(trained: TrainedNetwork, images: Tensor, probabilities: Tensor) -> Tensor:
    """What speaks for the likeliest class of each image.

    Raises:
        Mistake: the network has no maps to look at.
    """
    from ansnet.models.grad_cam import NoMapsError, grad_cam

    try:
        return grad_cam(trained.network, images, probabilities.argmax(1))
    except NoMapsError as error:
        raise Mistake(f"--explain: {error}; leave it out, or name another run") from error


def explain(
    found: Sequence[Prediction], read: dict[Path, NDArray[np.uint8]], heat: Tensor, out: Path | None
) -> list[Prediction]:
    """Draw what speaks for the class of each picture.

    Raises:
        Mistake: a drawing cannot be written.
    """
    from ansnet.data.picture import open_picture
    from ansnet.training.explanation import SIDE, draw_explanation

    explained = []
    for each, own_heat in zip(found, heat, strict=True):
        place = new_place(each.picture, out)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                picture = open_picture(each.picture, SIDE)
            draw_explanation(place, picture, read[each.picture], own_heat, each.ranked[:TOP])
        except OSError as error:
            raise unwritten(place, error) from error
        explained.append(replace(each, explanation=place))
    return explained


def new_place(picture: Path, out: Path | None) -> Path:
    """Where to explain a picture: the file that is named, or in the folder one that is not there."""
    if out is not None and out.suffix.lower() == ".png" and not out.is_dir():
        return out
    folder = out or EXPLAINED
    place, number = folder / f"{picture.stem}.png", 1
    while place.exists():
        number += 1
        place = folder / f"{picture.stem}-{number}.png"
    return place


def introduction(trained: TrainedNetwork) -> str:
    from ansnet.training.prediction import class_names

    learnt = "" if trained.dataset is None else f", learnt from {trained.dataset}"
    known = ", ".join(class_names(trained))
    return fill(
        f"What the network knows{learnt}: {known}. Anything else it takes for one of these.", 100
    )


def print_predictions(found: Sequence[Prediction], pictures: Sequence[Path]) -> None:
    """A table each, if there are few pictures; otherwise a line each."""
    if len(pictures) <= FEW:
        for each in found:
            print(f"\n{table(each)}")
        return
    width = max(len(shown(picture)) for picture in pictures)
    for each in found:
        words = [f"{name} {probability:.1%}" for name, probability in each.ranked[:3]]
        told = "" if each.explanation is None else f"   {shown(each.explanation)}"
        print(f"{shown(each.picture):<{width}}  {', '.join(words)}{told}")


def table(prediction: Prediction) -> str:
    """The likeliest classes, a line each, with bars."""
    top = prediction.ranked[:TOP]
    width = max(len(name) for name, _ in prediction.ranked)
    lines = [shown(prediction.picture)]
    lines += [f"  {name:<{width}}  {share:7.2%}  {bar(share)}".rstrip() for name, share in top]
    if prediction.explanation is not None:
        lines.append(f"  explained in {shown(prediction.explanation)}")
    return "\n".join(lines)


def shown(path: Path) -> str:
    """A name as it can be printed, whatever bytes it is of."""
    return os.fsencode(path).decode(errors="replace")


def bar(share: float) -> str:
    """A bar of blocks, to an eighth of a character; of plain signs where blocks cannot be printed.

    Example:
        >>> bar(0.5)
        '███████████████'
    """
    whole, part = divmod(round(8 * BAR * share), 8)
    blocks = EIGHTHS[-1] * whole + EIGHTHS[part].strip()
    return blocks if can_show(blocks) else "#" * round(BAR * share)


def as_json(predictions: Sequence[Prediction], unread: dict[Path, str]) -> dict[str, Any]:
    return {
        "pictures": [
            {
                "picture": str(each.picture),
                "class": each.ranked[0][0],
                "probabilities": [
                    {"class": name, "probability": probability} for name, probability in each.ranked
                ],
                "explanation": None if each.explanation is None else str(each.explanation),
            }
            for each in predictions
        ],
        "unread": [{"file": str(path), "reason": reason} for path, reason in unread.items()],
    }


if __name__ == "__main__":
    sys.exit(main())
