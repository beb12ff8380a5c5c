"""`ansnet.training.board.record`: whole runs, and what TensorBoard then reads."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn

from ansnet.compatibility import lightning
from ansnet.data import Shapes10DataModule
from ansnet.data.augmentation import Augmentation
from ansnet.models import Network, create_model
from ansnet.training.board.record import BoardRecord, BoardWarning
from ansnet.training.classifier import ImageClassifier
from ansnet.training.report import Result
from ansnet.training.run import train
from tests.training.small import few_shapes, small_settings

SMALL = "CNR(4), M(4), res(CR(4)), M(8), L(10)"
pytestmark = pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*:FutureWarning")

PICTURES = {"as_seen", "confusion", "mistakes", "first_filters"}


@pytest.fixture(scope="module", autouse=True)
def _few_images() -> Iterator[None]:
    with few_shapes(100, 60):
        yield


def run(log_dir: Path, **given: Any) -> Result:
    return train(small_settings(log_dir, **{"model": SMALL, "lr": 1e-2, **given}))


class Run:
    """A training by Lightning's trainer alone, with the callback or without."""

    def __init__(
        self,
        folder: Path,
        *callbacks: lightning.Callback,
        network: nn.Module | None = None,
        classes: tuple[str, ...] | None = None,
        **options: Any,
    ) -> None:
        torch.manual_seed(0)
        self.data = Shapes10DataModule(batch_size=50, augmentation=Augmentation())
        self.classifier = ImageClassifier(network or create_model(SMALL), classes=classes)
        logger = lightning.loggers.TensorBoardLogger(str(folder), default_hp_metric=False)
        chosen: dict[str, Any] = {"max_epochs": 2, "num_sanity_val_steps": 0, **options}
        self.trainer = lightning.Trainer(
            accelerator="cpu",
            devices=1,
            logger=logger,
            callbacks=list(callbacks),
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
            log_every_n_steps=1,
            **chosen,
        )

    def fit(self) -> Run:
        train, val = self.data.train_dataloader(), self.data.val_dataloader()
        with torch.compiler.set_stance("force_eager"):  # as by --compile none
            self.trainer.fit(self.classifier, train, val)
        return self

    @property
    def events(self) -> EventAccumulator:
        return read(Path(str(self.trainer.log_dir)))


def read(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder), size_guidance={"images": 0, "histograms": 0}).Reload()


def steps(events: EventAccumulator, tag: str) -> list[int]:
    kind = events.Images if tag.startswith("pictures") else events.Histograms
    return [event.step for event in kind(tag)]


def picture(events: EventAccumulator, name: str) -> Image.Image:
    return Image.open(BytesIO(events.Images(f"pictures/{name}")[-1].encoded_image_string))


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return run(tmp_path_factory.mktemp("logs"), augment=True, test_time_flip=True)


@pytest.fixture(scope="module")
def events(result: Result) -> EventAccumulator:
    return read(result.log_dir)


def test_a_run_has_all_pictures_with_sizes_that_can_be_read(events: EventAccumulator) -> None:
    assert set(events.Tags()["images"]) == {f"pictures/{name}" for name in PICTURES}
    for name in PICTURES:
        width, height = picture(events, name).size
        assert 200 < width < 1600
        assert 100 < height < 1600
    assert steps(events, "pictures/confusion") == [0, 3]  # before the training, and after it
    assert steps(events, "pictures/as_seen") == [0]


def test_a_run_has_histograms_of_every_layer(events: EventAccumulator) -> None:
    tags = set(events.Tags()["histograms"])
    for name, _ in create_model(SMALL).named_parameters():
        for group in ("weights", "gradients"):
            (tag,) = (tag for tag in tags if tag.startswith(group) and tag.endswith(f"_{name}"))
            assert steps(events, tag) == [3]
    assert "activations/1_conv1" in tags or "activations/01_conv1" in tags
    assert sum(tag.startswith("activations/") for tag in tags) == 8


