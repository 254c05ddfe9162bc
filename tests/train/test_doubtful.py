"""``exclude = "doubtful"``: what is left out, what never is, resumed runs, and specs that stay as they were."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import assay
from assay.data import TrainingData, prepare
from assay.errors import RunError
from assay.spec import Training
from assay.train import Task, engine
from assay.train.doubtful import FOLDS, doubtful_images
from assay.train.engine import split_of, train

from ..helpers import same_weights, small_study, tasks_of

LAYERS = ["flatten", "dense 32 relu", "dense classes softmax"]


@pytest.fixture
def planted(tmp_path: Path) -> tuple[Task, TrainingData, set[int]]:
    """Digits, of whose labels every tenth is wrong; and which these are."""
    study = small_study(
        network={"layers": LAYERS}, factors={}, training={"epochs": 8, "batch_size": 32, "exclude": "doubtful"}
    )
    task = tasks_of(study, tmp_path)[0]
    data = prepare(study.data).training()
    rng = np.random.default_rng(4)
    labels = np.array(data.labels)
    wrong = rng.choice(len(labels), len(labels) // 10, replace=False)
    labels[wrong] = (labels[wrong] + rng.integers(1, 10, len(wrong))) % 10
    return task, TrainingData(data.images, labels), set(wrong.tolist())


def test_planted_errors_are_left_out_and_validation_images_never(
    planted: tuple[Task, TrainingData, set[int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, data, wrong = planted
    parts = split_of(task, data)
    seen: list[np.ndarray] = []
    judged = doubtful_images

    def watched(*given: object) -> np.ndarray:
        seen.append(judged(*given))  # type: ignore[arg-type]
        return seen[-1]

    monkeypatch.setattr(engine, "doubtful_images", watched)
    checkpoint = tmp_path / "checkpoint"
    whole = train(task, data)
    (left_out,) = seen
    assert whole.seconds > 1.3 * sum(epoch.seconds for epoch in whole.history)  # networks for doubts count, too
    assert whole.left_out == len(left_out)
    assert set(left_out.tolist()) <= set(parts.training.tolist())
    np.testing.assert_array_equal(whole.validation, parts.validation)
    planted_here = wrong & set(parts.training.tolist())
    hits = len(planted_here & set(left_out.tolist()))
    assert hits > 0.8 * len(planted_here)
    assert hits > 0.7 * len(left_out)
    # A run that is interrupted after its first epoch goes on with what it has left out, to the same bits.
    train(replace(task, pause_after=1), data, checkpoint=checkpoint)
    assert len(seen) == 2
    resumed = train(task, data, checkpoint=checkpoint)
    assert len(seen) == 2
    assert resumed.left_out == whole.left_out
    assert same_weights(resumed.weights, whole.weights)
    # The network itself: as one that is trained on the rest alone.
    plain = task.arm.model_copy(update={"training": task.arm.training.model_copy(update={"exclude": None})})
    everything = train(replace(task, arm=plain), data)
    assert everything.left_out is None
    assert not same_weights(everything.weights, whole.weights)


def test_at_most_half_of_a_class_is_left_out_and_no_image_is_judged_by_a_network_that_learned_it(
    planted: tuple[Task, TrainingData, set[int]],
) -> None:
    task, data, _ = planted
    chosen = np.arange(0, len(data), 2)
    asked: list[int] = []

    def contrary(inner: Task, part: TrainingData) -> tuple[np.ndarray, np.ndarray]:
        """Says with certainty that every image of class 0 is of class 1."""
        assert inner.arm.training.exclude is None
        assert len(part) == len(chosen)
        split = split_of(inner, part)
        asked.extend(split.validation.tolist())
        labels = np.where(part.labels == 0, 1, part.labels)[split.validation]
        logs = np.full((len(labels), 10), np.log(1e-4), np.float32)
        logs[np.arange(len(labels)), labels] = np.log(1 - 9e-4)
        return split.validation, logs

    left_out = doubtful_images(task, data, chosen, contrary)
    assert sorted(asked) == list(range(len(chosen)))
    assert set(left_out.tolist()) <= set(chosen.tolist())
    counts = np.bincount(data.labels[left_out], minlength=10)
    assert counts[0] <= np.bincount(data.labels[chosen], minlength=10)[0] // 2
    assert counts[1:].sum() == 0


def test_too_few_images_of_a_class_are_one_sentence(planted: tuple[Task, TrainingData, set[int]]) -> None:
    task, data, _ = planted
    few = np.concatenate([np.flatnonzero(data.labels == 0)[:50], np.flatnonzero(data.labels == 1)[: FOLDS - 1]])
    with pytest.raises(RunError, match=r"parts the training split into 3 folds, and there is a class with 2 images;"):
        doubtful_images(task, data, np.sort(few), lambda *_: pytest.fail("a network was trained"))
    with pytest.raises(RunError, match="and there is one class only; leave exclude out"):
        doubtful_images(task, data, np.flatnonzero(data.labels == 3), lambda *_: pytest.fail("a network was trained"))


def test_specs_and_runs_without_it_are_as_they_were(tmp_path: Path) -> None:
    assert "exclude" not in Training().identity()
    assert "exclude" not in Training().model_dump(mode="json")
    assert Training.of({"exclude": "none"}).identity() == Training().identity()
    assert Training.of({"exclude": "doubtful"}).identity()["exclude"] == "doubtful"
    with pytest.raises(assay.errors.SpecError, match="exclude"):
        Training.of({"exclude": "bad"})
    study = small_study(factors={"exclude": ["none", "doubtful"]}, network={"layers": LAYERS},
                        training={"epochs": 1, "exclude": "{exclude}"})  # fmt: skip
    assert [arm.training.exclude for arm in study.expand()] == [None, "doubtful"]
    without = small_study(factors={}, network={"layers": LAYERS}, training={"epochs": 1})
    assert {task.id for task in tasks_of(without, tmp_path)} < {task.id for task in tasks_of(study, tmp_path)}


def test_a_study_of_it_pairs_its_arms_and_the_report_says_how_many_were_left_out(tmp_path: Path) -> None:
    study = small_study(
        network={"layers": LAYERS},
        factors={"exclude": ["none", "doubtful"]},
        training={"epochs": 2, "batch_size": 32, "exclude": "{exclude}"},
    )
    result = assay.run(study, store=tmp_path)
    assert {run.state for run in result.runs} == {"finished"}
    counts = {(run.arm, run.seed): run.environment.get("left_out") for run in result.runs}
    assert [counts["exclude=none", seed] for seed in (0, 1)] == [None, None]
    assert all(isinstance(counts["exclude=doubtful", seed], int) for seed in (0, 1))
    html = result.report(tmp_path / "r.html", explanations=()).read_text()
    assert "Training images left out as doubtful (exclude=doubtful)" in html
    assert "northcutt2021confident" in html
    sets = {result.record.validation_hits[run.id][0] for run in result.runs if run.seed == 1}
    assert len(sets) == 1  # both arms are judged on the same images
