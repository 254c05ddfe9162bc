"""Values in a store's database that are not what was written: a sentence with the remedy, never another error."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from assay.errors import AssayError, StoreError
from assay.results import Result
from assay.store import DATABASE, ImageHits, TestScore, checksums, open_reader, open_writer
from assay.store.upkeep import checkup, repair

from ..stored import put_study

VALUES = ("{", "[1]", b"\xff\xfe", None, -1)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("store")
    put_study(store, {"a": [0.9] * 6, "b": [0.8] * 6})
    runs = [f"{arm}-{seed}" for arm in "ab" for seed in range(6)]
    with open_writer(store) as writer:
        for number, run in enumerate(runs):
            hits = ImageHits.of("training", np.arange(20) + number, np.arange(20) % 3 > 0)
            writer.put_validation_hits("small", run, hits)
        writer.put_look("small", {run: TestScore(0.1, 0.9, bytes(45)) for run in runs}, num_runs=12)
    Result(store, "small").compare()
    return store / DATABASE


def columns_of(database: Path) -> list[tuple[str, str]]:
    connection = sqlite3.connect(database)
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    columns = [(table, row[1]) for (table,) in tables for row in connection.execute(f"PRAGMA table_info({table})")]
    connection.close()
    return columns


def use(store: Path) -> None:
    with open_reader(store) as reader:
        reader.overviews()
        reader.last_event()
    result = Result(store, "small")
    result.frame()
    result.compare()
    result.diagnose()


def test_any_value_in_any_column_is_read_or_named(database: Path) -> None:
    sound = database.read_bytes()
    num_named = 0
    for table, column in columns_of(database):
        for value in VALUES:
            connection = sqlite3.connect(database)
            try:
                first = f"(SELECT {column} FROM {table} LIMIT 1)"
                connection.execute(f"UPDATE OR IGNORE {table} SET {column} = ? WHERE {column} = {first}", (value,))
                connection.commit()
            except sqlite3.IntegrityError:  # what may not be empty
                continue
            finally:
                connection.close()
            try:
                use(database.parent)
            except AssayError as error:
                num_named += "damaged" in str(error)
            except Exception as error:
                raise AssertionError(f"{table}.{column} = {value!r}") from error
            finally:
                database.write_bytes(sound)
    assert num_named > 30


@pytest.mark.parametrize("change", ["DROP TABLE epochs", "ALTER TABLE runs RENAME COLUMN state TO was"])
def test_tables_that_are_not_there_are_a_sentence(database: Path, tmp_path: Path, change: str) -> None:
    (tmp_path / DATABASE).write_bytes(database.read_bytes())
    connection = sqlite3.connect(tmp_path / DATABASE)
    connection.executescript(change)
    connection.close()
    with pytest.raises(StoreError, match=r"this is no store's database, or a damaged one .*restore it from a backup"):
        use(tmp_path)


@pytest.mark.parametrize("which", ["max(epoch)", "min(epoch)"])
def test_a_finished_run_without_one_of_its_epochs_is_never_left_out_in_silence(database: Path, which: str) -> None:
    """Scores of a study with a run less would be other verdicts."""
    sound = database.read_bytes()
    connection = sqlite3.connect(database)
    checksums.register(connection)
    checksums.keep(connection)
    (run,) = connection.execute("SELECT id FROM runs WHERE state = 'finished' LIMIT 1").fetchone()
    last = "(SELECT max(epoch) FROM epochs WHERE run = runs.id)"
    connection.execute(f"UPDATE runs SET kept_epoch = {last} WHERE id = ?", (run,))
    one = f"(SELECT {which} FROM epochs WHERE run = ?)"
    assert connection.execute(f"DELETE FROM epochs WHERE run = ? AND epoch = {one}", (run, run)).rowcount == 1
    connection.commit()
    connection.close()
    try:
        result = Result(database.parent, "small")
        with pytest.raises(AssayError, match="1 finished run lacks epochs"):
            result.frame()
        if which == "max(epoch)":  # the one that counts
            with pytest.raises(AssayError, match="1 finished run lacks epochs"):
                result.compare()
    finally:
        database.write_bytes(sound)


def test_a_schema_that_is_no_number_of_ours_is_a_sentence(database: Path) -> None:
    sound = database.read_bytes()
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA user_version = -7")
    connection.commit()
    connection.close()
    try:
        for read in (lambda store, name: Result(store, name).compare(), lambda store, name: checkup(store)):
            with pytest.raises(AssayError, match=r"damaged \(schema -7\)"):
                read(database.parent, "small")
    finally:
        database.write_bytes(sound)


def test_a_row_whose_key_was_lost_is_removed(database: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    shutil.copytree(database.parent, store)
    connection = sqlite3.connect(store / DATABASE)
    connection.execute("UPDATE validation_hits SET run = NULL WHERE run = (SELECT run FROM validation_hits LIMIT 1)")
    connection.commit()
    connection.close()
    assert any("validation_hits" in finding.what for finding in checkup(store).findings)
    repair(store)
    assert not any("validation_hits" in finding.what for finding in checkup(store).findings)


def test_a_page_of_bytes_that_are_no_text_is_reported(database: Path, tmp_path: Path) -> None:
    """SQLite's own report quotes them."""
    store = tmp_path / "store"
    shutil.copytree(database.parent, store)
    connection = sqlite3.connect(store / DATABASE)
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute(
        "UPDATE sqlite_master SET name = CAST(? AS TEXT) WHERE type = 'index' AND sql IS NOT NULL "
        "AND name = (SELECT min(name) FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL)",
        (b"odd \xd4 name",),
    )
    connection.commit()
    connection.close()
    assert checkup(store).findings
    with pytest.raises(AssayError, match="damaged"):
        Result(store, "small").compare()
    with contextlib.suppress(AssayError):  # nothing can be read: SQLite does not know the tables any more
        repair(store)
