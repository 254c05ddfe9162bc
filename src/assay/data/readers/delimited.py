"""Reads and writes tables of pixel values as text: CSV, TSV, and the MNIST variations' .amat files; also gzipped.

Blocks of whole lines are parsed side by side on all cores, first as bytes, which is fastest, else as float32.
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import numpy.typing as npt

from ...disk import disk_errors, regular_file, replacing
from ...errors import DataError, Problem
from ...spec import Groups, Reading
from ...system import num_cores
from .content import Part, RawSplits
from .labels import texts_to_labels
from .layouts import Layout, cells_of, layout_of, pixels_layout
from .limits import refuse_size
from .live import live
from .pixels import Pixels
from .text_blocks import BadRow, parsed

_BLOCK_BYTES = 1 << 22
_MOST_LINE_BYTES = 1 << 24
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def read_delimited(
    path: Path, reading: Reading, *, groups: Groups | None = None, like: Layout | None = None
) -> tuple[RawSplits, Layout]:
    """A table with one image a row.

    Delimiter, header, shape and label column are inferred from the first rows unless ``reading`` gives them. Values
    are bytes 0 to 255 or shares 0 to 1 (see ``pixels``).

    Args:
        path: The table, gzipped where its first bytes say so.
        reading: The study's ``read`` options for it.
        groups: The column that says which images belong together.
        like: The training table's layout; a table without its label column is then an unlabelled one.

    Raises:
        DataError: The file cannot be read, has ragged rows, cells that are no number, or values out of range.
    """
    with _opened(path) as text, _whole_gzip(path):
        layout = layout_of(path, _lines(text), reading, groups, like)
        text.rewind()
        return _read(text, layout), layout


def pixels_layout_of(
    path: Path,
    shape: tuple[int, int, int],
    reading: Reading,
    groups: Groups | None,
    extra: Literal["first", "last"] | None = None,
) -> Layout:
    """``layouts.pixels_layout`` of a file.

    Raises:
        DataError: As there, or the file cannot be read.
    """
    with _opened(path) as text, _whole_gzip(path):
        return pixels_layout(path, _lines(text), shape, reading, groups, extra)


def table_chunks(path: Path, layout: Layout) -> Iterator[tuple[npt.NDArray[Any], tuple[str, ...] | None]]:
    """Images [n, height, width, channels] as they stand in a table, and what rows are called where a column says so.

    Raises:
        DataError: As in ``read_delimited``; rows before the bad one have been handed out by then.
    """
    with _opened(path) as text, _whole_gzip(path):
        for values, texts in _batches(text, layout):
            names = tuple(texts["name"].tolist()) if "name" in texts else None
            yield values.reshape(-1, *layout.shape), names


@contextmanager
def _whole_gzip(path: Path) -> Iterator[None]:
    try:
        yield
    except EOFError:
        raise _broken(path, "its gzip stream is cut off") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise _broken(path, f"its gzip stream is corrupt ({error})") from None


def first_rows(path: Path) -> list[list[str]]:
    """The first rows of a table as cells, unchecked; none if its gzip stream is damaged."""
    try:
        with _opened(path) as text:
            lines = [text.stream.readline(1 << 16) for _ in range(2)]
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return []
    return [cells_of(line.decode(errors="replace").strip("\r\n")) for line in lines if line.strip()]


def sample_rows(path: Path, most: int = 100) -> tuple[list[list[str]], str]:
    """The cells of a table's first rows, unchecked, and its first line; none if its gzip stream is damaged."""
    lines: list[str] = []
    try:
        with _opened(path) as text:
            for line in _lines(text):
                lines.append(line)
                if len(lines) == most:
                    break
    except (EOFError, gzip.BadGzipFile, zlib.error, DataError):
        return [], ""
    return [cells_of(line) for line in lines], lines[0] if lines else ""


@dataclass(frozen=True, eq=False)
class _Text:
    """A file's text, unpacked.

    Args:
        path: The file.
        file: Its bytes as they lie on the disk.
        stream: Its text; at ``start`` a byte-order mark is over.
        size: Bytes on the disk.
    """

    path: Path
    file: IO[bytes]
    stream: Any
    size: int
    start: int

    def rewind(self) -> None:
        self.stream.seek(self.start)

    @property
    def share_read(self) -> float:
        """The share of the file that has been read, above 0 and at most 1."""
        return min(1.0, max(1, self.file.tell()) / max(1, self.size))


@contextmanager
def _opened(path: Path) -> Iterator[_Text]:
    with disk_errors(path, "read"), regular_file(path) as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        stream: Any = gzip.GzipFile(fileobj=file) if is_gzip else file
        mark = b""
        with suppress(EOFError, gzip.BadGzipFile, zlib.error):  # the next read raises it with a message
            mark = stream.read(3)
        if mark[:2] in _UTF16:
            raise _broken(path, "it is text in UTF-16", "save it as UTF-8")
        text = _Text(path, file, stream, os.fstat(file.fileno()).st_size, 3 if mark == _BYTE_ORDER_MARK else 0)
        with suppress(EOFError, gzip.BadGzipFile, zlib.error):
            text.rewind()
            text = replace(text, start=_after_comments(text))
            text.rewind()
        yield text


def _after_comments(text: _Text) -> int:
    """Where a table begins behind lines that start with ``#``; one with as many cells as the next line is a header."""
    start = text.start
    line = text.stream.readline(_MOST_LINE_BYTES)
    while line.startswith(b"#"):
        following = text.stream.readline(_MOST_LINE_BYTES)
        if following and not following.startswith(b"#"):
            cells = [len(cells_of(one.decode(errors="replace").strip("\r\n"))) for one in (line, following)]
            if cells[0] == cells[1]:
                break
        start, line = start + len(line), following
    return start


