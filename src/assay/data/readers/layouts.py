"""Infers a pixel table's layout (label column, header, delimiter, image shape) from its first rows."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from ...errors import DataError, Problem, nearest
from ...spec import Groups, Reading
from ..grouped import no_groups_error

_ROW_NAMES = ("id", "index", "image")
_LABEL_NAMES = ("label", "labels", "class", "classes", "target", "y", "digit", "category")
_SAMPLE_ROWS = 1000
_SAMPLE_BYTES = 1 << 26
_LEAST_SIDE = 4  # of an image whose size is inferred: a table of 4 or 9 numbers a row is hardly one of pixels
_OUTER = 3  # columns on each side: a label, an index, and the pixel beside them


@dataclass(frozen=True)
class Layout:
    """The layout of a pixel table.

    Args:
        shape: Height, width and channels of a row's values, in this order: the channels of a pixel side by side.
        num_columns: Cells in a row.
        label: The label's column; ``None`` where there is none.
        first: The column of the first pixel.
        has_header: The first row holds names.
        delimiter: Between cells; ``" "`` stands for any white space.
        group: The column that says which images belong together; ``None`` where there is none.
        name: The column that says what a row is called; ``None`` where rows are counted.
    """

    shape: tuple[int, int, int]
    num_columns: int
    label: int | None
    first: int
    has_header: bool
    delimiter: str
    group: int | None = None
    name: int | None = None

    @property
    def texts(self) -> dict[str, int]:
        """The columns that are read as text, by what they hold."""
        columns = {"label": self.label, "group": self.group, "name": self.name}
        return {what: column for what, column in columns.items() if column is not None}

    @property
    def pixels(self) -> range:
        return range(self.first, self.first + math.prod(self.shape))

    @property
    def columns(self) -> list[int]:
        """The columns that are read, in their order."""
        return sorted([*self.pixels, *self.texts.values()])

    @property
    def description(self) -> str:
        height, width, channels = self.shape
        size = f"{height} x {width}" + (f" x {channels}" if channels > 1 else "")
        if self.label is None:
            return f"A row is {size} pixels, without a label."
        where = {0: "first", self.num_columns - 1: "last"}.get(self.label, f"{self.label + 1}.")
        has_index = len(self.columns) < self.num_columns
        return f"A row is {size} pixels; the {where} column is the label" + (", one is an index." if has_index else ".")

    def without_group(self) -> Layout:
        """The layout of the same table if it had no column of groups."""
        if self.group is None:
            return self
        label = None if self.label is None else self.label - (self.label > self.group)
        first = self.first - (self.first > self.group)
        return replace(self, num_columns=self.num_columns - 1, label=label, first=first, group=None)

    def with_group(self, column: int | None) -> Layout:
        """The layout of the same table with a column of groups put in."""
        if column is None:
            return self
        label = None if self.label is None else self.label + (self.label >= column)
        name = None if self.name is None else self.name + (self.name >= column)
        first = self.first + (self.first >= column)
        return replace(self, num_columns=self.num_columns + 1, label=label, first=first, group=column, name=name)


def layout_of(
    path: Path, lines: Iterable[str], reading: Reading, groups: Groups | None, like: Layout | None = None
) -> Layout:
    """The layout of a table.

    Args:
        path: The table, for messages.
        lines: Its lines.
        reading: The study's ``read`` options for it.
        groups: Which column holds the groups.
        like: The training table's layout; a table without its label column is then an unlabelled one.

    Raises:
        DataError: The rows are ragged, or their layout is ambiguous.
    """
    table = _Sample(path, lines, reading, groups, needs_group=like is None)
    if like is not None:
        like = like.without_group()
        if table.width == like.num_columns:
            return replace(like, has_header=table.has_header, delimiter=table.delimiter).with_group(table.group)
        if table.width == len(like.pixels):
            bare = Layout(like.shape, table.width, None, 0, table.has_header, table.delimiter)
            return bare.with_group(table.group)
        what = f"its rows have {table.width} cells, and those of the training table {like.num_columns}"
        raise _broken(path, what, f"give {like.num_columns}, or {len(like.pixels)} without labels")
    shape, others = _shape(path, table.width, reading)
    if reading.shape is None:
        _refuse_other_numbers(path, table, shape, others)
    if others == 0:
        bare = Layout(shape, table.width, None, 0, table.has_header, table.delimiter)
        return _with_group_outside(path, bare, table.group)
    label = _label_column(path, table, others, reading)
    taken = {label}
    if others == 2:
        taken.add(_index_column(path, table, label))
    outer = sorted(taken)
    first = 0
    while first in taken:
        first += 1
    if outer != [*range(first), *range(table.width - (len(outer) - first), table.width)]:
        what = f"its label stands in column {label + 1}, among the pixels"
        raise _broken(path, what, "put it first or last")
    layout = Layout(shape, table.width, label, first, table.has_header, table.delimiter)
    return _with_group_outside(path, layout, table.group)


def pixels_layout(
    path: Path,
    lines: Iterable[str],
    shape: tuple[int, int, int],
    reading: Reading,
    groups: Groups | None,
    extra: Literal["first", "last"] | None,
) -> Layout:
    """The layout of a table whose images shall be predicted: it may have labels, names of rows, or neither.

    Args:
        path: The table, for messages.
        lines: Its lines.
        shape: Height, width and channels that the network takes.
        reading: How the table that was learned from was read.
        groups: Which column said what belongs together; it need not be there.
        extra: Where the one column stands that is no pixel.

    Raises:
        DataError: The rows are ragged, or do not say what stands where.
    """
    table = _Sample(path, lines, reading, groups, needs_group=False)
    width, size = table.width, math.prod(shape)
    others = width - size
    if others not in (0, 1, 2):
        what = f"its rows have {width:,} cells, and the network takes images of {size:,} values"
        raise _broken(path, what, "give one image a row")
    taken = _other_columns(path, table, others, reading, extra)
    first = next(k for k in range(width) if k not in taken)
    if any(first <= k < first + size for k in taken):
        raise _broken(path, "a column that is no pixel stands among the pixels", "put it first or last")
    named = [k for k in taken if table.names and table.names[k].strip().lower() in _ROW_NAMES]
    known = named if others < 2 or named else []
    label = next((k for k in taken if k not in known and _may_be_label(table, k)), None)
    layout = Layout(shape, width, label, first, table.has_header, table.delimiter, name=known[0] if known else None)
    return _with_group_outside(path, layout, table.group)


def _may_be_label(table: _Sample, column: int) -> bool:
    is_named = bool(table.names) and table.names[column].strip().lower() in _LABEL_NAMES
    return is_named or not _is_index([row[column] for row in table.rows])


def _other_columns(
    path: Path, table: _Sample, others: int, reading: Reading, extra: Literal["first", "last"] | None
) -> set[int]:
    """Which columns are no pixels."""
    ends = [*range(others), *range(table.width - others, table.width)]
    if others == 1 and extra is not None:
        return {0 if extra == "first" else table.width - 1}
    wanted = {*_LABEL_NAMES, *_ROW_NAMES, "", "unnamed: 0", *([reading.label.lower()] if reading.label else [])}
    known = {k for k in ends if table.names and table.names[k].strip().lower() in wanted}
    if others == 0 or len(known) == others:
        return known
    if others == 1 and reading.label in ("first", "last"):
        return {0 if reading.label == "first" else table.width - 1}
    if others == 1 and _is_index([row[0] for row in table.rows]):
        return {0}
    if reading.label is not None and reading.label not in ("first", "last"):
        reading = reading.model_copy(update={"label": None})  # a name that this table does not have
    try:
        label = _label_column(path, table, others, reading)
        return {label, *([_index_column(path, table, label)] if others == 2 else [])}
    except DataError:
        what = f"its rows have {table.width:,} cells, and the network takes {table.width - others:,}"
        fix = "remove what is no pixel, or say where it stands: --extra first, or last"
        raise _broken(path, what, fix) from None


def cells_of(text: str) -> list[str]:
    """The cells of a line."""
    mark = delimiter_of(text)
    if mark == " ":
        return text.split()
    try:
        return [cell.strip() for cell in next(csv.reader([text], delimiter=mark))]
    except (csv.Error, StopIteration):  # such as a quote that is never closed
        return text.split(mark)


def delimiter_of(text: str) -> str:
    return next((mark for mark in ("\t", ",", ";") if mark in text), " ")


class _Sample:
    """The first rows without their group column; only the outer cells are kept, where label and index can stand."""

    def __init__(
        self, path: Path, lines: Iterable[str], reading: Reading, groups: Groups | None, *, needs_group: bool
    ) -> None:
        self.rows: list[dict[int, str]] = []
        self.group: int | None = None
        self.delimiter = " "
        header: list[str] = []
        first: list[str] = []
        taken = 0
        for number, line in enumerate(lines):
            cells = cells_of(line)
            if number == 0:
                header, self.delimiter = list(cells), delimiter_of(line)
                self.group = _group_column(path, cells, groups, needs_group)
            if len(cells) != len(header):
                what = f"row {number + 1} has {len(cells)} cells, and the first has {len(header)}"
                raise _broken(path, what, "correct the row")
            if self.group is not None:
                del cells[self.group]
            self.rows.append(
                {k: cells[k] for k in {*range(min(3, len(cells))), *range(max(0, len(cells) - 3), len(cells))}}
            )
            if number == 0:
                first = list(cells)
            taken += len(line)
            if number + 1 == _SAMPLE_ROWS or taken > _SAMPLE_BYTES:
                break
        if not self.rows:
            raise _broken(path, "it is empty", "give a table with one image a row")
        self.width = len(first)
        numbers = [_is_number(cell) for cell in first[2:-1] or first]
        has_names = not all(numbers) and (len(self.rows) > 1 or not any(numbers))
        self.has_header: bool = has_names if reading.header is None else reading.header
        self.names = first if self.has_header else []
        self.rows = self.rows[1:] if self.has_header else self.rows
        if not self.rows:
            raise _broken(path, "it has a header and no rows", "give a table with one image a row")


def _broken(path: Path, what: str, fix: str, key: str = "", **read: Any) -> DataError:
    """An error about a table; ``read`` are the ``read`` keys that mend it."""
    return DataError(Problem(what, fix, key, str(path), remedy={"read": read} if read else {}))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _group_column(path: Path, header: list[str], groups: Groups | None, is_needed: bool) -> int | None:
    if groups is None:
        return None
    if groups.column is None:
        raise no_groups_error(groups, str(path))
    if groups.column in header:
        return header.index(groups.column)
    if not is_needed:
        return None
    what = f'there is no column "{groups.column}"'
    fix = "give its rows a header" if all(map(_is_number, header)) else nearest(groups.column, header[:2] + header[-2:])
    raise _broken(path, what, fix, "data.groups")


def _with_group_outside(path: Path, layout: Layout, group: int | None) -> Layout:
    if group is not None and layout.first < group < layout.first + len(layout.pixels):
        raise _broken(path, f"its groups stand in column {group + 1}, among the pixels", "put them first or last")
    return layout.with_group(group)


def _refuse_other_numbers(path: Path, table: _Sample, shape: tuple[int, int, int], others: int) -> None:
    """Asks where a table's numbers are hardly pixels, such as four measurements of flowers."""
    names = [name for name in table.names if not any(character.isdigit() for character in name)]
    are_named = len(table.names) > 4 and len(names) == len(table.names) and len(set(names)) == len(names)
    if shape[0] >= _LEAST_SIDE and not are_named:
        return
    size = " x ".join(map(str, shape[: 2 + (shape[2] > 1)]))
    why = f"its columns are called {', '.join(names[:3])}, ..." if are_named else f"its rows have {table.width} cells"
    what = f"{why}, which are hardly images of {size} pixels"
    fix = "give a table of pixels or of file names; if they are images of that size, say so with read.shape"
    raise _broken(path, what, fix)  # measurements are far likelier, so nothing is proposed


