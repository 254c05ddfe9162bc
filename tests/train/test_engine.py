from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from assay.data import TrainingData, open_published, prepare
from assay.errors import Diverged
from assay.seeds import Streams
from assay.spec import Arm, Data
from assay.train import EpochRecord
from assay.train.checkpoint import load_checkpoint, load_weights, save_weights
from assay.train.engine import evaluate, learner_of, split_of, train, training_subset
from assay.train.scaling import scaling_of
from assay.train.task import Task

from ..helpers import same_weights


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def data() -> TrainingData:
    return prepare("digits").training()


def task(**changes: object) -> Task:
    images, labels = prepare("digits").training_files()
    arm = Arm.of(
        {
            "name": "a",
            "layers": ["conv 4 3x3 relu", "batchnorm", "maxpool 2", "dropout 0.3", "flatten", "dense classes softmax"],
            "training": {"epochs": 3, "batch_size": 50},
            **changes,
        }
    )
    return Task("run-1", arm, Data(name="digits", validation=0.2), 0, ("split", "init", "order", "dropout"), 10,
                images, labels, Path("unused"))  # fmt: skip


def measures(history: tuple[EpochRecord, ...]) -> list[EpochRecord]:
    return [dataclasses.replace(record, seconds=0.0) for record in history]


def test_training_learns(data: TrainingData) -> None:
    trained = train(task(training={"epochs": 15, "batch_size": 32}), data)
    assert trained.history[-1].validation_accuracy > 0.85
    assert trained.history[-1].train_loss < trained.history[0].train_loss
    assert [record.epoch for record in trained.history] == list(range(1, 16))


def test_the_same_task_gives_the_same_bits(data: TrainingData) -> None:
    one, other = train(task(), data), train(task(), data)
    assert same_weights(one.weights, other.weights)
    assert measures(one.history) == measures(other.history)


def test_another_seed_gives_other_weights(data: TrainingData) -> None:
    assert not same_weights(train(task(), data).weights, train(dataclasses.replace(task(), seed=1), data).weights)


class Killed(Exception):
    pass


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop", "adadelta", "muon"])
@pytest.mark.parametrize("last_epoch", [1, 2])
def test_a_resumed_run_is_the_run_that_never_stopped(
    data: TrainingData, tmp_path: Path, optimizer: str, last_epoch: int
) -> None:
    run = task(training={"epochs": 3, "batch_size": 50, "optimizer": optimizer})
    whole = train(run, data)
    path = tmp_path / "checkpoint.safetensors"

    def kill(record: EpochRecord) -> None:
        if record.epoch == last_epoch:
            raise Killed

    with pytest.raises(Killed):
        train(run, data, on_epoch=kill, checkpoint=path)
    told: list[EpochRecord] = []
    resumed = train(run, data, on_epoch=told.append, checkpoint=path)
    assert same_weights(resumed.weights, whole.weights)
    assert measures(resumed.history) == measures(whole.history)
    assert told == list(resumed.history)


WHITENED = {
    "layers": ["conv 4 3x3 relu init=whitening fixed=true", "conv 4 3x3 relu init=identity", "batchnorm", "maxpool 2",
               "dropout 0.3", "flatten", "dense classes softmax init=zeros"],
    "training": {"epochs": 3, "batch_size": 200, "optimizer": {"name": "muon", "normalize": True},
                 "augmentation": {"flip": "alternating", "crop": 1}, "evaluation": {"flip": True, "shift": 1}},
}  # fmt: skip


@pytest.mark.parametrize("threads", [1, 2])
def test_a_whitened_run_resumes_and_has_the_same_bits_with_any_number_of_threads(
    data: TrainingData, tmp_path: Path, threads: int
) -> None:
    run = task(**WHITENED)
    whole = train(run, data)
    path = tmp_path / "checkpoint.safetensors"

    def kill(record: EpochRecord) -> None:
        raise Killed

    torch.set_num_threads(threads)
    with pytest.raises(Killed):
        train(run, data, on_epoch=kill, checkpoint=path, threads=threads)
    resumed = train(run, data, checkpoint=path, threads=threads)
    assert same_weights(resumed.weights, whole.weights)
    assert measures(resumed.history) == measures(whole.history)
    first = learner_of(run, data).weights()["conv1.kernel"]
    assert torch.equal(whole.weights["conv1.kernel"], first)
    assert not torch.equal(first, learner_of(dataclasses.replace(run, seed=1), data).weights()["conv1.kernel"])


