"""Everything about a store that can be checked: the database, its rows, and the files that they name."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

from .. import checksums, schema
from ..files import DATABASE, connect, no_store, translated
from ..lock import writing_process
from ..snapshot import open_in_place
from .artifacts import FileFaults, check_files
from .findings import Finding
from .rows import RowFaults, check_rows

_MAX_FAULTS = 20


@dataclass(frozen=True)
class Checkup:
    """What was checked in a store, and what is wrong.

    Args:
        structure: What SQLite finds wrong with the database itself.
        rows, files: What is wrong with these.
        num_rows: Rows whose checksums were compared.
        has_checksums: Whether they have any: those of an earlier version get them when they are next written.
        is_written: Whether a process writes the store now.
    """

    structure: tuple[str, ...] = ()
    rows: RowFaults = field(default_factory=RowFaults)
    files: FileFaults = field(default_factory=FileFaults)
    num_rows: int = 0
    has_checksums: bool = True
    is_written: bool = False

    @property
    def findings(self) -> list[Finding]:
        """Every fault, the gravest first."""
        structure = [
            Finding(f"the database: {' '.join(fault.split())}", "saved row by row into a new one")
            for fault in self.structure
        ]
        return [*structure, *self.rows.findings, *self.files.findings]


def checkup(folder: Path, *, is_held: bool = False) -> Checkup:
    """Check a store, which may be in use. Nothing is changed.

    Args:
        folder: The store's folder.
        is_held: Whether the caller holds the writer's lock, so that nobody else writes.

    Raises:
        NoStore: There is no store.
        StoreTooNew: A later version of Assay wrote it.
        StoreError: It may not be read.
    """
    path = folder / DATABASE
    if not path.exists():
        raise no_store(folder)
    is_written = not is_held and writing_process(folder) is not None
    try:
        with contextlib.closing(open_in_place(path)) as connection:
            checksums.register(connection)
            schema.refuse_newer(connection, str(path))
            version = schema.version(connection)
            structure = _structure(connection)
            if version < len(schema.MIGRATIONS) and not structure:
                return _of_earlier_version(folder, is_written)
            rows = check_rows(connection)
            if structure or rows.unreadable:
                return Checkup(structure, rows, is_written=is_written)
            files = check_files(folder, connection, is_written=is_written)
            return Checkup((), rows, files, _num_rows(connection), is_written=is_written)
    except sqlite3.DatabaseError as error:
        if any(text in str(error) for text in ("unable to open", "readonly", "locked", "busy")):
            with translated(path):
                raise
        return Checkup((str(error),), is_written=is_written)
    except UnicodeDecodeError:  # SQLite's own words on a fault, which quote it
        return Checkup(("a name or a text holds bytes that are no text",), is_written=is_written)


def _of_earlier_version(folder: Path, is_written: bool) -> Checkup:
    with contextlib.closing(connect(folder, writable=False)) as connection:
        rows = check_rows(connection)
        return Checkup((), rows, check_files(folder, connection, is_written=is_written), 0, False, is_written)


def _structure(connection: sqlite3.Connection) -> tuple[str, ...]:
    faults = [str(row[0]) for row in connection.execute(f"PRAGMA integrity_check({_MAX_FAULTS})")]
    return () if faults == ["ok"] else tuple(faults)


def _num_rows(connection: sqlite3.Connection) -> int:
    return sum(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in checksums.TABLES)
