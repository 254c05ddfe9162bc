"""Networks with blocks through the engine: they learn, resume to the same bits, and travel as messages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from assay.data import TrainingData, prepare
from assay.spec import Arm, Data
from assay.train import EpochRecord
from assay.train.engine import train
from assay.train.task import Task

from ..helpers import same_weights

LAYERS = [
    "conv 8 3x3 relu padding=same",
    {"repeat": 2, "layers": [{"residual": ["depthwise 3x3 padding=same", "groupnorm 2", "conv 8 1x1 bias=false"]}]},
    {"parallel": [["separable 8 3x3 gelu"], ["avgpool 3 stride=1", "conv 8 1x1 l1=1e-5"]]},
    "spatialdropout 0.1",
    "flatten",
    "dropout 0.1",
    "dense classes",
    "softmax",
]


class Killed(Exception):
    pass


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def data() -> TrainingData:
    return prepare("digits").training()


def task() -> Task:
    images, labels = prepare("digits").training_files()
    arm = Arm.of({"name": "a", "layers": LAYERS, "training": {"epochs": 6, "batch_size": 32}})
    return Task("run-1", arm, Data(name="digits", validation=0.2), 0, ("init", "order", "dropout"), 10,
                images, labels, Path("unused"))  # fmt: skip


def test_a_network_with_blocks_learns_and_resumes_to_the_same_bits(data: TrainingData, tmp_path: Path) -> None:
    whole = train(task(), data)
    assert whole.history[-1].validation_accuracy > 0.85
    path = tmp_path / "checkpoint.safetensors"

    def kill(record: EpochRecord) -> None:
        if record.epoch == 3:
            raise Killed

    with pytest.raises(Killed):
        train(task(), data, on_epoch=kill, checkpoint=path)
    assert same_weights(train(task(), data, checkpoint=path).weights, whole.weights)


def test_a_task_with_blocks_survives_its_message() -> None:
    assert Task.from_json(json.loads(json.dumps(task().to_json()))) == task()
