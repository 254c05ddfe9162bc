"""From raw files to memory maps: made once, then opened without reading."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..disk import locked, replacing, telling
from ..errors import DataError, Problem
from ..spec import Data
from . import raw
from .digits import read_digits
from .idx import idx_sha256
from .location import arrays_folder, lock_file, raw_folder
from .registry import Entry, entry
from .types import DatasetInfo, Images, TestData, TrainingData

_ARRAYS = ("train-images.npy", "train-labels.npy", "test-images.npy", "test-labels.npy")
_NOTE = "info.json"
_FORMAT = 1  # a higher one makes every data set anew


@dataclass(frozen=True)
class Dataset:
    """A prepared data set. Reading happens as images are used.

    Args:
        info: What is known about it.
        folder: Its memory maps.
    """

    info: DatasetInfo
    folder: Path

    def training_files(self) -> tuple[Path, Path]:
        """Images and labels of the training data: all that a worker process is told. See ``open_training``."""
        return self.folder / _ARRAYS[0], self.folder / _ARRAYS[1]

    def training(self) -> TrainingData:
        """The training data, validation images included.

        Raises:
            DataError: The memory maps are damaged or gone.
        """
        return open_training(*self.training_files())

    def published_files(self, protocol: Data) -> tuple[Path, Path] | None:
        """Images and labels of the test data where a study validates on them as published, else ``None``."""
        is_told = protocol.is_leaky and protocol.as_published
        return (self.folder / _ARRAYS[2], self.folder / _ARRAYS[3]) if is_told else None

    def test(self) -> TestData:
        """The sealed images. Training and search code never call this.

        Raises:
            DataError: The memory maps are damaged or gone.
        """
        images, labels = (_open(self.folder / name) for name in _ARRAYS[2:])
        return TestData(images, labels)


def open_training(images: Path, labels: Path) -> TrainingData:
    """The training data in two files of a prepared data set, as read-only memory maps.

    Args:
        images: A ``.npy`` file with uint8 [n, height, width, channels].
        labels: A ``.npy`` file with int64 [n].

    Raises:
        DataError: A file is damaged, gone, or belongs to a test split.
    """
    for path in (images, labels):
        if path.name in _ARRAYS[2:]:
            raise DataError(Problem("the test split is sealed, it is no training data", "give train-*", file=str(path)))
    return TrainingData(_open(images), _open(labels))


def open_published(images: Path, labels: Path, protocol: Data) -> TestData:
    """The test data, for a study that repeats a published protocol: the one way past the seal besides ``reveal``.

    Args:
        images: A ``.npy`` file with uint8 [n, height, width, channels].
        labels: A ``.npy`` file with int64 [n].
        protocol: What the study says of its data.

    Raises:
        DataError: The study does not validate on the test images as published, or a file is damaged or gone.
    """
    if not (protocol.is_leaky and protocol.as_published):
        fix = 'they are for validation = "test" with as_published = true'
        raise DataError(Problem("the test split is sealed", fix, file=str(images)))
    return TestData(_open(images), _open(labels))


def prepare(name: str) -> Dataset:
    """Makes a data set ready for use: verifies its raw files and builds its memory maps, once.

    Later calls open in milliseconds and need no raw files. Damaged memory maps are built again. Processes that
    prepare the same data set at the same time wait for the first one.

    Raises:
        SpecError: The registry has no such data set.
        DataError: Raw files are missing, damaged or not the right ones, or a folder cannot be used.
        DiskFull: There is no space left for the memory maps.
    """
    return prepare_entry(entry(name))


def is_available(name: str) -> bool:
    """Whether the data set can be prepared without fetching anything; its raw files are not read.

    Raises:
        SpecError: The registry has no such data set.
    """
    wanted = entry(name)
    folder = raw_folder(name)
    has_raw = all((folder / file.name).exists() for file in wanted.files)
    return wanted.is_bundled or has_raw or _is_whole(Dataset(wanted.info, arrays_folder(wanted.content)))


def prepare_entry(wanted: Entry) -> Dataset:
    """``prepare`` for a data set that may stand outside the registry."""
    dataset = Dataset(wanted.info, arrays_folder(wanted.content))
    with telling(dataset.folder, "read"):
        is_whole = _is_whole(dataset)
    if not is_whole:
        with telling(dataset.folder, "written"), locked(lock_file("prepare", wanted.content)):
            if not _is_whole(dataset):  # nobody built it while this process waited
                _build(dataset, wanted)
    return dataset


def _build(dataset: Dataset, wanted: Entry) -> None:
    training_images, training_labels, test_images, test_labels = (
        _bundled(wanted) if wanted.is_bundled else raw.read_all(wanted, raw_folder(wanted.name))
    )
    shape = (-1, *dataset.info.shape)
    arrays: tuple[npt.NDArray[Any], ...] = (
        training_images.reshape(shape),
        training_labels.astype(np.int64),
        test_images.reshape(shape),
        test_labels.astype(np.int64),
    )
    folder = dataset.folder
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob(".*.tmp"):  # a process that was killed; the lock keeps living ones out
        stale.unlink(missing_ok=True)
    for name, array in zip(_ARRAYS, map(np.ascontiguousarray, arrays), strict=True):
        with replacing(folder / name) as file:
            np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
            file.write(array.data.cast("B"))
    # The note comes last: where it stands, the arrays were whole.
    sizes = {name: (folder / name).stat().st_size for name in _ARRAYS}
    note = {"format": _FORMAT, **dataset.info.record(), "bytes": sizes}
    with replacing(folder / _NOTE) as file:
        file.write(json.dumps(note, indent=2).encode())


def _bundled(wanted: Entry) -> tuple[Images, Images, Images, Images]:
    training_images, training_labels, test_images, test_labels = read_digits()
    arrays = (training_images, training_labels.astype(np.uint8), test_images, test_labels.astype(np.uint8))
    if tuple(map(idx_sha256, arrays)) != wanted.sha256:
        what = f"the installed scikit-learn has other images than the {wanted.name} that Assay knows"
        raise DataError(Problem(what, "install the scikit-learn version that Assay asks for", "data.name"))
    return arrays


def _is_whole(dataset: Dataset) -> bool:
    """The note fits the data set, and every array has the size that it had when the note was written."""
    try:
        note = json.loads((dataset.folder / _NOTE).read_bytes())
        fits = note["format"] == _FORMAT and note["content"] == dataset.info.content
        return fits and all(os.stat(dataset.folder / name).st_size == note["bytes"][name] for name in _ARRAYS)
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return False


def _open(path: Path) -> Any:
    try:
        with telling(path, "read"):
            return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        fix = "prepare the data set again, which rebuilds it"
        raise DataError(Problem(f"this memory map is damaged ({error})", fix, file=str(path))) from error
