"""Reads tables of pixels whose last columns mark the class, one of them with a 1, as UCI's Semeion digits do."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from ...errors import DataError, Problem
from ...spec import Groups, Reading
from .arrays import NO_MULTI_LABEL, part_of
from .content import Part, RawSplits
from .delimited import sample_rows, table_chunks
from .labels import shown
from .layouts import Layout, delimiter_of
from .limits import refuse_size

_MOST_CLASSES = 200
_LEAST_SIDE = 4


def one_hot_columns(path: Path, reading: Reading) -> range | None:
    """The columns that mark a class in a table that no single column of labels makes square; ``None`` where none do."""
    rows, _ = sample_rows(path)
    if len(rows) < 3 or len({len(row) for row in rows}) != 1:
        return None
    width = len(rows[0])
    rows = rows[1:] if not all(map(_is_number, rows[0])) else rows
    if any(_side(width - others, reading) for others in (0, 1, 2)):
        return None
    marks = [[cell.strip() in ("0", "1", "0.0", "1.0", "0.0000", "1.0000") for cell in row] for row in rows]
    for count in range(2, min(_MOST_CLASSES, width)):
        if not _side(width - count, reading):
            continue
        for columns in (range(width - count, width), range(count)):
            if all(all(mark[columns.start : columns.stop]) for mark in marks) and all(
                sum(float(cell) for cell in row[columns.start : columns.stop]) == 1 for row in rows
            ):
                return columns
    return None


def read_one_hot(path: Path, reading: Reading, groups: Groups | None = None) -> RawSplits:
    """A table of pixels with columns that mark the class.

    Raises:
        DataError: A row is marked in several columns or in none, or cells are no numbers.
    """
    place = str(path)
    columns = one_hot_columns(path, reading)
    if columns is None or groups is not None:
        what = "its rows do not end in columns that mark a class" if columns is None else "it has no column of groups"
        raise DataError(Problem(what, "give one image a row", file=place))
    rows, line = sample_rows(path)
    width, has_header = len(rows[0]), not all(map(_is_number, rows[0]))
    layout = Layout((1, width, 1), width, None, 0, has_header, delimiter_of(line))
    blocks, total = [], 0
    for values, _ in table_chunks(path, layout):
        total += values.nbytes
        refuse_size(2 * total, place)
        blocks.append(values.reshape(len(values), width))
    table = np.concatenate(blocks)
    marked = table[:, columns.start : columns.stop]
    wrong = np.flatnonzero(((marked != 0) & (marked != 1)).any(1) | (marked.sum(1) != 1))
    if len(wrong):
        what = f"row {wrong[0] + 1 + has_header} is not marked in exactly one of its {len(columns)} columns of classes"
        fix = NO_MULTI_LABEL
        raise DataError(Problem(what, fix, file=place))
    pixels = np.delete(table, np.s_[columns.start : columns.stop], axis=1)
    names = [rows[0][k].strip() for k in columns] if has_header else [str(k) for k in range(len(columns))]
    part, notes = part_of(pixels, marked.argmax(1), place, shape=reading.shape)
    where = "first" if columns.start == 0 else "last"
    note = f"The {where} {len(columns)} columns are one-hot: each is a class ({shown(names)})."
    labels = None if part.labels is None else np.asarray(names)[part.labels] if has_header else part.labels
    return RawSplits(Part(part.images, labels, place), None, None, (note, *notes), (place,))


def _side(size: int, reading: Reading) -> bool:
    """Whether so many pixels are an image."""
    if reading.shape is not None:
        return size == math.prod(reading.shape)
    return any(
        size > 0 and size % channels == 0 and math.isqrt(size // channels) ** 2 == size // channels
        and math.isqrt(size // channels) >= _LEAST_SIDE
        for channels in (1, 3)
    )  # fmt: skip


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
