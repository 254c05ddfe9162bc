"""Mends a store as far as that can be done, after a copy of what is changed has been put aside."""

from __future__ import annotations

import contextlib
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from ...disk import disk_errors, replacing
from ...numerals import counted
from ..files import DATABASE, connect, run_folder
from ..lock import writer_lock
from .artifacts import REPAIRS, WEIGHTS
from .checkup import Checkup, checkup
from .findings import Finding
from .mending import mend_rows, requeue, rows_to_put_back
from .salvage import salvage


@dataclass(frozen=True)
class Repairs:
    """What a repair did.

    Args:
        notes: Each thing that was done, as a sentence without its full stop.
        left: What is still wrong.
        folder: Where the database lies as it was, and what was moved away; ``None`` where nothing was wrong.
    """

    notes: tuple[str, ...]
    left: tuple[Finding, ...]
    folder: Path | None


def repair(folder: Path) -> Repairs:
    """Mend a store. The database as it was, and folders that nothing refers to, go to ``repairs/`` in it.

    Raises:
        NoStore: There is no store.
        StoreBusy: A process writes it.
        StoreTooNew: A later version of Assay wrote it.
        StoreError: Nothing in its database can be read. Nothing was changed.
        DiskFull: There is no space for the copy. Nothing was changed.
    """
    checkup(folder)  # raises where there is nothing to mend
    with writer_lock(folder):
        before = checkup(folder, is_held=True)
        if not before.findings:
            return Repairs((), (), None)
        aside = _put_aside(folder)
        notes: list[str] = []
        if before.structure or before.rows.unreadable:
            saved = salvage(folder / DATABASE)
            notes.append(f"saved {counted(sum(saved.values()), 'row')} into a new database")
            before = checkup(folder, is_held=True)
        with contextlib.closing(connect(folder, writable=True)) as connection:
            notes += mend_rows(connection, before.rows, folder)
        notes += _mend_files(folder, aside, checkup(folder, is_held=True))
        after = checkup(folder, is_held=True)
    return Repairs(tuple(notes), tuple(after.findings), aside)


def _put_aside(folder: Path) -> Path:
    """A copy of the database's files as they are."""
    aside = folder / REPAIRS / time.strftime("%Y-%m-%d-%H%M%S")
    with disk_errors(aside, "written"):
        aside.mkdir(parents=True, exist_ok=True)
        for suffix in ("", "-wal"):
            source = folder / f"{DATABASE}{suffix}"
            if source.exists():
                with source.open("rb") as content, replacing(aside / source.name) as target:
                    shutil.copyfileobj(content, target)
    return aside


def _mend_files(folder: Path, aside: Path, found: Checkup) -> list[str]:
    notes = []
    files = found.files
    with disk_errors(folder, "written"):
        # All are copied before any is replaced: two files may lie in each other's place.
        held = {run: aside / f"{run}.weights" for run in files.misplaced}
        for run, source in files.misplaced.items():
            shutil.copyfile(source, held[run])
        for run, source in held.items():
            target = run_folder(folder, run) / WEIGHTS
            target.parent.mkdir(parents=True, exist_ok=True)
            with source.open("rb") as content, replacing(target) as file:
                shutil.copyfileobj(content, file)
            source.unlink()
        for path in files.orphans:
            target = aside / "runs" / path.name
            target.parent.mkdir(exist_ok=True)
            shutil.move(path, target)
        for path in (*files.temporaries, *files.checkpoints):
            path.unlink(missing_ok=True)
    with contextlib.closing(connect(folder, writable=True)) as connection:
        rows_to_put_back(connection, files.misplaced)
        lost = sorted(set(files.lost) - set(files.misplaced))
        requeue(connection, lost)
    for number, what in (
        (len(files.misplaced), "put back the weights of {}"),
        (len(lost), "queued {} whose weights are lost: run the study again, which trains them anew"),
    ):
        if number:
            notes.append(what.format(counted(number, "run")))
    if files.orphans:
        notes.append(f"moved {counted(len(files.orphans), 'folder')} of unknown runs to {aside / 'runs'}")
    if files.temporaries:
        notes.append(f"removed {counted(len(files.temporaries), 'half-written file')}")
    if files.checkpoints:
        notes.append(f"removed {counted(len(files.checkpoints), 'checkpoint')} of finished runs")
    return notes
