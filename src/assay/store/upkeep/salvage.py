"""Saves the rows of a damaged database into a new one, table by table."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from .. import checksums, schema
from ..files import damaged

_EVENTS = {"events": ("id",)}

# SQLite's own words on a fault may quote bytes that are no text.
_UNREADABLE = (sqlite3.DatabaseError, UnicodeDecodeError)


def salvage(path: Path) -> dict[str, int]:
    """Replace a database by one with every row of it that can still be read; how many there are, by table.

    Raises:
        StoreError: No row can be read. Nothing was changed.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        with (
            contextlib.closing(sqlite3.connect(path, isolation_level=None)) as source,
            contextlib.closing(sqlite3.connect(temporary, isolation_level=None)) as target,
        ):
            source.text_factory = lambda text: text.decode("utf-8", "replace")
            checksums.register(target)
            try:
                version = schema.version(source)
            except _UNREADABLE:
                version = 0
            if not 0 < version <= len(schema.MIGRATIONS):
                version = len(schema.MIGRATIONS)
            schema.migrate(target, str(path), up_to=version)
            saved = {table: _copy(source, target, table, key) for table, key in {**checksums.KEYS, **_EVENTS}.items()}
            schema.migrate(target, str(path))
            if not any(saved.values()):
                raise damaged(path, "no row of the store's database can be read")
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return saved


def _copy(source: sqlite3.Connection, target: sqlite3.Connection, table: str, key: tuple[str, ...]) -> int:
    columns = [row[1] for row in target.execute(f"PRAGMA table_info({table})")]
    if not columns:  # a table that this version did not have
        return 0
    rows: dict[tuple[object, ...], tuple[object, ...]] = {}
    places = [columns.index(column) for column in key]
    for row in _readable(source, target, table, columns, key):
        rows.setdefault(tuple(row[place] for place in places), row)
    values = ", ".join("?" * len(columns))
    target.execute("BEGIN")
    for row in rows.values():
        with contextlib.suppress(sqlite3.Error):  # what breaks a rule of the table is no row of it
            target.execute(f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}) VALUES ({values})", row)
    target.execute("COMMIT")
    return int(target.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def _readable(
    source: sqlite3.Connection, target: sqlite3.Connection, table: str, columns: list[str], key: tuple[str, ...]
) -> Iterator[tuple[object, ...]]:
    """A table's rows from both ends as far as they can be read; and each run's, wherever its rows lie."""
    select = f"SELECT {', '.join(columns)} FROM {table} NOT INDEXED"
    for order in ("ASC", "DESC"):
        try:
            yield from source.execute(f"{select} ORDER BY {', '.join(f'{column} {order}' for column in key)}")
            return
        except _UNREADABLE:
            continue
    name = "id" if table == "runs" else "run"
    if name not in columns:
        return
    known = {str(row[0]) for row in target.execute("SELECT id FROM runs")}
    with contextlib.suppress(*_UNREADABLE):  # the index holds ids that the table has lost
        known |= {str(row[0]) for row in source.execute(f"SELECT id FROM runs INDEXED BY {schema.IN_BRIEF}")}
    for run in known:
        with contextlib.suppress(*_UNREADABLE):
            yield from source.execute(f"{select} WHERE {name} = ?", (run,))
