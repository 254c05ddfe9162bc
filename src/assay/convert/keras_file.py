"""Reads ``.keras`` files as configuration and plain arrays: nothing in them is run, imported or unpacked."""

from __future__ import annotations

import io
import json
import stat
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.readers.limits import refuse_ratio, refuse_size
from ..disk import disk_errors
from ..errors import DataError, Problem
from .configs import of_keras
from .converted import convert
from .weights import Imported, imported, weight_error

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_MOST_CONFIG = 1 << 24
_MOST_WEIGHTS = 1 << 32
_MOST_MEMBERS = 1000


def read_keras(path: Path) -> Imported:
    """The Sequential model in a ``.keras`` file.

    Its ``config.json`` is read as plain values; its weights as plain arrays of the shapes that the layers must have,
    without following links or external storage. Custom classes and functions are refused by name.

    Raises:
        DataError: The file cannot be read, is damaged, or is built to harm.
        SpecError: It is no Sequential model, or has a layer without words here.
    """
    file = str(path)
    try:
        with disk_errors(path, "read"), zipfile.ZipFile(path) as archive:
            members = _members(archive, file)
            config = _content(archive, members, _CONFIG, _MOST_CONFIG, file)
            weights = _content(archive, members, _WEIGHTS, _MOST_WEIGHTS, file)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        what = f"it is no intact .keras file ({' '.join(str(error).split())[:80]})"
        raise DataError(Problem(what, "save the model again with model.save(...)", file=file)) from None
    try:
        values = json.loads(config)
    except (ValueError, RecursionError):
        raise DataError(Problem(f"its {_CONFIG} is no JSON", "save the model again", file=file)) from None
    converted = convert(of_keras(values, file=file), file=file)
    return _Weights(weights, file).fill(converted)


def _members(archive: zipfile.ZipFile, file: str) -> dict[str, zipfile.ZipInfo]:
    """The members by name, once none of them is a trick."""
    members: dict[str, zipfile.ZipInfo] = {}
    infos = archive.infolist()
    for info in infos:
        parts = info.filename.replace("\\", "/").split("/")
        is_link = stat.S_ISLNK(info.external_attr >> 16)
        if len(infos) > _MOST_MEMBERS or ".." in parts or parts[0] == "" or ":" in parts[0] or is_link:
            what = f"its member {info.filename[:60]!r} is a link, or leads out of the archive"
            what = what if len(infos) <= _MOST_MEMBERS else f"it has {len(infos):,} members"
            raise DataError(Problem(what, "such a file is not Keras's: do not trust it", file=file))
        if info.filename in members:
            what = f"it holds {info.filename[:60]!r} twice"
            raise DataError(Problem(what, "such a file is not Keras's: do not trust it", file=file))
        members[info.filename] = info
    return members


def _content(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], name: str, most: int, file: str) -> bytes:
    if name not in members:
        fix = "give a file that Keras 3 saved with model.save(...)"
        raise DataError(Problem(f"it has no {name}", fix, file=file))
    info = members[name]
    place = f"{file}, {name}"
    if info.file_size > most:
        what = f"it declares {info.file_size:,} bytes"
        raise DataError(Problem(what, f"{most:,} are the most", file=place))
    refuse_ratio(info.file_size, info.compress_size, place)
    refuse_size(info.file_size, place)
    with archive.open(info) as stream:
        content = stream.read(info.file_size + 1)
    if len(content) != info.file_size:
        raise DataError(Problem("it is not as long as it declares", "save the model again", file=place))
    return content


class _Weights:
    """Arrays in an HDF5 file that lies in memory."""

    def __init__(self, content: bytes, file: str) -> None:
        self._content = content
        self._file = file

    def fill(self, converted: Any) -> Imported:
        from ..export.needed import needed

        h5py = needed("h5py")
        try:
            with h5py.File(io.BytesIO(self._content), "r") as opened:
                return imported(converted, lambda source, shapes: self._layer(h5py, opened, source, shapes))
        except (OSError, KeyError, RuntimeError, TypeError, ValueError, AttributeError) as error:
            what = f"its {_WEIGHTS} is damaged ({' '.join(str(error).split())[:80]})"
            raise DataError(Problem(what, "save the model again", file=self._file)) from None

    def _layer(
        self, h5py: Any, opened: Any, source: tuple[str, ...], shapes: Sequence[tuple[int, ...]]
    ) -> list[NDArray[np.float32]]:
        group = opened
        for name in (*source, "vars"):
            group = self._inside(h5py, group, name, "/".join(source))
        return [
            self._array(h5py, self._inside(h5py, group, str(index), "/".join(source)), shape, "/".join(source))
            for index, shape in enumerate(shapes)
        ]

    def _inside(self, h5py: Any, group: Any, name: str, place: str) -> Any:
        """A member that lies in this very file."""
        if not isinstance(group, h5py.Group) or group.get(name, getlink=True) is None:
            raise weight_error("its weights are not in the file", place, self._file)
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise weight_error("its weights are a link to another place, which is never followed", place, self._file)
        return group[name]

    def _array(self, h5py: Any, dataset: Any, shape: tuple[int, ...], place: str) -> NDArray[np.float32]:
        if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind != "f" or dataset.external or dataset.is_virtual:
            raise weight_error("its weights are no plain numbers in this file", place, self._file)
        if dataset.shape != shape:
            actual, expected = (" x ".join(map(str, sizes)) for sizes in (dataset.shape, shape))
            raise weight_error(f"weights of {expected} are expected, and there are {actual}", place, self._file)
        if dataset.size * dataset.dtype.itemsize > len(self._content):
            raise weight_error("its weights declare more than the file holds", place, self._file)
        return np.asarray(dataset[()], dtype=np.float32)
