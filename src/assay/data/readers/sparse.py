"""Reads libsvm's sparse rows, ``5 153:0.01 154:0.07``, as MNIST and USPS are published there; packed or not."""

from __future__ import annotations

import bz2
import gzip
import lzma
import math
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ...disk import disk_errors, regular_file
from ...errors import DataError, Problem
from ...spec import Groups, Reading
from .arrays import NO_MULTI_LABEL, part_of
from .content import RawSplits
from .limits import refuse_size

ENDINGS = (".libsvm", ".svm", ".svmlight")
_ROW = re.compile(rb"[+-]?\d[\d.eE+-]*(?:\s+\d+:[+-]?[\d.][\d.eE+-]*){2,}\s*(?:#.*)?")
_SEVERAL = re.compile(rb"[+-]?\d+(?:,\d+)+(?:\s+\d+:[+-]?[\d.][\d.eE+-]*){2,}")
_MOST_LINE_BYTES = 1 << 22
_PACKED = (OSError, EOFError, zlib.error, lzma.LZMAError)


def is_sparse(path: Path) -> bool:
    """Whether a file begins with a row of libsvm's form."""
    try:
        with _lines(path) as lines:
            line = lines.first()
    except (DataError, *_PACKED):
        return False
    return _ROW.fullmatch(line) is not None or _SEVERAL.match(line) is not None


def read_sparse(path: Path, reading: Reading, _: Groups | None = None) -> RawSplits:
    """A file of sparse rows: a label, then the places and values of the pixels that are not 0.

    Trailing pixels that are 0 everywhere are in no row: unless ``read.shape`` gives it, the image is the smallest
    square that holds the last place. Values from -1 to 1 are shares from black to white.

    Raises:
        DataError: A row is no such row, an image has several labels, or the images take more memory than there is.
    """
    from sklearn.datasets import load_svmlight_file

    place = str(path)
    try:
        with _lines(path) as lines:
            matrix, labels = load_svmlight_file(lines, dtype=np.float32)
    except (ValueError, OverflowError, IndexError, MemoryError, *_PACKED) as error:
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        what = f"it holds something else than rows of a label and pixels such as 153:0.5 ({reason})"
        raise DataError(Problem(what, "replace it with an intact copy", file=place)) from None
    notes = []
    width = matrix.shape[1]
    if reading.shape is None:
        side = math.isqrt(max(width, 1) - 1) + 1
        shape: tuple[int, ...] = (side, side)
        if width < side * side:
            notes.append(f"The last pixel that is not 0 is number {width:,}; images are taken as {side} x {side}.")
    else:
        shape = reading.shape
    if width > math.prod(shape):
        what = f"a row has pixel {width:,}, and {' x '.join(map(str, shape))} are {math.prod(shape):,}"
        raise DataError(Problem(what, "correct read.shape", file=place))
    refuse_size(4 * math.prod(shape) * matrix.shape[0], place)
    matrix.resize(matrix.shape[0], math.prod(shape))
    pixels = matrix.toarray()
    if pixels.size and -1 <= pixels.min() < 0 and pixels.max() <= 1:
        pixels = (pixels + 1) / 2
        notes.append("Values are -1 to 1, taken as black to white.")
    part, more = part_of(pixels, labels, place, shape=shape)
    return RawSplits(part, None, None, (*notes, *more), (place,))


class _Lines:
    """A file's lines, counted: what unpacks to more than memory holds is refused on the way."""

    def __init__(self, stream: Any, place: str) -> None:
        self._stream, self._place = stream, place

    def first(self) -> bytes:
        """The first line that is no comment."""
        for _ in range(100):
            line: bytes = self._stream.readline(_MOST_LINE_BYTES)
            if not line or (line.strip() and not line.startswith(b"#")):
                return line.strip()
        return b""

    def read(self, size: int = -1) -> bytes:
        content: bytes = self._stream.read(size)
        return content

    def __iter__(self) -> Iterator[bytes]:
        total = 0
        while line := self._stream.readline(_MOST_LINE_BYTES):
            total += len(line)
            if len(line) == _MOST_LINE_BYTES:
                what = f"a row is longer than {_MOST_LINE_BYTES:,} bytes"
                raise DataError(Problem(what, "give one image a row", file=self._place))
            refuse_size(total, self._place)
            if _SEVERAL.match(line):
                fix = NO_MULTI_LABEL
                raise DataError(Problem(f"a row has the labels {line.split()[0].decode()[:40]}", fix, file=self._place))
            yield line


@contextmanager
def _lines(path: Path) -> Iterator[_Lines]:
    with disk_errors(path, "read"), regular_file(path) as file:
        head = file.read(6)
        file.seek(0)
        stream: Any = file
        if head[:2] == b"\x1f\x8b":
            stream = gzip.GzipFile(fileobj=file)
        elif head[:3] == b"BZh":
            stream = bz2.BZ2File(file)
        elif head == b"\xfd7zXZ\0":
            stream = lzma.LZMAFile(file)  # noqa: SIM115
        yield _Lines(stream, str(path))