def test_a_run_has_its_graph_its_tables_and_its_charts(
    result: Result, events: EventAccumulator
) -> None:
    boxes = {node.name.partition("/")[0] for node in events.Graph().node}
    assert boxes >= {"input", "conv1", "residual1", "linear1", "output"}
    (text,) = events.Tensors("run/settings/text_summary")
    settings = text.tensor_proto.string_val[0].decode()
    assert "| batch_size | `50` |" in settings
    assert f"| torch | `{torch.__version__}` |" in settings
    (text,) = events.Tensors("run/network/text_summary")
    assert f"`{SMALL}`" in text.tensor_proto.string_val[0].decode()
    assert "custom_scalars__config__" in events.Tags()["tensors"]


def test_the_accuracy_by_class_has_the_accuracy_as_its_mean(
    result: Result, events: EventAccumulator
) -> None:
    tags = [tag for tag in events.Tags()["scalars"] if tag.startswith("val_by_class/")]
    assert len(tags) == 10
    # shapes10 has as many images of each class
    for i, epoch in enumerate(result.history):
        shares = [events.Scalars(tag)[i] for tag in tags]
        assert {event.step for event in shares} == {(0, 1, 3)[i]}
        assert sum(event.value for event in shares) / 10 == pytest.approx(epoch.val_accuracy, rel=1e-5)


def test_only_tensorboard_is_written_to(result: Result) -> None:
    with (result.log_dir / "metrics.csv").open(newline="") as file:
        columns = csv.DictReader(file).fieldnames
    assert set(columns or ()) == {
        "epoch",
        "images_per_second",
        "images_per_second_step",
        "learning_rate",
        "step",
        "train/accuracy",
        "train/accuracy_step",
        "train/loss",
        "train/loss_step",
        "training_seconds",
        "val/accuracy",
        "val/accuracy_tta",
        "val/loss",
    }


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"precision": "bf16-mixed", "channels_last": True, "augment": True},
        {"precision": "bf16-true", "ops": "torch", "test_time_shift": True},
    ],
)
def test_the_same_seed_gives_the_same_weights_without_it(
    given: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BoardRecord, "is_time", lambda self, trainer: True)
    states = [torch.load(run(tmp_path / "with", **given).best_checkpoint)["state_dict"]]
    assert (tmp_path / "with").exists()
    for name, method in vars(BoardRecord).items():
        if name.startswith("on_"):
            monkeypatch.setattr(BoardRecord, name, getattr(lightning.Callback, name))
            assert method is not getattr(BoardRecord, name)
    states.append(torch.load(run(tmp_path / "without", **given).best_checkpoint)["state_dict"])
    assert states[0].keys() == states[1].keys()
    for name, tensor in states[0].items():
        assert torch.equal(tensor, states[1][name])


def test_a_resumed_run_shows_the_accuracy_by_class_of_before(tmp_path: Path) -> None:
    first = run(tmp_path, max_epochs=1)
    resumed = run(tmp_path, resume=str(first.best_checkpoint.with_name("last.ckpt")))
    whole = run(tmp_path)
    found = [read(each.log_dir) for each in (resumed, whole)]
    for tag in (tag for tag in found[1].Tags()["scalars"] if tag.startswith("val_by_class/")):
        got, expected = ([(e.step, e.value) for e in each.Scalars(tag)] for each in found)
        assert got == expected
        assert len(got) == 3
    assert set(found[0].Tags()["images"]) == {f"pictures/{name}" for name in PICTURES}
    assert found[0].Tags()["graph"]


@pytest.mark.parametrize(("every", "expected"), [(0, []), (1, [1, 3, 5]), (2, [3, 5])])
def test_every_so_many_epochs_and_after_the_last(
    every: int, expected: list[int], tmp_path: Path
) -> None:
    events = Run(tmp_path, BoardRecord(every), max_epochs=3).fit().events
    tags = set(events.Tags()["images"])
    assert tags == {f"pictures/{name}" for name in (PICTURES if every else {"as_seen"})}
    for tag in tags - {"pictures/as_seen"}:
        assert steps(events, tag) == expected
    for tag in events.Tags()["histograms"]:
        assert steps(events, tag) == expected


