"""Writes files atomically, locks them, and turns the operating system's errors into Assay's."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, Literal

from .errors import AssayError, DataError, DiskFull, Problem

LOCK_SECONDS = 600.0
_SOME_BYTES = 1 << 24

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def disk_errors(place: Path, operation: Literal["read", "written"]) -> Iterator[None]:
    """Turns every ``OSError`` raised inside into an error that names the operation, the path and the fix.

    Raises:
        DiskFull: There is no space left.
        DataError: Anything else was refused: a permission, a missing file, a read-only disk.
    """
    try:
        yield
    except OSError as error:
        raise _refusal(error, place, operation) from error


def regular_file(path: Path) -> BufferedReader:
    """A file to read. What is no file is refused before it is opened: reading a pipe or a device might never end.

    Raises:
        DataError: It is a pipe, a device or a socket.
        OSError: It cannot be opened, or is a folder.
    """
    refuse_special(path)
    # Should it be exchanged for a pipe meanwhile, opening it does not wait.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def refuse_special(path: Path) -> None:
    """Refuses what is neither a file nor a folder.

    Raises:
        DataError: It is a pipe, a device or a socket.
        OSError: There is nothing, or it cannot be looked at.
    """
    mode = os.stat(path).st_mode
    kinds = {stat.S_IFIFO: "pipe", stat.S_IFCHR: "device", stat.S_IFBLK: "device", stat.S_IFSOCK: "socket"}
    if kind := kinds.get(stat.S_IFMT(mode)):
        raise DataError(Problem(f"this is a {kind}", "give a file", file=str(path)))


def read_bounded(path: Path, max_bytes: int) -> bytes:
    """A whole file of no more than so many bytes.

    Raises:
        DataError: It is larger, or no file.
        OSError: It cannot be read.
    """
    with regular_file(path) as file:
        # Asked for at once, so many bytes would be reserved for the smallest file.
        content = file.read(min(max_bytes, os.fstat(file.fileno()).st_size) + 1)
    if len(content) > max_bytes:
        what = f"this file is larger than {max_bytes >> 20:,} MiB"
        raise DataError(Problem(what, "give a smaller one: no file of this kind needs more", file=str(path)))
    return content


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write that takes the name ``path`` only when it is complete and on the disk.

    It has a temporary name in the same folder until then; whatever goes wrong, nothing is left of it.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write(path: Path, content: bytes, *, levels: int | None = None) -> str:
    """Write a file whole, with the folders that it needs, and return its content's SHA-256.

    Args:
        path: The file.
        content: What it is to hold.
        levels: How many of the folders above it are made where they are missing; all if ``None``.

    Raises:
        DiskFull: There is no space left; a file already there is untouched.
        DataError: The disk refuses for another reason.
    """
    with disk_errors(path, "written"):
        make_folders(path, levels)
        with replacing(path) as file:
            file.write(content)
    return hashlib.sha256(content).hexdigest()


def make_folders(path: Path, levels: int | None = None) -> None:
    """Make the folders above a file where they are missing: all, or the nearest ``levels``.

    Raises:
        OSError: They cannot be made, or the one above them is gone, as where a store was moved.
    """
    if levels is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        return
    for folder in reversed(list(path.parents)[:levels]):
        folder.mkdir(exist_ok=True)


def disk_full(place: Path, number: int | None = None) -> DiskFull:
    """The error for a disk that takes nothing more, with its path and how to resume.

    Args:
        place: What could not be written.
        number: The system's error number: a quota or a limit on files' sizes is told from a full disk.
    """
    what, fix = "no space is left on this disk", "free some space"
    if number == errno.EDQUOT:
        what, fix = "your quota on this disk is used up", "free some space or have it raised"
    elif number == errno.EFBIG:
        what = "a file may not grow any larger here, by a limit on the size of files (ulimit -f) or the disk's own"
        fix = "raise the limit, or choose another place"
    return DiskFull(f"{place}: {what}. Everything finished so far is kept; {fix} and give the same command again.")


def io_failed(place: Path) -> DiskFull:
    """The error for a failure of which the system's number is not known, as where SQLite has met it."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        if resource.getrlimit(resource.RLIMIT_FSIZE)[0] != resource.RLIM_INFINITY:
            return disk_full(place, errno.EFBIG)
    with contextlib.suppress(OSError):
        if shutil.disk_usage(place if place.is_dir() else place.parent).free > _SOME_BYTES:
            what = "this disk failed to read or write (see the system's log)"
            return DiskFull(f"{place}: {what}. Everything finished so far is kept; check the disk.")
    return disk_full(place)


@contextmanager
def locked(path: Path, *, timeout_seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Held by one process at a time. The lock ends with its process; the empty file ``path`` stays.

    Raises:
        DataError: Another process held it for all of ``timeout_seconds``.
        OSError: The file cannot be created.
    """
    from filelock import FileLock, Timeout  # it brings asyncio, which opening a data set has no use for

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=timeout_seconds)
    except Timeout:
        what = f"another process has held this lock for {timeout_seconds:g} seconds"
        raise DataError(Problem(what, "wait for it or stop it, then run this again", file=str(path))) from None
    try:
        yield
    finally:
        lock.release()


def _refusal(error: OSError, place: Path, operation: Literal["read", "written"]) -> AssayError:
    if error.errno in FULL:
        return disk_full(place, error.errno)
    if operation == "read" and str(error.filename).startswith(f"{place}{os.sep}"):
        place = Path(error.filename)  # the file inside the folder that could not be read
    if error.errno in _FORBIDDEN:
        what, fix = (
            f"this may not be {operation}",
            f"give yourself permission to {'read' if operation == 'read' else 'write'} it",
        )
        if operation == "written":
            fix = "choose another place (--store; ASSAY_CACHE for the cache), or give yourself permission to write it"
    elif operation == "read" and _is_in_cloud(place):
        what = "its content is in a cloud (OneDrive, iCloud, Dropbox) and could not be downloaded"
        fix = "have the cloud's program keep it on this device, then try again"
    elif error.errno == errno.ENOENT:
        what, fix = "there is no such file", "check its name"
    else:
        what, fix = f"this cannot be {operation} ({error.strerror or error})", "check the disk"
    return DataError(Problem(what, fix, file=str(place)))


_RECALL = 0x1000 | 0x40000 | 0x400000  # Windows: FILE_ATTRIBUTE_OFFLINE, RECALL_ON_OPEN, RECALL_ON_DATA_ACCESS
_DATALESS = 0x40000000  # macOS: SF_DATALESS


def _is_in_cloud(path: Path) -> bool:
    """Whether a file's name is here and its content is not, as cloud folders have it."""
    try:
        status = os.stat(path)
    except OSError:
        return False
    attributes, flags = getattr(status, "st_file_attributes", 0), getattr(status, "st_flags", 0)
    return bool(attributes & _RECALL or flags & _DATALESS)


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power failure, where folders can be synced."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
