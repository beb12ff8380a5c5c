"""Files that are written whole or not at all, and what keeps one from being written.

A file is written to a temporary one in the same folder, ``.<beginning of its name>.<chance>.tmp``, sent
to the disk, and then given its name. To give a name is one step of the file system (POSIX, ``rename``),
so that whoever is killed, or finds the disk full, leaves what was there before or what was to be there.
Temporary files of other folders would have to be copied, and a copy can be broken off.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from glob import escape
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from time import time

LONGEST = 60  # characters of a name that are in the temporary one's, which has 255 bytes at most
LEFT = 3600.0  # seconds after which whoever wrote to a temporary file is taken to be gone
WHILE_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


@contextmanager
def whole(path: Path | str) -> Iterator[Path]:
    """Lend a temporary file to write to, which then takes the place of another, or of none.

    It has the permissions of the one that it replaces, or those of a new file. If anything is raised
    meanwhile, it is removed, and what was there stays. What somebody who was killed has left of a file
    of this name is removed too.

    Args:
        path: where the file is to be; a link is followed.

    Yields:
        The temporary file, which is there and empty.

    Raises:
        OSError: the file cannot be written; its ``filename`` is ``path``.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with whole(Path(folder, "a.txt")) as unfinished:
        ...         _ = unfinished.write_text("all of it")
        ...     Path(folder, "a.txt").read_text()
        'all of it'
    """
    path, unfinished = Path(path), None
    try:
        target = Path(os.path.realpath(path))
        check_file(target)
        remove_unfinished(target.parent, of=target.name, older=LEFT)
        unfinished = target.with_name(f".{target.name[:LONGEST]}.{token_hex(4)}.tmp")
        # as the user's umask has it
        os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        mode = (target if target.exists() else unfinished).stat().st_mode & 0o7777
        yield unfinished
        unfinished.chmod(mode)  # whoever wrote it may have made it anew
        to_disk(unfinished)
        unfinished.replace(target)
        to_disk(target.parent)
    except BaseException as error:
        if unfinished is not None:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
        failure = error if isinstance(error, OSError) else failed_to_write(error)
        if failure is None or failure.errno is None:
            raise
        is_ours = failure.filename in (None, unfinished and str(unfinished))
        raise of_file(failure, path if is_ours else failure.filename) from error


@contextmanager
def whole_folder(path: Path | str) -> Iterator[Path]:
    """Lend a temporary folder, in which one of the path's name is made, which then takes its place.

    Args:
        path: where the folder is to be. If another process has made it meanwhile, that one stays.

    Yields:
        The temporary folder, beside ``path``.

    Raises:
        OSError: it cannot be written.
    """
    path = Path(path)
    remove_unfinished(path.parent, of=path.name, older=LEFT)
    unfinished = path.with_name(f".{path.name[:LONGEST]}.{token_hex(4)}.tmp")
    unfinished.mkdir()
    try:
        yield unfinished
        try:
            (unfinished / path.name).rename(path)
        except OSError:
            if not path.is_dir():
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def take_version(folder: Path | str) -> str:
    """Make ``version_N`` in a folder, N one above the highest that is there.

    Args:
        folder: made if need be.

    Returns:
        Its name. Nobody else is given the same, as a folder can be made once.

    Raises:
        OSError: it cannot be made.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    found = [re.fullmatch(r"version_(\d+)", path.name) for path in folder.iterdir()]
    number = max((int(match[1]) + 1 for match in found if match), default=0)
    while True:
        try:
            (folder / f"version_{number}").mkdir()
        except FileExistsError:  # another one was quicker
            number += 1
        else:
            return f"version_{number}"


