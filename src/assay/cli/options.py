"""Options that commands share, and how they print."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from ..errors import Problem, StoreError

_F = TypeVar("_F", bound=Callable[..., Any])


def store_option(function: _F) -> _F:
    return click.option(
        "--store",
        type=click.Path(path_type=Path),
        help="The store's folder.  [default: ASSAY_STORE or ./assay-store]",
    )(function)


def json_option(function: _F) -> _F:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")(function)


def print_json(value: Any) -> None:
    from ..runner.events import without_nan

    click.echo(json.dumps(without_nan(value), indent=2, default=str))


def study_name(study: str | None, store: Path | None) -> str:
    """The study that a command is about: a name or a study file's name; the store's latest if none is given."""
    from ..api import studies

    if study is not None:
        return Path(study).stem if study.endswith(".toml") else study
    known = studies(store)
    if not known:
        raise StoreError(Problem("the store holds no study", "run one first"))
    return known[0]


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[int] = (),
    title: str = "",
    wraps: int | None = None,
    width: int | None = None,
) -> None:
    """A plain table, as wide as the terminal or, in a pipe, as it needs to be.

    Args:
        columns: Their headings.
        rows: Cells as texts.
        right: Columns that are aligned right.
        title: Above the table.
        wraps: The one column whose texts may take several lines; all may if ``None``.
        width: At most this many columns of characters.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
    for index, column in enumerate(columns):
        keeps = wraps not in (None, index)
        table.add_column(column, justify="right" if index in right else "left", overflow="fold", no_wrap=keeps)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 200
    console.width = min(console.width, width or console.width)
    console.print(table)