def test_by_default_it_goes_by_the_time_it_takes(tmp_path: Path) -> None:
    record = BoardRecord()
    trainer: Any = Run(tmp_path, record, max_epochs=100).trainer
    record.start -= 1000.0  # a training of 1000 s, of which 2 % are 20
    record.seconds, record.cost = 17.0, 1.4  # two more: now, and at the end
    assert record.is_time(trainer)
    record.cost = 1.6
    assert not record.is_time(trainer)


def test_a_run_of_less_than_an_epoch(tmp_path: Path) -> None:
    events = Run(tmp_path, BoardRecord(), max_epochs=-1, max_steps=1).fit().events
    assert {"pictures/as_seen", "pictures/first_filters"} <= set(events.Tags()["images"])
    assert "weights/1_conv1.weight" in events.Tags()["histograms"]
    assert events.Tags()["graph"]


def test_a_run_that_is_stopped_early_shows_its_last_epoch(tmp_path: Path) -> None:
    stop = lightning.callbacks.EarlyStopping("val/accuracy", mode="max", stopping_threshold=-1.0)
    events = Run(tmp_path, BoardRecord(5), stop, max_epochs=9).fit().events
    for tag in ("pictures/confusion", "pictures/first_filters", "weights/1_conv1.weight"):
        assert steps(events, tag) == [1]


@pytest.mark.parametrize(
    "options", [{"num_sanity_val_steps": 1}, {"limit_val_batches": 0}, {"val_check_interval": 1}]
)
def test_however_it_is_validated(options: dict[str, Any], tmp_path: Path) -> None:
    events = Run(tmp_path, BoardRecord(1), **options).fit().events
    expected = PICTURES - ({"confusion", "mistakes"} if "limit_val_batches" in options else set())
    assert set(events.Tags()["images"]) == {f"pictures/{name}" for name in expected}
    if "limit_val_batches" not in options:
        assert steps(events, "pictures/confusion") == [1, 3]


@pytest.mark.parametrize("classes", [None, ("one",), tuple("abcdefghij")])
def test_classes_without_names_or_with_too_few_are_numbered(
    classes: tuple[str, ...] | None, tmp_path: Path
) -> None:
    tags = Run(tmp_path, BoardRecord(), classes=classes).fit().events.Tags()["scalars"]
    named = classes is not None and len(classes) == 10
    assert "val_by_class/d" if named else "val_by_class/class_3" in tags
    assert sum(tag.startswith("val_by_class/") for tag in tags) == 10


def test_a_hundred_classes(tmp_path: Path) -> None:
    network = Network("CR(4), M(8), L(100)")
    events = Run(tmp_path, BoardRecord(), network=network).fit().events
    # only ten of them have images
    assert sum(tag.startswith("val_by_class/") for tag in events.Tags()["scalars"]) == 10
    assert picture(events, "confusion").size > (1200, 1200)


class Unusual(nn.Module):
    """Neither traced nor copied, and its weights are of no kind that is known."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(10, 3))

    def forward(self, images: Tensor) -> Tensor:
        return images.mean((2, 3)) @ self.weight.T

    def __deepcopy__(self, memo: dict[int, Any]) -> Unusual:
        raise TypeError("not to be copied")


def test_what_cannot_be_shown_is_told_and_ends_no_training(tmp_path: Path) -> None:
    with pytest.warns(BoardWarning, match="the run goes on: TypeError: not to be copied"):
        unusual = Run(tmp_path, BoardRecord(), network=Unusual()).fit()
    assert unusual.trainer.global_step == 4
    assert {"pictures/confusion", "pictures/mistakes"} <= set(unusual.events.Tags()["images"])


def test_without_tensorboard_it_does_nothing(tmp_path: Path) -> None:
    record = BoardRecord()
    silent = Run(tmp_path, record)
    silent.trainer.loggers = []
    silent.fit()
    assert record.seconds == 0
    assert not any(tmp_path.rglob("events*"))
