"""What is measured of units and predictions, against networks whose truth is constructed."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from assay.data import TrainingData, prepare
from assay.nets import parse
from assay.nets.build import Network, build
from assay.seeds import Streams
from assay.spec import Arm, Data
from assay.train import Task
from assay.train.engine import train
from assay.train.health import HealthProbe, epochs_between
from assay.train.scaling import scaling_of

LAYERS = ["conv 8 3x3 relu", "maxpool 2", "flatten", "dense 10 relu", "dense classes softmax"]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def data() -> TrainingData:
    return prepare("digits").training()


@pytest.fixture
def network() -> Network:
    return build(parse(LAYERS), (8, 8, 1), 10, Streams(0))


def probe(network: Network, data: TrainingData) -> HealthProbe:
    indices = np.arange(200)
    return HealthProbe(network, data, indices, scaling_of(data.images, "unit", indices))


def test_units_that_were_killed_are_counted(network: Network, data: TrainingData) -> None:
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    alive = probe(network, data).measure(weights)
    weights["conv1.bias"][:6] = -1e3
    weights["dense1.bias"][:3] = -1e3
    found = probe(network, data).measure(weights)
    assert found["dead"]["conv1"] == 0.75
    assert 0.3 <= found["dead"]["dense1"] < 1
    assert alive["dead"]["conv1"] <= 0.25
    assert set(found["dead"]) == {"conv1", "dense1"}
    assert found["saturated"] == {}


def test_predictions_and_images_are_counted_by_class(network: Network, data: TrainingData) -> None:
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    weights["dense2.bias"][:] = torch.tensor([0.0] * 7 + [1e6] + [0.0] * 2)
    found = probe(network, data).measure(weights)
    assert found["predicted"] == [0] * 7 + [200] + [0] * 2
    assert found["actual"] == np.bincount(data.labels[:200], minlength=10).tolist()
    assert found["images"] == 200


def test_at_most_256_images_are_looked_at(network: Network, data: TrainingData) -> None:
    everything = np.arange(len(data))
    many = HealthProbe(network, data, everything, scaling_of(data.images, "unit", everything))
    assert sum(many.measure(dict(network.state_dict()))["predicted"]) == 256


def test_the_last_epoch_is_always_measured(data: TrainingData) -> None:
    images, labels = prepare("digits").training_files()
    training = {"epochs": 3, "batch_size": 50, "class_weights": "balanced"}
    arm = Arm.of({"name": "a", "layers": LAYERS, "training": training})
    streams = ("split", "init", "order")
    task = Task("run", arm, Data.of({"name": "digits"}), 0, streams, 10, images, labels, Path("unused"))
    assert [record.health is not None for record in train(task, data).history] == [False, False, True]
    assert epochs_between(1200) > 3
    assert epochs_between(54_000) == 1


def test_statistics_that_lag_are_measured_beside_those_of_the_images(data: TrainingData) -> None:
    network = build(
        parse(["flatten", "dense 16", "batchnorm", "relu", "dense classes softmax"]), (8, 8, 1), 10, Streams(0)
    )
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    indices = np.arange(200)
    scaling = scaling_of(data.images, "unit", indices)
    values = F.linear(scaling.apply(data.images, indices).permute(0, 2, 3, 1).flatten(1), weights["dense1.kernel"])
    weights["batchnorm1.moving_mean"] = values.mean(0)
    weights["batchnorm1.moving_variance"] = values.var(0, unbiased=False)
    examined = HealthProbe(network, data, indices, scaling)
    caught_up = examined.measure(weights)
    assert caught_up["recomputed"]["loss"] == pytest.approx(caught_up["loss"], rel=1e-3)
    lagging = examined.measure({**weights, "batchnorm1.moving_variance": torch.full((16,), 1e-4)}, num_steps=7)
    assert lagging["loss"] > 3 * caught_up["loss"]
    assert lagging["recomputed"] == caught_up["recomputed"]
    assert lagging["steps"] == 7
    assert examined.measure(weights) == caught_up  # measuring leaves nothing behind


def test_at_the_end_it_measures_how_kernels_changed(network: Network, data: TrainingData) -> None:
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    examined = probe(network, data)
    assert "kernels" not in examined.measure(weights)
    assert examined.measure(weights, is_last=True)["kernels"]["moved"] == 0
    weights["conv1.kernel"] *= 0.25
    weights["dense1.kernel"] *= 3
    kernels = examined.measure(weights, is_last=True)["kernels"]
    assert kernels["shrunk"] == ["conv1.kernel", 0.25]
    assert kernels["moved"] == pytest.approx(2, rel=1e-3)


def test_kernels_without_bounds_are_written_as_numbers(network: Network, data: TrainingData) -> None:
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    weights["dense2.kernel"][:] = 1e38
    health = probe(network, data).measure(weights, is_last=True)
    assert math.isfinite(health["kernels"]["moved"])
    json.dumps(health, allow_nan=False)


def test_a_gradient_that_does_not_reach_the_first_kernel_is_measured(data: TrainingData) -> None:
    def ratio(activation: str) -> float:
        deep = ["flatten", *[f"dense 16 {activation}"] * 8, "dense classes softmax"]
        network = build(parse(deep), (8, 8, 1), 10, Streams(0))
        weights = {name: value.clone() for name, value in network.state_dict().items()}
        return float(probe(network, data).measure(weights, is_last=True)["gradient"])

    # A sigmoid's slope is a quarter at most: eight layers leave less than 4 ** -8 of what relu lets pass.
    assert ratio("sigmoid") < 1e-3
    assert ratio("relu") > 0.05


def test_dropout_and_augmentation_are_measured_at_the_end(data: TrainingData) -> None:
    dropped = ["flatten", "dense 32 relu", "dropout 0.99", "dense classes softmax"]
    network = build(parse(dropped), (8, 8, 1), 10, Streams(0))
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    indices = np.arange(200)
    scaling = scaling_of(data.images, "unit", indices)
    blank = HealthProbe(network, data, indices, scaling, augmented=lambda chosen: np.zeros_like(data.images[chosen]))
    health = blank.measure(weights, is_last=True)
    # Of 32 units dropout leaves none for three images in four, and blank images pass nothing: scores are zero.
    assert health["augmented"]["loss"] == pytest.approx(math.log(10), rel=1e-3)
    assert health["dropout"]["loss"] != health["loss"]
    assert "dropout" not in blank.measure(weights)
    assert "augmented" not in blank.measure(weights)


def test_a_run_measures_the_end_once(data: TrainingData) -> None:
    images, labels = prepare("digits").training_files()
    training = {"epochs": 3, "batch_size": 50, "class_weights": "balanced", "augmentation": {"shift": 1}}
    arm = Arm.of({"name": "a", "layers": LAYERS, "training": training})
    task = Task("run", arm, Data.of({"name": "digits"}), 0, ("init",), 10, images, labels, Path("unused"))
    health = train(task, data).history[-1].health
    assert health is not None
    assert {"kernels", "gradient", "spread", "augmented"} <= set(health)
    assert health["steps"] == 3 * math.ceil(0.9 * len(data) / 50)
