"""A checkpoint suffices: what a run has saved is loaded, tested and asked with nothing beside it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partialmethod
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torchvision.transforms import Normalize

from ansnet.compatibility import lightning
from ansnet.data import Shapes10DataModule
from ansnet.data.augmentation import MEAN, STD
from ansnet.data.shapes10 import SHAPES
from ansnet.models import create_model
from ansnet.modules import Conv2d, SoftmaxCrossEntropy
from ansnet.training.classifier import ImageClassifier
from ansnet.training.description import NotDescribedError
from ansnet.training.report import Result
from ansnet.training.run import train
from tests.training.small import few_shapes, small_settings

SMALL = "CNR(8), M(4), CR(16), M(4), LR(16), L(10)"

# Lightning 2.6 beside torch 2.14; `ansnet.training.run` silences it
pytestmark = pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.:FutureWarning")


@pytest.fixture(scope="module", autouse=True)
def _few_images() -> Iterator[None]:
    with few_shapes(300, 100):
        yield


def run(log_dir: Path, **given: Any) -> Result:
    chosen = {
        "model": SMALL,
        "max_epochs": 1,
        "lr": 1e-2,
        "label_smoothing": 0.25,
        "test_time_flip": True,
    }
    return train(small_settings(log_dir, **{**chosen, **given}))


def trainer(**options: Any) -> lightning.Trainer:
    silent = {"logger": False, "enable_progress_bar": False}
    return lightning.Trainer(accelerator="cpu", devices=1, **silent, **options)


@pytest.fixture(scope="module")
def last(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as a run leaves it."""
    return run(tmp_path_factory.mktemp("logs")).best_checkpoint.with_name("last.ckpt")


def load(path: Path, **given: Any) -> ImageClassifier:
    classifier = ImageClassifier.load_from_checkpoint(path, **given)
    assert isinstance(classifier, ImageClassifier)
    return classifier


@torch.compiler.set_stance("force_eager")
def measured(classifier: ImageClassifier, **images: Any) -> dict[str, float]:
    (figures,) = trainer().test(classifier, verbose=False, **images)
    return dict(figures)


@torch.compiler.set_stance("force_eager")
def predicted(classifier: ImageClassifier, **images: Any) -> Tensor:
    batches: Any = trainer().predict(classifier, **images)
    return torch.cat(batches)


def test_a_checkpoint_names_all_that_it_is_of_in_plain_words_and_numbers(last: Path) -> None:
    named = torch.load(last, weights_only=True)["hyper_parameters"]
    assert named["network"] == {
        "notation": SMALL,
        "in_shape": [3, 32, 32],
        "bias": False,
        "layers": "ansnet",
        "dtype": "float32",
    }
    assert named["criterion"] == {"label_smoothing": 0.25, "layers": "ansnet"}
    assert named["dataset"] == "shapes10"
    assert named["normalisation"] == {"mean": MEAN, "std": STD}
    assert named["classes"] == tuple(shape.__name__ for shape in SHAPES)
    assert named["optimizer"] == "adam"


@pytest.mark.filterwarnings("ignore")  # of torch.compile, another set in each version
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"ops": "torch"},
        {"channels_last": True},
        {"compile": "network", "channels_last": True, "test_time_shift": True},
    ],
)
def test_a_loaded_checkpoint_has_the_accuracy_of_its_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any]
) -> None:
    monkeypatch.setattr(nn.Module, "compile", partialmethod(nn.Module.compile, backend="eager"))
    result = run(tmp_path, **given)
    data = Shapes10DataModule(50, channels_last=given.get("channels_last", False))
    options: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
        ({}, {"datamodule": data}),
        ({"weights_only": True}, {"dataloaders": data.val_dataloader()}),
    )
    for how, images in options:
        classifier = load(result.best_checkpoint.with_name("last.ckpt"), **how)
        kinds = (nn.Conv2d, nn.CrossEntropyLoss) if "ops" in given else (Conv2d, SoftmaxCrossEntropy)
        assert (type(classifier.network.conv1), type(classifier.criterion)) == kinds
        figures = measured(classifier, **images)
        epoch = result.history[-1]
        assert figures["test/accuracy"] == pytest.approx(epoch.val_accuracy, abs=1e-7)
        assert figures["test/accuracy_tta"] == pytest.approx(epoch.val_accuracy_tta, abs=1e-7)
        # float32's rounding: laid out otherwise in memory, sums are taken in another order
        assert figures["test/loss"] == pytest.approx(epoch.val_loss, rel=1e-5)


def test_without_test_time_augmentation_there_is_no_accuracy_with_it(last: Path) -> None:
    data = Shapes10DataModule(50)
    figures = measured(load(last, test_time_flip=False), datamodule=data)
    assert figures.keys() == {"test/loss", "test/accuracy"}


def test_each_image_is_tested_once_also_those_of_a_smaller_last_batch(last: Path) -> None:
    figures = measured(load(last), datamodule=Shapes10DataModule(64))
    ((_, targets),) = Shapes10DataModule(100).val_dataloader()
    scores = predicted(load(last), datamodule=Shapes10DataModule(100))
    right = (scores.argmax(1) == targets).sum().item()
    assert figures["test/accuracy"] == pytest.approx(right / 100, abs=1e-7)


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_predicted_are_the_scores_of_images_with_or_without_their_classes(last: Path) -> None:
    classifier, data = load(last).eval(), Shapes10DataModule(64)
    ((images, targets),) = Shapes10DataModule(100).val_dataloader()
    with torch.no_grad(), torch.compiler.set_stance("force_eager"):
        expected = classifier(images)
    for given in (
        {"datamodule": data},
        {"dataloaders": data.predict_dataloader()},
        {"dataloaders": DataLoader(TensorDataset(images, targets), 64)},
        {"dataloaders": DataLoader(TensorDataset(images), 64)},
        {"dataloaders": DataLoader(list(images), 64)},  # type: ignore[arg-type]
    ):
        torch.testing.assert_close(predicted(classifier, **given), expected)


