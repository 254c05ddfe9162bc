"""Arrays in an HDF5 file that nobody trusts: no links, no other files, no more than the file holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, Problem
from ..extras import needed
from .weights import weight_error


class HDF5:
    """An open file.

    Args:
        opened: An ``h5py.File``.
        size: Its bytes.
        file: For messages.
    """

    def __init__(self, opened: Any, size: int, file: str) -> None:
        self._opened, self._size, self._file = opened, size, file
        self._h5py = needed("h5py", "HDF5 files")

    def group(self, path: Sequence[str], place: str) -> Any:
        """A group that lies in this very file.

        Raises:
            SpecError: It is not there, or is a link.
        """
        group = self._opened
        for name in path:
            group = self._inside(group, name, place)
        return group

    def array(self, path: Sequence[str], shape: tuple[int, ...], place: str) -> NDArray[np.float32]:
        """An array of this shape.

        Raises:
            SpecError: It is not there, is a link, or no plain numbers of this shape.
        """
        dataset = self.group(path, place)
        is_set = isinstance(dataset, self._h5py.Dataset)
        if not is_set or dataset.dtype.kind != "f" or dataset.external or dataset.is_virtual:
            raise weight_error("its weights are no plain numbers in this file", place, self._file)
        if dataset.shape != shape:
            actual, expected = (" x ".join(map(str, sizes)) for sizes in (dataset.shape, shape))
            raise weight_error(f"weights of {expected} are expected, and there are {actual}", place, self._file)
        if dataset.size * dataset.dtype.itemsize > self._size:
            raise weight_error("its weights declare more than the file holds", place, self._file)
        return np.asarray(dataset[()], dtype=np.float32)

    def _inside(self, group: Any, name: str, place: str) -> Any:
        link = group.get(name, getlink=True) if isinstance(group, self._h5py.Group) and name else None
        if link is None:
            raise weight_error("its weights are not in the file", place, self._file)
        if not isinstance(link, self._h5py.HardLink):
            raise weight_error("its weights are a link to another place, which is never followed", place, self._file)
        return group[name]


@contextmanager
def opened(source: Any, size: int, file: str, what: str) -> Iterator[HDF5]:
    """An HDF5 file, on the disk or in memory.

    Args:
        source: Its path, or a stream of bytes.
        size: Its bytes.
        file, what: For messages: the file, and which part of it this is.

    Raises:
        DataError: It is damaged.
    """
    try:
        with needed("h5py", "HDF5 files").File(source, "r") as content:
            yield HDF5(content, size, file)
    except (OSError, KeyError, RuntimeError, TypeError, ValueError, AttributeError) as error:
        reason = f"{what} is damaged ({' '.join(str(error).split())[:80]})"
        raise DataError(Problem(reason, "save the model again", file=file)) from None
