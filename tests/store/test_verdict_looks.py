"""Looks at verdicts: recorded once each, beside a writer, and never removed."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from assay.errors import NoStore, NoSuchStudy, StoreBusy, StoreError
from assay.store import StoreFollower, VerdictLook, open_reader, open_writer, record_verdict_look
from assay.store.files import DATABASE, connect
from assay.store.schema import MIGRATIONS

from ..stored import edited
from .test_store import GOLDEN, epoch, put_study


def look(number: int, **seen: object) -> VerdictLook:
    return VerdictLook(number, 1.8e9 + number, 10, dict(seen))


def looks(store: Path) -> tuple[VerdictLook, ...]:
    with open_reader(store) as reader:
        return reader.study("s", is_brief=True).verdict_looks


def test_looks_are_read_back_in_order_and_a_number_is_taken_once(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        put_study(writer)
        put_study(writer, name="other")
    assert record_verdict_look(tmp_path, "s", look(2, b=[0, 1]))
    assert record_verdict_look(tmp_path, "s", look(1))
    assert not record_verdict_look(tmp_path, "s", look(2, b=[0, 1, 2]))
    assert record_verdict_look(tmp_path, "other", look(1))
    assert looks(tmp_path) == (look(1), look(2, b=[0, 1]))


def test_looks_outlive_every_change_of_the_plan(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        put_study(writer)
        record_verdict_look(tmp_path, "s", look(1))
        put_study(writer, seeds=5)
        writer.begin_search(name="s", question="", spec={}, data={}, facts={})
    assert looks(tmp_path) == (look(1),)


def at_once(count: int, act: Callable[[int], None]) -> None:
    threads = [threading.Thread(target=act, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_of_two_at_once_one_gets_the_number(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        put_study(writer)
    barrier = threading.Barrier(4)
    outcomes: list[tuple[int, bool]] = []

    def act(who: int) -> None:
        for number in range(1, 11):
            barrier.wait()
            outcomes.append((number, record_verdict_look(tmp_path, "s", look(number, who=who))))

    at_once(4, act)
    assert len(outcomes) == 40
    assert sorted(number for number, is_mine in outcomes if is_mine) == list(range(1, 11))
    assert [one.number for one in looks(tmp_path)] == list(range(1, 11))


def test_a_running_writer_neither_blocks_nor_is_blocked(tmp_path: Path) -> None:
    is_over = threading.Event()
    with open_writer(tmp_path) as writer:
        put_study(writer)

        def record(_: int) -> None:
            for number in range(1, 31):
                assert record_verdict_look(tmp_path, "s", look(number))
            is_over.set()

        thread = threading.Thread(target=record, args=(0,))
        thread.start()
        num_written = 0
        while not is_over.is_set() and num_written < 10_000:
            num_written += 1
            writer.put_epochs("a-0", [epoch(number) for number in range(1, 4)])
        thread.join()
    assert is_over.is_set()
    assert num_written > 0
    assert len(looks(tmp_path)) == 30


def test_a_long_transaction_is_waited_for(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        put_study(writer)
        writer._connection.execute("BEGIN IMMEDIATE")
        outcomes: list[bool] = []
        thread = threading.Thread(target=lambda: outcomes.append(record_verdict_look(tmp_path, "s", look(1))))
        thread.start()
        time.sleep(0.3)
        assert outcomes == []
        writer._connection.execute("COMMIT")
        thread.join()
    assert outcomes == [True]


def test_a_store_that_stays_locked_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_writer(tmp_path) as writer:
        put_study(writer)
        real = sqlite3.connect
        monkeypatch.setattr(sqlite3, "connect", lambda path, **options: real(path, **{**options, "timeout": 0.05}))
        writer._connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy, match="other processes keep this store locked; try again"):
            record_verdict_look(tmp_path, "s", look(1))
        writer._connection.execute("COMMIT")


def test_no_store_and_no_study_are_sentences_and_make_nothing(tmp_path: Path) -> None:
    with pytest.raises(NoStore):
        record_verdict_look(tmp_path / "none", "s", look(1))
    assert not (tmp_path / "none").exists()
    with open_writer(tmp_path):
        pass
    with pytest.raises(NoSuchStudy, match='there is no study "s"'):
        record_verdict_look(tmp_path, "s", look(1))


def test_a_store_that_may_not_be_written_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's own error; file permissions would not stop root."""
    with open_writer(tmp_path) as writer:
        put_study(writer)
    real = sqlite3.connect

    def read_only(path: Path | str, **options: object) -> sqlite3.Connection:
        if not isinstance(path, Path):  # opened for reading
            return real(path, **options)  # type: ignore[call-overload, no-any-return]
        return real(f"file:{path}?mode=ro", uri=True, **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(sqlite3, "connect", read_only)
    with pytest.raises(StoreError, match=r"cannot be opened .*readonly"):
        record_verdict_look(tmp_path, "s", look(1))


def older_store(folder: Path) -> None:
    connection = sqlite3.connect(folder / DATABASE)
    connection.executescript((GOLDEN / "store-v5.sql").read_text())
    connection.close()


def test_an_older_store_is_brought_up_to_date_first(tmp_path: Path) -> None:
    older_store(tmp_path)
    assert record_verdict_look(tmp_path, "golden", look(1))
    connection = connect(tmp_path, writable=False)
    assert connection.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
    connection.close()


def test_an_older_store_that_is_being_written_is_left_as_it_is(tmp_path: Path) -> None:
    from assay.store.lock import writer_lock

    older_store(tmp_path)
    before = (tmp_path / DATABASE).read_bytes()
    with writer_lock(tmp_path), pytest.raises(StoreBusy):
        record_verdict_look(tmp_path, "golden", look(1))
    assert (tmp_path / DATABASE).read_bytes() == before


@pytest.mark.parametrize("seen", ["no JSON", "[1]", "null"])
def test_a_look_that_was_edited_is_a_sentence(seen: str, tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        put_study(writer)
    record_verdict_look(tmp_path, "s", look(1))
    with edited(tmp_path) as connection:
        connection.execute("UPDATE verdict_looks SET seen = ?", (seen,))
    with pytest.raises(StoreError, match='look 1 at the verdicts of study "s" cannot be read'):
        looks(tmp_path)


def test_a_followed_study_gets_looks_and_its_verdicts_are_due_again(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        put_study(writer)
        follower = StoreFollower(tmp_path)
        before = follower.study("s").finished
        record_verdict_look(tmp_path, "s", look(1))
        assert follower.poll()
        followed = follower.study("s")
        assert (followed.record.verdict_looks, followed.finished > before) == ((look(1),), True)
        follower.close()
