"""Mends rows: what can be derived is written anew, what can be trained again is queued, looks are never removed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ...errors import SpecError
from ...numerals import counted
from ...spec import Arm, Study
from ..checksums import KEYS, TABLES, expression
from ..files import run_folder
from .artifacts import WEIGHTS
from .rows import LACKING_EPOCHS, LACKING_WEIGHTS, MEMBERS, MISSING_RUNS, RowFaults

_Keys = Sequence[tuple[object, ...]]
# Derived from what else there is, or measured again.
_REMOVED = (
    "members", "retrained", "epochs", "test_scores", "validation_hits", "image_sets", "predictions", "label_sets",
)  # fmt: skip
_RESEALED = ("studies", "looks")


def mend_rows(connection: sqlite3.Connection, faults: RowFaults, store: Path) -> list[str]:
    """Mend what ``check_rows`` has found, in one transaction; what was done, as sentences."""
    if not faults.findings:
        return []
    notes = []
    with _transaction(connection):
        damaged = faults.damaged
        _mend_epochs(connection, damaged.get("epochs", ()))
        _mend_artifacts(connection, damaged.get("artifacts", ()), store)
        for table in _REMOVED:
            if keys := damaged.get(table):
                _remove(connection, table, keys)
                notes.append(f'removed {counted(len(keys), "damaged row")} of table "{table}"')
        connection.execute("DELETE FROM validation_hits WHERE images NOT IN (SELECT id FROM image_sets)")
        connection.execute(
            "DELETE FROM predictions WHERE label_set NOT IN (SELECT id FROM label_sets) "
            "OR images != '' AND images NOT IN (SELECT id FROM image_sets)"
        )
        for table in _RESEALED:
            if keys := damaged.get(table):
                _reseal(connection, table, keys)
                notes.append(f'kept {counted(len(keys), "row")} of table "{table}" as they stand')
        if keys := damaged.get("arms"):
            studies = {row[0] for row in connection.execute("SELECT id FROM studies")}
            named = {study for study, *_ in keys}
            _remove(connection, "arms", keys)
            notes += _write_arms(connection, named if named <= studies else studies)  # a flipped bit hides which
        if keys := damaged.get("runs"):
            _reset_runs(connection, keys)
        missing = [row[0] for row in connection.execute(MISSING_RUNS)]
        for run in missing:
            connection.execute(
                "INSERT INTO runs (id, seed, state, epochs_planned, spec) VALUES (?, 0, 'queued', 1, '{}')", (run,)
            )
        if damaged.get("members"):
            _put_members_back(connection)
        for query in (LACKING_EPOCHS, LACKING_WEIGHTS):
            requeue(connection, [row[0] for row in connection.execute(query).fetchall()])
    queued = connection.execute("SELECT count(*) FROM runs WHERE state = 'queued'").fetchone()[0]
    if queued:
        notes.append(f"{counted(queued, 'run')} to be trained when the studies are run again")
    return notes


def requeue(connection: sqlite3.Connection, runs: Iterable[str]) -> None:
    """Have these runs trained anew."""
    connection.executemany("UPDATE runs SET state = 'queued' WHERE id = ?", [(run,) for run in runs])


def rows_to_put_back(connection: sqlite3.Connection, runs: Iterable[str]) -> None:
    """Write where the weights of these runs lie: at their usual place."""
    for run in runs:
        path = (run_folder(Path(), run) / WEIGHTS).as_posix()
        connection.execute(
            "UPDATE artifacts SET path = ?, modified_ns = NULL WHERE run = ? AND kind = 'weights'", (path, run)
        )


def _mend_epochs(connection: sqlite3.Connection, keys: _Keys) -> None:
    """Runs that damaged epochs belong to are trained anew; which those are, a flipped bit in an id hides."""
    known = {row[0] for row in connection.execute("SELECT id FROM runs")}
    runs = {str(run) for run, _ in keys}
    connection.executemany(
        "UPDATE runs SET state = 'queued' WHERE id = ? AND state != 'running'", [(run,) for run in runs & known]
    )
    if runs - known:
        connection.execute(
            "UPDATE runs SET state = 'queued' WHERE state = 'finished' "
            "AND epochs_planned > (SELECT count(*) FROM epochs WHERE run = id)"
        )


def _mend_artifacts(connection: sqlite3.Connection, keys: _Keys, store: Path) -> None:
    for run, kind in keys:
        row = connection.execute("SELECT sha256 FROM artifacts WHERE run = ? AND kind = ?", (run, kind)).fetchone()
        relative = run_folder(Path(), str(run)) / WEIGHTS
        content = b""
        with contextlib.suppress(OSError):
            content = (store / relative).read_bytes()
        if row and content and hashlib.sha256(content).hexdigest() == row[0]:
            connection.execute(
                "UPDATE artifacts SET path = ?, bytes = ?, modified_ns = NULL WHERE run = ? AND kind = ?",
                (relative.as_posix(), len(content), run, kind),
            )
        else:  # the run lacks a record of weights now, and is trained anew
            connection.execute("DELETE FROM artifacts WHERE run = ? AND kind = ?", (run, kind))


def _reset_runs(connection: sqlite3.Connection, keys: _Keys) -> None:
    """Damaged runs as if they had never been trained; those that no study has any more are not runs of it."""
    for (run,) in keys:
        is_member = connection.execute(f"SELECT 1 FROM {MEMBERS} WHERE run = ?", (run,)).fetchone()
        if is_member is None:
            for table in ("epochs", "artifacts", "test_scores", "validation_hits", "predictions"):
                connection.execute(f"DELETE FROM {table} WHERE run = ?", (run,))
            connection.execute("DELETE FROM runs WHERE id = ?", (run,))
            continue
        connection.execute(
            "UPDATE runs SET seed = coalesce((SELECT seed FROM members WHERE run = id), 0), state = 'queued', "
            "reason = '', advice = '', attempts = 0, started = NULL, finished = NULL, seconds = NULL, "
            "peak_memory_bytes = NULL, epochs_planned = 1, spec = '{}', environment = '{}', kept_epoch = NULL "
            "WHERE id = ?",
            (run,),
        )


def _write_arms(connection: sqlite3.Connection, studies: set[object]) -> list[str]:
    """The arms of studies as their specs say."""
    notes = []
    for study in studies:
        row = connection.execute("SELECT name, spec FROM studies WHERE id = ?", (study,)).fetchone()
        try:
            arms = Study.of(json.loads(row[1])).expand() if row else ()
        except (SpecError, ValueError):
            arms = ()
        if not arms:
            continue
        connection.execute("DELETE FROM arms WHERE study = ?", (study,))
        connection.executemany(
            "INSERT INTO arms (study, name, position, levels, spec) VALUES (?, ?, ?, ?, ?)",
            [
                (study, arm.name, position, json.dumps(dict(arm.levels)), json.dumps(arm.model_dump(mode="json")))
                for position, arm in enumerate(arms)
            ],
        )
        notes.append(f'wrote the arms of study "{row[0]}" anew')
    return notes


def _put_members_back(connection: sqlite3.Connection) -> None:
    """Runs that no study has any more belong to an arm that says what they say."""
    lone = connection.execute(f"SELECT id, spec FROM runs WHERE id NOT IN {MEMBERS}").fetchall()
    arms = []
    for study, name, spec in connection.execute("SELECT study, name, spec FROM arms").fetchall():
        with contextlib.suppress(SpecError, ValueError):
            arms.append((study, name, Arm.of(json.loads(spec)).identity()))
    for run, spec in lone:
        design = json.loads(spec)
        for study, name, identity in arms:
            if json.loads(json.dumps(identity)) == design.get("arm"):
                connection.execute(
                    "INSERT OR IGNORE INTO members (study, arm, seed, fold, run) VALUES (?, ?, ?, ?, ?)",
                    (study, name, design["seed"], design.get("fold") or 0, run),
                )


def _remove(connection: sqlite3.Connection, table: str, keys: _Keys) -> None:
    if table == "image_sets":
        connection.executemany("DELETE FROM validation_hits WHERE images = ?", keys)
        connection.executemany("DELETE FROM predictions WHERE images = ?", keys)
    if table == "label_sets":
        connection.executemany("DELETE FROM predictions WHERE label_set = ?", keys)
    condition = " AND ".join(f"{column} IS ?" for column in KEYS[table])  # a damaged key may be null
    connection.executemany(f"DELETE FROM {table} WHERE {condition}", keys)


def _reseal(connection: sqlite3.Connection, table: str, keys: _Keys) -> None:
    condition = " AND ".join(f"{column} IS ?" for column in KEYS[table])
    sets = f"checksum = {expression(table, TABLES[table])}"
    connection.executemany(f"UPDATE {table} SET {sets} WHERE {condition}", keys)


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("PRAGMA foreign_keys = OFF")  # rows refer to each other; the next checkup looks at that
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    connection.execute("PRAGMA foreign_keys = ON")
