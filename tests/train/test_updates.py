"""Class weights, label smoothing, clipping and averaging: loss and weights after several steps, against Keras 3."""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from assay.data import prepare
from assay.nets import parse
from assay.nets.build import build
from assay.seeds import Streams
from assay.spec import Arm, Data, Training
from assay.train.engine import class_weights_of, evaluate, learner_of, split_of, train
from assay.train.epochs import EpochRecord
from assay.train.fused.learner import FusedLearner
from assay.train.learner import Batch, Learner, Objective
from assay.train.plain import PlainLearner
from assay.train.scaling import Scaling
from assay.train.task import Task
from assay.train.updates import averaged

from .test_keras_equivalence import SEED, TOLERANCE, as_keras, batches, digits, weights_of

pytestmark = pytest.mark.filterwarnings(  # Keras on torch meets NumPy 2
    r"ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning:keras\.src\.backend"
)

WORDS = ["conv 5 3x3 relu", "maxpool 2", "flatten", "dense 10 relu", "dense classes softmax"]
WEIGHTS = {"0": 3.0, "4": 0.25, "9": 2.0}
LOSSES = ({"label_smoothing": 0.2}, {"class_weights": WEIGHTS}, {"class_weights": WEIGHTS, "label_smoothing": 0.1})
UPDATES = (
    ({"clip_norm": 0.05}, {"clipnorm": 0.05}),
    ({"global_clip_norm": 0.1}, {"global_clipnorm": 0.1}),
    ({"clip_value": 0.003}, {"clipvalue": 0.003}),
    ({"ema_momentum": 0.8}, {"use_ema": True, "ema_momentum": 0.8}),
    ({"ema_momentum": 0.9, "clip_norm": 0.5}, {"use_ema": True, "ema_momentum": 0.9, "clipnorm": 0.5}),
)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def pair_of(path: str, protocol: dict[str, Any], keras_s: dict[str, Any]) -> tuple[Learner, keras.Sequential, Any]:
    """One of our learners and Keras's model with the same initial weights."""
    training = Training.of({"optimizer": {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9}, **protocol})
    network = build(parse(WORDS), (12, 12, 1), 10, Streams(SEED))
    model = as_keras(network)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=training.label_smoothing)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9, **keras_s), loss)
    scaling = Scaling(torch.zeros(1), torch.full((1,), 1 / 255))
    objective = Objective(class_weights_of(training, np.arange(10), 10), training.label_smoothing)
    learner: Learner
    if path == "plain":
        learner = PlainLearner(network, training.optimizer, scaling, training=training, objective=objective)
    else:
        learner = FusedLearner(
            network.summary, training.optimizer, scaling, precision="float32", batch_size=40, streams=Streams(SEED),
            threads=1, training=training, objective=objective,
        )  # fmt: skip
        learner.load_weights({name: value.detach() for name, value in network.state_dict().items()})
    return learner, model, network


CASES = [
    (path, ours, theirs) for path in ("plain", "fused") for ours, theirs in (*[(loss, {}) for loss in LOSSES], *UPDATES)
]


