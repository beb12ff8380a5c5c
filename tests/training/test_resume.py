"""`ansnet.training.resume`: with which settings a run goes on, and from what it cannot."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields, replace
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import torch
import yaml

from ansnet.files import held
from ansnet.training.machine import complete_by_device
from ansnet.training.options import declared
from ansnet.training.record import KEY
from ansnet.training.report import Result
from ansnet.training.resume import Checkpoint, changes, going_on, read_checkpoint, settings_from
from ansnet.training.run import train
from ansnet.training.settings import Settings, SettingsError
from tests.training.small import few_shapes, small_settings


@pytest.fixture(scope="module", autouse=True)
def _few_images() -> Iterator[None]:
    with few_shapes(300, 100):
        yield


def settings(log_dir: Path, **given: Any) -> Settings:
    return small_settings(log_dir, **{"optimizer": "sgd", "lr": 0.05, "schedule": "linear", **given})


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return train(settings(tmp_path_factory.mktemp("logs"), early_stopping=9, max_epochs=1))


@pytest.fixture
def last(result: Result) -> str:
    return str(result.log_dir / "checkpoints" / "last.ckpt")


def test_the_checkpoint_names_every_setting(result: Result, last: str) -> None:
    recorded = yaml.safe_load((result.log_dir / "hparams.yaml").read_text())
    before = read_checkpoint(last).settings
    assert before is not None
    assert before == {field.name: recorded[field.name] for field in fields(Settings)}
    assert asdict(settings_from(last, {})) == {**before, "resume": last}


def test_what_is_given_takes_the_place_of_what_it_names(last: str) -> None:
    found = settings_from(last, {"lr": 0.5, "max_epochs": 3, "momentum": 0.5})
    assert (found.lr, found.max_epochs, found.momentum, found.optimizer) == (0.5, 3, 0.5, "sgd")
    lines = changes(read_checkpoint(last), found)
    assert lines == [
        "--max-epochs 3 from here on, before --max-epochs 1",
        "--lr 0.5 from here on, before --lr 0.05",
        "--momentum 0.5 from here on, before --momentum 0.9",
        "so that the learning rate falls to 0 at another step than it would have",
    ]
    assert changes(read_checkpoint(last), settings_from(last, {"mirror": "http://x"})) == []


def test_it_is_recorded_beside_the_run_before(
    result: Result, last: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_dir = result.log_dir.parent.parent
    assert settings_from(last, {}).log_dir == str(log_dir)
    assert settings_from(last, {"log_dir": "elsewhere"}).log_dir == "elsewhere"
    monkeypatch.chdir(Path(last).parent)
    assert settings_from("last.ckpt", {}).log_dir == str(log_dir)
    monkeypatch.chdir(log_dir.parent)
    assert settings_from(str(Path(last).relative_to(Path.cwd())), {}).log_dir == log_dir.name


def test_a_run_that_has_been_moved_is_recorded_where_the_settings_say(
    result: Result, tmp_path: Path
) -> None:
    for place in (tmp_path / "moved", tmp_path / "moved" / "deeper" / "once more"):
        copytree(result.log_dir / "checkpoints", place / "checkpoints")
        found = settings_from(str(place / "checkpoints" / "last.ckpt"), {})
        assert found.log_dir == str(result.log_dir.parent.parent)


def test_what_a_file_says_besides_may_be_without_effect(last: str) -> None:
    before = read_checkpoint(last).settings
    assert before is not None
    given = {**before, "cutout": 8}
    found = settings_from(last, given, asked_for=[])
    assert (found.cutout, found.augment, found.resume) == (8, False, last)
    with pytest.raises(SettingsError, match="--cutout 8 has no effect"):
        settings_from(last, given, asked_for=["cutout"])


def test_a_run_that_is_going_on_is_left_alone(result: Result, last: str) -> None:
    with held(result.log_dir), pytest.raises(SettingsError, match="its run is still going on"):
        settings_from(last, {})
    settings_from(last, {})


def test_the_record_of_one_device_leaves_it_open_whether_several_synchronise(result: Result) -> None:
    recorded = yaml.safe_load((result.log_dir / "hparams.yaml").read_text())
    names = {field.name for field in fields(Settings)}
    given = {name: value for name, value in recorded.items() if name in names}
    several = Settings.complete({**given, "devices": 2}, [])
    assert complete_by_device(several).sync_batchnorm is True


OTHERS = {
    "batch_size": 51,
    "optimizer": "adam",
    "model": "vgg7",
    "dataset": "cifar10",
    "seed": 1,
    "identity_init": True,
    "accumulate_grad_batches": 2,
    "devices": 2,
    "limit_batches": 3,
    "overfit_batches": 3,
}


def test_what_a_training_cannot_change_on_its_way_is_refused(last: str, tmp_path: Path) -> None:
    fixed = {field.name for field in fields(Settings) if declared(field).fixed}
    assert OTHERS.keys() <= fixed
    for name, value in OTHERS.items():
        words = f"--{name.replace('_', '-')}"
        with pytest.raises(SettingsError, match=f"of a training .*{words}.* cannot go on with {words}"):
            settings_from(last, {name: value})
    with pytest.raises(SettingsError, match="with --seed 0, and cannot go on with --seed 1; leave it"):
        train(settings(tmp_path, resume=last, max_epochs=2, seed=1))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [*OTHERS, "find_lr"])
def test_a_training_with_any_setting_goes_on_with_it(last: str, name: str) -> None:
    before = read_checkpoint(last)
    assert before.settings is not None
    value = OTHERS.get(name, True)
    settings = {**before.settings, name: value}
    found = going_on(settings, {}, last)
    assert getattr(found, name) == (name != "find_lr" and value)
    assert changes(replace(before, settings=settings), found) == []


def test_a_run_that_has_searched_its_rate_goes_on_with_it(tmp_path: Path) -> None:
    first = train(small_settings(tmp_path, find_lr=True, max_epochs=1))
    last = str(first.log_dir / "checkpoints" / "last.ckpt")
    second = train(settings_from(last, {"max_epochs": 2}))
    assert second.lr == first.lr
    assert [epoch.epoch for epoch in second.history] == [0, 1, 2]


def test_what_has_no_effect_on_it_is_refused(last: str) -> None:
    with pytest.raises(SettingsError, match="--cutout 8 has no effect with --no-augment"):
        settings_from(last, {"cutout": 8})
    with pytest.raises(SettingsError, match=r"--find-lr cannot search .*last\.ckpt; leave one of them"):
        settings_from(last, {"find_lr": True})


def test_a_schedule_that_has_come_to_its_end_is_not_lengthened(last: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="1 epoch is completed, so nothing is left"):
        train(settings_from(last, {"log_dir": str(tmp_path)}))
    with pytest.raises(SettingsError, match=r"has fallen to 0 .* add --schedule constant"):
        train(settings_from(last, {"log_dir": str(tmp_path), "max_epochs": 2}))
    assert list(tmp_path.iterdir()) == []
    found = {"max_epochs": 2, "schedule": "constant", "lr": 0.25, "log_dir": str(tmp_path)}
    longer = train(settings_from(last, found))
    assert [epoch.epoch for epoch in longer.history] == [0, 1, 2]
    checkpoint = torch.load(longer.log_dir / "checkpoints" / "last.ckpt", weights_only=True)
    assert [group["lr"] for group in checkpoint["optimizer_states"][0]["param_groups"]] == [0.25] * 2


@pytest.mark.parametrize("name", ["lr", "momentum", "nesterov", "weight_decay", "bias_lr_factor"])
def test_the_optimizer_goes_on_with_what_it_is_told_now(tmp_path: Path, name: str) -> None:
    told = {"lr": 0.2, "momentum": 0.5, "nesterov": True, "weight_decay": 0.125, "bias_lr_factor": 8.0}
    chosen = {"schedule": "constant", "log_dir": str(tmp_path)}
    first = train(settings(tmp_path, max_epochs=1, **{"schedule": "constant"}))
    path = str(first.log_dir / "checkpoints" / "last.ckpt")
    result = train(settings_from(path, {**chosen, "max_epochs": 2, name: told[name]}))
    checkpoint = torch.load(result.log_dir / "checkpoints" / "last.ckpt", weights_only=True)
    weights, biases = checkpoint["optimizer_states"][0]["param_groups"]
    expected = {"lr": 0.05, "momentum": 0.9, "nesterov": False, "weight_decay": 0.0}
    expected |= {name: told[name]} if name in expected else {}
    assert {each: weights[each] for each in expected} == expected
    assert biases["lr"] == expected["lr"] * (8.0 if name == "bias_lr_factor" else 1.0)


def test_an_older_checkpoint_is_resumed_by_the_record_beside_it(
    result: Result, last: str, tmp_path: Path
) -> None:
    content = torch.load(last, weights_only=True)
    del content[KEY]
    old = tmp_path / "checkpoints" / "last.ckpt"
    old.parent.mkdir()
    torch.save(content, old)
    with pytest.raises(SettingsError, match=r"of an older ansnet, and the hparams\.yaml of its run is"):
        settings_from(str(old), {})
    (tmp_path / "hparams.yaml").write_bytes((result.log_dir / "hparams.yaml").read_bytes())
    before = read_checkpoint(last).settings
    assert before is not None
    assert read_checkpoint(str(old)).settings == before
    (tmp_path / "hparams.yaml").write_text("model: [vgg7\n")
    with pytest.raises(SettingsError, match=r"hparams\.yaml: it is damaged"):
        settings_from(str(old), {})


def changed(*keys: Any, to: Any) -> Callable[[dict[str, Any]], Any]:
    def change(content: dict[str, Any]) -> Any:
        inner: Any = content
        for key in keys[:-1]:
            inner = inner[key]
        inner[keys[-1]] = to
        return content

    return change


ODD: dict[str, Callable[[dict[str, Any]], Any]] = {
    "another dictionary": lambda _: {"some": "thing"},
    "a list": lambda _: [1, 2],
    "a tensor": lambda _: torch.zeros(3),
    "only weights": lambda content: content["state_dict"],
    "classes that are a number": changed("hyper_parameters", "classes", to=3),
    "a tensor of text's length": lambda _: torch.zeros(4, 4),
    **{
        f"{key} is {value!r}": changed(key, to=value)
        for key in ("state_dict", "callbacks", "optimizer_states", "loops", "epoch", "global_step")
        for value in (None, "text", [])
        if not (key == "optimizer_states" and value == [])
    },
    "no loops": changed("loops", to={}),
    "loops of text": changed("loops", "fit_loop", "epoch_progress", to="text"),
    "a setting of another type": changed(KEY, "settings", "lr", to="high"),
    "a record of another type": changed(KEY, to=[1]),
    "optimizer of text": changed("optimizer_states", to=["text"]),
    "a schedule of text": changed("lr_schedulers", 0, "last_epoch", to="text"),
    "a counter of text": changed(
        "loops", "fit_loop", "epoch_loop.batch_progress", "current", "ready", to="text"
    ),
    "no counters": changed("loops", "fit_loop", "epoch_loop.batch_progress", "total", to={}),
}


@pytest.mark.parametrize("kind", ODD)
def test_what_is_no_checkpoint_is_refused_in_one_line(last: str, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "odd.ckpt"
    torch.save(ODD[kind](torch.load(last, weights_only=True)), path)
    with pytest.raises(
        SettingsError, match=r"odd\.ckpt: this is no checkpoint of a run; name one"
    ) as e:
        settings_from(str(path), {})
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04", b"\x80\x04K\x01."])
def test_files_that_are_something_else(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.ckpt"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"odd\.ckpt: this is no checkpoint of a run; name one"):
        read_checkpoint(str(path))
    for name, message in ((tmp_path, "this is no file"), (tmp_path / "a", "there is no such file")):
        with pytest.raises(SettingsError, match=re.escape(f"--resume {name}: {message}")):
            read_checkpoint(str(name))


def test_a_checkpoint_that_is_cut_off_is_refused(last: str, tmp_path: Path) -> None:
    whole = Path(last).read_bytes()
    for share in (0.1, 0.5, 0.9, 0.99):
        path = tmp_path / "cut.ckpt"
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(SettingsError, match="this is no checkpoint of a run"):
            read_checkpoint(str(path))


def test_a_checkpoint_of_another_network_or_optimizer_is_refused(last: str, tmp_path: Path) -> None:
    path = tmp_path / "other.ckpt"

    def resumed(content: dict[str, Any]) -> None:
        torch.save(content, path)
        train(settings_from(str(path), {"max_epochs": 2, "log_dir": str(tmp_path / "logs")}))

    content = torch.load(last, weights_only=True)
    content["state_dict"]["network.conv1.weight"] = torch.zeros(7)
    with pytest.raises(SettingsError, match="of another network than --model"):
        resumed(content)
    content = torch.load(last, weights_only=True)
    del content["optimizer_states"][0]["param_groups"][1]
    with pytest.raises(SettingsError, match="of an older ansnet, which did not tell weights from"):
        resumed(content)
    for state in ({}, {0: {"momentum_buffer": "text"}}, {0: {"momentum_buffer": torch.zeros(3)}}):
        content = torch.load(last, weights_only=True)
        content["optimizer_states"][0]["state"] = state
        with pytest.raises(SettingsError, match="what the optimizer keeps is missing in it, or of an"):
            resumed(content)
    assert not (tmp_path / "logs").exists()


DAMAGED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "log": lambda content: content["callbacks"].update(StepLog=7),
    "means": lambda content: content[KEY].update(means={"other": {}}),
}


@pytest.mark.parametrize("part", DAMAGED)
def test_what_only_the_trainer_finds_is_told_in_one_line(last: str, tmp_path: Path, part: str) -> None:
    content, path = torch.load(last, weights_only=True), tmp_path / "damaged.ckpt"
    DAMAGED[part](content)
    torch.save(content, path)
    given = {"max_epochs": 2, "schedule": "constant", "log_dir": str(tmp_path / "logs")}
    with pytest.raises(SettingsError, match=r"damaged\.ckpt: the checkpoint is damaged \(.*; name an"):
        train(settings_from(str(path), given))


def test_where_a_checkpoint_is_of_is_said(last: str) -> None:
    assert str(read_checkpoint(last)) == f"{last}, after epoch 1, step 6"
    within = Checkpoint("a.ckpt", None, 2, 20, True, {})
    assert str(within) == "a.ckpt, within epoch 3, step 20"
    assert changes(within, Settings.complete({"dataset": "shapes10"})) == []