def write_text(path: Path | str, text: str) -> None:
    """Write a file in UTF-8, whole or not at all; see `whole`."""
    with whole(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def copy(source: Path | str, path: Path | str) -> None:
    """Copy a file's content, whole or not at all; see `whole`."""
    with whole(path) as unfinished:
        shutil.copyfile(source, unfinished)


def remove_unfinished(folder: Path | str, of: str = "", older: float = 0.0) -> list[Path]:
    """Remove what killed writers have left in a folder.

    Args:
        folder: to which, unless ``older`` says more, nobody else is writing.
        of: the name of the file that was to be; that of any file if it is empty.
        older: left alone are temporary files that were written to in so many seconds before.

    Returns:
        What has been removed.
    """
    pattern = f".{escape(of[:LONGEST])}.????????.tmp" if of else ".*.????????.tmp"
    found = []
    for path in sorted(Path(folder).glob(pattern)):
        with suppress(OSError):  # another process has removed it
            if time() - path.stat().st_mtime >= older:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                found.append(path)
    return found


def to_disk(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk.

    Some systems know no such thing of a folder. A full disk may be noticed only now.
    """
    is_folder = path.is_dir()
    try:
        number = os.open(path, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
    except OSError as error:
        if not is_folder and error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise


def check_file(path: Path) -> None:
    """Refuse to replace what is no file, or one that may not be written to.

    Raises:
        OSError: saying which.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not path.is_file():  # as /dev/null
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    if path.exists() and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def try_folder(folder: Path | str, *names: str) -> None:
    """Find out whether files can be written in a folder, by doing it elsewhere in the same place.

    Nothing of it stays, and no folder is made.

    Args:
        folder: which may still have to be made.
        names: of files to try, with the folders in it that they are in; one is tried if none is named.

    Raises:
        OSError: what writing them would end in. A ``NotADirectoryError`` names the file that stands
            where a folder should.
    """
    folder = Path(folder).absolute()
    try:
        there = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
        if not there.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(there))
        with TemporaryDirectory(dir=there, prefix=".", suffix=".tmp") as own:
            for name in names or ("file",):
                place = Path(own, folder.relative_to(there), name)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(b"\n")
    except NotADirectoryError:
        raise
    except OSError as error:
        raise of_file(error, folder) from error


@contextmanager
def held(folder: Path | str) -> Iterator[None]:
    """Let others know by `is_held` that somebody is at work in a folder.

    The system forgets it when the process is over, however it ends. Where it has no such thing (it is
    ``flock``'s), nothing is done.
    """
    with ExitStack() as stack:
        with suppress(ImportError, OSError):
            from fcntl import LOCK_EX, LOCK_NB, flock

            number = os.open(folder, os.O_RDONLY)
            stack.callback(os.close, number)
            flock(number, LOCK_EX | LOCK_NB)
        yield


def is_held(folder: Path | str) -> bool:
    """Whether somebody is at work in a folder, as far as can be known."""
    with ExitStack() as stack:
        try:
            from fcntl import LOCK_NB, LOCK_SH, flock

            number = os.open(folder, os.O_RDONLY)
            stack.callback(os.close, number)
            flock(number, LOCK_SH | LOCK_NB)
        except BlockingIOError:
            return True
        except (ImportError, OSError):
            return False
    return False


def free_space(folder: Path | str) -> int:
    """Bytes that are free where a folder is, or is to be made."""
    folder = Path(folder).absolute()
    there = next(place for place in (folder, *folder.parents) if place.is_dir())
    return shutil.disk_usage(there).free


def failed_to_write(error: BaseException) -> OSError | None:
    """The system's error that kept something from being written, behind one of another kind.

    What writes a file may tell of it in an error of its own, as `torch.save` does of a full disk. None
    if there is none.
    """
    seen: list[BaseException] = []
    found: BaseException | None = error
    while found is not None and found not in seen:
        if isinstance(found, OSError) and found.errno in WHILE_WRITING:
            return found
        seen.append(found)
        found = found.__cause__ or found.__context__
    return None


def of_file(error: OSError, path: Path | str) -> OSError:
    """The same error, of a file that the user knows of."""
    number = error.errno or 0
    return OSError(number, error.strerror or os.strerror(number), str(path))


def why(error: OSError) -> str:
    """Why a file cannot be written, in a few words, and what to do about it.

    Example:
        >>> why(OSError(errno.ENOSPC, "No space left on device"))
        'the disk is full; make room there, or name a place on another'
    """
    otherwise = f"{(error.strerror or str(error)).lower()}; name another place"
    return WHY.get(error.errno or 0, otherwise)


WHY = {
    errno.ENOSPC: "the disk is full; make room there, or name a place on another",
    errno.EDQUOT: "your share of the disk is used up; make room there, or name a place on another",
    errno.EROFS: "the disk is read-only; name a place on another",
    errno.EACCES: "there is no permission to; name another place",
    errno.EPERM: "there is no permission to; name another place",
    errno.ENAMETOOLONG: "the name is too long; name a shorter one",
    errno.EISDIR: "this is a folder; name a file in it",
    errno.ENOTDIR: "a file is where its folder should be; name another place",
    errno.ENOENT: "there is no such folder; make it, or name another",
}
