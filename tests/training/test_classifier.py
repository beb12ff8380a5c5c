"""`ansnet.training.classifier`, beside a trainer that is only pretended; whole runs: test_run.py."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ansnet.models import create_model
from ansnet.training.classifier import ImageClassifier, SubsetMeans
from ansnet.training.muon import Muon

SMALL = "CNR(8), M(4), CR(16), M(4), LR(16), L(10)"


class Scripted(nn.Module):
    """Answers each call with the next of the scores that were given."""

    def __init__(self, answers: list[Tensor]) -> None:
        super().__init__()
        self.answers = iter(answers)

    def forward(self, images: Tensor) -> Tensor:
        return next(self.answers)


def margins(*each: float) -> Tensor:
    """Scores of two classes, by which the first one leads."""
    return torch.tensor([[margin, 0.0] for margin in each])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_views_are_weighed(monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype) -> None:
    answers = [margins(1.0, 1.0)] * 2 + [margins(-0.875, -1.125)] * 4  # not shifted, and shifted
    network = Scripted([scores.to(dtype) for scores in answers])
    classifier = ImageClassifier(network, test_time_flip=True, test_time_shift=True)
    monkeypatch.setattr(ImageClassifier, "is_last_epoch", property(lambda self: True))
    monkeypatch.setattr(classifier, "log", lambda *unused, **options: None)
    monkeypatch.setattr(classifier, "log_dict", lambda *unused, **options: None)
    # 1 + 1 − ½ · 4 · 0.875 = 0.25 for the first class, 1 + 1 − ½ · 4 · 1.125 = −0.25 for the second
    classifier.validation_step((torch.zeros(2, 3, 4, 4), torch.tensor([0, 1])), 0)
    assert classifier.augmented_accuracy.compute().item() == 1.0
    assert classifier.val_means.accuracy.compute().item() == 0.5  # of the images alone


def test_what_it_does_unless_it_is_told_is_what_a_checkpoint_says() -> None:
    assert ImageClassifier(nn.Identity()).hparams == {
        "optimizer": "adam",
        "lr": 1e-3,
        "bias_lr_factor": 1.0,
        "momentum": 0.9,
        "nesterov": False,
        "weight_decay": 0.0,
        "decay_biases": False,
        "schedule": "constant",
        "warmup": 0.0,
        "test_time_flip": False,
        "test_time_shift": False,
        "classes": None,
        "normalisation": None,
        "dataset": None,
    }


def test_it_trains_by_adam_at_a_thousandth_unless_it_is_told() -> None:
    optimizer = ImageClassifier(nn.Linear(3, 2)).make_optimizer()
    assert type(optimizer) is torch.optim.Adam
    assert [group["lr"] for group in optimizer.param_groups] == [1e-3, 1e-3]
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.0, 0.0]


def test_loss_and_accuracy_are_means_over_the_images() -> None:
    means = SubsetMeans()
    means.update(torch.tensor([2.0, 0.0]), 1)
    means.update(torch.tensor([4.0, 2 / 3]), 3)
    assert (means.loss.compute().item(), means.accuracy.compute().item()) == (3.5, 0.5)


def test_an_accuracy_is_of_whole_images_in_any_order() -> None:
    shares = [(i % 8 / 7, 7) for i in range(999)] + [(1 / 3, 3)]
    for order in (shares, shares[::-1]):
        means = SubsetMeans()
        for share, images in order:
            means.update(torch.tensor([0.0, share]), images)
        right = torch.tensor(sum(round(share * images) for share, images in shares))
        assert torch.equal(means.accuracy.compute(), right / sum(images for _, images in shares))


def test_means_are_summed_in_float32_within_a_network_in_bfloat16() -> None:
    classifier = ImageClassifier(nn.Linear(2, 2)).to(torch.bfloat16)
    for figure in (1.0, 0.0):
        for _ in range(100):
            classifier.train_means.update(torch.tensor([figure, figure]), 8)
    assert classifier.network.weight.dtype is torch.bfloat16
    assert classifier.train_means.loss.compute().item() == 0.5
    assert classifier.augmented_accuracy.mean_value.dtype is torch.float32


@pytest.mark.parametrize("decay_biases", [False, True])
@pytest.mark.parametrize(
    ("name", "kind", "own"),
    [
        ("adam", torch.optim.Adam, {"fused": True, "decoupled_weight_decay": False}),
        ("adamw", torch.optim.AdamW, {"fused": True, "decoupled_weight_decay": True}),
        ("sgd", torch.optim.SGD, {"fused": True, "momentum": 0.3, "nesterov": True}),
        ("muon", Muon, {"momentum": 0.3}),
    ],
)
def test_the_optimizers_are_set_as_told(
    name: str, kind: type[torch.optim.Optimizer], own: dict[str, Any], decay_biases: bool
) -> None:
    network = create_model(SMALL)
    optimizer = ImageClassifier(
        network,
        optimizer=name,
        lr=0.1,
        bias_lr_factor=8.0,
        momentum=0.3,
        nesterov=True,
        weight_decay=0.2,
        decay_biases=decay_biases,
    ).make_optimizer()
    assert type(optimizer) is kind
    decays = {
        parameter: group["weight_decay"]
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    # three weights; the bias of each, and the normalisation's two but not the bias before it
    assert decays.keys() == set(network.parameters())
    assert sorted(decays.values()) == [0.2 if decay_biases else 0.0] * (len(decays) - 4) + [0.2] * 4
    assert all(decays[weight] == 0.2 for weight in network.parameters() if weight.ndim > 1)
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.8]
    for group in optimizer.param_groups:
        assert {key: group[key] for key in own} == own


def test_nesterovs_momentum_of_0_is_none() -> None:
    network = create_model(SMALL)
    classifier = ImageClassifier(network, optimizer="sgd", momentum=0.0, nesterov=True)
    assert not classifier.make_optimizer().param_groups[0]["nesterov"]


def test_an_unknown_optimizer_or_schedule_is_refused() -> None:
    with pytest.raises(ValueError, match="one of adam, adamw, sgd, muon, got 'adagrad'"):
        ImageClassifier(nn.Identity(), optimizer="adagrad")
    with pytest.raises(ValueError, match="one of constant, linear, cosine, got 'step'"):
        ImageClassifier(nn.Identity(), schedule="step")


@pytest.mark.parametrize(
    ("function", "epoch", "stops", "is_last"),
    [
        ("fit", 4, False, True),
        ("fit", 3, False, False),
        ("fit", 3, True, True),
        ("fit", 5, False, False),
        ("validate", 4, False, False),
    ],
)
def test_the_last_epoch_is_known(
    monkeypatch: pytest.MonkeyPatch, function: str, epoch: int, stops: bool, is_last: bool
) -> None:
    trainer: Any = SimpleNamespace(
        state=SimpleNamespace(fn=function), current_epoch=epoch, max_epochs=5, should_stop=stops
    )
    monkeypatch.setattr(ImageClassifier, "trainer", trainer)
    monkeypatch.setattr(ImageClassifier, "current_epoch", epoch)
    assert ImageClassifier(nn.Identity()).is_last_epoch is is_last


def pretend(monkeypatch: pytest.MonkeyPatch, **state: Any) -> None:
    """Let every classifier be trained by such a trainer."""
    monkeypatch.setattr(ImageClassifier, "trainer", SimpleNamespace(**state))


@pytest.mark.parametrize(
    ("function", "hook", "logged"),
    [
        ("validate", "on_validation_epoch_end", 4.0),
        ("fit", "on_validation_epoch_end", 5.0),
        ("fit", "on_train_epoch_end", 5.0),
    ],
)
def test_an_epoch_is_numbered_by_how_many_are_completed(
    monkeypatch: pytest.MonkeyPatch, function: str, hook: str, logged: float
) -> None:
    pretend(monkeypatch, state=SimpleNamespace(fn=function))
    monkeypatch.setattr(ImageClassifier, "current_epoch", 4)
    classifier, figures = ImageClassifier(nn.Identity()), {}
    monkeypatch.setattr(classifier, "log", figures.__setitem__)
    getattr(classifier, hook)()
    assert figures == {"epoch": logged}


@pytest.mark.parametrize(("is_last", "stops"), [(False, False), (True, False), (False, True)])
def test_the_training_figures_are_logged_with_the_last_batch(
    monkeypatch: pytest.MonkeyPatch, is_last: bool, stops: bool
) -> None:
    pretend(monkeypatch, is_last_batch=is_last, should_stop=stops)
    classifier, logged = ImageClassifier(Scripted([margins(1.0, 2.0, 3.0)])), []
    monkeypatch.setattr(
        classifier, "log_dict", lambda *given, **options: logged.append((given, options))
    )
    batch = torch.zeros(3, 3, 4, 4), torch.tensor([0, 0, 1])
    outputs = classifier.training_step(batch, 0)
    classifier.on_train_batch_end(outputs, batch, 0)
    assert outputs["figures"].tolist() == pytest.approx([outputs["loss"].item(), 2 / 3])
    means = {
        "train/loss": classifier.train_means.loss,
        "train/accuracy": classifier.train_means.accuracy,
    }
    options = {"on_step": False, "on_epoch": True, "batch_size": 3, "add_dataloader_idx": False}
    assert logged == ([((means,), options)] if is_last or stops else [])
    assert [float(mean.weight) for mean in means.values()] == [3.0, 3.0]


def test_of_two_loaders_the_first_validates_and_the_second_has_the_training_images(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    classifier, logged = ImageClassifier(Scripted([margins(1.0), margins(1.0)])), []
    monkeypatch.setattr(classifier, "log_dict", lambda means, **options: logged.append([*means]))
    for loader, target in ((0, 0), (1, 1)):
        classifier.validation_step((torch.zeros(1, 3, 4, 4), torch.tensor([target])), 0, loader)
    assert logged == [["val/loss", "val/accuracy"], ["train/loss", "train/accuracy"]]
    means = classifier.val_means, classifier.train_means
    assert [each.accuracy.compute().item() for each in means] == [1.0, 0.0]


def test_the_moments_of_a_checkpoint_are_laid_out_as_the_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = nn.Conv2d(3, 4, 2).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    classifier = ImageClassifier(network, lr=0.1)
    optimizer = classifier.make_optimizer()
    network(torch.randn(2, 3, 4, 4)).sum().backward()
    optimizer.step()
    state = optimizer.state[network.weight]
    before = {name: value.clone() for name, value in state.items()}
    state["exp_avg"] = state["exp_avg"].contiguous()  # as read from another run's
    pretend(monkeypatch, optimizers=[optimizer], ckpt_path="a.ckpt")
    classifier.on_train_start()
    assert state["exp_avg"].stride() == network.weight.stride()
    for name, value in state.items():
        assert torch.equal(value, before[name])
        assert value.shape == before[name].shape
    classifier.on_train_end()
    assert [parameter.grad for parameter in network.parameters()] == [None, None]