def _broken(path: Path, what: str, fix: str = "replace it with an intact copy") -> DataError:
    return DataError(Problem(what, fix, file=str(path)))


def _lines(text: _Text) -> Iterator[str]:
    """Lines that are not empty."""
    number = 0
    while line := text.stream.readline(_MOST_LINE_BYTES):
        number += 1
        if len(line) == _MOST_LINE_BYTES:
            raise _broken(text.path, f"its row {number} is longer than {_MOST_LINE_BYTES:,} bytes", "give a table")
        if b"\0" in line:
            raise _broken(text.path, "it holds bytes that no text has", "give a table of numbers as text")
        content = line.decode(errors="replace").strip("\r\n")
        if content.strip():
            yield content


def _read(text: _Text, layout: Layout) -> RawSplits:
    path = text.path
    pixels = Pixels(layout.shape, str(path))
    columns: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in layout.texts}
    row = 1 + layout.has_header
    with live(f"reading {path.name}") as tick, closing(_batches(text, layout)) as batches:
        for values, texts in batches:
            refuse_size(pixels.num_bytes + values.size, str(path))
            pixels.add(values, row, expected=math.ceil((row + len(values)) / text.share_read))
            for name, cells in texts.items():
                empty = np.flatnonzero(cells == "")
                if len(empty):
                    raise _broken(path, f"row {row + int(empty[0])} has an empty {name}", f"give every image a {name}")
                columns[name].append(cells)
            row += len(values)
            tick(text.share_read)
    images, note = pixels.images()
    joined = {name: np.concatenate(cells) if cells else np.array([], str) for name, cells in columns.items()}
    labels = texts_to_labels(joined["label"]) if "label" in joined else None
    part = Part(images, labels, str(path), joined.get("group"))
    return RawSplits(part, notes=(layout.description, note), watched=(str(path),))


def _batches(text: _Text, layout: Layout) -> Generator[tuple[npt.NDArray[Any], dict[str, npt.NDArray[Any]]]]:
    """Pixels, uint8 or float32 [n, pixels], and the columns of text [n] as they stand, of some rows at a time."""
    if layout.has_header:
        text.stream.readline()
    row = 1 + layout.has_header
    cores = num_cores()
    with ThreadPoolExecutor(cores, thread_name_prefix="assay-read") as threads:
        waiting: deque[Future[Any]] = deque()
        blocks = _blocks(text)
        while True:
            while len(waiting) <= cores and (block := next(blocks, None)) is not None:
                waiting.append(threads.submit(parsed, block, layout))
            if not waiting:
                return
            try:
                values, texts = waiting.popleft().result()
            except BadRow as error:
                raise _broken(text.path, f"row {row + error.row}{error.what}", "correct the row") from None
            if values.dtype != np.uint8 and not np.isfinite(values).all():
                at, column = (int(k) for k in np.argwhere(~np.isfinite(values))[0])
                what = f"row {row + at}, column {layout.first + column + 1} holds {values[at, column]}"
                raise _broken(text.path, what, "give every pixel a number")
            yield values, texts
            row += len(values)


def _blocks(text: _Text) -> Iterator[bytes]:
    """Whole lines, some megabytes at a time."""
    rest = b""
    while chunk := text.stream.read(_BLOCK_BYTES):
        whole, mark, rest = (rest + chunk).rpartition(b"\n")
        if len(rest) > _MOST_LINE_BYTES:
            raise _broken(text.path, f"a row is longer than {_MOST_LINE_BYTES:,} bytes", "give a table")
        if whole.strip():
            yield whole + mark
    if rest.strip():
        yield rest


def write_delimited(
    path: Path,
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[Any] | None,
    *,
    label: str = "last",
    header: bool = False,
    values: str = "unit",
    index: bool = False,
    delimiter: str = ",",
) -> None:
    """Writes images as a table, one a row; gzipped where the name ends in ``.gz``.

    Args:
        path: The file.
        images: uint8 [n, height, width, channels].
        labels: Anything printable [n]; no label column if ``None``.
        label: ``first`` or ``last``.
        header: Write a first row of names: label, pixel0, pixel1, ...
        values: ``unit`` writes byte / 255 with seven digits, ``amat`` byte / 256, ``bytes`` the bytes.
        index: Begin each row with its number.
        delimiter: Between cells.
    """
    levels = {"unit": 255, "amat": 256}.get(values)
    words = [str(value) if levels is None else f"{value / levels:.7g}" for value in range(256)]
    lookup = np.asarray(words, dtype=object)
    with disk_errors(path, "written"), replacing(path) as raw:
        packed = gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) if path.name.endswith(".gz") else None
        file: Any = packed or raw
        if header:
            names = [f"pixel{k}" for k in range(math.prod(images.shape[1:]))]
            file.write((delimiter.join(_row(names, "label", labels, label, "id" if index else None)) + "\n").encode())
        for start in range(0, len(images), 1000):
            lines = []
            for at, image in enumerate(images[start : start + 1000], start):
                cells = lookup[image.reshape(-1)].tolist()
                label_text = None if labels is None else str(labels[at])
                lines.append(delimiter.join(_row(cells, label_text, labels, label, str(at) if index else None)))
            file.write(("\n".join(lines) + "\n").encode())
        if packed is not None:
            packed.close()


def _row(cells: list[str], label_text: str | None, labels: Any, label: str, index: str | None) -> list[str]:
    if labels is not None and label_text is not None:
        cells = [label_text, *cells] if label == "first" else [*cells, label_text]
    return cells if index is None else [index, *cells]
