"""Reads a column of a table that the user names beside a study: FILE or FILE:COLUMN."""

from __future__ import annotations

import csv
from pathlib import Path

from ..errors import DataError, Problem, nearest


def read_column(text: str, key: str = "--groups") -> list[str]:
    """The values of a column, one for each row.

    Args:
        text: ``FILE`` of one column, or ``FILE:COLUMN``; the first row names the columns.
        key: Where it was written, for a sentence.

    Raises:
        DataError: There is no such file or column, or a row has no value.
    """
    file, _, column = text, "", ""
    if not Path(text).exists() and ":" in text:
        file, _, column = text.rpartition(":")
    try:
        with open(file, newline="", encoding="utf-8-sig") as lines:
            rows = list(csv.reader(lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(Problem(f"cannot be read ({reason})", "give a CSV table", key, file)) from None
    if not rows:
        raise DataError(Problem("the table is empty", "give a row for each training image", key, file))
    header, *values = rows
    if not column and len(header) > 1:
        what = f"the table has {len(header)} columns"
        raise DataError(Problem(what, f"name one, such as {file}:{header[-1]}", key, file))
    if column and column not in header:
        raise DataError(Problem(f'there is no column "{column}"', nearest(column, header), key, file))
    place = header.index(column) if column else 0
    result = [row[place].strip() if place < len(row) else "" for row in values]
    if "" in result:
        line = result.index("") + 2
        raise DataError(Problem(f'line {line} has no value in column "{header[place]}"', "give one", key, file))
    return result
