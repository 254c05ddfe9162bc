"""Runs of known causes: tiny networks on scikit-learn's digits, each trained in a second, and healthy ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from assay.data import TrainingData, prepare, split_for
from assay.errors import Diverged
from assay.spec import Arm, Data
from assay.stats import Curves
from assay.store.protocol import protocol_of
from assay.train import EpochRecord, Task
from assay.train.engine import train

VARY = ("split", "init", "order", "augment", "dropout")
CONV = ["conv 8 3x3 relu", "maxpool 2", "flatten", "dense 32 relu"]
NORMED = ["conv 8 3x3 padding=same", "batchnorm", "relu", "maxpool 2", "flatten", "dense 32 relu"]
DENSE = ["flatten", "dense 64 relu"]
END = "dense classes softmax"
TORCH = {"class_weights": {"0": 1.0}}  # weighs nothing, and trains on torch's layers, which need no compilation


def digits() -> TrainingData:
    return prepare("digits").training()


@dataclass(frozen=True)
class Case:
    """A run to train, and the diagnosis that must come first (empty for a healthy run)."""

    name: str
    kind: str
    layers: list[Any]
    training: dict[str, Any]
    data: Callable[[], TrainingData] = digits
    setting: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    counts_shared: bool = False


def curves(case: Case) -> Curves:
    """Train a case, and take what ``assay diagnose`` would be given of it."""
    dataset = case.data()
    num_classes = int(dataset.labels.max()) + 1
    arm = Arm.of({"name": "a", "layers": case.layers, "training": {"batch_size": 32, **TORCH, **case.training}})
    data = Data.of({"name": "digits", "validation": 0.25, **case.setting})
    here = Path("unused")
    task = Task("run", arm, data, case.seed, VARY, num_classes, here, here, here)
    history: list[EpochRecord] = []
    state, reason, advice = "finished", "", ""
    try:
        train(task, dataset, on_epoch=history.append)
    except Diverged as failure:
        state, reason, advice = "diverged", failure.reason, failure.advice
    parts = split_for(dataset, data, seed=case.seed, vary=VARY, fold=None)
    return Curves(
        train_loss=[epoch.train_loss for epoch in history],
        train_accuracy=[epoch.train_accuracy for epoch in history],
        validation_loss=[epoch.validation_loss for epoch in history],
        validation_accuracy=[epoch.validation_accuracy for epoch in history],
        running_loss=[epoch.running_loss for epoch in history],
        running_accuracy=[epoch.running_accuracy for epoch in history],
        num_classes=num_classes,
        num_validation=len(parts.validation),
        state=state,
        reason=reason,
        advice=advice,
        scaling=data.scaling,
        health={epoch.epoch: epoch.health for epoch in history if epoch.health},
        shared_images=_shared(dataset, parts.training, parts.validation) if case.counts_shared else None,
        protocol=protocol_of(arm),
    )


def _shared(data: TrainingData, training: np.ndarray, validation: np.ndarray) -> int:
    known = {data.images[index].tobytes() for index in training}
    return sum(data.images[index].tobytes() in known for index in validation)


def adam(rate: float) -> dict[str, Any]:
    return {"name": "adam", "learning_rate": rate}


def sgd(rate: float, momentum: float = 0.0) -> dict[str, Any]:
    return {"name": "sgd", "learning_rate": rate, "momentum": momentum}


def epochs(number: int, optimizer: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"epochs": number, "optimizer": optimizer or adam(0.003), **more}


# --- data with something wrong ---------------------------------------------------------------------------------------


def shuffled() -> TrainingData:
    """Labels in another order than their images."""
    data = digits()
    return TrainingData(data.images, np.random.default_rng(1).permutation(data.labels))


def twice_scaled() -> TrainingData:
    """Bytes 0 and 1, which are divided by 255 once more."""
    data = digits()
    return TrainingData((data.images > 127).astype(np.uint8), data.labels)


def nearly_black() -> TrainingData:
    """Values 0 to 16, as scikit-learn has them, taken for bytes and far too dark."""
    data = digits()
    return TrainingData((data.images // 16 // 4).astype(np.uint8), data.labels)


def _given(change: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]) -> TrainingData:
    """A validation part of its own, a quarter, whose images and labels are changed."""
    data = digits()
    images, labels = np.array(data.images), np.array(data.labels)
    part = np.zeros(len(labels), np.bool_)
    part[::4] = True
    images[part], labels[part] = change(images[part], labels[part])
    return TrainingData(images, labels, validation=part)


def negatives_in_validation() -> TrainingData:
    return _given(lambda images, labels: (255 - images, labels))


def sorted_otherwise() -> TrainingData:
    """Validation labels count classes in another order."""
    return _given(lambda images, labels: (images, (labels * 3) % 10))


def repeated() -> TrainingData:
    """Half of the images are there twice."""
    data = digits()
    chosen = np.concatenate([np.arange(len(data)), np.arange(len(data) // 2)])
    return TrainingData(np.array(data.images)[chosen], np.array(data.labels)[chosen])


def few_repeated() -> TrainingData:
    data = digits()
    chosen = np.concatenate([np.arange(len(data)), np.arange(60)])
    return TrainingData(np.array(data.images)[chosen], np.array(data.labels)[chosen])


def one_in_twelve() -> TrainingData:
    """Blurred eights against all others: two classes, 92 % and 8 %, hard to tell apart."""
    data, rng = digits(), np.random.default_rng(3)
    labels = (np.asarray(data.labels) == 8).astype(np.int64)
    noise = rng.normal(0, 120, np.shape(data.images))
    images = np.clip(np.asarray(data.images) * 0.3 + 90 + noise, 0, 255).astype(np.uint8)
    return TrainingData(images, labels)


# --- sick runs ------------------------------------------------------------------------

SIGMOIDS = ["flatten", *["dense 32 sigmoid"] * 8]
NARROW = ["conv 1 5x5 relu padding=same", "maxpool 2", "flatten", "dense 3 relu"]


def decayed(strength: str) -> list[str]:
    return [f"conv 8 3x3 relu {strength}", "maxpool 2", "flatten", f"dense 32 relu {strength}", END]


SICK = (
    Case("bytes, sgd", "unscaled inputs", [*CONV, END], epochs(6, sgd(0.1)), setting={"scaling": "none"}),
    Case("bytes, adam", "unscaled inputs", [*DENSE, END], epochs(6, adam(0.01)), setting={"scaling": "none"}),
    Case("scaled twice", "inputs hardly vary", [*CONV, END], epochs(8, sgd(0.05)), twice_scaled),
    Case("nearly black", "inputs hardly vary", [*DENSE, END], epochs(8, adam(0.001)), nearly_black),
    Case("tanh before softmax", "bounded scores", [*CONV, "dense classes tanh", "softmax"], epochs(12)),
    Case("sigmoid before softmax", "bounded scores", [*DENSE, "dense classes sigmoid", "softmax"], epochs(12)),
    Case("batch norm, few steps", "stale moving statistics", [*NORMED, END], epochs(4, adam(0.01), batch_size=64)),
    Case("averaged weights", "stale moving statistics", [*CONV, END], epochs(6, ema_momentum=0.999)),
    Case("linear layers, rate 100", "diverged", ["flatten", "dense 32", "dense 32", END], epochs(4, sgd(100.0))),
    Case("rate a million", "diverged", [*CONV, END], epochs(4, sgd(1e6))),
    Case("tanh, rate 3", "diverged", ["flatten", "dense 32 tanh", END], epochs(8, sgd(3.0, 0.5))),
    Case("l2 of 0.3", "weight decay too strong", decayed("l2=0.3"), epochs(10)),
    Case("l1 of 0.03", "weight decay too strong", decayed("l1=0.03"), epochs(10)),
    Case("adamw", "weight decay too strong", [*CONV, END],
         epochs(10, {"name": "adamw", "learning_rate": 0.003, "weight_decay": 10.0})),
    Case("one image a step", "batch too small", [*DENSE, END], epochs(4, sgd(0.5), batch_size=1)),
    Case("batch norm of two", "batch too small", ["flatten", "dense 32", "batchnorm", "relu", END],
         epochs(4, batch_size=2, optimizer=adam(0.01))),
    Case("tanh, rate 1", "saturated units", ["flatten", *["dense 32 tanh"] * 2, END], epochs(6, adam(1.0))),
    Case("sigmoid, rate 1", "saturated units", ["flatten", *["dense 32 sigmoid"] * 2, END], epochs(6, adam(1.0))),
    Case("eight sigmoids", "vanishing gradients", [*SIGMOIDS, END], epochs(6)),
    Case("ten sigmoids, sgd", "vanishing gradients", ["flatten", *["dense 24 sigmoid"] * 10, END], epochs(6, sgd(0.1))),
    Case("relus, adam 0.3", "dead units", [*CONV, END], epochs(5, adam(0.3))),
    Case("relus, sgd 3", "dead units", ["flatten", *["dense 32 relu"] * 3, END], epochs(5, sgd(3.0))),
    Case("negatives", "validation unlike training", [*CONV, END], epochs(8), negatives_in_validation,
         {"validation": "given"}),
    Case("other order of classes", "validation unlike training", [*DENSE, END], epochs(8), sorted_otherwise,
         {"validation": "given"}),
    Case("half a turn and far away", "augmentation too strong", [*CONV, END],
         epochs(12, augmentation={"rotation": 180, "shift": 5})),
    Case("all cut out", "augmentation too strong", [*CONV, END], epochs(6, augmentation={"cutout": 8})),
    Case("dropout 0.9", "dropout too strong", ["conv 8 3x3 relu", "maxpool 2", "flatten", "dropout 0.9",
         "dense 32 relu", "dropout 0.9", END], epochs(12)),
    Case("dropout 0.95", "dropout too strong", ["flatten", "dense 32 relu", "dropout 0.95", END], epochs(10)),
    Case("one class in twelve", "majority class only", ["flatten", "dense 8 relu", END], epochs(5, adam(0.001)),
         one_in_twelve),
    Case("leaky units, momentum", "learning rate too high", ["conv 8 3x3 leakyrelu", "maxpool 2", "flatten", END],
         epochs(12, sgd(0.6, 0.9))),
    Case("leaky units, adam 0.1", "learning rate too high",
         ["conv 8 3x3 leakyrelu", "maxpool 2", "flatten", "dense 32 leakyrelu", END], epochs(12, adam(0.1))),
    Case("rate 1e-5", "learning rate too low", [*DENSE, END], epochs(8, adam(1e-5))),
    Case("sgd, rate 1e-4", "learning rate too low", [*CONV, END], epochs(8, sgd(1e-4))),
    Case("labels shuffled", "labels unrelated to images", ["flatten", "dense 256 relu", END],
         epochs(20, adam(0.003)), shuffled),
    Case("labels shuffled, small", "labels unrelated to images", [*CONV, END], epochs(12), shuffled),
    Case("half twice", "duplicates between splits", [*CONV, END], epochs(15), repeated, counts_shared=True),
    Case("sixty twice", "duplicates between splits", [*CONV, END], epochs(15), few_repeated, counts_shared=True),
    Case("72 images", "overfitting", ["flatten", "dense 256 relu", END], epochs(40), setting={"validation": 0.95}),
    Case("100 images", "overfitting", [*CONV, END], epochs(60), setting={"validation": 0.93}),
    Case("three units", "underfitting", [*NARROW, END], epochs(15, adam(0.01))),
    Case("two units", "underfitting", ["flatten", "dense 2 leakyrelu", END], epochs(30, adam(0.01))),
)  # fmt: skip

HEALTHY = tuple(
    Case(f"{name}, seed {seed}", "", [*layers, END], {**epochs(25), **training}, seed=seed)
    for name, layers, training in (
        ("convolution", ["conv 8 3x3 relu", "maxpool 2", "flatten", "dropout 0.2", "dense 64 relu"], {}),
        ("batch norm", [*NORMED[:-1], "dropout 0.3", NORMED[-1]], {}),
        ("dense with l2", ["flatten", "dense 64 relu l2=0.0001", "dropout 0.5"], {"epochs": 30}),
        ("shifted", ["conv 16 3x3 relu padding=same", "maxpool 2", "flatten", "dense 64 relu"],
         {"augmentation": {"shift": 0.5, "rotation": 8}}),
        ("adamw, cosine", ["conv 16 3x3 relu", "flatten", "dense 32 relu"],
         {"optimizer": {"name": "adamw", "learning_rate": 0.004}, "schedule": "cosine"}),
        ("tanh, momentum", ["flatten", "dense 48 tanh"], {"optimizer": sgd(0.1, 0.9), "epochs": 20}),
    )
    for seed in range(5)
)  # fmt: skip
