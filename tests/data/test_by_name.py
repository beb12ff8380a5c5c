"""Each data set from the command line to the figures, a few images of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansnet.commands.main import main

pytestmark = pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*:FutureWarning")


@pytest.mark.parametrize(
    ("name", "classes", "shown"),
    [
        ("cifar10", 10, "airplane "),
        ("cifar100", 100, "best classes"),
        ("svhn", 10, "0 "),
        ("fashionmnist", 10, "Ankle boot "),
    ],
)
def test_it_is_trained_on_and_evaluated(
    name: str,
    classes: int,
    shown: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = request.getfixturevalue(f"tiny_{name}")
    options = [f"--data-dir={folder}", f"--log-dir={tmp_path / 'logs'}"]
    model = f"CNR(4), M(8), L({classes})"
    recipe = ["--max-epochs=1", "--batch-size=20", "--accelerator=cpu", "--compile=none"]
    main(["train", f"--dataset={name}", f"--model={model}", *recipe, *options])
    told = capsys.readouterr().out
    assert ("normalised by the training images' mean" in told) == (name != "cifar10")
    assert ("mirror images are not shown: they are of another class" in told) == (name == "svhn")
    assert main(["evaluate", "last", *options]) == 0
    found = capsys.readouterr().out
    assert f"validation images of {name}" in found
    assert any(line.startswith(shown) for line in found.splitlines())
