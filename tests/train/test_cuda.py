"""The CUDA path's arithmetic, on the CPU: step by step what the plain path computes. Where there is a device, there."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import assay.train.engine as engine
from assay.data import TrainingData, prepare
from assay.errors import RunError
from assay.nets import parse, summarize
from assay.nets.build import Network, build
from assay.nets.masks import keep_mask
from assay.seeds import Streams
from assay.spec import Arm, Data, Training
from assay.train import EpochRecord
from assay.train.cuda.learner import CudaLearner
from assay.train.cuda.replay import WARM_UP, Replay
from assay.train.engine import batch_of, class_weights_of, split_of, train
from assay.train.learner import Learner, Objective
from assay.train.paths import path_of
from assay.train.plain import PlainLearner
from assay.train.scaling import scaling_of
from assay.train.task import Task

from ..conftest import ROOT
from ..helpers import same_weights

LAYERS = [
    "conv 4 3x3 relu l2=0.01", "batchnorm", "maxpool 2", "dropout 0.3", "conv 5 3x3 padding=same", "spatialdropout 0.2",
    "flatten", "dense 12 relu", "batchnorm", "dropout 0.5", "dense classes softmax",
]  # fmt: skip
SIZE, NUM_STEPS = 40, 6
PROTOCOLS: dict[str, dict[str, Any]] = {
    "sgd": {"optimizer": {"name": "sgd", "learning_rate": 0.1}},
    "momentum": {"optimizer": {"name": "sgd", "learning_rate": 0.05, "momentum": 0.9}},
    "nesterov": {"optimizer": {"name": "sgd", "learning_rate": 0.05, "momentum": 0.9, "nesterov": True}},
    "adam": {"optimizer": {"name": "adam", "epsilon": 1e-3}},
    "adamw": {"optimizer": {"name": "adamw", "epsilon": 1e-3, "weight_decay": 0.1}},
    "rmsprop": {"optimizer": {"name": "rmsprop", "epsilon": 1e-3}},
    "rmsprop all": {"optimizer": {"name": "rmsprop", "epsilon": 1e-3, "momentum": 0.9, "centered": True}},
    "adadelta": {"optimizer": {"name": "adadelta", "learning_rate": 1.0}},
    "muon": {"optimizer": {"name": "muon", "epsilon": 1e-3, "normalize": True, "weight_decay": 0.1}},
    "class weights": {"class_weights": {"0": 3.0, "4": 0.25}, "label_smoothing": 0.1},
    "balanced": {"class_weights": "balanced"},
    "augmentation": {"augmentation": {"shift": 1, "rotation": 10}},
    "mixup": {"augmentation": {"mixup": 0.4}, "class_weights": {"0": 3.0}},
    "clip_norm": {"clip_norm": 0.05, "ema_momentum": 0.8},
    "global_clip_norm": {"global_clip_norm": 0.1},
    "clip_value": {"clip_value": 0.003},
}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def data() -> TrainingData:
    return prepare("digits").training()


def task_of(protocol: dict[str, Any], *, seed: int = 0, layers: list[str] = LAYERS) -> Task:
    base = {"epochs": 2, "batch_size": SIZE, "optimizer": {"name": "sgd", "learning_rate": 0.1}}
    arm = Arm.of({"name": "a", "layers": layers, "training": {**base, **protocol}})
    images, labels = prepare("digits").training_files()
    streams = ("split", "init", "order", "augment", "dropout")
    data = Data(name="digits", validation=0.2, scaling="standard")
    return Task("run-1", arm, data, seed, streams, 10, images, labels, Path("unused"))


def network_of(task: Task) -> Network:
    return build(parse(task.arm.layers), (8, 8, 1), task.num_classes, task.streams)


def learner_of(task: Task, data: TrainingData, path: str, **changes: Any) -> Learner:
    training, learned = task.arm.training, split_of(task, data).training
    weights = class_weights_of(training, np.asarray(data.labels[learned]), task.num_classes)
    scaling = scaling_of(data.images, task.data.scaling, learned)
    given: dict[str, Any] = {"training": training, "objective": Objective(weights, training.label_smoothing)}
    if path == "plain":
        return PlainLearner(network_of(task), training.optimizer, scaling, **given)
    given |= {"batch_size": training.batch_size, "precision": "float32", "device": "cpu", **changes}
    return CudaLearner(network_of(task), training.optimizer, scaling, **given)


def some_steps(learner: Learner, task: Task, data: TrainingData) -> list[tuple[float, int]]:
    """Each step's loss and hits; the last batch is short, the learning rate falls."""
    indices = split_of(task, data).training
    told = []
    for step in range(NUM_STEPS):
        size = SIZE if step < NUM_STEPS - 1 else 7
        batch = batch_of(task, data, indices[step * SIZE : step * SIZE + size], step)
        rate = (task.arm.training.optimizer.learning_rate or 0.0) / (1 + step)
        loss, hits = learner.train_batch(batch, step=step, learning_rate=rate)
        told.append((float(loss), int(hits)))
    return told


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=2e-4, atol=2e-5, msg=lambda text: f"{name}: {text}")  # noqa: B023


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_steps_are_those_of_the_plain_path(data: TrainingData, protocol: str) -> None:
    task = task_of(PROTOCOLS[protocol])
    plain, ours = learner_of(task, data, "plain"), learner_of(task, data, "cuda")
    start = ours.weights()
    expected, told = some_steps(plain, task, data), some_steps(ours, task, data)
    np.testing.assert_allclose([loss for loss, _ in told], [loss for loss, _ in expected], rtol=1e-4)
    assert [hits for _, hits in told] == [hits for _, hits in expected]
    assert not same_weights(start, ours.weights())
    assert_same(ours.weights(), plain.weights())
    assert_same(ours.slots(), plain.slots())
    judged = split_of(task, data).validation
    (loss, hits), (expected_loss, expected_hits) = (
        learner.score(data.images, data.labels, judged) for learner in (ours, plain)
    )
    assert loss == pytest.approx(expected_loss, rel=1e-4)
    assert hits == expected_hits
    several = data.images[judged[:3]]
    np.testing.assert_allclose(ours.logits(several), plain.logits(several), rtol=2e-3, atol=2e-4)


