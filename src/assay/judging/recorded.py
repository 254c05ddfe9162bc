"""Judged scores that a store keeps, so that looks at a growing table are paid for and its claims are in the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from filelock import FileLock

from ..analysis.look_record import look_record
from ..disk import write
from ..errors import DataError, Problem
from ..store.records import StudyRecord
from .export import score_frame, table_text
from .files import read_table
from .native import native_record

FOLDER = "judged"  # of a store


def with_recorded_look(store: Path, record: StudyRecord) -> StudyRecord:
    """The record with the looks that the store knows of, and this one, which is in the store before anything is shown.

    Args:
        store: The store's folder; it is made where it is not there.
        record: Scores from elsewhere.

    Raises:
        DataError: What the store keeps under this name cannot be read, or is no longer in the scores.
        DiskFull: There is no space left.
    """
    path = store / FOLDER / f"{record.name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.parent / ".lock"):
        if path.exists():
            before = _read(path)
            record = replace(record, verdict_looks=before.verdict_looks, created=before.created)
            _check_kept(before, record, path)
        look = look_record(record)
        if look is not None:
            record = replace(record, verdict_looks=(*record.verdict_looks, look))
        write(path, table_text(score_frame(record)).encode())
    return record


def judged_studies(store: Path) -> Iterator[StudyRecord]:
    """The judged scores that a store keeps, by name.

    Raises:
        DataError: One of them cannot be read.
    """
    for path in sorted((store / FOLDER).glob("*.csv")):
        yield _read(path)


def _read(path: Path) -> StudyRecord:
    frame, header, first_line = read_table(path)
    if not header:
        raise DataError(Problem("this is no table that assay judge --store wrote", "move it elsewhere", file=str(path)))
    return native_record(frame, header, source=str(path), first_line=first_line)


def _check_kept(before: StudyRecord, now: StudyRecord, path: Path) -> None:
    """Scores that a look saw stay what they were: taking them out or changing them would be choosing by them."""
    scores = {(run.arm, run.seed, run.fold): run.kept.validation_accuracy for run in now.runs if run.kept}
    for run in before.runs:
        if run.kept is None:
            continue
        value = scores.get((run.arm, run.seed, run.fold))
        if value != run.kept.validation_accuracy:
            is_now = "is not there any more" if value is None else f"is {value}"
            what = f"{run.arm}, {run.label} scored {run.kept.validation_accuracy} when it was last judged, and {is_now}"
            fix = "give back what was judged, or judge the scores under another name (--name)"
            raise DataError(Problem(what, fix, file=str(path)))
