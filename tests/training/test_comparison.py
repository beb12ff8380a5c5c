"""`ansnet.training.comparison`: which runs are one group, what is told of it, what differs."""

from __future__ import annotations

from pathlib import Path
from statistics import stdev
from typing import Any

import pytest
import yaml

from ansnet.training.comparison import (
    RecordError,
    Spread,
    differing,
    grouped,
    joined_name,
    read_record,
    short_names,
)
from ansnet.training.history import read_history

REFERENCE = Path(__file__).parents[2] / "lightning_logs/reference"


def write_run(folder: Path, accuracies: list[float], **settings: Any) -> Path:
    """A record of a run that reached these accuracies, the first one untrained."""
    folder.mkdir(parents=True)
    told = {"model": "vgg7", "dataset": "cifar10", "optimizer": "adam", "seed": 0, "torch": "1.0"}
    (folder / "hparams.yaml").write_text(yaml.safe_dump({**told, **settings}))
    lines = ["epoch,train/loss,train/accuracy,val/loss,val/accuracy,training_seconds,images_per_second"]
    for epoch, accuracy in enumerate(accuracies):
        seconds = f"{10 * epoch},{100 * epoch}" if epoch else ","
        lines.append(f"{epoch},1.5,0.25,{1 - accuracy},{accuracy},{seconds}")
    (folder / "metrics.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_runs_that_differ_only_in_their_seed_are_one_group(tmp_path: Path) -> None:
    a = write_run(tmp_path / "vgg7/seed_0", [0.1, 0.5, 0.75])
    b = write_run(tmp_path / "vgg7/seed_1", [0.1, 0.625, 0.5], seed=1, torch="2.0")
    c = write_run(tmp_path / "other", [0.1, 0.5], optimizer="sgd", data_dir="elsewhere")
    first, second = grouped([read_record(folder) for folder in (a, b, c)])
    assert (first.name, second.name) == ("vgg7/seed_{0,1}", "other")
    assert first.figure("accuracy") == Spread(0.625, stdev([0.75, 0.5]))
    assert first.figure("best_accuracy") == Spread(0.6875, stdev([0.75, 0.625]))
    assert first.figure("loss") == Spread(0.375, stdev([0.25, 0.5]))
    assert first.figure("accuracy_tta") is None
    assert first.figure("training_seconds") == Spread(20, 0)
    # as many images in 1/100 and 1/200 of a time: in 3/200 of it twice as many
    assert first.figure("images_per_second") == Spread(pytest.approx(400 / 3), 0)
    assert second.figure("accuracy") == Spread(0.5, None)
    assert second.figure("images_per_second") == Spread(100, None)
    assert first.curve("val_accuracy") == [
        (1, Spread(0.5625, stdev([0.5, 0.625]))),
        (2, Spread(0.625, stdev([0.75, 0.5]))),
    ]
    differences = differing([first, second])
    assert differences == {"optimizer": [["adam"], ["sgd"]], "momentum": [[None], [0.9]]}
    assert differing([first, second], "machine") == {"torch": [["1.0", "2.0"], ["1.0"]]}


def test_a_setting_without_effect_divides_nothing(tmp_path: Path) -> None:
    first = write_run(tmp_path / "a", [0.1, 0.5], augment=False, flip="random", momentum=0.9)
    second = write_run(tmp_path / "b", [0.1, 0.5], augment=False, flip="alternating", seed=1)
    (group,) = grouped([read_record(first), read_record(second)])
    assert not differing([group])
    third = write_run(tmp_path / "c", [0.1, 0.5], augment=True, flip="random", seed=2)
    groups = grouped([read_record(folder) for folder in (first, second, third)])
    # black borders and no cutout are what there is without the options
    assert differing(groups) == {
        "augment": [[False], [True]],
        "border": [[None], ["black"]],
        "flip": [[None], ["random"]],
    }


def test_an_option_of_later_has_its_default(tmp_path: Path) -> None:
    old = write_run(tmp_path / "old", [0.1, 0.5])
    new = write_run(tmp_path / "new", [0.1, 0.5], bias_lr_factor=1.0, identity_init=False, find_lr=True)
    assert len(grouped([read_record(old), read_record(new)])) == 1


def test_the_recorded_runs_give_the_figures_of_the_results_page() -> None:
    runs = [read_record(REFERENCE / f"vgg7bn/seed_{seed}") for seed in (0, 1)]
    (group,) = grouped(runs)
    accuracy, augmented = group.figure("accuracy"), group.figure("accuracy_tta")
    assert accuracy is not None
    assert augmented is not None
    assert f"{100 * accuracy.mean:.2f} ± {100 * (accuracy.deviation or 0):.2f}" == "90.34 ± 0.08"
    assert f"{100 * augmented.mean:.2f} ± {100 * (augmented.deviation or 0):.2f}" == "91.36 ± 0.04"
    results = Path(__file__).parents[2].joinpath("docs/results.md").read_text()
    assert "**90.34 ± 0.08 %** | 91.36 ± 0.04 %" in results


@pytest.mark.parametrize(
    "folder", sorted(REFERENCE.glob("**/metrics.csv")), ids=lambda p: p.parent.name
)
def test_each_recorded_run_can_be_read(folder: Path) -> None:
    record = read_record(folder.parent)
    assert record.history == read_history(folder)
    assert {"model", "optimizer", "lr", "batch_size"} <= record.settings.keys()


@pytest.mark.parametrize(
    ("names", "joined"),
    [
        (["a"], "a"),
        (["seed_1", "seed_0"], "seed_{1,0}"),
        ([f"version_{n}" for n in (8, 9, 10, 11)], "version_{8..11}"),
        (["a/seed_0_x", "a/seed_2_x", "a/seed_4_x"], "a/seed_{0,2,4}_x"),
        (["seed_0", "seed_0_cpu"], "seed_{0,0_cpu}"),
        (["left", "right"], "{lef,righ}t"),
    ],
)
def test_names_joined(names: list[str], joined: str) -> None:
    assert joined_name(names) == joined


def test_names_from_where_they_part(tmp_path: Path) -> None:
    folders = [tmp_path / "a/x", tmp_path / "a/y"]
    assert short_names(folders) == ["x", "y"]
    assert short_names([*folders, tmp_path / "b/x"]) == ["a/x", "a/y", "b/x"]


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("hparams.yaml", None, "hparams.yaml: it cannot be read"),
        ("hparams.yaml", b"a: [1", "hparams.yaml: it is damaged"),
        ("hparams.yaml", b"just text", "hparams.yaml: these are no settings of a run"),
        ("hparams.yaml", b"a: 1", "hparams.yaml: these are no settings of a run"),
        ("hparams.yaml", b"\xff\xfe\xfa", "is damaged"),
        ("hparams.yaml", b"model: vgg7\nseed: none", "is damaged"),
        ("metrics.csv", None, "metrics.csv: it cannot be read"),
        ("metrics.csv", b"", "metrics.csv: it holds no epoch that was completed"),
        ("metrics.csv", b"epoch,train/loss\n0,1.0\n", "it holds no epoch that was completed"),
        ("metrics.csv", b"epoch,train/loss\nx,y\n", "metrics.csv: it is damaged"),
        ("metrics.csv", b"train/loss\n1.0\n", "metrics.csv: it is damaged"),
        ("metrics.csv", b"\xff\xfe\xfa", "is damaged"),
    ],
)
def test_a_damaged_record_is_told_in_one_line(
    tmp_path: Path, file: str, content: bytes | None, message: str
) -> None:
    folder = write_run(tmp_path / "run", [0.1, 0.5])
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_bytes(content)
    with pytest.raises(RecordError, match=message) as caught:
        read_record(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_off_and_what_is_not_said_are_one_setting(tmp_path: Path) -> None:
    first = write_run(tmp_path / "a", [0.1, 0.5], weight_decay=0.0, pictures_every=None)
    second = write_run(tmp_path / "b", [0.1, 0.5], weight_decay=None, pictures_every=1, seed=1)
    (group,) = grouped([read_record(first), read_record(second)])
    assert not differing([group])
