"""Stores that cannot be written, or that another machine writes: read all the same, whole, and left as they are."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import assay.store.snapshot as snapshot
from assay.errors import StoreBusy, StoreError
from assay.results.verdict_record import with_look
from assay.store import (
    DATABASE,
    StoreFollower,
    VerdictLook,
    open_reader,
    open_writer,
    output_folder,
    record_verdict_look,
)

from ..stored import put_study

SCORES = {"a": [0.9] * 6, "b": [0.8] * 6}

# A process that commits and dies: what it wrote is in the log beside the database, and not in the database.
KILLED = """
import os, sys
from pathlib import Path
from assay.store import open_writer
with open_writer(Path(sys.argv[1])) as writer:
    writer.put_spec("small", "asked last", {"name": "small"})
    os._exit(0)
"""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "of 50 % #1?"
    put_study(folder, SCORES)
    return folder


def refuse_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite answers as on a read-only disk, which holds root back too, where it would make a file in the store."""
    connect = sqlite3.connect

    def connect_read_only(database: Any, *arguments: Any, **options: Any) -> sqlite3.Connection:
        place = str(database)
        if ("of%2050" in place and "immutable=1" not in place) or "of 50" in place:
            raise sqlite3.OperationalError("unable to open database file")
        return connect(database, *arguments, **options)

    monkeypatch.setattr(sqlite3, "connect", connect_read_only)


def question(store: Path) -> str:
    with open_reader(store) as reader:
        return reader.study("small").question


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_store_that_nobody_may_write_is_read(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_reader(store) as reader:
        known = reader.study("small")
    before = files_in(store)
    refuse_writing(monkeypatch)
    with open_reader(store) as reader:
        record = reader.study("small")
    assert (record.runs, record.question) == (known.runs, known.question)
    with pytest.raises(StoreError, match="cannot be opened"):
        record_verdict_look(store, "small", VerdictLook(1, 0.0, 6, {}))
    assert with_look(store, record) is record  # what shows verdicts goes on
    assert files_in(store) == before


def test_what_a_killed_process_left_in_the_log_is_read(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(store)], check=True)
    (store / f"{DATABASE}-shm").unlink()
    before = files_in(store)
    refuse_writing(monkeypatch)
    assert question(store) == "asked last"
    assert files_in(store) == before


def test_what_another_machine_writes_is_read_and_never_written(store: Path) -> None:
    with open_writer(store) as writer:
        holder = json.loads((store / "writer.json").read_text())
        (store / "writer.json").write_text(json.dumps({**holder, "host": "another machine"}))
        (store / f"{DATABASE}-shm").rename(store / "elsewhere")  # memory that the machines do not share
        writer.put_spec("small", "asked now", {"name": "small"})
        assert question(store) == "asked now"
        with pytest.raises(StoreBusy):
            record_verdict_look(store, "small", VerdictLook(1, 0.0, 6, {}))
        assert not (store / f"{DATABASE}-shm").exists()


def test_a_store_that_changes_during_each_copy_is_busy(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_writing(monkeypatch)
    monkeypatch.setattr(snapshot.time, "sleep", lambda seconds: None)
    into_memory = snapshot._in_memory

    def meanwhile(uri: str, **options: Any) -> sqlite3.Connection:
        status = os.stat(store / DATABASE)
        os.utime(store / DATABASE, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
        return into_memory(uri, **options)

    monkeypatch.setattr(snapshot, "_in_memory", meanwhile)
    with pytest.raises(StoreBusy, match="this store changed each time that it was read"):
        question(store)


def test_a_copy_is_followed(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    follower = StoreFollower(store)
    with monkeypatch.context() as patch:
        refuse_writing(patch)
        assert follower.poll()
        assert not follower.poll()
    with open_writer(store) as writer:
        writer.put_spec("small", "asked anew", {"name": "small"})
    with monkeypatch.context() as patch:
        refuse_writing(patch)
        assert follower.poll()
        assert follower.study("small").record.question == "asked anew"
    follower.close()


def test_reports_lie_beside_a_store_that_cannot_be_written(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert output_folder(store, "reports") == store / "reports"
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert output_folder(store, "reports") == Path("assay-reports")
