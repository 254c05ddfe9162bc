"""A store is checked, mended and backed up: what is damaged is found, and comes back as it was."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import threading
from pathlib import Path

import pytest

import assay
from assay.cli import main
from assay.errors import NoStore, StoreBusy, StoreError
from assay.results import Result
from assay.store import DATABASE, back_up, checkup, open_reader, open_writer, record_verdict_look, repair, run_folder
from assay.store.checksums import KEYS, TABLES
from assay.store.records import VerdictLook

from ..helpers import small_study
from ..stored import edited, put_study

STUDY = small_study()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that was trained and revealed, with a look at its verdicts."""
    store = tmp_path_factory.mktemp("trained")
    result = assay.run(STUDY, store=store, workers=1)
    result.reveal()
    record_verdict_look(store, "small", VerdictLook(1, 1.8e9, 2, {"form": 1}))
    return store


@pytest.fixture
def store(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "store"))


def facts(store: Path) -> tuple[object, ...]:
    """All that must come back: scores of every epoch, test scores, hits, looks, weights."""
    with open_reader(store) as reader:
        record = reader.study("small")
    runs = [
        (run.arm, run.seed, run.id, run.state, run.test_accuracy, run.weights_sha256,
         *((one.epoch, one.validation_accuracy, one.train_loss) for one in run.epochs))
        for run in record.runs
    ]  # fmt: skip
    weights = [(store / str(run.weights_path)).read_bytes() for run in record.runs]
    return runs, dict(record.validation_hits), weights, [one.levels for one in record.arms]


def flip(store: Path, table: str, column: str) -> bool:
    """Change one bit of a value behind Assay's back; whether the table had a row and took the change."""
    keys, condition = ", ".join(KEYS[table]), " AND ".join(f"{name} = ?" for name in KEYS[table])
    with contextlib.closing(sqlite3.connect(store / DATABASE, isolation_level=None)) as connection:
        row = connection.execute(f"SELECT {keys}, {column} FROM {table} WHERE {column} IS NOT NULL LIMIT 1").fetchone()
        if row is None:
            return False
        *key, value = row
        match value:
            case str():
                changed: object = value[:-1] + chr(ord(value[-1]) ^ 1) if value else "x"
            case bytes():
                changed = value[:-1] + bytes([value[-1] ^ 1])
            case float():
                changed = value + 2.0**-20
            case _:
                changed = value ^ 64
        try:
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE {condition}", (changed, *key))
        except sqlite3.IntegrityError:  # another row has this key
            return False
    return True


def test_every_column_of_every_table_with_evidence_has_a_checksum(store: Path) -> None:
    with contextlib.closing(sqlite3.connect(store / DATABASE)) as connection, connection:
        for table, columns in TABLES.items():
            there = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
            assert there - set(columns) <= {"checksum", "brief", "modified_ns"}
            assert set(columns) <= there
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert tables == {*TABLES, "events", "summaries"}  # a summary holds a checksum of its own
        for table in TABLES:
            assert connection.execute(f"SELECT count(*) FROM {table} WHERE checksum IS NULL").fetchone()[0] == 0
    connection.close()


# Read as evidence: a flipped bit is refused before any figure is shown. Keys of rows are found by `assay doctor`.
EVIDENCE = {"epochs", "test_scores", "validation_hits", "image_sets", "looks", "verdict_looks", "studies", "arms"}
FLIPS = [(table, column) for table in TABLES for column in TABLES[table]]


def test_no_flipped_bit_passes(store: Path) -> None:
    assert checkup(store).findings == []
    sound = (store / DATABASE).read_bytes()
    num_flipped = 0
    for table, column in FLIPS:
        if flip(store, table, column):
            num_flipped += 1
            findings = [one.what for one in checkup(store).findings]
            assert any(f'in table "{table}"' in one for one in findings), (table, column, findings)
            if table in EVIDENCE and column not in KEYS[table]:
                with pytest.raises(StoreError, match=r"damaged|no study"):
                    Result(store, "small").frame()
        (store / DATABASE).write_bytes(sound)
    assert num_flipped > 60


