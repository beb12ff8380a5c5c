"""The trained weights that come with ansnet, made of a run, and measured anew::

    python benchmarks/shipped_weights.py resnet9 lightning_logs/resnet9/version_0 --record

It writes ``resnet9.safetensors``, the weights in float16, and reads them again. What these very weights
make of the validation images is on the model card: ``resnet9.json``, figures for programs, and
``resnet9.md``, a page. What is there of the name is replaced. With ``--record`` they come into the
package.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import ansnet
from ansnet.commands.evaluate import VIEWS, load, recorded
from ansnet.commands.runs import NoRunError, find_checkpoint
from ansnet.data import DataError
from ansnet.files import write_text
from ansnet.models.pretrained import FOLDER
from ansnet.models.weights import WeightsError, read_weights, write_weights
from ansnet.training.comparison import RecordError
from ansnet.training.evaluation import Evaluation, evaluate
from ansnet.training.history import read_history
from ansnet.training.recipes import Recipe
from ansnet.training.trained import read_trained
from measure import OWN
from summary import markdown

# of hparams.yaml, beside the recipe
OF_THE_RUN = ("seed", "ops", "precision", "compile", "cpu_capability", "gpu", "threads", "devices")
OF_THE_SOFTWARE = ("python", "torch", "torchvision", "lightning")
SOURCES = {
    "cifar10": "CIFAR-10: Krizhevsky, *Learning multiple layers of features from tiny images* (2009), "
    "<https://www.cs.toronto.edu/~kriz/cifar.html>; not part of this package"
}


def make(name: str, checkpoint: Path, folder: Path, data_dir: str | None = None) -> dict[str, Any]:
    """Write the three files.

    Returns:
        The card's figures.

    Raises:
        WeightsError: there is no such checkpoint, its run is not recorded beside it, or its weights do
            not fit into float16.
        DataError: the validation images are missing or damaged.
    """
    trained = read_trained(checkpoint)
    run = recorded(checkpoint)
    table = checkpoint.resolve().parent.parent / "metrics.csv"
    if not run or not table.is_file():
        raise WeightsError(f"{checkpoint}: its run has left no record beside it; name one that has")
    _, batches = load(checkpoint, run, data_dir)
    before = evaluate(trained.network, batches)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.safetensors"
    write_weights(file, trained, torch.float16)
    shipped = read_weights(file)
    measured = evaluate(shipped.network, batches)
    epoch = torch.load(checkpoint, map_location="cpu", weights_only=True)["epoch"] + 1
    seconds = {each.epoch: each.training_seconds for each in read_history(table)}
    card = {
        "name": name,
        "file": file.name,
        "sha256": sha256(file.read_bytes()).hexdigest(),
        "bytes": file.stat().st_size,
        "dtype": "float16",
        "parameters": sum(parameter.numel() for parameter in shipped.network.parameters()),
        "notation": shipped.network.notation,
        "in_shape": list(shipped.network.in_shape),
        "classes": shipped.classes,
        "normalisation": shipped.normalisation,
        "dataset": shipped.dataset,
        **figures(measured),
        "before_rounding": figures(before),
        "training": {
            "epoch": epoch,
            "seconds": seconds.get(epoch),
            **{key: run.get(key) for key in (*OF_THE_RUN, *OF_THE_SOFTWARE)},
        },
        "recipe": {field.name: run.get(field.name) for field in fields(Recipe)},
        "measured_with": {
            "ansnet": ansnet.__version__,
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "safetensors": version("safetensors"),
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        },
        "licence": "MIT",
    }
    text = json.dumps(card, indent=2, ensure_ascii=False)
    write_text(folder / f"{name}.json", f"{text}\n")
    write_text(folder / f"{name}.md", page(json.loads(text)))
    return card


def figures(evaluation: Evaluation) -> dict[str, Any]:
    """What a card says of an evaluation; the confusion matrix is `python -m ansnet evaluate`'s."""
    kept = ("accuracy", "loss", "confidence", "calibration_error")
    return {"images": evaluation.images, **{key: asdict(evaluation)[key] for key in kept}}


