"""The recipes in ``configs/``."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from ansnet.commands.train import make_parser
from ansnet.training.recipes import Recipe
from ansnet.training.settings import Settings, takes_effect

CONFIGS = sorted((Path(__file__).parent.parent / "configs").glob("*.yaml"))
RECOMMENDED = {"vgg7_fast": "vgg7", "vgg7bn": "vgg7bn", "resnet9": "resnet9"}


def settings(*arguments: str) -> Settings:
    return Settings.complete(vars(make_parser().parse_args(arguments)))


def test_there_is_a_file_for_each_recipe() -> None:
    assert {config.stem for config in CONFIGS} == {*RECOMMENDED, "vgg7_notebook", "resnet9_best"}


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.stem)
def test_it_opens_with_its_command_and_what_it_gave(config: Path) -> None:
    command, empty, *about = config.read_text(encoding="utf-8").splitlines()
    assert command.startswith(f"# python train.py --config configs/{config.name}")
    assert empty == "#"
    comment = "\n".join(line for line in about if line.startswith("#"))
    assert "Reached " in comment or "Not measured: " in comment


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.stem)
def test_it_leaves_nothing_to_the_recommended_recipe(config: Path) -> None:
    given = yaml.safe_load(config.read_text(encoding="utf-8"))
    assert {field.name for field in fields(Recipe) if takes_effect(field.name, given)} <= given.keys()


@pytest.mark.parametrize(("config", "model"), RECOMMENDED.items())
def test_a_recommended_recipe_is_what_the_model_gets_without_a_file(config: str, model: str) -> None:
    (path,) = (path for path in CONFIGS if path.stem == config)
    assert settings("--config", str(path)) == settings("--model", model)
