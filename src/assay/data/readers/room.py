"""Room for the images that are read: in memory, or in a file of the cache where they are many."""

from __future__ import annotations

import math
import tempfile
from typing import Any

import numpy as np
import numpy.typing as npt

from ...disk import disk_errors, disk_full
from ..location import reading_folder
from .limits import refuse_size

MOST_IN_MEMORY = 1 << 28


def room(shape: tuple[int, ...], dtype: npt.DTypeLike, place: str) -> npt.NDArray[Any]:
    """An array to fill, whose values are undefined.

    Above ``MOST_IN_MEMORY`` bytes it is the map of a file in the cache that has no name any more: the system writes
    what was filled to the disk as memory runs short, and frees it with the array.

    Raises:
        DataError: Neither memory nor the disk has room.
        DiskFull: There is no space left in the cache.
    """
    num_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    if num_bytes <= MOST_IN_MEMORY:
        return np.empty(shape, dtype)
    import shutil

    folder = reading_folder()
    with disk_errors(folder, "written"):
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
        if num_bytes > free:
            refuse_size(num_bytes, place)  # what no machine can hold is a fault of the data, not of this disk
            raise disk_full(folder)
        with tempfile.TemporaryFile(dir=folder, prefix=".reading-") as file:
            return np.memmap(file, dtype, "w+", shape=shape)
