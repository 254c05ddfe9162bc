"""A store is followed while another process writes it: what is known equals what a fresh read says."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from assay.errors import StoreError
from assay.store import (
    ArmRecord,
    CandidateRecord,
    StoreFollower,
    StoreWriter,
    TestScore,
    open_reader,
    open_writer,
    writing_process,
)
from assay.train.epochs import EpochRecord

GOLDEN = Path(__file__).parents[1] / "golden"
RUNS = {("a", 0): "a0" * 32, ("a", 1): "a1" * 32, ("b", 0): "b0" * 32, ("b", 1): "b1" * 32}
EPOCH = EpochRecord(1, 1.0, 0.5, 1.1, 0.4, 1.2, 0.3, 0.001, 2.0)


def plan(writer: StoreWriter, *, arms: tuple[str, ...] = ("a", "b"), name: str = "followed") -> None:
    writer.put_study(
        name=name,
        question="What changes?",
        spec={"seeds": {"count": 2}, "data": {}},
        data={"name": "digits", "title": "Digits"},
        arms=[ArmRecord(arm, place, {}, {}) for place, arm in enumerate(arms)],
        members=[(arm, seed, None, run) for (arm, seed), run in RUNS.items() if arm in arms],
        runs=[(run, seed, 3, {}) for (arm, seed), run in RUNS.items() if arm in arms],
    )


def finish(writer: StoreWriter, run: str) -> None:
    writer.put_finished("followed", run, seconds=1, peak_memory_bytes=1, weights=("w", "0" * 64, 1))


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[StoreWriter]:
    with open_writer(tmp_path) as found:
        plan(found)
        yield found


@pytest.mark.parametrize("tables", ["", "store-v1.sql"], ids=["none yet", "those of an older version"])
def test_a_store_that_is_followed_before_its_tables_are_up_to_date_is_followed_on(tables: str, tmp_path: Path) -> None:
    """A page may look between the moments when a first study makes its file and when it makes the tables in it."""
    with contextlib.closing(sqlite3.connect(tmp_path / "store.sqlite")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript((GOLDEN / tables).read_text() if tables else "")
    follower = StoreFollower(tmp_path)
    follower.poll()
    before = [overview.name for overview in follower.overviews()]
    assert before == (["golden"] if tables else [])
    with open_writer(tmp_path) as writer:
        plan(writer)
        assert follower.poll()
        assert sorted(overview.name for overview in follower.overviews()) == sorted(["followed", *before])
        writer.put_started("followed", RUNS["a", 0], {})
        assert follower.poll()
        assert follower.study("followed").record.runs[0].state == "running"
    follower.close()


def test_what_is_followed_is_what_a_fresh_read_says(writer: StoreWriter, tmp_path: Path) -> None:
    follower = StoreFollower(tmp_path)
    first, second = RUNS["a", 0], RUNS["b", 1]
    deeds = [
        lambda: writer.put_started("followed", first, {"python": "3"}),
        lambda: writer.put_epochs(first, [EPOCH]),
        lambda: writer.put_epochs(first, [replace(EPOCH, epoch=2)]),
        lambda: writer.put_started("followed", second, {}),
        lambda: finish(writer, first),
        lambda: writer.put_failed("followed", second, state="diverged", reason="NaN", advice="less"),
        lambda: writer.put_look("followed", {first: TestScore(0.1, 0.9, b"\xff")}, num_runs=1),
        lambda: plan(writer, arms=("b",)),
        lambda: plan(writer),
        lambda: writer.put_started("followed", second, {}),
        lambda: writer.requeue_interrupted(),
    ]
    follower.poll()
    version = follower.study("followed").version
    for deed in deeds:
        deed()
        assert follower.poll()
        with open_reader(tmp_path) as reader:
            assert follower.study("followed").record == reader.study("followed")
        assert follower.study("followed").version > version
        version = follower.study("followed").version
        assert not follower.poll()
    follower.close()


def test_a_search_is_followed_as_it_goes_on(tmp_path: Path) -> None:
    def propose(trial: int) -> None:
        writer.put_candidates("searched", [CandidateRecord(trial, trial, {}, {}, "")])

    def train(*trials: int) -> None:
        runs = [(trial, 0, f"{trial:064}") for trial in trials]
        writer.put_trial_runs("searched", runs, [(run, seed, 3, {}) for _, seed, run in runs])

    with open_writer(tmp_path) as writer:
        spec: dict[str, Any] = {"search": {"trials": 2}, "data": {}}
        writer.begin_search(name="searched", question="", spec=spec, data={"name": "digits"}, facts={})
        propose(1)
        train(1)
        plan(writer)  # another study is trained before the search goes on
        follower = StoreFollower(tmp_path)
        follower.study("searched")
        first, second = f"{1:064}", f"{2:064}"
        finished = follower.study("searched").finished
        deeds = [
            (lambda: train(1), True),
            (lambda: writer.put_started("searched", first, {}), False),
            (lambda: writer.put_epochs(first, [EPOCH]), False),
            (lambda: writer.put_paused(first, 1.0), True),
            (lambda: propose(2), True),
            (lambda: train(1, 2), True),
            (lambda: writer.put_started("searched", second, {}), False),
            (
                lambda: writer.put_finished(
                    "searched", second, seconds=1, peak_memory_bytes=1, weights=("w", "0" * 64, 1)
                ),
                True,
            ),
        ]
        for deed, is_news in deeds:
            deed()
            assert follower.poll()
            with open_reader(tmp_path) as reader:
                assert follower.study("searched").record == reader.study("searched")
                assert reader.last_event()[1] == "searched"
            assert follower.is_training("searched")
            assert (follower.study("searched").finished > finished) or not is_news
            finished = follower.study("searched").finished
        follower.close()


def test_only_runs_that_changed_are_told(writer: StoreWriter, tmp_path: Path) -> None:
    follower = StoreFollower(tmp_path)
    study = follower.study("followed")
    start = study.version
    assert study.changed(0) == [0, 1, 2, 3]
    assert study.changed(start) == []
    assert study.changed(start + 1) == [0, 1, 2, 3]  # a version of another server
    writer.put_started("followed", RUNS["b", 0], {})
    follower.poll()
    middle = follower.study("followed").version
    assert follower.study("followed").changed(start) == [2]
    before = follower.study("followed").finished
    writer.put_epochs(RUNS["b", 0], [EPOCH])
    follower.poll()
    assert follower.study("followed").changed(middle) == [2]
    assert follower.study("followed").finished > before - 1
    after = follower.study("followed").finished
    finish(writer, RUNS["b", 0])
    follower.poll()
    assert follower.study("followed").finished > after
    plan(writer, arms=("b",))
    follower.poll()
    assert follower.study("followed").changed(middle) == [0, 1]  # the places are others now
    follower.close()


def test_a_list_counts_states(writer: StoreWriter, tmp_path: Path) -> None:
    follower = StoreFollower(tmp_path)
    finish(writer, RUNS["a", 0])
    plan(writer, name="later", arms=("b",))
    later, followed = follower.overviews()
    assert (later.name, followed.name) == ("later", "followed")
    assert followed.states == {"queued": 3, "finished": 1}
    assert (followed.num_arms, followed.num_runs, followed.data) == (2, 4, "Digits")
    assert later.is_training  # by this very process, which planned it last
    assert not followed.is_training
    follower.close()


def test_a_store_that_vanishes_is_told_and_found_again(tmp_path: Path) -> None:
    store = tmp_path / "store"
    follower = StoreFollower(store)
    with pytest.raises(StoreError, match="no store here"):
        follower.poll()
    with open_writer(store) as writer:
        plan(writer)
    assert follower.poll()
    version = follower.study("followed").version
    shutil.rmtree(store)
    for _ in range(2):
        with pytest.raises(StoreError, match="no store here"):
            follower.poll()
    with open_writer(store) as writer:
        plan(writer, arms=("b",))
    assert follower.poll()
    again = follower.study("followed")
    assert again.version > version
    assert [run.arm for run in again.record.runs] == ["b", "b"]
    assert again.changed(version) == [0, 1]
    follower.close()


def test_a_writer_that_was_killed_is_no_writer(tmp_path: Path) -> None:
    assert writing_process(tmp_path) is None
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom assay.store import open_writer\n"
        "with open_writer(Path(sys.argv[1])):\n    print('ready', flush=True)\n    time.sleep(3600)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    assert writing_process(tmp_path) == child.pid
    child.kill()
    child.wait()
    child.stdout.close()
    assert (tmp_path / "writer.json").exists()  # nobody was left to remove it
    assert writing_process(tmp_path) is None


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"pid": "x", "since": 0}', json.dumps({"pid": os.getpid(), "since": 0, "host": "here"})],
    ids=["empty", "list", "nothing", "words", "this process, before it began"],
)
def test_a_file_that_says_nothing_sound_names_no_writer(tmp_path: Path, text: str) -> None:
    (tmp_path / "writer.json").write_text(text)
    assert writing_process(tmp_path) is None  # the last one began before this process, so it was another
