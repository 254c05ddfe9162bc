"""Reads data sets from IDX files: a pair of images and labels, or a folder with the pairs of both splits."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ...disk import disk_errors
from ...errors import DataError, Problem
from ...spec import Reading
from .arrays import part_of
from .content import Part, RawSplits
from .idx import read_idx

_NAME = re.compile(r"(?:idx|ubyte)(?:\.gz)?$|\.idx\d?(?:\.gz)?$|-idx\d-", re.IGNORECASE)
_TEST = re.compile(r"t10k|test", re.IGNORECASE)


def is_idx_name(name: str) -> bool:
    """Whether a file is called as IDX files are."""
    return _NAME.search(name) is not None


def is_idx_folder(folder: Path) -> bool:
    """Whether a folder holds IDX images."""
    with disk_errors(folder, "read"):
        return any("image" in name.lower() for name in _idx_files(folder))


def _idx_files(folder: Path) -> dict[str, Path]:
    """IDX files by name, also such as some unpackers leave them: each in a folder of its own name."""
    items = [(item, item / item.name) for item in folder.iterdir() if is_idx_name(item.name)]
    return {item.name: item if item.is_file() else inner for item, inner in items if item.is_file() or inner.is_file()}


def read_idx_pair(path: Path, reading: Reading) -> RawSplits:
    """A file of images with its file of labels: ``read.labels``, or the same name with labels for images.

    Raises:
        DataError: A file is missing or damaged, or their lengths differ.
    """
    labels = path.parent / Path(reading.labels).expanduser() if reading.labels else _labels_of(path)
    part, notes = _read(path, labels, reading)
    return RawSplits(part, notes=notes, watched=tuple(map(str, (path, labels) if labels else (path,))))


def read_idx_folder(folder: Path, reading: Reading) -> RawSplits:
    """A folder with training images and labels, and test (or t10k) images and labels where there are any.

    Raises:
        DataError: It holds several training or test sets, or one file without the other.
    """
    training, test = idx_images(folder)
    if training is None:
        raise DataError(Problem("it holds no training images", "add them", file=str(folder)))
    parts: list[Part] = []
    notes: tuple[str, ...] = ()
    watched: list[str] = []
    for path in (training, test) if test else (training,):
        labels = _labels_of(path)
        part, more = _read(path, labels, reading)
        parts.append(part)
        notes = (*notes, *more)
        watched += [str(path), *([str(labels)] if labels else [])]
    return RawSplits(parts[0], parts[1] if len(parts) > 1 else None, None, tuple(dict.fromkeys(notes)), tuple(watched))


def idx_images(folder: Path) -> tuple[Path | None, Path | None]:
    """The files of training and of test images in a folder, where there are any.

    Raises:
        DataError: There are several of one kind.
    """
    with disk_errors(folder, "read"):
        known = _idx_files(folder)
    images = [name for name in sorted(known) if "image" in name.lower()]
    files: list[Path | None] = []
    for is_test in (False, True):
        chosen = [name for name in images if bool(_TEST.search(name)) == is_test]
        if len(chosen) > 1:
            fix = "name one of them as path and one as test"
            raise DataError(Problem(f"it holds {', '.join(chosen)}", fix, file=str(folder)))
        files.append(known[chosen[0]] if chosen else None)
    return files[0], files[1]


def _labels_of(images: Path) -> Path | None:
    name = re.sub("idx[34]", "idx1", images.name.replace("images", "labels").replace("image", "label"))
    for candidate in (name, name.removesuffix(".gz"), f"{name}.gz"):
        beside = images.parent / candidate
        for file in (beside, images.parent.parent / candidate / candidate):  # or each in a folder of its own name
            if candidate != images.name and file.is_file():
                return file
    return None


def _read(images: Path, labels: Path | None, reading: Reading) -> tuple[Part, tuple[str, ...]]:
    values = read_idx(images)
    if values.ndim == 1:
        raise DataError(Problem("it holds labels, not images", "name the file of images", file=str(images)))
    if labels is None:
        return part_of(values, None, str(images), shape=reading.shape)
    classes = read_idx(labels)
    if classes.ndim == 2 and classes.dtype == np.int32:  # QMNIST's labels: the class, then where the digit came from
        classes = classes[:, 0]
    if classes.ndim != 1 or len(classes) != len(values):
        what = f"it holds {' x '.join(map(str, classes.shape))} labels, and {images.name} {len(values)} images"
        raise DataError(Problem(what, "give one label for each image", file=str(labels)))
    return part_of(values, classes, str(images), shape=reading.shape)
