"""`ansnet.training.board.hparams`, read back by TensorBoard's own plugin."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams import api_pb2, backend_context, list_session_groups

from ansnet.training.board.hparams import FIGURES
from ansnet.training.report import Result
from ansnet.training.run import train
from tests.training.small import few_shapes, small_settings

ATTRIBUTES = {"speed/training_seconds": "training_seconds"}


@pytest.fixture(scope="module", autouse=True)
def _few_images() -> Iterator[None]:
    with few_shapes(100, 50):
        yield


def run(log_dir: Path, **given: Any) -> Result:
    return train(small_settings(log_dir, **{"lr": 1e-2, **given}))


def listed(log_dir: Path) -> list[Any]:
    """What the HPARAMS tab shows, sorted by the validation accuracy, the highest first."""
    runs = EventMultiplexer().AddRunsFromDirectory(str(log_dir))
    runs.Reload()
    context = TBContext(data_provider=MultiplexerDataProvider(runs, str(log_dir)))
    accuracy = api_pb2.ColParams(
        metric=api_pb2.MetricName(tag="val/accuracy"), order=api_pb2.ORDER_DESC
    )
    request = api_pb2.ListSessionGroupsRequest(
        start_index=0,
        slice_size=100,
        aggregation_type=api_pb2.AGGREGATION_AVG,
        allowed_statuses=[api_pb2.STATUS_SUCCESS, api_pb2.STATUS_UNKNOWN],
        col_params=[accuracy],
    )
    handler = list_session_groups.Handler(
        RequestContext(), backend_context.Context(context), "", request
    )
    return list(handler.run().session_groups)


def figures(group: Any) -> dict[str, float]:
    return {value.name.tag: value.value for value in group.metric_values}


def test_runs_are_listed_with_settings_and_final_figures_the_best_first(tmp_path: Path) -> None:
    given = (
        {"seed": 1, "lr": 1e-30},
        {"seed": 2, "test_time_flip": True},
        {"seed": 3, "augment": True},
    )
    runs = [run(tmp_path, **each) for each in given]
    groups = listed(tmp_path)
    ends = {float(seed): result.history[-1] for seed, result in enumerate(runs, 1)}
    assert {group.hparams["seed"].number_value for group in groups} == ends.keys()
    order = [figures(group)["val/accuracy"] for group in groups]
    assert order == sorted(order, reverse=True)
    for group in groups:
        end = ends[group.hparams["seed"].number_value]
        assert group.sessions[0].status == api_pb2.STATUS_SUCCESS
        shown = figures(group)
        assert shown.keys() == set(FIGURES) - (
            {"val/accuracy_tta"} if end.val_accuracy_tta is None else set()
        )
        for name, value in shown.items():
            assert value == pytest.approx(
                getattr(end, ATTRIBUTES.get(name, name.replace("/", "_"))), rel=1e-6
            )
    (slow,) = (group for group in groups if group.hparams["seed"].number_value == 1)
    assert slow.hparams["lr"].number_value == 1e-30
    assert slow.hparams["optimizer"].string_value == "adam"
    assert slow.hparams["augment"].string_value == "off"
    assert not {"log_dir", "data_dir", "mirror", "resume"} & set(slow.hparams)


def test_a_resumed_run_is_listed_with_what_it_has_arrived_at(tmp_path: Path) -> None:
    first = run(tmp_path, max_epochs=1)
    last = first.best_checkpoint.with_name("last.ckpt")
    resumed = run(tmp_path, resume=str(last))
    by_epochs = {group.hparams["max_epochs"].number_value: figures(group) for group in listed(tmp_path)}
    for epochs, result in ((1, first), (2, resumed)):
        assert by_epochs[epochs]["val/loss"] == pytest.approx(result.history[-1].val_loss, rel=1e-6)
