"""The table type: rows of text; the template or writer decides how they look."""

from __future__ import annotations

from dataclasses import dataclass

from ..palette import ArmStyle


@dataclass(frozen=True)
class Column:
    """A column's heading; numbers are right-aligned."""

    title: str
    is_number: bool = True


@dataclass(frozen=True)
class Cell:
    """A text, with an arm's mark before it where it names an arm."""

    text: str
    style: ArmStyle | None = None


@dataclass(frozen=True)
class Table:
    """A caption, headings and rows; the first cell of a row names it. ``total`` stands below a line."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    total: tuple[Cell, ...] = ()


def headings(first: str, *numbers: str) -> tuple[Column, ...]:
    return (Column(first, is_number=False), *(Column(title) for title in numbers))


def line(*cells: str | Cell) -> tuple[Cell, ...]:
    return tuple(cell if isinstance(cell, Cell) else Cell(cell) for cell in cells)
