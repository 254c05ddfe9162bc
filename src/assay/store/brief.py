"""A study's record in brief, from the summary of its runs where it has many."""

from __future__ import annotations

import contextlib
from pathlib import Path

from ..errors import DiskFull, StoreError
from .reader import open_reader
from .records import StudyRecord
from .short_write import short_write
from .summaries import Summary, keep_summary


def brief_study(folder: Path, name: str) -> StudyRecord:
    """What ``StoreReader.study`` reads in brief. Of a study of many runs a summary is kept for the next reading.

    A store that cannot be written gets none.

    Raises:
        NoStore: There is no store.
        NoSuchStudy: The store holds no study of that name.
        StoreError: It cannot be read.
    """
    with open_reader(folder) as reader:
        is_to_keep = reader.lacks_summary(name)
        before = reader.data_version()
        record = reader.study(name, is_brief=True)
        if is_to_keep:
            with contextlib.suppress(StoreError, DiskFull), short_write(folder) as connection:
                connection.execute("BEGIN IMMEDIATE")
                if reader.data_version() == before:  # nobody has written since
                    keep_summary(connection, name, Summary.of_record(record))
                connection.execute("COMMIT")
        return record
