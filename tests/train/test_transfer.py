"""Training on a base: what is frozen stays, what is cached is what the base puts out, blocks have their own rates."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from assay.data import prepare
from assay.nets import summary_of
from assay.nets.build import Network
from assay.seeds import Streams
from assay.spec import Arm, Data
from assay.train import engine
from assay.train.augment import augment
from assay.train.engine import batch_of, learner_of, split_of, train
from assay.train.features import Features, base_outputs, features_of
from assay.train.networks import network_of
from assay.train.predictor import predictor_of
from assay.train.prepared import Prepared
from assay.train.task import Task

from ..helpers import same_weights

BLOCKS = [
    ["block1", ["conv 4 3x3 relu padding=same", "batchnorm", "maxpool 2"]],
    ["block2", [{"residual": ["conv 4 3x3 padding=1 bias=false", "batchnorm epsilon=1e-05 momentum=0.9"]}]],
    ["block3", ["conv 6 3x3 relu6", "batchnorm"]],
]
SMALL = {"title": "small", "blocks": BLOCKS, "channels": 1, "coding": ["0 to 1", [0.0], [1 / 255], False], "size": None}
HEAD = ["flatten", "layernorm", "dense classes softmax"]  # on torch's layers, which need no compiling


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """The base's weights as a study keeps them."""
    network = Network(summary_of(arm_on({}), (8, 8, 1), 10), Streams(5))
    generator = torch.Generator().manual_seed(0)
    tensors = {name: value.detach() for name, value in network.state_dict().items() if name.startswith("base_")}
    for name, value in tensors.items():
        if "moving" in name or "gamma" in name:
            value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
    path = tmp_path / "base.safetensors"
    safetensors.torch.save_file({name: value.contiguous() for name, value in tensors.items()}, path)
    return path


def arm_on(base: dict[str, Any], layers: list[Any] | None = None, **training: Any) -> Arm:
    told = {"weights": "run:abcdef", "network": SMALL, **base}
    return Arm(name="arm", layers=layers or HEAD, base=told, training={"epochs": 3, "batch_size": 256, **training})


def task_on(base: dict[str, Any], kept: Path, layers: list[Any] | None = None, seed: int = 0, **training: Any) -> Task:
    images, labels = prepare("digits").training_files()
    return Task(
        id="a" * 64, arm=arm_on(base, layers, **training), data=Data(name="digits", validation=0.2), seed=seed,
        vary=("split", "init", "order", "augment", "dropout"), num_classes=10, images=images, labels=labels,
        folder=kept.parent, base=kept,
    )  # fmt: skip


def trained(task: Task, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, bytes], list[dict[str, bytes]], list[str]]:
    """All of the network's bytes before training and after each epoch, and the names of what never trains."""
    found: list[Any] = []
    make = learner_of

    def watched(*args: Any, **settings: Any) -> Any:
        found.append(make(*args, **settings))
        return found[-1]

    monkeypatch.setattr(engine, "learner_of", watched)
    epochs: list[dict[str, bytes]] = []
    data = prepare("digits").training()
    height, width, channels = data.images.shape[1:]
    before = bytes_of(network_of(task.arm, (height, width, channels), 10, task.streams, task.base))
    train(task, data, on_epoch=lambda record: epochs.append(bytes_of(found[0].network)))
    return before, epochs, sorted(found[0].network.frozen_names)


def bytes_of(network: Network) -> dict[str, bytes]:
    return {name: value.detach().contiguous().numpy().tobytes() for name, value in network.state_dict().items()}


def moved(before: dict[str, bytes], after: dict[str, bytes]) -> set[str]:
    return {name for name in before if before[name] != after[name]}


