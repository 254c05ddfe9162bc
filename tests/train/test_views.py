"""Evaluation by several views: which there are, and that the mean of their logits counts wherever images are judged."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from assay.data import TrainingData, prepare
from assay.errors import SpecError
from assay.nets.shapes import Summary
from assay.spec import Arm, Data, Evaluation, Study, Training
from assay.train.engine import hits_of, learner_of, split_of, train
from assay.train.predictor import predictor_of
from assay.train.task import Task
from assay.train.views import views_of

VIEWS = {"flip": True, "shift": 1}


def task(**training: Any) -> Task:
    images, labels = prepare("digits").training_files()
    arm = Arm.of(
        {
            "name": "a",
            "layers": ["conv 4 3x3 relu", "maxpool 2", "flatten", "dense classes softmax"],
            "training": {"epochs": 1, "batch_size": 50, "evaluation": VIEWS, **training},
        }
    )
    return Task("run-1", arm, Data(name="digits", validation=0.2), 0, ("split", "init"), 10, images, labels,
                Path("unused"))  # fmt: skip


@pytest.fixture
def data() -> TrainingData:
    return prepare("digits").training()


def test_views_are_the_image_moved_both_ways_along_the_diagonal_and_mirrored() -> None:
    image = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.uint8)[None, :, :, None]
    views = [view[0, :, :, 0].tolist() for view in views_of(image, Evaluation(flip=True, shift=1))]
    assert views == [
        [[1, 2, 3], [4, 5, 6], [7, 8, 9]], [[3, 2, 1], [6, 5, 4], [9, 8, 7]],
        [[5, 6, 6], [8, 9, 9], [8, 9, 9]], [[6, 6, 5], [9, 9, 8], [9, 9, 8]],
        [[1, 1, 2], [1, 1, 2], [4, 4, 5]], [[2, 1, 1], [2, 1, 1], [5, 4, 4]],
    ]  # fmt: skip


@pytest.mark.parametrize(("flip", "shift", "count"), [(True, 0, 2), (False, 2, 3), (True, 9, 6)])
def test_there_are_as_many_views_as_said(flip: bool, shift: int, count: int) -> None:
    evaluation = Evaluation(flip=flip, shift=shift)
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), np.uint8)
    views = list(views_of(images, evaluation))
    assert len(views) == evaluation.num_views == count
    assert all(view.shape == images.shape for view in views)


def test_one_view_is_no_setting() -> None:
    assert Training(evaluation=Evaluation()) == Training()
    assert "evaluation" not in Training(evaluation=Evaluation()).identity()
    assert Training(evaluation=Evaluation(flip=True)).identity()["evaluation"] == {"flip": True, "shift": 0}


@pytest.mark.parametrize("layers", [None, ["conv 5 3x3 relu", "flatten", "layernorm", "dense classes softmax"]])
def test_a_run_is_judged_by_the_mean_of_its_logits(data: TrainingData, layers: list[str] | None) -> None:
    run = task()
    if layers:  # which kernels do not take
        run = dataclasses.replace(run, arm=run.arm.model_copy(update={"layers": tuple(layers)}))
    trained = train(run, data)
    learner = learner_of(run, data)
    learner.load_weights(trained.weights)
    chosen = split_of(run, data).validation
    views = views_of(data.images[chosen], Evaluation(**VIEWS))
    logits = torch.from_numpy(np.mean([learner.logits(np.array(view)) for view in views], axis=0))
    labels = torch.from_numpy(np.asarray(data.labels[chosen], np.int64))
    record = trained.history[-1]
    assert record.validation_loss == pytest.approx(float(torch.nn.functional.cross_entropy(logits, labels)), rel=1e-5)
    hits = (logits.argmax(1) == labels).numpy()
    assert record.validation_accuracy == hits.mean()
    assert np.array_equal(trained.hits, hits)
    once = hits_of(learner, trained.weights, data, chosen)
    assert not np.array_equal(once, hits)

    predictor = predictor_of(run, data)
    predictor.load_weights(trained.weights)
    assert np.mean(predictor.hits(data.images[chosen], data.labels[chosen])[1] == hits) > 0.99
    expected = torch.softmax(logits, 1).numpy()
    np.testing.assert_allclose(predictor.probabilities(data.images[chosen]), expected, atol=0.02)


def based(**training: Any) -> Summary:
    from assay.nets import summary_of

    base = {"name": "squeezenet", "weights": "random", "until": "block1", "size": 20, **training.pop("base", {})}
    arm = Arm.of({"name": "a", "base": base, "layers": ["flatten", "dense classes softmax"], "training": training})
    return summary_of(arm, (8, 8, 1), 10)


def test_a_base_s_outputs_are_not_cached_where_other_views_are_looked_at() -> None:
    once, several = based().base, based(evaluation=VIEWS).base
    assert once is not None
    assert once.is_cached
    assert several is not None
    assert not several.is_cached
    with pytest.raises(SpecError, match="copies keep a base's outputs"):
        based(evaluation=VIEWS, augmentation={"shift": 1}, base={"copies": 2})


@pytest.mark.parametrize(
    ("evaluation", "message"),
    [({"shift": -1}, "evaluation.shift"), ({"shift": 0.5}, "evaluation.shift"), ({"crop": 1}, "evaluation.crop")],
)
def test_views_that_make_no_sense_are_refused(evaluation: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        Study.of(
            {
                "name": "s", "data": {"name": "digits"}, "network": {"layers": ["flatten", "dense classes softmax"]},
                "training": {"evaluation": evaluation},
            }
        )  # fmt: skip
    assert [message in str(problem) for problem in caught.value.problems] == [True]
