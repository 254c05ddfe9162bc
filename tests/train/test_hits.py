"""Which validation images the kept network gets right: the recorded accuracy, image by image."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from assay.data import TrainingData, open_published, prepare
from assay.spec import Arm, Data
from assay.train import EpochRecord, Task
from assay.train.engine import Trained, learner_of, split_of, train
from assay.train.predictor import predictor_of

from ..helpers import based_study, tasks_of

FUSED = ["conv 4 3x3 relu", "batchnorm", "maxpool 2", "dropout 0.3", "flatten", "dense classes softmax"]
PLAIN = ["conv 5 3x3 relu", "flatten", "layernorm", "dropout 0.3", "dense classes softmax"]  # odd channels as a vector
SMALL = ["flatten", "dense 16 relu", "dense classes softmax"]
JUMPY = {
    "epochs": 40, "batch_size": 50, "optimizer": {"name": "adam", "learning_rate": 0.03},
    "keep": {"best": "validation_loss"}, "early_stopping": {"metric": "validation_loss", "patience": 3},
}  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def data() -> TrainingData:
    return prepare("digits").training()


def task_of(layers: list[str], training: dict[str, Any] | None = None, **changes: Any) -> Task:
    images, labels = prepare("digits").training_files()
    arm = Arm.of({"name": "a", "layers": layers, "training": {"epochs": 2, "batch_size": 50, **(training or {})}})
    task = Task("run", arm, Data(name="digits", validation=0.2), 0, ("split", "init", "order"), 10, images, labels,
                Path("unused"))  # fmt: skip
    return dataclasses.replace(task, **changes)


def assert_is_accuracy(trained: Trained) -> None:
    """The mean is the recorded accuracy itself, and not only close to it."""
    kept = trained.history[trained.kept_epoch - 1]
    assert len(trained.hits) == len(trained.validation) > 0
    assert trained.hits.mean() == kept.validation_accuracy
    assert 0 < trained.hits.sum() < len(trained.hits)


@pytest.mark.parametrize("precision", ["auto", "float32"])
@pytest.mark.parametrize("layers", [FUSED, PLAIN], ids=["fused", "plain"])
def test_their_mean_is_the_accuracy_of_the_last_epoch(layers: list[str], precision: str, data: TrainingData) -> None:
    task = task_of(layers, {"precision": precision})
    assert learner_of(task, data).path == ("fused" if layers is FUSED else "plain")
    trained = train(task, data)
    assert_is_accuracy(trained)
    assert np.array_equal(trained.validation, split_of(task, data).validation)


@pytest.mark.parametrize("layers", [SMALL, PLAIN], ids=["fused", "plain"])
def test_with_early_stopping_they_are_of_the_best_epoch(layers: list[str], data: TrainingData) -> None:
    trained = train(task_of(layers, JUMPY), data)
    accuracies = [record.validation_accuracy for record in trained.history]
    assert trained.kept_epoch < len(trained.history) < 40
    assert accuracies[trained.kept_epoch - 1] != accuracies[-1]
    assert_is_accuracy(trained)


def test_averaged_weights_count_where_they_are_kept(data: TrainingData) -> None:
    trained = train(task_of(FUSED, {"epochs": 3, "ema_momentum": 0.9}), data)
    assert_is_accuracy(trained)


class Killed(Exception):
    pass


@pytest.mark.parametrize("last_epoch", [2, 5])
@pytest.mark.parametrize("layers", [SMALL, PLAIN], ids=["fused", "plain"])
def test_a_resumed_run_has_the_same(layers: list[str], last_epoch: int, data: TrainingData, tmp_path: Path) -> None:
    task = task_of(layers, JUMPY)
    whole = train(task, data)
    path = tmp_path / "checkpoint.safetensors"

    def kill(record: EpochRecord) -> None:
        if record.epoch == last_epoch:
            raise Killed

    with pytest.raises(Killed):
        train(task, data, on_epoch=kill, checkpoint=path)
    resumed = train(task, data, checkpoint=path)
    assert np.array_equal(resumed.hits, whole.hits)
    assert_is_accuracy(resumed)


def test_folds_cover_the_training_images(data: TrainingData) -> None:
    folds = [
        train(task_of(SMALL, data=Data.of({"name": "digits", "validation": "3-fold"}), fold=fold), data)
        for fold in (1, 2, 3)
    ]
    for trained in folds:
        assert_is_accuracy(trained)
    assert sorted(np.concatenate([trained.validation for trained in folds])) == list(range(len(data)))


def test_a_published_protocol_has_them_for_the_test_images() -> None:
    dataset = prepare("digits")
    protocol = Data.of({"name": "digits", "validation": "test", "as_published": True})
    published = dataset.published_files(protocol)
    assert published is not None
    test = open_published(*published, protocol)
    trained = train(task_of(SMALL, data=protocol, published=published), dataset.training(), published=test)
    assert_is_accuracy(trained)
    assert trained.validation.tolist() == list(range(len(test)))


def test_without_validation_images_there_are_none(data: TrainingData) -> None:
    trained = train(task_of(SMALL, data=Data.of({"name": "digits", "validation": "none"})), data)
    assert (len(trained.validation), len(trained.hits)) == (0, 0)


@pytest.mark.parametrize("layers", [FUSED, PLAIN], ids=["fused", "plain"])
def test_they_are_what_an_independent_prediction_gets_right(layers: list[str], data: TrainingData) -> None:
    task = task_of(layers, {"epochs": 5, "precision": "float32", "optimizer": "adam"})
    trained = train(task, data)
    predictor = predictor_of(task, data)
    predictor.load_weights(trained.weights)
    probabilities = predictor.probabilities(data.images[trained.validation])
    ordered = np.sort(probabilities, axis=1)
    is_clear = ordered[:, -1] - ordered[:, -2] > 1e-4  # elsewhere rounding may decide
    assert is_clear.mean() > 0.98
    expected = probabilities.argmax(1) == data.labels[trained.validation]
    assert np.array_equal(expected[is_clear], trained.hits[is_clear])


def test_on_a_base_frozen_and_cached_or_trained(tmp_path: Path) -> None:
    dataset = prepare("digits")
    for task in tasks_of(based_study(training={"epochs": 2, "batch_size": 64}), tmp_path):
        trained = train(task, dataset.training())
        assert_is_accuracy(trained)
        predictor = predictor_of(task, dataset.training())
        predictor.load_weights(trained.weights)
        _, expected = predictor.hits(dataset.training().images, dataset.training().labels)
        assert np.mean(expected[trained.validation] != trained.hits) < 0.01


def test_the_cuda_path_has_those_that_it_counts(data: TrainingData) -> None:
    """On the processor; how it is built is ``test_cuda``'s."""
    from assay.nets import parse
    from assay.nets.build import build
    from assay.train.cuda.learner import CudaLearner
    from assay.train.scaling import scaling_of

    task = task_of(PLAIN)
    network = build(parse(task.arm.layers), (8, 8, 1), 10, task.streams)
    scaling = scaling_of(data.images, "unit", np.arange(100))
    learner = CudaLearner(network, task.arm.training.optimizer, scaling, batch_size=50, device="cpu")
    indices = np.arange(0, 1400)
    hits = learner.hits(data.images, data.labels, indices)
    assert (len(hits), hits.sum()) == (1400, learner.score(data.images, data.labels, indices)[1])
    some = learner.hits(data.images, data.labels, indices[300:500])
    assert np.mean(some != hits[300:500]) < 0.02