MENDED = [
    ("epochs", "validation_accuracy"), ("epochs", "run"), ("epochs", "epoch"), ("runs", "state"), ("runs", "id"),
    ("runs", "spec"), ("runs", "kept_epoch"), ("artifacts", "sha256"), ("artifacts", "path"), ("artifacts", "run"),
    ("validation_hits", "hits"), ("image_sets", "images"), ("image_sets", "id"), ("arms", "spec"), ("arms", "name"),
    ("members", "run"), ("members", "seed"), ("members", "arm"), ("studies", "question"), ("looks", "time"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "column"), MENDED)
def test_what_is_mended_comes_back_as_it_was(store: Path, table: str, column: str) -> None:
    before = facts(store)
    if not flip(store, table, column):
        with contextlib.closing(sqlite3.connect(store / DATABASE)) as connection, connection:
            connection.execute(f"UPDATE {table} SET {column} = 1")  # it is empty in every row
    damaged = (store / DATABASE).read_bytes()
    repairs = repair(store)
    assert repairs.folder is not None
    assert (repairs.folder / DATABASE).read_bytes() == damaged
    assert [one.what for one in repairs.left] == []
    assay.run(STUDY, store=store, workers=1)
    assert facts(store) == before
    assert checkup(store).findings == []


def test_lost_scores_are_scored_again(store: Path) -> None:
    before = facts(store)
    flip(store, "test_scores", "accuracy")
    assert repair(store).left == ()
    assert facts(store) != before
    Result(store, "small").reveal()
    assert facts(store) == before


def test_looks_at_verdicts_are_not_mended_and_say_so(store: Path) -> None:
    flip(store, "verdict_looks", "planned")
    (left,) = repair(store).left
    assert 'in table "verdict_looks" 1 row is not what was written' in left.what
    assert "restore the store from a backup" in left.remedy