def test_bfloat16_rounds_products_and_keeps_weights_wide(data: TrainingData) -> None:
    task = task_of(PROTOCOLS["momentum"])
    plain = learner_of(task, data, "plain")
    ours = learner_of(task, data, "cuda", precision="bfloat16")
    expected, told = some_steps(plain, task, data), some_steps(ours, task, data)
    losses, wide = np.array(told)[:2, 0], np.array(expected)[:2, 0]
    assert not np.allclose(losses, wide, rtol=1e-6)
    np.testing.assert_allclose(losses, wide, rtol=2**-8)  # bfloat16's unit: a mean over images is nearer than that
    assert {value.dtype for value in (ours.weights() | ours.slots()).values()} == {torch.float32}


class Killed(Exception):
    pass


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
def test_a_resumed_run_is_the_run_that_never_stopped(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimizer: str
) -> None:
    run = task_of({"optimizer": optimizer, "epochs": 3, "ema_momentum": 0.5, "keep": {"best": "train_loss"}})
    monkeypatch.setattr(engine, "learner_of", lambda task, data, threads: learner_of(task, data, "cuda"))
    whole = train(run, data)
    path = tmp_path / "checkpoint.safetensors"

    def kill(record: EpochRecord) -> None:
        if record.epoch == 2:
            raise Killed

    with pytest.raises(Killed):
        train(run, data, on_epoch=kill, checkpoint=path)
    resumed = train(run, data, checkpoint=path)
    assert same_weights(resumed.weights, whole.weights)
    assert resumed.kept_epoch == whole.kept_epoch
    measures = [dataclasses.replace(record, seconds=0.0) for record in whole.history]
    assert [dataclasses.replace(record, seconds=0.0) for record in resumed.history] == measures


