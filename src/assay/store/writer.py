"""The one process that writes a store."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..train.epochs import EpochRecord
from .checksums import TABLES
from .files import connect, modified_ns, translated
from .image_sets import ImageHits
from .lock import writer_lock
from .place import StorePlace
from .predictions import KeptPredictions, Split
from .records import ArmRecord, CandidateRecord, State, TestScore


class StoreWriter:
    """Writes what happens. Every method is one transaction; all may be repeated without harm.

    Use :func:`open_writer`.
    """

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self.folder = folder
        self._connection = connection
        self._place = StorePlace(folder)

    def check_place(self) -> None:
        """Raise StoreMoved where the store has been moved or deleted since it was opened. It costs next to nothing."""
        self._place.check()

    def close(self) -> None:
        self._connection.close()
        self._place.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self.check_place()
        with translated(self.folder):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                if self._connection.in_transaction:  # SQLite rolls back by itself when the disk is full
                    self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def put_study(
        self,
        *,
        name: str,
        question: str,
        spec: dict[str, Any],
        data: dict[str, Any],
        arms: Sequence[ArmRecord],
        members: Sequence[tuple[str, int, int | None, str]],
        runs: Sequence[tuple[str, int, int, dict[str, Any]]],
    ) -> None:
        """The study as it stands now: its arms, and which runs belong to it.

        Args:
            members: (arm name, seed, fold, run id) for every run of the study.
            runs: (run id, seed, planned epochs, spec); a run that is known already is left as it is.
        """
        with self._transaction() as sql:
            study = self._named(sql, name, question, spec, data)
            known = {(row["arm"], row["run"]) for row in sql.execute("SELECT * FROM members WHERE study = ?", (study,))}
            same = {arm for arm, _, _, run in members if (arm, run) in known}
            for (arm,) in sql.execute("SELECT DISTINCT arm FROM retrained WHERE study = ?", (study,)).fetchall():
                if arm not in same:  # it is another arm now, with runs of its own
                    sql.execute("DELETE FROM retrained WHERE study = ? AND arm = ?", (study, arm))
            sql.execute("DELETE FROM arms WHERE study = ?", (study,))
            sql.execute("DELETE FROM members WHERE study = ?", (study,))
            sql.executemany(
                "INSERT INTO arms (study, name, position, levels, spec) VALUES (?, ?, ?, ?, ?)",
                [(study, arm.name, arm.position, json.dumps(arm.levels), json.dumps(arm.spec)) for arm in arms],
            )
            self._plan(sql, runs)
            sql.executemany(
                "INSERT INTO members (study, arm, seed, fold, run) VALUES (?, ?, ?, ?, ?)",
                [(study, arm, seed, fold or 0, run) for arm, seed, fold, run in members],
            )
            self._event(sql, name, "planned", {"runs": len(members)})

    @staticmethod
    def _named(sql: sqlite3.Connection, name: str, question: str, spec: dict[str, Any], data: dict[str, Any]) -> int:
        """A study's row, new or as it stands now; its number."""
        now = time.time()
        sql.execute(
            "INSERT INTO studies (name, question, spec, data, created, updated) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (name) DO UPDATE SET question = excluded.question, spec = excluded.spec, "
            "data = excluded.data, updated = excluded.updated",
            (name, question, json.dumps(spec), json.dumps(data), now, now),
        )
        number: int = sql.execute("SELECT id FROM studies WHERE name = ?", (name,)).fetchone()["id"]
        return number

    def put_retrained(
        self, study: str, members: Sequence[tuple[str, int, str]], runs: Sequence[tuple[str, int, int, dict[str, Any]]]
    ) -> None:
        """An arm's runs without validation images: ``members`` are (arm, seed, run id), ``runs`` as for a study."""
        with self._transaction() as sql:
            self._plan(sql, runs)
            number = sql.execute("SELECT id FROM studies WHERE name = ?", (study,)).fetchone()["id"]
            for arm in {arm for arm, _, _ in members}:
                sql.execute("DELETE FROM retrained WHERE study = ? AND arm = ?", (number, arm))
            sql.executemany(
                "INSERT INTO retrained (study, arm, seed, run) VALUES (?, ?, ?, ?)",
                [(number, *member) for member in members],
            )
            self._event(sql, study, "retraining", {"runs": len(members)})

    def put_spec(self, study: str, question: str, spec: dict[str, Any]) -> None:
        """The study's file as it stands now, where nothing changed that its runs depend on."""
        with self._transaction() as sql:
            sql.execute("UPDATE studies SET question = ?, spec = ? WHERE name = ?", (question, json.dumps(spec), study))

    def begin_search(
        self, *, name: str, question: str, spec: dict[str, Any], data: dict[str, Any], facts: dict[str, Any]
    ) -> None:
        """A study that is a search, with nothing of an earlier one of that name, and what was measured beforehand."""
        with self._transaction() as sql:
            number = self._named(sql, name, question, spec, data)
            for table in ("arms", "members", "retrained", "candidates", "trial_runs"):
                sql.execute(f"DELETE FROM {table} WHERE study = ?", (number,))
            sql.execute("INSERT OR REPLACE INTO searches (study, facts) VALUES (?, ?)", (number, json.dumps(facts)))
            self._event(sql, name, "search begun", facts)

    def put_candidates(
        self, study: str, candidates: Sequence[CandidateRecord], *, facts: dict[str, Any] | None = None
    ) -> None:
        """What a search has drawn, all of a batch at once; and ``facts``, where drawing has changed what is known."""
        with self._transaction() as sql:
            number = sql.execute("SELECT id FROM studies WHERE name = ?", (study,)).fetchone()["id"]
            sql.executemany(
                "INSERT OR REPLACE INTO candidates (study, number, trial, chosen, costs, reason) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (number, one.number, one.trial, json.dumps(one.chosen), json.dumps(one.costs), one.reason)
                    for one in candidates
                ],
            )
            if facts is not None:
                sql.execute("UPDATE searches SET facts = ? WHERE study = ?", (json.dumps(facts), number))
            self._event(sql, study, "proposed", {"candidates": len(candidates)})

    def put_trial_runs(
        self, study: str, members: Sequence[tuple[int, int, str]], runs: Sequence[tuple[str, int, int, dict[str, Any]]]
    ) -> None:
        """Runs of a search's trials: ``members`` are (trial, seed, run id), ``runs`` as for a study."""
        with self._transaction() as sql:
            self._plan(sql, runs)
            number = sql.execute("SELECT id FROM studies WHERE name = ?", (study,)).fetchone()["id"]
            sql.executemany(
                "INSERT OR REPLACE INTO trial_runs (study, trial, seed, run) VALUES (?, ?, ?, ?)",
                [(number, *member) for member in members],
            )
            sql.execute("UPDATE studies SET updated = ? WHERE id = ?", (time.time(), number))
            self._event(sql, study, "training trials", {"runs": len(members)})

    @staticmethod
    def _plan(sql: sqlite3.Connection, runs: Sequence[tuple[str, int, int, dict[str, Any]]]) -> None:
        sql.executemany(
            "INSERT INTO runs (id, seed, state, epochs_planned, spec) VALUES (?, ?, 'queued', ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET seed = excluded.seed, epochs_planned = excluded.epochs_planned, "
            "spec = excluded.spec WHERE runs.spec = '{}' AND excluded.spec != '{}'",  # of a run that was mended
            [(run, seed, epochs, json.dumps(what)) for run, seed, epochs, what in runs],
        )

    def requeue_interrupted(self) -> None:
        """Runs marked as running have no process any more: only the holder of the lock starts any."""
        with self._transaction() as sql:
            sql.execute("UPDATE runs SET state = 'queued' WHERE state = 'running'")

    def requeue_lost(self, study: str, lost: Mapping[str, str]) -> None:
        """Finished runs whose weights are lost are to be trained anew; ``lost`` says by run id what is wrong."""
        with self._transaction() as sql:
            for run, reason in lost.items():
                sql.execute("UPDATE runs SET state = 'queued' WHERE id = ? AND state = 'finished'", (run,))
                self._event(sql, study, "weights lost", {"run": run, "reason": reason})

    def put_sound(self, runs: Iterable[str]) -> None:
        """Weights of these runs have the recorded hash: their files' times are recorded, which changes nothing else."""
        with self._transaction() as sql:
            for run in runs:
                path = sql.execute("SELECT path FROM artifacts WHERE run = ? AND kind = 'weights'", (run,)).fetchone()[
                    0
                ]
                changed = modified_ns(self.folder / path)
                sql.execute("UPDATE artifacts SET modified_ns = ? WHERE run = ? AND kind = 'weights'", (changed, run))

    def put_started(self, study: str, run: str, environment: dict[str, Any]) -> None:
        with self._transaction() as sql:
            sql.execute(
                "UPDATE runs SET state = 'running', reason = '', advice = '', attempts = attempts + 1, "
                "started = coalesce(started, ?), environment = ? WHERE id = ?",
                (time.time(), json.dumps(environment), run),
            )
            self._event(sql, study, "started", {"run": run})

    def put_epochs(self, run: str, records: Sequence[EpochRecord]) -> None:
        with self._transaction() as sql:
            rows = [
                (
                    run, record.epoch, record.train_loss, record.train_accuracy, record.validation_loss,
                    record.validation_accuracy, record.running_loss, record.running_accuracy,
                    record.learning_rate, record.seconds,
                    None if record.health is None else json.dumps(record.health),
                    None if record.measures is None else json.dumps(record.measures),
                )
                for record in records
            ]  # fmt: skip
            # A run that another device trains anew may end sooner than the first try had come. One that is trained anew
            # on the same has the same epochs, and a search may count on those that it had.
            sql.executemany(
                "DELETE FROM epochs WHERE run = :run AND epoch > :epoch AND EXISTS (SELECT 1 FROM epochs WHERE "
                "run = :run AND epoch = :epoch AND (running_loss IS NOT :running OR train_loss IS NOT :train "
                "OR validation_accuracy IS NOT :accuracy))",
                [
                    {
                        "run": run,
                        "epoch": one.epoch,
                        "running": one.running_loss,
                        "train": one.train_loss,
                        "accuracy": one.validation_accuracy,
                    }
                    for one in records
                ],
            )
            sql.executemany(
                f"INSERT OR REPLACE INTO epochs ({', '.join(TABLES['epochs'])}) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )

    def put_finished(
        self,
        study: str,
        run: str,
        *,
        seconds: float,
        peak_memory_bytes: int,
        weights: tuple[str, str, int],
        kept_epoch: int | None = None,
        hits: ImageHits | None = None,
        predictions: KeptPredictions | None = None,
        facts: dict[str, Any] | None = None,
    ) -> None:
        """``weights`` are path (relative to the store), SHA-256 and size in bytes, of ``kept_epoch`` or the last,
        ``hits`` what they get right of the validation images, where there are any, and ``predictions`` what they say of
        them. ``facts`` join the run's environment."""
        with self._transaction() as sql:
            sql.execute(  # a score on the test split is one of these weights alone
                "DELETE FROM test_scores WHERE run = :run AND EXISTS "
                "(SELECT 1 FROM artifacts WHERE run = :run AND kind = 'weights' AND sha256 != :sha256)",
                {"run": run, "sha256": weights[1]},
            )
            sql.execute(  # nor is what was kept of the test images
                "DELETE FROM predictions WHERE run = :run AND (split = 'validation' OR "
                "NOT EXISTS (SELECT 1 FROM test_scores WHERE run = :run))",
                {"run": run},
            )
            sql.execute(
                "INSERT OR REPLACE INTO artifacts (run, kind, path, sha256, bytes, modified_ns) "
                "VALUES (?, 'weights', ?, ?, ?, ?)",
                (run, *weights, modified_ns(self.folder / weights[0])),
            )
            sql.execute(
                "UPDATE runs SET state = 'finished', finished = ?, seconds = ?, peak_memory_bytes = ?, kept_epoch = ? "
                "WHERE id = ?",
                (time.time(), seconds, peak_memory_bytes, kept_epoch, run),
            )
            if facts:
                (text,) = sql.execute("SELECT environment FROM runs WHERE id = ?", (run,)).fetchone()
                known = {**json.loads(text), **facts}
                sql.execute("UPDATE runs SET environment = ? WHERE id = ?", (json.dumps(known), run))
            sql.execute("DELETE FROM validation_hits WHERE run = ?", (run,))  # they were of other weights
            if hits is not None:
                self._put_hits(sql, run, hits)
            if hits is not None and predictions is not None:
                self._put_predictions(sql, run, "validation", hits.image_set, predictions)
            self._event(sql, study, "finished", {"run": run})

    def put_validation_hits(
        self, study: str, run: str, hits: ImageHits, predictions: KeptPredictions | None = None
    ) -> None:
        """Of a run that has finished: what its weights get right of its validation images, and say of them."""
        with self._transaction() as sql:
            self._put_hits(sql, run, hits)
            if predictions is not None:
                self._put_predictions(sql, run, "validation", hits.image_set, predictions)
            self._event(sql, study, "evaluated", {"run": run})

    @staticmethod
    def _put_hits(sql: sqlite3.Connection, run: str, hits: ImageHits) -> None:
        sql.execute("INSERT OR IGNORE INTO image_sets (id, images) VALUES (?, ?)", (hits.image_set, hits.images))
        sql.execute(
            "INSERT OR REPLACE INTO validation_hits (run, images, hits) VALUES (?, ?, ?)",
            (run, hits.image_set, hits.hits),
        )

    @staticmethod
    def _put_predictions(
        sql: sqlite3.Connection, run: str, split: Split, images: str, predictions: KeptPredictions
    ) -> None:
        label_set = predictions.label_set
        sql.execute(
            "INSERT OR IGNORE INTO label_sets (id, labels, groups) VALUES (?, ?, ?)",
            (label_set, predictions.labels, predictions.groups or None),
        )
        sql.execute(
            "INSERT OR REPLACE INTO predictions (run, split, images, label_set, num_classes, logs) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (run, split, images, label_set, predictions.num_classes, predictions.logs),
        )

    def put_test_predictions(self, predictions: Mapping[str, KeptPredictions]) -> None:
        """What runs say of test images that were looked at before, by run id."""
        with self._transaction() as sql:
            for run, kept in predictions.items():
                self._put_predictions(sql, run, "test", "", kept)

    def put_paused(self, run: str, seconds: float | None) -> None:
        """A run that a search has stopped; ``seconds`` so far, or ``None`` for those that are known."""
        with self._transaction() as sql:
            sql.execute("UPDATE runs SET state = 'paused', seconds = coalesce(?, seconds) WHERE id = ?", (seconds, run))

    def put_failed(self, study: str, run: str, *, state: State, reason: str, advice: str) -> None:
        with self._transaction() as sql:
            sql.execute(
                "UPDATE runs SET state = ?, reason = ?, advice = ?, finished = ? WHERE id = ?",
                (state, reason, advice, time.time(), run),
            )
            self._event(sql, study, "failed", {"run": run, "state": state, "reason": reason})

    def put_event(self, study: str, kind: str, detail: dict[str, Any]) -> None:
        with self._transaction() as sql:
            self._event(sql, study, kind, detail)

    def put_look(
        self,
        study: str,
        scores: dict[str, TestScore],
        *,
        num_runs: int,
        test_images: str = "",
        is_of_retrained: bool = False,
    ) -> None:
        """One look at the test split, with the scores that it shows, in one transaction.

        Args:
            study: The study's name.
            scores: New scores by run id.
            num_runs: How many runs, the study's or retrained ones, it showed.
            test_images: The images that it was at, ``TestData.images_sha256``; of several data sets, each one's with
                spaces between.
            is_of_retrained: Whether it was at retrained runs alone.
        """
        with self._transaction() as sql:
            sql.executemany(
                "INSERT OR REPLACE INTO test_scores (run, loss, accuracy, hits) VALUES (?, ?, ?, ?)",
                [(run, score.loss, score.accuracy, score.hits) for run, score in scores.items()],
            )
            for run, score in scores.items():
                if score.predictions is not None:
                    self._put_predictions(sql, run, "test", "", score.predictions)
            sql.execute(
                "INSERT INTO looks (study, time, num_runs, num_new, is_of_retrained, test_images, content) "
                "SELECT id, ?, ?, ?, ?, ?, coalesce(json_extract(data, '$.content'), '') FROM studies WHERE name = ?",
                (time.time(), num_runs, len(scores), is_of_retrained, test_images, study),
            )
            self._event(sql, study, "revealed", {"runs": num_runs, "new": len(scores)})

    @staticmethod
    def _event(sql: sqlite3.Connection, study: str, kind: str, detail: dict[str, Any]) -> None:
        sql.execute(
            "INSERT INTO events (time, study, kind, detail) VALUES (?, ?, ?, ?)",
            (time.time(), study, kind, json.dumps(detail)),
        )


@contextlib.contextmanager
def open_writer(folder: Path) -> Iterator[StoreWriter]:
    """The store at ``folder``, made if need be, locked for this process.

    Raises:
        StoreBusy: Another process is writing to it.
        StoreTooNew: A later version of Assay wrote it.
        StoreError: It cannot be opened.
        DiskFull: There is no room for it.
    """
    with writer_lock(folder):
        connection = connect(folder, writable=True)
        writer = StoreWriter(folder, connection)
        try:
            yield writer
        finally:
            writer.close()
