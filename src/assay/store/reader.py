"""Reading a store, also while another process writes it."""

from __future__ import annotations

import contextlib
import json
import math
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from ..errors import Problem, StoreError, nearest
from ..train.epochs import EpochRecord
from .files import connect, translated
from .records import ArmRecord, CandidateRecord, LookRecord, RunRecord, SearchRecord, State, StudyRecord, trial_name


class StoreReader:
    """Answers questions about a store. Use :func:`open_reader`."""

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self.folder = folder
        self._connection = connection

    def study_names(self) -> list[str]:
        """Every study, the one that changed last first."""
        return [row["name"] for row in self._query("SELECT name FROM studies ORDER BY updated DESC, id DESC")]

    def states(self, runs: Iterable[str]) -> dict[str, State]:
        """The state of each run that the store knows."""
        wanted = set(runs)
        return {row["id"]: row["state"] for row in self._query("SELECT id, state FROM runs") if row["id"] in wanted}

    def study(self, name: str) -> StudyRecord:
        """A study with everything known about it, in one consistent read.

        Raises:
            StoreError: There is no such study.
        """
        with translated(self.folder):
            self._connection.execute("BEGIN")
            try:
                return self._study(name)
            finally:
                self._connection.execute("COMMIT")

    def _study(self, name: str) -> StudyRecord:
        rows = list(self._query("SELECT * FROM studies WHERE name = ?", name))
        if not rows:
            known = self.study_names()
            fix = nearest(name, known) if known else "run one first"
            raise StoreError(Problem(f'there is no study "{name}"', fix, file=str(self.folder)))
        study = rows[0]
        arms = tuple(
            ArmRecord(row["name"], row["position"], json.loads(row["levels"]), json.loads(row["spec"]))
            for row in self._query("SELECT * FROM arms WHERE study = ? ORDER BY position", study["id"])
        )
        looks = tuple(
            LookRecord(row["time"], row["num_runs"], row["num_new"])
            for row in self._query("SELECT * FROM looks WHERE study = ? ORDER BY id", study["id"])
        )
        positions = {arm.name: arm.position for arm in arms}
        return StudyRecord(
            name=study["name"],
            question=study["question"],
            spec=json.loads(study["spec"]),
            data=json.loads(study["data"]),
            created=study["created"],
            updated=study["updated"],
            arms=arms,
            runs=self._runs("members", study["id"], positions, is_revealed=bool(looks)),
            looks=looks,
            retrained=self._runs("retrained", study["id"], positions, is_revealed=bool(looks)),
            test_hits={
                row["run"]: row["hits"]
                for row in self._query(
                    "SELECT DISTINCT test_scores.run, hits FROM test_scores JOIN members "
                    "ON members.run = test_scores.run WHERE study = ? AND hits IS NOT NULL",
                    study["id"],
                )
            },
            search=self._search(study["id"]) if json.loads(study["spec"]).get("search") else None,
        )

    def _search(self, study: int) -> SearchRecord:
        facts = [json.loads(row["facts"]) for row in self._query("SELECT facts FROM searches WHERE study = ?", study)]
        candidates = tuple(
            CandidateRecord(
                row["number"], row["trial"], json.loads(row["chosen"]), json.loads(row["costs"]), row["reason"]
            )
            for row in self._query("SELECT * FROM candidates WHERE study = ? ORDER BY number", study)
        )
        positions = {trial_name(one.trial): one.number for one in candidates if one.trial is not None}
        runs = self._runs("trial_runs", study, positions, is_revealed=False)
        return SearchRecord(facts[0] if facts else {}, candidates, runs)

    def _runs(
        self,
        table: Literal["members", "retrained", "trial_runs"],
        study: int,
        positions: dict[str, int],
        *,
        is_revealed: bool,
    ) -> tuple[RunRecord, ...]:
        """The study's runs. A run's test score may come of another study that shares it: before a study's own look at
        the test split, it has none."""
        fold = "members.fold" if table == "members" else "0"
        arm = "'trial ' || trial_runs.trial" if table == "trial_runs" else f"{table}.arm"
        epochs: dict[str, list[EpochRecord]] = {}
        for row in self._query(
            f"SELECT DISTINCT epochs.* FROM epochs JOIN {table} ON {table}.run = epochs.run WHERE study = ? "
            "ORDER BY epochs.run, epoch",
            study,
        ):
            values = dict(row)
            run, epoch, health = values.pop("run"), values.pop("epoch"), values.pop("health")
            measures = {key: math.nan if value is None else value for key, value in values.items()}
            epochs.setdefault(run, []).append(
                EpochRecord(epoch=epoch, **measures, health=health and json.loads(health))
            )
        rows = self._query(
            f"SELECT runs.*, {arm} AS arm, {table}.seed AS member_seed, {fold} AS fold, path, sha256, loss, accuracy "
            f"FROM {table} JOIN runs ON runs.id = {table}.run "
            "LEFT JOIN artifacts ON artifacts.run = runs.id AND kind = 'weights' "
            "LEFT JOIN test_scores ON test_scores.run = runs.id WHERE study = ?",
            study,
        )
        runs = [
            RunRecord(
                id=row["id"],
                arm=row["arm"],
                seed=row["member_seed"],
                state=row["state"],
                reason=row["reason"],
                advice=row["advice"],
                attempts=row["attempts"],
                started=row["started"],
                finished=row["finished"],
                seconds=row["seconds"],
                peak_memory_bytes=row["peak_memory_bytes"],
                weights_path=row["path"],
                weights_sha256=row["sha256"],
                epochs_planned=row["epochs_planned"],
                epochs=tuple(epochs.get(row["id"], ())),
                environment=json.loads(row["environment"]),
                test_accuracy=row["accuracy"] if is_revealed else None,
                test_loss=row["loss"] if is_revealed else None,
                fold=row["fold"] or None,
                kept_epoch=row["kept_epoch"],
            )
            for row in rows
        ]
        return tuple(sorted(runs, key=lambda run: (positions[run.arm], run.seed, run.fold or 0)))

    def _query(self, sql: str, *values: object) -> Iterator[sqlite3.Row]:
        with translated(self.folder):
            yield from self._connection.execute(sql, values)


@contextlib.contextmanager
def open_reader(folder: Path) -> Iterator[StoreReader]:
    """The store at ``folder``, for reading.

    Raises:
        StoreError: There is none, or it cannot be opened.
        StoreTooNew: A later version of Assay wrote it.
    """
    connection = connect(folder, writable=False)
    try:
        yield StoreReader(folder, connection)
    finally:
        connection.close()
