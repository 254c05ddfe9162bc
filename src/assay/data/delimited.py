"""Tables of pixel values as text: CSV, TSV and the .amat files of the MNIST variations; plain or gzipped."""

from __future__ import annotations

import csv
import gzip
import math
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from ..disk import telling
from ..errors import DataError, Problem
from ..spec import Reading
from .found import Found, Part
from .labels import texts_to_labels
from .limits import refuse_size
from .pixels import Pixels

_LABEL_NAMES = ("label", "labels", "class", "classes", "target", "y", "digit", "category")
_BLOCK_BYTES = 1 << 20
_MOST_LINE_BYTES = 1 << 24
_SAMPLE_ROWS = 1000


@dataclass(frozen=True)
class Layout:
    """What stands where in a table.

    Args:
        shape: Height, width and channels of a row's values, in this order: the channels of a pixel side by side.
        num_columns: Cells in a row.
        label: The label's column; ``None`` where there is none.
        first: The column of the first pixel.
        has_header: The first row holds names.
        delimiter: Between cells; ``" "`` stands for any white space.
    """

    shape: tuple[int, int, int]
    num_columns: int
    label: int | None
    first: int
    has_header: bool
    delimiter: str

    @property
    def pixels(self) -> range:
        return range(self.first, self.first + math.prod(self.shape))

    @property
    def told(self) -> str:
        height, width, channels = self.shape
        size = f"{height} x {width}" + (f" x {channels}" if channels > 1 else "")
        if self.label is None:
            return f"A row is {size} pixels, without a label."
        where = {0: "first", self.num_columns - 1: "last"}.get(self.label, f"{self.label + 1}.")
        index = 2 if self.num_columns - len(self.pixels) == 2 else 1
        return f"A row is {size} pixels; the {where} column is the label" + (", one is an index." if index > 1 else ".")


