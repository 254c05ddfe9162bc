"""Reads tables with all pixels of an image in one cell, parted by spaces, as FER-2013 has them."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np

from ...errors import DataError, Problem
from ...spec import Groups, Reading
from .arrays import part_of
from .content import RawSplits
from .delimited import first_rows
from .limits import refuse_size
from .lists import label_column, rows_by_split, table_rows, texts_of

_LEAST_NUMBERS = 16
_NUMBERS = re.compile(r"\[?\s*\d+(?:\.\d+)?(?:\s+\d+(?:\.\d+)?)*\s*\]?")


def holds_images_in_cells(path: Path) -> bool:
    """Whether a cell of a table's second row holds many numbers, parted by spaces."""
    rows = first_rows(path)
    return len(rows) > 1 and len(rows[1]) > 1 and any(_holds_numbers(cell) for cell in rows[1])


def read_cells(path: Path, reading: Reading, groups: Groups | None = None) -> RawSplits:
    """A table with a cell of pixels and a label a row; a column ``split`` or ``usage`` says which are test images.

    Raises:
        DataError: Rows are ragged or have no label, cells differ in their number of pixels or hold something else.
    """
    place = str(path)
    refuse_size(path.stat().st_size, place)
    rows = table_rows(path)
    ragged = next((index for index, row in enumerate(rows) if len(row) != len(rows[0])), None)
    if ragged is not None:
        what = f"row {ragged + 1} has {len(rows[ragged])} cells, and the first has {len(rows[0])}"
        raise DataError(Problem(what, "correct the row", file=place))
    header = [] if any(map(_holds_numbers, rows[0])) else [cell.strip() for cell in rows[0]]
    rows = rows[1:] if header else rows
    column = next(index for index, cell in enumerate(rows[0]) if _holds_numbers(cell))
    group_column = None
    if groups is not None and groups.column is not None:
        if groups.column not in header:
            what = f'there is no column "{groups.column}"'
            raise DataError(Problem(what, f"it has {', '.join(header)}", "data.groups", place))
        group_column = header.index(groups.column)
    notes: list[str] = []
    labelled, label, split = label_column(rows, header, (column, group_column), reading, place, notes)
    sides, is_validation = rows_by_split(labelled, header, split, place, notes)
    width = len(rows[0][column].strip("[] ").split())
    refuse_size(4 * width * len(rows), place)
    pixels = np.empty((len(rows), width), np.float32)
    for index, row in enumerate(rows):
        cells = row[column].strip().strip("[]").split()
        try:
            pixels[index] = np.asarray(cells, dtype=np.float32)
        except ValueError:
            number = index + 1 + bool(header)
            what = f"row {number} has {len(cells)} pixels in its cell, or one that is no number; the first has {width}"
            raise DataError(Problem(what, "correct the row", file=place)) from None
    parts = {}
    for side, chosen in sides.items():
        texts = np.asarray(texts_of(labelled, label, chosen, header, place))
        part, more = part_of(pixels[chosen], texts, place, shape=reading.shape)
        notes += more
        given = is_validation[chosen] if side == "train" and is_validation.any() else None
        row_groups = None if group_column is None else np.asarray([rows[k][group_column] for k in chosen])
        parts[side] = type(part)(part.images, part.labels, place, row_groups, given)
    size = " x ".join(map(str, parts["train"].images.shape[1:3]))
    what = f"A cell is {size} pixels" + ("." if math.isqrt(width) ** 2 == width or reading.shape else " in colour.")
    return RawSplits(parts["train"], parts.get("test"), None, tuple(dict.fromkeys([what, *notes])), (place,))


def _holds_numbers(cell: str) -> bool:
    return cell.count(" ") >= _LEAST_NUMBERS - 1 and _NUMBERS.fullmatch(cell.strip()) is not None
