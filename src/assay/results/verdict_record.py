"""A study's record for whatever shows its verdicts: the look at them is written down first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..analysis.look_record import look_record
from ..errors import DiskFull, StoreError
from ..store import StudyRecord, open_reader, record_verdict_look

_TRIES = 5  # other processes may record a look of the same number meanwhile


def with_look(store: Path, record: StudyRecord) -> StudyRecord:
    """The record, with the look that showing its verdicts is; that look is in the store before anything is shown.

    Where the store cannot be written (a read-only or full disk, another user's folder) verdicts count the look all the
    same, and the store does not know of it.

    Args:
        store: The store's folder.
        record: A study's record, as just read.
    """
    for _ in range(_TRIES):
        look = look_record(record)
        if look is None:
            return record
        try:
            is_recorded = record_verdict_look(store, record.name, look)
        except (StoreError, DiskFull):
            return record
        if is_recorded:
            return replace(record, verdict_looks=(*record.verdict_looks, look))
        with open_reader(store) as reader:
            record = replace(record, verdict_looks=reader.verdict_looks(record.name))
    return record
