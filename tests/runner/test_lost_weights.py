"""Weights that are gone, swapped or damaged: the study that is run again trains these runs anew, and no other."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

import assay
from assay.results import Result
from assay.runner.progress import Lines
from assay.store import RunRecord, open_writer

from ..helpers import small_study

STUDY = small_study(network={"layers": ["flatten", "dropout {rate}", "dense classes softmax"]})


def run_again(store: Path, capsys: pytest.CaptureFixture[str]) -> tuple[Result, str]:
    result = assay.run(STUDY, store=store, workers=1, progress=Lines())
    return result, capsys.readouterr().err


def weights(store: Path, run: RunRecord) -> Path:
    return store / str(run.weights_path)


def test_lost_weights_come_back_bit_for_bit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = assay.run(STUDY, store=tmp_path, workers=1)
    scores = result.reveal()["test_accuracy"].tolist()
    runs = result.runs
    content = {run.id: weights(tmp_path, run).read_bytes() for run in runs}
    gone, flipped, one, other = (weights(tmp_path, run) for run in runs)
    gone.unlink()
    gone.parent.rmdir()
    flipped.write_bytes(flipped.read_bytes()[:-1] + bytes([flipped.read_bytes()[-1] ^ 1]))
    one.rename(one.with_suffix(".other"))
    other.rename(one)
    one.with_suffix(".other").rename(other)

    again, errors = run_again(tmp_path, capsys)
    assert "4 finished runs have lost their weights and are trained anew" in errors
    assert f"{runs[0].arm}, {runs[0].label}: the file is missing" in errors
    assert f"{runs[1].arm}, {runs[1].label}: not what was written" in errors
    assert "4 runs, 0 done before, 4 to do" in errors
    assert "4 runs have their weights back, bit for bit" in errors
    assert {run.id: weights(tmp_path, run).read_bytes() for run in again.runs} == content
    assert again.frame()["test_accuracy"].tolist() == scores
    assert [run.epochs[-1].validation_accuracy for run in again.runs] == [
        run.epochs[-1].validation_accuracy for run in runs
    ]

    _, errors = run_again(tmp_path, capsys)
    assert "4 done before, 0 to do" in errors
    assert "weights" not in errors


def test_scores_of_other_weights_are_not_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As if another machine had trained a run: its weights are gone, and here it becomes another."""
    result = assay.run(STUDY, store=tmp_path, workers=1)
    result.reveal()
    lost = result.runs[0]
    weights(tmp_path, lost).unlink()
    with open_writer(tmp_path) as writer:
        sha256 = hashlib.sha256(b"elsewhere").hexdigest()
        writer._connection.execute("UPDATE artifacts SET sha256 = ? WHERE run = ?", (sha256, lost.id))
    again, errors = run_again(tmp_path, capsys)
    assert f"{lost.arm}, {lost.label}: trained anew with other bits than before" in errors
    assert again.frame()["test_accuracy"].isna().tolist() == [run.id == lost.id for run in again.runs]
