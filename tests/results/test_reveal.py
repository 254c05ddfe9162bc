"""Opening the test split: no score is shown whose look is not in the store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import assay
from assay.data import TestData
from assay.errors import DataError
from assay.results import Result

from ..helpers import small_study

LAYERS = ["flatten", "dropout {rate}", "dense classes softmax"]


@pytest.fixture
def result(tmp_path: Path) -> Result:
    return assay.run(small_study(network={"layers": LAYERS}), store=tmp_path, workers=1)


def test_whoever_sees_a_score_finds_the_look_in_the_store(result: Result) -> None:
    looks = []

    def closed_pipe(run: object, accuracy: float) -> None:
        looks.append(len(result.record.looks))
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        result.reveal(on_scored=closed_pipe)
    assert looks == [1]
    assert [(look.num_runs, look.num_new) for look in result.record.looks] == [(4, 4)]


def test_scoring_that_is_interrupted_shows_and_stores_nothing(result: Result) -> None:
    shown = []

    def interrupt(num_done: int, num_runs: int) -> None:
        if num_done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        result.reveal(on_progress=interrupt, on_scored=lambda run, accuracy: shown.append(accuracy))
    assert (shown, result.record.looks) == ([], ())
    assert result.reveal()["test_accuracy"].notna().all()
    assert [(look.num_runs, look.num_new) for look in result.record.looks] == [(4, 4)]


def test_runs_with_lost_weights_have_no_score_and_are_named(result: Result, tmp_path: Path) -> None:
    lost = result.runs[1]
    (tmp_path / str(lost.weights_path)).unlink()
    frame = result.reveal()
    assert frame["test_accuracy"].isna().tolist() == [run.id == lost.id for run in result.runs]
    ((name, reason),) = frame.attrs["unscored"].items()
    assert name == f"{lost.arm}, {lost.label}"
    assert "the weights cannot be read (No such file or directory)" in reason
    assert [(look.num_runs, look.num_new) for look in result.record.looks] == [(3, 3)]
    again = result.reveal()  # it shows what is there
    assert again.attrs["unscored"] == frame.attrs["unscored"]
    assert len(result.record.looks) == 1


def test_where_no_run_can_be_scored_there_is_no_look(result: Result, tmp_path: Path) -> None:
    for run in result.runs:
        (tmp_path / str(run.weights_path)).write_bytes(b"")
    with pytest.raises(DataError) as caught:
        result.reveal()
    assert len(caught.value.problems) == 4
    assert not result.record.looks


def test_test_images_are_known_in_any_order_and_under_other_labels() -> None:
    rng = np.random.default_rng(26)
    images, labels = rng.integers(0, 256, (20, 4, 4, 1), dtype=np.uint8), rng.integers(0, 3, 20)
    order = rng.permutation(20)
    known = TestData(images, labels).images_sha256()
    assert TestData(images[order], labels).images_sha256() == known
    assert TestData(images[:-1], labels[:-1]).images_sha256() != known
    assert TestData(images.reshape(20, 2, 8, 1), labels).images_sha256() != known
    changed = images.copy()
    changed[3, 0, 0, 0] ^= 1
    assert TestData(changed, labels).images_sha256() != known