def _shape(path: Path, width: int, reading: Reading) -> tuple[tuple[int, int, int], int]:
    """Shape of an image, and how many columns are no pixels."""
    if reading.shape is not None:
        height, across, channels = (*reading.shape, 1)[:3]
        others = width - height * across * channels
        if not 0 <= others <= 2:
            given = " x ".join(map(str, reading.shape))
            what = f"its rows have {width} cells, and {given} pixels with a label are {height * across * channels + 1}"
            raise _broken(path, what, "correct read.shape")
        return (height, across, channels), others
    for others, channels in ((1, 1), (2, 1), (1, 3), (2, 3), (0, 1), (0, 3)):
        side = math.isqrt(max(0, width - others) // channels)
        if side > 1 and side * side * channels == width - others:
            return (side, side, channels), others
    what = f"its rows have {width} cells, which is no square of pixels and a label"
    shape = _oblong(width - 1)
    if shape is None:
        raise _broken(path, what, "give read = { shape = [height, width] }")
    raise _broken(path, what, f"give read = {{ shape = {list(shape)} }} if they are images of that size", shape=shape)


def _oblong(size: int) -> tuple[int, int] | None:
    """Height and width of the most compact image with so many pixels; ``None`` where that is no likely one."""
    height = next((side for side in range(math.isqrt(size), _LEAST_SIDE - 1, -1) if size % side == 0), None)
    return (height, size // height) if height is not None and size <= 2 * height * height else None


def _label_column(path: Path, table: _Sample, others: int, reading: Reading) -> int:
    width, names, rows = table.width, table.names, table.rows
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
        likely = "first" if best and best[0] == others - 1 else "last"
        raise _broken(path, f"{which} the label", 'give read = { label = "first" } or "last"', label=likely)
    return best[0]


def _index_column(path: Path, table: _Sample, label: int) -> int:
    width, names, rows = table.width, table.names, table.rows
    for column in (0, 1, width - 1):
        if column != label and _is_index([row[column] for row in rows]):
            return column
    for column in (0, width - 1):
        if column != label and names and names[column].strip().lower() in ("", "id", "index", "unnamed: 0"):
            return column
    what = "besides pixels and label its rows have one more cell, which does not count the rows"
    fix = "remove it, or give read.shape; if it tells which images belong together, name it as groups"
    raise _broken(path, what, fix)


def _is_index(cells: list[str]) -> bool:
    if not all(cell.isdigit() for cell in cells):
        return False
    start = int(cells[0])
    return (
        start in (0, 1) and len(cells) > 1 and [int(cell) for cell in cells] == list(range(start, start + len(cells)))
    )