def test_a_damaged_or_foreign_checkpoint_is_not_used(data: TrainingData, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    train(task(), data, checkpoint=path)
    assert load_checkpoint(path, "run-1") is not None
    assert load_checkpoint(path, "run-2") is None
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    assert load_checkpoint(path, "run-1") is None
    path.write_bytes(bytes(content[: len(content) // 2]))
    assert load_checkpoint(path, "run-1") is None


def test_weights_are_checked_by_hash(data: TrainingData, tmp_path: Path) -> None:
    from assay.errors import DataError

    weights = train(task(), data).weights
    path = tmp_path / "weights.safetensors"
    sha256, size = save_weights(path, weights, "run-1")
    assert size == path.stat().st_size
    assert same_weights(load_weights(path, sha256), weights)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(DataError, match="SHA-256 differs"):
        load_weights(path, sha256)


@pytest.mark.parametrize("stream", ["split", "init", "order", "dropout"])
def test_every_stream_moves_its_own_part_and_no_other(data: TrainingData, stream: str) -> None:
    one = dataclasses.replace(task(), vary=(stream,))
    other = dataclasses.replace(one, seed=1)
    moved = {
        "split": not np.array_equal(split_of(one, data).training, split_of(other, data).training),
        "init": not same_weights(learner_of(one, data).weights(), learner_of(other, data).weights()),
        "order": one.streams.key("order", 0) != other.streams.key("order", 0),
        "dropout": one.streams.key("dropout", 0, 5) != other.streams.key("dropout", 0, 5),
    }
    assert {name for name, has_moved in moved.items() if has_moved} == {stream}
    assert not same_weights(train(one, data).weights, train(other, data).weights)


def test_arms_with_and_without_dropout_share_split_and_initial_weights(data: TrainingData) -> None:
    plain = task(layers=["conv 4 3x3 relu", "flatten", "dense classes softmax"])
    dropped = task(layers=["conv 4 3x3 relu", "dropout 0.5", "flatten", "dense classes softmax"])
    assert np.array_equal(split_of(plain, data).training, split_of(dropped, data).training)
    assert same_weights(learner_of(plain, data).weights(), learner_of(dropped, data).weights())


def test_training_curves_are_fair(data: TrainingData) -> None:
    """The recorded training accuracy is that of the final weights, without dropout, on training images only."""
    run = task(layers=["flatten", "dropout 0.6", "dense classes softmax"])
    trained = train(run, data)
    parts = split_of(run, data)
    subset = training_subset(run, parts)
    assert set(subset) <= set(parts.training)
    assert len(subset) == len(parts.validation)
    learner = learner_of(run, data)
    learner.load_weights(trained.weights)
    assert evaluate(learner, data, subset) == (trained.history[-1].train_loss, trained.history[-1].train_accuracy)
    assert evaluate(learner, data, parts.validation)[1] == trained.history[-1].validation_accuracy


def test_validation_images_never_move_the_weights(data: TrainingData) -> None:
    run = task()
    parts = split_of(run, data)
    images = np.array(data.images)
    images[parts.validation] = 255 - images[parts.validation]
    changed = train(run, TrainingData(images, np.array(data.labels)))
    assert same_weights(changed.weights, train(run, data).weights)


def test_a_run_that_diverges_says_so_with_advice(data: TrainingData) -> None:
    run = task(
        layers=["flatten", "dense 16 relu", "dense classes softmax"],
        training={"epochs": 5, "optimizer": {"name": "sgd", "learning_rate": 1e30}},
    )
    with pytest.raises(Diverged) as caught:
        train(run, data)
    assert "epoch 1" in caught.value.reason
    assert "lower the learning rate (1e+30 now)" in caught.value.advice


def test_l2_enters_the_gradient_as_keras_has_it(data: TrainingData) -> None:
    """With one SGD step on the whole split, the kernel moves by an extra -lr * 2 * l2 * kernel."""
    layers = ["flatten", "dense classes softmax"]
    training = {"epochs": 1, "batch_size": 5000, "optimizer": {"name": "sgd", "learning_rate": 0.1}}
    plain = train(task(layers=layers, training=training), data).weights["dense1.kernel"]
    penalised = train(task(layers=["flatten", "dense classes softmax l2=0.5"], training=training), data)
    start = learner_of(task(layers=layers), data).weights()["dense1.kernel"]
    torch.testing.assert_close(penalised.weights["dense1.kernel"], plain - 0.1 * 2 * 0.5 * start)
    assert penalised.history[0].running_loss < 3  # the reported loss has no penalty in it


def test_scaling_standardises_by_the_reference_images_only() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, size=(50, 4, 4, 3), dtype=np.uint8)
    reference = np.arange(0, 50, 2)
    taken = scaling_of(images, "standard", reference).apply(images, reference)
    expected = images[reference] / 1.0
    expected = (expected - expected.mean((0, 1, 2))) / expected.std((0, 1, 2))
    np.testing.assert_allclose(taken.permute(0, 2, 3, 1).numpy(), expected, rtol=1e-4, atol=1e-5)
    unit = scaling_of(images, "unit", reference).apply(images, reference)
    assert math.isclose(float(unit.max()), images[reference].max() / 255, rel_tol=1e-6)


def test_a_task_survives_its_message() -> None:
    import json

    leaky = Data(name="digits", validation="test", as_published=True)
    told = dataclasses.replace(task(), fold=2, data=leaky, published=(Path("a"), Path("b")))
    for sent in (task(), told):
        assert Task.from_json(json.loads(json.dumps(sent.to_json()))) == sent
    assert task().streams == Streams(0, frozenset(task().vary))


def test_a_schedule_sets_the_rate_of_every_step(data: TrainingData) -> None:
    run = task(training={"epochs": 3, "batch_size": 50, "optimizer": {"name": "sgd", "learning_rate": 0.1},
                         "schedule": {"name": "step", "every": 1, "factor": 0.5}})  # fmt: skip
    assert [record.learning_rate for record in train(run, data).history] == pytest.approx([0.1, 0.05, 0.025])


AUGMENTED = {"epochs": 3, "batch_size": 50, "augmentation": {"rotation": 10, "shift": 1, "mixup": 0.4}}


def test_augmentation_changes_what_is_learned_from_its_own_stream(data: TrainingData) -> None:
    plain, augmented = train(task(), data), train(task(training=AUGMENTED), data)
    assert not same_weights(plain.weights, augmented.weights)
    only = dataclasses.replace(task(training=AUGMENTED), vary=("augment",))
    assert not same_weights(train(only, data).weights, train(dataclasses.replace(only, seed=1), data).weights)


def test_an_augmented_run_with_a_schedule_resumes_to_the_same_bits(data: TrainingData, tmp_path: Path) -> None:
    run = task(training={**AUGMENTED, "schedule": {"name": "plateau", "patience": 1}})
    whole = train(run, data)
    path = tmp_path / "checkpoint.safetensors"

    def kill(record: EpochRecord) -> None:
        if record.epoch == 2:
            raise Killed

    with pytest.raises(Killed):
        train(run, data, on_epoch=kill, checkpoint=path)
    assert same_weights(train(run, data, checkpoint=path).weights, whole.weights)


@pytest.mark.parametrize("last_epoch", [2, 6])
def test_the_best_epoch_is_kept_through_an_interruption(data: TrainingData, tmp_path: Path, last_epoch: int) -> None:
    """A rate this high makes the loss jump about, so the best epoch is not the last."""
    run = task(
        layers=["flatten", "dense 16 relu", "dense classes softmax"],
        training={
            "epochs": 40, "batch_size": 50, "optimizer": {"name": "adam", "learning_rate": 0.03},
            "keep": {"best": "validation_loss"}, "early_stopping": {"metric": "validation_loss", "patience": 3},
        },
    )  # fmt: skip
    whole = train(run, data)
    losses = [record.validation_loss for record in whole.history]
    assert len(losses) < 40
    assert whole.kept_epoch == 1 + losses.index(min(losses)) == len(losses) - 3
    shorter = dataclasses.replace(run, arm=task(layers=list(run.arm.layers), training={
        "epochs": whole.kept_epoch, "batch_size": 50, "optimizer": {"name": "adam", "learning_rate": 0.03},
    }).arm)  # fmt: skip
    assert same_weights(train(shorter, data).weights, whole.weights)

    path = tmp_path / "checkpoint.safetensors"

    def kill(record: EpochRecord) -> None:
        if record.epoch == (last_epoch if last_epoch < 6 else len(losses) - 1):
            raise Killed

    with pytest.raises(Killed):
        train(run, data, on_epoch=kill, checkpoint=path)
    resumed = train(run, data, checkpoint=path)
    assert same_weights(resumed.weights, whole.weights)
    assert (measures(resumed.history), resumed.kept_epoch) == (measures(whole.history), whole.kept_epoch)


def test_a_run_that_stops_after_some_epochs_has_the_schedule_of_all(data: TrainingData) -> None:
    schedule = {"epochs": 4, "batch_size": 50, "schedule": "cosine"}
    whole = train(task(training=schedule), data)
    short = train(task(training={**schedule, "stop_after": 2}), data)
    # The last epoch's health is always measured; what is trained is the same.
    end = dataclasses.replace(short.history[-1], health=None)
    assert measures((*short.history[:-1], end)) == measures(whole.history[:2])


def test_folds_are_the_validation_images_of_a_run(data: TrainingData) -> None:
    folded = dataclasses.replace(task(), data=Data.of({"name": "digits", "validation": "3-fold"}))
    parts = [split_of(dataclasses.replace(folded, fold=fold), data) for fold in (1, 2, 3)]
    assert sorted(np.concatenate([one.validation for one in parts])) == list(range(len(data)))
    ends = [train(dataclasses.replace(folded, fold=fold), data).history[-1].validation_loss for fold in (1, 2)]
    assert ends[0] != ends[1]


def test_a_run_without_validation_images_learns_from_all(data: TrainingData) -> None:
    run = dataclasses.replace(task(), data=Data.of({"name": "digits", "validation": "none"}))
    trained = train(run, data)
    assert len(split_of(run, data).training) == len(data)
    assert all(math.isnan(record.validation_loss) for record in trained.history)
    assert trained.history[-1].train_loss < trained.history[0].train_loss


def test_a_published_protocol_is_validated_on_the_test_images_and_learns_from_none_of_them() -> None:
    dataset = prepare("digits")
    protocol = Data.of({"name": "digits", "validation": "test", "as_published": True})
    run = dataclasses.replace(task(), data=protocol, published=dataset.published_files(protocol))
    assert run.published is not None
    test = open_published(*run.published, protocol)
    trained = train(run, dataset.training(), published=test)
    learner = learner_of(run, dataset.training())
    learner.load_weights(trained.weights)
    last = trained.history[-1]
    assert evaluate(learner, test, np.arange(len(test))) == (last.validation_loss, last.validation_accuracy)
    unseen = dataclasses.replace(run, data=Data.of({"name": "digits", "validation": "none"}), published=None)
    assert same_weights(train(unseen, dataset.training()).weights, trained.weights)


def test_both_paths_learn_alike_from_mixed_targets(data: TrainingData) -> None:
    """One float32 step on a mixed batch: the plain path's autograd is the reference."""
    from assay.nets import parse
    from assay.nets.build import build
    from assay.train.engine import batch_of
    from assay.train.plain import PlainLearner

    run = task(layers=["conv 4 3x3 relu", "maxpool 2", "flatten", "dense classes softmax"],
               training={**AUGMENTED, "precision": "float32"})  # fmt: skip
    fused = learner_of(run, data)
    assert fused.path == "fused"
    parts = split_of(run, data)
    network = build(parse(run.arm.layers), (8, 8, 1), 10, run.streams)
    plain = PlainLearner(network, run.arm.training.optimizer, scaling_of(data.images, "unit", parts.training))
    batch = batch_of(run, data, parts.training[:50], 0)
    assert batch.partners is not None
    losses = [learner.train_batch(batch, step=0, learning_rate=0.01) for learner in (fused, plain)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for name, value in plain.weights().items():
        torch.testing.assert_close(fused.weights()[name], value, rtol=1e-3, atol=1e-5)


def test_bfloat16_is_refused_where_it_cannot_be_had(data: TrainingData, monkeypatch: pytest.MonkeyPatch) -> None:
    from assay.errors import RunError

    monkeypatch.setattr("assay.train.paths.kernels_round", lambda: False)
    with pytest.raises(RunError, match="bfloat16 is not available"):
        train(task(training={"epochs": 1, "precision": "bfloat16"}), data)
    assert learner_of(task(training={"epochs": 1}), data).precision == "float32"


def test_a_network_that_the_kernels_do_not_take_is_trained_by_torch(data: TrainingData) -> None:
    run = task(layers=["conv 5 3x3 relu", "flatten", "layernorm", "dense classes softmax"])
    assert learner_of(run, data).path == "plain"
    assert train(run, data).history[-1].train_loss < 2.3
