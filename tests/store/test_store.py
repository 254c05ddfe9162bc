from __future__ import annotations

import contextlib
import dataclasses
import errno
import math
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from assay.errors import DiskFull, StoreBusy, StoreError, StoreTooNew
from assay.spec import fingerprint
from assay.store import ArmRecord, ImageHits, TestScore, VerdictLook, open_reader, open_writer
from assay.store.checksums import TABLES
from assay.store.columns import RunColumns
from assay.store.files import DATABASE, connect, translated
from assay.store.schema import MIGRATIONS
from assay.store.writer import StoreWriter
from assay.train import EpochRecord

from ..helpers import small_study


def epoch(number: int, accuracy: float = 0.9) -> EpochRecord:
    return EpochRecord(number, 0.5, 0.8, 0.4, accuracy, 0.6, 0.7, 0.001, 1.5)


def put_study(writer: StoreWriter, *, seeds: int = 2, name: str = "s") -> None:
    members = [(arm, seed, None, f"{arm}-{seed}") for seed in range(seeds) for arm in ("a", "b")]
    writer.put_study(
        name=name,
        question="q?",
        spec={"name": name},
        data={"name": "digits"},
        arms=[ArmRecord("a", 0, {"x": "1"}, {"layers": []}), ArmRecord("b", 1, {"x": "2"}, {"layers": []})],
        members=members,
        runs=[(run, seed, 3, {"seed": seed}) for _, seed, _, run in members],
    )


def finish(writer: StoreWriter, run: str, *, hits: ImageHits | None = None) -> None:
    writer.put_started("s", run, {"threads": 1})
    writer.put_epochs(run, [epoch(1), epoch(2), epoch(3, 0.95)])
    weights = (f"runs/{run}", "hash", 3)
    writer.put_finished("s", run, seconds=4.5, peak_memory_bytes=10, weights=weights, hits=hits)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        put_study(writer)
        finish(writer, "a-0")
        writer.put_failed("s", "b-0", state="diverged", reason="it grew", advice="shrink it")
    with open_reader(tmp_path) as reader:
        study = reader.study("s")
    assert [(run.arm, run.seed, run.state) for run in study.runs] == [
        ("a", 0, "finished"), ("a", 1, "queued"), ("b", 0, "diverged"), ("b", 1, "queued"),
    ]  # fmt: skip
    done, _, failed, _ = study.runs
    assert done.epochs == (epoch(1), epoch(2), epoch(3, 0.95))
    assert (done.weights_path, done.weights_sha256, done.attempts, done.environment) == (
        "runs/a-0", "hash", 1, {"threads": 1},
    )  # fmt: skip
    assert (failed.reason, failed.advice, failed.is_failed) == ("it grew", "shrink it", True)
    assert [arm.levels for arm in study.arms] == [{"x": "1"}, {"x": "2"}]


