"""`ansnet.training.anomaly`: the operation that made the first number that is not finite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from ansnet.modules import Conv2d, ReLU
from ansnet.training.anomaly import argument, in_forward
from ansnet.training.machine import complete_by_device
from ansnet.training.run import train
from ansnet.training.settings import Settings, SettingsError
from ansnet.training.stopped import TrainingStopped, gradient_that_is_no_number
from tests.training.small import few_shapes, small_settings
from tests.training.spoiled import spoil

NAN = float("nan")


@pytest.fixture(autouse=True)
def _few_images() -> Iterator[None]:
    with few_shapes(200, 100):  # 4 steps an epoch
        yield


def stopped(log_dir: Path, **given: Any) -> TrainingStopped:
    with pytest.raises(TrainingStopped) as raised:
        train(small_settings(log_dir, detect_anomaly=True, model="CNR(4), M(8), L(10)", **given))
    return raised.value


@pytest.mark.parametrize("ops", ["ansnet", "torch"])
def test_a_layer_whose_weights_are_bad(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ops: str
) -> None:
    def before(trainer: Any, module: Any, batch: Any, index: int) -> None:
        if trainer.global_step == 5:
            module.network.get_submodule("linear1").weight.data[3] = NAN

    spoil(monkeypatch, before)
    found = stopped(tmp_path, ops=ops)
    assert found.what == "the output of a layer is the first that is not finite"
    assert found.details["layer"].startswith("network.linear1, Linear(")
    assert found.details["input"] == "finite"
    assert found.details["not finite"] == "its weight"
    assert found.details["step"] == "5 (epoch 2 of 2, batch 2)"
    assert found.details["images"].startswith("all 50, ")
    assert found.details["checkpoint"].endswith("last.ckpt, after epoch 1, step 4")
    assert (tmp_path / "notation" / "version_0" / "curves.png").is_file()


def test_images_that_are_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def before(trainer: Any, module: Any, batch: Any, index: int) -> None:
        batch[0][[3, 4]] = NAN

    spoil(monkeypatch, before)
    found = stopped(tmp_path)
    assert found.details["layer"].startswith("network.conv1, Conv2d(3, 4, ")
    assert found.details["input"] == "not finite"
    assert "not finite" not in found.details
    assert found.details["images"].startswith("2 of 50, by their indices in the training set: ")


def spoil_backward(patch: pytest.MonkeyPatch, layer: Any) -> None:
    """Have the gradient with respect to a layer's output spoiled on its way into its backward."""
    own = layer.forward

    def forward(self: Any, input: Tensor) -> Tensor:
        z: Tensor = own(self, input)
        if z.requires_grad:
            z.register_hook(lambda gradient: gradient * NAN)
        return z

    patch.setattr(layer, "forward", forward)


@pytest.mark.parametrize(
    ("layer", "operation", "called", "where"),
    [
        (ReLU, "ReLU", "network.relu1, ReLU()", "ansnet/functional/activation.py, line "),
        (Conv2d, "Conv2d", "network.conv1, Conv2d(3, 4, ", "ansnet/functional/conv.py, line "),
    ],
)
def test_a_backward_is_named_with_its_layer_and_the_line_of_its_forward(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layer: Any, operation: str, called: str, where: str
) -> None:
    spoil_backward(monkeypatch, layer)
    found = stopped(tmp_path)
    assert found.what.startswith(
        f"the backward of {operation} gives a gradient that is not a number, that of its argument "
    )
    assert found.details["layer"].startswith(called)
    assert found.details["forward"].startswith(where)
    assert found.details["step"] == "0 (epoch 1 of 2, batch 1)"


def test_another_error_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def before(trainer: Any, module: Any, batch: Any, index: int) -> None:
        raise RuntimeError("something else")

    spoil(monkeypatch, before)
    with pytest.raises(RuntimeError, match="something else"):
        train(small_settings(tmp_path, detect_anomaly=True))


def test_a_training_without_a_fault_is_the_same_and_nothing_is_left_on_its_layers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def validating(trainer: Any, module: Any, batch: Any, index: int) -> None:
        seen.append(sum(len(layer._forward_hooks) for layer in module.modules()))

    spoil(monkeypatch, validating=validating)
    watched = train(small_settings(tmp_path, detect_anomaly=True))
    plain = train(small_settings(tmp_path))
    assert [each.train_loss for each in watched.history] == pytest.approx(
        [each.train_loss for each in plain.history], rel=1e-5
    )
    assert set(seen) == {0}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Function 'Conv2dBackward' returned nan values in its 1th output.", ("Conv2d", 1)),
        ("Function 'ConvolutionBackward0' returned nan values in its 0th output.", ("Convolution", 0)),
        ("something else", None),
    ],
)
def test_what_pytorch_says(message: str, expected: tuple[str, int] | None) -> None:
    assert gradient_that_is_no_number(RuntimeError(message)) == expected
    assert gradient_that_is_no_number(ValueError(message)) is None


def test_an_argument_is_called_as_in_the_formula() -> None:
    assert argument("Conv2d", 1) == "argument w"
    assert argument("Convolution", 1) == "second argument"


def test_the_line_is_not_that_of_the_machinery() -> None:
    trace = (
        "Error detected in XBackward. Traceback of forward call that caused the error:\n"
        '  File "/home/me/net.py", line 3, in forward\n    return f(x)\n'
        '  File "/lib/torch/nn/modules/module.py", line 9, in _call_impl\n    return g(x)\n'
        "  of the layer network.a, A()\n"
    )
    assert in_forward(trace) == {
        "layer": "network.a, A()",
        "forward": "/home/me/net.py, line 3, in forward: return f(x)",
    }
    assert in_forward("") == {}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"precision": "16-mixed"}, "gradients overflow by design"),
        ({"devices": 2}, "--detect-anomaly follows one process, and not 2; use --devices 1"),
    ],
)
def test_where_it_would_be_misleading_it_is_refused(given: dict[str, Any], message: str) -> None:
    chosen = Settings.complete({"dataset": "shapes10", "detect_anomaly": True, **given})
    with pytest.raises(SettingsError, match=message):
        complete_by_device(chosen)


def test_nothing_is_compiled() -> None:
    given = {"dataset": "shapes10", "detect_anomaly": True, "accelerator": "cpu"}
    assert complete_by_device(Settings.complete(given)).compile == "none"
    with pytest.raises(SettingsError, match="--compile network has no effect with --detect-anomaly"):
        Settings.complete({**given, "compile": "network"})