def test_an_image_of_ones_own_is_classified_by_what_the_checkpoint_says(last: Path) -> None:
    classifier, data = load(last).eval(), Shapes10DataModule(1)
    data.setup("predict")
    pixels = data.subsets["val"].pixels[0].permute(2, 0, 1) / 255
    assert classifier.normalisation is not None
    assert classifier.classes == data.classes
    image = Normalize(**classifier.normalisation)(pixels)
    expected = next(iter(data.predict_dataloader()))[0]
    torch.testing.assert_close(image[None], expected)


def test_a_network_that_is_given_takes_the_place_of_the_one_that_is_named(last: Path) -> None:
    network = create_model(SMALL)
    assert load(last, network=network).network is network


def without(path: Path, to: Path, *names: str) -> Path:
    """A copy of a checkpoint that does not say these things, as one of an older ansnet."""
    checkpoint = torch.load(path, weights_only=True)
    for name in names:
        del checkpoint["hyper_parameters"][name]
    torch.save(checkpoint, to)
    return to


def test_an_older_checkpoint_is_loaded_into_the_network_that_is_given(
    last: Path, tmp_path: Path
) -> None:
    old = without(
        last, tmp_path / "old.ckpt", "network", "criterion", "classes", "normalisation", "dataset"
    )
    with pytest.raises(NotDescribedError, match=r"older ansnet .*; pass network="):
        load(old)
    classifier = load(old, network=create_model(SMALL))
    assert (classifier.classes, classifier.normalisation, classifier.dataset) == (None, None, None)
    figures = measured(classifier, datamodule=Shapes10DataModule(50))
    expected = measured(load(last), datamodule=Shapes10DataModule(50))
    assert figures["test/accuracy"] == expected["test/accuracy"]
    resumed = run(tmp_path, max_epochs=2, resume=str(old))
    assert resumed.history[-1].epoch == 2
    again = torch.load(resumed.best_checkpoint, weights_only=True)
    assert again["hyper_parameters"]["network"]["notation"] == SMALL


class OneLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3 * 32 * 32, 10)

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.linear(images.flatten(1))
        return scores


def saved(classifier: ImageClassifier, path: Path) -> Path:
    options = {"limit_val_batches": 0, "enable_checkpointing": False, "enable_model_summary": False}
    fitter = trainer(max_steps=1, log_every_n_steps=1, **options)
    fitter.fit(classifier, datamodule=Shapes10DataModule(2))
    fitter.save_checkpoint(path)
    return path


def test_any_other_network_and_loss_is_given_with_the_checkpoint(tmp_path: Path) -> None:
    criterion = nn.CrossEntropyLoss(weight=torch.arange(10.0))
    path = saved(ImageClassifier(OneLayer(), criterion), tmp_path / "one.ckpt")
    with pytest.raises(
        NotDescribedError, match=r"its network, a .*OneLayer, .*; pass network="
    ) as error:
        load(path)
    assert "\n" not in str(error.value)
    with pytest.raises(NotDescribedError, match=r"its criterion, a .*CrossEntropyLoss"):
        load(path, network=OneLayer())
    given = load(path, network=OneLayer(), criterion=nn.CrossEntropyLoss(weight=torch.ones(10)))
    assert isinstance(given.network, OneLayer)
    assert given.criterion.weight.tolist() == list(range(10))


def test_a_layer_that_is_replaced_after_loading_is_not_named_as_it_was(
    last: Path, tmp_path: Path
) -> None:
    classifier = load(last)
    classifier.network.linear2 = nn.Linear(16, 10)
    with pytest.raises(NotDescribedError, match="pass network="):
        load(saved(classifier, tmp_path / "tuned.ckpt"))


class Named(ImageClassifier):
    """Whose network is the name of one."""

    def __init__(self, network: str, lr: float = 1e-3) -> None:
        super().__init__(create_model(network), lr=lr)
        self.save_hyperparameters(logger=False)


def test_what_a_subclass_says_of_its_network_is_kept(tmp_path: Path) -> None:
    path = saved(Named(SMALL, lr=0.5), tmp_path / "named.ckpt")
    loaded = Named.load_from_checkpoint(path)
    assert isinstance(loaded, Named)
    assert loaded.lr == 0.5


class OfItsOwn(ImageClassifier):
    """Makes its network itself, and hands on what else it is given."""

    def __init__(self, width: int = 4, **options: Any) -> None:
        super().__init__(create_model(f"C({width}), M(4), L(10)"), **options)
        self.save_hyperparameters()


def test_a_subclass_may_make_its_own_network(tmp_path: Path) -> None:
    classifier, path = OfItsOwn(6, lr=0.25), tmp_path / "own.ckpt"
    loader = DataLoader(TensorDataset(torch.zeros(2, 3, 32, 32), torch.zeros(2).long()))
    options: Any = {"max_epochs": 0, "logger": False, "accelerator": "cpu"}
    trainer = lightning.Trainer(default_root_dir=tmp_path, **options)
    trainer.fit(classifier, loader, loader)
    trainer.save_checkpoint(path)
    loaded = OfItsOwn.load_from_checkpoint(path)
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(loaded(x), classifier(x))
    assert loaded.lr == 0.25
