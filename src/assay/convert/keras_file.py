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
from .hdf5 import HDF5, opened

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_MOST_CONFIG = 1 << 24
_MOST_WEIGHTS = 1 << 32
_MOST_MEMBERS = 1000


class KerasFile:
    """The content of a ``.keras`` file.

    Its ``config.json`` is read as plain values; its weights as plain arrays of the shapes that the layers must have,
    without following links or external storage.

    Args:
        path: The file.

    Raises:
        DataError: The file cannot be read, is damaged, or is built to harm.
    """

    is_h5 = False

    def __init__(self, path: Path) -> None:
        self._file = str(path)
        fault = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)
        try:
            with disk_errors(path, "read"), zipfile.ZipFile(path) as archive:
                members = _members(archive, self._file)
                config = _content(archive, members, _CONFIG, _MOST_CONFIG, self._file)
                self._weights = _content(archive, members, _WEIGHTS, _MOST_WEIGHTS, self._file)
        except fault as error:
            what = f"it is no intact .keras file ({' '.join(str(error).split())[:80]})"
            raise DataError(Problem(what, "save the model again with model.save(...)", file=self._file)) from None
        try:
            self.config: Any = json.loads(config)
        except (ValueError, RecursionError):
            fix = "save the model again"
            raise DataError(Problem(f"its {_CONFIG} is no JSON", fix, file=self._file)) from None
        self.compiled: Any = self.config.get("compile_config") if isinstance(self.config, dict) else None

    def weights(self) -> Any:
        """A context that gives the open file of weights."""
        return opened(io.BytesIO(self._weights), len(self._weights), self._file, f"its {_WEIGHTS}")

    @staticmethod
    def layer(content: HDF5, source: tuple[str, ...], shapes: Sequence[tuple[int, ...]]) -> list[NDArray[np.float32]]:
        """A layer's arrays, in Keras's order.

        Raises:
            SpecError: They are not there, or have other shapes.
        """
        place = "/".join(source)
        return [content.array((*source, "vars", str(at)), shape, place) for at, shape in enumerate(shapes)]


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
