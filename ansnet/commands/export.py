"""``python -m ansnet export RUN --format …``: a trained network in a file for other programs."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING

from jsonargparse.typing import PositiveInt

from ansnet.commands.options import add_best, add_json, add_run, check_out, unwritten
from ansnet.commands.parser import Mistake, OneLineParser
from ansnet.commands.runs import find_checkpoint
from ansnet.training.formats import FORMATS, loading_code

if TYPE_CHECKING:
    from ansnet.training.export import Checked, Subject

KINDS = "\n".join(f"  {name:<12} {form.holds}" for name, form in FORMATS.items())
EPILOG = f"""
formats:
{KINDS}

All compute in float32. The file is loaded again, and its scores are compared with the checkpoint's.
"""


def make_parser() -> OneLineParser:
    parser = OneLineParser(
        prog="python -m ansnet export",
        description="Write a trained network, of a run or of a safetensors file, to a file for other "
        "programs.",
        epilog=EPILOG,
    )
    add_run(parser)
    parser.add_argument("--format", choices=tuple(FORMATS), help="what to write")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="where to; by default named after the run, and here"
    )
    parser.add_argument("--force", action="store_true", help="overwrite a file that is there")
    add_best(parser)
    parser.add_argument(
        "--batch",
        type=PositiveInt,
        metavar="N",
        help="images that a call of the onnx or pt2 file takes; any number if left out",
    )
    parser.add_argument(
        "--with-normalisation",
        action="store_true",
        help="the onnx, torch or pt2 file takes images from 0 to 1, and normalises them itself",
    )
    add_json(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Export what the command line names; the exit code is 1 if the file does not give its scores."""
    parser = make_parser()
    given = parser.parse_args(arguments)
    try:
        checkpoint = find_checkpoint(given.run, given.log_dir, given.best)
        check_options(given)
        file = given.out or Path(default_name(checkpoint) + FORMATS[given.format].suffixes[0])
        check_place(file, given.force)
        subject = load(checkpoint, given)
    except Mistake as error:
        parser.error(str(error))

    from ansnet.models.weights import WeightsError
    from ansnet.training.export import ExportError, export

    try:
        checked = export(subject, given.format, file)
    except OSError as error:
        parser.error(str(unwritten(file, error)))
    except (ExportError, WeightsError) as error:
        print(f"{parser.prog}: {checkpoint} as {given.format}: {error}; no file", file=sys.stderr)
        return 1
    shape = (subject.batch or 1, *subject.in_shape)
    code = loading_code(given.format, str(file), shape, subject.normalisation)
    if given.json:
        print(json.dumps(as_json(checkpoint, file, subject, checked, code)))
    else:
        print(report(checkpoint, file, subject, checked, code))
    return 0


def check_options(given: Namespace) -> None:
    """Refuse what the format knows nothing of, or needs and is not there.

    Raises:
        Mistake: saying what.
    """
    if given.format is None:
        *others, last = (f"--format {name}" for name in FORMATS)
        raise Mistake(f"say what to write: {', '.join(others)} or {last}")
    kind, form = given.format, FORMATS[given.format]
    if given.batch is not None and not form.is_program:
        raise Mistake(f"--batch has no effect with --format {kind}, which takes any; leave it out")
    if given.with_normalisation and kind == "safetensors":
        raise Mistake(
            "--with-normalisation has no effect with --format safetensors, which names what the images "
            "are normalised by; leave it out"
        )
    if given.out is not None and given.out.suffix not in form.suffixes:
        raise Mistake(
            f"--out {given.out}: the name of a file of format {kind} ends in "
            f"{' or '.join(form.suffixes)}; rename it, or choose another --format"
        )
    missing = [name for name in form.packages if find_spec(name) is None]
    if missing:
        raise Mistake(
            f"--format {kind} needs {', '.join(missing)}; install it by pip install 'ansnet[onnx]'"
        )


def check_place(file: Path, force: bool) -> None:
    """Refuse a place that cannot be written to, before anything is loaded.

    Raises:
        Mistake: saying why not.
    """
    if file.is_file() and not force:
        raise Mistake(f"{file} is there already; name another --out, or overwrite it by --force")
    check_out(file)


def default_name(checkpoint: Path) -> str:
    """``vgg7_version_0``, or ``vgg7_version_0_best``; the name of a checkpoint that lies elsewhere."""
    folder = checkpoint.resolve().parent
    if folder.name != "checkpoints":
        return checkpoint.stem
    best = "_best" if checkpoint.name.startswith("best-") else ""
    return f"{folder.parent.parent.name}_{folder.parent.name}{best}"


def load(checkpoint: Path, given: Namespace) -> Subject:
    """What is exported.

    Raises:
        Mistake: the file is to normalise images, and nobody knows by what; or it holds no weights.
    """
    from ansnet.models.weights import WeightsError
    from ansnet.training.export import Subject
    from ansnet.training.trained import read_trained

    try:
        trained = read_trained(checkpoint)
    except WeightsError as error:
        raise Mistake(str(error)) from error
    if given.with_normalisation and trained.normalisation is None:
        raise Mistake(
            f"{checkpoint}: it does not say by what its images were normalised; leave "
            "--with-normalisation out"
        )
    return Subject(trained, given.with_normalisation, given.batch)


def report(checkpoint: Path, file: Path, subject: Subject, checked: Checked, code: str) -> str:
    """What was written, what it takes, and how to load it, as a person reads it."""
    sizes = " and ".join(str(size) for size in subject.sizes)
    batch = subject.batch or "N"
    shape = " × ".join(map(str, (batch, *subject.in_shape)))
    classes = subject.trained.classes
    return "\n".join(
        [
            f"{checkpoint} → {file}, {file.stat().st_size / 1e6:.2f} MB",
            f"checked   loaded again: the scores of {sizes} images, up to {checked.largest:.3g}, are "
            f"the checkpoint's within {checked.difference:.1e}",
            f"images    {shape}, float32, {description_of(subject)}",
            f"scores    {batch} × {len(classes) if classes else 'classes'}"
            + (f": {', '.join(classes)}" if classes else ""),
            "",
            indent(code, "    "),
        ]
    )


def description_of(subject: Subject) -> str:
    """What the numbers of an image have to be."""
    if subject.normalisation is None:
        return "from 0 to 1" if subject.normalises else "normalised as in training"
    mean, std = (", ".join(f"{x:g}" for x in subject.normalisation[name]) for name in ("mean", "std"))
    return f"from 0 to 1, then less ({mean}), divided by ({std})"


def as_json(
    checkpoint: Path, file: Path, subject: Subject, checked: Checked, code: str
) -> dict[str, object]:
    return {
        "checkpoint": str(checkpoint),
        "file": str(file),
        "bytes": file.stat().st_size,
        "batch_sizes": subject.sizes,
        "largest_difference": checked.difference,
        "largest_score": checked.largest,
        **subject.described(),
        "code": code,
    }


if __name__ == "__main__":
    sys.exit(main())
