"""`ansnet.models.notation`."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import ansnet.modules as ours
from ansnet.models import Network, NotationError, torch_twin
from ansnet.models.notation import Block, Layer, parse


def test_parses_into_layers_and_blocks() -> None:
    assert parse("CNR(64), M(2), res(CR(8),N), L(10)") == (
        Layer("C", 64, 0),
        Layer("N", 0, 1),
        Layer("R", 0, 2),
        Layer("M", 2, 9),
        Block((Layer("C", 8, 19), Layer("R", 0, 20), Layer("N", 0, 25)), 15),
        Layer("L", 10, 29),
    )


def test_blanks_do_not_matter() -> None:
    def letters(notation: str) -> list[str]:
        return [layer.letter for layer in parse(notation) if isinstance(layer, Layer)]

    assert letters(" C ( 3 ) ,\n R,L(10) ") == letters("C(3),R,L(10)") == ["C", "R", "L"]


def test_builds_what_it_says() -> None:
    network = Network("C(4), NR, M(2), res(CR(4)), NRC(6), L(7), N, R, L(10)")
    assert [(name, type(layer)) for name, layer in network.named_children()] == [
        ("conv1", ours.Conv2d),
        ("norm1", ours.BatchNorm2d),
        ("relu1", ours.ReLU),
        ("pool1", ours.MaxPool2d),
        ("residual1", ours.Residual),
        ("norm2", ours.BatchNorm2d),
        ("relu2", ours.ReLU),
        ("conv2", ours.Conv2d),
        ("flatten", ours.Flatten),
        ("linear1", ours.Linear),
        ("norm3", ours.BatchNorm1d),
        ("relu3", ours.ReLU),
        ("linear2", ours.Linear),
    ]
    biases = {name for name, _ in network.named_parameters() if name.endswith("bias")}
    assert biases == {
        "norm1.bias", "residual1.conv1.bias", "norm2.bias", "conv2.bias", "norm3.bias", "linear2.bias"
    }  # fmt: skip
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_a_bias_in_front_of_normalisation_is_there_if_asked_for() -> None:
    names = [name for name, _ in Network("CN(4), L(10)", bias=True).named_parameters()]
    assert "conv1.bias" in names


def test_other_image_sizes() -> None:
    network = Network("C(4), M(3), L(10)", in_shape=(1, 28, 31))
    assert network.linear1.in_features == 4 * 9 * 10
    assert network(torch.zeros(2, 1, 28, 31)).shape == (2, 10)


def test_a_window_may_be_as_large_as_the_image() -> None:
    assert Network("M(4), M(8), L(10)")(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    assert Network("M(3), L(10)", in_shape=(2, 3, 5)).linear1.in_features == 2


@pytest.mark.parametrize(
    ("notation", "position", "reason"),
    [
        ("", 1, "expected a layer"),
        ("CR(64), X(2)", 9, "unknown layer 'X'"),
        ("CRX(64)", 3, "unknown layer 'X'"),
        ("conv(64)", 1, "unknown layer 'c'"),
        ("CR(64) M(2)", 8, "expected ','"),
        ("CR(64),, M(2)", 8, "expected a layer"),
        ("CR(64), M(2),", 14, "expected a layer"),
        ("CR(64", 6, "expected '\\)'"),
        ("CR()", 4, "number of filters of C"),
        ("CR", 3, "expected '\\('"),
        ("M(2.5), L(10)", 4, "expected '\\)'"),
        ("M(-2), L(10)", 3, "window size of M"),
        ("CR(0)", 4, "must be at least 1"),
        ("R(3), L(10)", 2, "expected ','"),
        ("CML(3)", 1, "CML needs 3 numbers"),
        ("CRM(3)", 1, "CRM needs 2 numbers"),
        ("res CR(3)", 5, "expected '\\(' after res"),
        ("res(CR(3), L(10)", 17, "closes res"),
        ("CR(8)), L(10)", 6, "expected ','"),
        ("M(64), L(10)", 1, "64x64 does not fit into an image of 32x32"),
        ("M(4), M(4), M(4), L(10)", 13, "4x4 does not fit into an image of 2x2"),
        ("L(10), C(3)", 8, "C needs an image"),
        ("L(10), M(3)", 8, "M needs an image"),
        ("res(CR(4)), L(10)", 1, "makes \\(4, 32, 32\\) of \\(3, 32, 32\\)"),
        ("CR(4)", 6, "ends with a linear layer"),
    ],
)
def test_what_does_not_parse_says_where_and_why(notation: str, position: int, reason: str) -> None:
    with pytest.raises(NotationError, match=reason) as error:
        Network(notation)
    assert error.value.position == position
    assert f"position {position} (" in str(error.value)
    assert "\n" not in str(error.value)


def test_the_message_shows_what_stands_there() -> None:
    with pytest.raises(NotationError) as error:
        Network("R, X" + 30 * "y")
    assert str(error.value).startswith(f"model notation, position 4 (at 'X{19 * 'y'}'): unknown layer")
    with pytest.raises(NotationError) as error:
        Network("R,")
    assert str(error.value).startswith("model notation, position 3 (at its end): expected a layer")


def test_the_twin_is_of_pytorchs_layers_with_the_same_weights() -> None:
    network = Network("CNR(4), M(2), res(CR(4)), L(10)").eval()
    before = torch.random.get_rng_state()
    twin = torch_twin(network)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert type(twin.conv1) is nn.Conv2d
    assert type(twin.residual1.conv1) is nn.Conv2d
    assert not twin.training
    for name, value in network.state_dict().items():
        assert torch.equal(twin.state_dict()[name], value)
        assert twin.state_dict()[name].data_ptr() != value.data_ptr()


@pytest.mark.parametrize(
    ("notation", "message"),
    [
        (f"L({'9' * 5000})", "position 3 .*the number of outputs of L has 5000 digits; at most are 9"),
        ("C(٣), L(10)", "position 3 .*expected the number of filters of C, a positive whole number"),
        ("res(" * 300 + "C(3)" + ")" * 300 + ", L(10)", "position 81 .*nested more than 20 deep"),
        ("R" * 5001 + ", L(10)", "position 1 .*the network has more than 5,000 layers"),
        ("C(3), " * 5001 + "L(10)", "the network has more than 5,000 layers"),
        ("C(999999999), C(999999999), L(10)", "position 15 .*the layer has .* weights; at most are"),
    ],
)
def test_what_is_too_large_is_refused_before_it_is_built(notation: str, message: str) -> None:
    with torch.device("meta"), pytest.raises(NotationError, match=message) as error:
        Network(notation)
    assert "\n" not in str(error.value)