def test_a_whole_run_is_that_of_the_plain_path(data: TrainingData, monkeypatch: pytest.MonkeyPatch) -> None:
    run = task_of({"augmentation": {"shift": 1}, "class_weights": "balanced", "schedule": "cosine"})
    monkeypatch.setattr("assay.train.paths.has_bfloat16", lambda device: False)
    monkeypatch.setattr("assay.train.cuda.learner.CudaLearner", partial(CudaLearner, device="cpu"))
    trained = train(dataclasses.replace(run, device="cuda"), data)
    monkeypatch.setattr(engine, "learner_of", lambda task, data, threads: learner_of(task, data, "plain"))
    for ours, plain in zip(trained.history, train(run, data).history, strict=True):
        assert type(ours.running_loss) is float
        assert ours.running_loss == pytest.approx(plain.running_loss, rel=1e-3)
        assert ours.validation_accuracy == pytest.approx(plain.validation_accuracy, abs=0.01)


def test_every_call_of_a_replay_is_one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a graph that does what torch says of graphs: capturing computes nothing, replaying writes where it did."""
    done, result, is_capturing = [], torch.zeros(1), []

    def step() -> torch.Tensor:
        if not is_capturing:
            done.append("eager")
            return torch.tensor([float(len(done))])
        return result

    class Graph:
        def replay(self) -> None:
            done.append("replayed")
            result.fill_(len(done))

    class Stream:
        def __init__(self, device: torch.device | None = None) -> None: ...
        def wait_stream(self, other: object) -> None: ...

    @contextlib.contextmanager
    def capture(graph: Graph) -> Iterator[None]:
        is_capturing.append(True)
        yield
        is_capturing.clear()

    for name, fake in {"CUDAGraph": Graph, "Stream": Stream, "graph": capture, "current_stream": Stream}.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())
    replay = Replay(step, torch.device("cuda"))
    told = [replay() for _ in range(WARM_UP + 4)]
    assert done == ["eager"] * WARM_UP + ["replayed"] * 4
    assert [float(one) for one in told] == list(range(1, WARM_UP + 5))  # not the graph's own tensor, which changes


def test_epochs_of_another_device_are_not_gone_on_with(data: TrainingData, tmp_path: Path) -> None:
    """A run's record names one device, so one device trains it all."""
    path = tmp_path / "checkpoint.safetensors"
    train(task_of({}), data, checkpoint=path)
    one, other = task_of({"epochs": 1}), dataclasses.replace(task_of({"epochs": 1}), device="cuda")
    assert engine.checkpoint_name(one) == one.id
    assert engine.load_checkpoint(path, engine.checkpoint_name(one)) is not None
    assert engine.load_checkpoint(path, engine.checkpoint_name(other)) is None


@pytest.mark.parametrize("rate", [0.0, 0.3])
@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 4, 5)])
def test_a_key_in_a_tensor_gives_the_same_mask(rate: float, shape: tuple[int, ...]) -> None:
    from assay.nets.dropout import dropout
    from assay.nets.masks import halves

    key = Streams(7).key("dropout", 1, 12)
    values = torch.ones(shape, requires_grad=True)
    dropped = dropout(values, torch.tensor(halves(key)), rate)
    kept = keep_mask(key, values.numel(), rate)
    ordered = dropped.permute(0, 2, 3, 1) if len(shape) == 4 else dropped
    np.testing.assert_array_equal(ordered.detach().numpy().ravel() != 0, kept)
    dropped.sum().backward()
    torch.testing.assert_close(values.grad, dropped.detach())


STACKABLE = [
    "nesterov",
    "adam",
    "muon",
    "rmsprop all",
    "class weights",
    "balanced",
    "mixup",
    "clip_norm",
    "global_clip_norm",
]


@pytest.mark.parametrize("protocol", STACKABLE)
def test_seeds_stacked_are_seeds_alone(data: TrainingData, protocol: str) -> None:
    tasks = [task_of(PROTOCOLS[protocol], seed=seed) for seed in range(3)]
    assert_stacked_is_alone(tasks, data)