def test_planning_again_keeps_results_and_adds_seeds(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        put_study(writer)
        finish(writer, "a-0")
        put_study(writer, seeds=3)
    with open_reader(tmp_path) as reader:
        runs = reader.study("s").runs
    assert len(runs) == 6
    assert [run.id for run in runs if run.state == "finished"] == ["a-0"]


def test_two_studies_share_a_run(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        put_study(writer)
        finish(writer, "a-0")
        put_study(writer, name="t")
    with open_reader(tmp_path) as reader:
        assert reader.study("t").runs[0].state == "finished"
        assert set(reader.study_names()) == {"s", "t"}


def test_writing_an_epoch_twice_leaves_one(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        put_study(writer)
        writer.put_epochs("a-0", [epoch(1)])
        writer.put_epochs("a-0", [epoch(1), epoch(2)])
    with open_reader(tmp_path) as reader:
        assert reader.study("s").runs[0].epochs == (epoch(1), epoch(2))


def test_a_run_that_begins_anew_leaves_no_epoch_of_its_first_try(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        put_study(writer)
        for number in (1, 2, 3):
            writer.put_epochs("a-0", [epoch(number)])
        writer.put_epochs("b-0", [epoch(1), epoch(2), epoch(3)])
        writer.put_epochs("a-0", [epoch(1, 0.7)])
        writer.put_epochs("a-0", [epoch(2, 0.7)])
    with open_reader(tmp_path) as reader:
        epochs = {run.id: run.epochs for run in reader.study("s").runs}
    assert epochs["a-0"] == (epoch(1, 0.7), epoch(2, 0.7))
    assert len(epochs["b-0"]) == 3


def test_a_run_remembers_its_fold_and_the_epoch_that_it_kept(tmp_path: Path) -> None:
    members = [("a", 0, fold, f"a-0-{fold}") for fold in (2, 1)]
    with open_writer(tmp_path) as writer:
        writer.put_study(
            name="s", question="", spec={}, data={}, arms=[ArmRecord("a", 0, {}, {})], members=members,
            runs=[(run, seed, 5, {}) for _, seed, _, run in members],
        )  # fmt: skip
        writer.put_epochs("a-0-1", [epoch(1, 0.7), epoch(2, 0.9), epoch(3, 0.8)])
        weights = ("w", "hash", 3)
        writer.put_finished("s", "a-0-1", seconds=4.5, peak_memory_bytes=10, weights=weights, kept_epoch=2)
    with open_reader(tmp_path) as reader:
        one, other = reader.study("s").runs
    assert [(run.seed, run.fold) for run in (one, other)] == [(0, 1), (0, 2)]
    assert (one.kept_epoch, one.stopped_epoch, one.kept, one.last) == (2, 3, epoch(2, 0.9), epoch(3, 0.8))
    assert (other.kept, other.stopped_epoch) == (None, None)


def test_retrained_runs_stay_until_their_arm_is_another(tmp_path: Path) -> None:
    def known() -> list[tuple[str, int, str]]:
        with open_reader(tmp_path) as reader:
            study = reader.study("s")
        assert len(study.runs) in (4, 6)
        return [(run.arm, run.seed, run.id) for run in study.retrained]

    with open_writer(tmp_path) as writer:
        put_study(writer)
        for arm in ("a", "b"):
            writer.put_retrained("s", [(arm, 0, f"{arm}-all")], [(f"{arm}-all", 0, 3, {})])
        assert known() == [("a", 0, "a-all"), ("b", 0, "b-all")]
        put_study(writer, seeds=3)
        assert known() == [("a", 0, "a-all"), ("b", 0, "b-all")]
        members = [("a", 0, None, "a-0"), ("a", 1, None, "a-1"), ("b", 0, None, "new-0"), ("b", 1, None, "new-1")]
        writer.put_study(
            name="s", question="", spec={}, data={}, members=members,
            arms=[ArmRecord("a", 0, {}, {}), ArmRecord("b", 1, {}, {})],
            runs=[(run, seed, 3, {}) for _, seed, _, run in members],
        )  # fmt: skip
        assert known() == [("a", 0, "a-all")]


def test_looks_are_counted(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        put_study(writer)
        finish(writer, "a-0")
        writer.put_look("s", {"a-0": TestScore(0.1, 0.97, b"\xa0")}, num_runs=1)
        writer.put_look("s", {}, num_runs=1)
    with open_reader(tmp_path) as reader:
        study = reader.study("s")
    assert [(look.num_runs, look.num_new) for look in study.looks] == [(1, 1), (1, 0)]
    assert (study.runs[0].test_accuracy, study.runs[0].test_loss) == (0.97, 0.1)


def test_looks_of_other_studies_at_the_same_test_images_count(tmp_path: Path) -> None:
    contents = {"one": "A", "same data": "A", "same test images": "B", "other": "C"}
    with open_writer(tmp_path) as writer:
        for name, content in contents.items():
            writer.put_study(
                name=name, question="", spec={}, data={"content": content}, arms=[], members=[], runs=[]
            )  # fmt: skip
        writer.put_look("one", {}, num_runs=1, test_images="t")
        writer.put_look("same data", {}, num_runs=1, test_images="t")

        def elsewhere() -> list[int]:
            with open_reader(tmp_path) as reader:
                return [reader.study(name).looks_elsewhere for name in contents]

        assert elsewhere() == [1, 1, 0, 0]
        with open_reader(tmp_path) as reader:  # what its test images are is known before its own look
            assert [reader.looks_elsewhere(name, "t") for name in ("same test images", "other")] == [2, 2]
            assert reader.looks_elsewhere("other", "u") == 0
        writer.put_look("same test images", {}, num_runs=1, test_images="t")
        assert elsewhere() == [2, 2, 2, 0]


def test_earlier_looks_count_for_studies_of_the_same_data(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / DATABASE)
    connection.executescript((GOLDEN / "store-v6.sql").read_text())
    connection.execute("UPDATE studies SET data = json_set(data, '$.content', 'A')")
    connection.commit()
    connection.close()
    with open_reader(tmp_path) as reader:
        assert (reader.study("golden").looks_elsewhere, reader.study("searched").looks_elsewhere) == (0, 1)


def test_a_reader_reads_while_a_writer_writes(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        put_study(writer)
        with open_reader(tmp_path) as reader:
            assert len(reader.study("s").runs) == 4
            writer.put_epochs("a-0", [epoch(1)])
            assert len(reader.study("s").runs[0].epochs) == 1


def test_a_failed_transaction_leaves_nothing(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        put_study(writer)
        with pytest.raises(sqlite3.IntegrityError):
            writer.put_look("s", {"a-0": TestScore(0.1, 0.9, b""), "no such run": TestScore(0.1, 0.9, b"")}, num_runs=2)
    with open_reader(tmp_path) as reader:
        study = reader.study("s")
    assert study.looks == ()
    assert study.runs[0].test_accuracy is None


def test_the_second_writer_is_told_who_is_first(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from assay.store import open_writer\n"
        f"with open_writer(Path({str(tmp_path)!r})): print('ready', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n"
        with (
            pytest.raises(StoreBusy, match=rf"process {holder.pid} on .* is writing to this store"),
            open_writer(tmp_path),
        ):
            pass
        holder.kill()
    with open_writer(tmp_path) as writer:  # the lock died with its holder
        put_study(writer)


def test_a_newer_store_is_refused_and_not_touched(tmp_path: Path) -> None:
    with open_writer(tmp_path):
        pass
    with contextlib.closing(sqlite3.connect(tmp_path / DATABASE)) as connection, connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    for opened in (open_writer, open_reader):
        with pytest.raises(StoreTooNew, match="upgrade Assay"), opened(tmp_path):
            pass
    connection = sqlite3.connect(tmp_path / DATABASE)
    assert connection.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS) + 1
    connection.close()


def test_no_store_and_no_study_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store here; run a study first"), open_reader(tmp_path / "none"):
        pass
    with open_writer(tmp_path) as writer:
        put_study(writer, name="dropout")
    with open_reader(tmp_path) as reader, pytest.raises(StoreError, match='did you mean "dropout"'):
        reader.study("droput")


def test_a_damaged_database_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / DATABASE).write_bytes(b"this is not a database" * 1000)
    with pytest.raises(StoreError, match="damaged"), open_writer(tmp_path):
        pass


def test_a_file_in_the_place_of_a_store_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="a store is a folder"), open_writer(tmp_path / "file"):
        pass


def test_a_full_disk_is_a_sentence(tmp_path: Path) -> None:
    """SQLite's own error, provoked by a limit on the database's size."""
    with open_writer(tmp_path) as writer:
        put_study(writer)
        writer._connection.execute(f"PRAGMA max_page_count = {page_count(writer)}")
        with pytest.raises(DiskFull, match="no space is left"):
            fill(writer)
        writer._connection.execute("PRAGMA max_page_count = 100000")
        finish(writer, "a-0")  # room again: it goes on
    with open_reader(tmp_path) as reader:
        assert reader.study("s").runs[0].state == "finished"


def fill(writer: StoreWriter) -> None:
    for number in range(2000):
        writer.put_event("s", "noise", {"text": "x" * 1000, "n": number})


def page_count(writer: StoreWriter) -> int:
    return int(writer._connection.execute("PRAGMA page_count").fetchone()[0])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_forbidden_folder_is_a_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="cannot be opened"), open_writer(tmp_path / "store"):
        pass


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_permission_errors_and_read_only_disks_are_translated(tmp_path: Path, number: int) -> None:
    with pytest.raises(StoreError, match="you may write"), translated(tmp_path):
        raise OSError(number, os.strerror(number))


def test_other_errors_of_the_disk_are_not(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Input/output"), translated(tmp_path):
        raise OSError(errno.EIO, "Input/output error")


GOLDEN = Path(__file__).parent.parent / "golden"


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("store-v*.sql")), ids=lambda path: path.stem)
def test_every_released_schema_still_opens(path: Path, tmp_path: Path) -> None:
    """Made by tests/golden/make_store.py at the time of each schema."""
    connection = sqlite3.connect(tmp_path / DATABASE)
    connection.executescript(path.read_text())
    connection.close()
    with open_writer(tmp_path):
        pass
    with open_reader(tmp_path) as reader:
        study = reader.study("golden")
        search = reader.study("searched").search if "searched" in reader.study_names() else None
    assert [(run.arm, run.seed, run.state) for run in study.runs] == [
        ("a", 0, "finished"), ("a", 1, "diverged"), ("b", 0, "queued"), ("b", 1, "queued"),
    ]  # fmt: skip
    assert study.runs[0].epochs[-1].validation_accuracy == 0.95
    assert study.runs[0].test_accuracy == 0.97
    assert len(study.looks) == 1
    version = int(path.stem.removeprefix("store-v"))
    if version >= 6:
        assert study.verdict_looks == (VerdictLook(1, 1.8e9, 10, {"contrasts": {"b": [0, 1]}}),)
        (image_set, bits), *rest = study.validation_hits.values()
        assert (rest, bits, study.image_sets[image_set].tolist()) == ([], b"\xb0", [1, 4, 9, 12])
    else:
        assert (study.verdict_looks, dict(study.validation_hits), len(study.image_sets)) == ((), {}, 0)
    for split in ("validation", "test"):
        kept = list(study.predictions(["a-0", "a-1"], split))  # type: ignore[arg-type]
        assert [run for run, _, _ in kept] == (["a-0"] if version >= 9 else [])
        if version >= 9:
            logs, labels, groups = kept[0][2].arrays()
            assert np.exp(logs[1].astype(float)) == pytest.approx([0.25, 0.75], rel=1e-3)
            assert (labels.tolist(), None if groups is None else groups.tolist()) == ([0, 0, 1, 0], [0, 1, 0, 1])
            assert study.runs[0].epochs[-1].measures == {"macro_auc": 0.9}
    if version >= 4:
        assert search is not None
        assert [(one.trial, one.reason) for one in search.candidates] == [(1, ""), (None, "99 parameters, above 50")]
        assert [(run.arm, run.state, run.seconds, len(run.epochs)) for run in search.runs] == [
            ("trial 1", "paused", 1.5, 1)
        ]
    connection = connect(tmp_path, writable=False)
    assert connection.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
    connection.close()


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("store-v*.sql")), ids=lambda path: path.stem)
def test_an_older_store_is_read_without_being_changed(path: Path, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / DATABASE)
    connection.executescript(path.read_text())
    connection.close()
    before = (tmp_path / DATABASE).read_bytes()
    with open_reader(tmp_path) as reader:
        study = reader.study("golden")
    assert [run.state for run in study.runs] == ["finished", "diverged", "queued", "queued"]
    assert study.runs[0].epochs[-1].validation_accuracy == 0.95
    assert (tmp_path / DATABASE).read_bytes() == before


def test_a_stored_spec_is_parsed_once(tmp_path: Path) -> None:
    study = small_study()
    with open_writer(tmp_path) as writer:
        spec = study.model_dump(mode="json", exclude_none=True)
        arms = [ArmRecord(arm.name, 0, dict(arm.levels), arm.model_dump(mode="json")) for arm in study.expand()]
        writer.put_study(name="s", question="", spec=spec, data={}, arms=arms, members=[], runs=[])
    with open_reader(tmp_path) as reader:
        record = reader.study("s")
    assert record.design == study
    assert [arm.design for arm in record.arms] == list(study.expand())
    assert dataclasses.replace(record, updated=0.0).design is record.design


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("store-v*.sql")), ids=lambda path: path.stem)
def test_a_stored_spec_that_breaks_todays_rules_says_so_and_hides_nothing_else(path: Path, tmp_path: Path) -> None:
    """The golden studies' specs lack their data: they are listed and read, and only their design cannot be had."""
    connection = sqlite3.connect(tmp_path / DATABASE)
    connection.executescript(path.read_text())
    connection.close()
    with open_reader(tmp_path) as reader:
        record = reader.study("golden")
        assert "golden" in [one["name"] for one in reader.overviews()]
    with pytest.raises(StoreError, match=r'data: the stored spec of study "golden" breaks a rule of this version'):
        _ = record.design
    with pytest.raises(StoreError, match='the stored spec of arm "a" breaks a rule of this version'):
        _ = record.arms[0].design


