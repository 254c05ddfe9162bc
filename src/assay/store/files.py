"""Where things lie in a store's folder, and how its database is opened."""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from ..disk import FULL, disk_full, io_failed
from ..errors import AssayError, NoStore, Problem, StoreBusy, StoreError
from . import checksums, schema
from .snapshot import open_in_place

DATABASE = "store.sqlite"


def default_folder() -> Path:
    """``ASSAY_STORE``, or ``./assay-store``."""
    return Path(os.environ.get("ASSAY_STORE") or "assay-store")


def output_folder(store: Path, kind: Literal["reports", "explanations"]) -> Path:
    """Where files for people go unless a place is named: into the store, or beside it where it cannot be written.

    Beside it is the current folder, as ``assay-reports`` or ``assay-explanations``.
    """
    return store / kind if os.access(store, os.W_OK) else Path(f"assay-{kind}")


def run_folder(store: Path, run: str) -> Path:
    """The folder of one run's artifacts."""
    return store / "runs" / run[:2] / run


def connect(store: Path, *, writable: bool) -> sqlite3.Connection:
    """A connection to the store's database.

    Raises:
        NoStore: There is no store.
        StoreError: It is damaged, or cannot be opened.
        StoreTooNew: A later version of Assay wrote it.
    """
    path = store / DATABASE
    if not writable and not path.exists():
        raise no_store(store)
    with translated(path):
        if writable:
            store.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(path, timeout=10, isolation_level=None)
        else:
            connection = open_in_place(path)
        connection.row_factory = sqlite3.Row
        try:
            checksums.register(connection)
            schema.refuse_newer(connection, str(path))
            if writable:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")
                schema.migrate(connection, str(path))
                checksums.keep(connection)
            else:
                if schema.version(connection) < len(schema.MIGRATIONS):
                    connection = _brought_up_to_date(connection, str(path))
                connection.execute("PRAGMA query_only = ON")
            connection.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            connection.close()
            raise
    return connection


def modified_ns(file: Path) -> int | None:
    """When a file was last changed, in nanoseconds since 1970; ``None`` where it cannot be seen."""
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return None


def is_up_to_date(store: Path) -> bool:
    """Whether the store's tables are those of this version."""
    path = store / DATABASE
    with translated(path), contextlib.closing(open_in_place(path)) as connection:
        return schema.version(connection) >= len(schema.MIGRATIONS)


def is_copy(connection: sqlite3.Connection) -> bool:
    """Whether a connection reads a copy in memory, which no later change of the store reaches."""
    return not connection.execute("PRAGMA database_list").fetchone()["file"]


def _brought_up_to_date(older: sqlite3.Connection, path: str) -> sqlite3.Connection:
    """A copy in memory of a store that an older version wrote, as this version knows it; the store stays as it is."""
    copy = sqlite3.connect(":memory:", isolation_level=None)
    copy.row_factory = sqlite3.Row
    try:
        older.backup(copy)
        checksums.register(copy)
        schema.migrate(copy, path)
    except BaseException:
        copy.close()
        raise
    finally:
        older.close()
    return copy


def no_store(folder: Path) -> NoStore:
    """The error for a folder without a store."""
    return NoStore(Problem("there is no store here", "run a study first, or name another --store", file=str(folder)))


def damaged(path: Path, what: str = "the store's database is damaged") -> StoreError:
    """The error for a database that is damaged, with the remedy."""
    store = path.parent if path.name == DATABASE else path
    fix = f"restore it from a backup, or see what can be mended: assay doctor {shlex.quote(str(store))}"
    return StoreError(Problem(what, fix, file=str(path)))


def _refusal(path: Path, text: str) -> AssayError:
    """What SQLite says, as an error with a remedy."""
    if "full" in text:
        return disk_full(path)
    if "disk I/O" in text:
        return io_failed(path)
    if "locked" in text or "busy" in text:
        return StoreBusy(
            Problem("other processes keep this store locked", "try again, or stop what writes to it", file=str(path))
        )
    if "readonly" in text or "unable to open" in text:
        fix = "check that you may write there, or name another --store"
        return StoreError(Problem(f"the store cannot be opened ({text})", fix, file=str(path)))
    if "not a database" in text or "no such" in text:  # a table, a column
        return damaged(path, f"this is no store's database, or a damaged one ({text})")
    if "malformed" in text and "JSON" not in text:
        return damaged(path)
    return damaged(path, f"the store's database is damaged ({text})")


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """SQLite's and the file system's errors as sentences."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if type(error) not in (sqlite3.DatabaseError, sqlite3.OperationalError):  # a mistake of ours
            raise
        raise _refusal(path, str(error)) from error
    except UnicodeDecodeError as error:  # SQLite's own words on a fault, which quote it
        raise damaged(path) from error
    except (FileExistsError, NotADirectoryError):
        raise StoreError(
            Problem("this is a file, a store is a folder", "name another --store", file=str(path.parent))
        ) from None
    except OSError as error:
        if error.errno in FULL:
            raise disk_full(path, error.errno) from None
        if error.errno == errno.EROFS:
            fix = "copy it to where you may write, or name another --store"
            raise StoreError(Problem("the store is on a read-only disk", fix, file=str(path.parent))) from None
        if not isinstance(error, PermissionError):
            raise
        raise StoreError(
            Problem(
                f"the store cannot be opened ({error.strerror})",
                "check that you may write there, or name another --store",
                file=str(path),
            )
        ) from None
