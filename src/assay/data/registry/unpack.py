"""Reads well-known data sets in the formats in which they are published, without unpacking to the disk or pickles."""

from __future__ import annotations

import gzip
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...disk import disk_errors
from ...errors import DataError, Problem
from ..readers.content import Content, Rows
from ..readers.idx import read_idx, read_idx_stream
from ..types import Images
from .entries import Entry

Arrays = tuple[Images, npt.NDArray[Any], Images, npt.NDArray[Any]]


def unpack(entry: Entry, paths: Sequence[Path]) -> Content:
    """The content of a data set's published files.

    Args:
        entry: The data set; ``form`` says how its files are read.
        paths: Its files in their order, verified.

    Raises:
        DataError: A file is damaged, or holds other shapes or labels than the data set has.
    """
    place = str(paths[0].parent)
    try:
        with disk_errors(paths[0], "read"):
            training_images, training_labels, test_images, test_labels = _FORMS[entry.form](entry, paths)
    except (
        KeyError,
        ValueError,
        EOFError,
        zlib.error,
        gzip.BadGzipFile,
        zipfile.BadZipFile,
        tarfile.TarError,
    ) as error:
        what = f"{entry.name} has other files than the published ones ({' '.join(str(error).split())[:100]})"
        raise DataError(Problem(what, f"run `assay data fetch {entry.name}`", file=place)) from None
    shape = entry.info.shape
    parts = []
    for images, labels in ((training_images, training_labels), (test_images, test_labels)):
        if images.dtype != np.uint8 or images.shape != (len(labels), *shape) or not len(labels):
            what = f"its images are {images.dtype} {images.shape} with {len(labels)} labels"
            raise DataError(Problem(what, f"{entry.name} has uint8 images of {shape}", file=place))
        if labels.min() < 0 or labels.max() >= len(entry.classes):
            what = f"its labels run from {labels.min()} to {labels.max()}"
            raise DataError(Problem(what, f"{entry.name} has {len(entry.classes)} classes", file=place))
        parts.append((Rows(images), Rows(labels.astype(np.int64))))
    return Content(parts[0], parts[1], entry.classes, (), entry.test_split_note)


def _idx(entry: Entry, paths: Sequence[Path]) -> Arrays:
    images, labels, test_images, test_labels = (read_idx(path) for path in paths)
    if labels.ndim == 2:  # QMNIST: the class, then where the digit came from
        labels, test_labels = labels[:, 0], test_labels[:, 0]
    return images[..., None], labels, test_images[..., None], test_labels


def _emnist(entry: Entry, paths: Sequence[Path]) -> Arrays:
    part = entry.name.removeprefix("emnist_")
    arrays = []
    with zipfile.ZipFile(paths[0]) as archive:
        for split in ("train", "test"):
            for kind in ("images-idx3", "labels-idx1"):
                name = f"gzip/emnist-{part}-{split}-{kind}-ubyte.gz"
                size = archive.getinfo(name).file_size
                with archive.open(name) as packed, gzip.GzipFile(fileobj=packed) as stream:
                    arrays.append(read_idx_stream(stream, size, f"{paths[0]}, {name}"))
    images, labels, test_images, test_labels = arrays
    first = 1 if part == "letters" else 0
    # They are stored lying on their side, as Matlab counts pixels.
    upright = [np.ascontiguousarray(values.transpose(0, 2, 1))[..., None] for values in (images, test_images)]
    return upright[0], labels.astype(np.int64) - first, upright[1], test_labels.astype(np.int64) - first


def _usps(entry: Entry, paths: Sequence[Path]) -> Arrays:
    from sklearn.datasets import load_svmlight_file

    arrays: list[Any] = []
    for path in paths:
        values, labels = load_svmlight_file(str(path), n_features=256)
        arrays.append(np.rint((values.toarray() + 1) * 127.5).clip(0, 255).astype(np.uint8).reshape(-1, 16, 16, 1))
        arrays.append(labels.astype(np.int64) - 1)
    return arrays[0], arrays[1], arrays[2], arrays[3]


def _svhn(entry: Entry, paths: Sequence[Path]) -> Arrays:
    from scipy.io import loadmat

    arrays: list[Any] = []
    for path in paths:
        values = loadmat(str(path), variable_names=["X", "y"])
        arrays.append(np.ascontiguousarray(values["X"].transpose(3, 0, 1, 2)))
        arrays.append(values["y"].reshape(-1).astype(np.int64) % 10)  # 10 stands for the digit 0
    return arrays[0], arrays[1], arrays[2], arrays[3]


def _cifar(files: tuple[Sequence[str], Sequence[str]], num_labels: int) -> Callable[[Entry, Sequence[Path]], Arrays]:
    def read(entry: Entry, paths: Sequence[Path]) -> Arrays:
        members: dict[str, bytes] = {}
        with tarfile.open(paths[0], "r:gz") as archive:
            for member in archive:
                name = member.name.rsplit("/", 1)[-1]
                if member.isfile() and name in {*files[0], *files[1]}:
                    stream = archive.extractfile(member)
                    members[name] = b"" if stream is None else stream.read()
        arrays: list[Any] = []
        for names in files:
            rows = np.frombuffer(b"".join(members[name] for name in names), np.uint8).reshape(-1, num_labels + 3072)
            planes = rows[:, num_labels:].reshape(-1, 3, 32, 32)
            arrays += [np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), rows[:, num_labels - 1]]
        return arrays[0], arrays[1], arrays[2], arrays[3]

    return read


_FORMS: dict[str, Callable[[Entry, Sequence[Path]], Arrays]] = {
    "idx": _idx,
    "emnist": _emnist,
    "usps": _usps,
    "svhn": _svhn,
    "cifar10": _cifar(([f"data_batch_{k}.bin" for k in range(1, 6)], ["test_batch.bin"]), 1),
    "cifar100": _cifar((["train.bin"], ["test.bin"]), 2),  # the coarse label stands before the fine one
}
