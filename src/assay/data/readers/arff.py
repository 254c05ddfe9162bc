"""Reads ARFF, Weka's and OpenML's form: attributes by name and type, then rows, dense or sparse."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...disk import disk_errors, regular_file
from ...errors import DataError, Problem, nearest
from ...spec import Groups, Reading
from .arrays import part_of
from .content import RawSplits
from .labels import texts_to_labels
from .limits import refuse_size

_ATTRIBUTE = re.compile(r"@attribute\s+('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|\S+)\s+(.+)", re.IGNORECASE)
_NUMERIC = ("numeric", "real", "integer")
_LABELS = ("class", "label", "target", "y", "digit", "category")
_MOST_LINE_BYTES = 1 << 22
_MOST_ATTRIBUTES = 1 << 16
_BLOCK_ROWS = 1000


@dataclass(frozen=True)
class _Attribute:
    name: str
    values: tuple[str, ...] | None  # of a nominal one
    is_number: bool


def read_arff(path: Path, reading: Reading, _: Groups | None = None) -> RawSplits:
    """An ARFF file: one attribute is the label (the only nominal one, the one called class, or the last), all other
    numbers are pixels.

    Raises:
        DataError: The header is damaged, values are missing or no numbers, or a row has another number of cells.
    """
    place = str(path)
    try:
        with disk_errors(path, "read"), regular_file(path) as raw:
            is_gzip = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            packed: Any = gzip.GzipFile(fileobj=raw) if is_gzip else raw
            with io.TextIOWrapper(packed, encoding="utf-8", errors="replace", newline=None) as file:
                lines = _lines(file, place)
                attributes = _header(lines, place)
                label = _label(attributes, reading.label, place)
                pixels, texts = _rows(lines, attributes, label, place)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _broken(place, f"its gzip stream is damaged ({error})") from None
    part, notes = part_of(pixels, texts_to_labels(texts), place, shape=reading.shape)
    note = f"The attribute {attributes[label].name} is the label, the {len(attributes) - 1:,} others are pixels."
    return RawSplits(part, None, None, (note, *notes), (place,))


def _broken(place: str, what: str, fix: str = "replace it with an intact copy") -> DataError:
    return DataError(Problem(what, fix, file=place))


def _lines(file: io.TextIOWrapper, place: str) -> Iterator[str]:
    """Lines without comments and empty ones."""
    while line := file.readline(_MOST_LINE_BYTES):
        if len(line) == _MOST_LINE_BYTES:
            raise _broken(place, f"a line is longer than {_MOST_LINE_BYTES:,} characters")
        line = line.strip()
        if line and not line.startswith("%"):
            yield line


def _header(lines: Iterator[str], place: str) -> list[_Attribute]:
    attributes: list[_Attribute] = []
    for line in lines:
        small = line.lower()
        if small.startswith("@data"):
            if len({one.name for one in attributes}) < len(attributes) or len(attributes) < 2:
                raise _broken(place, "its header has fewer than two attributes, or two of one name")
            return attributes
        if small.startswith("@relation"):
            continue
        match = _ATTRIBUTE.fullmatch(line)
        if match is None or len(attributes) >= _MOST_ATTRIBUTES:
            raise _broken(place, f'its header has the line "{line[:40]}"')
        name, kind = match[1].strip("'\""), match[2].strip()
        if kind.startswith("{") and kind.endswith("}"):
            values = next(csv.reader([kind[1:-1]], quotechar="'", skipinitialspace=True), [])
            attributes.append(_Attribute(name, tuple(value.strip().strip('"') for value in values), False))
        else:
            attributes.append(_Attribute(name, None, kind.split()[0].lower() in _NUMERIC))
    raise _broken(place, "it has no line @data")


def _label(attributes: list[_Attribute], wanted: str | None, place: str) -> int:
    names = [one.name for one in attributes]
    if wanted in ("first", "last"):
        return 0 if wanted == "first" else len(names) - 1
    if wanted is not None:
        if wanted not in names:
            raise _broken(place, f'there is no attribute "{wanted}"', nearest(wanted, names))
        return names.index(wanted)
    others = [index for index, one in enumerate(attributes) if not one.is_number]
    known = [index for index, one in enumerate(attributes) if one.name.lower() in _LABELS]
    chosen = others if len(others) == 1 else known if len(known) == 1 and not others else []
    if not chosen and not others:
        chosen = [len(names) - 1]
    if not chosen:
        shown = ", ".join(names[index] for index in others[:4])
        what = f"{len(others)} attributes may be the label: {shown}"
        raise _broken(place, what, 'name it: read = { label = "..." }; the others must be numbers')
    return chosen[0]


def _rows(
    lines: Iterator[str], attributes: list[_Attribute], label: int, place: str
) -> tuple[npt.NDArray[np.float32], list[str]]:
    others = [one.name for index, one in enumerate(attributes) if index != label and not one.is_number]
    if others:
        raise _broken(place, f"the attribute {others[0]} is no number", "remove it, or name it as read.label")
    width = len(attributes)
    blocks: list[npt.NDArray[np.float32]] = []
    texts: list[str] = []
    first = 1
    while block := _some(lines):
        refuse_size(4 * (width - 1) * (len(texts) + len(block)), place)
        values = np.zeros((len(block), width - 1), np.float32)
        for row, line in enumerate(block):
            cells = _sparse(line, attributes, label, place, first + row) if line.startswith("{") else _dense(line)
            if len(cells) != width:
                raise _broken(place, f"row {first + row} has {len(cells)} cells, and there are {width} attributes")
            texts.append(cells.pop(label))
            try:
                values[row] = cells
            except ValueError:
                wrong = next((cell for cell in cells if not _is_number(cell)), "?")
                what = f'row {first + row} holds "{wrong[:20]}", which is no number'
                raise _broken(place, what, "give every pixel a number") from None
            if texts[-1] in ("", "?"):
                raise _broken(place, f"row {first + row} has no label", "give every image one")
        blocks.append(values)
        first += len(block)
    if not blocks:
        raise _broken(place, "it has no rows", "give one image a row")
    return np.concatenate(blocks), texts


def _some(lines: Iterator[str]) -> list[str]:
    return [line for line, _ in zip(lines, range(_BLOCK_ROWS), strict=False)]


def _dense(line: str) -> list[str]:
    if "'" not in line and '"' not in line:
        return [cell.strip() for cell in line.split(",")]
    try:
        cells = next(csv.reader([line], quotechar="'", skipinitialspace=True), [])
    except csv.Error:
        cells = line.split(",")
    return [cell.strip().strip("'\"") for cell in cells]


def _sparse(line: str, attributes: list[_Attribute], label: int, place: str, row: int) -> list[str]:
    """``{0 5, 3 1}`` as a whole row: what is not there is 0, or the first value of a nominal attribute."""
    nominal = attributes[label].values
    cells = ["0"] * len(attributes)
    cells[label] = nominal[0] if nominal else "0"
    for pair in line.strip("{} ").split(","):
        if not pair.strip():
            continue
        index, _, value = pair.strip().partition(" ")
        if not index.isdecimal() or int(index[:9]) >= len(attributes) or len(index) > 9:
            raise _broken(
                place, f'row {row} holds "{pair.strip()[:20]}", and pairs of a place and a value are expected'
            )
        cells[int(index)] = value.strip().strip("'\"")
    return cells


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
