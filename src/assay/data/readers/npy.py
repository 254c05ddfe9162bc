"""Arrays in NumPy's files (.npy, .npz): read whole or in parts, checked against their declared sizes."""

from __future__ import annotations

import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...disk import disk_errors, regular_file, replacing
from ...errors import DataError, Problem
from .limits import refuse_ratio, refuse_size


def load(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an ``.npz`` or ``.npy`` file by name, checked against their declared sizes before they are read.

    Raises:
        DataError: The file is damaged, holds pickled objects, or declares more than it holds or memory has.
    """
    place = str(path)
    with _reading(path):
        if path.suffix.lower() == ".npy":
            with regular_file(path) as file:
                _check(file, path.stat().st_size, place)
            return {path.stem: np.load(path, allow_pickle=False)}
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                refuse_ratio(member.file_size, member.compress_size, f"{place}, {member.filename}")
                with archive.open(member) as file:
                    _check(file, member.file_size, f"{place}, {member.filename}")
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}


def array_names(path: Path) -> list[str]:
    """The names of the arrays in an ``.npz`` file; none where it is another archive.

    Raises:
        DataError: It is a damaged archive.
    """
    with _reading(path), zipfile.ZipFile(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]


def array_chunks(
    path: Path, name: str | None, num_bytes: int, *, single: Collection[tuple[int, ...]] = ()
) -> Iterator[npt.NDArray[Any]]:
    """An array in parts [n, ...] of about so many bytes, one after another; what is declared is believed when read.

    Args:
        path: The file.
        name: Of the array in an ``.npz`` file; ``None`` for an ``.npy`` file.
        num_bytes: Of a part.
        single: Shapes that are those of one image, which becomes the only one.

    Raises:
        DataError: As in ``load``; what lies before the damage has been handed out by then.
    """
    place = str(path) if name is None else f"{path}, {name}"
    with _reading(path), ExitStack() as held:
        if name is None:
            file: Any = held.enter_context(regular_file(path))
        else:
            file = held.enter_context(held.enter_context(zipfile.ZipFile(path)).open(f"{name}.npy"))
        shape, is_fortran, dtype = _declared(file)
        if is_fortran:  # the first image's values lie all over the file
            refuse_size(math.prod(shape) * dtype.itemsize, place)
            values = np.frombuffer(file.read(), dtype)
            whole = values[: math.prod(shape)].reshape(shape[::-1]).transpose()
            yield whole[None] if shape in single else whole
            return
        count, *rest = (1, *shape) if shape in single else shape or (0,)
        size = math.prod(rest) * dtype.itemsize
        refuse_size(size, place)
        step = max(1, num_bytes // max(1, size))
        for start in range(0, count, step):
            wanted = min(step, count - start)
            body = file.read(wanted * size)
            if len(body) < wanted * size:
                what = f"it declares {count:,} images and ends within image {start + len(body) // size + 1:,}"
                raise DataError(Problem(what, "replace it with an intact copy", file=place))
            yield np.frombuffer(body, dtype).reshape(wanted, *rest)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turns what NumPy and the archive say about a bad file into a sentence."""
    try:
        with disk_errors(path, "read"):
            yield
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OverflowError, RuntimeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        what = f"it is damaged ({reason[:100]})"
        raise DataError(Problem(what, "replace it with an intact copy", file=str(path))) from None
    except (ValueError, SyntaxError, tokenize.TokenError, MemoryError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        what = f"it holds no plain array ({reason[:100]})"
        raise DataError(Problem(what, "give arrays of numbers", file=str(path))) from None


def write_npz(path: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Writes named arrays, compressed. The same arrays give the same bytes."""
    with (
        disk_errors(path, "written"),
        replacing(path) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)


def _check(file: Any, size: int, place: str) -> None:
    """Refuses an array that declares another size than its file has, or that memory cannot hold."""
    shape, _, dtype = _declared(file)
    declared = math.prod(shape) * dtype.itemsize
    if declared > size:
        what = f"it declares {' x '.join(map(str, shape))} values of {dtype}, and holds {size:,} bytes"
        raise DataError(Problem(what, "replace it with an intact copy", file=place))
    refuse_size(declared, place)


def _declared(file: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether the first axis varies fastest, and type; the values follow."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"format version {version}")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, is_fortran, dtype = read(file)
    if dtype.hasobject:
        raise ValueError("pickled objects are never read")
    return shape, is_fortran, dtype
