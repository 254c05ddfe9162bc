"""Reads and writes IDX, the format of MNIST: a magic number, the sizes, the values; plain or gzipped."""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from ...disk import disk_errors, regular_file, replacing
from ...errors import DataError, Problem
from .limits import MAX_DEFLATE_RATIO, refuse_size

# Type code of the magic number -> type of the values, which IDX stores in big-endian order.
_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CODES = {np.dtype(dtype): code for code, dtype in _TYPES.items()}
_MAX_DIMENSIONS = 8
_CHUNK_BYTES = 1 << 20


def read_idx(path: Path) -> npt.NDArray[Any]:
    """The array in an IDX file, in native byte order; whether it is gzipped is read off its first bytes.

    Memory is taken only for values that are really there, whatever the header declares.

    Raises:
        DataError: The file is missing, unreadable, cut off, corrupt, no IDX, or longer or shorter than it declares.
    """
    with _opened(path) as (stream, most_bytes):
        return _read(stream, most_bytes, str(path))


def idx_chunks(path: Path, num_bytes: int) -> Iterator[npt.NDArray[Any]]:
    """The array in an IDX file in parts [n, ...] of about so many bytes, one after another.

    Raises:
        DataError: As in ``read_idx``; what lies before the damage has been handed out by then.
    """
    with _opened(path) as (stream, most_bytes):
        (count, *shape), dtype = _declared(stream, most_bytes)
        size = math.prod(shape) * dtype.itemsize
        step = max(1, num_bytes // size)
        for start in range(0, count, step):
            num_expected = min(step, count - start) * size
            body = stream.read(num_expected)
            if len(body) < num_expected:
                raise _Broken(f"{_description((count, *shape), dtype)}, and holds only {start * size + len(body)}")
            yield np.frombuffer(body, dtype).reshape(-1, *shape).astype(dtype.newbyteorder("="), copy=False)
        if stream.read(1):
            raise _Broken(f"{_description((count, *shape), dtype)}, and holds more than that")


@contextmanager
def _opened(path: Path) -> Iterator[tuple[IO[bytes] | gzip.GzipFile, int]]:
    """A file's bytes, unpacked where they are gzipped, and how many there can be."""
    try:
        with disk_errors(path, "read"), regular_file(path) as file:
            size = os.fstat(file.fileno()).st_size
            is_gzip = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            if not is_gzip:
                yield file, size
                return
            try:
                with gzip.GzipFile(fileobj=file) as stream:
                    yield stream, size * MAX_DEFLATE_RATIO
            except EOFError:
                raise _Broken("its gzip stream is cut off") from None
            except (gzip.BadGzipFile, zlib.error) as error:
                raise _Broken(f"its gzip stream is corrupt ({error})") from None
    except _Broken as broken:
        raise DataError(Problem(str(broken), "replace it with an intact copy", file=str(path))) from None


def read_idx_stream(stream: gzip.GzipFile, packed_bytes: int, place: str) -> npt.NDArray[Any]:
    """``read_idx`` for a gzipped stream inside another file.

    Raises:
        DataError: As in ``read_idx``.
    """
    try:
        return _read(stream, packed_bytes * MAX_DEFLATE_RATIO, place)
    except EOFError:
        what = "its gzip stream is cut off"
    except (gzip.BadGzipFile, zlib.error) as error:
        what = f"its gzip stream is corrupt ({error})"
    except _Broken as broken:
        what = str(broken)
    raise DataError(Problem(what, "replace it with an intact copy", file=place))


def write_idx(path: Path, array: npt.ArrayLike) -> None:
    """Writes an array as IDX, gzipped where the name ends in ``.gz``. The same array gives the same bytes.

    Raises:
        ValueError: IDX has no such type, or the array has no values, no dimension or more than 8.
        DataError: The file may not be written.
        DiskFull: There is no space left.
    """
    values = np.asarray(array)
    header = _header(values)
    with disk_errors(path, "written"), replacing(path) as file:
        if path.suffix == ".gz":
            with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as stream:
                stream.write(header)
                stream.write(_values(values))
        else:
            file.write(header)
            file.write(_values(values))


def idx_sha256(array: npt.ArrayLike) -> str:
    """SHA-256 of an array's IDX form, which is what an intact plain IDX file of it has.

    Raises:
        ValueError: The array has no IDX form, as in ``write_idx``.
    """
    values = np.asarray(array)
    digest = hashlib.sha256(_header(values))
    digest.update(_values(values))
    return digest.hexdigest()


class _Broken(Exception):
    """What is wrong with the file at hand."""


def _read(stream: IO[bytes] | gzip.GzipFile, most_bytes: int, place: str) -> npt.NDArray[Any]:
    shape, dtype = _declared(stream, most_bytes)
    declared = math.prod(shape) * dtype.itemsize
    description = _description(shape, dtype)
    refuse_size(declared, place)
    body = bytearray()
    while len(body) < declared and (chunk := stream.read(min(_CHUNK_BYTES, declared - len(body)))):
        body += chunk
    if len(body) < declared:
        raise _Broken(f"{description}, and holds only {len(body)}")
    if stream.read(1):
        raise _Broken(f"{description}, and holds more than that")
    return np.frombuffer(body, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _declared(stream: IO[bytes] | gzip.GzipFile, most_bytes: int) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """What the header says; the values follow."""
    magic = stream.read(4)
    if len(magic) < 4:
        raise _Broken(f"it holds {len(magic)} bytes, and an IDX header alone has 8")
    if magic[:2] != b"\0\0":
        raise _Broken(f"it starts with the bytes {magic[:2].hex(' ')}, and an IDX file starts with 00 00")
    code, num_dimensions = magic[2], magic[3]
    if code not in _TYPES:
        known = ", ".join(f"{known:02x}" for known in _TYPES)
        raise _Broken(f"it declares the type {code:02x}, and IDX knows {known}")
    if not 1 <= num_dimensions <= _MAX_DIMENSIONS:
        raise _Broken(f"it declares {num_dimensions} dimensions, and 1 to {_MAX_DIMENSIONS} are read")
    sizes = stream.read(4 * num_dimensions)
    if len(sizes) < 4 * num_dimensions:
        raise _Broken(f"it declares {num_dimensions} dimensions and ends before their sizes")
    shape = struct.unpack(f">{num_dimensions}I", sizes)
    dtype = np.dtype(_TYPES[code])
    declared = math.prod(shape) * dtype.itemsize
    if declared == 0:
        raise _Broken(f"{_description(shape, dtype)}, and every size must be at least 1")
    if declared > most_bytes:
        raise _Broken(f"{_description(shape, dtype)}, and a file of its size cannot hold that many")
    return shape, dtype


def _description(shape: tuple[int, ...], dtype: np.dtype[Any]) -> str:
    declared = math.prod(shape) * dtype.itemsize
    return f"it declares {' x '.join(map(str, shape))} values of {dtype.name}, {declared} bytes"


def _header(values: npt.NDArray[Any]) -> bytes:
    code = _CODES.get(values.dtype.newbyteorder(">"))
    if code is None:
        raise ValueError(f"IDX has no type for {values.dtype}")
    if not 1 <= values.ndim <= _MAX_DIMENSIONS or values.size == 0:
        raise ValueError(f"an IDX file here has 1 to {_MAX_DIMENSIONS} dimensions, none of size 0; got {values.shape}")
    return struct.pack(f">HBB{values.ndim}I", 0, code, values.ndim, *values.shape)


def _values(values: npt.NDArray[Any]) -> memoryview:
    big_endian = values.astype(values.dtype.newbyteorder(">"), copy=False)
    return np.ascontiguousarray(big_endian).view(np.uint8).data.cast("B")
