"""`ansnet.data.download`, from a web server on this machine."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest

from ansnet.data import download as module
from ansnet.data.download import DownloadError, NotThereError, download

CONTENT = b"\x1f\x8b" + np.random.default_rng(0).bytes(200_000)
MD5 = hashlib.md5(CONTENT).hexdigest()
HALF = len(CONTENT) // 2


@dataclass
class Host:
    """A server, and what it does with the file that it has.

    Attributes:
        knows_ranges: sends the rest of the file that it is asked for.
        shift: by how much what it sends begins elsewhere than it was asked for.
        cut_after: closes the connection after so many bytes.
        waits_after: sends so many bytes, and then nothing until the test is over.
        asked: the path and the range of each request.
    """

    content: bytes = CONTENT
    kind: str = "application/gzip"
    knows_ranges: bool = True
    says_length: bool = True
    shift: int = 0
    cut_after: int | None = None
    waits_after: int | None = None
    url: str = ""
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    over: Event = field(default_factory=Event)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range")
        self.asked.append((request.path, wanted))
        if request.path == "/moved":
            request.send_response(302)
            request.send_header("Location", "/file")
            request.end_headers()
            return
        if request.path == "/missing":
            request.send_error(404)
            return
        start = 0
        if wanted is not None and self.knows_ranges:
            given = re.fullmatch(r"bytes=(\d+)-", wanted)
            assert given is not None
            start = int(given[1]) + self.shift
            if start >= len(self.content):
                request.send_error(416)
                return
            request.send_response(206)
            end = len(self.content) - 1
            request.send_header("Content-Range", f"bytes {start}-{end}/{len(self.content)}")
        else:
            request.send_response(200)
        rest = self.content[start:]
        request.send_header("Content-Type", self.kind)
        if self.says_length:
            request.send_header("Content-Length", str(len(rest)))
        request.end_headers()
        if self.waits_after is not None:
            request.wfile.write(rest[: self.waits_after])
            self.over.wait()
        else:
            request.wfile.write(rest[: self.cut_after])


@pytest.fixture
def host() -> Iterator[Host]:
    host = Host()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host.answer(self)

        def log_message(self, *unused: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        host.url = f"http://127.0.0.1:{server.server_port}/file"
        yield host
        host.over.set()
        server.shutdown()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "file.gz"


def part_of(path: Path) -> Path:
    return path.with_name("file.gz.part")


def leave_part(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    part_of(path).write_bytes(content)


def assert_whole(path: Path) -> None:
    assert path.read_bytes() == CONTENT
    assert not part_of(path).exists()


@pytest.mark.parametrize("says_length", [True, False])
def test_a_file_is_fetched_and_checked(host: Host, path: Path, says_length: bool) -> None:
    host.says_length = says_length
    download(host.url, path, MD5, b"\x1f\x8b")
    assert_whole(path)
    assert host.asked == [("/file", None)]


def test_what_is_missing_is_fetched(host: Host, path: Path) -> None:
    leave_part(path, CONTENT[:HALF])
    download(host.url, path, MD5)
    assert_whole(path)
    assert host.asked == [("/file", f"bytes={HALF}-")]


def test_a_range_is_asked_for_behind_a_redirection_as_well(host: Host, path: Path) -> None:
    leave_part(path, CONTENT[:HALF])
    download(host.url.replace("file", "moved"), path, MD5)
    assert_whole(path)
    assert host.asked == [("/moved", f"bytes={HALF}-"), ("/file", f"bytes={HALF}-")]


def test_it_begins_anew_where_the_server_knows_no_ranges(host: Host, path: Path) -> None:
    host.knows_ranges = False
    leave_part(path, b"x" * HALF)
    download(host.url, path, MD5, b"\x1f\x8b")
    assert_whole(path)
    assert len(host.asked) == 1


def test_it_begins_anew_where_the_server_sends_another_range(host: Host, path: Path) -> None:
    host.shift = 1
    leave_part(path, CONTENT[:HALF])
    download(host.url, path, MD5)
    assert_whole(path)
    assert [wanted for _, wanted in host.asked] == [f"bytes={HALF}-", None]


def test_it_begins_anew_where_the_parts_are_of_two_files(host: Host, path: Path) -> None:
    leave_part(path, b"another file, the older one")
    download(host.url, path, MD5)
    assert_whole(path)
    assert [wanted for _, wanted in host.asked] == ["bytes=27-", None]


@pytest.mark.parametrize("excess", [b"", b"more"])
def test_a_part_may_be_all_of_the_file_or_more(host: Host, path: Path, excess: bytes) -> None:
    leave_part(path, CONTENT + excess)
    download(host.url, path, MD5)
    assert_whole(path)
    assert len(host.asked) == (2 if excess else 1)


def test_a_wrong_file_is_not_kept(host: Host, path: Path) -> None:
    host.content = CONTENT[:-1] + b"?"
    for _ in range(2):
        with pytest.raises(NotThereError, match=f"without the published md5 checksum {MD5}"):
            download(host.url, path, MD5)
        assert list(path.parent.iterdir()) == []
    host.content = CONTENT
    download(host.url, path, MD5)
    assert_whole(path)


def test_a_page_in_the_place_of_the_file_is_not_fetched_and_costs_nothing(
    host: Host, path: Path
) -> None:
    host.content, host.kind, host.knows_ranges = b"<html>", "text/html", False
    leave_part(path, CONTENT[:HALF])
    with pytest.raises(NotThereError, match="it sends another file, text/html"):
        download(host.url, path, MD5, b"\x1f\x8b")
    assert part_of(path).read_bytes() == CONTENT[:HALF]


def test_a_connection_that_is_cut_leaves_what_has_come_and_is_gone_on_with(
    host: Host, path: Path
) -> None:
    host.cut_after = 80_000
    with pytest.raises(DownloadError, match=r"cut after 0\.1 of 0\.2 MB; 0\.1 MB are kept") as error:
        download(host.url, path, MD5)
    assert not isinstance(error.value, NotThereError)
    assert part_of(path).read_bytes() == CONTENT[:80_000]
    host.cut_after = None
    download(host.url, path, MD5)
    assert_whole(path)


def test_silence_is_not_waited_through(host: Host, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    host.waits_after = 1000
    with pytest.raises(DownloadError, match=r"timed out; 0\.0 MB are kept"):
        download(host.url, path, MD5)
    assert part_of(path).read_bytes() == CONTENT[:1000]


def clock(seconds: float) -> Callable[[], float]:
    """Of which so many seconds pass between two looks at it."""
    looks = iter(range(10_000))
    return lambda: seconds * next(looks)


def test_slowness_is_not_waited_through(
    host: Host, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a look after each chunk, 20 seconds later: in 40 seconds two chunks at most, 131,072 bytes
    monkeypatch.setattr(module, "monotonic", clock(20.0))
    with pytest.raises(DownloadError, match=r"less than 50 kB/s over 30 seconds; 0\.\d MB are kept"):
        download(host.url, path, MD5)
    assert part_of(path).stat().st_size <= 2 * module.CHUNK
    monkeypatch.setattr(module, "SLOWEST", 10)
    download(host.url, path, MD5)
    assert_whole(path)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://127.0.0.1:9/file", "refused"),
        ("http://127.0.0.1:x/file", "nonnumeric port"),
        ("http://", "no host given"),
    ],
)
def test_an_address_that_nobody_answers_at(path: Path, url: str, message: str) -> None:
    with pytest.raises(DownloadError, match=message):
        download(url, path, MD5)


def test_an_answer_that_is_an_error(host: Host, path: Path) -> None:
    with pytest.raises(NotThereError, match="HTTP Error 404"):
        download(host.url.replace("file", "missing"), path, MD5)
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("is_terminal", [True, False])
def test_progress_is_shown_on_a_terminal(
    host: Host,
    path: Path,
    is_terminal: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    leave_part(path, CONTENT[:HALF])
    download(host.url, path, MD5)
    shown = capsys.readouterr().err
    if is_terminal:
        assert "file.gz" in shown
        assert "200k/200k" in shown
    else:
        assert shown == ""
