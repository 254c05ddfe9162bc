"""Recording looks at a study's verdicts, also while another process writes the store."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from ..errors import NoSuchStudy, Problem
from .files import DATABASE, no_store
from .records import VerdictLook
from .short_write import short_write


def record_verdict_look(folder: Path, study: str, look: VerdictLook) -> bool:
    """Write down that verdicts of a study were shown. Looks are history: nothing removes them.

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
    with short_write(folder) as connection:
        return _recorded(connection, folder, study, look)


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
