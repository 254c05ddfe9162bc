"""Tables of scores as files."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..disk import disk_errors, regular_file
from ..errors import DataError, Problem
from .export import HEADER

if TYPE_CHECKING:
    import pandas as pd

MOST_BYTES = 1 << 30


def read_table(path: Path) -> tuple[pd.DataFrame, str, int]:
    """A CSV file, or one of semicolons or tabs: texts, its header (empty for none of ours), and its first row's line.

    Raises:
        DataError: It cannot be read, is no table, or is larger than 1 GiB.
    """
    with disk_errors(path, "read"), regular_file(path) as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise DataError(Problem("this table has more than 1 GiB", "give one row a run", file=str(path)))
    return parse_table(content, str(path))


def parse_table(content: bytes, source: str) -> tuple[pd.DataFrame, str, int]:
    """``read_table`` of a file's content."""
    import pandas as pd

    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(Problem("this is no text in UTF-8", "save the table as CSV in UTF-8", file=source)) from None
    header = ""
    if text.startswith(HEADER):
        header, _, text = text.removeprefix(HEADER).partition("\n")
        header = header.strip()
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    if not first.strip():
        raise DataError(Problem("this file is empty", "give columns arm, seed and score, and a row a run", file=source))
    try:
        frame = pd.read_csv(
            io.StringIO(text), sep=separator, dtype=str, keep_default_na=False, skipinitialspace=True, engine="c"
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        how = " ".join(str(error).split()).removeprefix("Error tokenizing data. C error: ")
        raise DataError(Problem(f"this is no table ({how})", "give as many cells in each row", file=source)) from None
    if not isinstance(frame.index, pd.RangeIndex):
        raise DataError(Problem("rows have more cells than the first line", "name every column there", file=source))
    return frame, header, 3 if header else 2


def is_table(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES


_SUFFIXES: Mapping[str, str] = {".csv": ",", ".tsv": "\t", ".txt": ","}
