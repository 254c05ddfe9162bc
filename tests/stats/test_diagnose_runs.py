"""Diagnoses of real runs that were made to fail, and of runs that were not: tiny ones on scikit-learn's digits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from assay.data import prepare
from assay.errors import Diverged
from assay.spec import Arm, Data
from assay.stats import Curves, diagnose
from assay.train import EpochRecord, Task
from assay.train.engine import train


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def curves(
    layers: list[str], *, seed: int = 0, validation: float = 0.25, scaling: str = "unit", **training: Any
) -> Curves:
    """Train on torch's layers (which class weights ask for), and take what was recorded."""
    dataset = prepare("digits")
    images, labels = dataset.training_files()
    protocol = {"batch_size": 32, "class_weights": "balanced", **training}
    arm = Arm.of({"name": "a", "layers": [*layers, "dense classes softmax"], "training": protocol})
    data = Data.of({"name": "digits", "validation": validation, "scaling": scaling})
    task = Task("run", arm, data, seed, ("split", "init", "order", "dropout"), 10, images, labels, Path("unused"))
    history: list[EpochRecord] = []
    state, reason = "finished", ""
    try:
        train(task, dataset.training(), on_epoch=history.append)
    except Diverged as failure:
        state, reason = "diverged", failure.reason
    return Curves(
        train_loss=[epoch.train_loss for epoch in history],
        train_accuracy=[epoch.train_accuracy for epoch in history],
        validation_loss=[epoch.validation_loss for epoch in history],
        validation_accuracy=[epoch.validation_accuracy for epoch in history],
        num_classes=10,
        num_validation=round(validation * 1437),
        state=state,
        reason=reason,
        scaling=scaling,
        health={epoch.epoch: epoch.health for epoch in history if epoch.health},
    )


def kinds(found: Curves) -> set[str]:
    return {diagnosis.kind for diagnosis in diagnose(found)}


def adam(rate: float) -> dict[str, Any]:
    return {"name": "adam", "learning_rate": rate}


def test_a_network_that_is_too_small_underfits():
    tiny = ["conv 1 5x5 relu padding=same", "maxpool 2", "flatten", "dense 3 relu"]
    found = kinds(curves(tiny, epochs=15, optimizer=adam(0.01)))
    assert "underfitting" in found
    assert "overfitting" not in found


def test_a_network_with_too_few_images_overfits():
    found = kinds(curves(["flatten", "dense 256 relu"], validation=0.95, epochs=40, optimizer=adam(0.003)))
    assert "overfitting" in found
    assert "underfitting" not in found


@pytest.mark.parametrize("rate", [0.1, 10.0])
def test_raw_inputs_kill_units_or_diverge(rate):
    deep = ["conv 8 3x3 relu", "maxpool 2", "flatten", "dense 32 relu"]
    found = kinds(curves(deep, scaling="none", epochs=4, optimizer={"name": "sgd", "learning_rate": rate}))
    assert "unscaled inputs" in found
    assert found & {"diverged", "dead units", "collapsed to one class"}


def test_a_rate_that_is_far_too_low_hardly_moves():
    found = kinds(curves(["flatten", "dense 32 relu"], epochs=8, optimizer=adam(1e-5)))
    assert "learning rate too low" in found


def test_sigmoids_at_their_bounds_are_saturated():
    pytest.importorskip("assay.nets.activations", reason="this vocabulary has no bounded activation")
    deep = ["flatten", "dense 32 sigmoid", "dense 32 sigmoid"]
    assert "saturated units" in kinds(curves(deep, scaling="none", epochs=5, optimizer=adam(1.0)))


@pytest.mark.parametrize("seed", range(3))
def test_healthy_runs_raise_no_alarm(seed):
    layers = ["conv 8 3x3 relu", "maxpool 2", "flatten", "dropout 0.2", "dense 64 relu"]
    assert kinds(curves(layers, seed=seed, epochs=15, optimizer=adam(0.003))) == set()