def page(card: Mapping[str, Any]) -> str:
    """The card as Markdown."""
    rows = [
        [
            words,
            f"{card['accuracy'][views]:.2%}",
            f"{card['before_rounding']['accuracy'][views]:.2%}",
        ]
        for views, words in VIEWS.items()
    ]
    training, name = card["training"], card["name"]
    time = f", {training['seconds']:,.0f} s of training" if training["seconds"] else ""
    device = training["gpu"]
    if device in (None, "none"):
        device = f"CPU ({training['cpu_capability']}, threads: {training['threads']})"
    normalised = ", ".join(f"{key} {tuple(values)}" for key, values in card["normalisation"].items())
    recipe = "\n".join(f"{key}: {yaml_value(value)}" for key, value in card["recipe"].items())
    software = ", ".join(f"{key} {training[key]}" for key in OF_THE_SOFTWARE)
    with_ = ", ".join(f"{key} {value}" for key, value in card["measured_with"].items())
    return f"""# {name}, trained on {card["dataset"]}

A network of {card["parameters"]:,} parameters, `{card["notation"]}`. It takes images of
{" × ".join(map(str, card["in_shape"]))}, and tells apart: {", ".join(card["classes"])}.

```python
from ansnet.models import load_pretrained

network = load_pretrained("{name}")  # in float32, in evaluation mode
```

`python -m ansnet predict PICTURE` asks it, and `python -m ansnet train --model {name} --weights
pretrained` begins with it.

## What it reaches

Of the {card["images"]:,} validation images, the ones by which the recipe was chosen:

{markdown(["", "these weights, float16", "as trained, float32"], rows)}

Loss {card["loss"]:.4f}. It is {card["confidence"]:.2%} sure on average, and off by
{card["calibration_error"]:.2%} (calibration error). Measured in float32 with
{with_}.

It takes everything for one of its classes, whatever is shown to it. A photo is seen as a square of
{card["in_shape"][1]} × {card["in_shape"][2]} pixels.

## How it came about

Epoch {training["epoch"]} of {card["recipe"]["max_epochs"]}, seed {training["seed"]}{time}; {device},
{training["precision"]}; {software}. The recipe:

```yaml
{recipe}
```

Images are normalised by {normalised}, of red, green and blue in 0..1.

## File and licence

`{card["file"]}`, {card["bytes"]:,} bytes, SHA-256 `{card["sha256"]}`.
{card["licence"]} licence, as ansnet. Trained on {SOURCES.get(card["dataset"], card["dataset"])}.
"""


def yaml_value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", help="of the model, as resnet9")
    parser.add_argument("run", help="a folder, a checkpoint, version_3, or last")
    parser.add_argument("--best", action="store_true", help="the best epoch's weights, not the last's")
    parser.add_argument("--log-dir", type=Path, default=Path("lightning_logs"), help="where runs are")
    parser.add_argument("--data-dir", help="as train.py's; default that of the run")
    parser.add_argument("--folder", type=Path, default=OWN, help=f"where files go, default {OWN}")
    parser.add_argument(
        "--record",
        dest="folder",
        action="store_const",
        const=FOLDER,
        help="to where the package has its weights, and not there",
    )
    options = parser.parse_args(words)
    try:
        checkpoint = find_checkpoint(options.run, options.log_dir, options.best)
        card = make(options.name, checkpoint, options.folder, options.data_dir)
    except (NoRunError, RecordError, WeightsError, DataError) as error:
        parser.error(str(error))
    print(f"{options.folder / card['file']}: {card['bytes']:,} bytes, SHA-256 {card['sha256']}")
    for views, words_ in VIEWS.items():
        own = card["before_rounding"]["accuracy"][views]
        print(f"  {card['accuracy'][views]:.2%} {words_} (float32: {own:.2%})")


if __name__ == "__main__":
    main()
