"""Lists and reads the files of a folder, a zip or a tar, one after the other, without unpacking to the disk."""

from __future__ import annotations

import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath

from ...disk import disk_errors, refuse_special
from ...errors import DataError, Problem
from .limits import MAX_DEFLATE_RATIO, refuse_ratio
from .placeholders import is_cloud_name

ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")
MOST_FILE_BYTES = 1 << 28
_MOST_DEPTH = 12
_CHUNK_BYTES = 1 << 20
# What the standard library raises for damaged archives.
BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    ValueError,
    TypeError,
    IndexError,
    OverflowError,
    RuntimeError,
)

Name = tuple[str, ...]


class Tree(ABC):
    """Files by their path below a root, such as ``("train", "cat", "1.png")``."""

    place: str
    absent: Sequence[Name] = ()  # placeholders that stand for files in a cloud

    @abstractmethod
    def names(self) -> list[Name]:
        """Every file, sorted, without system files (hidden files, ``__MACOSX``, ``Thumbs.db``)."""

    @abstractmethod
    def folders(self) -> list[Name]:
        """Every folder, sorted."""

    @abstractmethod
    def contents(self, names: Sequence[Name]) -> Iterator[tuple[int, bytes]]:
        """The contents of these files in whatever order is fastest, each with its place in ``names``.

        Raises:
            DataError: A file may not be read, or is larger than any image.
        """


def tree_of(path: Path) -> Tree:
    """The files of a folder or an archive.

    Raises:
        DataError: The archive is damaged or holds names that lead out of it.
    """
    if path.is_dir():
        return _Folder(path)
    with disk_errors(path, "read"):
        status = os.stat(path)
    return _archive(path, (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino))


@lru_cache(maxsize=2)  # listing a packed tar unpacks it
def _archive(path: Path, _: tuple[int, ...]) -> Tree:
    return _Zip(path) if path.name.lower().endswith((".zip", ".tm")) else _Tar(path)


def is_archive_name(name: str) -> bool:
    return name.lower().endswith(ARCHIVES)


def is_kept(name: Name) -> bool:
    """Whether a file is none of a system's own."""
    return not any(part.startswith(".") or part in ("__MACOSX", "Thumbs.db", "desktop.ini") for part in name)


def _too_large(place: str, size: int) -> DataError:
    return DataError(Problem(f"it has {size:,} bytes, too many for an image", "remove it", file=place))


def read_file(path: str | Path) -> bytes:
    """A file's content.

    Raises:
        DataError: It may not be read, or is larger than any image.
    """
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        try:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                refuse_special(Path(path))
            size = status.st_size
            if size > MOST_FILE_BYTES:
                raise _too_large(str(path), size)
            content = os.read(handle, size + 1)
            while len(content) < size and (more := os.read(handle, size - len(content))):
                content += more
            return content
        finally:
            os.close(handle)
    except OSError:  # a hundred thousand files are opened here: build the message only when there is an error
        with disk_errors(Path(path), "read"):
            raise


class _Folder(Tree):
    def __init__(self, path: Path) -> None:
        self.place = str(path)
        self._files: list[Name] = []
        self._folders: list[Name] = []
        self.absent = absent = []
        seen = set()
        waiting: list[Name] = [()]
        with disk_errors(path, "read"):
            while waiting:
                name = waiting.pop()
                status = os.stat(os.path.join(self.place, *name))
                if (status.st_dev, status.st_ino) in seen or len(name) > _MOST_DEPTH:  # a link that leads back up
                    continue
                seen.add((status.st_dev, status.st_ino))
                with os.scandir(os.path.join(self.place, *name)) as items:
                    for item in items:
                        child = (*name, item.name)
                        if is_cloud_name(item.name):
                            absent.append(child)
                            continue
                        if not is_kept(child):
                            continue
                        if item.is_dir():
                            self._folders.append(child)
                            waiting.append(child)
                        else:
                            self._files.append(child)

    def names(self) -> list[Name]:
        return sorted(self._files)

    def folders(self) -> list[Name]:
        return sorted(self._folders)

    def contents(self, names: Sequence[Name]) -> Iterator[tuple[int, bytes]]:
        for index, name in enumerate(names):
            path = os.path.join(self.place, *name)
            yield index, read_file(path)


