"""Recording looks at a study's verdicts, also while another process writes the store."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path

from ..errors import NoSuchStudy, Problem, StoreBusy
from .files import DATABASE, connect, is_up_to_date, no_store, translated
from .lock import writer_lock
from .records import VerdictLook
from .snapshot import is_written_elsewhere


def record_verdict_look(folder: Path, study: str, look: VerdictLook) -> bool:
    """Write down that verdicts of a study were shown. Looks are history: nothing removes them.

    It needs no writer's lock: SQLite lets one transaction at a time write, and those of a running study are short. Only
    a store that an earlier version wrote, whose tables must be changed first, is locked for that, and one that another
    machine may be writing, since SQLite's log serves one machine.

    Args:
        folder: The store's folder.
        study: The study's name.
        look: What was looked at.

    Returns:
        Whether it was recorded; ``False`` where another process has recorded a look of this number.

    Raises:
        NoStore: There is no store.
        NoSuchStudy: The store holds no study of that name.
        StoreBusy: Other processes kept it locked.
        StoreError: It cannot be written.
        DiskFull: There is no space left.
    """
    if not (folder / DATABASE).exists():
        raise no_store(folder)
    is_ready = is_up_to_date(folder) and not is_written_elsewhere(folder)
    with contextlib.nullcontext() if is_ready else writer_lock(folder), translated(folder / DATABASE):
        connection = connect(folder, writable=True)
        try:
            return _recorded(connection, folder, study, look)
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            fix = "try again, or stop what writes to it"
            raise StoreBusy(Problem("other processes keep this store locked", fix, file=str(folder))) from None
        finally:
            connection.close()


def _recorded(connection: sqlite3.Connection, folder: Path, study: str, look: VerdictLook) -> bool:
    row = connection.execute("SELECT id FROM studies WHERE name = ?", (study,)).fetchone()
    if row is None:
        raise NoSuchStudy(Problem(f'there is no study "{study}"', "run it first", file=str(folder)))
    seen = json.dumps(look.seen, allow_nan=False)
    # One statement is one transaction.
    cursor = connection.execute(
        "INSERT INTO verdict_looks (study, number, time, planned, seen) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (study, number) DO NOTHING",
        (row["id"], look.number, look.time, look.planned, seen),
    )
    return cursor.rowcount == 1
