"""One short transaction, also while another process writes the store."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from ..errors import Problem, StoreBusy
from .files import DATABASE, connect, is_up_to_date, translated
from .lock import writer_lock
from .snapshot import is_written_elsewhere


@contextlib.contextmanager
def short_write(folder: Path) -> Iterator[sqlite3.Connection]:
    """A connection for it.

    It needs no writer's lock: SQLite lets one transaction at a time write, and those of a running study are short. Only
    a store that an earlier version wrote, whose tables must be changed first, is locked for that, and one that another
    machine may be writing, since SQLite's log serves one machine.

    Raises:
        StoreBusy: Other processes kept it locked.
        StoreError: It cannot be written.
        DiskFull: There is no space left.
    """
    is_ready = is_up_to_date(folder) and not is_written_elsewhere(folder)
    with contextlib.nullcontext() if is_ready else writer_lock(folder), translated(folder / DATABASE):
        connection = connect(folder, writable=True)
        try:
            yield connection
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            fix = "try again, or stop what writes to it"
            raise StoreBusy(Problem("other processes keep this store locked", fix, file=str(folder))) from None
        finally:
            connection.close()
