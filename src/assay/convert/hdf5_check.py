"""Reads an ``.h5`` file from end to end, as a program of its own: ``python hdf5_check.py FILE``.

The HDF5 library can run without end, or crash, on a damaged file. Here it does so in a process that can be stopped.
"""

from __future__ import annotations

import sys
from typing import Any


def read_all(group: Any, h5py: Any) -> None:
    """Reads the attributes of each group and each array that lies in the file, none of them twice."""
    seen: set[Any] = set()
    stack = [group]
    while stack:
        item = stack.pop()
        address = h5py.h5o.get_info(item.id).addr
        if address in seen:
            continue
        seen.add(address)
        for name in item.attrs:
            item.attrs[name]
        if isinstance(item, h5py.Group):
            own = [name for name in item if isinstance(item.get(name, getlink=True), h5py.HardLink)]
            stack += [item[name] for name in own]
        elif isinstance(item, h5py.Dataset) and not item.external and not item.is_virtual:
            is_held = item.size * item.dtype.itemsize <= item.file.id.get_filesize()
            if item.dtype.kind == "f" and is_held:
                item[()]


if __name__ == "__main__":
    import h5py

    with h5py.File(sys.argv[1], "r") as file:
        read_all(file, h5py)
