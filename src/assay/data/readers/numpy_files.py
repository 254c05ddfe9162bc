"""Reads data sets from NumPy's files: an ``.npz``, a folder of ``.npy``, or a pair of them."""

from __future__ import annotations

from pathlib import Path

from ...disk import disk_errors
from ...errors import DataError, Problem
from ...spec import Groups, Reading
from .content import RawSplits
from .named import Named, labels_beside, named_splits, paired_splits
from .npy import load


def read_npz(path: Path, reading: Reading, groups: Groups | None = None) -> RawSplits:
    """An ``.npz`` file with named arrays, a folder of ``.npy`` files, or one such file and one of labels.

    Raises:
        DataError: The file is damaged, holds no arrays under known names, pickled objects, or more than fits memory.
    """
    images = _named(path)
    if reading.labels is not None:
        labels = path.parent / Path(reading.labels).expanduser()
        return paired_splits(images, _named(labels), reading, is_asked=True)
    if path.is_dir() or len(images.shapes) != 1:
        return named_splits(images, reading, groups)
    beside = labels_beside(path)
    if beside is None:
        raise DataError(Problem("it is one array without labels", _labels_fix(path), file=str(path)))
    return paired_splits(images, _named(beside), reading, is_asked=False)


def _named(path: Path) -> Named:
    arrays = {name: array for file in _files(path) for name, array in load(file).items()}
    return Named(path, {name: array.shape for name, array in arrays.items()}, arrays.pop)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    with disk_errors(path, "read"):
        return sorted(file for file in path.iterdir() if file.suffix.lower() == ".npy")


def _labels_fix(images: Path) -> str:
    """How to name the file of labels of a file of images: one that is there, if its name says so."""
    with disk_errors(images.parent, "read"):
        others = sorted(file.name for file in images.parent.glob("*.np[yz]") if file.name != images.name)
    likely = [name for name in others if "label" in name.lower()]
    return f'give read = {{ labels = "{likely[0] if len(likely) == 1 else "..."}" }}'
