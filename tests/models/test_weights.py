"""`ansnet.models.weights`: what is written is read, and what is not whole is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from ansnet.models import Network, WeightsError, torch_twin
from ansnet.models.weights import KEY, TrainedNetwork, read_weights, write_weights

NOTATION = "CNR(4), M(2), res(CNR(4)), M(4), L(3)"
NORMALISATION = {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4)}


@pytest.fixture
def trained() -> TrainedNetwork:
    network = Network(NOTATION, (3, 16, 16))
    network(torch.randn(8, 3, 16, 16))  # running means and variances other than 0 and 1
    return TrainedNetwork(network.eval(), ("a", "ž", "c d"), NORMALISATION, "letters")


def test_in_the_type_of_the_network_it_is_the_same_network(
    trained: TrainedNetwork, tmp_path: Path
) -> None:
    write_weights(tmp_path / "a.safetensors", trained, dtype=None)
    read = read_weights(tmp_path / "a.safetensors")
    assert (read.classes, read.normalisation, read.dataset) == (
        trained.classes,
        NORMALISATION,
        "letters",
    )
    assert read.network.notation == NOTATION
    assert read.network.in_shape == (3, 16, 16)
    assert not read.network.training
    images = torch.randn(5, 3, 16, 16)
    torch.testing.assert_close(read.network(images), trained.network(images), rtol=0, atol=0)


def test_in_float16_each_weight_is_the_nearest(trained: TrainedNetwork, tmp_path: Path) -> None:
    write_weights(tmp_path / "a.safetensors", trained)
    stored = load_file(tmp_path / "a.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16, torch.int64}  # batches seen
    read = read_weights(tmp_path / "a.safetensors").network.state_dict()
    for name, tensor in trained.network.state_dict().items():
        assert read[name].dtype == tensor.dtype
        expected = tensor.half().to(tensor.dtype) if tensor.is_floating_point() else tensor
        assert torch.equal(read[name], expected)


def test_of_classes_that_are_not_known_nothing_is_said(tmp_path: Path) -> None:
    write_weights(tmp_path / "a.safetensors", TrainedNetwork(Network("CR(2), L(3)")))
    read = read_weights(tmp_path / "a.safetensors")
    assert (read.classes, read.normalisation, read.dataset) == (None, None, None)


def test_layers_of_torch_are_written_as_ansnets(trained: TrainedNetwork, tmp_path: Path) -> None:
    twin = TrainedNetwork(torch_twin(trained.network), *list(vars(trained).values())[1:])  # type: ignore[arg-type]
    for name, each in (("a", trained), ("b", twin)):
        write_weights(tmp_path / name, each)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("value", [1e6, float("nan"), float("inf")])
def test_what_float16_cannot_hold_is_not_written(
    value: float, trained: TrainedNetwork, tmp_path: Path
) -> None:
    with torch.no_grad():
        trained.network.get_parameter("conv1.weight")[0, 0, 0, 0] = value
    with pytest.raises(
        WeightsError, match=r"conv1\.weight has numbers that are not finite in .*float16"
    ):
        write_weights(tmp_path / "a.safetensors", trained)
    assert not (tmp_path / "a.safetensors").exists()


def test_a_file_cut_off_anywhere_is_refused(trained: TrainedNetwork, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_weights(path, trained)
    whole = path.read_bytes()
    for length in (0, 4, 8, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(WeightsError, match="no safetensors file, or one that was cut off"):
            read_weights(path)


def test_a_bit_that_has_changed_is_noticed(trained: TrainedNetwork, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_weights(path, trained)
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="damaged, its weights have another SHA-256"):
        read_weights(path)


def rewritten(path: Path, **changed: object) -> None:
    """Another description over the same weights."""
    with safe_open(path, "pt") as file:
        about = json.loads(file.metadata()[KEY])
    save_file(load_file(path), path, {KEY: json.dumps(about | changed)})


@pytest.mark.parametrize(
    "changed",
    [
        {"notation": "CR(4), L(3)"},
        {"notation": "nonsense"},
        {"in_shape": [3, 16]},
        {"classes": 3},
        {"normalisation": [0.5]},
    ],
)
def test_a_description_that_does_not_fit_is_refused(
    changed: dict[str, object], trained: TrainedNetwork, tmp_path: Path
) -> None:
    path = tmp_path / "a.safetensors"
    write_weights(path, trained)
    rewritten(path, **changed)
    with pytest.raises(WeightsError, match="its description and its weights do not agree"):
        read_weights(path)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (None, "does not say what network its weights are of"),
        ({"format": "pt"}, "does not say what network its weights are of"),
        ({KEY: "no JSON"}, "do not agree"),
        ({KEY: "[]"}, "do not agree"),
    ],
)
def test_a_safetensors_file_of_another_is_refused(
    metadata: dict[str, str] | None, message: str, tmp_path: Path
) -> None:
    save_file({"weight": torch.zeros(2)}, tmp_path / "a.safetensors", metadata)
    with pytest.raises(WeightsError, match=message) as error:
        read_weights(tmp_path / "a.safetensors")
    assert str(error.value).startswith(f"{tmp_path / 'a.safetensors'}: ")
    assert "\n" not in str(error.value)


def test_what_is_not_there_or_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="there is no such file"):
        read_weights(tmp_path / "missing.safetensors")
    with pytest.raises(WeightsError, match="this is no safetensors file"):
        read_weights(tmp_path)