@pytest.mark.parametrize(("path", "ours", "theirs"), CASES, ids=lambda value: str(value))
def test_twenty_steps_are_those_of_keras(path: str, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    learner, model, network = pair_of(path, ours, theirs)
    images, labels = digits(12)
    weights = ours.get("class_weights")
    class_weight = {int(label): weight for label, weight in weights.items()} if weights else None
    plain, *_ = pair_of(path, {}, {})
    losses = []
    for step, chosen in enumerate(batches(images, 40)):
        batch = Batch(images, chosen, labels[chosen])
        mine, _ = learner.train_batch(batch, step=step, learning_rate=0.1)
        plain.train_batch(batch, step=step, learning_rate=0.1)
        scaled = images[chosen].astype(np.float32) * np.float32(1 / 255)
        model.reset_metrics()
        one_hot = np.eye(10, dtype=np.float32)[labels[chosen]]
        expected = float(model.train_on_batch(scaled, one_hot, class_weight=class_weight))
        losses.append(abs(mine / len(chosen) - expected) / expected)
    assert max(losses) < TOLERANCE
    if "ema_momentum" in ours:
        model.optimizer.finalize_variable_values(model.trainable_variables)
    before = learner.weights()
    with averaged(learner.optimizer):
        found = learner.weights()
    assert all(torch.equal(value, before[name]) for name, value in learner.weights().items())
    for name, value in weights_of(model, network).items():
        assert float((found[name] - value).norm() / value.norm()) < TOLERANCE, name
        # Without the setting, it is another network.
        assert float((plain.weights()[name] - value).norm() / value.norm()) > 10 * TOLERANCE, name


def task(**training: Any) -> Task:
    images, labels = prepare("digits").training_files()
    values = {"name": "a", "layers": WORDS, "training": {"epochs": 3, "batch_size": 50, **training}}
    data = Data(name="digits", validation=0.2)
    return Task("run-1", Arm.of(values), data, 0, ("split", "init", "order"), 10, images, labels, Path("unused"))


class Killed(Exception):
    pass


@pytest.mark.parametrize("keep", ["last", {"best": "train_loss"}], ids=str)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_an_averaged_run_is_scored_and_kept_as_averaged_and_resumes(
    tmp_path: Path, keep: Any, smoothing: float
) -> None:
    data = prepare("digits").training()
    run = task(ema_momentum=0.95, clip_norm=1.0, keep=keep, label_smoothing=smoothing)
    whole = train(run, data)
    learner = learner_of(run, data)
    assert learner.path == "fused"
    learner.load_weights(whole.weights)
    kept = whole.history[whole.kept_epoch - 1]
    judged = evaluate(learner, data, split_of(run, data).validation)
    assert judged == (kept.validation_loss, kept.validation_accuracy)
    path = tmp_path / "checkpoint.safetensors"

    def kill(record: EpochRecord) -> None:
        if record.epoch == 2:
            raise Killed

    with pytest.raises(Killed):
        train(run, data, on_epoch=kill, checkpoint=path)
    resumed = train(run, data, checkpoint=path)
    assert all(torch.equal(value, whole.weights[name]) for name, value in resumed.weights.items())
    other = train(task(keep=keep, clip_norm=1.0, label_smoothing=smoothing), data)
    assert not torch.equal(other.weights["dense1.kernel"], whole.weights["dense1.kernel"])


def test_balanced_weights_are_scikit_learn_s() -> None:
    labels = np.repeat([0, 1, 3], [10, 70, 20])
    ours = class_weights_of(Training(class_weights="balanced"), labels, 4)
    assert ours is not None
    theirs = compute_class_weight("balanced", classes=np.array([0, 1, 3]), y=labels)
    assert ours[[0, 1, 3]] == pytest.approx(theirs)
    assert ours[2] == 1
    table = class_weights_of(Training.of({"class_weights": {"2": 5}}), labels, 4)
    assert table is not None
    assert table.tolist() == [1, 1, 5, 1]
    assert class_weights_of(Training(), labels, 4) is None


def test_balanced_weights_are_counted_in_the_training_split_alone() -> None:
    data = prepare("digits").training()
    run = task(class_weights="balanced")
    learned = np.asarray(data.labels)[split_of(run, data).training]
    (expected, learner) = class_weights_of(run.arm.training, learned, 10), learner_of(run, data)
    assert isinstance(learner, FusedLearner)
    assert np.array_equal(learner.network.objective.class_weights, expected)


@pytest.mark.parametrize("path", ["plain", "fused"])
def test_mixed_targets_are_weighted_and_smoothed_by_their_shares(path: str) -> None:
    """Against the definition, with targets as vectors."""
    learner, _, network = pair_of(path, {"class_weights": WEIGHTS, "label_smoothing": 0.1}, {})
    images, labels = digits(12)
    chosen, shares = np.arange(30), np.linspace(0, 1, 30, dtype=np.float32)
    scaled = torch.from_numpy(images[chosen] / np.float32(255)).permute(0, 3, 1, 2)
    with torch.no_grad():
        logs = torch.log_softmax(network(scaled), 1).numpy()
    weights = np.array([WEIGHTS.get(str(label), 1.0) for label in range(10)])
    expected = 0.0
    for share, one, other, log in zip(shares, labels[chosen], labels[chosen + 30], logs, strict=True):
        for part, label in ((share, one), (1 - share, other)):
            target = 0.9 * np.eye(10)[label] + 0.1 / 10
            expected -= part * weights[label] * (target @ log)
    batch = Batch(images, chosen, labels[chosen], labels[chosen + 30], shares)
    assert learner.train_batch(batch, step=0, learning_rate=0.1)[0] == pytest.approx(expected, rel=1e-5)
