"""Reads arrays of numbers from MATLAB's files (format 5, packed or not) without running into what damaged ones declare.

The format: MathWorks, "MAT-File Format". A header of 128 bytes, then elements: a type and a size, then so many bytes.
"""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import numpy.typing as npt

from ...disk import disk_errors, regular_file
from .limits import refuse_ratio, refuse_size

_HEADER_BYTES = 128
_PACKED, _MATRIX = 15, 14
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_OTHERS = {1: "cell", 2: "struct", 3: "object", 4: "text", 5: "sparse"}
_COMPLEX = 0x08
_MOST_DIMENSIONS = 8
_MOST_NAME_BYTES = 256
_MOST_ARRAYS = 10_000
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Stored:
    """An array in a MATLAB file, not read yet.

    Args:
        name: Of the variable.
        shape: Its sizes.
        kind: What it holds where that is no numbers: ``cell``, ``struct``, ...; empty for numbers.
        offset, size: Where its element lies.
        is_packed: Its element is packed.
    """

    name: str
    shape: tuple[int, ...]
    kind: str
    offset: int
    size: int
    is_packed: bool


def stored_arrays(path: Path) -> list[Stored]:
    """The variables of a file, by the headers of its elements.

    Raises:
        ValueError: The file is damaged.
        DataError: It is no file, or may not be read.
    """
    found: list[Stored] = []
    with disk_errors(path, "read"), regular_file(path) as file:
        order = _order(file)
        at = _HEADER_BYTES
        while len(found) < _MOST_ARRAYS:
            file.seek(at)
            if len(tag := file.read(8)) < 8:
                return found
            kind, size = struct.unpack(f"{order}II", tag)
            if kind in (_PACKED, _MATRIX):
                reader = _Reader(file, at + 8, size, is_packed=kind == _PACKED)
                header = _matrix_header(reader, order)
                found.append(Stored(*header[:3], at + 8, size, kind == _PACKED))
            at += 8 + (size if kind == _PACKED else size + -size % 8)
    raise ValueError(f"more than {_MOST_ARRAYS:,} variables")


def load_array(path: Path, stored: Stored) -> npt.NDArray[Any]:
    """One variable's numbers, as MATLAB counts them: the first index runs fastest.

    Raises:
        ValueError: The file is damaged, or the variable holds no real numbers.
        DataError: It declares more than its bytes or memory can hold.
    """
    place = f"{path}, {stored.name}"
    with disk_errors(path, "read"), regular_file(path) as file:
        order = _order(file)
        reader = _Reader(file, stored.offset, stored.size, is_packed=stored.is_packed)
        _, shape, kind, dtype = _matrix_header(reader, order)
        if kind:
            raise ValueError(f"{stored.name} holds {kind}")
        number, size, small = _tag(reader, order)
        if number not in _TYPES:
            raise ValueError(f"values of the type {number}")
        values = np.dtype(_TYPES[number]).newbyteorder(order)
        count = math.prod(shape)
        if size != count * values.itemsize:
            raise ValueError(f"{size:,} bytes of values where {count * values.itemsize:,} belong")
        refuse_ratio(size, stored.size, place)
        refuse_size(size + count * dtype.itemsize, place)
        content = small if small is not None else reader.read(size)
        return np.frombuffer(content, values).astype(dtype).reshape(shape, order="F")


class _Reader:
    """The bytes of an element one after another, unpacked as they are asked for."""

    def __init__(self, file: IO[bytes], offset: int, size: int, *, is_packed: bool) -> None:
        file.seek(offset)
        self._file, self._left = file, size
        self._stream = zlib.decompressobj() if is_packed else None
        self._waiting = b""
        if is_packed:  # a matrix lies in it as an element of its own
            self.read(8)

    def read(self, count: int) -> bytes:
        """So many bytes.

        Raises:
            ValueError: There are fewer.
        """
        parts = bytearray()
        while len(parts) < count:
            chunk = self._some(min(_CHUNK_BYTES, count - len(parts)))
            if not chunk:
                raise ValueError("it is cut off")
            parts += chunk
        return bytes(parts)

    def _some(self, most: int) -> bytes:
        if self._stream is None:
            chunk = self._file.read(min(most, self._left))
            self._left -= len(chunk)
            return chunk
        while True:
            if not self._waiting and self._left:
                self._waiting = self._file.read(min(_CHUNK_BYTES, self._left))
                self._left -= len(self._waiting)
                if not self._waiting:
                    return b""
            before = self._waiting
            chunk = self._stream.decompress(before, most)
            self._waiting = self._stream.unconsumed_tail
            if chunk or self._stream.eof or not before:
                return chunk


def _order(file: IO[bytes]) -> Literal["<", ">"]:
    return "<" if file.read(_HEADER_BYTES)[126:128] == b"IM" else ">"


def _matrix_header(reader: _Reader, order: str) -> tuple[str, tuple[int, ...], str, np.dtype[Any]]:
    """Name, sizes, what else than numbers it holds, and the type of its numbers."""
    flags = _element(reader, order, 16)
    if len(flags) < 8:
        raise ValueError("a variable without flags")
    word = struct.unpack(f"{order}I", flags[:4])[0]
    number, marks = word & 0xFF, word >> 8 & 0xFF
    sizes = _element(reader, order, 4 * _MOST_DIMENSIONS)
    shape = struct.unpack(f"{order}{len(sizes) // 4}i", sizes[: len(sizes) // 4 * 4])
    name = _element(reader, order, _MOST_NAME_BYTES).decode("latin1").strip("\0")
    if min(shape, default=-1) < 0:
        raise ValueError("a variable with sizes below 0")
    kind = "complex numbers" if marks & _COMPLEX else _OTHERS.get(number, "")
    if number not in _CLASSES and not kind:
        kind = "something unknown"
    return name, shape, kind, np.dtype(_CLASSES.get(number, "u1"))


def _element(reader: _Reader, order: str, most: int) -> bytes:
    _, size, small = _tag(reader, order)
    if small is not None:
        return small
    if size > most:
        raise ValueError(f"a header of {size:,} bytes")
    return reader.read(size + -size % 8)[:size]


def _tag(reader: _Reader, order: str) -> tuple[int, int, bytes | None]:
    """An element's type and size, and its bytes where they are so few that they stand in the tag."""
    tag = reader.read(8)
    first, size = struct.unpack(f"{order}II", tag)
    if first >> 16:
        size = first >> 16
        if size > 4:
            raise ValueError("a small element of more than 4 bytes")
        return first & 0xFFFF, size, tag[4 : 4 + size]
    return first, size, None
