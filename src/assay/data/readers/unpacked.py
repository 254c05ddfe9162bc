"""Archives that hold more than class folders of images (tables, arrays, other archives): unpacked to a folder of the
cache while they are read, and read there as any folder is."""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ...disk import FULL, disk_errors, disk_full, regular_file
from ...errors import DataError, Problem
from .bundles import DATA_ENDINGS
from .cifar import is_batch_name
from .limits import MAX_DEFLATE_RATIO, refuse_ratio
from .pictures import SUFFIXES
from .sides import side_of
from .tfrecord import is_tfrecord_name
from .trees import ARCHIVES, BROKEN, Name, Tree, is_archive_name, is_kept, parts_of_name, tree_of
from .webdataset import is_shard

_CHUNK_BYTES = 1 << 20
_MOST_DEPTH = 2  # an archive in an archive, as Kaggle packs them
_KEPT_FREE = 1 << 28
_SAMPLES = "-samples"  # Teachable Machine packs each class as NAME-samples.zip


def must_be_unpacked(path: Path) -> bool:
    """Whether an archive, or a folder of archives, holds something else than class folders of images.

    Raises:
        DataError: It is damaged, or holds names that lead out of it.
    """
    if path.is_dir():
        with disk_errors(path, "read"), os.scandir(path) as items:
            names = [item.name for item in items if not item.name.startswith(".") and item.is_file()]
        zips = [name for name in names if name.lower().endswith((".zip", ".tm"))]
        return len(zips) > 1 and not any(name.lower().endswith((*SUFFIXES, *DATA_ENDINGS)) for name in names)
    if path.name.lower().endswith(".tm"):
        return True
    return is_archive_name(path.name) and _holds_data(tree_of(path))


def _holds_data(tree: Tree) -> bool:
    names = tree.names()
    if is_shard(names):
        return False
    folders = {name[:-1] for name in names if name[-1].lower().endswith(SUFFIXES)}
    classes = [name for name in folders if name and side_of(name[-1]) is None]
    if len(classes) > 1:
        return False
    return any(
        name[-1].lower().endswith((*DATA_ENDINGS, *ARCHIVES)) or is_tfrecord_name(name[-1]) or is_batch_name(name[-1])
        for name in names
    )


@contextmanager
def unpacked(path: Path, cache: Path) -> Iterator[Path]:
    """A folder with an archive's content, for as long as it is read.

    Args:
        path: An archive, or a folder of archives, each of which becomes a folder of its name.
        cache: Where the folder is made.

    Raises:
        DataError: The archive is damaged, holds names that lead out of it, or more than it can hold or the disk has.
    """
    with disk_errors(cache, "written"):
        cache.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="unpacked-", dir=cache))
    try:
        if path.is_dir():
            for archive in sorted(path.iterdir()):
                if archive.name.lower().endswith((*ARCHIVES, ".tm")) and archive.is_file():
                    _unpack(archive, folder / _stem(archive.name), str(archive), 1)
        else:
            _unpack(path, folder, str(path), 0)
        if path.name.lower().endswith(".tm") and not any(
            file.name.lower().endswith(SUFFIXES) for file in folder.rglob("*")
        ):
            what = "it is a project of Teachable Machine without its sample images"
            fix = "choose Download Samples for each class, and name the folder of the NAME-samples.zip files"
            raise DataError(Problem(what, fix, file=str(path)))
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _stem(name: str) -> str:
    ending = next((ending for ending in (*ARCHIVES, ".tm") if name.lower().endswith(ending)), "")
    return name[: len(name) - len(ending)].removesuffix(_SAMPLES)


def _unpack(path: Path, folder: Path, place: str, depth: int, budget: list[int] | None = None) -> None:
    """Writes an archive's files into a folder; archives among them become folders of their names."""
    inner: list[Path] = []
    # What the outermost archive can hold at most; those in it do not add to it.
    budget = [os.path.getsize(path) * MAX_DEFLATE_RATIO + _CHUNK_BYTES] if budget is None else budget
    try:
        for name, stream, size in _members(path, place, budget):
            target = folder.joinpath(*name)
            _write(target, stream, size, place)
            if is_archive_name(target.name):
                inner.append(target)
    except (*BROKEN, OSError) as error:
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise DataError(Problem(f"it is damaged ({reason})", "replace it with an intact copy", file=place)) from None
    for archive in inner:
        if depth < _MOST_DEPTH:
            stem = _stem(archive.name)
            below = archive.with_name(stem)
            if below.exists():
                below = archive.with_name(f"{stem}-{archive.suffix[1:]}")
            _unpack(archive, below, f"{place}, {archive.name}", depth + 1, budget)
            with disk_errors(archive, "written"):
                archive.unlink()
                only = list(below.iterdir())
                if len(only) == 1 and only[0].is_dir() and only[0].name == stem:  # train.zip holds a folder train
                    only[0].rename(below.with_name(f"{stem}.tmp"))
                    below.rmdir()
                    below.with_name(f"{stem}.tmp").rename(below)


def _write(target: Path, stream: IO[bytes], size: int, place: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(target.parent).free
    if size > free - _KEPT_FREE:
        what = f"unpacked it takes more than the {free / 2**30:,.1f} GiB that the cache's disk has free"
        raise DataError(Problem(what, "unpack it elsewhere and name the folder, or move ASSAY_CACHE", file=place))
    with open(target, "xb") as file:
        try:
            shutil.copyfileobj(stream, file, _CHUNK_BYTES)
        except OSError as error:
            if error.errno in FULL:
                raise disk_full(target.parent) from error
            raise


def _members(path: Path, place: str, budget: list[int]) -> Iterator[tuple[Name, IO[bytes], int]]:
    """Each file of an archive with its size; links, devices and system files are left out."""
    seen: set[Name] = set()
    with regular_file(path) as raw:
        for name, stream, size in (_zip_members if zipfile.is_zipfile(path) else _tar_members)(raw, place):
            budget[0] -= size
            if budget[0] < 0:
                what = f"its members declare more bytes than its {os.path.getsize(path):,} can hold"
                raise DataError(Problem(what, "replace it with an intact copy", file=place))
            if name and is_kept(name) and name not in seen:
                seen.add(name)
                yield name, stream, size


def _zip_members(raw: Any, place: str) -> Iterator[tuple[Name, IO[bytes], int]]:
    with zipfile.ZipFile(raw) as archive:
        for info in archive.infolist():
            name = parts_of_name(info.filename, place)
            is_link = (info.external_attr >> 28) == 0o12
            if not info.is_dir() and not is_link:
                refuse_ratio(info.file_size, info.compress_size, f"{place}, {info.filename}")
                with archive.open(info) as stream:
                    yield name, stream, info.file_size


def _tar_members(raw: Any, place: str) -> Iterator[tuple[Name, IO[bytes], int]]:
    with tarfile.open(fileobj=raw, mode="r|*") as archive:
        for member in archive:
            name = parts_of_name(member.name, place)
            stream = archive.extractfile(member) if member.isfile() else None
            if stream is not None:
                yield name, stream, member.size
