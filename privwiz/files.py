"""Files: opened, decoded and replaced the same way everywhere, with every failure told as a `DataError`."""

import errno
import fcntl
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO, TypeAlias

from privwiz.errors import DataError

__all__ = [
    "FULL",
    "STANDARD",
    "FilePath",
    "check_new_folder",
    "check_there",
    "ending",
    "locked",
    "new_folder",
    "read_lines",
    "read_text",
    "reading",
    "source_name",
    "unfinished_folder",
    "writing",
]

FilePath: TypeAlias = str | os.PathLike[str]

STANDARD = "-"
"""The path that means standard input or standard output."""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""The numbers of the errors that say that there is no room to write."""

_BEGUN = ".begun"
"""The file that tells a folder which `new_folder` began from one that somebody else made."""


def source_name(path: FilePath) -> str:
    """Return what error messages call this file: the path as given."""
    return "standard input" if path == STANDARD else os.fspath(path)


def ending(path: FilePath) -> str:
    """Return the ending of a path in lower case, such as ``".csv"``; ``""`` if it has none.

    >>> ending("Edges.CSV")
    '.csv'
    """
    return Path(path).suffix.lower()


def check_there(path: FilePath) -> None:
    """See to it that a file, or a folder, is there before the work that takes it begins; standard input is.

    Raises
    ------
    DataError
        If it is missing or forbidden.
    """
    if path == STANDARD:
        return
    try:
        _resolved(path).stat()
    except OSError as error:
        raise _data_error(error, path) from None


@contextmanager
def reading(path: FilePath) -> Iterator[BinaryIO]:
    """Open a file, or standard input for ``"-"``, to read bytes.

    Raises
    ------
    DataError
        If the file is missing, a directory, forbidden or fails while it is read.
    """
    if path == STANDARD:
        yield sys.stdin.buffer
        return
    try:
        with _open(path, "rb") as file:
            yield file
    except OSError as error:
        raise _data_error(error, path) from None


def read_lines(path: FilePath) -> Iterator[str]:
    """Yield the lines of a UTF-8 text file with their line ends, without a leading byte order mark.

    Raises
    ------
    DataError
        As `reading`, and with the line if it holds a zero byte or is not UTF-8.
    """
    with reading(path) as file:
        for number, line in enumerate(file, start=1):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                wrong = f"byte 0x{line[error.start]:02x} is not UTF-8; save the file as UTF-8"
                raise DataError(wrong, source=source_name(path), line=number) from None
            if "\0" in text:
                raise DataError("a zero byte: not a text file; save it as UTF-8", source=source_name(path), line=number)
            yield text


def read_text(path: FilePath) -> str:
    """Return the text of a UTF-8 file; fails as `read_lines`."""
    return "".join(read_lines(path))


@contextmanager
def writing(path: FilePath) -> Iterator[BinaryIO]:
    """Open a file, or standard output for ``"-"``, to write bytes.

    The file appears, or replaces the old one, in one step when the block ends; if the block fails, nothing has changed.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    if path == STANDARD:
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        target = _resolved(path)
        if target.exists() and not target.is_file():
            with _open(target, "wb") as device:
                yield device
            return
        temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
        try:
            with _open(temporary, "xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
    except FileNotFoundError:
        raise DataError("its directory does not exist; create it first", source=os.fspath(path)) from None
    except OSError as error:
        raise _data_error(error, path) from None


def unfinished_folder(path: FilePath) -> Path:
    """Return the folder in which work is done before it becomes ``path``."""
    out = Path(path)
    return out.with_name(f"{out.name}.unfinished")


def check_new_folder(path: FilePath) -> None:
    """See to it that a folder can be made.

    Raises
    ------
    DataError
        If there is something of this name, or no directory to hold it.
    """
    if Path(path).exists():
        raise DataError("is there already; name a folder that is not", source=os.fspath(path))
    if not Path(path).absolute().parent.is_dir():
        raise DataError("its directory does not exist; create it first", source=os.fspath(path))


@contextmanager
def new_folder(path: FilePath) -> Iterator[Path]:
    """Give a folder to fill, which becomes ``path`` in one step when the block ends; if the block fails, nothing is left.

    Until then it is `unfinished_folder`; one that a killed process left there is deleted.

    Raises
    ------
    DataError
        As `check_new_folder`; if there is another unfinished folder; or where the system refuses to write.
    """
    check_new_folder(path)
    folder, source = unfinished_folder(path), os.fspath(path)
    try:
        if folder.exists() and not (folder.is_dir() and ((folder / _BEGUN).exists() or not any(folder.iterdir()))):
            raise DataError(f"{folder} is in the way; delete that folder", source=source)
        folder.mkdir(exist_ok=True)
        with locked(folder / _BEGUN, source):
            try:
                _empty(folder)
                yield folder
                folder.rename(path)
            except BaseException:
                _empty(folder)
                shutil.rmtree(folder, ignore_errors=True)
                raise
            (Path(path) / _BEGUN).unlink()
    except OSError as error:
        raise DataError(f"{error.strerror or error}; mend it and run again", source=source) from None


def _empty(folder: Path) -> None:
    """Delete what `new_folder` began, but what tells it from others: a killed process is not to leave a folder of nobody's."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != _BEGUN:
            path.unlink()


def locked(path: Path, source: str) -> IO[str]:
    """Keep other processes out of a folder by a file in it, until what is returned is closed or this process dies.

    Raises
    ------
    DataError
        If another process has it.
    """
    lock = path.open("a", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        mine = os.path.samestat(path.stat(), os.fstat(lock.fileno()))
    except (BlockingIOError, FileNotFoundError):
        mine = False
    if not mine:  # Or whoever had it has deleted it, being done.
        lock.close()
        raise DataError(f"another process is at work in {path.parent}; let it end", source=source)
    return lock


def _resolved(path: FilePath) -> Path:
    try:
        return Path(os.path.realpath(path))
    except ValueError as error:
        raise OSError(0, str(error)) from None


def _open(path: FilePath, mode: str) -> BinaryIO:
    try:
        return open(path, mode)  # type: ignore[return-value]  # noqa: PTH123 - Path.open would hide the name as given
    except ValueError as error:
        raise OSError(0, str(error)) from None


def _data_error(error: OSError, path: FilePath) -> DataError:
    if isinstance(error, FileNotFoundError):
        what = "no such file; check the path"
    elif isinstance(error, IsADirectoryError):
        what = "a directory; give a file"
    elif error.errno in FULL:
        what = f"{error.strerror}; make room for it"
    else:
        what = f"{error.strerror or error}; check the path and its permissions"
    return DataError(what, source=os.fspath(path))