RESIDUAL = {"residual": ["conv 4 3x3 relu padding=same", "batchnorm"], "activation": "relu"}
NETWORKS: dict[str, list[Any]] = {
    "separable": ["depthwise 3x3 multiplier=2", "layernorm", "relu", "separable 4 3x3", "avgpool 2 padding=same",
                  "globalavgpool", "dense classes softmax"],
    "residual": ["conv 4 3x3 padding=same", RESIDUAL, "maxpool 3 stride=2 padding=same", "groupnorm 2",
                 "globalmaxpool", "dense classes softmax l1=0.01"],
    "dense": ["flatten", "dense 9 gelu", "dropout 0.2", "dense classes softmax"],
}  # fmt: skip


@pytest.mark.parametrize("network", NETWORKS)
def test_other_layers_stack_too(data: TrainingData, network: str) -> None:
    assert_stacked_is_alone([task_of({}, seed=seed, layers=NETWORKS[network]) for seed in range(2)], data)


def benchmark(name: str) -> Any:
    """A module of ``benchmarks/``, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def assert_stacked_is_alone(tasks: list[Task], data: TrainingData) -> None:
    stacked = benchmark("stacked").stacked_of(tasks, data, precision="float32", device="cpu")
    alone = [learner_of(task, data, "plain") for task in tasks]
    expected = [some_steps(learner, task, data) for learner, task in zip(alone, tasks, strict=True)]
    orders = [split_of(task, data).training for task in tasks]
    told = []
    for step in range(NUM_STEPS):
        size = SIZE if step < NUM_STEPS - 1 else 7
        batches = [
            batch_of(task, data, order[step * SIZE : step * SIZE + size], step)
            for task, order in zip(tasks, orders, strict=True)
        ]
        rate = (tasks[0].arm.training.optimizer.learning_rate or 0.0) / (1 + step)
        told.append(stacked.train_batches(batches, step=step, learning_rate=rate).numpy().copy())
    np.testing.assert_allclose(np.array(told).transpose(1, 0, 2)[:, :, 0], np.array(expected)[:, :, 0], rtol=1e-4)
    for run, (ours, learner) in enumerate(zip(stacked.weights(), alone, strict=True)):
        assert_same(ours, learner.weights())
        assert_same({slot: state[run] for slot, state in stacked.optimizer.state.items()}, learner.optimizer.state)
    judged = np.stack([split_of(task, data).validation for task in tasks])
    scores = stacked.score(data.images, data.labels, judged)
    for (loss, hits), learner, chosen in zip(scores, alone, judged, strict=True):
        expected_loss, expected_hits = learner.score(data.images, data.labels, chosen)
        assert loss == pytest.approx(expected_loss, rel=1e-4)
        assert hits == expected_hits


def test_precision_on_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    summary = summarize(parse(["dropout 0.1", "flatten", "dense classes softmax"]), (8, 8, 1), 10)
    for has_it in (True, False):
        monkeypatch.setattr("assay.train.paths.has_bfloat16", lambda device, has_it=has_it: has_it)
        auto = path_of(summary, Training(), "cuda")
        assert auto == ("cuda", "bfloat16" if has_it else "float32")
        assert path_of(summary, Training(precision="float32"), "cuda") == ("cuda", "float32")
    with pytest.raises(RunError, match="CUDA device does not multiply it"):
        path_of(summary, Training(precision="bfloat16"), "cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("protocol", ["adam", "mixup", "clip_norm"])
def test_a_replayed_step_is_the_eager_step(data: TrainingData, protocol: str) -> None:
    task = task_of(PROTOCOLS[protocol])
    eager, replayed = learner_of(task, data, "cuda"), learner_of(task, data, "cuda", device="cuda")
    expected, told = some_steps(eager, task, data), some_steps(replayed, task, data)
    np.testing.assert_allclose([loss for loss, _ in told], [loss for loss, _ in expected], rtol=1e-3)
    for name, value in replayed.weights().items():
        torch.testing.assert_close(value, eager.weights()[name], rtol=2e-3, atol=2e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_run_on_the_device_learns_and_says_where(data: TrainingData) -> None:
    trained = train(dataclasses.replace(task_of({"epochs": 10, "optimizer": "adam"}), device="cuda"), data)
    assert trained.history[-1].validation_accuracy > 0.8