def test_a_shared_run_that_another_study_revealed_stays_sealed_here(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        put_study(writer)
        put_study(writer, name="other")
        finish(writer, "a-0")
        writer.put_look("other", {"a-0": TestScore(0.1, 0.97, b"\xa0")}, num_runs=1)
    with open_reader(tmp_path) as reader:
        assert reader.study("other").runs[0].test_accuracy == 0.97
        assert reader.study("s").runs[0].test_accuracy is None


def test_a_look_at_retrained_runs_shows_these_alone(tmp_path: Path) -> None:
    score = TestScore(0.1, 0.97, b"\xa0")
    with open_writer(tmp_path) as writer:
        for name in ("s", "other"):
            put_study(writer, name=name)
            writer.put_retrained(name, [("a", 0, "a-all")], [("a-all", 0, 3, {})])
        finish(writer, "a-0")
        writer.put_look("other", {"a-0": score, "a-all": score}, num_runs=2)
        writer.put_look("s", {"a-all": score}, num_runs=1, is_of_retrained=True)
    with open_reader(tmp_path) as reader:
        for is_brief in (False, True):
            study, other = (reader.study(name, is_brief=is_brief) for name in ("s", "other"))
            assert (study.runs[0].test_accuracy, study.retrained[0].test_accuracy) == (None, 0.97)
            assert (other.runs[0].test_accuracy, other.retrained[0].test_accuracy) == (0.97, None)
            assert (dict(study.test_hits), set(other.test_hits)) == ({}, {"a-0"})
            assert [look.is_of_retrained for look in study.looks] == [True]
        assert reader.some_runs("s", ["a-0"])[0].test_accuracy is None


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        (["study"], [False]),
        (["retrained"], [True]),
        (["retrained", "retrained", "study"], [True, True, False]),
        (["study", "retrained", "study"], [False, True, False]),
        (["interrupted", "study"], [False]),
    ],
)
def test_what_an_earlier_version_looked_at_is_found(looks: list[str], expected: list[bool], tmp_path: Path) -> None:
    """A version 4 store did not write down which runs a look was at."""
    score = TestScore(0.1, 0.97, b"\xa0")
    with open_writer(tmp_path) as writer:
        put_study(writer)
        for look in looks:
            if look != "study":
                writer.put_retrained("s", [("a", 0, "a-all")], [("a-all", 0, 3, {})])
            if look != "interrupted":
                scores = {"a-all": score} if look == "retrained" else {"a-0": score, "b-0": score}
                writer.put_look("s", scores, num_runs=len(scores))
    connection = sqlite3.connect(tmp_path / DATABASE)
    for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {trigger}")
    connection.execute("DROP TABLE summaries")
    connection.executescript("DROP INDEX runs_in_brief; ALTER TABLE runs DROP COLUMN brief;")
    connection.executescript("".join(f"ALTER TABLE {table} DROP COLUMN checksum;" for table in TABLES))
    connection.executescript(
        "ALTER TABLE artifacts DROP COLUMN modified_ns; "
        "ALTER TABLE looks DROP COLUMN is_of_retrained; ALTER TABLE looks DROP COLUMN content; "
        "ALTER TABLE looks DROP COLUMN test_images; DROP TABLE verdict_looks; DROP TABLE validation_hits; "
        "DROP TABLE image_sets; DROP TABLE predictions; DROP TABLE label_sets; "
        "ALTER TABLE epochs DROP COLUMN measures; PRAGMA user_version = 4;"
    )
    connection.close()
    with open_reader(tmp_path) as reader:
        study = reader.study("s")
    assert [look.is_of_retrained for look in study.looks] == expected
    assert (study.runs[0].test_accuracy is not None) == (False in expected)


