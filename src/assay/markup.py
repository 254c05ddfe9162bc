"""Small pieces of HTML for notebooks, for objects without a report of their own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

_CELL = "padding:0.15rem 0.8rem 0.15rem 0;vertical-align:top"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[int] = ()) -> str:
    """An HTML table; cells are escaped.

    Args:
        columns: Their headings; none are shown if all are empty.
        rows: Cells.
        right: Columns that are aligned right.
    """

    def cells(values: Sequence[object], tag: str) -> str:
        return "".join(
            f'<{tag} style="{_CELL};text-align:{"right" if at in right else "left"}">{escape(str(value))}</{tag}>'
            for at, value in enumerate(values)
        )

    head = f"<thead><tr>{cells(columns, 'th')}</tr></thead>" if any(columns) else ""
    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return f'<table style="border-collapse:collapse">{head}<tbody>{body}</tbody></table>'


def facts(title: str, pairs: Iterable[tuple[str, object]]) -> str:
    """A heading and a table of facts, one a line; empty facts are left out."""
    return f"<p><b>{escape(title)}</b></p>{table(('', ''), [pair for pair in pairs if pair[1] not in ('', None)])}"


def sentences(items: Iterable[str], notes: Iterable[str] = ()) -> str:
    """A bulleted list, and paragraphs below it."""
    bullets = "".join(f"<li>{escape(item)}</li>" for item in items)
    return (f"<ul>{bullets}</ul>" if bullets else "") + "".join(f"<p>{escape(note)}</p>" for note in notes)
