"""Tables in a terminal: words are never broken; where columns do not fit, each row becomes a block."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence

import click

IN_A_PIPE = 200  # columns of characters where there is no terminal
_WHOLE = 18  # texts of so many characters stay on one line where there is room


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[int] = (),
    title: str = "",
    width: int | None = None,
) -> None:
    """A plain table, as wide as the terminal or, in a pipe, as it needs to be.

    Args:
        columns: Their headings.
        rows: Cells as texts.
        right: Columns that are aligned right: numbers, which are never broken.
        title: Above the table.
        width: At most this many columns of characters.
    """
    room = terminal_width()
    for line in table_lines(columns, rows, right=right, title=title, width=min(room, width or room)):
        click.echo(line)


def without_empty(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, may_go: Sequence[str]
) -> tuple[list[str], list[list[str]]]:
    """The table without those of the named columns that say nothing in any row: no text, or 0."""
    empty = {
        at for at, name in enumerate(columns) if name in may_go and all(row[at] in ("", "0") for row in rows)
    }  # fmt: skip
    keep = [at for at in range(len(columns)) if at not in empty]
    return [columns[at] for at in keep], [[row[at] for at in keep] for row in rows]


def say(text: str) -> None:
    """A sentence, wrapped at words in a terminal and on one line in a pipe."""
    if not sys.stdout.isatty():
        click.echo(text)
        return
    for line in wrapped(text, terminal_width(most=110)):
        click.echo(line)


def wrapped(text: str, width: int, first: str = "", rest: str = "") -> list[str]:
    """A sentence in lines of whole words; "n = 8" is one word."""
    joined = text.replace(" = ", "\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}").replace(" %", "\N{NO-BREAK SPACE}%")
    lines = textwrap.wrap(joined, width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]


def lowered(sentence: str) -> str:
    """A sentence as it reads after a colon."""
    return sentence[:1].lower() + sentence[1:]


def terminal_width(*, most: int | None = None) -> int:
    """Columns of characters in the terminal, or in a pipe."""
    room = shutil.get_terminal_size((80, 24)).columns if sys.stdout.isatty() else IN_A_PIPE
    return room if most is None else min(room, most)


def table_lines(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = (), title: str = "", width: int
) -> list[str]:
    """The table's lines, each at most ``width`` long unless a single word is longer."""
    lines = textwrap.wrap(title, width - 1, initial_indent=" ", subsequent_indent=" ") if title else []
    texts = [list(columns), *(list(row) for row in rows)]
    numbers = set(right)
    natural = [max(len(row[at]) for row in texts) for at in range(len(columns))]
    for whole, gap in ((_WHOLE, 2), (_WHOLE, 1), (0, 2), (0, 1)):
        least = [_least(texts, at, at in numbers, whole) for at in range(len(columns))]
        spare = width - 1 - sum(least) - gap * (len(columns) - 1)
        if spare >= 0:
            widths = _distributed(least, natural, spare)
            head, *body = (_row_lines(row, widths, numbers, gap) for row in texts)
            rule = " " + "─" * (sum(widths) + gap * (len(columns) - 1))
            return [*lines, *head, rule, *(line for row in body for line in row)]
    return lines + _stacked(columns, rows, width)


def _least(texts: Sequence[Sequence[str]], at: int, is_number: bool, whole: int) -> int:
    """The narrowest that a column may be: its longest word, or its longest number or short text."""
    head, *cells = (row[at] for row in texts)
    pieces = [*head.split()]
    for cell in cells:
        # Spaces before a text are its place in a hierarchy.
        indent = len(cell) - len(cell.lstrip())
        words = [cell] if is_number or len(cell) <= whole else [" " * indent + word for word in cell.split()]
        pieces += words
    return max((len(piece) for piece in pieces), default=0)


def _distributed(least: list[int], natural: list[int], spare: int) -> list[int]:
    """Widths with the spare room distributed, first to the columns that need least to fit on one line."""
    widths = list(least)
    for at in sorted(range(len(least)), key=lambda at: natural[at] - least[at]):
        more = min(spare, max(natural[at] - least[at], 0))
        widths[at] += more
        spare -= more
    return widths


def _row_lines(row: Sequence[str], widths: Sequence[int], numbers: set[int], gap: int) -> list[str]:
    parts = [_wrapped(cell, width) for cell, width in zip(row, widths, strict=True)]
    lines = []
    for number in range(max(map(len, parts))):
        cells = [part[number] if number < len(part) else "" for part in parts]
        placed = [
            cell.rjust(width) if at in numbers else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        lines.append((" " + (" " * gap).join(placed)).rstrip())
    return lines


def _wrapped(text: str, width: int) -> list[str]:
    indent = " " * (len(text) - len(text.lstrip()))
    return textwrap.wrap(
        text.strip(), max(width, 1), initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    ) or [""]


def _stacked(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Every row as a block: its name, then a line for each value that it has."""
    label = max(len(column) for column in columns[1:]) if len(columns) > 1 else 0
    lines: list[str] = []
    for name, *values in rows:
        lines += textwrap.wrap(name, width - 1, initial_indent=" ", subsequent_indent=" ")
        for column, value in zip(columns[1:], values, strict=True):
            if value:
                first, rest = f"   {column.ljust(label)}  ", " " * (label + 5)
                lines += textwrap.wrap(value, width, initial_indent=first, subsequent_indent=rest)
    return lines
