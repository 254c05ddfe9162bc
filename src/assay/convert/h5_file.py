"""Reads ``.h5`` files of whole Keras models as configuration and plain arrays: nothing in them is run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..disk import disk_errors, regular_file
from ..errors import DataError, Problem
from ..extras import needed
from .hdf5 import HDF5, opened
from .weights import weight_error

_MOST_CONFIG = 1 << 24
_MOST_NAMES = 10_000
_MOST_SECONDS, _BYTES_A_SECOND = 20, 1 << 25
_MAGIC = b"\x89HDF\r\n\x1a\n"


class H5File:
    """The content of an ``.h5`` file that Keras 2 or 3 saved with ``model.save``.

    Args:
        path: The file.

    Raises:
        DataError: The file cannot be read, is damaged, or holds weights without a model.
    """

    is_h5 = True

    def __init__(self, path: Path) -> None:
        self._path, self._file = path, str(path)
        with disk_errors(path, "read"), regular_file(path) as stream:
            is_hdf5 = stream.read(len(_MAGIC)) == _MAGIC
        if not is_hdf5:
            raise DataError(Problem("it is no HDF5 file", "save the model again", file=self._file))
        self._size = path.stat().st_size
        _check(path)
        with self.weights() as content:
            attributes = content.group((), "").attrs
            texts = [_text(attributes, name) for name in ("model_config", "training_config")]
        if texts[0] is None:
            fix = "save the whole model with model.save(...), or name the file as [network] base weights"
            raise DataError(Problem("it holds no model, or weights alone", fix, file=self._file))
        try:
            self.config, self.compiled = (json.loads(text) if text is not None else None for text in texts)
        except (ValueError, RecursionError):
            raise DataError(Problem("its model_config is no JSON", "save the model again", file=self._file)) from None

    def weights(self) -> Any:
        """A context that gives the open file."""
        return opened(self._path, self._size, self._file, "it")

    @staticmethod
    def layer(content: HDF5, source: tuple[str, ...], shapes: Sequence[tuple[int, ...]]) -> list[NDArray[np.float32]]:
        """A layer's arrays, in Keras's order: those that bear its name in the group of the layer that holds it.

        Raises:
            SpecError: They are not there, or have other shapes.
        """
        top, own = source
        group = content.group(("model_weights", top), top)
        names = group.attrs.get("weight_names")
        if names is None or len(names) > _MOST_NAMES:
            raise weight_error("its weights have no names", top)
        paths = [
            (name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)).split("/") for name in names
        ]
        if top != own:
            paths = [path for path in paths if len(path) > 1 and path[-2] == own]
        if len(paths) != len(shapes):
            raise weight_error(f"{len(shapes)} arrays are expected, and there are {len(paths)}", own)
        return [
            content.array(("model_weights", top, *path), shape, own) for path, shape in zip(paths, shapes, strict=True)
        ]


def _check(path: Path) -> None:
    """Refuses a file that the HDF5 library does not read to its end."""
    needed("h5py", "HDF5 files")
    seconds = _MOST_SECONDS + path.stat().st_size / _BYTES_A_SECOND
    script = str(Path(__file__).with_name("hdf5_check.py"))
    try:
        subprocess.run(
            [sys.executable, "-P", "-W", "ignore", script, str(path)],
            check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=seconds,
        )  # fmt: skip
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        what = "it is damaged: the HDF5 library does not read it to its end"
        raise DataError(Problem(what, "save the model again", file=str(path))) from None


def _text(attributes: Any, name: str) -> str | None:
    if name not in attributes:
        return None
    value = attributes[name]
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    if len(text) > _MOST_CONFIG:
        raise ValueError(f"{name} has {len(text):,} characters")
    return text
