"""A file from the web: no slower than it may be, kept where it was broken off, checked at its end.

What has come lies in ``<name>.part`` until all of it is there. The next attempt asks for the rest by a
``Range`` (RFC 9110, section 14), and begins anew where the server does not know one. Whether both parts
are of one file the checksum says; if not, all of it is fetched once more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse
from itertools import chain
from pathlib import Path
from time import monotonic
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tqdm import tqdm

from ansnet import __version__
from ansnet.compatibility import torchvision
from ansnet.files import failed_to_write, to_disk

SLOWEST = 50_000  # bytes a second
PATIENCE = 30.0  # seconds over which they are counted, and in which something has to come
CHUNK = 2**16


class DownloadError(RuntimeError):
    """The file cannot be had; the message says why in a few words."""


class NotThereError(DownloadError):
    """The server has something else there, or nothing."""


def download(url: str, path: Path, md5: str, beginning: bytes = b"") -> None:
    """Fetch a file, or what is missing of it. On a terminal, show the progress.

    Args:
        url: ``http://`` or ``https://``; redirections are followed.
        path: where it is to lie; while it is not whole, ``<name>.part`` lies beside.
        md5: its checksum.
        beginning: bytes that it begins with. What begins otherwise, as a page that says that there is
            none, is not fetched.

    Raises:
        NotThereError: the server answers with an error, or with another file.
        DownloadError: the connection fails, is cut, or is slower than `SLOWEST`; what has come is kept.
        OSError: what comes cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    try:
        is_continued = fetch(url, part, beginning)
        if is_continued and not is_whole(part, md5):
            part.unlink()
            fetch(url, part, beginning)
    except HTTPError as error:
        error.close()
        raise NotThereError(str(error)) from error
    except (OSError, HTTPException, ValueError) as error:
        if failed_to_write(error) or getattr(error, "filename", None) == str(part):
            raise
        reason = getattr(error, "reason", None) or error
        raise DownloadError(f"{str(reason) or type(reason).__name__}{kept(part)}") from error
    if not is_whole(part, md5):
        part.unlink()
        raise NotThereError(f"it sends a file without the published md5 checksum {md5}")
    to_disk(part)
    part.replace(path)


def is_whole(path: Path, md5: str) -> bool:
    whole: bool = torchvision.datasets.utils.check_integrity(path, md5)
    return whole


def kept(part: Path) -> str:
    """What there is of a file, for a message."""
    size = part.stat().st_size if part.exists() else 0
    return f"; {size / 1e6:.1f} MB are kept, and the next attempt goes on from there" if size else ""


def fetch(url: str, part: Path, beginning: bytes) -> bool:
    """Append to a part of a file what is missing of it; or write it anew.

    Returns:
        Whether something was there, and has stayed.

    Raises:
        NotThereError: the file begins otherwise.
        OSError, HTTPException, ValueError: the connection fails, is cut, or is slower than `SLOWEST`.
    """
    start = part.stat().st_size if part.exists() else 0
    try:
        response, start = ask_for_rest(url, start)
    except HTTPError as error:
        if start == 0 or error.code != 416:  # nothing begins there: all of the file is here
            raise
        error.close()
        return True
    with response:
        whole = None if response.length is None else start + response.length
        received = chunks(response)
        first = next(received, b"")
        if start == 0 and not beginning.startswith(first[: len(beginning)]):
            raise NotThereError(f"it sends another file, {response.headers.get_content_type()}")
        shown = {"desc": part.stem, "unit": "B", "unit_scale": True, "disable": None}
        with (
            part.open("ab" if start else "wb") as file,
            tqdm(total=whole, initial=start, **shown) as progress,
        ):
            for chunk in chain([first], received):
                progress.update(file.write(chunk))
    size = part.stat().st_size
    if whole is not None and size < whole:
        raise ConnectionError(f"the connection was cut after {size / 1e6:.1f} of {whole / 1e6:.1f} MB")
    return start > 0


def ask_for_rest(url: str, start: int) -> tuple[HTTPResponse, int]:
    """What the server sends from a byte on, or from the first; and from which."""
    response = ask(url, start)
    given = begins_at(response)
    if given == 0 or given == start:
        return response, given
    response.close()  # another range than the one that was asked for
    return ask(url, 0), 0


def ask(url: str, start: int) -> HTTPResponse:
    headers = {"User-Agent": f"ansnet/{__version__}", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    response: HTTPResponse = urlopen(Request(url, headers=headers), timeout=PATIENCE)
    return response


def begins_at(response: HTTPResponse) -> int:
    """Which byte of the file a response begins with."""
    if response.status != 206:
        return 0
    given = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(given[1]) if given else -1


def chunks(response: HTTPResponse) -> Iterator[bytes]:
    """What comes, as it comes.

    Raises:
        TimeoutError: less than `SLOWEST` over `PATIENCE` seconds.
    """
    since, size = monotonic(), 0
    while chunk := response.read1(CHUNK):
        yield chunk
        size += len(chunk)
        passed = monotonic() - since
        if passed > PATIENCE:
            if size < SLOWEST * passed:
                raise TimeoutError(f"less than {SLOWEST / 1e3:g} kB/s over {PATIENCE:g} seconds")
            since, size = monotonic(), 0
