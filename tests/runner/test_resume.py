"""Killed at any moment, the whole process group at once: the study goes on, and its results are the same bits."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import assay
from assay import Result, load
from assay.spec import Study, study_toml
from assay.store import RunRecord
from assay.train.checkpoint import load_weights

from ..held import PATIENCE_SECONDS, Hold, wait_until
from ..helpers import same_weights, small_study

EPOCHS = 150


@pytest.fixture(scope="module")
def study() -> Study:
    return small_study(training={"epochs": EPOCHS, "batch_size": 16}, seeds={"count": 2})


@pytest.fixture
def hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hold:
    held = Hold(tmp_path / "hold.json")
    for name, value in held.variables.items():
        monkeypatch.setenv(name, value)
    return held


def start(file: Path, store: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "assay", "run", str(file), "--store", str(store), "--no-report"]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # background jobs ignore it
    )  # fmt: skip


def finish(file: Path, store: Path) -> str:
    process = start(file, store)
    output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, output
    return output


def weights(store: Path, run: RunRecord) -> dict[str, object]:
    return dict(load_weights(store / (run.weights_path or ""), run.weights_sha256 or ""))


def assert_same(one: Path, other: Path, name: str) -> None:
    for mine, theirs in zip(Result(one, name).runs, Result(other, name).runs, strict=True):
        assert mine.id == theirs.id
        assert mine.state == theirs.state == "finished"
        assert same_weights(weights(one, mine), weights(other, theirs))  # type: ignore[arg-type]
        assert [e.validation_loss for e in mine.epochs] == [e.validation_loss for e in theirs.epochs]
    record, other_record = Result(one, name).record, Result(other, name).record
    assert len(record.validation_hits) == len(record.runs)
    assert record.validation_hits == other_record.validation_hits
    assert record.image_sets == other_record.image_sets
    for run in record.runs:
        image_set, bits = record.validation_hits[run.id]
        num_hits = int.from_bytes(bits, "big").bit_count()
        assert run.kept is not None
        assert num_hits / len(record.image_sets[image_set]) == run.kept.validation_accuracy


@pytest.mark.parametrize("kills", [3, pytest.param(12, marks=pytest.mark.slow)])
def test_killed_at_random_points_it_ends_as_if_it_had_not_been(
    kills: int, study: Study, hold: Hold, tmp_path: Path
) -> None:
    file = tmp_path / "small.toml"
    file.write_text(study_toml(study))
    assay.run(study, store=tmp_path / "whole")

    chance = random.Random(1977)
    killed = tmp_path / "killed"
    with hold.closed(EPOCHS - 1, seed=1):  # it does not end before it is killed
        for _ in range(kills):
            process = start(file, killed)
            time.sleep(chance.uniform(0.3, 3.5))
            assert process.poll() is None
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    finish(file, killed)
    assert_same(tmp_path / "whole", killed, "small")
    leftovers = [p for p in killed.rglob("*") if p.name.startswith("checkpoint")]
    assert leftovers == []


def test_killed_right_after_a_checkpoint_it_loses_no_finished_epoch(study: Study, hold: Hold, tmp_path: Path) -> None:
    file = tmp_path / "small.toml"
    file.write_text(study_toml(study))
    store = tmp_path / "store"
    with hold.closed(20):
        process = start(file, store)
        wait_until(lambda: list(store.rglob("checkpoint.safetensors")))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    output = finish(file, store)
    assert "4 runs" in output
    assert all(len(run.epochs) == EPOCHS for run in Result(store, "small").runs)


def test_ctrl_c_waits_for_no_run_and_says_how_to_go_on(hold: Hold, tmp_path: Path) -> None:
    file = tmp_path / "long.toml"
    file.write_text(study_toml(small_study(name="long")))
    hold.close(1)
    store = tmp_path / "store"
    process = start(file, store)
    wait_until(lambda: list(store.rglob("checkpoint.safetensors")))
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the whole group
    output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130
    assert "the same command goes on from there" in output
    assert {run.state for run in Result(store, "long").runs} == {"queued"}
    assert load(file).name == "long"


def test_workers_end_when_their_parent_is_gone(hold: Hold, tmp_path: Path) -> None:
    import psutil

    file = tmp_path / "long.toml"
    file.write_text(study_toml(small_study(name="long")))
    hold.close(1)
    process = start(file, tmp_path / "store")
    wait_until(lambda: list(tmp_path.rglob("checkpoint.safetensors")))
    workers = psutil.Process(process.pid).children()
    assert workers
    process.kill()  # the parent alone
    process.communicate()
    gone, alive = psutil.wait_procs(workers, timeout=PATIENCE_SECONDS)
    assert not alive
    assert len(gone) == len(workers)
