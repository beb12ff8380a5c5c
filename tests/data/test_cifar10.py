"""`ansnet.data.cifar10`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import torch
from torchvision.datasets import CIFAR10

from ansnet.data import CIFAR10DataModule, DataError
from ansnet.data.downloaded import addresses


def prepared(folder: Path, **options: object) -> CIFAR10DataModule:
    data = CIFAR10DataModule(folder, **options)  # type: ignore[arg-type]
    data.prepare_data()
    return data


def test_an_archive_is_unpacked_where_it_lies(tiny_cifar10: Path) -> None:
    data = prepared(tiny_cifar10)
    assert (tiny_cifar10 / CIFAR10.base_folder).is_dir()
    assert len(data.train_dataloader().sampler) == 50
    assert len(data.val_dataloader().sampler) == 10


def test_the_folder_of_the_batches_may_be_named_itself(tiny_cifar10: Path) -> None:
    prepared(tiny_cifar10)
    assert len(prepared(tiny_cifar10 / CIFAR10.base_folder).val_dataloader().sampler) == 10


@pytest.fixture
def mirror(tiny_cifar10: Path) -> Iterator[str]:
    """A web server on this machine that has the archive."""
    handler = partial(SimpleHTTPRequestHandler, directory=tiny_cifar10)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    "ending", ["", "/", "/cifar-10-python.tar.gz", "/cifar-10-python.tar.gz?download=1"]
)
def test_a_mirror_may_be_named(mirror: str, tmp_path: Path, ending: str) -> None:
    data = prepared(tmp_path / "new", mirror=mirror + ending)
    assert len(data.train_dataloader().sampler) == 50
    assert list((tmp_path / "new").glob("*.part")) == []


@pytest.mark.parametrize("link", ["link", "c10.tgz", "link/content", "cifar-10-python.tar.gz/content"])
def test_a_mirror_may_be_a_link_to_the_archive(
    tiny_cifar10: Path, mirror: str, tmp_path: Path, link: str
) -> None:
    archive = tiny_cifar10 / CIFAR10.filename
    moved = tiny_cifar10 / "elsewhere" / link
    moved.parent.mkdir(parents=True)
    archive.rename(moved)
    prepared(tmp_path / "new", mirror=f"{mirror}/elsewhere/{link}")


@pytest.mark.parametrize(
    ("mirror", "tried"),
    [
        ("https://host", ["https://host/{}"]),
        ("https://host/", ["https://host/{}"]),
        ("https://host/data/", ["https://host/data/{}"]),
        ("https://host/data", ["https://host/data/{}", "https://host/data"]),
        ("https://host/data.d", ["https://host/data.d", "https://host/data.d/{}"]),
        ("https://host/a/c10.tgz", ["https://host/a/c10.tgz", "https://host/a/c10.tgz/{}"]),
        ("https://host/{}", ["https://host/{}"]),
        ("https://host/{}?download=1", ["https://host/{}?download=1"]),
        ("https://host/a/{}?sequence=1&isAllowed=y", ["https://host/a/{}?sequence=1&isAllowed=y"]),
        ("https://host/get?id=7", ["https://host/get?id=7"]),
        ("https://host/?id=7", ["https://host/?id=7", "https://host/{}?id=7"]),
        ("https://host/d/?token=a", ["https://host/d/?token=a", "https://host/d/{}?token=a"]),
        ("https://host/a/{}/content", ["https://host/a/{}/content"]),
        ("https://host/a/content", ["https://host/a/content/{}", "https://host/a/content"]),
        ("https://host/a/{}#top", ["https://host/a/{}#top"]),
    ],
)
def test_where_a_mirror_is_looked_for_the_archive(mirror: str, tried: list[str]) -> None:
    name = "cifar-10-python.tar.gz"
    assert addresses(mirror.format(name), name) == [url.format(name) for url in tried]


def test_a_mirror_without_the_archive_says_where_it_was_looked_for(mirror: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="failed") as error:
        prepared(tmp_path / "new", mirror=f"{mirror}/missing")
    for url in (f"{mirror}/missing/cifar-10-python.tar.gz", f"{mirror}/missing"):
        assert f"from {url} failed (HTTP Error 404: File not found)" in str(error.value)
    assert "name another host with --mirror" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_page_is_not_taken_for_the_archive(tiny_cifar10: Path, mirror: str, tmp_path: Path) -> None:
    (tiny_cifar10 / "page").mkdir()
    with pytest.raises(DataError, match=r"/page failed \(it sends another file, text/html\)"):
        prepared(tmp_path / "new", mirror=f"{mirror}/page")  # the server's list of the folder
    assert list((tmp_path / "new").iterdir()) == []


def test_what_a_mirror_sends_is_checked(
    mirror: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CIFAR10, "tgz_md5", "0" * 32)
    with pytest.raises(DataError, match=r"failed \(it sends a file without the published md5"):
        prepared(tmp_path / "new", mirror=mirror)
    assert list((tmp_path / "new").iterdir()) == []


def test_a_damaged_archive_is_replaced(tiny_cifar10: Path, mirror: str, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / CIFAR10.filename).write_bytes(b"half of it")
    prepared(tmp_path / "new", mirror=mirror)


@pytest.mark.parametrize("mirror", ["/some/folder", "ftp://host/file", "http://[host"])
def test_a_mirror_is_a_web_address(mirror: str) -> None:
    with pytest.raises(DataError, match=rf"--mirror {re.escape(mirror)}: .*http.*--data-dir"):
        prepared(Path("nowhere"), mirror=mirror)


@pytest.mark.parametrize("mirror", [None, "http://127.0.0.1:9"])
def test_no_copy_and_no_network_says_what_to_do(
    tiny_cifar10: Path, tmp_path: Path, mirror: str | None
) -> None:
    with pytest.raises(DataError, match=r"--mirror.*--data-dir.*--dataset shapes10") as error:
        prepared(tmp_path / "empty", mirror=mirror)
    assert str(tmp_path / "empty") in str(error.value)
    assert "\n" not in str(error.value)


def test_a_damaged_file_is_named_and_left_alone(tiny_cifar10: Path) -> None:
    prepared(tiny_cifar10)
    damaged = tiny_cifar10 / CIFAR10.base_folder / "data_batch_3"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    with pytest.raises(DataError, match=r"damaged: .*data_batch_3 .*--data-dir"):
        prepared(tiny_cifar10)
    assert damaged.exists()


def test_a_missing_file_is_named(tiny_cifar10: Path) -> None:
    prepared(tiny_cifar10)
    (tiny_cifar10 / CIFAR10.base_folder / "test_batch").unlink()
    with pytest.raises(DataError, match=r"incomplete: .*test_batch is missing"):
        prepared(tiny_cifar10)


def test_images_are_normalised(tiny_cifar10: Path) -> None:
    images, _ = next(iter(prepared(tiny_cifar10).val_dataloader()))
    pixels = torch.from_numpy(CIFAR10(tiny_cifar10, train=False).data).permute(0, 3, 1, 2) / 255
    mean = torch.tensor([0.485, 0.456, 0.406]).reshape(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).reshape(3, 1, 1)
    torch.testing.assert_close(images, (pixels - mean) / std)


@pytest.mark.cifar10
def test_the_official_split(cifar10_dir: Path) -> None:
    data = prepared(cifar10_dir)
    assert len(data.train_dataloader().sampler) == 50_000
    assert len(data.val_dataloader().sampler) == 10_000
    assert CIFAR10(cifar10_dir).classes == list(data.classes)
