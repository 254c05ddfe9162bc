"""Parses whole lines of a pixel table: bytes where all pixels are, else float32."""

from __future__ import annotations

import csv
import io
import math
import re
from typing import Any

import numpy as np
import numpy.typing as npt

from .layouts import Layout

_BLANK_LINE = re.compile(rb"(?:^|\n)[ \t]+\r?(?:\n|$)")
_NEWLINE, _BYTE = 10, 255


class BadRow(ValueError):
    """A row that cannot be read.

    Args:
        row: Its number in the block, from 0.
        what: What is wrong, to stand behind "row 7": " has 2 cells", or ", column 5 is empty".
    """

    def __init__(self, row: int, what: str) -> None:
        super().__init__(row, what)
        self.row, self.what = row, what


def parsed(block: bytes, layout: Layout) -> tuple[npt.NDArray[Any], dict[str, npt.NDArray[Any]]]:
    """A block's pixels, uint8 or float32 [rows, pixels], and its columns of text [rows] by what they hold.

    Raises:
        BadRow: A row has too few or too many cells, or one that is no number.
    """
    import pandas as pd

    block = block.replace(b"\r\n", b"\n")
    if block.startswith(b"\n") or b"\n\n" in block or _BLANK_LINE.search(block):
        block = b"\n".join(line for line in block.split(b"\n") if line.strip())
    delimiter = "," if layout.delimiter == " " else layout.delimiter
    if layout.delimiter == " ":
        block = b"\n".join(b",".join(line.split()) for line in block.split(b"\n"))
    if not block.strip():
        return np.empty((0, len(layout.pixels)), np.uint8), {name: np.empty(0, str) for name in layout.texts}
    _check_rows(block, delimiter, layout.num_columns)
    pixels, texts = list(layout.pixels), layout.texts
    columns = sorted({*pixels, *texts.values()})

    def read(kind: type[np.generic]) -> pd.DataFrame:
        return pd.read_csv(
            io.BytesIO(block), header=None, sep=delimiter, usecols=columns,
            dtype={column: str if column in texts.values() else kind for column in columns},
            na_filter=False, low_memory=False, skip_blank_lines=False,
        )  # fmt: skip

    try:
        try:
            table = read(np.int64)  # a smaller type would take 256 for 0
        except (ValueError, OverflowError):  # fractions, or a cell that is no number
            table = read(np.float32)
    except UnicodeDecodeError:
        raise BadRow(0, " or a later one holds text that is not in UTF-8") from None
    except (ValueError, OverflowError) as error:
        raise _bad_cell(block, delimiter, pixels, error) from None
    values = table[pixels].to_numpy()
    is_bytes = values.dtype.kind == "i" and values.min() >= 0 and values.max() <= _BYTE
    cells = {name: np.asarray(table[column].tolist(), dtype=str) for name, column in texts.items()}
    return np.ascontiguousarray(values, np.uint8 if is_bytes else np.float32), cells


def _check_rows(block: bytes, delimiter: str, num_columns: int) -> None:
    """Every line has so many cells: pandas would fill up short ones."""
    if b'"' in block:
        counts = np.array([len(cells) for cells in _rows(block, delimiter)])
    else:
        characters = np.frombuffer(block if block.endswith(b"\n") else block + b"\n", np.uint8)
        ends = np.flatnonzero(characters == _NEWLINE)
        counts = 1 + np.diff(np.searchsorted(np.flatnonzero(characters == ord(delimiter)), ends), prepend=0)
    bad = np.flatnonzero(counts != num_columns)
    if len(bad):
        row = int(bad[0])
        raise BadRow(row, f" has {counts[row]} cells, and the others have {num_columns}")


def _bad_cell(block: bytes, delimiter: str, pixels: list[int], error: Exception) -> BadRow:
    """The first pixel that is no number."""
    for row, cells in enumerate(_rows(block, delimiter)):
        for column in pixels:
            text = cells[column]
            place = f", column {column + 1}"
            try:
                value = None if "_" in text else float(text)  # Python takes 1_0 for 10
            except ValueError:
                value = None
            if value is None:
                return BadRow(row, f"{place} holds {text[:40]!r}, which is no number" if text else f"{place} is empty")
            if not math.isfinite(value):
                return BadRow(row, f"{place} holds {value}")
    return BadRow(0, f" or a later one cannot be read ({' '.join(str(error).split())[:160]})")


def _rows(block: bytes, delimiter: str) -> list[list[str]]:
    lines = block.decode(errors="replace").rstrip("\n").split("\n")
    return [next(csv.reader([line], delimiter=delimiter), []) for line in lines]