def parts_of_name(name: str, place: str) -> Name:
    """The parts of a member's name.

    Raises:
        DataError: It leads out of the archive.
    """
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if name.startswith(("/", "\\")) or ".." in parts or (parts and ":" in parts[0]):
        what = f'its member "{name[:80]}" leads out of the archive'
        raise DataError(Problem(what, "get the archive from a source that you trust", file=place))
    return parts


def _folders_of(names: Sequence[Name]) -> list[Name]:
    return sorted({name[:depth] for name in names for depth in range(1, len(name))})


class _Zip(Tree):
    def __init__(self, path: Path) -> None:
        self.place = str(path)
        self._path = path
        try:
            with disk_errors(path, "read"), zipfile.ZipFile(path) as archive:
                infos = [(info, parts_of_name(info.filename, self.place)) for info in archive.infolist()]
        except BROKEN as error:
            raise self._damaged(error) from None
        self._empty = [name for info, name in infos if name and info.is_dir() and is_kept(name)]
        self._infos = {name: info for info, name in infos if name and not info.is_dir() and is_kept(name)}
        size = os.path.getsize(path)
        for name, info in self._infos.items():
            if info.compress_size > size:
                raise self._damaged(ValueError(f"{'/'.join(name)} is longer than the archive"))
            refuse_ratio(info.file_size, info.compress_size, f"{self.place}, {'/'.join(name)}")

    def _damaged(self, error: Exception) -> DataError:
        return DataError(Problem(f"it is damaged ({error})", "replace it with an intact copy", file=self.place))

    def names(self) -> list[Name]:
        return sorted(self._infos)

    def folders(self) -> list[Name]:
        return sorted({*_folders_of([*self._infos]), *self._empty})

    def contents(self, names: Sequence[Name]) -> Iterator[tuple[int, bytes]]:
        try:
            with disk_errors(self._path, "read"), zipfile.ZipFile(self._path) as archive:
                for index, name in enumerate(names):
                    if self._infos[name].file_size > MOST_FILE_BYTES:
                        raise _too_large(f"{self.place}, {'/'.join(name)}", self._infos[name].file_size)
                    with archive.open(self._infos[name]) as file:
                        yield index, b"".join(iter(lambda file=file: file.read(_CHUNK_BYTES), b""))  # type: ignore[misc]
        except BROKEN as error:
            raise self._damaged(error) from None


class _Tar(Tree):
    def __init__(self, path: Path) -> None:
        self.place = str(path)
        self._path = path
        self._sizes: dict[Name, int] = {}
        most = os.path.getsize(path) * MAX_DEFLATE_RATIO + _CHUNK_BYTES
        self._empty: list[Name] = []
        for member in self._members():
            name = parts_of_name(member[0].name, self.place)
            if member[0].isdir() and is_kept(name):
                self._empty.append(name)
            elif member[0].isfile() and is_kept(name):  # links and devices are no images
                if member[0].size > most:
                    what = f"its member {member[0].name[:80]} declares {member[0].size:,} bytes, which it cannot hold"
                    raise DataError(Problem(what, "replace it with an intact copy", file=self.place))
                self._sizes[name] = member[0].size

    def _members(self) -> Iterator[tuple[tarfile.TarInfo, tarfile.TarFile]]:
        try:
            with disk_errors(self._path, "read"), tarfile.open(self._path, "r|*") as archive:
                for member in archive:
                    yield member, archive
        except BROKEN as error:
            what = f"it is damaged ({error})"
            raise DataError(Problem(what, "replace it with an intact copy", file=self.place)) from None

    def names(self) -> list[Name]:
        return sorted(self._sizes)

    def folders(self) -> list[Name]:
        return sorted({*_folders_of([*self._sizes]), *self._empty} - {()})

    def contents(self, names: Sequence[Name]) -> Iterator[tuple[int, bytes]]:
        places = {name: index for index, name in enumerate(names)}
        for member, archive in self._members():
            index = places.pop(parts_of_name(member.name, self.place), None) if member.isfile() else None
            if index is not None:
                if member.size > MOST_FILE_BYTES:
                    raise _too_large(f"{self.place}, {member.name}", member.size)
                file = archive.extractfile(member)
                yield index, b"" if file is None else file.read()
