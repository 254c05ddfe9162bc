"""The summary of a large study's runs: it says what the rows say, or it is not there."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from assay.errors import Problem, StoreBusy, StoreError
from assay.store import (
    ImageHits,
    StoreReader,
    StoreWriter,
    StudyRecord,
    TestScore,
    brief_study,
    open_reader,
    open_writer,
)
from assay.store import brief as brief_module
from assay.store import reader as reader_module
from assay.store.columns import RunColumns
from assay.store.files import DATABASE

from .test_store import finish, put_study


@pytest.fixture(autouse=True)
def every_study_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "MANY_RUNS", 1)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Two arms of two seeds: two runs have finished, one of them without hits; one has failed, one waits."""
    with open_writer(tmp_path) as writer:
        put_study(writer)
        finish(writer, "a-0", hits=ImageHits.of("training", np.array([2, 5, 11]), np.array([True, False, True])))
        finish(writer, "b-0")
        writer.put_failed("s", "b-1", state="diverged", reason="it grew", advice="shrink it")
    return tmp_path


def num_summaries(store: Path) -> int:
    with contextlib.closing(sqlite3.connect(store / DATABASE)) as connection:
        return int(connection.execute("SELECT count(*) FROM summaries").fetchone()[0])


def from_rows(store: Path) -> StudyRecord:
    """The brief record as a store without summaries gives it."""
    with contextlib.closing(sqlite3.connect(store / DATABASE)) as connection:
        connection.execute("DELETE FROM summaries")
        connection.commit()
    with open_reader(store) as reader:
        return reader.study("s", is_brief=True)


def check_same(one: StudyRecord, other: StudyRecord) -> None:
    assert list(one.runs) == list(other.runs)
    assert one.validation_hits == other.validation_hits
    assert one.image_sets == other.image_sets
    assert (one.looks, one.arms) == (other.looks, other.arms)
    for field in fields(RunColumns):
        np.testing.assert_array_equal(getattr(one.columns, field.name), getattr(other.columns, field.name))


def test_what_a_summary_says_is_what_the_rows_say(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = brief_study(store, "s")
    assert num_summaries(store) == 1

    def not_read(*values: object, **named: object) -> None:
        raise AssertionError("rows of runs are read")

    monkeypatch.setattr(StoreReader, "_validation_hits", not_read)
    second = brief_study(store, "s")
    monkeypatch.undo()
    check_same(first, second)
    check_same(second, from_rows(store))
    assert second.validation_hits["a-0"][1] == np.packbits([True, False, True]).tobytes()
    assert "b-0" not in second.validation_hits


def test_a_small_study_has_none(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "MANY_RUNS", 5)
    brief_study(store, "s")
    assert num_summaries(store) == 0


LOOK = {"a-0": TestScore(0.3, 0.5, b"\xa0")}
CHANGES: dict[str, Callable[[StoreWriter], object]] = {
    "another run finishes": lambda writer: finish(writer, "a-1"),
    "weights are lost": lambda writer: writer.requeue_lost("s", {"a-0": "its weights are gone"}),
    "the test split is looked at": lambda writer: writer.put_look("s", LOOK, num_runs=1),
    "seeds are added": lambda writer: put_study(writer, seeds=3),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_outdates_it(store: Path, change: str) -> None:
    before = brief_study(store, "s")
    with open_writer(store) as writer:
        CHANGES[change](writer)
    assert num_summaries(store) == 0
    after = brief_study(store, "s")
    assert list(after.runs) != list(before.runs)
    check_same(after, from_rows(store))


def test_another_program_s_change_outdates_it_and_is_refused(store: Path) -> None:
    brief_study(store, "s")
    with contextlib.closing(sqlite3.connect(store / DATABASE)) as connection:
        connection.execute("UPDATE epochs SET validation_accuracy = 0.99 WHERE run = 'a-0'")
        connection.commit()
    with pytest.raises(StoreError, match='its table "epochs", 1 row is not what was written'):
        brief_study(store, "s")


def test_a_damaged_one_counts_as_none(store: Path) -> None:
    first = brief_study(store, "s")
    with contextlib.closing(sqlite3.connect(store / DATABASE)) as connection:
        content = bytearray(connection.execute("SELECT content FROM summaries").fetchone()[0])
        content[len(content) // 2] ^= 4
        connection.execute("UPDATE summaries SET content = ?", (bytes(content),))
        connection.commit()
    check_same(first, brief_study(store, "s"))


def test_none_is_kept_of_what_another_process_changed_meanwhile(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = StoreReader.study

    def slowly(self: StoreReader, name: str, *, is_brief: bool = False) -> StudyRecord:
        record = read(self, name, is_brief=is_brief)
        with open_writer(store) as writer:
            finish(writer, "a-1")
        return record

    monkeypatch.setattr(StoreReader, "study", slowly)
    assert len([run for run in brief_study(store, "s").runs if run.state == "finished"]) == 2
    assert num_summaries(store) == 0


def test_a_store_that_cannot_be_written_is_read_all_the_same(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(folder: Path) -> None:
        raise StoreBusy(Problem("it is locked", "try again"))

    monkeypatch.setattr(brief_module, "short_write", refused)
    check_same(brief_study(store, "s"), from_rows(store))
    assert num_summaries(store) == 0
