"""`ansnet.data.svhn`, on twelve random images in the layout of the real ones."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import torch

from ansnet.data import DataError, SVHNDataModule
from tests.data.conftest import SVHN_LABELS


@pytest.fixture
def mirror(tiny_svhn: Path) -> Iterator[str]:
    handler = partial(SimpleHTTPRequestHandler, directory=tiny_svhn)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_digit_has_its_own_index_and_stands_upright(tiny_svhn: Path) -> None:
    data = SVHNDataModule(tiny_svhn)
    data.prepare_data()
    pixels, targets = data.images("val")
    assert [data.classes[target] for target in targets] == [str(label % 10) for label in SVHN_LABELS]
    from scipy.io import loadmat

    stored = loadmat(tiny_svhn / "test_32x32.mat")["X"]
    assert torch.equal(pixels, torch.from_numpy(stored.transpose(3, 0, 1, 2).copy()))
    assert pixels.is_contiguous()


def test_it_is_fetched_from_a_mirror(tiny_svhn: Path, mirror: str, tmp_path: Path) -> None:
    data = SVHNDataModule(tmp_path / "new", mirror=mirror)
    data.prepare_data()
    assert len(data.images("train").targets) == len(SVHN_LABELS)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "test_32x32.mat",
        "train_32x32.mat",
    ]


def test_what_is_missing_or_damaged_is_named(tiny_svhn: Path) -> None:
    with pytest.raises(DataError, match=r"no SVHN in .*train_32x32.mat failed .*--data-dir"):
        SVHNDataModule(tiny_svhn / "elsewhere").prepare_data()
    (tiny_svhn / "test_32x32.mat").write_bytes(b"damaged")
    with pytest.raises(DataError, match=r"SVHN is damaged: .*test_32x32.mat"):
        SVHNDataModule(tiny_svhn).prepare_data()


def test_without_scipy_the_command_that_helps_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ansnet.data.svhn.find_spec", lambda name: None)
    with pytest.raises(DataError, match="missing: pip install scipy"):
        SVHNDataModule(tmp_path).prepare_data()
