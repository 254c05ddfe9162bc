"""Reading a store that cannot be opened in place: on read-only media, or written by another machine."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import sqlite3
import tempfile
import time
from pathlib import Path

from ..errors import Problem, StoreBusy

_TRIES = 20
_REFUSALS = ("unable to open", "readonly", "read-only")


def open_in_place(path: Path) -> sqlite3.Connection:
    """A connection to a database that exists, or a copy of it in memory where reading in place would have to write.

    SQLite keeps an index of the write-ahead log in a file beside the database, which a reader may have to make. That
    index is shared memory: readers on another machine than the writer's would see a stale one.

    Raises:
        sqlite3.DatabaseError: It cannot be read.
        StoreBusy: It changed during every attempt to copy it.
    """
    if is_written_elsewhere(path.parent):
        return _snapshot(path)
    connection = None
    try:
        connection = sqlite3.connect(_uri(path, "rw"), uri=True, timeout=10, isolation_level=None)
        connection.execute("PRAGMA schema_version").fetchone()
        return connection
    except sqlite3.OperationalError as error:
        if connection is not None:
            connection.close()
        if not any(text in str(error) for text in _REFUSALS):
            raise
        return _snapshot(path)


def is_written_elsewhere(store: Path) -> bool:
    """Whether the store's note of its writer names another machine."""
    try:
        host = json.loads((store / "writer.json").read_text())["host"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return bool(host != platform.node())


def state_of(path: Path) -> tuple[tuple[int, int] | None, ...]:
    """What changes when a database does: size and time of its file, and of its log where that holds anything."""
    return tuple(_state(file) for file in (path, _log(path)))


def _snapshot(path: Path) -> sqlite3.Connection:
    for _ in range(_TRIES):
        before = state_of(path)
        try:
            # Without a log no process has the database open, and the file is whole.
            copy = _in_memory(_uri(path, "ro&immutable=1")) if before[1] is None else _with_log(path)
        except (OSError, sqlite3.DatabaseError):
            if state_of(path) == before:
                raise
        else:
            if state_of(path) == before:
                return copy
            copy.close()
        time.sleep(0.1)
    fix = "try again when less is written"
    raise StoreBusy(Problem("this store changed each time that it was read", fix, file=str(path.parent)))


def _with_log(path: Path) -> sqlite3.Connection:
    with tempfile.TemporaryDirectory(prefix="assay-") as folder:
        copied = Path(folder) / path.name
        shutil.copyfile(path, copied)
        shutil.copyfile(_log(path), _log(copied))
        return _in_memory(_uri(copied, "rw"), check=True)


def _in_memory(uri: str, *, check: bool = False) -> sqlite3.Connection:
    copy = sqlite3.connect(":memory:", isolation_level=None)
    try:
        with contextlib.closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as source:
            if check and source.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                raise sqlite3.DatabaseError("database disk image is malformed")
            source.backup(copy)
    except BaseException:
        copy.close()
        raise
    return copy


def _uri(path: Path, mode: str) -> str:
    return f"{path.absolute().as_uri()}?mode={mode}"


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _state(file: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(file)
    except FileNotFoundError:
        return None
    return (status.st_size, status.st_mtime_ns) if status.st_size else None
