"""Reads data sets from HDF5 files and MATLAB's (which are HDF5 from version 7.3 on): arrays under the usual names."""

from __future__ import annotations

import math
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...disk import disk_errors, regular_file
from ...errors import DataError, Problem
from ...extras import needed
from ...spec import Groups, Reading
from .content import RawSplits
from .limits import refuse_ratio, refuse_size
from .matlab import load_array, stored_arrays
from .named import Named, labels_beside, named_splits, paired_splits

ENDINGS = (".h5", ".hdf5", ".hdf", ".he5", ".mat")
_MOST_ARRAYS = 1000
_MOST_DEPTH = 8
_SVHN = re.compile(r"(?:train|test|extra)_32x32", re.IGNORECASE)


def read_hdf5(path: Path, reading: Reading, groups: Groups | None = None) -> RawSplits:
    """An HDF5 or MATLAB file with named arrays, or one with an array of images and one beside it with the labels.

    Arrays in groups are called ``train_x`` for ``train/x``. Images that stand along the last axis, as MATLAB's do, are
    moved to the first. Nothing of the file is followed to another place.

    Raises:
        DataError: The file is damaged, holds no arrays under known names, or more than it can hold or memory has.
    """
    with _opened(path) as images:
        if reading.labels is not None or len(images.shapes) == 1:
            is_asked = reading.labels is not None
            beside = path.parent / Path(reading.labels or "").expanduser() if is_asked else labels_beside(path)
            if beside is None:
                fix = 'give read = { labels = "..." }'
                raise DataError(Problem("it is one array without labels", fix, file=str(path)))
            with _opened(beside) as labels:
                return paired_splits(images, labels, reading, is_asked=is_asked)
        splits = named_splits(images, reading, groups)
    flat = path.suffix.lower() == ".mat" and any(len(shape) == 2 and min(shape) > 1 for shape in images.shapes.values())
    if flat:
        note = "Rows of numbers are taken line by line; where images lie on their side, MATLAB kept them by columns."
        splits = replace(splits, notes=(*splits.notes, note))
    return _without_ten(splits) if _SVHN.fullmatch(path.stem) else splits


def _without_ten(splits: RawSplits) -> RawSplits:
    """SVHN's labels 1 to 10, of which 10 stands for the digit 0."""
    labels = splits.training.labels
    if labels is None or labels.dtype.kind != "i" or not len(labels) or labels.min() < 1 or labels.max() != 10:
        return splits
    note = "The label 10 stands for the digit 0, as in the files of SVHN."
    return replace(splits, training=replace(splits.training, labels=labels % 10), notes=(*splits.notes, note))


@contextmanager
def _opened(path: Path) -> Iterator[Named]:
    """The arrays of a file, none of them read yet.

    Raises:
        DataError: It is damaged, or neither HDF5 nor a MATLAB file.
    """
    with disk_errors(path, "read"), regular_file(path) as file:
        head = file.read(1 << 12)
    try:
        if head[:6] == b"MATLAB" and head[124:128] != b"\0\2IM" and b"\x89HDF\r\n\x1a\n" not in head:
            yield _matlab(path)
        else:
            with _hdf5(path, is_matlab=head[:6] == b"MATLAB") as named:
                yield named
    except (KeyError, OSError, ValueError, TypeError, RuntimeError, AttributeError, struct.error, zlib.error,
            IndexError, OverflowError, MemoryError, NotImplementedError, AssertionError, UnicodeDecodeError,
            EOFError) as error:  # fmt: skip
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        what = f"it is damaged ({reason})"
        raise DataError(Problem(what, "replace it with an intact copy", file=str(path))) from None


@contextmanager
def _hdf5(path: Path, *, is_matlab: bool) -> Iterator[Named]:
    h5py = needed("h5py", "HDF5 files")

    if not h5py.is_hdf5(path):
        raise DataError(Problem("it is no HDF5 or MATLAB file", "replace it with an intact copy", file=str(path)))
    with h5py.File(path, "r") as file:
        names = dict(_datasets(path, file, "", 0))

        def load(name: str) -> npt.NDArray[Any]:
            dataset = names[name]
            size = math.prod(dataset.shape) * dataset.dtype.itemsize
            refuse_ratio(size, dataset.id.get_storage_size(), f"{path}, {name}")
            refuse_size(size, str(path))
            if dataset.dtype.kind == "O":  # texts; their lengths are those of the file
                return np.asarray(dataset.asstr("utf-8", "replace")[()], dtype=str)
            array: npt.NDArray[Any] = dataset[()]
            return array.T if is_matlab else array

        shapes = {name: dataset.shape[::-1] if is_matlab else dataset.shape for name, dataset in names.items()}
        yield Named(path, shapes, load)


def _datasets(path: Path, group: Any, prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    """The arrays that lie in this very file, by their names with those of their groups before them."""
    h5py = needed("h5py", "HDF5 files")

    for count, name in enumerate(group):
        if count >= _MOST_ARRAYS or depth > _MOST_DEPTH:
            what = f"it holds more than {_MOST_ARRAYS:,} arrays in a group, or groups {_MOST_DEPTH} deep"
            raise DataError(Problem(what, "give one array of images and one of labels", file=str(path)))
        if name.startswith("#") or not isinstance(group.get(name, getlink=True), h5py.HardLink):
            continue  # MATLAB's own, or a link to another place
        member = group[name]
        if isinstance(member, h5py.Group):
            yield from _datasets(path, member, f"{prefix}{name}_", depth + 1)
        elif isinstance(member, h5py.Dataset) and not member.is_virtual and not member.external and member.shape:
            is_text = h5py.check_string_dtype(member.dtype) is not None
            if member.dtype.kind in "buif" or (is_text and member.ndim == 1) or member.dtype.kind == "S":
                yield prefix + name, member


def _matlab(path: Path) -> Named:
    stored = {one.name: one for one in stored_arrays(path)}
    others = [f"{one.name} ({one.kind})" for one in stored.values() if one.kind]
    remedy = Named.remedy
    if others:
        remedy = f"{', '.join(others[:4])} is no array of numbers: save images and labels as arrays of their own"
    shapes = {name: one.shape for name, one in stored.items() if not one.kind}
    return Named(path, shapes, lambda name: load_array(path, stored[name]), remedy)
