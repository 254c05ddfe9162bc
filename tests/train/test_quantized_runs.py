"""Runs that are trained in whole numbers: they learn, resume, and end as the program that is exported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from assay import api
from assay.data import TrainingData, prepare
from assay.errors import RunError, SpecError
from assay.export import Portable
from assay.export.fixed_point import quantize
from assay.spec import parse_study
from assay.train import EpochRecord
from assay.train.cuda.learner import CudaLearner
from assay.train.engine import learner_of, split_of, train
from assay.train.learner import Batch
from assay.train.paths import path_of
from assay.train.plain import PlainLearner
from assay.train.predictor import predictor_of

from ..helpers import same_weights
from .test_engine import measures, task

LAYERS = [
    *["conv 5 3x3 padding=same bias=false", "batchnorm", "relu", "maxpool 2", "separable 8 3x3 padding=same", "elu"],
    *["dropout 0.1", "flatten", "dense classes softmax"],
]
TRAINING = {
    "epochs": 3, "batch_size": 50, "optimizer": {"name": "adam", "learning_rate": 0.01}, "ema_momentum": 0.9,
    "quantization": {"weights": 4, "layers": {"dense1": 2}},
}  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def data() -> TrainingData:
    return prepare("digits").training()


@pytest.mark.parametrize("threads", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_resumed_run_is_the_run_that_never_stopped(data: TrainingData, tmp_path: Path, threads: int) -> None:
    run = task(layers=LAYERS, training=TRAINING)
    whole = train(run, data)
    path = tmp_path / "checkpoint.safetensors"

    def kill(record: EpochRecord) -> None:
        if record.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(run, data, on_epoch=kill, checkpoint=path, threads=threads)
    resumed = train(run, data, checkpoint=path, threads=threads)
    assert same_weights(resumed.weights, whole.weights)
    assert measures(resumed.history) == measures(whole.history)
    assert bool((whole.weights["scales.ranges"] > 0).all())


@pytest.mark.parametrize(
    "settings",
    [
        {"weights": 4},
        pytest.param({"weights": "ternary", "activations": 4}, marks=pytest.mark.slow),
    ],
)
def test_validation_says_what_the_program_does(data: TrainingData, settings: dict[str, object]) -> None:
    training = {"epochs": 12, "batch_size": 32, "optimizer": {"name": "adam", "learning_rate": 0.01}}
    run = task(layers=LAYERS, training={**training, "quantization": settings})
    trained = train(run, data)
    assert trained.history[-1].validation_accuracy > 0.85
    predictor = predictor_of(run, data)
    predictor.load_weights(trained.weights)
    network = Portable.of(predictor, LAYERS, list(map(str, range(10))))
    parts = split_of(run, data)
    program = quantize(network, data.images[parts.training[:200]])
    images, labels = data.images[parts.validation], data.labels[parts.validation]
    hits = program.logits(images).argmax(1) == labels
    assert (hits == trained.hits).mean() > 0.98  # where two classes are close
    assert abs(hits.mean() - trained.history[-1].validation_accuracy) < 0.01


@pytest.mark.slow
def test_bfloat16_evaluates_as_float32_does(data: TrainingData) -> None:
    """What bfloat16 multiplies it holds exactly: weights, and values behind the first layer."""
    run = task(layers=LAYERS, training=TRAINING)
    if path_of(predictor_of(run, data).network.summary, run.arm.training)[1] != "bfloat16":
        pytest.skip("this processor does not multiply bfloat16 faster")
    exact = task(layers=LAYERS, training={**TRAINING, "precision": "float32"})
    learners = [learner_of(one, data) for one in (run, exact)]
    assert [one.precision for one in learners] == ["bfloat16", "float32"]
    state = train(exact, data).weights
    logits = []
    for learner in learners:
        learner.load_weights(state)
        logits.append(learner.logits_at(data.images, np.arange(500)))
    np.testing.assert_allclose(*logits, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_every_path_follows_the_same_scales(data: TrainingData) -> None:
    """Kernels, torch's layers, and those as a CUDA device has them: after three steps of gradient descent."""
    training = {**TRAINING, "precision": "float32", "optimizer": {"name": "sgd", "learning_rate": 0.05}}
    run = task(layers=LAYERS, training=training)
    fused = learner_of(run, data)
    spec, scaling = run.arm.training, predictor_of(run, data).scaling
    plain = PlainLearner(predictor_of(run, data).network, spec.optimizer, scaling, training=spec)
    cuda = CudaLearner(
        predictor_of(run, data).network, spec.optimizer, scaling, batch_size=50, precision="float32", device="cpu",
        training=spec, replays=False,
    )  # fmt: skip
    states = []
    for learner in (fused, plain, cuda):
        for step in range(3):
            indices = np.arange(step * 50, step * 50 + 50)
            learner.train_batch(Batch(data.images, indices, data.labels[indices]), step=step, learning_rate=0.05)
        states.append(learner.weights())
    for state in states[1:]:
        assert state.keys() == states[0].keys()
        for name, values in state.items():
            np.testing.assert_allclose(values.cpu(), states[0][name], atol=2e-3, err_msg=name)


def test_paths_that_meet_train_in_float32(data: TrainingData) -> None:
    joined = ["conv 4 3x3 padding=same relu", {"residual": ["conv 4 3x3 padding=same"]}, *LAYERS[-2:]]
    run = task(layers=joined, training={**TRAINING, "precision": "bfloat16"})
    with pytest.raises(RunError, match=r"bfloat16 is not available: .*(its paths part and meet|does not multiply it)"):
        learner_of(run, data)


STUDY = """
question = "Do few bits cost accuracy?"
[data]
name = "digits"
[network]
layers = ["conv 6 3x3 relu", "maxpool 2", "flatten", "dense classes softmax"]
[factors]
bits = { float = "none", two = { weights = 2 } }
[training]
epochs = 6
batch_size = 32
quantization = "{bits}"
[seeds]
count = 1
"""


def test_a_study_exports_the_program_that_it_has_validated(tmp_path: Path) -> None:
    store = tmp_path / "store"
    result = api.run(parse_study(STUDY, file="bits.toml", name="bits"), store=store)
    plain, small = (run.id for run in result.runs)
    with pytest.raises(
        SpecError, match=r'trained in whole numbers, which onnx would not compute with; export it as "c"'
    ):
        result.export("onnx", run=small, folder=tmp_path / "no")
    with pytest.raises(SpecError, match=r"trained in whole numbers, which c-int4"):
        result.export("c-int4", run=small, folder=tmp_path / "no")
    written = result.export("c", run=small, folder=tmp_path / "small")
    about = written.files[0].about
    assert "as it was trained" in about
    assert int(about.split(" bytes of constants")[0].rsplit(" ", 1)[1].replace(",", "")) < 400
    assert result.export("c-int2", run=plain, folder=tmp_path / "plain").files[0].name == "model-int2.h"
