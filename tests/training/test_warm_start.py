"""`ansnet.training.warm_start`: which weights are taken, and which networks are refused."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from ansnet.commands.main import main
from ansnet.data import Shapes10DataModule
from ansnet.models import Network, WeightsError, pretrained
from ansnet.models.weights import TrainedNetwork, write_weights
from ansnet.training.history import read_history
from ansnet.training.resume import going_on
from ansnet.training.settings import Settings, SettingsError
from ansnet.training.warm_start import begin_with_weights, load_weights

NOTATION = "CNR(4), M(4), res(CNR(4)), M(4), LR(6), L(3)"


def network(notation: str = NOTATION, seed: int = 0) -> Network:
    torch.manual_seed(seed)
    made = Network(notation)
    made(torch.randn(8, 3, 32, 32))  # running means and variances of its own
    return made.eval()


def test_of_the_same_classes_all_layers_are_taken() -> None:
    trained, fresh = network(), network(seed=1)
    assert load_weights(fresh, TrainedNetwork(trained, ("a", "b", "c")), ("a", "b", "c")) == []
    images = torch.randn(4, 3, 32, 32)
    torch.testing.assert_close(fresh(images), trained(images), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("notation", "classes"),
    [(NOTATION.replace("L(3)", "L(5)"), "abcde"), (NOTATION, "abd"), (NOTATION, "bac")],
)
def test_of_other_classes_all_layers_but_the_last_are_taken(notation: str, classes: str) -> None:
    trained, fresh = network(), network(notation, seed=1)
    before = {name: tensor.clone() for name, tensor in fresh.state_dict().items()}
    assert load_weights(fresh, TrainedNetwork(trained, ("a", "b", "c")), tuple(classes)) == ["linear2"]
    for name, tensor in fresh.state_dict().items():
        source = before if name.startswith("linear2.") else trained.state_dict()
        assert torch.equal(tensor, source[name]), name
    assert not torch.equal(before["conv1.weight"], fresh.state_dict()["conv1.weight"])


@pytest.mark.parametrize(
    ("notation", "there", "here"),
    [
        ("CNR(8), M(4), res(CNR(8)), M(4), LR(6), L(3)", "conv1 of 4 ×", "conv1 of 8 ×"),
        ("CR(4), M(4), res(CNR(4)), M(4), LR(6), L(3)", "conv1 of", "conv1 of .* with a bias"),
        ("CNR(4), M(2), res(CNR(4)), M(8), LR(6), L(3)", "pool1 of 4 × 4", "pool1 of 2 × 2"),
        ("CNR(4), M(4), CNR(4), M(4), LR(6), L(3)", "residual1.conv1", "conv2"),
        ("CNR(4), M(4), res(CNR(4)), M(4), LR(7), L(3)", "linear1 of 6 ×", "linear1 of 7 ×"),
        ("CNR(4), M(4), res(CNR(4)), M(4), LR(6), LR(6), L(3)", "linear2 of 3 × 6", "linear2 of 6 × 6"),
        ("CNR(4), M(4), res(CNR(4)), M(4), L(3)", "linear1 of 6 × 16", "linear1 of 3 × 16"),
        ("CNR(4), M(4), res(CNR(4)), M(4), LR(6), LR(3)", "none", "relu3"),
    ],
)
def test_another_network_is_refused_by_its_first_layer_that_differs(
    notation: str, there: str, here: str
) -> None:
    fresh = network(notation, seed=1)
    before = {name: tensor.clone() for name, tensor in fresh.state_dict().items()}
    with pytest.raises(WeightsError, match=f"differs is {there}.* there and {here}.* here") as error:
        load_weights(fresh, TrainedNetwork(network()))
    assert NOTATION in str(error.value)
    assert all(torch.equal(tensor, before[name]) for name, tensor in fresh.state_dict().items())


def test_those_that_come_with_the_model_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path)
    settings = Settings.complete({"model": "vgg7", "weights": "pretrained"})
    trained = network("CR(2), M(8), L(3)")
    with pytest.raises(
        SettingsError, match=r"^--weights pretrained: none come with --model vgg7; name"
    ):
        begin_with_weights(trained, settings, "abc")
    write_weights(tmp_path / "resnet9.safetensors", TrainedNetwork(trained))
    with pytest.raises(SettingsError, match="none come with --model vgg7, but with resnet9; name"):
        begin_with_weights(trained, settings, "abc")
    write_weights(
        tmp_path / "vgg7.safetensors", TrainedNetwork(trained, ("a", "b", "c"), None, "letters")
    )
    fresh = network("CR(2), M(8), L(3)", seed=1)
    said = begin_with_weights(fresh, settings, ("a", "b", "c"))
    assert said == "begins with the weights of vgg7, learnt from letters"
    assert torch.equal(
        fresh.get_parameter("conv1.bias"), trained.get_parameter("conv1.bias").half().float()
    )
    (tmp_path / "vgg7.safetensors").write_bytes(b"")
    with pytest.raises(
        SettingsError, match=r"^--weights .*vgg7\.safetensors: this is no safetensors file"
    ):
        begin_with_weights(fresh, settings, "abc")


def test_they_cannot_be_given_to_a_run_that_is_resumed() -> None:
    before = asdict(Settings.complete({"dataset": "shapes10"}))
    with pytest.raises(SettingsError, match=r"--resume a\.ckpt goes on with its own weights"):
        going_on(before, {"weights": "pretrained"}, "a.ckpt")


@pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*:FutureWarning")
def test_a_run_goes_on_from_where_another_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Shapes10DataModule, "train_size", 100)
    monkeypatch.setattr(Shapes10DataModule, "val_size", 50)
    options = ["--max-epochs=1", "--batch-size=50", "--dataset=shapes10", "--accelerator=cpu"]
    train = ["train", *options, "--model=CNR(4), M(8), L(10)", f"--log-dir={tmp_path}"]
    assert main(train) == 0
    checkpoint = tmp_path / "notation/version_0/checkpoints/last.ckpt"
    assert main([*train, f"--weights={checkpoint}"]) == 0
    shown = capsys.readouterr().out
    assert f"begins with the weights of {checkpoint}, learnt from shapes10\n" in shown
    first, second = (
        read_history(tmp_path / f"notation/version_{version}/metrics.csv") for version in (0, 1)
    )
    assert second[0].val_loss == pytest.approx(first[1].val_loss, rel=1e-5)
    assert second[0].val_loss != pytest.approx(first[0].val_loss, rel=1e-5)
    with pytest.raises(SystemExit) as exit_:
        main([*train, "--model=CNR(6), M(8), L(10)", f"--weights={checkpoint}"])
    assert exit_.value.code == 2
    error = capsys.readouterr().err
    assert "the first layer that differs is conv1 of 4 × 3 × 3 × 3 there" in error
    assert error.count("\n") == 1
