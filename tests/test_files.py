"""`ansnet.files`: a file is there whole or not at all, and it is told why one cannot be written."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Barrier

import pytest
import torch

from ansnet.files import (
    LEFT,
    check_file,
    copy,
    failed_to_write,
    free_space,
    remove_unfinished,
    take_version,
    try_folder,
    whole,
    whole_folder,
    why,
    write_text,
)

AT_ONCE = 20
SHARED_MEMORY = Path("/dev/shm")  # another file system than that of temporary files, on Linux


@pytest.fixture(params=["here", "another file system"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    if request.param == "here":
        yield tmp_path
        return
    if not SHARED_MEMORY.is_dir() or SHARED_MEMORY.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no other file system")
    with TemporaryDirectory(dir=SHARED_MEMORY) as elsewhere:
        yield Path(elsewhere)


def full() -> OSError:
    return OSError(errno.ENOSPC, "No space left on device")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_takes_the_place_of_another_when_it_is_whole(folder: Path) -> None:
    path = folder / "a.txt"
    write_text(path, "before")
    with whole(path) as unfinished:
        unfinished.write_text("after")
        assert unfinished.parent == folder
        assert path.read_text() == "before"
    assert path.read_text() == "after"
    copy(path, folder / "b.txt")
    assert (folder / "b.txt").read_text() == "after"
    assert names(folder) == ["a.txt", "b.txt"]


def write_half(path: Path, error: BaseException) -> None:
    with whole(path) as unfinished:
        unfinished.write_text("half")
        raise error


@pytest.mark.parametrize("error", [full(), ValueError("another"), KeyboardInterrupt(), SystemExit(1)])
def test_what_was_there_stays_if_anything_is_raised(error: BaseException, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "before")
    for place in (path, tmp_path / "new.txt"):
        with pytest.raises(type(error)):
            write_half(place, error)
    assert path.read_text() == "before"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("step", ["write", "sync", "rename"])
def test_whoever_is_killed_leaves_the_file_before_or_the_one_after(step: str, folder: Path) -> None:
    program = """
import os, signal, sys
from pathlib import Path
from ansnet import files

path, step = Path(sys.argv[1]), sys.argv[2]
kill = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
if step == "sync":
    os.fsync = kill
if step == "rename":
    Path.replace = kill
with files.whole(path) as unfinished, unfinished.open("w") as file:
    file.write("half of")
    file.flush()
    if step == "write":
        kill()
    file.write(" it")