def test_a_database_with_destroyed_pages_is_saved_row_by_row(store: Path) -> None:
    before = facts(store)
    content = bytearray((store / DATABASE).read_bytes())
    with contextlib.closing(sqlite3.connect(store / DATABASE)) as connection, connection:
        root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'epochs'").fetchone()[0]
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    connection.close()
    content[(root - 1) * size : root * size] = bytes(range(256)) * (size // 256)
    (store / DATABASE).write_bytes(content)
    assert any("the database" in one.what for one in checkup(store).findings)
    with pytest.raises(StoreError, match="assay doctor"):
        Result(store, "small").frame()
    assert repair(store).left == ()
    assay.run(STUDY, store=store, workers=1)
    assert facts(store) == before


def test_a_file_that_is_no_database_is_left_as_it_is(store: Path) -> None:
    (store / DATABASE).write_bytes(b"no database at all " * 500)
    before = (store / DATABASE).read_bytes()
    assert [one.what for one in checkup(store).findings] == ["the database: file is not a database"]
    with pytest.raises(StoreError, match="no row of the store's database can be read"):
        repair(store)
    assert (store / DATABASE).read_bytes() == before


def test_files_are_put_back_moved_away_and_cleared(store: Path) -> None:
    before = facts(store)
    with open_reader(store) as reader:
        first, second, third, *_ = reader.study("small").runs
    one, other, gone = (store / str(run.weights_path) for run in (first, second, third))
    one.rename(store / "swap")
    other.rename(one)
    (store / "swap").rename(other)
    gone.unlink()
    orphan = run_folder(store, "ab" * 32)
    orphan.mkdir(parents=True)
    (orphan / "weights.safetensors").write_bytes(b"whose?")
    temporary = one.with_name(f".{one.name}.1-abcd.tmp")
    temporary.write_bytes(b"half")
    (one.parent / "checkpoint.safetensors").write_bytes(b"old")
    found = "\n".join(finding.what for finding in checkup(store).findings)
    assert "weights of 2 finished runs lie elsewhere" in found
    assert f"weights of 1 finished run are lost: the file is missing ({third.id[:10]})" in found
    assert "1 folder of no run" in found
    assert "1 file that a process left half written" in found
    assert "1 checkpoint of finished runs" in found
    repairs = repair(store)
    assert repairs.left == ()
    assert repairs.folder is not None
    assert (repairs.folder / "runs" / orphan.name / "weights.safetensors").read_bytes() == b"whose?"
    assert not orphan.exists()
    assert not temporary.exists()
    assay.run(STUDY, store=store, workers=1)
    assert facts(store) == before


def test_a_store_that_is_written_is_checked_and_not_mended(store: Path) -> None:
    with open_writer(store) as writer:
        flip(store, "epochs", "train_loss")
        writer.put_event("small", "noise", {})
        temporary = store / "runs" / ".weights.1-ab.tmp"
        temporary.write_bytes(b"half")
        assert [finding.what[:17] for finding in checkup(store).findings] == ['in table "epochs"']
        with pytest.raises(StoreBusy):
            repair(store)
    assert temporary.exists()


def test_a_backup_is_a_store_and_is_brought_up_to_date(store: Path, tmp_path: Path) -> None:
    target = tmp_path / "backup"
    (store / "reports").mkdir(exist_ok=True)
    (store / "reports" / "mine.html").write_text("kept")
    first = back_up(store, target)
    assert (first.num_weights, first.faults) == (4, ())
    assert facts(target) == facts(store)
    assert checkup(target).findings == []
    assert (target / "reports" / "mine.html").read_text() == "kept"
    again = back_up(store, target)
    assert (again.num_weights, again.num_copied) == (4, 0)
    bigger = small_study(seeds={"count": 3})
    assay.run(bigger, store=store, workers=1)
    grown = back_up(store, target)
    assert (grown.num_weights, facts(target)) == (6, facts(store))
    weights = next((target / "runs").rglob("weights.safetensors"))
    weights.write_bytes(b"rotten")
    assert back_up(store, target).num_copied == 1
    assert facts(target) == facts(store)


def test_a_backup_names_what_the_store_has_lost(store: Path, tmp_path: Path) -> None:
    next((store / "runs").rglob("weights.safetensors")).write_bytes(b"rotten")
    backup = back_up(store, tmp_path / "backup")
    assert (backup.num_weights, len(backup.faults)) == (3, 1)
    assert not (tmp_path / "backup" / backup.faults[0]).exists()


def test_a_backup_is_counted_in_words(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["backup", str(tmp_path / "backup"), "--store", str(store)])
    assert "its database and 4 files of weights, each verified (" in capsys.readouterr().out


def test_a_backup_goes_nowhere_else(store: Path, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    with pytest.raises(StoreError, match="holds something that is no backup"):
        back_up(store, full)
    with pytest.raises(StoreError, match="cannot lie in its own store"):
        back_up(store, store / "backup")
    with pytest.raises(StoreError, match="this is a file"):
        back_up(store, full / "mine.txt")
    with pytest.raises(NoStore):
        back_up(tmp_path / "nowhere", tmp_path / "backup")
    used = tmp_path / "used"
    back_up(store, used)
    with edited(used) as connection:
        connection.execute("INSERT INTO events (time, study, kind) VALUES (1, 's', 'k')")
    with pytest.raises(StoreError, match="somebody has used this backup"):
        back_up(store, used)


def test_a_backup_is_whole_while_another_process_writes(tmp_path: Path) -> None:
    store = tmp_path / "store"
    put_study(store, {"a": [0.9] * 6, "b": [0.8] * 6})
    is_over = threading.Event()

    def write() -> None:
        with open_writer(store) as writer:
            while not is_over.is_set():
                writer.put_event("small", "noise", {"text": "x" * 2000})

    writing = threading.Thread(target=write)
    writing.start()
    try:
        for number in range(5):
            back_up(store, tmp_path / f"backup-{number}")
    finally:
        is_over.set()
        writing.join()
    for number in range(5):
        checked = checkup(tmp_path / f"backup-{number}")
        assert (checked.structure, checked.rows.findings) == ((), [])


def test_an_earlier_versions_store_is_checked_without_checksums(tmp_path: Path) -> None:
    golden = Path(__file__).parents[1] / "golden" / "store-v7.sql"
    connection = sqlite3.connect(tmp_path / DATABASE)
    connection.executescript(golden.read_text())
    connection.close()
    checked = checkup(tmp_path)
    assert not checked.has_checksums
    assert [one.what[:32] for one in checked.findings] == ["weights of 1 finished run are lo"]