OPTIMIZERS = [{"name": "adamw", "weight_decay": 0.1}, {"name": "sgd", "momentum": 0.9}, {"name": "rmsprop"}]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: optimizer["name"])
@pytest.mark.parametrize("statistics", ["frozen", "moving"])
def test_not_one_frozen_byte_moves(
    optimizer: dict[str, Any], statistics: str, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = task_on({"train": "last 1 block", "statistics": statistics}, kept, optimizer=optimizer, clip_norm=1.0)
    before, (*_, after), frozen = trained(task, monkeypatch)
    changed = moved(before, after)
    blocks = {row.name: row.block for row in summary_of(task.arm, (8, 8, 1), 10).layers}
    assert frozen == sorted(name for name in before if blocks[name.split(".")[0]] in ("block1", "block2"))
    assert not changed & set(frozen)
    assert {"base_conv3.kernel", "base_conv3.bias", "base_batchnorm3.gamma", "dense1.kernel"} <= changed
    moving = {"base_batchnorm3.moving_mean", "base_batchnorm3.moving_variance"}
    assert (moving <= changed) if statistics == "moving" else not moving & changed


def test_a_frozen_base_that_runs_in_every_step_does_not_move_either(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = task_on({}, kept, augmentation={"shift": 1})
    before, (*_, after), frozen = trained(task, monkeypatch)
    assert frozen == sorted(name for name in before if name.startswith("base_"))
    assert moved(before, after) == {name for name in before if not name.startswith("base_")}


def test_blocks_begin_to_train_with_their_epochs(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = task_on({"unfreeze": {2: "last 1 block", 3: "last 2 blocks"}, "statistics": "moving"}, kept)
    before, epochs, frozen = trained(task, monkeypatch)
    blocks = {row.name: row.block for row in summary_of(task.arm, (8, 8, 1), 10).layers}
    states = [before, *epochs]
    changed = [{blocks[name.split(".")[0]] for name in moved(one, other)} for one, other in itertools.pairwise(states)]
    assert changed == [{""}, {"", "block3"}, {"", "block2", "block3"}]
    assert not moved(before, epochs[-1]) & set(frozen)


def test_a_resumed_run_unfreezes_as_an_uninterrupted_one(kept: Path, tmp_path: Path) -> None:
    task, data = task_on({"unfreeze": {2: "all"}}, kept), prepare("digits").training()
    whole = train(task, data)

    class Stop(Exception):
        pass

    def stop(record: Any) -> None:
        if record.epoch == 2:
            raise Stop

    checkpoint = tmp_path / "checkpoint"
    with pytest.raises(Stop):
        train(task, data, checkpoint=checkpoint, on_epoch=stop)
    assert same_weights(train(task, data, checkpoint=checkpoint).weights, whole.weights)


def test_each_block_learns_at_its_own_rate(kept: Path) -> None:
    """SGD moves a weight by rate x gradient, so that scales are the ratios of first steps."""
    data = prepare("digits").training()
    steps = []
    for scale in (1.0, {"block2": 0.25, "block3": 0.5}):
        task = task_on({"train": "all", "learning_rate_scale": scale}, kept, optimizer="sgd")
        learner = learner_of(task, data)
        before = learner.weights()
        learner.begin_epoch(1, 5)
        learner.train_batch(batch_of(task, data, np.arange(64), 0), step=0, learning_rate=0.1)
        steps.append({name: value - before[name] for name, value in learner.weights().items()})
    for name, factor in [("base_conv1", 1), ("base_conv2", 0.25), ("base_conv3", 0.5), ("dense1", 1)]:
        one, other = (step[f"{name}.kernel"] for step in steps)
        torch.testing.assert_close(other, one * factor, rtol=1e-3, atol=1e-7)
        assert one.abs().max() > 0


def test_what_is_cached_is_what_the_base_puts_out(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task, data = task_on({"until": "block2"}, kept, [*HEAD]), prepare("digits").training()
    features = features_of(task, data)
    assert isinstance(features, Features)
    assert features.images.dtype == np.float32
    network = network_of(task.arm, (8, 8, 1), 10, task.streams, kept).eval()
    prepared = Prepared(network.summary.base.preparation)
    with torch.no_grad():
        expected = network.features(prepared.apply(data.images, np.arange(len(data)))).permute(0, 2, 3, 1)
    np.testing.assert_allclose(features.images, expected.numpy(), rtol=1e-6, atol=1e-6)
    monkeypatch.setattr(Network, "features", None)  # from now on the base cannot run
    np.testing.assert_array_equal(features_of(task, data).images, features.images)
    learner = learner_of(task, data)
    assert {name.split(".")[0] for name in learner.weights()} == {"layernorm1", "dense1"}


def test_a_finished_head_and_its_base_answer_as_one_network(kept: Path) -> None:
    """The head learned on cached outputs; whole images through the whole network give what it was measured to do."""
    task, data = (
        task_on({}, kept, ["globalavgpool", "layernorm", "dense classes softmax"], precision="float32"),
        prepare("digits").training(),
    )
    run = train(task, data)
    predictor = predictor_of(task, data)
    predictor.load_weights(run.weights)
    judged = split_of(task, data).validation
    loss, hits = predictor.hits(np.asarray(data.images)[judged], data.labels[judged])
    assert loss == pytest.approx(run.history[-1].validation_loss, rel=1e-4)
    assert hits.mean() == pytest.approx(run.history[-1].validation_accuracy)
    _, kept_hits = predictor.hits(data.images, data.labels)  # a memory map: through the cache
    np.testing.assert_array_equal(kept_hits[judged], hits)


def test_only_a_whole_file_of_images_is_kept_in_the_cache(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from assay.data import features_folder

    data = prepare("digits").training()
    predictor = predictor_of(task_on({"repeat": False}, kept), data)
    before = set(features_folder().glob("*"))
    some = [predictor.probabilities(data.images[part]) for part in (slice(0, 1), slice(3, 5))]
    one = predictor.probabilities(data.images[7][None])
    assert set(features_folder().glob("*")) == before
    every = predictor.probabilities(data.images)
    assert set(features_folder().glob("*")) > before
    np.testing.assert_allclose(np.concatenate([*some, one]), every[[0, 3, 4, 7]], rtol=1e-4, atol=1e-6)


def test_the_cache_knows_whatever_its_values_depend_on(kept: Path, tmp_path: Path) -> None:
    from assay.data import features_folder

    data = prepare("digits").training()
    images = np.asarray(data.images)[:20]
    other = tmp_path / "other.safetensors"
    tensors = safetensors.torch.load_file(kept)
    tensors["base_conv1.kernel"] += 1e-6
    safetensors.torch.save_file(tensors, other)

    def files(base: dict[str, Any], weights: Path, given: Any, layers: list[Any] | None = None) -> set[Path]:
        network = network_of(arm_on(base, layers), given.shape[1:], 10, Streams(0), weights)
        base_outputs(given, network, Prepared(network.summary.base.preparation))
        return set(features_folder().glob("*.npy"))

    count = len(files({}, kept, images))
    assert len(files({"train": "none"}, kept, images)) == count
    turned = images[::-1].copy()
    for number, (base, weights, given, layers) in enumerate([
        ({"until": "block2"}, kept, images, None), ({"preprocessing": "tf"}, kept, images, None),
        ({"size": 9}, kept, images, None), ({}, other, images, None), ({}, kept, turned, None),
        ({}, kept, images, ["globalavgpool", "dense classes softmax"]),
    ], start=1):  # fmt: skip
        assert len(files(base, weights, given, layers)) == count + number


def test_copies_are_the_base_of_augmented_images_and_each_epoch_draws_some(kept: Path) -> None:
    settings = {"shift": 1, "rotation": 10}
    tasks = [task_on({"copies": 2}, kept, seed=seed, augmentation=settings) for seed in (0, 1)]
    data = prepare("digits").training()
    features = features_of(tasks[0], data)
    assert isinstance(features, Features)
    assert features.copies is not None
    assert features.copies.shape == (2 * len(data), *features.images.shape[1:])
    indices = np.arange(len(data))
    second = augment(np.asarray(data.images), tasks[0].arm.training.augmentation,
                     Streams(0, frozenset()).key("augment", 1, 0), indices)  # fmt: skip
    network = network_of(tasks[0].arm, (8, 8, 1), 10, tasks[0].streams, kept).eval()
    with torch.no_grad():
        expected = network.features(Prepared(network.summary.base.preparation).apply(second, indices))
    np.testing.assert_allclose(features.copies[len(data) :], expected.permute(0, 2, 3, 1).numpy(), rtol=1e-5, atol=1e-5)
    batches = [batch_of(task, features, indices[:200], step) for task in tasks for step in (0, 1)]
    drawn = [tuple(batch.indices // len(data)) for batch in batches]
    assert len(set(drawn)) == 4  # each step and each seed draws anew
    assert all(set(copies) == {0, 1} for copies in drawn)
    np.testing.assert_array_equal(batches[0].indices % len(data), indices[:200])


def test_a_head_starts_from_the_same_weights_on_every_base(kept: Path) -> None:
    data = prepare("digits").training()
    frozen, tuned = (learner_of(task_on(base, kept), data).weights() for base in ({}, {"train": "all"}))
    assert torch.equal(frozen["dense1.kernel"], tuned["dense1.kernel"])
    scratch = [learner_of(task_on({"train": "all"}, kept, seed=seed), data).weights() for seed in (0, 1)]
    assert torch.equal(scratch[0]["base_conv1.kernel"], scratch[1]["base_conv1.kernel"])
    assert not torch.equal(scratch[0]["dense1.kernel"], scratch[1]["dense1.kernel"])


@pytest.mark.parametrize("epoch", [1, 2])
def test_the_cuda_path_does_the_same_on_the_processor(epoch: int, kept: Path) -> None:
    from assay import spec
    from assay.train.cuda.learner import CudaLearner
    from assay.train.learner import Learner
    from assay.train.plain import PlainLearner

    data = prepare("digits").training()
    task = task_on({"unfreeze": {2: "last 2 blocks"}, "learning_rate_scale": 0.5, "size": 9}, kept)
    found = []
    for make, settings in (
        (PlainLearner, {}),
        (CudaLearner, {"batch_size": 64, "precision": "float32", "device": "cpu"}),
    ):
        network = network_of(task.arm, (8, 8, 1), 10, task.streams, kept)
        prepared = Prepared(network.summary.base.preparation)
        learner: Learner = make(network, spec.Optimizer.of({"name": "adam"}), prepared, **settings)
        learner.begin_epoch(epoch, 2)
        for step in range(2):
            batch = batch_of(task, data, np.arange(64) + 64 * step, step)
            learner.train_batch(batch, step=2 * (epoch - 1) + step, learning_rate=0.01)
        found.append((learner.weights(), learner.score(data.images, data.labels, np.arange(100))))
    (plain, score), (cuda, other) = found
    for name, value in plain.items():
        torch.testing.assert_close(cuda[name], value, rtol=1e-4, atol=1e-5, msg=name)
    assert score == pytest.approx(other, rel=1e-4)
