"""What is wrong with the rows of a store: checksums, and rows that contradict each other."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ...numerals import counted
from ..checksums import BRIEF, KEYS, TABLES, expression, is_damaged
from .findings import Finding, listed

# What becomes of the damaged rows of a table, and whether ``repair`` does it.
_REMEDIES = {
    "studies": ("kept as it stands: run the study's file again, which writes it anew", True),
    "arms": ("written anew from the study", True),
    "runs": ("the run is trained anew when its study is run again", True),
    "members": ("put back by what the store knows of its runs, or by running the study's file again", True),
    "retrained": ("removed: reveal --retrain plans it again", True),
    "searches": ("restore the store from a backup, or run the search under another name", False),
    "candidates": ("restore the store from a backup, or run the search under another name", False),
    "trial_runs": ("restore the store from a backup, or run the search under another name", False),
    "epochs": ("their runs are trained anew when their study is run again", True),
    "artifacts": ("written anew where the file has the recorded hash; other runs are trained anew", True),
    "test_scores": ("removed: the next reveal scores these runs again", True),
    "looks": ("kept as it stands, so that the look still counts", True),
    "verdict_looks": ("restore the store from a backup, or run the study under another name", False),
    "image_sets": ("removed with what was found on these images: running the study again evaluates its runs", True),
    "validation_hits": ("removed: running the study again evaluates these runs", True),
    "label_sets": (
        "removed with the predictions that have these labels: running the study again evaluates its runs",
        True,
    ),
    "predictions": ("removed: running the study again, or revealing it, evaluates these runs", True),
}
_FINISHED = "state = 'finished'"
_NUM_EPOCHS = "(SELECT count(*) FROM epochs WHERE run = id)"
_LAST_EPOCH = "(SELECT coalesce(max(epoch), 0) FROM epochs WHERE run = id)"
MEMBERS = "(SELECT run FROM members UNION SELECT run FROM retrained UNION SELECT run FROM trial_runs)"
LACKING_EPOCHS = (
    f"SELECT id FROM runs WHERE {_FINISHED} AND ({_NUM_EPOCHS} != {_LAST_EPOCH} OR {_NUM_EPOCHS} = 0 "
    f"OR kept_epoch > {_LAST_EPOCH})"
)
MISSING_RUNS = f"SELECT run FROM {MEMBERS} WHERE run NOT IN (SELECT id FROM runs)"
LACKING_WEIGHTS = (
    f"SELECT id FROM runs WHERE {_FINISHED} AND id NOT IN (SELECT run FROM artifacts WHERE kind = 'weights')"
)


@dataclass(frozen=True)
class RowFaults:
    """Rows that are not what was written, by table, as their keys; and runs whose rows contradict each other.

    Args:
        damaged: Keys of damaged rows by table.
        unreadable: Tables that cannot be read to their end, with what SQLite says.
        missing_runs: Runs that studies have and the store lacks.
        lacking_epochs: Finished runs of which epochs are missing.
        lacking_weights: Finished runs without a record of their weights.
    """

    damaged: Mapping[str, Sequence[tuple[object, ...]]] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)
    missing_runs: tuple[str, ...] = ()
    lacking_epochs: tuple[str, ...] = ()
    lacking_weights: tuple[str, ...] = ()

    @property
    def findings(self) -> list[Finding]:
        findings = []
        for table, keys in self.damaged.items():
            remedy, is_mendable = _REMEDIES[table]
            names = [" ".join(str(part)[:16] for part in key) for key in keys]
            verb = "is" if len(keys) == 1 else "are"
            what = f'in table "{table}" {counted(len(keys), "row")} {verb} not what was written ({listed(names)})'
            findings.append(Finding(what, remedy, is_mendable))
        for table, reason in self.unreadable.items():
            findings.append(Finding(f'table "{table}" cannot be read to its end ({reason})', "saved row by row"))
        trained_anew = "trained anew when the study is run again"
        for runs, fault in (
            (self.missing_runs, "of a study missing in the store"),
            (self.lacking_epochs, "finished and lacking epochs"),
            (self.lacking_weights, "finished without a record of weights"),
        ):
            if runs:
                names = [run[:10] for run in runs]
                findings.append(Finding(f"{counted(len(runs), 'run')} {fault} ({listed(names)})", trained_anew))
        return findings


def check_rows(connection: sqlite3.Connection) -> RowFaults:
    """Read every row that evidence rests on."""
    damaged: dict[str, list[tuple[object, ...]]] = {}
    unreadable: dict[str, str] = {}
    for table in TABLES:
        fault = is_damaged(table)
        if table == "runs":
            fault = f"({fault} OR brief IS NOT {expression(table, BRIEF)})"
        keys = ", ".join(KEYS[table])
        try:
            # NOT INDEXED: the table itself, not a copy of some of its columns.
            rows = connection.execute(f"SELECT {keys} FROM {table} NOT INDEXED WHERE {fault}").fetchall()
        except sqlite3.DatabaseError as error:
            unreadable[table] = str(error)
            continue
        if rows:
            damaged[table] = [tuple(row) for row in rows]
    if unreadable:
        return RowFaults(damaged, unreadable)

    def runs(query: str) -> tuple[str, ...]:
        return tuple(str(row[0]) for row in connection.execute(query))

    return RowFaults(damaged, unreadable, runs(MISSING_RUNS), runs(LACKING_EPOCHS), runs(LACKING_WEIGHTS))
