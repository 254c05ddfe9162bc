"""Reading a store, also while another process writes it."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import math
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..errors import NoSuchStudy, Problem, StoreError, nearest
from ..numerals import counted
from ..spec import fingerprint
from ..train.epochs import EpochRecord
from . import schema
from .checksums import BRIEF, expression, is_damaged
from .collection import collection_paused
from .columns import BriefRuns, RunColumns, reals, states_of, wholes
from .files import connect, damaged, translated
from .image_sets import ImageSets
from .predictions import KeptPredictions, PredictionRows, Split
from .records import (
    ArmRecord,
    CandidateRecord,
    LookRecord,
    RunProgress,
    RunRecord,
    SearchRecord,
    State,
    StudyRecord,
    VerdictLook,
    WeightsRecord,
    trial_name,
)
from .summaries import MANY_RUNS, kept_summary
from .values import blob, mapping, numbers, whole

BEGINS = ("planned", "retraining", "search begun", "proposed", "training trials")  # events of a process at work


class StoreReader:
    """Answers questions about a store. Use :func:`open_reader`."""

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self.folder = folder
        self._connection = connection

    @whole
    def study_names(self) -> list[str]:
        """Every study, the one that changed last first."""
        return [row["name"] for row in self._query("SELECT name FROM studies ORDER BY updated DESC, id DESC")]

    @whole
    def states(self, runs: Iterable[str]) -> dict[str, State]:
        """The state of each run that the store knows."""
        wanted = set(runs)
        self._verify("runs", "id IN (SELECT value FROM json_each(?))", *_json(wanted))
        return {row["id"]: row["state"] for row in self._query("SELECT id, state FROM runs") if row["id"] in wanted}

    @whole
    def weights_of(self, runs: Iterable[str]) -> dict[str, WeightsRecord]:
        """The files of finished runs' weights, by run id."""
        wanted = set(runs)
        self._verify("artifacts", "run IN (SELECT value FROM json_each(?))", *_json(wanted))
        rows = self._query("SELECT run, path, sha256, bytes, modified_ns FROM artifacts WHERE kind = 'weights'")
        return {run: WeightsRecord(*values) for run, *values in rows if run in wanted}

    @whole
    def progress(self, runs: Collection[str], *, besides: str) -> dict[str, RunProgress]:
        """How far each run is that the store knows, and whether a search trains it ``besides`` the one of that name."""
        rows = self._query(
            "SELECT id, state, (SELECT count(*) FROM epochs WHERE run = id) AS epochs, "
            "EXISTS (SELECT 1 FROM trial_runs WHERE run = id "
            "AND study NOT IN (SELECT id FROM studies WHERE name = ?)) AS is_shared FROM runs "
            "WHERE id IN (SELECT value FROM json_each(?))",
            besides,
            *_json(runs),
        )
        return {row["id"]: RunProgress(row["state"], row["epochs"], bool(row["is_shared"])) for row in rows}

    @whole
    def peak_memory(self) -> dict[tuple[str, str], int]:
        """Bytes that runs took at their peak: the most by their arm (fingerprint of its identity) and data content."""
        rows = self._query(
            "SELECT json_extract(spec, '$.arm') AS arm, json_extract(spec, '$.data.content') AS content, "
            "max(peak_memory_bytes) AS bytes FROM runs WHERE peak_memory_bytes IS NOT NULL GROUP BY arm, content"
        )
        return {(fingerprint(json.loads(row["arm"])), row["content"]): row["bytes"] for row in rows}

    @whole
    def runs_called(self, start: str) -> dict[str, str]:
        """Runs whose id begins with these characters, and for each the study that holds it and changed last."""
        tables = "(SELECT study, run FROM members UNION SELECT study, run FROM retrained)"
        rows = self._query(
            f"SELECT run, name FROM {tables} JOIN studies ON studies.id = study "
            "WHERE substr(run, 1, ?) = ? ORDER BY updated, studies.id",
            len(start),
            start,
        )
        return {row["run"]: row["name"] for row in rows}

    @whole
    def overviews(self) -> list[dict[str, Any]]:
        """Each study's name, question, data, times, arms, looks and counts of states, the one that changed last first.

        ``states`` counts its runs, ``trial_states`` those of a search's trials.
        """
        states, trial_states = self._counts("members"), self._counts("trial_runs")
        rows = self._query(
            "SELECT *, (SELECT count(*) FROM arms WHERE study = studies.id) AS num_arms, "
            "(SELECT count(*) FROM looks WHERE study = studies.id) AS num_looks FROM studies "
            "ORDER BY updated DESC, id DESC"
        )
        overviews = []
        for row in rows:
            spec, data = mapping(row["spec"]), mapping(row["data"])
            overviews.append(
                {
                    "name": row["name"],
                    "question": row["question"],
                    "data": str(data.get("title") or data.get("name") or ""),
                    "created": row["created"],
                    "updated": row["updated"],
                    "num_arms": row["num_arms"],
                    "num_looks": row["num_looks"],
                    "states": states.get(row["id"], {}),
                    "trial_states": trial_states.get(row["id"], {}),
                    "is_leaky": spec.get("data", {}).get("validation") == "test",
                }
            )
        return overviews

    def _counts(self, table: Literal["members", "trial_runs"]) -> dict[int, dict[State, int]]:
        counts: dict[int, dict[State, int]] = {}
        for row in self._query(
            f"SELECT study, state, count(*) AS n FROM {table} CROSS JOIN runs {self._in_brief()} ON runs.id = run "
            "GROUP BY study, state"
        ):
            counts.setdefault(row["study"], {})[row["state"]] = row["n"]
        return counts

    def _in_brief(self) -> str:
        """What makes a query read no whole rows of runs, which SQLite would rather do."""
        is_there = list(self._query("SELECT 1 FROM sqlite_master WHERE name = ?", schema.IN_BRIEF))
        return f"INDEXED BY {schema.IN_BRIEF}" if is_there else ""

    @whole
    def last_event(self) -> tuple[int, str]:
        """The last event's number, and the study whose training began last."""
        number = next(self._query("SELECT coalesce(max(id), 0) AS n FROM events"))["n"]
        kinds = ", ".join("?" * len(BEGINS))
        began = f"SELECT study FROM events WHERE kind IN ({kinds}) ORDER BY id DESC LIMIT 1"
        return number, next((row["study"] for row in self._query(began, *BEGINS)), "")

    @whole
    def events_after(self, number: int) -> list[tuple[int, str, str, str]]:
        """(number, study, kind, detail as JSON) of every later event, in order."""
        rows = self._query("SELECT id, study, kind, detail FROM events WHERE id > ? ORDER BY id", number)
        return [(row["id"], row["study"], row["kind"], row["detail"]) for row in rows]

    @whole
    def some_runs(self, study: str, runs: Collection[str]) -> tuple[RunRecord, ...]:
        """A study's runs with these ids, as they stand now."""
        for row in list(self._query("SELECT id FROM studies WHERE name = ?", study)):
            arms = self._query("SELECT name, position FROM arms WHERE study = ?", row["id"])
            positions = {arm["name"]: arm["position"] for arm in arms}
            looks = list(self._query("SELECT 1 FROM looks WHERE study = ? AND NOT is_of_retrained", row["id"]))
            return self._runs("members", row["id"], positions, is_revealed=bool(looks), only=runs)
        return ()

    @whole
    def verdict_looks(self, study: str) -> tuple[VerdictLook, ...]:
        """Every look at a study's verdicts so far, in order.

        Raises:
            NoSuchStudy: There is no such study.
            StoreError: A look cannot be read.
        """
        return self._verdict_looks(self._study_row(study))

    @whole
    def looks_elsewhere(self, study: str, test_images: str = "") -> int:
        """How often other studies have looked at the test images of a study.

        Args:
            study: The study's name.
            test_images: Its test images (``TestData.images_sha256``); what looks at its data set were at if empty.

        Raises:
            NoSuchStudy: There is no such study.
        """
        return self._looks_elsewhere(self._study_row(study), test_images)

    def _looks_elsewhere(self, study: sqlite3.Row, test_images: str = "") -> int:
        # Other data with the same test images are known by these; a look at several data sets holds the images of each.
        # Earlier versions recorded the data set alone.
        content = str(mapping(study["data"]).get("content") or "")
        rows = self._query(
            "SELECT count(*) AS n FROM looks WHERE study != :study AND (content != '' AND content = :content "
            "OR test_images != '' AND (:images != '' AND instr(test_images, :images) OR EXISTS "
            "(SELECT 1 FROM looks AS known WHERE known.test_images != '' "
            "AND (known.study = :study OR known.content != '' AND known.content = :content) "
            "AND (instr(looks.test_images, known.test_images) OR instr(known.test_images, looks.test_images)))))",
            {"study": study["id"], "content": content, "images": test_images},
        )
        return int(next(rows)["n"])

    @whole
    def some_validation_hits(self, study: str, runs: Collection[str]) -> tuple[dict[str, tuple[str, bytes]], ImageSets]:
        """Of a study's runs with these ids, what ``StudyRecord.validation_hits`` holds, and the image sets of that."""
        self._study_row(study)
        hits = self._validation_hits(runs)
        return hits, self._image_sets(hits)

    @whole
    def finished_without_hits(self, study: str) -> tuple[RunRecord, ...]:
        """A study's finished runs of which it is not stored which validation images they get right, or what they say of
        them."""
        rows = self._query(
            "SELECT DISTINCT members.run FROM members JOIN studies ON studies.id = study "
            f"JOIN runs {self._in_brief()} ON runs.id = members.run WHERE name = ? AND state = 'finished' "
            "AND NOT (EXISTS (SELECT 1 FROM validation_hits WHERE validation_hits.run = members.run) "
            "AND EXISTS (SELECT 1 FROM predictions WHERE predictions.run = members.run AND split = 'validation'))",
            study,
        )
        lacking = [row["run"] for row in rows]
        return self.some_runs(study, lacking) if lacking else ()

    @whole
    def some_trial_runs(self, study: str, search: SearchRecord, runs: Collection[str]) -> tuple[RunRecord, ...]:
        """A search's runs with these ids, as they stand now."""
        positions = {trial_name(trial): one.number for trial, one in search.trials.items()}
        for row in list(self._query("SELECT id FROM studies WHERE name = ?", study)):
            return self._runs("trial_runs", row["id"], positions, is_revealed=False, only=runs)
        return ()

    @whole
    def check(self, name: str) -> None:
        """Raise NoSuchStudy where there is no such study."""
        self._study_row(name)

    def _study_row(self, name: str) -> sqlite3.Row:
        rows = list(self._query("SELECT * FROM studies WHERE name = ?", name))
        if not rows:
            known = self.study_names()
            fix = nearest(name, known) if known else "run one first"
            raise NoSuchStudy(Problem(f'there is no study "{name}"', fix, file=str(self.folder)))
        self._verify("studies", "name = ?", name)
        return rows[0]

    def _verify(self, table: str, condition: str, *values: object) -> None:
        """Raise StoreError where rows that fulfil a condition are not what was written."""
        self._refuse_damage(
            table, f"SELECT count(*) AS n FROM {table} WHERE {condition} AND {is_damaged(table)}", *values
        )

    def _refuse_damage(self, table: str, counting: str, *values: object) -> None:
        if number := next(self._query(counting, *values))["n"]:
            rows = f"{counted(number, 'row')} {'is' if number == 1 else 'are'}"
            what = f'the store\'s database is damaged: in its table "{table}", {rows} not what was written'
            raise damaged(self.folder, what)

    @whole
    def lacks_summary(self, study: str) -> bool:
        """Whether a study has many runs and no summary of them (summaries.py)."""
        number = self._study_row(study)["id"]
        if next(self._query("SELECT count(*) AS n FROM members WHERE study = ?", number))["n"] < MANY_RUNS:
            return False
        return not list(self._query("SELECT 1 FROM summaries WHERE study = ?", number))

    @whole
    def data_version(self) -> int:
        """Another number after each change of the store by another connection."""
        return int(next(self._query("PRAGMA data_version"))["data_version"])

    @whole
    def study(self, name: str, *, is_brief: bool = False) -> StudyRecord:
        """A study with everything known about it, in one consistent read.

        Args:
            name: The study's name.
            is_brief: Of each run read what tells its state and its scores only: many times faster, for large studies.

        Raises:
            NoSuchStudy: There is no such study.
        """
        with translated(self.folder):
            self._connection.execute("BEGIN")
            try:
                with collection_paused() if is_brief else contextlib.nullcontext():
                    return self._study(name, is_brief)
            finally:
                self._connection.execute("COMMIT")

    def _study(self, name: str, is_brief: bool) -> StudyRecord:
        study = self._study_row(name)
        self._verify("arms", "study = ?", study["id"])
        self._verify("looks", "true")  # also one that seems to be another study's
        arms = tuple(
            ArmRecord(row["name"], row["position"], mapping(row["levels"]), mapping(row["spec"]))
            for row in self._query("SELECT * FROM arms WHERE study = ? ORDER BY position", study["id"])
        )
        looks = tuple(
            LookRecord(row["time"], row["num_runs"], row["num_new"], bool(row["is_of_retrained"]))
            for row in self._query("SELECT * FROM looks WHERE study = ? ORDER BY id", study["id"])
        )
        # A score may come of another study that shares the run: it shows after this study's own look at such runs.
        is_revealed = any(not look.is_of_retrained for look in looks)
        are_retrained_revealed = any(look.is_of_retrained for look in looks)
        positions = {arm.name: arm.position for arm in arms}
        read: Callable[..., Sequence[RunRecord]] = self._brief_runs if is_brief else self._runs
        runs: Sequence[RunRecord]
        if is_brief and (summary := kept_summary(self._connection, study["id"])) is not None:
            runs, validation_hits = summary.runs, summary.validation_hits
        else:
            runs = read("members", study["id"], positions, is_revealed=is_revealed)
            ids = runs.columns.ids if isinstance(runs, BriefRuns) else [run.id for run in runs]
            validation_hits = self._validation_hits(ids)
        return StudyRecord(
            name=study["name"],
            question=study["question"],
            spec=mapping(study["spec"]),
            data=mapping(study["data"]),
            created=study["created"],
            updated=study["updated"],
            arms=arms,
            runs=runs,
            looks=looks,
            looks_elsewhere=self._looks_elsewhere(study),
            retrained=tuple(read("retrained", study["id"], positions, is_revealed=are_retrained_revealed)),
            test_hits=self._hits(study["id"]) if is_revealed else {},
            search=self._search(study["id"]) if mapping(study["spec"]).get("search") else None,
            verdict_looks=self._verdict_looks(study),
            validation_hits=validation_hits,
            image_sets=self._image_sets(validation_hits),
            predictions=functools.partial(stored_predictions, self.folder),
        )

    def _hits(self, study: int) -> dict[str, bytes]:
        rows = self._query(
            "SELECT DISTINCT test_scores.run, hits FROM test_scores JOIN members ON members.run = test_scores.run "
            "WHERE study = ? AND hits IS NOT NULL",
            study,
        )
        return {row["run"]: blob(row["hits"]) for row in rows}

    def _validation_hits(self, only: Collection[str]) -> dict[str, tuple[str, bytes]]:
        """What ``StudyRecord.validation_hits`` holds of these runs."""
        among, chosen = self._among("run", only)
        self._verify("validation_hits", among.removeprefix("WHERE ") or "true", *chosen)
        rows = self._rows(f"SELECT run, images, hits FROM validation_hits {among}", *chosen)
        wanted = set(only)
        runs, images, hits = zip(*rows, strict=True) if rows else ((), (), ())
        if not {*map(type, hits)} <= {bytes}:
            raise TypeError("hits are no bytes")
        known = dict(zip(runs, zip(images, hits, strict=True), strict=True))
        return known if known.keys() <= wanted else {run: known[run] for run in known.keys() & wanted}

    @whole
    def predictions(self, runs: Collection[str], split: Split) -> list[tuple[str, str, KeptPredictions]]:
        """Of these runs that have predictions on a split: the run, the id of its images, and the predictions."""
        some = "run IN (SELECT value FROM json_each(?)) AND split = ?"
        self._verify("predictions", some, *_json(runs), split)
        rows = self._rows(f"SELECT run, images, label_set, num_classes, logs FROM predictions WHERE {some}",
                          *_json(runs), split)  # fmt: skip
        wanted = "id IN (SELECT value FROM json_each(?))"
        names = _json({row[2] for row in rows})
        self._verify("label_sets", wanted, *names)
        label_sets = {
            name: (blob(labels), b"" if groups is None else blob(groups))
            for name, labels, groups in self._rows(f"SELECT id, labels, groups FROM label_sets WHERE {wanted}", *names)
        }
        return [
            (run, images, KeptPredictions(*label_sets[labels], int(num_classes), blob(logs)))
            for run, images, labels, num_classes, logs in rows
        ]

    @whole
    def runs_with_predictions(self, runs: Collection[str], split: Split) -> set[str]:
        """Which of these runs have predictions on a split."""
        some = "run IN (SELECT value FROM json_each(?)) AND split = ?"
        return {row[0] for row in self._rows(f"SELECT run FROM predictions WHERE {some}", *_json(runs), split)}

    def _image_sets(self, hits: dict[str, tuple[str, bytes]]) -> ImageSets:
        wanted = {images for images, _ in hits.values()}
        some = "id IN (SELECT value FROM json_each(?))"
        self._verify("image_sets", some, *_json(wanted))
        rows = self._query(f"SELECT id, images FROM image_sets WHERE {some}", *_json(wanted))
        image_sets = {row["id"]: blob(row["images"]) for row in rows}
        if wanted - set(image_sets):
            raise ValueError("validation images of some runs are missing")
        return ImageSets(image_sets)

    def _verdict_looks(self, study: sqlite3.Row) -> tuple[VerdictLook, ...]:
        self._verify("verdict_looks", "true")
        looks = []
        for row in self._query("SELECT * FROM verdict_looks WHERE study = ? ORDER BY number", study["id"]):
            try:
                seen = mapping(row["seen"])
            except (ValueError, TypeError):
                what = f'look {row["number"]} at the verdicts of study "{study["name"]}" cannot be read'
                raise StoreError(Problem(what, "restore the store from a backup", file=str(self.folder))) from None
            looks.append(VerdictLook(row["number"], float(row["time"]), int(row["planned"]), seen))
        return tuple(looks)

    def _search(self, study: int) -> SearchRecord:
        for table in ("searches", "candidates"):
            self._verify(table, "study = ?", study)
        facts = [mapping(row["facts"]) for row in self._query("SELECT facts FROM searches WHERE study = ?", study)]
        candidates = tuple(
            CandidateRecord(row["number"], row["trial"], mapping(row["chosen"]), mapping(row["costs"]), row["reason"])
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
        only: Collection[str] | None = None,
    ) -> tuple[RunRecord, ...]:
        """The study's runs, or only those with these ids; without test scores unless ``is_revealed``."""
        fold = "members.fold" if table == "members" else "0"
        arm = "'trial ' || trial_runs.trial" if table == "trial_runs" else f"{table}.arm"
        some, chosen = ("", ()) if only is None else ("AND {}.run IN (SELECT value FROM json_each(?))", _json(only))
        self._verify(table, f"study = ? {some.format(table)}", study, *chosen)
        of_these = f"IN (SELECT run FROM {table} WHERE study = ? {some.format(table)})"
        self._verify("runs", f"id {of_these}", study, *chosen)
        for other in ("epochs", "artifacts", "test_scores"):
            self._verify(other, f"run {of_these}", study, *chosen)
        epochs: dict[str, list[EpochRecord]] = {}
        # Many thousand rows: the columns in the record's own order, and no names looked up.
        columns = ", ".join(field.name for field in dataclasses.fields(EpochRecord))
        for run, epoch, *measures, health, measured in self._query(
            f"SELECT run, {columns} FROM epochs WHERE run IN (SELECT run FROM {table} WHERE study = ? "
            f"{some.format(table)}) ORDER BY run, epoch",
            study,
            *chosen,
        ):
            if None in measures:  # what was no number is stored as nothing
                measures = [math.nan if value is None else value for value in measures]
            sum(measures, epoch)  # TypeError: one is no number
            values = [epoch, *measures, health and mapping(health), measured and mapping(measured)]
            epochs.setdefault(run, []).append(EpochRecord(*values))
        rows = self._query(
            f"SELECT runs.*, {arm} AS arm, {table}.seed AS member_seed, {fold} AS fold, path, sha256, loss, accuracy "
            f"FROM {table} JOIN runs ON runs.id = {table}.run "
            "LEFT JOIN artifacts ON artifacts.run = runs.id AND kind = 'weights' "
            f"LEFT JOIN test_scores ON test_scores.run = runs.id WHERE study = ? {some.format(table)}",
            study,
            *chosen,
        )
        environments = functools.cache(mapping)  # most runs have the same
        runs = [
            RunRecord(
                id=row["id"],
                arm=row["arm"],
                seed=row["member_seed"],
                state=row["state"],
                reason=row["reason"],
                advice=row["advice"],
                **numbers(row, "attempts", "started", "finished", "seconds", "peak_memory_bytes", "epochs_planned"),
                weights_path=row["path"],
                weights_sha256=row["sha256"],
                epochs=tuple(epochs.get(row["id"], ())),
                environment=environments(row["environment"]),
                test_accuracy=scores["accuracy"] if is_revealed else None,
                test_loss=scores["loss"] if is_revealed else None,
                fold=row["fold"] or None,
                kept_epoch=row["kept_epoch"],
            )
            for row in rows
            for scores in (numbers(row, "loss", "accuracy", "kept_epoch", "member_seed", "fold"),)
        ]
        if only is None:
            self._refuse_missing(table, study, len(runs))
        self._refuse_lacking(sum(run.state == "finished" and run.lacks_epochs for run in runs))
        return tuple(sorted(runs, key=lambda run: (positions[run.arm], run.seed, run.fold or 0)))

    def _brief_runs(
        self, table: Literal["members", "retrained"], study: int, positions: dict[str, int], *, is_revealed: bool
    ) -> BriefRuns:
        """As ``_runs``, but as columns, without what a verdict has no use for."""
        self._verify(table, "study = ?", study)
        self._verify("test_scores", f"run IN (SELECT run FROM {table} WHERE study = ?)", study)
        in_brief = f"FROM {table} JOIN runs {self._in_brief()} ON runs.id = {table}.run"
        counted = (
            "JOIN epochs ON epochs.run = runs.id AND epochs.epoch = "
            "coalesce(kept_epoch, (SELECT max(epoch) FROM epochs AS other WHERE other.run = runs.id)) WHERE study = ?"
        )
        is_other = f"brief IS NOT {expression('runs', BRIEF)}"
        self._refuse_damage("runs", f"SELECT count(*) AS n {in_brief} WHERE study = ? AND {is_other}", study)
        self._refuse_damage("epochs", f"SELECT count(*) AS n {in_brief} {counted} AND {is_damaged('epochs')}", study)
        fold = "fold" if table == "members" else "0"
        arms = sorted(positions, key=positions.__getitem__)
        places = {arm: place for place, arm in enumerate(arms)}
        arm: list[int] = []
        seed: list[int] = []
        of_fold: list[int] = []
        ids: list[str] = []
        for name, runs, seeds, folds in self._rows(  # one row an arm: a hundred thousand rows cost more
            f"SELECT arm, group_concat(run, char(10)), group_concat(seed), group_concat({fold}) FROM {table} "
            "WHERE study = ? GROUP BY arm",
            study,
        ):
            ids += runs.split("\n")
            arm += [places[name]] * (len(ids) - len(arm))
            seed += map(int, seeds.split(","))
            of_fold += map(int, folds.split(","))
        scores = "LEFT JOIN test_scores ON test_scores.run = runs.id" if is_revealed else ""
        among, chosen = self._among("runs.id", ids)
        facts = self._rows(
            "SELECT runs.id, state, epochs_planned, kept_epoch, epoch, validation_accuracy, validation_loss, "
            f"{'accuracy, loss' if is_revealed else 'NULL, NULL'} FROM runs {self._in_brief()} {scores} "
            "LEFT JOIN epochs ON epochs.run = runs.id AND epochs.epoch = "
            f"coalesce(kept_epoch, (SELECT max(epoch) FROM epochs AS other WHERE other.run = runs.id)) {among}",
            *chosen,
        )
        known, state, *numbers = zip(*facts, strict=True) if facts else [()] * 9
        kept_epochs = zip(state, *numbers[1:3], strict=True)  # with what there is of them
        self._refuse_lacking(sum(one == "finished" and bool(kept) and not at for one, kept, at in kept_epochs))
        row_of = dict(zip(known, range(len(known)), strict=True))
        rows = np.fromiter(map(row_of.__getitem__, ids), dtype=np.int64, count=len(ids))
        order = np.lexsort((of_fold, seed, arm)) if ids else rows
        planned, kept, epoch = (wholes(column)[rows[order]] for column in numbers[:3])
        accuracy, loss, test_accuracy, test_loss = (reals(column)[rows[order]] for column in numbers[3:])
        columns = RunColumns(
            [ids[place] for place in order], arms, wholes(arm)[order], wholes(seed)[order], wholes(of_fold)[order],
            states_of(state)[rows[order]], planned, kept, epoch, accuracy, loss, test_accuracy, test_loss,
        )  # fmt: skip
        return BriefRuns(columns)

    def _refuse_missing(self, table: str, study: int, num_read: int) -> None:
        """Raise StoreError where a study has members of which the store lacks the run: joins leave them out."""
        number = next(self._query(f"SELECT count(*) AS n FROM {table} WHERE study = ?", study))["n"]
        if number != num_read:
            what = f"the store's database is damaged: it lacks {counted(number - num_read, 'run')} that a study has"
            raise damaged(self.folder, what)

    def _refuse_lacking(self, number: int) -> None:
        """Raise StoreError where finished runs lack epochs, the kept one among them: their scores would be left out."""
        if number:
            runs = f"{counted(number, 'finished run')} {'lacks' if number == 1 else 'lack'}"
            raise damaged(self.folder, f"the store's database is damaged: {runs} epochs")

    def _among(self, column: str, runs: Collection[str]) -> tuple[str, tuple[str, ...]]:
        """What leaves these of all runs, with its value; nothing where they are many of all runs.

        Then reading every run in the order of the table is much faster than looking each one up.
        """
        if 4 * len(runs) >= self._rows(f"SELECT count(*) FROM runs {self._in_brief()}")[0][0]:
            return "", ()
        return f"WHERE {column} IN (SELECT value FROM json_each(?))", _json(runs)

    def _rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """All rows of a query as plain tuples, for many thousand of them."""
        with translated(self.folder):
            cursor = self._connection.cursor()
            cursor.row_factory = None
            return cursor.execute(sql, values).fetchall()

    def _query(self, sql: str, *values: object) -> Iterator[sqlite3.Row]:
        """Rows of a query with values for its question marks, or one mapping for its names."""
        given: Any = values[0] if values and isinstance(values[0], dict) else values
        with translated(self.folder):
            # Not "yield from", which would close the rows after their connection.
            for row in self._connection.execute(sql, given):  # noqa: UP028
                yield row


_AT_ONCE = 64  # runs whose predictions are in memory together


def stored_predictions(folder: Path, runs: Collection[str], split: Split) -> PredictionRows:
    """What ``StudyRecord.predictions`` gives: a few runs at a time, so that large studies need no more memory."""
    chosen = list(runs)
    with open_reader(folder) as reader:
        for start in range(0, len(chosen), _AT_ONCE):
            yield from reader.predictions(chosen[start : start + _AT_ONCE], split)


def _json(runs: Collection[str]) -> tuple[str]:
    return (json.dumps(list(runs)),)


@contextlib.contextmanager
def open_reader(folder: Path) -> Iterator[StoreReader]:
    """The store at ``folder``, for reading.

    Raises:
        NoStore: There is none.
        StoreError: It cannot be opened.
        StoreTooNew: A later version of Assay wrote it.
    """
    connection = connect(folder, writable=False)
    try:
        yield StoreReader(folder, connection)
    finally:
        connection.close()
