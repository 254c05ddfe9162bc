"""What is measured of units and predictions, against networks whose truth is constructed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

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