"""
    path = folder / "a.txt"
    write_text(path, "before")
    killed = subprocess.run([sys.executable, "-c", program, str(path), step], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert path.read_text() == "before"
    (left,) = [each for each in folder.iterdir() if each != path]
    assert left.name.startswith(".a.txt.")
    assert left.suffix == ".tmp"
    write_text(path, "after")  # beside what may be another's, who is writing
    assert left.exists()
    os.utime(left, (left.stat().st_atime, left.stat().st_mtime - 2 * LEFT))
    write_text(path, "at last")
    assert names(folder) == ["a.txt"]


def test_what_killed_writers_left_can_be_removed_at_once(tmp_path: Path) -> None:
    kept = ["a.txt", ".hidden", ".a.tmp", "a.12345678.tmp"]
    for name in [*kept, ".a.txt.0123abcd.tmp", ".b.txt.4567cdef.tmp"]:
        (tmp_path / name).write_text("")
    (tmp_path / ".folder.0123abcd.tmp" / "in it").mkdir(parents=True)
    removed = [path.name for path in remove_unfinished(tmp_path)]
    assert removed == [".a.txt.0123abcd.tmp", ".b.txt.4567cdef.tmp", ".folder.0123abcd.tmp"]
    assert names(tmp_path) == sorted(kept)


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX's permissions")
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_permissions_are_those_of_any_file(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        write_text(tmp_path / "new", "")
        assert (tmp_path / "new").stat().st_mode & 0o777 == 0o666 & ~umask
        (tmp_path / "new").chmod(0o640)
        with whole(tmp_path / "new") as unfinished:
            unfinished.unlink()  # as a writer that makes it anew
            unfinished.touch(0o600)
        assert (tmp_path / "new").stat().st_mode & 0o777 == 0o640
    finally:
        os.umask(before)


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    write_text(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "text"


@pytest.mark.parametrize("name", ["a" * 251 + ".txt", "č" * 100, "[a]*?.txt", " .tmp"])
def test_any_name_will_do(name: str, tmp_path: Path) -> None:
    for _ in range(2):
        write_text(tmp_path / name, "text")
    assert names(tmp_path) == [name]


@pytest.mark.parametrize(
    ("name", "error", "reason"),
    [
        ("nowhere/a", FileNotFoundError, "there is no such folder; make it, or name another"),
        ("file/a", NotADirectoryError, "a file is where its folder should be; name another place"),
        ("a" * 256, OSError, "the name is too long; name a shorter one"),
        ("folder", IsADirectoryError, "this is a folder; name a file in it"),
        ("pipe", OSError, "not a regular file; name another place"),
    ],
)
def test_what_cannot_be_written_is_told_of_the_file_that_was_named(
    name: str, error: type[OSError], reason: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    before = names(tmp_path)
    with pytest.raises(error) as raised:
        write_text(tmp_path / name, "text")
    assert raised.value.filename == str(tmp_path / name)
    assert reason in why(raised.value)
    assert names(tmp_path) == before


def test_a_file_that_may_not_be_written_to_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_text(tmp_path / "a.txt", "before")
    monkeypatch.setattr(os, "access", lambda *_: False)  # which root may always
    with pytest.raises(PermissionError) as raised:
        write_text(tmp_path / "a.txt", "after")
    assert why(raised.value) == "there is no permission to; name another place"
    assert (tmp_path / "a.txt").read_text() == "before"
    check_file(tmp_path / "new.txt")


class FullDisk:
    """A file on a disk that is full after so many bytes."""

    def __init__(self, room: int) -> None:
        self.room = room

    def write(self, content: bytes) -> int:
        self.room -= len(content)
        if self.room < 0:
            raise full()
        return len(content)

    def flush(self) -> None:
        pass


@pytest.mark.parametrize("room", [0, 100, 10_000])
def test_a_full_disk_is_known_behind_what_a_writer_says_of_it(room: int, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left") as raised, whole(tmp_path / "a.pt"):
        torch.save({"x": torch.zeros(5000)}, FullDisk(room))  # type: ignore[arg-type]
    assert raised.value.errno == errno.ENOSPC
    assert raised.value.filename == str(tmp_path / "a.pt")
    assert list(tmp_path.iterdir()) == []


def test_an_error_with_nothing_behind_it_is_none_of_a_file() -> None:
    assert failed_to_write(ValueError("no file")) is None
    assert failed_to_write(FileNotFoundError(errno.ENOENT, "read")) is None
    error = RuntimeError("told")
    error.__context__ = full()
    assert failed_to_write(error) is error.__context__
    error.__cause__ = error  # as no code should
    assert failed_to_write(error) is None


def test_a_full_disk_that_is_noticed_late_leaves_the_file_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_text(tmp_path / "a.txt", "before")

    def late(number: int) -> None:
        raise full()

    monkeypatch.setattr(os, "fsync", late)
    with pytest.raises(OSError, match="No space left"):
        write_text(tmp_path / "a.txt", "after")
    assert (tmp_path / "a.txt").read_text() == "before"
    assert names(tmp_path) == ["a.txt"]


def make_half(path: Path, error: Exception) -> None:
    with whole_folder(path) as unfinished:
        (unfinished / path.name).mkdir()
        raise error


def test_a_folder_is_there_when_it_is_whole(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="damaged"):
        make_half(tmp_path / "data", ValueError("damaged"))
    assert names(tmp_path) == []
    for content in ("first", "second"):  # the second as by a process that was slower
        with whole_folder(tmp_path / "data") as unfinished:
            (unfinished / "data").mkdir()
            (unfinished / "data" / "file").write_text(content)
    assert names(tmp_path) == ["data"]
    assert (tmp_path / "data" / "file").read_text() == "first"
    with pytest.raises(OSError, match="missing"), whole_folder(tmp_path / "missing"):
        pass  # nothing is made in it


def test_a_folder_is_tried_and_nothing_stays(tmp_path: Path) -> None:
    try_folder(tmp_path / "new" / "deep", "sub/file", "other")
    try_folder(tmp_path)
    assert names(tmp_path) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError) as raised:
        try_folder(tmp_path / "file" / "deep")
    assert raised.value.filename == str(tmp_path / "file")
    for long in (tmp_path / ("a" * 256), Path(tmp_path, *["a" * 200] * 21)):
        with pytest.raises(OSError, match=os.strerror(errno.ENAMETOOLONG)):
            try_folder(long)
    assert names(tmp_path) == ["file"]


def test_threads_that_begin_at_once_have_a_folder_each(tmp_path: Path) -> None:
    barrier = Barrier(AT_ONCE)

    def take(_: int) -> str:
        barrier.wait()
        return take_version(tmp_path / "new" / "vgg7")

    with ThreadPoolExecutor(AT_ONCE) as pool:
        taken = sorted(pool.map(take, range(AT_ONCE)))
    assert taken == sorted(f"version_{number}" for number in range(AT_ONCE))
    assert sorted(path.name for path in (tmp_path / "new" / "vgg7").iterdir()) == taken


def test_processes_that_begin_at_once_have_a_folder_each(tmp_path: Path) -> None:
    # they wait for a line, so that all of them are there before one begins
    program = """
import sys
from ansnet.files import take_version
print("ready", flush=True)
sys.stdin.readline()
print(take_version(sys.argv[1]))
"""
    command = [sys.executable, "-c", program, str(tmp_path / "vgg7")]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(AT_ONCE)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    taken = sorted(process.communicate()[0].strip() for process in processes)
    assert taken == sorted(f"version_{number}" for number in range(AT_ONCE))


def test_the_next_one_is_above_all_that_are_there(tmp_path: Path) -> None:
    for name in ("version_2", "version_10", "version_x", "version_11.bak", "other"):
        (tmp_path / name).mkdir()
    assert take_version(tmp_path) == "version_11"
    (tmp_path / "version_12").write_text("no folder")
    assert take_version(tmp_path) == "version_13"


def test_free_space_is_that_of_where_a_folder_will_be(tmp_path: Path) -> None:
    assert free_space(tmp_path / "new" / "deep") > 0


def test_nothing_heavy_is_loaded() -> None:
    program = "import sys, ansnet.files; print('torch' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout == "False\n"