def test_a_brief_record_has_the_same_states_and_scores(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        put_study(writer)
        finish(writer, "a-0")
        writer.put_started("s", "a-1", {})
        writer.put_epochs("a-1", [epoch(1), epoch(2, 0.97), epoch(3, 0.94)])
        writer.put_finished("s", "a-1", seconds=1.0, peak_memory_bytes=1, weights=("w", "h", 1), kept_epoch=2)
        writer.put_started("s", "b-0", {})
        writer.put_epochs("b-0", [epoch(1), EpochRecord(2, *[math.nan] * 8)])
        writer.put_look("s", {"a-0": TestScore(0.1, 0.97, b"\xa0")}, num_runs=1)
    for has_index in (True, False):
        with open_reader(tmp_path) as reader:
            whole, brief = reader.study("s"), reader.study("s", is_brief=True)
        for one, other in zip(whole.runs, brief.runs, strict=True):
            assert (one.id, one.state, one.test_accuracy, one.kept_epoch) == (
                other.id, other.state, other.test_accuracy, other.kept_epoch,
            )  # fmt: skip
            assert (one.kept is None) == (other.kept is None)
            if one.kept is not None:
                measures = ("epoch", "validation_accuracy", "validation_loss")
                values = [[getattr(run.kept, name) for name in measures] for run in (one, other)]
                np.testing.assert_array_equal(*values)  # nan is nan here
        for name in (field.name for field in dataclasses.fields(RunColumns)):
            np.testing.assert_array_equal(getattr(whole.columns, name), getattr(brief.columns, name), err_msg=name)
        assert [run.kept.validation_accuracy for run in brief.runs_of("a") if run.kept] == [0.95, 0.97]
        assert (brief.arms, brief.looks, brief.test_hits) == (whole.arms, whole.looks, whole.test_hits)
        if has_index:  # a store that an earlier version wrote has none
            with contextlib.closing(sqlite3.connect(tmp_path / DATABASE)) as connection, connection:
                connection.execute("DROP INDEX runs_in_brief")


@pytest.mark.parametrize("num_others", [0, 40])
def test_a_brief_record_is_the_same_beside_other_studies(tmp_path: Path, num_others: int) -> None:
    """A study that holds most of a store is read in another way than one of many."""
    hits = ImageHits.of("training", np.array([1, 4, 9]), np.array([True, False, True]))
    with open_writer(tmp_path) as writer:
        put_study(writer)
        finish(writer, "a-0", hits=hits)
        others = [(f"other-{seed}", seed, 3, {}) for seed in range(num_others)]
        members = [("z", seed, None, run) for run, seed, *_ in others]
        arms = [ArmRecord("z", 0, {}, {})]
        writer.put_study(name="o", question="", spec={}, data={}, arms=arms, members=members, runs=others)
        for run, *_ in others:
            finish(writer, run, hits=hits)
    with open_reader(tmp_path) as reader:
        whole, brief = reader.study("s"), reader.study("s", is_brief=True)
    assert [(run.id, run.arm, run.seed, run.state) for run in brief.runs] == [
        (run.id, run.arm, run.seed, run.state) for run in whole.runs
    ]
    assert brief.runs[0].kept is not None
    assert [run.kept is None for run in brief.runs] == [run.kept is None for run in whole.runs]
    assert brief.validation_hits == whole.validation_hits == {"a-0": (hits.image_set, hits.hits)}


def test_peak_memory_is_the_most_of_an_arm_on_the_same_data(tmp_path: Path) -> None:
    designs = {"x": {"arm": {"layers": ["a"]}, "data": {"content": "c"}}, "y": {"arm": {}, "data": {"content": "c"}}}
    with open_writer(tmp_path) as writer:
        runs = [(f"{name}{seed}", seed, 1, {**spec, "seed": seed}) for name, spec in designs.items() for seed in (0, 1)]
        members = [("a", number, None, run) for number, (run, *_) in enumerate(runs)]
        arms = [ArmRecord("a", 0, {}, {})]
        writer.put_study(name="s", question="", spec={}, data={}, arms=arms, members=members, runs=runs)
        for run, size in (("x0", 5), ("x1", 9)):
            writer.put_finished("s", run, seconds=1.0, peak_memory_bytes=size, weights=("w", "h", 1))
    with open_reader(tmp_path) as reader:
        assert reader.peak_memory() == {(fingerprint({"layers": ["a"]}), "c"): 9}
