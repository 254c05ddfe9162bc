"""Spoiled stores: every command says a sentence, no wrong figure is shown, and what is mended is whole."""

from __future__ import annotations

import contextlib
import functools
import os
import random
import shutil
import sqlite3
import tempfile
from pathlib import Path

import assay
from assay.errors import AssayError
from assay.results import Result
from assay.store import DATABASE, checkup, repair

from ..helpers import small_study
from .cases import command, quiet_warnings, spoiled

COMMANDS = (
    ("status",), ("status", "small"), ("status", "small", "--json"), ("runs", "small"), ("runs", "small", "--json"),
    ("compare", "small"), ("diagnose", "small"), ("cite", "small"),
)  # fmt: skip


@functools.cache
def _sound() -> Path:
    """A small finished and revealed study, trained once."""
    store = Path(tempfile.mkdtemp(prefix="assay-attack-")) / "store"
    result = assay.run(small_study(seeds={"count": 3}), store=store, workers=1)
    result.reveal()
    result.compare()
    with contextlib.closing(sqlite3.connect(store / DATABASE)) as connection, connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return store


@functools.cache
def _figures() -> list[object]:
    return _figures_of(_sound())


def _figures_of(store: Path) -> list[object]:
    record = Result(store, "small").record
    return [
        (run.arm, run.seed, run.state, run.test_accuracy, [one.validation_accuracy for one in run.epochs])
        for run in record.runs
    ]


def attack(rng: random.Random, folder: Path) -> None:
    """Spoil the database (bytes, pages, rows) or files of a store, use it, mend it, and use it again."""
    store = Path(shutil.copytree(_sound(), folder / "store"))
    kind = _spoil(rng, store)
    with quiet_warnings():
        for arguments in rng.sample(COMMANDS, 3):
            command(*arguments, "--store", str(store))
        _assert_right_or_refused(store, kind)
        command("doctor", str(store))
        command("backup", str(folder / "backup"), "--store", str(store))
        command("doctor", str(store), "--repair")
        _assert_right_or_refused(store, f"{kind}, mended")
        try:
            left = checkup(store).findings
        except AssayError:
            return
        assert not [one for one in left if one.is_mendable and not one.what.startswith("the database")], (kind, left)
        if not left:
            assert repair(store).folder is None


def _spoil(rng: random.Random, store: Path) -> str:
    database = store / DATABASE
    match rng.randrange(6):
        case 0:
            database.write_bytes(spoiled(rng, database.read_bytes()))
            return "bytes of the database"
        case 1:
            content = bytearray(database.read_bytes())
            page = rng.randrange(1, len(content) // 4096)
            content[page * 4096 : (page + 1) * 4096] = rng.choice((bytes(4096), rng.randbytes(4096)))
            database.write_bytes(content)
            return f"page {page} of the database"
        case 2:
            os.truncate(database, rng.randrange(database.stat().st_size))
            return "end of the database"
        case 3:
            return _spoil_row(rng, database)
        case 4:
            log = database.with_name(f"{DATABASE}-wal")
            log.write_bytes(rng.randbytes(rng.randrange(1, 10_000)))
            return "log"
        case _:
            file = rng.choice([path for path in sorted((store / "runs").rglob("*")) if path.is_file()])
            match rng.randrange(3):
                case 0:
                    file.unlink()
                case 1:
                    file.write_bytes(spoiled(rng, file.read_bytes()))
                case _:
                    file.unlink()
                    file.mkdir()
            return "weights"


def _spoil_row(rng: random.Random, database: Path) -> str:
    connection = sqlite3.connect(database, isolation_level=None)
    try:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        table = rng.choice(sorted(tables))
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        column = rng.choice(columns)
        value = rng.choice((None, "", "{", "[1]", -1, 0, 2**62, 1e300, b"\xff", "finished", "0.5", 0.123))
        first = f"(SELECT {column} FROM {table} ORDER BY random() LIMIT 1)"
        connection.execute(f"UPDATE OR IGNORE {table} SET {column} = ? WHERE {column} IS {first}", (value,))
        return f"{table}.{column} = {value!r}"
    except sqlite3.Error:
        return "no row"
    finally:
        connection.close()


def _assert_right_or_refused(store: Path, kind: str) -> None:
    """Every finished run that is shown has its true figures."""
    try:
        shown = _figures_of(store)
    except AssayError:
        return
    true = {(arm, seed): rest for arm, seed, *rest in _figures()}  # type: ignore[misc]
    for arm, seed, state, accuracy, epochs in shown:  # type: ignore[misc]
        if state == "finished":
            was = true.get((arm, seed))
            assert was is not None, (kind, arm, seed)
            assert accuracy in (None, was[1]), (kind, arm, seed)
            assert epochs == was[2], (kind, arm, seed)