def read_delimited(path: Path, reading: Reading, *, like: Layout | None = None) -> tuple[Found, Layout]:
    """A table with one image a row.

    Delimiter, header, shape and label column are worked out from the first rows unless ``reading`` gives them. Values
    are bytes 0 to 255 or shares 0 to 1 (see ``pixels``).

    Args:
        path: The table, gzipped where its first bytes say so.
        reading: What is known of it.
        like: The training table's layout; a table without its label column is then an unlabelled one.

    Raises:
        DataError: The file cannot be read, has ragged rows, cells that are no number, or values out of range.
    """
    with telling(path, "read"), open(path, "rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        stream = gzip.GzipFile(fileobj=file) if is_gzip else file
        try:
            sample = _sample(stream, path)
            layout = _layout(path, sample, reading, like)
            stream.seek(0)
            found = _read(path, stream, layout)
        except EOFError:
            raise _broken(path, "its gzip stream is cut off") from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise _broken(path, f"its gzip stream is corrupt ({error})") from None
    return found, layout


def first_rows(path: Path) -> list[list[str]]:
    """The first rows of a table as cells, whatever they are; none where it cannot be told."""
    try:
        with telling(path, "read"), open(path, "rb") as file:
            is_gzip = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            stream: Any = gzip.GzipFile(fileobj=file) if is_gzip else file
            lines = [stream.readline(1 << 16) for _ in range(2)]
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return []
    return [_cells(line.decode("utf-8-sig", errors="replace").strip("\r\n")) for line in lines if line.strip()]


def _broken(path: Path, what: str, fix: str = "replace it with an intact copy") -> DataError:
    return DataError(Problem(what, fix, file=str(path)))


def _sample(stream: IO[bytes] | gzip.GzipFile, path: Path) -> list[list[str]]:
    """The first rows, as cells; a byte-order mark and empty lines are left out."""
    rows: list[list[str]] = []
    known: dict[str, str] = {}  # each cell's text once: pixels repeat
    taken = 0
    while len(rows) < _SAMPLE_ROWS and taken < 4 * _MOST_LINE_BYTES:
        line = stream.readline(_MOST_LINE_BYTES)
        if not line:
            break
        taken += len(line)
        if len(line) == _MOST_LINE_BYTES:
            raise _broken(path, f"its row {len(rows) + 1} is longer than {_MOST_LINE_BYTES:,} bytes", "give a table")
        if b"\0" in line:
            raise _broken(path, "it holds bytes that no text has", "give a table of numbers as text")
        text = line.decode("utf-8-sig" if not rows else "utf-8", errors="replace").strip("\r\n")
        if text.strip():
            rows.append([known.setdefault(cell, cell) for cell in _cells(text)])
    if not rows:
        raise _broken(path, "it is empty", "give a table with one image a row")
    return rows


def _delimiter(text: str) -> str:
    return next((mark for mark in ("\t", ",", ";") if mark in text), " ")


def _cells(text: str) -> list[str]:
    mark = _delimiter(text)
    if mark == " ":
        return text.split()
    try:
        return [cell.strip() for cell in next(csv.reader([text], delimiter=mark))]
    except (csv.Error, StopIteration):  # such as a quote that is never closed
        return text.split(mark)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _layout(path: Path, sample: list[list[str]], reading: Reading, like: Layout | None) -> Layout:
    with open(path, "rb") as file:
        head = file.read(2)
        file.seek(0)
        stream = gzip.GzipFile(fileobj=file) if head == b"\x1f\x8b" else file
        delimiter = _delimiter(stream.readline(_MOST_LINE_BYTES).decode("utf-8-sig", errors="replace"))
    has_header = reading.header
    if has_header is None:
        middle = sample[0][2:-1] or sample[0]
        has_header = not all(map(_is_number, middle)) and len(sample) > 1
    names = sample[0] if has_header else []
    rows = sample[1:] if has_header else sample
    if not rows:
        raise _broken(path, "it has a header and no rows", "give a table with one image a row")
    width = len(sample[0])
    ragged = next((index for index, row in enumerate(sample) if len(row) != width), None)
    if ragged is not None:
        what = f"row {ragged + 1} has {len(sample[ragged])} cells, and the first has {width}"
        raise _broken(path, what, "correct the row")
    if like is not None:
        if width == like.num_columns:
            return replace(like, has_header=has_header, delimiter=delimiter)
        if width == len(like.pixels):
            return Layout(like.shape, width, None, 0, has_header, delimiter)
        what = f"its rows have {width} cells, and those of the training table {like.num_columns}"
        raise _broken(path, what, f"give {like.num_columns}, or {len(like.pixels)} without labels")
    shape, others = _shape(path, width, reading)
    if others == 0:
        return Layout(shape, width, None, 0, has_header, delimiter)
    label = _label_column(path, names, rows, others, reading)
    taken = {label}
    if others == 2:
        taken.add(_index_column(path, names, rows, label))
    outer = sorted(taken)
    first = 0
    while first in taken:
        first += 1
    if outer != [*range(first), *range(width - (len(outer) - first), width)]:
        what = f"its label stands in column {label + 1}, among the pixels"
        raise _broken(path, what, "put it first or last")
    return Layout(shape, width, label, first, has_header, delimiter)


def _shape(path: Path, width: int, reading: Reading) -> tuple[tuple[int, int, int], int]:
    """Shape of an image, and how many columns are no pixels."""
    if reading.shape is not None:
        height, across, channels = (*reading.shape, 1)[:3]
        others = width - height * across * channels
        if not 0 <= others <= 2:
            told = " x ".join(map(str, reading.shape))
            what = f"its rows have {width} cells, and {told} pixels with a label are {height * across * channels + 1}"
            raise _broken(path, what, "correct read.shape")
        return (height, across, channels), others
    for others, channels in ((1, 1), (2, 1), (1, 3), (2, 3), (0, 1), (0, 3)):
        side = math.isqrt(max(0, width - others) // channels)
        if side > 1 and side * side * channels == width - others:
            return (side, side, channels), others
    what = f"its rows have {width} cells, which is no square of pixels and a label"
    raise _broken(path, what, "give read = { shape = [height, width] }")


def _label_column(path: Path, names: list[str], rows: list[list[str]], others: int, reading: Reading) -> int:
    width = len(rows[0])
    if reading.label is not None:
        if reading.label in names:
            return names.index(reading.label)
        if reading.label == "first":
            return others - 1
        if reading.label == "last":
            return width - 1
        what = f'there is no column "{reading.label}"'
        raise _broken(path, what, "give first, last or a name in the header to read.label")
    named = [index for index, name in enumerate(names) if name.strip().lower() in _LABEL_NAMES]
    if len(named) == 1:
        return named[0]
    candidates = {}
    for column in sorted({0, others - 1, width - 1}):
        if others == 2 and column == 0 and _is_index([row[0] for row in rows]):
            continue
        kinds = {row[column].strip() for row in rows}
        if not all(map(_is_number, kinds)):
            return column
        values = sorted(map(float, kinds))
        steps = all(value == int(value) for value in values if math.isfinite(value))
        if steps and len(values) > 1 and values[0] >= 0:
            # Classes are few, count from 0, and differ from what the neighbouring pixel holds.
            is_counted = values == [float(k) for k in range(len(values))]
            neighbours = {row[column - 1 if column == width - 1 else column + 1].strip() for row in rows}
            candidates[column] = len(values) * (1 if is_counted else 1000) * (1000 if neighbours == kinds else 1)
    best = sorted(candidates, key=lambda column: candidates[column])
    if not best or (len(best) > 1 and candidates[best[1]] < 2 * candidates[best[0]]):
        which = (
            "neither the first nor the last column is plainly" if not best else "the first and the last column could be"
        )
        raise _broken(path, f"{which} the label", 'give read = { label = "first" } or "last"')
    return best[0]


def _index_column(path: Path, names: list[str], rows: list[list[str]], label: int) -> int:
    width = len(rows[0])
    for column in (0, 1, width - 1):
        if column != label and _is_index([row[column] for row in rows]):
            return column
    for column in (0, width - 1):
        if column != label and names and names[column].strip().lower() in ("", "id", "index", "unnamed: 0"):
            return column
    what = "besides pixels and label its rows have one more cell, which does not count the rows"
    raise _broken(path, what, "remove it or give read.shape")


def _is_index(cells: list[str]) -> bool:
    if not all(cell.isdigit() for cell in cells):
        return False
    start = int(cells[0])
    return (
        start in (0, 1) and len(cells) > 1 and [int(cell) for cell in cells] == list(range(start, start + len(cells)))
    )


def _read(path: Path, stream: IO[bytes] | gzip.GzipFile, layout: Layout) -> Found:
    pixels = Pixels(layout.shape, str(path))
    labels: list[npt.NDArray[Any]] = []
    row = 1 + layout.has_header
    for values, texts in _batches(path, stream, layout):
        wrong = ~np.isfinite(values)
        if wrong.any():
            at, column = (int(k) for k in np.argwhere(wrong)[0])
            what = f"row {row + at}, column {layout.first + column + 1} holds {values[at, column]}"
            raise _broken(path, what, "give every pixel a number")
        refuse_size(pixels.num_bytes + values.size, str(path))
        pixels.add(values, row)
        if texts is not None:
            empty = np.flatnonzero(texts == "")
            if len(empty):
                raise _broken(path, f"row {row + int(empty[0])} has an empty label", "give every image a label")
            labels.append(texts)
        row += len(values)
    images, note = pixels.images()
    found = None if layout.label is None else texts_to_labels(np.concatenate(labels) if labels else np.array([], str))
    return Found(Part(images, found, str(path)), notes=(layout.told, note), watched=(str(path),))


def _batches(
    path: Path, stream: IO[bytes] | gzip.GzipFile, layout: Layout
) -> Iterator[tuple[npt.NDArray[np.float32], npt.NDArray[Any] | None]]:
    import pyarrow as pa
    from pyarrow import csv as arrow

    names = [f"c{column}" for column in range(layout.num_columns)]
    types: dict[str, Any] = {names[column]: pa.float32() for column in layout.pixels}
    if layout.label is not None:
        types[names[layout.label]] = pa.string()
    if layout.has_header:
        stream.readline()
    row = 1 + layout.has_header
    for block in _blocks(stream, path):
        if layout.delimiter == " ":
            block = b"\n".join(b",".join(line.split()) for line in block.split(b"\n"))
        try:
            # Whole blocks from memory: Arrow's own streaming reads ahead in a thread that outlives an error.
            table = arrow.read_csv(
                pa.BufferReader(block),
                read_options=arrow.ReadOptions(column_names=names, block_size=len(block) + 1, use_threads=False),
                parse_options=arrow.ParseOptions(delimiter="," if layout.delimiter == " " else layout.delimiter),
                convert_options=arrow.ConvertOptions(
                    column_types=types, include_columns=list(types), null_values=[], strings_can_be_null=False
                ),
            )
        except pa.ArrowInvalid as error:
            raise _broken(path, _told(str(error), layout, row - 1), "correct the row") from None
        for batch in table.combine_chunks().to_batches():
            labels = None
            if layout.label is not None:
                labels = np.asarray(batch.column(names[layout.label]).to_pylist(), dtype=str)
                batch = batch.drop_columns([names[layout.label]])
            yield batch.to_tensor().to_numpy(), labels
            row += batch.num_rows


def _blocks(stream: IO[bytes] | gzip.GzipFile, path: Path) -> Iterator[bytes]:
    """Whole lines, about a megabyte at a time."""
    rest = b""
    while chunk := stream.read(_BLOCK_BYTES):
        whole, mark, rest = (rest + chunk).rpartition(b"\n")
        if len(rest) > _MOST_LINE_BYTES:
            raise _broken(path, f"a row is longer than {_MOST_LINE_BYTES:,} bytes", "give a table")
        if whole.strip():
            yield whole + mark
    if rest.strip():
        yield rest


def _told(message: str, layout: Layout, offset: int) -> str:
    """Arrow's message about a block as a clause of ours; ``offset`` rows stand before it."""
    if ragged := re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+)", message):
        return f"row {int(ragged[1]) + offset} has {ragged[3]} cells, and the others have {ragged[2]}"
    if ragged := re.search(r"Expected (\d+) columns, got (\d+)", message):
        return f"a row has {ragged[2]} cells, and the others have {ragged[1]}"
    if cell := re.search(r"In CSV column #(\d+): (?:Row #(\d+): )?.*invalid value '(.*)'", message, re.DOTALL):
        column = sorted([*layout.pixels, *([layout.label] if layout.label is not None else [])])[int(cell[1])] + 1
        place = f"row {int(cell[2]) + offset}, column {column}" if cell[2] else f"column {column}"
        return f"{place} holds {cell[3][:40]!r}, which is no number" if cell[3] else f"{place} is empty"
    return " ".join(message.split())[:200]


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
    from ..disk import replacing

    levels = {"unit": 255, "amat": 256}.get(values)
    words = [str(value) if levels is None else f"{value / levels:.7g}" for value in range(256)]
    lookup = np.asarray(words, dtype=object)
    with telling(path, "written"), replacing(path) as raw:
        packed = gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) if path.name.endswith(".gz") else None
        file: Any = packed or raw
        if header:
            names = [f"pixel{k}" for k in range(math.prod(images.shape[1:]))]
            file.write((delimiter.join(_row(names, "label", labels, label, "id" if index else None)) + "\n").encode())
        for start in range(0, len(images), 1000):
            lines = []
            for at, image in enumerate(images[start : start + 1000], start):
                cells = lookup[image.reshape(-1)].tolist()
                told = None if labels is None else str(labels[at])
                lines.append(delimiter.join(_row(cells, told, labels, label, str(at) if index else None)))
            file.write(("\n".join(lines) + "\n").encode())
        if packed is not None:
            packed.close()


def _row(cells: list[str], told: str | None, labels: Any, label: str, index: str | None) -> list[str]:
    if labels is not None and told is not None:
        cells = [told, *cells] if label == "first" else [*cells, told]
    return cells if index is None else [index, *cells]
